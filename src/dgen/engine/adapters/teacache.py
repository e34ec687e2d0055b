"""Skips the blocks of a FLUX.1 transformer while its input hardly changes: TeaCache (Liu et al. 2024, section 3).

With `F_t`, the noisy latents as the first block modulates them by the timestep: the distance of two steps is
`L1_rel(F, t) = |F_t - F_{t+1}|_1 / |F_{t+1}|_1` (equation 4), and a polynomial `f` estimates by it how far the outputs
differ (equation 6). While the sum of `f(L1_rel)` since the last whole step is below the threshold (equation 7), the
blocks are left out, and what they added to the latents in that step is added again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FLUX_POLYNOMIAL = (4.98651651e02, -2.83781631e02, 5.58554382e01, -3.82021401e00, 2.64230861e-01)
"""The coefficients of `f` that the authors fitted to FLUX.1, of the highest power first."""


@dataclass(slots=True)
class _Tea:
    """Decides which calls of a transformer are whole, and keeps what the last whole one added."""

    threshold: float
    steps: Callable[[], int]  # of the schedule, known when it has begun
    call: int = -1
    distance: float = 0.0
    is_whole: bool = True
    modulated: Any = None
    entry: Any = None  # the latents as they come to the first block: (n, tokens, width)
    added: Any = None

    def begin(self, entry: Any, modulated: Any) -> None:
        """Begin a call; the first and the last one of a schedule are whole."""
        self.call += 1
        self.entry = entry
        before = self.modulated
        if before is not None and before.shape == modulated.shape and 0 < self.call < self.steps() - 1:
            change = (modulated - before).abs().mean() / before.abs().mean()
            self.distance += _polynomial(float(change))
            self.is_whole = self.distance >= self.threshold
        else:
            self.is_whole = True
        self.distance = 0.0 if self.is_whole else self.distance
        self.modulated = modulated

    def end(self, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Keep what the blocks added to the latents, or add it in their place."""
        states, *rest = args
        if self.is_whole:
            self.added = states - self.entry
            return args
        return (self.entry + self.added, *rest)


def _polynomial(x: float) -> float:
    total = 0.0
    for coefficient in FLUX_POLYNOMIAL:
        total = total * x + coefficient
    return total


def skip_blocks(pipeline: Any, transformer: Any, threshold: float) -> None:
    """Let the transformer of a pipeline leave its blocks out while its input hardly changes.

    The caller restores the attributes and hooks of the transformer and of every module in it.
    """
    tea = _Tea(threshold, lambda: pipeline.num_timesteps)
    first, *others = (*transformer.transformer_blocks, *transformer.single_transformer_blocks)
    vars(first)["forward"] = _beginning(tea, first, _passing(tea, first.forward))
    for block in others:
        vars(block)["forward"] = _passing(tea, block.forward)
    transformer.norm_out.register_forward_pre_hook(tea.end)


def _beginning(tea: _Tea, block: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    def begin(**named: Any) -> Any:
        modulated, *_ = block.norm1(named["hidden_states"], emb=named["temb"])
        tea.begin(named["hidden_states"], modulated)
        return forward(**named)

    return begin


def _passing(tea: _Tea, forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(**named: Any) -> Any:
        return forward(**named) if tea.is_whole else (named["encoder_hidden_states"], named["hidden_states"])

    return run
