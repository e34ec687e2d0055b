"""What can be wrong with latents in a statement, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from dgen.diagnostic import Diagnostic
from dgen.options.output import TENSOR_FORMATS
from dgen.plan.bind import Bound
from dgen.values.image_seed import LATENTS_ENDINGS, ImageSeed, is_latents

_PICTURES_ONLY = ("batch_grid_size", "post_processors", "preview", "inpaint_crop", "mask_blur", "adetailer_detectors")
"""The options that need pictures, which latents are not."""


def writes_latents(bound: Bound) -> bool:
    """Whether a statement writes latents in place of pictures."""
    return bound.value("image_format") in TENSOR_FORMATS


def latents_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with latents that a statement writes or starts from."""
    if writes_latents(bound):
        yield from _without_pictures(bound)
    elif "latents_post_processors" in bound:
        flag = bound.given["latents_post_processors"].flag
        formats = ", ".join(f"`{each}`" for each in TENSOR_FORMATS)
        yield Diagnostic(
            code="missing-option", message=f"`{flag.text}` needs latents to be written", span=flag.span,
            help=f"add `--image-format` with one of {formats}",
        )  # fmt: skip
    start, end = bound.value("denoising_start"), bound.value("denoising_end")
    if start is not None and start >= (1.0 if end is None else end):
        yield Diagnostic(
            code="bad-value", message=f"nothing is left between {start} and {1.0 if end is None else end}",
            span=bound.span_of("denoising_start"), help="start before the end",
        )  # fmt: skip
    held = bound.given.get("image_seed")
    for index, seed in enumerate(held.values if held is not None else ()):
        yield from _of_seed(bound, seed, index)


def _without_pictures(bound: Bound) -> Iterator[Diagnostic]:
    for name in _PICTURES_ONLY:
        if name in bound:
            flag = bound.given[name].flag
            yield Diagnostic(
                code="contradictory-options", message=f"`{flag.text}` needs pictures, and latents are written",
                span=flag.span, notes=((bound.span_of("image_format"), "latents are asked for here"),),
                help="leave one of them out",
            )  # fmt: skip


def _of_seed(bound: Bound, seed: ImageSeed, index: int) -> Iterator[Diagnostic]:
    span = bound.span_of("image_seed", index)
    if seed.is_latent and (seed.mask is not None or seed.beside or seed.floyd or seed.latents):
        message = "latents in place of an image stand alone in their seed"
        yield Diagnostic(code="bad-image-seed", message=message, span=span, help="name the image as a picture")
    elif seed.latents and seed.image is not None:
        message = "`latents` beside an image are taken by no model"
        yield Diagnostic(code="bad-image-seed", message=message, span=span, help="leave the image or the latents out")
    other = next((path for path in seed.latents if not is_latents(path)), None)
    if other is not None:
        endings = ", ".join(f"`{each}`" for each in LATENTS_ENDINGS)
        message = f"`{other}` is no file of latents"
        yield Diagnostic(code="bad-image-seed", message=message, span=span, help=f"their names end in {endings}")
    for name, has_some, what in (
        ("denoising_start", bool(seed.latents), "`latents: FILE` as image seed"),
        ("latents_processors", bool(seed.latents), "`latents: FILE` as image seed"),
        ("img2img_latents_processors", seed.is_latent, "a file of latents as image seed"),
    ):
        if name in bound and not has_some:
            yield Diagnostic(
                code="missing-option", message=f"`{bound.given[name].flag.text}` needs {what}", span=span,
                notes=((bound.given[name].flag.span, "it is given here"),),
            )  # fmt: skip
