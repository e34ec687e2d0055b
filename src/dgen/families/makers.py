"""Rows of further transformers, of each maker one or two."""

from __future__ import annotations

from functools import partial

from dgen.families.distilled import KREA_TURBO
from dgen.families.family import IMG2IMG, SIGNED, TXT2IMG, Family
from dgen.families.sizes import over_area

_Family = partial(Family, packs=False, default_size=1024, accelerated_dtype="bfloat16", as_signed=SIGNED)

OVIS_IMAGE = _Family(
    name="ovis-image",
    denoiser_keys=("context_embedder_norm.weight", "timestep_embedder.linear_1.weight", "x_embedder.weight"),
    label="Ovis-Image",
    package="ovis_image",
    pipelines={TXT2IMG: "OvisImagePipeline"},
    multiple_of=16,
)

LONGCAT_IMAGE = _Family(
    name="longcat-image",
    like="bria",
    named=("longcat",),
    label="LongCat-Image",
    package="longcat_image",
    pipelines={TXT2IMG: "LongCatImagePipeline"},
    multiple_of=16,
)

LONGCAT_IMAGE_EDIT = _Family(
    name="longcat-image-edit",
    like="bria",
    named=("longcat-image-edit", "longcat-edit"),
    label="LongCat-Image-Edit",
    package="longcat_image",
    pipelines={IMG2IMG: "LongCatImageEditPipeline"},
    multiple_of=16,
    draws={IMG2IMG: over_area(1024 * 1024, 16)},
)

ERNIE_IMAGE = _Family(
    name="ernie-image",
    denoiser_keys=("layers.0.adaLN_sa_ln.weight", "text_proj.weight", "x_embedder.proj.weight"),
    label="ERNIE-Image",
    package="ernie_image",
    pipelines={TXT2IMG: "ErnieImagePipeline"},
    modular={"ErnieImageModularPipeline": "ErnieImagePipeline"},
    multiple_of=16,
)

KREA2 = _Family(
    name="krea2",
    checkpoint_keys=("txtfusion.projector.weight",),
    denoiser_keys=("text_fusion.projector.weight", "img_in.weight"),
    label="Krea 2",
    distilled=(KREA_TURBO,),
    package="krea2",
    pipelines={TXT2IMG: "Krea2Pipeline"},
    modular=dict.fromkeys(("Krea2ModularPipeline", "Krea2TurboModularPipeline"), "Krea2Pipeline"),
    modular_says={"Krea2TurboModularPipeline": {"is_distilled": True}},
    multiple_of=16,
)

NUCLEUSMOE_IMAGE = _Family(
    name="nucleusmoe-image",
    denoiser_keys=(
        "img_in.weight",
        "txt_norm.weight",
        "time_text_embed.norm.weight",
        "transformer_blocks.0.encoder_proj.weight",
    ),
    label="NucleusMoE-Image",
    package="nucleusmoe_image",
    pipelines={TXT2IMG: "NucleusMoEImagePipeline"},
    multiple_of=16,
)

QWEN_IMAGE_21 = _Family(
    name="qwen-image-21",
    denoiser_keys=("txt_in.text_norm.weight", "img_in.weight"),
    gathers=True,
    label="Qwen-Image 2.1",
    package="qwenimage21",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "QwenImage21Pipeline"),
    modular=dict.fromkeys(("QwenImage21ModularPipeline", "QwenImage21TurboModularPipeline"), "QwenImage21Pipeline"),
    keywords={"guidance_scale": "true_cfg_scale"},
    call={"negative_prompt": " "},  # without one it is not guided
    multiple_of=32,
)

BRIA_FIBO = _Family(
    name="bria-fibo",
    denoiser_keys=(
        "x_embedder.weight",
        "context_embedder.weight",
        "time_embed.timestep_embedder.linear_1.weight",
        "single_transformer_blocks.0.proj_mlp.weight",
        "caption_projection.0.linear.weight",
    ),
    label="Bria FIBO",
    package="bria_fibo",
    pipelines={TXT2IMG: "BriaFiboPipeline"},
    multiple_of=32,
)

BRIA_FIBO_EDIT = _Family(
    name="bria-fibo-edit",
    like="bria-fibo",
    named=("fibo-edit",),
    gathers=True,
    label="Bria FIBO Edit",
    package="bria_fibo",
    pipelines={IMG2IMG: "BriaFiboEditPipeline"},
    prepares="dgen.engine.particular:in_fibo_edit",
    call={"_auto_resize": False},
    multiple_of=32,
)

IDEOGRAM4 = Family(
    name="ideogram4",
    denoiser_keys=("llm_cond_proj.weight", "embed_image_indicator.weight"),
    packs=False,
    label="Ideogram 4",
    package="ideogram4",
    pipelines={TXT2IMG: "Ideogram4Pipeline"},
    modular={"Ideogram4ModularPipeline": "Ideogram4Pipeline"},
    multiple_of=16,
    default_size=2048,
    accelerated_dtype="bfloat16",
    as_signed=("num_inference_steps",),
    defaults={"guidance_scale": None},  # each step has its own
    prepares="dgen.engine.particular:in_ideogram",
)

GLM_IMAGE = _Family(
    name="glm-image",
    denoiser_keys=("prior_token_embedding.weight", "image_projector.proj.weight"),
    label="GLM-Image",
    package="glm_image",
    pipelines={TXT2IMG: "GlmImagePipeline", IMG2IMG: "GlmImageSeeingPipeline"},
    gathers=True,
    multiple_of=32,
    singly=(TXT2IMG, IMG2IMG),  # the plan of a picture is drawn once, from the first seed
)

_WORDS = ("textual_inversions",)  # their base spells them out for CLIP's tokenizers alone

DREAMLITE = _Family(
    name="dreamlite",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "add_embedding.linear_1.weight",
        "down_blocks.0.resnets.0.conv1.depthwise.weight",
    ),
    label="DreamLite",
    package="dreamlite",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "DreamLitePipeline"),
    as_signed=(*SIGNED, "image_guidance_scale"),
    multiple_of=16,
    lacks=_WORDS,
    singly=(TXT2IMG, IMG2IMG),  # diffusers 0.42 tells its UNet the size of one of them
)

DREAMLITE_MOBILE = _Family(
    name="dreamlite-mobile",
    like="dreamlite",
    named=("mobile",),
    label="DreamLite Mobile",
    package="dreamlite",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "DreamLiteMobilePipeline"),
    singly=(IMG2IMG,),  # diffusers 0.42 shows its UNet the picture once
    multiple_of=16,
    lacks=(*_WORDS, "guidance_scale", "image_guidance_scale"),  # taken, and left aside
)

ROWS = (
    OVIS_IMAGE,
    LONGCAT_IMAGE,
    LONGCAT_IMAGE_EDIT,
    ERNIE_IMAGE,
    KREA2,
    NUCLEUSMOE_IMAGE,
    QWEN_IMAGE_21,
    BRIA_FIBO,
    BRIA_FIBO_EDIT,
    IDEOGRAM4,
    DREAMLITE,
    DREAMLITE_MOBILE,
    GLM_IMAGE,
)
