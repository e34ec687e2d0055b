"""SkyReels V2 with diffusion forcing: long videos by themselves, and videos that go on where their source ends.

Chen et al. (2025), "SkyReels-V2: Infinite-length Film Generative Model"; Chen et al. (2024), "Diffusion Forcing:
Next-token Prediction Meets Full-Sequence Diffusion".
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.pipelines.skyreels_v2.pipeline_output import SkyReelsV2PipelineOutput
from diffusers.pipelines.skyreels_v2.pipeline_skyreels_v2_diffusion_forcing import SkyReelsV2DiffusionForcingPipeline
from diffusers.pipelines.skyreels_v2.pipeline_skyreels_v2_diffusion_forcing_i2v import (
    SkyReelsV2DiffusionForcingImageToVideoPipeline,
)
from diffusers.pipelines.skyreels_v2.pipeline_skyreels_v2_diffusion_forcing_v2v import (
    SkyReelsV2DiffusionForcingVideoToVideoPipeline,
)

_OVERLAP = 17
"""The frames that a part of a long video shares with the one before: the fewer of the two numbers recommended."""


@contextmanager
def _unchanged(transformer: Any) -> Generator[None]:
    """Let a transformer keep its settings: a call that says how many frames make a block writes that into them."""
    before = transformer._internal_dict
    try:
        yield
    finally:
        transformer._internal_dict = before


class SkyReelsV2ForcingPipeline(SkyReelsV2DiffusionForcingPipeline):
    """Makes videos from text; those of more than `base_num_frames` frames in parts that overlap."""

    def __call__(
        self, *args: Any, num_frames: int = 97, base_num_frames: int = 97, overlap_history: int | None = None,
        **named: Any,
    ) -> Any:  # fmt: skip
        """Call the pipeline."""
        overlap = overlap_history or (_OVERLAP if num_frames > base_num_frames else None)
        with _unchanged(self.transformer):
            return super().__call__(
                *args, num_frames=num_frames, base_num_frames=base_num_frames, overlap_history=overlap, **named
            )


class SkyReelsV2ForcingImageToVideoPipeline(SkyReelsV2DiffusionForcingImageToVideoPipeline):
    """Makes videos that start from a picture; those that end with one as well are made in one part."""

    def __call__(
        self, *args: Any, num_frames: int = 97, base_num_frames: int = 97, overlap_history: int | None = None,
        last_image: Any = None, **named: Any,
    ) -> Any:  # fmt: skip
        """Call the pipeline: diffusers 0.42 makes the end of a video of several parts too short."""
        base = base_num_frames if last_image is None else max(base_num_frames, num_frames)
        overlap = overlap_history or (_OVERLAP if num_frames > base else None)
        said = {"num_frames": num_frames, "base_num_frames": base, "overlap_history": overlap}
        with _unchanged(self.transformer):
            return super().__call__(*args, last_image=last_image, **said, **named)


class SkyReelsV2ForcingVideoToVideoPipeline(SkyReelsV2DiffusionForcingVideoToVideoPipeline):
    """Makes videos of which the first frames, at most `overlap_history`, are those that a source ends with."""

    def __call__(
        self, video: Any, *args: Any, num_frames: int = 97, base_num_frames: int = 97,
        overlap_history: int = _OVERLAP, output_type: str = "np", **named: Any,
    ) -> Any:  # fmt: skip
        """Call the pipeline, and decode what it makes: by itself it gives the source before it, frame for frame."""
        base = min(base_num_frames, num_frames)
        known = min(overlap_history, len(video), base - self.vae_scale_factor_temporal)
        said = {"num_frames": num_frames, "base_num_frames": base, "overlap_history": known}
        with _unchanged(self.transformer):
            (latents,) = super().__call__(
                video, *args, **said, **named, output_type="latent", return_dict=False
            )  # fmt: skip
        config, latents = self.vae.config, latents.to(self.vae.dtype)
        mean, deviation = (
            torch.tensor(each).view(1, -1, 1, 1, 1).to(latents) for each in (config.latents_mean, config.latents_std)
        )
        frames = self.vae.decode(latents * deviation + mean, return_dict=False)[0]
        shown: Any = self.video_processor.postprocess_video(frames, output_type=output_type)
        return SkyReelsV2PipelineOutput(frames=shown)
