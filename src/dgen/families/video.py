"""Rows of the models that make videos."""

from __future__ import annotations

from functools import partial

from dgen.families.distilled import HELIOS_DISTILLED, LTX_DISTILLED
from dgen.families.family import CONTROLNET, IMG2VID, INPAINT, LAST_FRAME, SIGNED, TXT2VID, VID2VID, Family

OF_PICTURES = ("batch_grid_size", "batch_jobs", "preview", "keep_audio")
"""Options that concern pictures, or animations that are made of pictures."""

_PER_PROMPT = {"num_images_per_prompt": "num_videos_per_prompt"}
Video = partial(
    Family, capabilities=("video",), accelerated_dtype="bfloat16", lacks=OF_PICTURES, multiple_of=16,
    as_signed=SIGNED, keywords=_PER_PROMPT,
)  # fmt: skip
"""A row of a family that makes videos."""

WAN = Video(
    name="wan",
    label="Wan 2.1 and 2.2",
    denoiser_keys=("patch_embedding.weight", "condition_embedder.time_proj.weight", "blocks.0.attn1.norm_q.weight"),
    modular={
        **dict.fromkeys(("WanModularPipeline", "Wan22ModularPipeline"), "WanPipeline"),
        **dict.fromkeys(
            ("WanImage2VideoModularPipeline", "Wan22Image2VideoModularPipeline"), "WanImageToVideoPipeline"
        ),
    },
    checkpoint_keys=("head.modulation",),
    package="wan",
    pipelines={
        TXT2VID: "WanPipeline",
        IMG2VID: "WanImageToVideoPipeline",
        VID2VID: "WanVideoToVideoPipeline",
    },
    denoiser_channels={TXT2VID: (16, 48), IMG2VID: (36, 48), VID2VID: (16,)},
    default_size=832,
    default_height=480,
    frame_group=4,
    frame_rest=1,
    ends="last_image",
    ends_seen=("image_dim", "pos_embed_seq_len"),
    wants=("image_encoder", "image_processor"),
    defaults={"num_frames": 81, "fps": 16.0},
)

WAN_VACE = Video(
    name="wan-vace",
    label="Wan VACE",
    denoiser_keys=(
        "patch_embedding.weight",
        "condition_embedder.time_proj.weight",
        "blocks.0.attn1.norm_q.weight",
        "vace_blocks.",
    ),
    modular={"Wan22VaceModularPipeline": "WanVACEPipeline"},
    checkpoint_keys=("head.modulation", "vace_blocks.0.after_proj.bias"),
    package="wan",
    pipelines=dict.fromkeys((TXT2VID, IMG2VID, VID2VID, INPAINT), "WanVACEPipeline"),
    default_size=832,
    default_height=480,
    frame_group=4,
    frame_rest=1,
    fills=True,
    references="reference_images",
    ends="video",
    defaults={"num_frames": 81, "fps": 16.0},
)

LTX = Video(
    name="ltx",
    distilled=(LTX_DISTILLED,),
    label="LTX-Video",
    denoiser_keys=(
        "proj_in.weight",
        "caption_projection.",
        "time_embed.emb.timestep_embedder.linear_1.weight",
        "scale_shift_table",
    ),
    modular={"LTXModularPipeline": "LTXPipeline"},
    checkpoint_keys=("patchify_proj.weight",),
    package="ltx",
    pipelines={
        TXT2VID: "LTXPipeline",
        IMG2VID: "LTXImageToVideoPipeline",
        VID2VID: "LTXConditionPipeline",
    },
    variants={LAST_FRAME: {IMG2VID: "LTXConditionPipeline"}},
    multiple_of=32,
    default_size=704,
    default_height=512,
    frame_group=8,
    frame_rest=1,
    continues=True,
    ends="conditions",
    told="dgen.engine.conditions:of_ltx",
    untold="use_dynamic_shifting",
    lacks=(*OF_PICTURES, "strength"),
    defaults={"num_frames": 161, "fps": 25.0},
)

LTX2 = Video(
    name="ltx2",
    distilled=(LTX_DISTILLED,),
    denoiser_keys=(
        "proj_in.weight",
        "audio_proj_in.weight",
        "time_embed.emb.timestep_embedder.linear_1.weight",
        "scale_shift_table",
        "audio_scale_shift_table",
    ),
    label="LTX-2",
    modular={"LTX2ModularPipeline": "LTX2Pipeline"},
    checkpoint_keys=("patchify_proj.weight", "audio_patchify_proj.weight"),
    package="ltx2",
    pipelines={
        TXT2VID: "LTX2Pipeline",
        IMG2VID: "LTX2ImageToVideoPipeline",
        VID2VID: "LTX2ConditionPipeline",
    },
    variants={LAST_FRAME: {IMG2VID: "LTX2ConditionPipeline"}},
    multiple_of=32,
    default_size=768,
    default_height=512,
    frame_group=8,
    frame_rest=1,
    continues=True,
    ends="conditions",
    told="dgen.engine.conditions:of_ltx2",
    sounds=True,
    packages={IMG2VID: "av"},
    defaults={"num_frames": 121, "fps": 24.0},
)

_Helios = partial(
    Video,
    package="helios",
    default_size=640,
    default_height=384,
    lacks=(*OF_PICTURES, "num_images_per_prompt"),  # what it starts from takes one generator
    parted=True,
    continues=True,
    prepares="dgen.engine.particular:in_helios",
    defaults={"num_frames": 129, "fps": 24.0},
)

HELIOS = _Helios(
    name="helios",
    label="Helios",
    denoiser_keys=("patch_short.weight", "patch_mid.weight", "patch_long.weight", "blocks.0.attn1.norm_q.weight"),
    pipelines=dict.fromkeys((TXT2VID, IMG2VID, VID2VID), "HeliosPipeline"),
    modular={"HeliosModularPipeline": "HeliosPipeline"},
)
HELIOS_PYRAMID = _Helios(
    name="helios-pyramid",
    like="helios",
    named=("pyramid", "helios-distilled"),
    label="Helios Pyramid",
    distilled=(HELIOS_DISTILLED,),
    pipelines=dict.fromkeys((TXT2VID, IMG2VID, VID2VID), "HeliosPyramidPipeline"),
    modular=dict.fromkeys(
        ("HeliosPyramidModularPipeline", "HeliosPyramidDistilledModularPipeline"), "HeliosPyramidPipeline"
    ),
    modular_says={
        "HeliosPyramidModularPipeline": {"is_cfg_zero_star": True},
        "HeliosPyramidDistilledModularPipeline": {"is_distilled": True},
    },
)

COGVIDEOX = Video(
    name="cogvideox",
    label="CogVideoX",
    checkpoint_keys=("mixins.patch_embed.proj.weight", "transformer.layers.0.attention.query_key_value.weight"),
    denoiser_keys=(
        "patch_embed.proj.weight",
        "patch_embed.text_proj.weight",
        "norm_final.weight",
        "time_embedding.linear_1.weight",
    ),
    package="cogvideo",
    pipelines={
        TXT2VID: "CogVideoXPipeline",
        IMG2VID: "CogVideoXImageToVideoPipeline",
        VID2VID: "CogVideoXVideoToVideoPipeline",
    },
    denoiser_channels={TXT2VID: (16,), IMG2VID: (32,), VID2VID: (16,)},
    default_size=720,
    default_height=480,
    frame_group=4,
    frame_rest=1,
    defaults={"num_frames": 49, "fps": 8.0},
)

SVD = Video(
    name="svd",
    label="Stable Video Diffusion",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "add_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "mid_block.attentions.0.temporal_transformer_blocks.",
    ),
    package="stable_video_diffusion",
    pipelines={IMG2VID: "StableVideoDiffusionPipeline"},
    multiple_of=64,
    default_size=1024,
    default_height=576,
    accelerated_dtype="float16",
    keywords={**_PER_PROMPT, "guidance_scale": "max_guidance_scale"},
    defaults={"num_frames": 25, "fps": 7.0},
)

HUNYUAN_VIDEO = Video(
    name="hunyuan-video",
    sight="same",
    denoiser_keys=("context_embedder.token_refiner.", "x_embedder.proj.weight", "time_text_embed.text_embedder."),
    label="HunyuanVideo",
    checkpoint_keys=("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",),
    package="hunyuan_video",
    pipelines={TXT2VID: "HunyuanVideoPipeline"},
    default_size=1280,
    default_height=720,
    frame_group=4,
    frame_rest=1,
    defaults={"num_frames": 129, "fps": 24.0},
)

HUNYUAN_VIDEO_I2V = Video(
    name="hunyuan-video-i2v",
    like="hunyuan-video",
    named=("i2v", "image-to-video"),
    label="HunyuanVideo I2V",
    package="hunyuan_video",
    pipelines={IMG2VID: "HunyuanVideoImageToVideoPipeline"},
    default_size=1280,
    default_height=720,
    frame_group=4,
    frame_rest=1,
    prepares="dgen.engine.particular:in_hunyuan_video",
    defaults={"num_frames": 129, "fps": 24.0},
)

_HunyuanVideo15 = partial(
    Video, package="hunyuan_video1_5", default_size=848, default_height=480, frame_group=4, frame_rest=1,
    adds=("guidance_scale",), as_signed=("num_inference_steps",),
    prepares="dgen.engine.particular:in_hunyuan_video_15",
    defaults={"num_frames": 121, "fps": 24.0, "guidance_scale": None},  # the model's own guider knows
    made={"guider": ("ClassifierFreeGuidance", {"guidance_scale": 7.5})},
)  # fmt: skip

HUNYUAN_VIDEO_15 = _HunyuanVideo15(
    name="hunyuan-video-1.5",
    label="HunyuanVideo 1.5",
    pipelines={TXT2VID: "HunyuanVideo15Pipeline"},
    modular={"HunyuanVideo15ModularPipeline": "HunyuanVideo15Pipeline"},
    modular_settings={"task_type": "t2v"},
    checkpoint_keys=("txt_in.individual_token_refiner.", "byt5_in.", "vision_in."),
    denoiser_keys=(
        "context_embedder.token_refiner.",
        "context_embedder_2.",
        "cond_type_embed.weight",
        "x_embedder.proj.weight",
        "image_embedder.norm_in.weight",
    ),
)
HUNYUAN_VIDEO_15_I2V = _HunyuanVideo15(
    name="hunyuan-video-1.5-i2v",
    like="hunyuan-video-1.5",
    named=("i2v",),
    label="HunyuanVideo 1.5 I2V",
    pipelines={IMG2VID: "HunyuanVideo15ImageToVideoPipeline"},
    modular={"HunyuanVideo15ModularPipeline": "HunyuanVideo15ImageToVideoPipeline"},
    modular_settings={"task_type": "i2v"},
)

MOCHI = Video(
    name="mochi",
    label="Mochi 1",
    denoiser_keys=("pos_frequencies", "time_embed.pooler."),
    checkpoint_keys=("blocks.0.attn.qkv_x.weight",),
    package="mochi",
    pipelines={TXT2VID: "MochiPipeline"},
    default_size=848,
    default_height=480,
    frame_group=6,
    frame_rest=1,
    defaults={"num_frames": 19, "fps": 30.0},
)

ALLEGRO = Video(
    name="allegro",
    denoiser_keys=(
        "pos_embed.proj.weight",
        "adaln_single.emb.timestep_embedder.",
        "caption_projection.",
        "transformer_blocks.0.attn2.to_k.weight",
    ),
    sight="same",
    label="Allegro",
    package="allegro",
    pipelines={TXT2VID: "AllegroPipeline"},
    default_size=1280,
    default_height=720,
    frame_group=16,
    frame_rest=8,
    frame_least=24,
    group_frames=4,
    tiles=True,
    one_size=True,
    call={"clean_caption": False},
    defaults={"num_frames": 88, "fps": 15.0},
)

_OF_UNETS = ("deep_cache", "deep_cache_interval", "deep_cache_branch_id", "quantizer", "quantizer_map")

ANIMATEDIFF = Video(
    name="animatediff",
    label="AnimateDiff",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "down_blocks.0.motion_modules.",
    ),
    package="animatediff",
    pipelines={TXT2VID: "AnimateDiffPipeline", VID2VID: "AnimateDiffVideoToVideoPipeline"},
    variants={
        CONTROLNET: {
            TXT2VID: "AnimateDiffControlNetPipeline",
            VID2VID: "AnimateDiffVideoToVideoControlNetPipeline",
        },
    },
    multiple_of=8,
    default_size=512,
    accelerated_dtype="float16",
    built_on=("sd",),
    joins={"motion_adapter": "unet"},
    lacks=(*OF_PICTURES, *_OF_UNETS),
    defaults={"num_frames": 16, "fps": 8.0},
)

ANIMATEDIFF_SDXL = Video(
    name="animatediff-sdxl",
    label="AnimateDiff for SDXL",
    denoiser_keys=(
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
        "down_blocks.0.motion_modules.",
        "add_embedding.linear_1.weight",
    ),
    package="animatediff",
    pipelines={TXT2VID: "AnimateDiffSDXLPipeline"},
    multiple_of=8,
    default_size=1024,
    accelerated_dtype="float16",
    built_on=("sdxl",),
    joins={"motion_adapter": "unet"},
    lacks=(*OF_PICTURES, *_OF_UNETS),
    defaults={"num_frames": 16, "fps": 8.0},
)

SKYREELS_V2 = Video(
    name="skyreels-v2",
    like="wan",
    named=("skyreels",),
    label="SkyReels V2",
    package="skyreels_v2",
    pipelines={TXT2VID: "SkyReelsV2Pipeline", IMG2VID: "SkyReelsV2ImageToVideoPipeline"},
    denoiser_channels={TXT2VID: (16,), IMG2VID: (36,)},
    default_size=960,
    default_height=544,
    frame_group=4,
    frame_rest=1,
    ends="last_image",
    ends_seen=("image_dim", "pos_embed_seq_len"),
    defaults={"num_frames": 97, "fps": 24.0},
)

SKYREELS_V2_DF = Video(
    name="skyreels-v2-df",
    like="wan",
    named=("skyreels-v2-df",),
    label="SkyReels V2, diffusion forcing",
    package="skyreels_v2",
    pipelines={
        TXT2VID: "SkyReelsV2ForcingPipeline",
        IMG2VID: "SkyReelsV2ForcingImageToVideoPipeline",
        VID2VID: "SkyReelsV2ForcingVideoToVideoPipeline",
    },
    also=(
        "SkyReelsV2DiffusionForcingPipeline",
        "SkyReelsV2DiffusionForcingImageToVideoPipeline",
        "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
    ),
    default_size=960,
    default_height=544,
    frame_group=4,
    frame_rest=1,
    continues=True,
    ends="last_image",
    defaults={"num_frames": 97, "fps": 24.0},
)

_Kandinsky5Video = partial(
    Video, package="kandinsky5", default_size=768, default_height=512, frame_group=4, frame_rest=1,
    defaults={"num_frames": 121, "fps": 24.0},
)  # fmt: skip

KANDINSKY5_VIDEO = _Kandinsky5Video(
    name="kandinsky5-video",
    label="Kandinsky 5 Video",
    pipelines={TXT2VID: "Kandinsky5T2VPipeline"},
    like="kandinsky5",
    sight="more",
)
KANDINSKY5_VIDEO_I2V = _Kandinsky5Video(
    name="kandinsky5-video-i2v",
    label="Kandinsky 5 Video I2V",
    pipelines={IMG2VID: "Kandinsky5I2VPipeline"},
    like="kandinsky5",
    sight="more",
    named=("i2v",),
)

SANA_VIDEO = Video(
    name="sana-video",
    denoiser_keys=(
        "caption_norm.weight",
        "transformer_blocks.0.ff.conv_depth.weight",
        "transformer_blocks.0.ff.conv_temp.weight",
    ),
    label="Sana Video",
    package="sana_video",
    pipelines={TXT2VID: "SanaVideoPipeline", IMG2VID: "SanaImageToVideoPipeline"},
    multiple_of=32,
    default_size=832,
    default_height=480,
    has_own_cells=True,
    frame_group=4,
    frame_rest=1,
    keywords={**_PER_PROMPT, "num_frames": "frames"},
    call={"use_resolution_binning": False, "clean_caption": False},
    defaults={"num_frames": 81, "fps": 16.0},
)

ROWS = (
    WAN,
    WAN_VACE,
    LTX,
    LTX2,
    HELIOS,
    HELIOS_PYRAMID,
    COGVIDEOX,
    SVD,
    HUNYUAN_VIDEO,
    HUNYUAN_VIDEO_I2V,
    HUNYUAN_VIDEO_15,
    HUNYUAN_VIDEO_15_I2V,
    MOCHI,
    ALLEGRO,
    SKYREELS_V2,
    SKYREELS_V2_DF,
    KANDINSKY5_VIDEO,
    KANDINSKY5_VIDEO_I2V,
    SANA_VIDEO,
    ANIMATEDIFF,
    ANIMATEDIFF_SDXL,
)
