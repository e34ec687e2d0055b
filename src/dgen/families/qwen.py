"""Rows of Qwen-Image and of the models that edit with it."""

from __future__ import annotations

from functools import partial

from dgen.families.distilled import LIGHTNING
from dgen.families.family import CONTROLNET, IMG2IMG, INPAINT, SIGNED, TXT2IMG, Family
from dgen.families.sizes import near_area

_GUIDED = {"negative_prompt": " "}
"""Without a negative prompt these pipelines are not guided; their documentation gives them a space."""

_Qwen = partial(
    Family, package="qwenimage", accelerated_dtype="bfloat16", as_signed=SIGNED, call=_GUIDED,
    keywords={"guidance_scale": "true_cfg_scale"},
)  # fmt: skip

QWEN_IMAGE = _Qwen(
    name="qwen-image",
    packs=False,
    label="Qwen-Image",
    distilled=(LIGHTNING,),
    denoiser_keys=("img_in.weight", "txt_norm.weight", "transformer_blocks.0.img_mod.1.weight"),
    modular={"QwenImageModularPipeline": "QwenImagePipeline"},
    pipelines={
        TXT2IMG: "QwenImagePipeline",
        IMG2IMG: "QwenImageImg2ImgPipeline",
        INPAINT: "QwenImageInpaintPipeline",
    },
    variants={
        CONTROLNET: {TXT2IMG: "QwenImageControlNetPipeline", INPAINT: "QwenImageControlNetInpaintPipeline"},
    },
    controlnet="QwenImageControlNetModel",
    multiple_of=16,
    default_size=1024,
)

QWEN_IMAGE_EDIT = _Qwen(
    name="qwen-image-edit",
    like="qwen-image",
    named=("edit",),
    packs=False,
    label="Qwen-Image-Edit",
    distilled=(LIGHTNING,),
    modular={"QwenImageEditModularPipeline": "QwenImageEditPipeline"},
    pipelines={IMG2IMG: "QwenImageEditPipeline", INPAINT: "QwenImageEditInpaintPipeline"},
    multiple_of=16,
    default_size=1024,
    draws={INPAINT: near_area(1024 * 1024, 32)},
)

QWEN_IMAGE_EDIT_PLUS = _Qwen(
    name="qwen-image-edit-plus",
    like="qwen-image",
    named=("edit-2509", "edit-2511", "edit-plus"),
    gathers=True,
    packs=False,
    label="Qwen-Image-Edit 2509",
    distilled=(LIGHTNING,),
    modular={"QwenImageEditPlusModularPipeline": "QwenImageEditPlusPipeline"},
    pipelines={IMG2IMG: "QwenImageEditPlusPipeline"},
    multiple_of=16,
    default_size=1024,
)

QWEN_IMAGE_LAYERED = Family(
    name="qwen-image-layered",
    packs=False,
    label="Qwen-Image-Layered",
    denoiser_keys=(
        "img_in.weight",
        "txt_norm.weight",
        "transformer_blocks.0.img_mod.1.weight",
        "time_text_embed.addition_t_embedding.weight",
    ),
    modular={"QwenImageLayeredModularPipeline": "QwenImageLayeredPipeline"},
    package="qwenimage",
    pipelines={IMG2IMG: "QwenImageLayeredPipeline"},
    multiple_of=32,
    default_size=640,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    keywords={"guidance_scale": "true_cfg_scale"},
    call={**_GUIDED, "resolution": 640},
    draws={IMG2IMG: near_area(640 * 640, 32)},
    prepares="dgen.engine.particular:in_layers",
    shows="dgen.engine.particular:of_layers",
)

ROWS = (QWEN_IMAGE, QWEN_IMAGE_EDIT, QWEN_IMAGE_EDIT_PLUS, QWEN_IMAGE_LAYERED)
