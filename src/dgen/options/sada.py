"""SADA: skip steps, and parts of steps, while the sampling is stable."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.sada import SADA
from dgen.values.scalars import Integer
from dgen.values.steps import WindowText

_CLASH = (
    "step_cache", "tea_cache", "tea_cache_rel_l1_threshold", "deep_cache", "deep_cache_interval",
    "deep_cache_branch_id", "hi_diffusion",
)  # fmt: skip
"""What exchanges the same calls of the denoiser, or the same layers in it."""


@options("SADA")
class SadaOptions:
    """What makes the sampling skip what it can foresee; each of these options switches that on."""

    sada: bool = opt(
        False, flag="--sada", stage=Stage.CALL, capability=SADA, excludes=_CLASH,
        help="SADA (Jiang et al. 2025): do not compute the steps, nor the parts of the picture, that can be foreseen "
        "from the steps before. Faster, and nearly the same picture.",
    )  # fmt: skip
    sada_max_downsample: int | None = opt(
        None, flag="--sada-max-downsamples", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 64),
        tag="smd", capability=SADA, excludes=_CLASH,
        help="In steps that are computed, self-attention leaves out the parts that can be foreseen where maps are at "
        "most so many times smaller than the latents; 0 never leaves them out. 1 for sd, 2 for sdxl and kolors, 0 for "
        "flux by default.",
    )  # fmt: skip
    sada_sx: int | None = opt(
        None, flag="--sada-sxs", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 1000), tag="ssx",
        capability=SADA, excludes=_CLASH,
        help="Of so many columns of such a map, one is always computed where it meets a row of `--sada-sys`; 0 for "
        "none. 3 by default, 0 for flux.",
    )  # fmt: skip
    sada_sy: int | None = opt(
        None, flag="--sada-sys", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 1000), tag="ssy",
        capability=SADA, excludes=_CLASH,
        help="Of so many rows of such a map, one is always computed where it meets a column of `--sada-sxs`; 0 for "
        "none. 3 by default, 0 for flux.",
    )  # fmt: skip
    sada_acc_range: tuple[int, int] | None = opt(
        None, flag="--sada-acc-ranges", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=WindowText(3), tag="sar",
        capability=SADA, excludes=_CLASH,
        help="After which steps, counted from 0, the next one may be foreseen: from START, and before END; `10,47` by "
        "default. The last step is always computed.",
    )  # fmt: skip
    sada_lagrange_term: int | None = opt(
        None, flag="--sada-lagrange-terms", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 10), tag="slt",
        capability=SADA, excludes=_CLASH,
        help="From how many pictures that were foreseen or computed those of late steps are extrapolated; 0 decides "
        "about late steps as about early ones. 4 by default, 3 for flux.",
    )  # fmt: skip
    sada_lagrange_int: int | None = opt(
        None, flag="--sada-lagrange-ints", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(1, 1000),
        tag="sli", capability=SADA, excludes=_CLASH,
        help="Of so many late steps, one is computed; 4 by default.",
    )  # fmt: skip
    sada_lagrange_step: int | None = opt(
        None, flag="--sada-lagrange-steps", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 10_000),
        tag="sls", capability=SADA, excludes=_CLASH,
        help="From which step on, counted from 0, steps are late ones: a multiple of `--sada-lagrange-ints`. 24 by "
        "default, 20 for flux.",
    )  # fmt: skip
    sada_max_fix: int | None = opt(
        None, flag="--sada-max-fixes", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 100_000_000),
        tag="smf", capability=SADA, excludes=_CLASH,
        help="Where parts are left out, at most so many cells of the latents are computed besides the regular ones: "
        "those that are hardest to foresee. 5120 for sd, 10240 for sdxl and kolors, 0 for flux by default.",
    )  # fmt: skip
    sada_max_interval: int | None = opt(
        None, flag="--sada-max-intervals", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Integer(0, 1000),
        tag="smi", capability=SADA, excludes=_CLASH,
        help="After so many steps in a row that were foreseen, or computed in part, one is computed wholly; 4 by "
        "default.",
    )  # fmt: skip
