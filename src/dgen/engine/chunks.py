"""Takes the frames of a video out of its VAE while that decodes it, so that they never are in memory together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from dgen.engine.frames import Spool

Take = Callable[[Any], Any]
"""Gets what a decoder made, (videos, c, n, h, w) in [-1, 1], and returns the frames that are ready, as that."""

Way = Callable[[Any, Any], AbstractContextManager[Take]]
"""Gets a VAE and the latents that it decodes inside the block, (videos, c, n, h, w)."""


@contextmanager
def _as_it_is(vae: Any, latents: Any) -> Generator[Take]:
    yield lambda chunk: chunk


@contextmanager
def _blended(vae: Any, latents: Any) -> Generator[Take]:
    """Blend parts that overlap as the VAE of HunyuanVideo does: frames are ready when the next part begins later."""
    ratio, stride = vae.temporal_compression_ratio, vae.tile_sample_stride_num_frames
    overlap = vae.tile_sample_min_num_frames - stride
    left = (latents.shape[2] - 1) * ratio + 1
    is_whole = not vae.use_framewise_decoding or latents.shape[2] <= vae.tile_sample_min_num_frames // ratio
    before: Any = None

    def take(chunk: Any) -> Any:
        nonlocal before, left
        ready = left if is_whole else min(left, stride + (before is None))
        before = chunk if before is None else vae.blend_t(before, chunk[:, :, 1:], overlap)
        left -= ready
        return before[:, :, :ready]

    yield take


@contextmanager
def _remembered(vae: Any, latents: Any) -> Generator[Take]:
    """Let the causal convolutions of Mochi's decoder see the end of the part before, which diffusers 0.42 forgets.

    Frames that it makes before the first one are left out.
    """
    left = vae.temporal_compression_ratio - 1 if vae.drop_last_temporal_frames else 0
    was_framewise = vae.use_framewise_decoding

    def take(chunk: Any) -> Any:
        nonlocal left
        skipped = min(left, chunk.shape[2])
        left -= skipped
        return chunk[:, :, skipped:]

    with ExitStack() as stack:
        for module in vae.decoder.modules():
            if getattr(module, "pad_mode", None) == "replicate":
                memory = _Memory(module.time_pad)
                stack.callback(module.register_forward_pre_hook(memory.before).remove)
                stack.callback(module.register_forward_hook(memory.after).remove)
        vae.use_framewise_decoding = True
        try:
            yield take
        finally:
            vae.use_framewise_decoding = was_framewise


class _Memory:
    """What a causal convolution has seen last, which goes before what it is shown next."""

    def __init__(self, frames: int) -> None:
        self._frames, self._past, self._had = frames, None, False

    def before(self, convolution: Any, given: Any) -> Any:
        """Show what was seen last again."""
        import torch

        self._had = self._past is not None
        shown: Any = torch.cat([self._past, given[0]], dim=2) if self._past is not None else given[0]
        self._past = shown[:, :, -self._frames :].clone()
        return (shown, *given[1:])

    def after(self, convolution: Any, given: Any, made: Any) -> Any:
        """Leave out what became of it."""
        return (made[0][:, :, self._frames :], *made[1:]) if self._had else made


IN_CHUNKS: Mapping[str, Way] = {
    "AutoencoderKLWan": _as_it_is,
    "AutoencoderKLCogVideoX": _as_it_is,
    "AutoencoderKLMochi": _remembered,
    "AutoencoderKLHunyuanVideo": _blended,
}
"""VAEs that decode a video some frames at a time, each time through one call of their decoder.

The others stay whole, as none of them decodes in parts to the same pixels. Those of LTX and LTX-2 look ahead: more than
ten latent frames each way go into a frame, and diffusers only blends parts that know less. The one of HunyuanVideo 1.5
looks back at all latent frames before, and keeps nothing of them from call to call. The one of Allegro decodes tiles
that overlap, and lays them together when it has all."""

OF_PICTURES = ("AutoencoderKL", "AutoencoderKLTemporalDecoder")
"""VAEs to which the pipelines of AnimateDiff and of Stable Video Diffusion give some frames at a time, as pictures.

AnimateDiff's frames know nothing of one another, so 16 at a time are those of all at once; with SDXL they come at once,
or one by one with `--vae-slicing`. Those of Stable Video Diffusion know of one another: all are decoded at once, unless
`--call decode_chunk_size=8` says otherwise."""


@contextmanager
def taken_from(vae: Any, videos: int = 1) -> Generator[list[Spool]]:
    """Take the frames of what a VAE decodes inside the block: a spool for each of so many videos.

    In their place the pipeline gets one pixel of each frame. From a VAE that decodes a video as a whole nothing is
    taken, and neither from one that works in tiles.
    """
    kind, films = type(vae).__name__, list[Spool]()
    with ExitStack() as stack:
        if getattr(vae, "use_tiling", False):
            pass
        elif kind in IN_CHUNKS:
            stack.enter_context(_of_videos(vae, IN_CHUNKS[kind], films))
        elif kind in OF_PICTURES and videos == 1:
            stack.enter_context(_of_pictures(vae, films))
        yield films


@contextmanager
def _of_videos(vae: Any, way: Way, films: list[Spool]) -> Generator[None]:
    decode, now, taking = vae._decode, list[Spool](), list[Take]()

    def begin(latents: Any, *rest: Any, **named: Any) -> Any:
        now[:] = [Spool() for _ in range(len(latents))]
        films.extend(now)
        with way(vae, latents) as ready:
            taking[:] = [ready]
            return decode(latents, *rest, **named)

    def take(decoder: Any, given: Any, made: Any) -> Any:
        chunk = made[0] if isinstance(made, tuple) else made
        for film, frames in zip(now, _shown(vae, taking[0](chunk)), strict=True):
            film.add(frames)
        pixel = chunk[..., :1, :1].clone()  # no view, which would keep all others
        return (pixel, *made[1:]) if isinstance(made, tuple) else pixel

    vae._decode, hook = begin, vae.decoder.register_forward_hook(take)
    try:
        yield
    finally:
        hook.remove()
        del vae._decode


@contextmanager
def _of_pictures(vae: Any, films: list[Spool]) -> Generator[None]:
    def take(decoder: Any, given: Any, made: Any) -> Any:
        films[:] = films or [Spool()]
        films[0].add((made.float() * 0.5 + 0.5).clamp(0, 1))
        return made[..., :1, :1].clone()

    hook = vae.decoder.register_forward_hook(take)
    try:
        yield
    finally:
        hook.remove()


def _shown(vae: Any, chunk: Any) -> Any:
    """Return frames as pipelines show them: (videos, n, 3, h, w) in [0, 1] for (videos, c, n, h, w) in [-1, 1]."""
    if getattr(vae.config, "patch_size", None) is not None:
        from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

        chunk = unpatchify(chunk, patch_size=vae.config.patch_size)
    return (chunk.permute(0, 2, 1, 3, 4) * 0.5 + 0.5).clamp(0, 1)
