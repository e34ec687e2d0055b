"""Region-adaptive sampling: compute only the regions of a picture that the model works on."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.scalars import Choice, Integer, Real
from dgen.values.steps import StepsText

RAS = "ras"
_CLASH = ("step_cache",)


@options("region-adaptive sampling")
class RasOptions:
    """What makes a transformer compute only some regions in a step; each of these options switches that on."""

    ras: bool = opt(
        False, flag="--ras", short="-ra", stage=Stage.CALL, capability=RAS, excludes=_CLASH,
        help="Region-adaptive sampling (Liu et al. 2025): after the first steps, compute only the regions that the "
        "model works on. Faster, and another picture.",
    )  # fmt: skip
    ras_index_fusion: bool = opt(
        False, flag="--ras-index-fusion", short="-rif", stage=Stage.CALL, capability=RAS,
        excludes=(*_CLASH, "model_sequential_offload"),
        help="Compute keys and values in one multiplication and keep them in one tensor: faster on a GPU, for more "
        "memory.",
    )  # fmt: skip
    ras_sample_ratio: float | None = opt(
        None, flag="--ras-sample-ratios", short="-rsr", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Real(0, 1),
        tag="rsr", capability=RAS, excludes=_CLASH,
        help="The fraction of the picture that is computed in a step, on average; 0.5 by default.",
    )  # fmt: skip
    ras_high_ratio: float | None = opt(
        None, flag="--ras-high-ratios", short="-rhr", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=Real(0, 1),
        tag="rhr", capability=RAS, excludes=_CLASH,
        help="How many of the regions that are left out are those that rank highest, which are mostly background; all "
        "by default. The others are those that rank lowest.",
    )  # fmt: skip
    ras_starvation_scale: float | None = opt(
        None, flag="--ras-starvation-scales", short="-rss", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Real(0, 1), tag="rss", capability=RAS, excludes=_CLASH,
        help="How strongly a region that was left out comes sooner; more is more even. 0.1 by default.",
    )  # fmt: skip
    ras_error_reset_steps: tuple[int, ...] | None = opt(
        None, flag="--ras-error-reset-steps", short="-rer", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=StepsText(), tag="rer", capability=RAS, excludes=_CLASH,
        help="The steps, counted from 1, in which everything is computed; `12,22` by default.",
    )  # fmt: skip
    ras_metric: str | None = opt(
        None, flag="--ras-metrics", short="-rme", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Choice(("std", "l2norm")), tag="rme", capability=RAS, excludes=_CLASH,
        help="What ranks regions: the deviation (`std`) or the length (`l2norm`) of their predicted noise.",
    )  # fmt: skip
    ras_start_step: int | None = opt(
        None, flag="--ras-start-steps", short="-rst", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(1, 10_000), tag="rst", capability=RAS, excludes=_CLASH,
        help="How many steps at the beginning compute everything; 4 by default.",
    )  # fmt: skip
    ras_end_step: int | None = opt(
        None, flag="--ras-end-steps", short="-res", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(1, 10_000), tag="res", capability=RAS, excludes=_CLASH,
        help="The last step that leaves regions out; by default the last of all.",
    )  # fmt: skip
    ras_skip_num_step: int | None = opt(
        None, flag="--ras-skip-num-steps", short="-rsn", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(-100_000, 100_000), tag="rsn", capability=RAS, excludes=_CLASH,
        requires=("ras_skip_num_step_length",),
        help="How many tokens more (or less, below 0) are left out after each period; the average stays.",
    )  # fmt: skip
    ras_skip_num_step_length: int | None = opt(
        None, flag="--ras-skip-num-step-lengths", short="-rsl", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(0, 10_000), tag="rsl", capability=RAS, excludes=_CLASH, requires=("ras_skip_num_step",),
        help="How many steps such a period has; 0 means that as many tokens are left out in every step.",
    )  # fmt: skip
