"""Image processors that let diffusion models tell depth, normals and light: Marigold (arXiv 2312.02145)."""

from typing import TYPE_CHECKING, Any

from dgen.plugins import (
    BadValue,
    Bench,
    Choice,
    Integer,
    Lens,
    ModelSource,
    Seeing,
    Text,
    image_processor,
    opt,
    options,
    record,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

DEPTH, NORMALS, INTRINSICS = "depth", "normals", "intrinsics"
MODELS = {
    DEPTH: "prs-eth/marigold-depth-v1-1",
    NORMALS: "prs-eth/marigold-normals-v1-1",
    INTRINSICS: "prs-eth/marigold-iid-lighting-v1-1",
}
CLASSES = {
    DEPTH: "MarigoldDepthPipeline",
    NORMALS: "MarigoldNormalsPipeline",
    INTRINSICS: "MarigoldIntrinsicsPipeline",
}


@record
@options("marigold")
class Denoising(Seeing):
    """What both processors take."""

    inference_steps: int | None = opt(
        None, value=Integer(1, 1000), help="How many steps it takes; by default what the model was made for."
    )
    ensemble_size: int = opt(
        1,
        value=Integer(1, 50),
        help="How many times it looks; more than 2 agree on what is less noisy, and need scipy.",
    )
    processing_resolution: int | None = opt(
        None, value=Integer(0, 8192), help="The longer side at which it looks; 0 is the picture's own."
    )
    seed: int = opt(0, value=Integer(0, 2**63 - 1), help="What its noise starts from.")


@record
@options("marigold")
class Marigold(Denoising):
    """Arguments of `marigold`."""

    mode: str = opt(DEPTH, value=Choice((DEPTH, NORMALS, INTRINSICS)), help="What to draw.")
    target: str | None = opt(
        None, value=Text(), help="Which of the intrinsics to draw, such as `albedo` or `shading`; by default the first."
    )
    model: str | None = opt(
        None, value=ModelSource(), help="A Marigold model of diffusers; by default version 1.1 for the mode."
    )


@image_processor("marigold", Marigold, example="marigold;mode=normals")
def marigold(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw how near things are, where surfaces face, or what light and colour a picture is made of.

    The nearest is white; what faces right is red, up green, and here blue.
    """
    if said.target is not None and said.mode != INTRINSICS:
        raise BadValue("`target` is for `mode=intrinsics`", code="bad-value")
    if said.mode == INTRINSICS:
        return _intrinsic(said, image, bench)
    seen = _seen(said, said.mode, image, bench)
    return _picture(255 * (1 - seen) if said.mode == DEPTH else 127.5 * (seen + 1))


@record
@options("normal-bae")
class NormalBae(Denoising):
    """Arguments of `normal-bae`."""

    model: str = opt(
        MODELS[NORMALS], value=ModelSource(),
        help="A Marigold model for normals; the network of NormalBae has no weights in a format that is well kept.",
    )  # fmt: skip


@image_processor("normal-bae", NormalBae, example="normal-bae")
def normal_bae(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw where surfaces face: right in red, up in green, here in blue; Marigold takes the place of NormalBae."""
    return _picture(127.5 * (_seen(said, NORMALS, image, bench) + 1))


def _seen(said: Any, mode: str, image: "Image", bench: Bench) -> "np.ndarray":
    """Return what a pipeline sees: distances (h, w, 1) from 0 to 1, or normals (h, w, 3) from -1 to 1."""
    with bench.look(_lens(said, mode), said) as seer:
        return _predicted(said, image, seer.model.pipeline)[0]


def _lens(said: Any, mode: str) -> Lens:
    return Lens(noun=f"Marigold model for {mode}", model=said.model or MODELS[mode], classes=(CLASSES[mode],))


def _predicted(said: Any, image: "Image", pipeline: Any) -> "np.ndarray":
    """Return what a pipeline predicts: (targets, h, w, channels)."""
    import torch

    return pipeline(
        image, num_inference_steps=said.inference_steps, ensemble_size=said.ensemble_size,
        processing_resolution=said.processing_resolution, generator=torch.Generator("cpu").manual_seed(said.seed),
    ).prediction  # fmt: skip


def _intrinsic(said: Any, image: "Image", bench: Bench) -> "Image":
    """Draw one of what a picture is decomposed into, as diffusers does."""
    with bench.look(_lens(said, INTRINSICS), said) as seer:
        pipeline = seer.model.pipeline
        drawn = pipeline.image_processor.visualize_intrinsics(
            _predicted(said, image, pipeline), pipeline.target_properties
        )[0]
    names = tuple(pipeline.target_properties["target_names"])
    target = said.target or names[0]
    if target not in drawn:
        raise BadValue(f"this model has no target `{target}`", help=f"it has {', '.join(f'`{n}`' for n in drawn)}")
    return drawn[target].convert("RGB")


def _picture(pixels: "np.ndarray") -> "Image":
    import numpy as np
    from PIL import Image as Pictures

    return Pictures.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8).squeeze())
