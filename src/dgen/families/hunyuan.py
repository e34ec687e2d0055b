"""Rows of Tencent's Hunyuan models of pictures."""

from __future__ import annotations

from dgen.families.distilled import HUNYUAN
from dgen.families.family import CONTROLNET, IMG2IMG, SIGNED, TXT2IMG, Family

HUNYUAN_IMAGE = Family(
    name="hunyuan-image",
    packs=False,
    label="HunyuanImage 2.1",
    distilled=(HUNYUAN,),
    package="hunyuan_image",
    pipelines={TXT2IMG: "HunyuanImagePipeline"},
    multiple_of=32,
    default_size=2048,
    accelerated_dtype="bfloat16",
    as_signed=("num_inference_steps",),
    defaults={"guidance_scale": None},  # the model's own guiders know
    keywords={"guidance_scale": "distilled_guidance_scale"},
    prepares="dgen.engine.particular:in_hunyuan_image",
)

HUNYUAN_IMAGE_REFINER = Family(
    name="hunyuan-image-refiner",
    packs=False,
    label="the refiner of HunyuanImage 2.1",
    package="hunyuan_image",
    pipelines={IMG2IMG: "HunyuanImageRefinerPipeline"},
    multiple_of=16,
    default_size=2048,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    keywords={"guidance_scale": "distilled_guidance_scale"},
    prepares="dgen.engine.particular:in_hunyuan_refiner",
)

HUNYUAN_DIT = Family(
    name="hunyuan-dit",
    packs=False,
    label="HunyuanDiT",
    package="hunyuandit",
    pipelines={TXT2IMG: "HunyuanDiTPipeline"},
    variants={CONTROLNET: {TXT2IMG: "HunyuanDiTControlNetPipeline"}},
    controlnet="HunyuanDiT2DControlNetModel",
    multiple_of=16,
    default_size=1024,
    as_signed=SIGNED,
    call={"use_resolution_binning": False},  # else another size is drawn than was asked for
)

ROWS = (HUNYUAN_IMAGE, HUNYUAN_IMAGE_REFINER, HUNYUAN_DIT)
