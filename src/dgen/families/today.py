"""Rows of today's transformers that stand alone: of each maker one family."""

from __future__ import annotations

from dgen.families.distilled import HIDREAM_DISTILLED, Z_TURBO
from dgen.families.family import CONTROLNET, IMG2IMG, INPAINT, MIXING, SIGNED, TXT2IMG, UNET_CACHES, Family
from dgen.families.sizes import of_area

Z_IMAGE = Family(
    name="z-image",
    packs=False,
    label="Z-Image",
    distilled=(Z_TURBO,),
    denoiser_keys=("all_x_embedder.", "cap_embedder.0.weight", "noise_refiner."),
    modular={"ZImageModularPipeline": "ZImagePipeline"},
    checkpoint_keys=("layers.0.adaLN_modulation.0.weight", "cap_embedder.0.weight"),
    package="z_image",
    pipelines={TXT2IMG: "ZImagePipeline", IMG2IMG: "ZImageImg2ImgPipeline", INPAINT: "ZImageInpaintPipeline"},
    variants={CONTROLNET: {TXT2IMG: "ZImageControlNetPipeline", INPAINT: "ZImageControlNetInpaintPipeline"}},
    controlnet="ZImageControlNetModel",
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

Z_IMAGE_OMNI = Family(
    name="z-image-omni",
    like="z-image",
    named=("omni",),
    gathers=True,
    packs=False,
    label="Z-Image Omni",
    denoiser_keys=("all_x_embedder.", "cap_embedder.0.weight", "noise_refiner.", "siglip_embedder."),
    package="z_image",
    pipelines={TXT2IMG: "ZImageOmniPipeline", IMG2IMG: "ZImageOmniPipeline"},
    capabilities=(MIXING,),  # bfloat16, whatever the model is in
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

PRX = Family(
    name="prx",
    denoiser_keys=(
        "time_in.in_layer.weight",
        "final_layer.linear.weight",
        "img_in.weight",
        "txt_in.weight",
        "blocks.0.",
    ),
    packs=False,
    label="PRX",
    package="prx",
    pipelines={TXT2IMG: "PRXPipeline"},
    lacks=("loras", "lora_fuse_scale"),  # its base looks for a UNet
    singly=(TXT2IMG,),  # diffusers 0.42 tells its transformer the time of one of them
    multiple_of=16,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

CHROMA = Family(
    name="chroma",
    packs=False,
    label="Chroma",
    denoiser_keys=(
        "x_embedder.weight",
        "context_embedder.weight",
        "distilled_guidance_layer.in_proj.bias",
        "single_transformer_blocks.0.proj_mlp.weight",
    ),
    checkpoint_keys=("double_blocks.0.img_attn.norm.key_norm.scale", "distilled_guidance_layer.in_proj.bias"),
    package="chroma",
    pipelines={
        TXT2IMG: "ChromaPipeline",
        IMG2IMG: "ChromaImg2ImgPipeline",
        INPAINT: "ChromaInpaintingPipeline",
    },
    also=("ChromaInpaintPipeline",),
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    lacks=("ip_adapters",),
)

LUMINA2 = Family(
    name="lumina2",
    packs=False,
    label="Lumina Image 2",
    denoiser_keys=("time_caption_embed.caption_embedder.", "noise_refiner."),
    checkpoint_keys=("cap_embedder.0.weight",),
    package="lumina2",
    pipelines={TXT2IMG: "Lumina2Pipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

AURAFLOW = Family(
    name="auraflow",
    packs=False,
    label="AuraFlow",
    denoiser_keys=("joint_transformer_blocks.", "register_tokens"),
    checkpoint_keys=("double_layers.0.attn.w1q.weight", "cond_seq_linear.weight"),
    package="aura_flow",
    pipelines={TXT2IMG: "AuraFlowPipeline"},
    multiple_of=16,
    default_size=1024,
    as_signed=SIGNED,
)

COGVIEW4 = Family(
    name="cogview4",
    sight="same",
    packs=False,
    label="CogView 4",
    denoiser_keys=("patch_embed.text_proj.weight", "time_condition_embed.condition_embedder."),
    package="cogview4",
    pipelines={TXT2IMG: "CogView4Pipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

COGVIEW4_CONTROL = Family(
    name="cogview4-control",
    like="cogview4",
    sight="more",
    packs=False,
    label="CogView 4 Control",
    package="cogview4",
    pipelines={IMG2IMG: "CogView4ControlPipeline"},
    keywords={"image": "control_image"},
    singly=(IMG2IMG,),  # what it sees is drawn at random for all of them together
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

OMNIGEN = Family(
    name="omnigen",
    denoiser_keys=("patch_embedding.output_image_proj.weight", "time_token.linear_1.weight"),
    gathers=True,
    packs=False,
    label="OmniGen",
    package="omnigen",
    pipelines={TXT2IMG: "OmniGenPipeline", IMG2IMG: "OmniGenPipeline"},
    keywords={"image": "input_images", "image_guidance_scale": "img_guidance_scale"},
    prepares="dgen.engine.particular:in_omnigen",
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=(*SIGNED, "image_guidance_scale"),
)

HIDREAM = Family(
    name="hidream",
    distilled=HIDREAM_DISTILLED,
    packs=False,
    label="HiDream-I1",
    checkpoint_keys=("double_stream_blocks.0.block.adaLN_modulation.1.bias",),
    package="hidream_image",
    pipelines={TXT2IMG: "HiDreamImagePipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    draws={TXT2IMG: of_area(1024 * 1024, 16)},
)

BRIA = Family(
    name="bria",
    packs=False,
    label="Bria 3",
    denoiser_keys=(
        "x_embedder.weight",
        "context_embedder.weight",
        "time_embed.timestep_embedder.linear_1.weight",
        "single_transformer_blocks.0.proj_mlp.weight",
    ),
    package="bria",
    pipelines={TXT2IMG: "BriaPipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
)

CHRONOEDIT = Family(
    name="chronoedit",
    like="wan",
    named=("chronoedit",),
    checkpoint_inputs=(36,),
    packs=False,
    label="ChronoEdit",
    package="chronoedit",
    pipelines={IMG2IMG: "ChronoEditPipeline"},
    multiple_of=16,
    default_size=832,
    default_height=480,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    singly=(IMG2IMG,),  # it sees one picture alone
    shows="dgen.engine.particular:of_chronoedit",
)

LATENT_CONSISTENCY = Family(
    name="latent-consistency",
    packs=False,
    label="Latent consistency models",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "time_embedding.cond_proj.weight",
    ),
    package="latent_consistency_models",
    pipelines={TXT2IMG: "LatentConsistencyModelPipeline", IMG2IMG: "LatentConsistencyModelImg2ImgPipeline"},
    as_signed=SIGNED,
    capabilities=UNET_CACHES,
    text_layers={"text_encoder": 0},
)

ROWS = (
    Z_IMAGE,
    Z_IMAGE_OMNI,
    PRX,
    CHROMA,
    LUMINA2,
    AURAFLOW,
    COGVIEW4,
    COGVIEW4_CONTROL,
    OMNIGEN,
    HIDREAM,
    BRIA,
    CHRONOEDIT,
    LATENT_CONSISTENCY,
)
