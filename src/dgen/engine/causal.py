"""Lets causal decoders of videos remember what came before, so that they can be shown a video part by part."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from dgen.engine.adapters.layers import standing_in

Dropped = Callable[[int], int]
"""Says how many frames become of some that a layer is shown first: those that it was shown before."""


class _Memory:
    """What a layer has seen last, which goes before what it is shown next."""

    def __init__(self, frames: int, dropped: Dropped = lambda count: count) -> None:
        """`frames`: how far the layer looks back."""
        self._frames, self._dropped, self._past = frames, dropped, None
        self._shown_again = 0

    def before(self, layer: Any, given: Any) -> Any:
        """Show what was seen last again."""
        import torch

        self._shown_again = 0 if self._past is None else self._past.shape[2]
        shown: Any = torch.cat([self._past, given[0]], dim=2) if self._past is not None else given[0]
        self._past = shown[:, :, -self._frames :].clone()
        return (shown, *given[1:])

    def after(self, layer: Any, given: Any, made: Any) -> Any:
        """Leave out what became of it."""
        first = self._dropped(self._shown_again) if self._shown_again else 0
        return (made[0][:, :, first:], *made[1:]) if isinstance(made, tuple) else made[:, :, first:]


class _Attending:
    """The attention of HunyuanVideo 1.5: each frame attends to itself and to all frames before it."""

    def __init__(self, block: Any) -> None:
        self._block, self._seen = block, (None, None)

    def forward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what the block computes of its next frames, (videos, c, n, h, w)."""
        import torch

        def forward(frames: Any) -> Any:
            block = self._block
            normed = block.norm(frames)
            known = [
                new if old is None else torch.cat([old, new], dim=2)
                for old, new in zip(self._seen, (block.to_k(normed), block.to_v(normed)), strict=True)
            ]
            self._seen = (known[0], known[1])
            first = known[0].shape[2] - frames.shape[2]
            query = block.to_q(normed)
            made = [_attend(query[:, :, n], *(each[:, :, : first + n + 1] for each in known)) for n in _each(frames)]
            return block.proj_out(torch.stack(made, dim=2)) + frames

        return forward


def _each(frames: Any) -> range:
    return range(frames.shape[2])


def _attend(query: Any, key: Any, value: Any) -> Any:
    """Attend from the places of a frame, (videos, c, h, w), to those of frames, (videos, c, n, h, w)."""
    import torch

    rows = (each.flatten(2).transpose(1, 2)[:, None].contiguous() for each in (query, key, value))
    made = torch.nn.functional.scaled_dot_product_attention(*rows)
    return made[:, 0].transpose(1, 2).reshape(query.shape)


@contextmanager
def remembering_mochi(decoder: Any) -> Generator[None]:
    """Let the causal convolutions of Mochi's decoder see the end of the part before, which diffusers 0.42 forgets."""
    with ExitStack() as stack:
        for module in decoder.modules():
            if getattr(module, "pad_mode", None) == "replicate":
                _hook(stack, module, _Memory(module.time_pad))
        yield


@contextmanager
def remembering_hunyuan_15(decoder: Any) -> Generator[None]:
    """Let the decoder of HunyuanVideo 1.5 see what it needs of the parts before.

    Its convolutions look two frames back, and its attention at all frames. Where frames are doubled, the first one of
    a video is not.
    """
    with ExitStack() as stack:
        inner: set[Any] = set()
        for module in decoder.modules():
            kind = type(module).__name__.removeprefix("HunyuanVideo15")
            if kind == "Upsample":
                inner.add(module.conv)
                _hook(stack, module, _Memory(2, _doubled if module.add_temporal_upsample else lambda count: count))
            elif kind == "CausalConv3d" and module not in inner:
                _hook(stack, module, _Memory(2))
            elif kind == "AttnBlock":
                stack.enter_context(standing_in(module, "forward", _Attending(module).forward))
        yield


def _doubled(count: int) -> int:
    return 2 * count - 1


def _hook(stack: ExitStack, module: Any, memory: _Memory) -> None:
    stack.callback(module.register_forward_pre_hook(memory.before).remove)
    stack.callback(module.register_forward_hook(memory.after).remove)
