"""GLM-Image for pictures: diffusers 0.42 wants what its planner sees as rows, and transformers 5 gives it as maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.pipelines.glm_image.pipeline_glm_image import GlmImagePipeline

from dgen.engine.adapters.layers import standing_in


def _as_rows(features: Callable[..., Any]) -> Callable[..., Any]:
    """Return features of pictures as (places, channels) for each, where they are (channels, h, w).

    The planner itself, which asks by keywords, is told them as they are.
    """

    def told(*given: Any, **named: Any) -> Any:
        made = features(*given, **named)
        if named:
            return made
        made.pooler_output = [each.flatten(1).transpose(0, 1) for each in made.pooler_output]
        return made

    return told


def _of_rows(tokens: Callable[..., Any]) -> Callable[..., Any]:
    """Take features of all pictures as rows, and give them on as (channels, h, w) for each."""

    def told(rows: Any, grids: Any) -> Any:
        sizes = [(height, width) for _, height, width in grids.tolist()]
        parts = rows.split([height * width for height, width in sizes])
        maps = [part.transpose(0, 1).unflatten(1, size) for part, size in zip(parts, sizes, strict=True)]
        return tokens(maps, grids)

    return told


class GlmImageSeeingPipeline(GlmImagePipeline):
    """Draws as a prompt says, from pictures that it looks at together."""

    def __call__(self, *args: Any, image: Any, **named: Any) -> Any:
        """Call the pipeline; one picture, or a list."""
        planner = self.vision_language_encoder
        pictures = image if isinstance(image, list) else [image]
        with (
            standing_in(planner, "get_image_features", _as_rows),
            standing_in(planner, "get_image_tokens", _of_rows),
        ):
            return super().__call__(*args, image=pictures, **named)
