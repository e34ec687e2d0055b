"""Rows of Marigold, which tells from a picture how far things are, where their surfaces look, and how they are lit."""

from __future__ import annotations

from dgen.families.family import IMG2IMG, Family

_OWN_STEPS = {"num_inference_steps": None}
"""A model knows how many steps are best for it."""

DEPTH = Family(
    name="marigold-depth",
    like="pix2pix",
    checkpoint_inputs=(8,),
    named=("marigold",),
    packs=False,
    label="Marigold Depth",
    package="marigold",
    pipelines={IMG2IMG: "MarigoldDepthPipeline"},
    singly=(IMG2IMG,),
    default_size=768,
    defaults=_OWN_STEPS,
    call={"output_type": "np"},
    shows="dgen.engine.particular:of_depth",
)

NORMALS = Family(
    name="marigold-normals",
    like="pix2pix",
    checkpoint_inputs=(8,),
    named=("marigold-normals", "marigold-normals-lcm"),
    packs=False,
    label="Marigold Normals",
    package="marigold",
    pipelines={IMG2IMG: "MarigoldNormalsPipeline"},
    singly=(IMG2IMG,),
    default_size=768,
    defaults=_OWN_STEPS,
    call={"output_type": "np"},
    shows="dgen.engine.particular:of_normals",
)

INTRINSICS = Family(
    name="marigold-intrinsics",
    like="pix2pix",
    checkpoint_inputs=(12, 16),
    packs=False,
    label="Marigold Intrinsics",
    package="marigold",
    pipelines={IMG2IMG: "MarigoldIntrinsicsPipeline"},
    singly=(IMG2IMG,),
    default_size=768,
    defaults=_OWN_STEPS,
    call={"output_type": "np"},
    shows="dgen.engine.particular:of_intrinsics",
)

ROWS = (DEPTH, NORMALS, INTRINSICS)
