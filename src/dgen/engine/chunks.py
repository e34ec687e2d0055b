"""Takes the frames of a video out of its VAE while that decodes it, so that they never are in memory together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from dgen.engine.adapters.layers import standing_in
from dgen.engine.causal import remembering_hunyuan_15, remembering_mochi
from dgen.engine.frames import Spool

Take = Callable[[Any], Any]
"""Gets what a decoder made, (videos, c, n, h, w) in [-1, 1], and returns the frames that are ready, as that."""

Way = Callable[[Any, Any], AbstractContextManager[Take]]
"""Gets a VAE and the latents that it decodes inside the block, (videos, c, n, h, w)."""


@contextmanager
def _as_it_is(vae: Any, latents: Any) -> Generator[Take]:
    yield lambda chunk: chunk


@contextmanager
def _blended(vae: Any, latents: Any, used: slice = slice(1, None)) -> Generator[Take]:
    """Blend parts that overlap as the VAE of HunyuanVideo does: frames are ready when the next part begins later.

    `used` are the frames of a part after the first that have a place in the video.
    """
    ratio, stride = vae.temporal_compression_ratio, vae.tile_sample_stride_num_frames
    overlap = vae.tile_sample_min_num_frames - stride
    left = (latents.shape[2] - 1) * ratio + 1
    is_whole = not vae.use_framewise_decoding or latents.shape[2] <= vae.tile_sample_min_num_frames // ratio
    before: Any = None

    def take(chunk: Any) -> Any:
        nonlocal before, left
        ready = left if is_whole else min(left, stride + (before is None))
        before = chunk if before is None else vae.blend_t(before, chunk[:, :, used], overlap)
        frames = before[:, :, :ready]
        left -= frames.shape[2]
        return frames

    yield take


@contextmanager
def _laid(vae: Any, latents: Any) -> Generator[Take]:
    """Let the VAEs of LTX-Video and LTX-2 decode 81 frames at a time, of which 24 are blended with those before.

    The numbers are those that diffusers has for the other decoder of LTX-2: from 16, its own for these, much is missing
    of what a frame depends on.
    """
    wanted = {"use_framewise_decoding": True, "tile_sample_min_num_frames": 80, "tile_sample_stride_num_frames": 56}
    with _set(vae, wanted), _blended(vae, latents, slice(None, -1)) as take:
        yield take


@contextmanager
def _remembered(vae: Any, latents: Any) -> Generator[Take]:
    """Let Mochi's decoder work in parts, and see the end of the part before; leave out frames before the first one."""
    left = vae.temporal_compression_ratio - 1 if vae.drop_last_temporal_frames else 0

    def take(chunk: Any) -> Any:
        nonlocal left
        skipped = min(left, chunk.shape[2])
        left -= skipped
        return chunk[:, :, skipped:]

    with remembering_mochi(vae.decoder), _set(vae, {"use_framewise_decoding": True}):
        yield take


@contextmanager
def _stepwise(vae: Any, latents: Any) -> Generator[Take]:
    """Let the decoder of HunyuanVideo 1.5 work in parts, where there are more than one, and remember."""
    if latents.shape[2] <= _AT_ONCE:
        yield lambda chunk: chunk
        return
    with remembering_hunyuan_15(vae.decoder):
        yield lambda chunk: chunk


@contextmanager
def _faded(vae: Any, latents: Any) -> Generator[Take]:
    """Fade from part to part, with the weights by which Allegro's VAE lays its tiles together when it has them all."""
    import torch

    stride, count = vae.stride[0], len(_starts(vae, latents))
    overlap, number, before = vae.kernel[0] - stride, 0, None

    def take(chunk: Any) -> Any:
        nonlocal before, number
        frames = chunk.transpose(1, 2).clone()
        if before is not None:
            weights = (torch.arange(overlap, device=chunk.device) / overlap).view(-1, 1, 1)
            frames[:, :, :overlap] = before * (1 - weights) + frames[:, :, :overlap] * weights
        before, number = frames[:, :, stride:], number + 1
        return frames if number == count else frames[:, :, :stride]

    yield take


def _starts(vae: Any, latents: Any) -> range:
    """Return at which latent frames the tiles of Allegro's VAE begin."""
    ratio = vae.config.temporal_compression_ratio
    return range(0, latents.shape[2] - vae.kernel[0] // ratio + 1, vae.stride[0] // ratio)


@contextmanager
def _set(vae: Any, wanted: Mapping[str, Any]) -> Generator[None]:
    """Give a VAE settings for as long as a block lasts."""
    before = {name: getattr(vae, name) for name in wanted}
    vars(vae).update(wanted)
    try:
        yield
    finally:
        vars(vae).update(before)


IN_CHUNKS: Mapping[str, Way] = {
    "AutoencoderKLWan": _as_it_is,
    "AutoencoderKLCogVideoX": _as_it_is,
    "AutoencoderKLMochi": _remembered,
    "AutoencoderKLHunyuanVideo": _blended,
    "AutoencoderKLHunyuanVideo15": _stepwise,
}
"""VAEs that decode a video some frames at a time, each time through one call of their decoder."""

IN_TILES: Mapping[str, Way] = {
    "AutoencoderKLHunyuanVideo": _blended,
    "AutoencoderKLLTXVideo": _laid,
    "AutoencoderKLLTX2Video": _laid,
    "AutoencoderKLAllegro": _faded,
}
"""VAEs that do so when they work in tiles: Allegro's always does, the others with `--vae-tiling`, or without the memory
for a whole video.

Those of LTX-Video and LTX-2 look ahead, and more than ten latent frames each way go into a frame: in parts they make
other frames than as a whole, so without tiles they stay whole."""


def _part_by_part(vae: Any, latents: Any) -> Any:
    import torch

    return torch.cat([vae.decoder(part) for part in latents.split(_AT_ONCE, dim=2)], dim=2)


def _tile_by_tile(vae: Any, latents: Any) -> Any:
    import torch

    ratio = vae.config.temporal_compression_ratio
    windows = [latents[:, :, n : n + vae.kernel[0] // ratio] for n in _starts(vae, latents)]
    return torch.cat([vae.tiled_decode(each) for each in windows], dim=1)[:, : latents.shape[2] * ratio]


_AT_ONCE = 4
"""So many latent frames of HunyuanVideo 1.5 are decoded at once."""

_OURS: Mapping[str, Callable[[Any, Any], Any]] = {
    "AutoencoderKLHunyuanVideo15": _part_by_part,
    "AutoencoderKLAllegro": _tile_by_tile,
}
"""How to go through the parts of a video with VAEs that diffusers 0.42 gives it whole."""

OF_PICTURES = ("AutoencoderKL", "AutoencoderKLTemporalDecoder")
"""VAEs to which the pipelines of AnimateDiff and of Stable Video Diffusion give some frames at a time, as pictures.

AnimateDiff's frames know nothing of one another, so 16 at a time are those of all at once; with SDXL they come at once,
or one by one with `--vae-slicing`. Those of Stable Video Diffusion know of one another: all are decoded at once, unless
`--call decode_chunk_size=8` says otherwise."""


@contextmanager
def taken_from(vae: Any, videos: int = 1) -> Generator[list[Spool]]:
    """Take the frames of what a VAE decodes inside the block: a spool for each of so many videos.

    In their place the pipeline gets one pixel of each frame. From a VAE that decodes a video as a whole nothing is
    taken.
    """
    kind, films = type(vae).__name__, list[Spool]()
    is_tiled = getattr(vae, "use_tiling", False)
    way = (IN_TILES if is_tiled else IN_CHUNKS).get(kind)
    with ExitStack() as stack:
        if way is not None:
            stack.enter_context(_of_videos(vae, way, films))
        elif kind in OF_PICTURES and videos == 1 and not is_tiled:
            stack.enter_context(_of_pictures(vae, films))
        yield films


@contextmanager
def _of_videos(vae: Any, way: Way, films: list[Spool]) -> Generator[None]:
    now, taking, inside = list[Spool](), list[Take](), list[Any]()

    def beginning(decode: Any) -> Any:
        ours = _OURS.get(type(vae).__name__)

        def begin(latents: Any, *rest: Any, **named: Any) -> Any:
            now[:] = [Spool() for _ in range(len(latents))]
            films.extend(now)
            with way(vae, latents) as ready:
                taking[:] = [ready]
                return decode(latents, *rest, **named) if ours is None else ours(vae, latents)

        return begin

    def tiling(tiled: Any) -> Any:
        def decode(*given: Any, **named: Any) -> Any:
            inside.append(tiled)
            try:
                made = tiled(*given, **named)
            finally:
                inside.pop()
            return _replaced(made, take)

        return decode

    def take(chunk: Any) -> Any:
        for film, frames in zip(now, _shown(vae, taking[0](chunk)), strict=True):
            film.add(frames)
        return chunk[..., :1, :1].clone()  # no view, which would keep all others

    with ExitStack() as stack:
        stack.enter_context(standing_in(vae, "_decode", beginning))
        if getattr(vae, "use_tiling", False):
            stack.enter_context(standing_in(vae, "tiled_decode", tiling))
        hook = vae.decoder.register_forward_hook(lambda net, given, made: None if inside else _replaced(made, take))
        stack.callback(hook.remove)
        yield


def _replaced(made: Any, take: Take) -> Any:
    """Return what a decoder or a VAE made with something else in the place of its frames."""
    if isinstance(made, tuple):
        return (take(made[0]), *made[1:])
    return type(made)(sample=take(made.sample)) if hasattr(made, "sample") else take(made)


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
    if type(vae).__name__ == "AutoencoderKLWan" and vae.config.patch_size is not None:
        from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

        chunk = unpatchify(chunk, patch_size=vae.config.patch_size)
    return (chunk.permute(0, 2, 1, 3, 4) * 0.5 + 0.5).clamp(0, 1)
