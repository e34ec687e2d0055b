"""What guides or speeds the sampling by changing how the denoiser works for the time of a job."""

from __future__ import annotations

from dgen.schema import Stage, Sweep, opt, options
from dgen.values.freeu import FreeU, FreeUText
from dgen.values.scalars import Integer, Real
from dgen.values.step_cache import STEP_CACHE, StepCache, StepCacheText


@options("guidance")
class GuidanceOptions:
    """What changes how the denoiser works."""

    freeu: FreeU | None = opt(
        None, flag="--freeu-params", short="-fu", stage=Stage.CALL, sweep=Sweep.ACCELERATOR, value=FreeUText(),
        tag="fu", needs="StableDiffusionMixin",
        help="FreeU (Si et al. 2023): weaken what skips the UNet's depths by S1 and S2, strengthen what comes from "
        "there by B1 and B2, as in `0.9,0.2,1.2,1.4`; 1,1,1,1 changes next to nothing.",
    )  # fmt: skip
    hi_diffusion: bool = opt(
        False, flag="--hi-diffusion", short="-hd", stage=Stage.CALL, capability="hi-diffusion",
        excludes=("t2i_adapters", "step_cache"),
        help="HiDiffusion (Zhang et al. 2023): draw pictures of twice or four times the width and height that the "
        "model was made for without drawing things twice, and with less attention to what is far away.",
    )  # fmt: skip
    hi_diffusion_no_win_attn: bool = opt(
        False, flag="--hi-diffusion-no-win-attn", stage=Stage.CALL, capability="hi-diffusion",
        requires=("hi_diffusion",), excludes=("hi_diffusion_no_raunet",),
        help="Leave out what makes HiDiffusion fast: attention in windows, where maps are largest.",
    )  # fmt: skip
    hi_diffusion_no_raunet: bool = opt(
        False, flag="--hi-diffusion-no-raunet", stage=Stage.CALL, capability="hi-diffusion",
        requires=("hi_diffusion",), help="Leave out what keeps HiDiffusion from drawing things twice: small depths in "
        "the early steps.",
    )  # fmt: skip
    deep_cache: bool = opt(
        False, flag="--deep-cache", short="-dc", stage=Stage.CALL, needs="StableDiffusionMixin",
        help="DeepCache (Ma et al. 2023): compute the UNet's depths only in every few steps. Faster, and another "
        "picture.",
    )  # fmt: skip
    deep_cache_interval: int | None = opt(
        None, flag="--deep-cache-intervals", short="-dci", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(1, 10_000), tag="dci", needs="StableDiffusionMixin",
        help="Every how many steps DeepCache computes the whole UNet, 5 by default; it switches DeepCache on.",
    )  # fmt: skip
    deep_cache_branch_id: int | None = opt(
        None, flag="--deep-cache-branch-ids", short="-dcb", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Integer(0, 1000), tag="dcb", needs="StableDiffusionMixin",
        help="How many skip connections beyond the first DeepCache always computes, 1 by default; it switches "
        "DeepCache on.",
    )  # fmt: skip
    step_cache: StepCache | None = opt(
        None, flag="--step-cache", aliases=("--step-caches",), stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=StepCacheText(), tag="sc", capability=STEP_CACHE,
        help="Repeat what attention layers computed in earlier steps: `PAB;spatial-attention-block-skip-range=3`, or "
        "`TaylorSeer;cache-interval=4`, which extrapolates; in transformers also `FirstBlock;threshold=0.1`, "
        "`MagCache;max-skip-steps=2` and `FasterCache`, which repeat blocks. Faster, and another picture.",
    )  # fmt: skip
    tea_cache: bool = opt(
        False, flag="--tea-cache", short="-tc", stage=Stage.CALL, capability="tea_cache", excludes=("step_cache",),
        help="TeaCache (Liu et al. 2024): leave all blocks of the transformer out while its input hardly changes. "
        "Faster, and another picture.",
    )  # fmt: skip
    tea_cache_rel_l1_threshold: float | None = opt(
        None, flag="--tea-cache-rel-l1-thresholds", short="-tcr", stage=Stage.CALL, sweep=Sweep.ACCELERATOR,
        value=Real(0, 1), tag="tcr", capability="tea_cache", excludes=("step_cache",),
        help="How much TeaCache lets the input change before blocks are computed again, 0.6 by default; 0.25 is closer "
        "and slower, 0 leaves nothing out. It switches TeaCache on.",
    )  # fmt: skip
    pag: bool = opt(
        False, flag="--pag", short="-pag", stage=Stage.CALL, needs="PAGMixin",
        help="Perturbed attention guidance (Ahn et al. 2024): steer away from what the model draws without its "
        "self-attention.",
    )  # fmt: skip
    pag_scale: float | None = opt(
        None, flag="--pag-scales", short="-pags", stage=Stage.CALL, sweep=Sweep.PAG, value=Real(0), tag="ps",
        keyword="pag_scale", implied=3.0, help="The weight of perturbed attention guidance; it switches it on.",
    )  # fmt: skip
    pag_adaptive_scale: float | None = opt(
        None, flag="--pag-adaptive-scales", short="-pagas", stage=Stage.CALL, sweep=Sweep.PAG, value=Real(0),
        tag="pas", keyword="pag_adaptive_scale", implied=0.0,
        help="By how much the weight of perturbed attention guidance falls with each timestep; it switches it on.",
    )  # fmt: skip
