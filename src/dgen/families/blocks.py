"""Rows of the models that diffusers has blocks for, and no ordinary pipeline."""

from __future__ import annotations

from functools import partial

from dgen.families.family import IMG2IMG, IMG2VID, TXT2IMG, TXT2VID, VID2VID, Family
from dgen.families.video import OF_PICTURES, Video

ANIMA = Family(
    name="anima",
    checkpoint_keys=("x_embedder.proj.1.weight", "blocks.0.self_attn.q_proj.weight"),
    denoiser_keys=("patch_embed.proj.weight", "time_embed.t_embedder.linear_1.weight", "time_embed.norm.weight"),
    packs=False,
    label="Anima",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "AnimaModularPipeline"),
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
    as_signed=("strength",),
    defaults={"num_inference_steps": 50, "guidance_scale": 4.0},
)

_Flux3 = partial(
    Family,
    gathers=True,
    packs=False,
    made={"scheduler": ("FlowMatchEulerDiscreteScheduler", {"shift": 6.93})},
    multiple_of=16,
    default_size=1024,
    accelerated_dtype="bfloat16",
)

FLUX3 = _Flux3(
    name="flux3",
    checkpoint_keys=("early_stream_modulations.image.lin.weight",),
    denoiser_keys=("early_stream_modulations.image.linear.weight", "x_embedders.image.weight"),
    label="FLUX.3",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "Flux3ModularPipeline"),
    defaults={"num_inference_steps": 50, "guidance_scale": 3.5},
)

FLUX3_DISTILLED = _Flux3(
    name="flux3-distilled",
    checkpoint_keys=("early_stream_modulations.image.lin.weight", "ref_time_in.in_layer.weight"),
    denoiser_keys=(
        "early_stream_modulations.image.linear.weight",
        "x_embedders.image.weight",
        "target_timestep_embedder.",
    ),
    label="FLUX.3, distilled",
    pipelines=dict.fromkeys((TXT2IMG, IMG2IMG), "Flux3DistilledModularPipeline"),
    defaults={"num_inference_steps": 16},
)

ECHO = Video(
    name="echo",
    like="ltx2",
    named=("echo",),
    label="Echo",
    pipelines=dict.fromkeys((TXT2VID, IMG2VID), "EchoModularPipeline"),
    packs=False,
    multiple_of=32,
    default_size=704,
    default_height=512,
    frame_group=8,
    frame_rest=1,
    references="memory_images",
    sounds=True,
    defaults={"num_frames": 241, "fps": 25.0},
)

_WanAnimate2 = partial(
    Video,
    packs=False,
    default_size=640,
    default_height=800,
    frame_least=3,
    follows="driving_video",
    lacks=(*OF_PICTURES, "loras", "lora_fuse_scale"),  # diffusers 0.42 asks its transformer for an `image_dim` first
    as_signed=("num_inference_steps",),
    prepares="dgen.engine.particular:in_wan_animate",
)

WAN_ANIMATE_2 = _WanAnimate2(
    name="wan-animate-2",
    checkpoint_keys=("head.modulation", "blocks.0.block.self_attn.q.weight"),
    denoiser_keys=("head.modulation", "blocks.0.self_attn.to_q.weight"),
    label="Wan-Animate 2",
    pipelines={IMG2VID: "WanAnimate2ModularPipeline"},
    defaults={"num_frames": 81, "fps": 24.0, "guidance_scale": 3.0},
)

WAN_ANIMATE_2_DISTILLED = _WanAnimate2(
    name="wan-animate-2-distilled",
    like="wan-animate-2",
    named=("distilled", "distill"),
    label="Wan-Animate 2, distilled",
    pipelines={IMG2VID: "WanAnimate2DistilledModularPipeline"},
    defaults={"num_frames": 81, "fps": 24.0, "guidance_scale": 1.0},
)

MINIMAX_H3 = Video(
    name="minimax-h3",
    label="MiniMax-H3",
    denoiser_keys=("audio_proj_in.weight", "token_refiner.", "proj_in.weight"),
    pipelines=dict.fromkeys((TXT2VID, IMG2VID), "MiniMaxH3ModularPipeline"),
    packs=False,
    multiple_of=32,
    default_size=1344,
    default_height=768,
    frame_group=17,
    frame_rest=5,
    frame_least=124,
    frame_most=345,
    rate=24.0,
    tiles=True,
    ends="last_image",
    references="references",
    most_references=9,
    referring={"transformer_ref": "transformer"},
    sounds=True,
    as_signed=(),
    prepares="dgen.engine.particular:in_minimax",
    defaults={"num_frames": 124, "fps": 24.0, "num_inference_steps": 50},
)

LTX25 = Video(
    name="ltx2.5",
    like="ltx2",
    named=("ltx-2-5", "ltx2-5"),
    label="LTX-2.5",
    pipelines=dict.fromkeys((TXT2VID, IMG2VID, VID2VID), "LTX25ModularPipeline"),
    packs=False,
    multiple_of=32,
    default_size=768,
    default_height=512,
    frame_group=8,
    frame_rest=1,
    continues=True,
    ends="conditions",
    told="dgen.engine.conditions:of_ltx25",
    sounds=True,
    packages={IMG2VID: "av"},
    as_signed=(),
    defaults={"num_frames": 121, "fps": 24.0, "num_inference_steps": 30, "guidance_scale": 3.0},
)

ROWS = (ANIMA, FLUX3, FLUX3_DISTILLED, ECHO, WAN_ANIMATE_2, WAN_ANIMATE_2_DISTILLED, MINIMAX_H3, LTX25)
