"""Rows of the Kandinsky models of pictures."""

from __future__ import annotations

from dgen.families.family import IMG2IMG, INPAINT, SIGNED, TXT2IMG, Family
from dgen.families.sizes import one_of

KANDINSKY22 = Family(
    name="kandinsky22",
    packs=False,
    label="Kandinsky 2.2",
    denoiser_keys=("conv_in.weight", "add_embedding.image_norm.weight"),
    package="kandinsky2_2",
    pipelines={
        TXT2IMG: "KandinskyV22CombinedPipeline",
        IMG2IMG: "KandinskyV22Img2ImgCombinedPipeline",
        INPAINT: "KandinskyV22InpaintCombinedPipeline",
    },
    also=("KandinskyV22Pipeline", "KandinskyV22Img2ImgPipeline", "KandinskyV22InpaintPipeline"),  # without a prior
    capabilities=("prior",),
    lender="kandinsky-community/kandinsky-2-2-prior",
    lenders=("KandinskyV22PriorPipeline", "KandinskyV22PriorEmb2EmbPipeline"),
    lent={
        "prior_prior": ("prior", "diffusers", "PriorTransformer"),
        "prior_image_encoder": ("image_encoder", "transformers", "CLIPVisionModelWithProjection"),
        "prior_text_encoder": ("text_encoder", "transformers", "CLIPTextModelWithProjection"),
        "prior_tokenizer": ("tokenizer", "transformers", "CLIPTokenizer"),
        "prior_scheduler": ("scheduler", "diffusers", "UnCLIPScheduler"),
        "prior_image_processor": ("image_processor", "transformers", "CLIPImageProcessor"),
    },
    singly=(TXT2IMG, IMG2IMG, INPAINT),  # with a negative prompt its prior wants other generators: diffusers 0.42
    denoiser_channels={TXT2IMG: (4,), IMG2IMG: (4,), INPAINT: (9,)},
    multiple_of=64,
    as_signed=SIGNED,
)

KANDINSKY3 = Family(
    name="kandinsky3",
    packs=False,
    label="Kandinsky 3",
    denoiser_keys=("conv_in.weight", "add_time_condition.attention."),
    package="kandinsky3",
    pipelines={TXT2IMG: "Kandinsky3Pipeline", IMG2IMG: "Kandinsky3Img2ImgPipeline"},
    repeats=(IMG2IMG,),
    multiple_of=64,
    default_size=1024,
    as_signed=SIGNED,
    lacks=("loras", "lora_fuse_scale"),  # its UNet takes none
)

_SIZES = ((1024, 1024), (640, 1408), (1408, 640), (768, 1280), (1280, 768), (896, 1152), (1152, 896))

KANDINSKY5 = Family(
    name="kandinsky5",
    sight="same",
    packs=False,
    label="Kandinsky 5 Image",
    denoiser_keys=("visual_transformer_blocks.", "text_transformer_blocks.", "pooled_text_embeddings."),
    package="kandinsky5",
    pipelines={TXT2IMG: "Kandinsky5T2IPipeline"},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    draws={TXT2IMG: one_of(_SIZES)},
    shows="dgen.engine.particular:of_kandinsky5",
)

KANDINSKY5_EDIT = Family(
    name="kandinsky5-edit",
    like="kandinsky5",
    sight="more",
    named=("i2i", "edit"),
    packs=False,
    label="Kandinsky 5 Image Editing",
    package="kandinsky5",
    pipelines={IMG2IMG: "Kandinsky5I2IPipeline"},
    singly=(IMG2IMG,),  # diffusers 0.42 wants the picture once for each, and reads it as often
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=SIGNED,
    draws={IMG2IMG: one_of(_SIZES)},
    shows="dgen.engine.particular:of_kandinsky5",
)

ROWS = (KANDINSKY22, KANDINSKY3, KANDINSKY5, KANDINSKY5_EDIT)
