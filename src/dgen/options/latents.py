"""What lies between noise and picture: parts of the steps, and latents as files."""

from __future__ import annotations

from dgen.schema import Stage, opt, options
from dgen.values.scalars import Real
from dgen.values.uri import NamedUri, OpenUri


@options("latents")
class LatentsOptions:
    """Parts of the steps, and latents as files: `--image-format safetensors` writes them."""

    denoising_start: float | None = opt(
        None, flag="--denoising-start", short="-ds", stage=Stage.CALL, value=Real(0, 1), requires=("image_seed",),
        help="Begin after this part of the noise schedule, with `latents:` of an image seed as they are there.",
    )  # fmt: skip
    denoising_end: float | None = opt(
        None, flag="--denoising-end", short="-de", stage=Stage.CALL, value=Real(0, 1),
        help="Stop after this part of the noise schedule; what is left of the noise stays in.",
    )  # fmt: skip
    latents_processors: tuple[NamedUri, ...] = opt(
        (), flag="--latents-processors", short="-lp", many=True, stage=Stage.CALL, value=OpenUri(),
        requires=("image_seed",),
        help="Change the `latents:` of an image seed; a lone `+` stands before the processors of the next file, and "
        "`--latents-processor-help` lists them.",
    )  # fmt: skip
    img2img_latents_processors: tuple[NamedUri, ...] = opt(
        (), flag="--img2img-latents-processors", short="-ilp", many=True, stage=Stage.CALL, value=OpenUri(),
        requires=("image_seed",), help="Change the latents that an image seed names in place of its image.",
    )  # fmt: skip
    latents_post_processors: tuple[NamedUri, ...] = opt(
        (), flag="--latents-post-processors", short="-lpp", many=True, stage=Stage.CALL, value=OpenUri(),
        help="Change the latents that are made, before they are written.",
    )  # fmt: skip
