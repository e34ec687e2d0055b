"""Rows of Tencent's Hunyuan models of pictures."""

from __future__ import annotations

from dgen.families.distilled import HUNYUAN
from dgen.families.family import CONTROLNET, IMG2IMG, SIGNED, TXT2IMG, Family

HUNYUAN_IMAGE = Family(
    name="hunyuan-image",
    packs=False,
    label="HunyuanImage 2.1",
    distilled=(HUNYUAN,),
    checkpoint_keys=("txt_in.individual_token_refiner.", "byt5_in."),
    denoiser_keys=(
        "context_embedder.token_refiner.",
        "context_embedder_2.",
        "single_transformer_blocks.0.proj_mlp.weight",
        "x_embedder.proj.weight",
        "norm_out.linear.weight",
    ),
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
    denoiser_keys=(
        "context_embedder.token_refiner.",
        "x_embedder.proj.weight",
        "time_guidance_embed.",
        "single_transformer_blocks.",
    ),
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
    singly=(IMG2IMG,),  # only the first would be drawn as it is alone
)

HUNYUAN_DIT = Family(
    name="hunyuan-dit",
    packs=False,
    label="HunyuanDiT",
    checkpoint_keys=("pooler.positional_embedding", "mlp_t5.0.weight", "blocks.0.attn1.Wqkv.weight"),
    denoiser_keys=("pos_embed.proj.weight", "text_embedding_padding", "blocks.0.attn2.norm_q.weight"),
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
