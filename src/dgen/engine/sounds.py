"""Takes the sound out of what a pipeline made."""

from __future__ import annotations

from typing import Any

from dgen.engine.protocol import Waves

_LOUDEST = 32767


def sounds_of(pipeline: Any, made: Any) -> tuple[Waves, ...]:
    """Return the sound of each video of what a pipeline made, which says the rate, or its vocoder knows it.

    `made.audio` is (videos, channels, samples) of any precision in [-1, 1].
    """
    rate = int(getattr(made, "sampling_rate", None) or pipeline.vocoder.config.output_sampling_rate)
    rounded = (made.audio.float().cpu().clamp(-1, 1) * _LOUDEST).round().numpy().astype("<i2")
    return tuple(Waves(each.T.tobytes(), rate, len(each)) for each in rounded)
