"""Rows of the models that make videos."""

from __future__ import annotations

from functools import partial

from dgen.families.family import IMG2VID, TXT2VID, VID2VID, Family

_OF_PICTURES = ("batch_grid_size", "batch_jobs", "preview", "keep_audio")
_Video = partial(
    Family, capabilities=("video",), accelerated_dtype="bfloat16", lacks=_OF_PICTURES, multiple_of=16,
    keywords={"num_images_per_prompt": "num_videos_per_prompt"},
)  # fmt: skip

WAN = _Video(
    name="wan",
    label="Wan 2.1 and 2.2",
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
    defaults={"num_frames": 81, "fps": 16.0, "guidance_scale": 5.0},
)

LTX = _Video(
    name="ltx",
    label="LTX-Video",
    package="ltx",
    pipelines={
        TXT2VID: "LTXPipeline",
        IMG2VID: "LTXImageToVideoPipeline",
        VID2VID: "LTXConditionPipeline",
    },
    multiple_of=32,
    default_size=704,
    default_height=512,
    frame_group=8,
    frame_rest=1,
    continues=True,
    lacks=(*_OF_PICTURES, "strength"),
    defaults={"num_frames": 161, "fps": 25.0, "guidance_scale": 3.0},
)

COGVIDEOX = _Video(
    name="cogvideox",
    label="CogVideoX",
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
    defaults={"num_frames": 49, "fps": 8.0, "guidance_scale": 6.0},
)

ROWS = (WAN, LTX, COGVIDEOX)
