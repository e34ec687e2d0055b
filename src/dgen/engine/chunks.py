"""Takes the frames of a video out of its VAE while that decodes it, so that they never are in memory together."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from dgen.engine.frames import Spool

IN_CHUNKS = ("AutoencoderKLWan", "AutoencoderKLCogVideoX")
"""VAEs that decode a video some frames at a time, each time through one call of their decoder."""


@contextmanager
def taken_from(vae: Any) -> Generator[list[Spool]]:
    """Take the frames of what a VAE decodes inside the block: a spool for each video.

    In their place the pipeline gets one pixel of each frame. From a VAE that decodes a video as a whole nothing is
    taken, and neither from one that works in tiles.
    """
    films: list[Spool] = []
    if type(vae).__name__ not in IN_CHUNKS or vae.use_tiling:
        yield films
        return
    decode, now = vae._decode, list[Spool]()

    def begin(latents: Any, *rest: Any, **named: Any) -> Any:
        now[:] = [Spool() for _ in range(len(latents))]
        films.extend(now)
        return decode(latents, *rest, **named)

    def take(decoder: Any, given: Any, made: Any) -> Any:
        chunk = made[0] if isinstance(made, tuple) else made
        for film, frames in zip(now, _shown(vae, chunk), strict=True):
            film.add(frames)
        pixel = chunk[..., :1, :1].clone()  # no view, which would keep all others
        return (pixel, *made[1:]) if isinstance(made, tuple) else pixel

    vae._decode, hook = begin, vae.decoder.register_forward_hook(take)
    try:
        yield films
    finally:
        hook.remove()
        del vae._decode


def _shown(vae: Any, chunk: Any) -> Any:
    """Return frames as pipelines show them: (videos, n, 3, h, w) in [0, 1] for (videos, c, n, h, w) in [-1, 1]."""
    if getattr(vae.config, "patch_size", None) is not None:
        from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

        chunk = unpatchify(chunk, patch_size=vae.config.patch_size)
    return (chunk.permute(0, 2, 1, 3, 4) * 0.5 + 0.5).clamp(0, 1)
