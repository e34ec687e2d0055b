"""Computes in a step only the regions that the model works on: region-adaptive sampling (Liu et al. 2025).

After a few whole steps, only the tokens of active regions go through the transformer (arXiv 2502.10389). The others
keep the noise that was predicted for them last, and in every layer the keys and values of their last time, to which
the active ones attend. By the noise of the step before, a token ranks with `std(N) exp(-k D)`: `N` is its part of the
noise, `D` for how many steps it has been left out, and `k` the starvation scale. The deviation is low where the model
works on the subject, so that the highest ranks are left out; the sign of `k D` lets a token come sooner the longer it
waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from dgen.engine.adapters.layers import standing_in
from dgen.options.request import Request


@dataclass(frozen=True, slots=True)
class Ras:
    """What a job says of region-adaptive sampling; steps count from 1."""

    sample_ratio: float  # of the tokens, on average over the steps
    high_ratio: float  # how many of those that are left out have the highest ranks; the others have the lowest
    starvation_scale: float
    reset_steps: tuple[int, ...]  # in which everything is computed
    metric: str
    start: int  # the last step of the whole ones at the beginning
    end: int | None  # the last step in which regions are left out; None for the last one
    skip_step: int  # by how many tokens more are left out
    skip_length: int  # after each so many steps; 0 for never
    index_fusion: bool

    def skipped(self, step: int, tokens: int, end: int) -> int:
        """Return how many tokens are left out in a step."""
        average = (1 - self.sample_ratio) * tokens
        if self.skip_length:
            periods = [(each - self.start - 1) // self.skip_length for each in range(self.start + 1, end + 1)]
            average += self.skip_step * (periods[step - self.start - 1] - sum(periods) / len(periods))
        return min(max(int(average), 0), tokens - 1)


def ras_of(request: Request) -> Ras | None:
    """Return what a request says of region-adaptive sampling; None when it says nothing."""
    r = request
    values = (
        r.ras_sample_ratio, r.ras_high_ratio, r.ras_starvation_scale, r.ras_error_reset_steps, r.ras_metric,
        r.ras_start_step, r.ras_end_step, r.ras_skip_num_step, r.ras_skip_num_step_length,
    )  # fmt: skip
    if not (r.ras or r.ras_index_fusion or any(value is not None for value in values)):
        return None
    usual = (0.5, 1.0, 0.1, (12, 22), "std", 4, None, 0, 0)
    chosen = (own if value is None else value for value, own in zip(values, usual, strict=True))
    return Ras(*chosen, index_fusion=r.ras_index_fusion)  # type: ignore[arg-type]


class _Regions:
    """Knows which tokens are active in the call that a transformer is in."""

    def __init__(self, said: Ras, pipeline: Any, patch: int) -> None:
        self.said, self.pipeline, self.patch = said, pipeline, patch
        self.step = 0
        self.active: Any = None  # numbers of tokens, rising; None for all
        self.rank: Any = None  # (tokens,)
        self.left_out: Any = None  # (tokens,): for how many steps

    def begin(self, _: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Begin a call: decide what is active in it."""
        self.step += 1
        end = min(self.said.end or self.pipeline.num_timesteps, self.pipeline.num_timesteps)
        is_whole = self.rank is None or not self.said.start < self.step <= end or self.step in self.said.reset_steps
        self.active = None if is_whole else self._choose(end)
        states = named.get("block_controlnet_hidden_states")
        if self.active is not None and states is not None:
            named = {**named, "block_controlnet_hidden_states": [each[:, self.active] for each in states]}
        return args, named

    def _choose(self, end: int) -> Any:
        import torch

        tokens = len(self.rank)
        count = self.said.skipped(self.step, tokens, end)
        high = math.ceil(count * self.said.high_ratio)
        rank = self.rank * torch.exp(-self.said.starvation_scale * self.left_out)
        order = torch.argsort(rank, stable=True)
        active = order[count - high : tokens - high]
        self.left_out += 1
        self.left_out[active] = 0
        return active.sort().values

    def look(self, noise: Any) -> None:
        """Rank tokens by a prediction, (n, channels, h, w), guided as the scheduler gets it."""
        import torch

        count, channels, height, width = noise.shape
        size = self.patch
        parts = noise.float().view(count, channels, height // size, size, width // size, size)
        parts = parts.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, channels * size * size)
        measured = parts.std(dim=-1) if self.said.metric == "std" else torch.linalg.vector_norm(parts, dim=-1)
        self.rank = measured.mean(dim=0)  # what is made at once has its regions in common
        if self.left_out is None or self.active is None:
            self.left_out = torch.zeros_like(self.rank)

    def gather(self, _: Any, args: Any, tokens: Any) -> Any:
        """Leave the tokens out that are not active: (n, tokens, width)."""
        return tokens if self.active is None else tokens[:, self.active]


class _Kept:
    """Keeps a tensor of all tokens of which calls bring the active ones."""

    def __init__(self, regions: _Regions) -> None:
        self.regions = regions
        self.whole: Any = None

    def put(self, tokens: Any) -> Any:
        """Return all tokens, (n, tokens, width), those that were brought being new."""
        active = self.regions.active
        self.whole = tokens if active is None else self.whole.index_copy(1, active, tokens)
        return self.whole


class _Attention:
    """Lets active tokens attend to all; an attention processor as the one of SD3 in diffusers."""

    def __init__(self, regions: _Regions, *, is_fused: bool) -> None:
        self.is_fused = is_fused
        self.keys, self.values = _Kept(regions), _Kept(regions)
        self.both: Any = None  # weight and bias of the projections to keys and values, together

    def __call__(self, attn: Any, hidden_states: Any, encoder_hidden_states: Any = None, **unused: Any) -> Any:
        """Return what SD3's own processor would return for these tokens."""
        import torch

        count = hidden_states.shape[1]
        query = _normed(attn.norm_q, _heads(attn, attn.to_q(hidden_states)))
        key, value = (_heads(attn, each) for each in self._projected(attn, hidden_states))
        if encoder_hidden_states is not None:
            texts = (attn.add_q_proj, attn.norm_added_q), (attn.add_k_proj, attn.norm_added_k), (attn.add_v_proj, None)
            own = (_normed(norm, _heads(attn, layer(encoder_hidden_states))) for layer, norm in texts)
            query, key, value = (torch.cat(pair, dim=2) for pair in zip((query, key, value), own, strict=True))
        made = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        made = made.transpose(1, 2).flatten(2).to(query.dtype)
        states = attn.to_out[1](attn.to_out[0](made[:, :count]))
        if encoder_hidden_states is None:
            return states
        return states, made[:, count:] if attn.context_pre_only else attn.to_add_out(made[:, count:])

    def _projected(self, attn: Any, states: Any) -> tuple[Any, Any]:
        """Return the keys and the values of all tokens, (n, tokens, width) each."""
        import torch

        if not self.is_fused or type(attn.to_k) is not torch.nn.Linear or type(attn.to_v) is not torch.nn.Linear:
            key = _normed_flat(attn, attn.to_k(states))
            return self.keys.put(key), self.values.put(attn.to_v(states))
        if self.both is None:
            layers = attn.to_k, attn.to_v
            biases: list[Any] = [layer.bias.detach() for layer in layers if layer.bias is not None]
            weight = torch.cat([layer.weight.detach() for layer in layers])
            self.both = weight, torch.cat(biases) if biases else None
        made = torch.nn.functional.linear(states, *self.both)
        if attn.norm_k is not None:
            key, value = made.chunk(2, dim=-1)
            made = torch.cat([_normed_flat(attn, key), value], dim=-1)
        key, value = self.keys.put(made).chunk(2, dim=-1)
        return key, value


def _heads(attn: Any, states: Any) -> Any:
    """Bring (n, tokens, width) to (n, heads, tokens, width of a head)."""
    return states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _normed(norm: Any, states: Any) -> Any:
    return states if norm is None else norm(states)


def _normed_flat(attn: Any, key: Any) -> Any:
    """Norm keys, (n, tokens, width), head by head."""
    return key if attn.norm_k is None else attn.norm_k(key.unflatten(-1, (attn.heads, -1))).flatten(2)


def sample_regions(stack: ExitStack, pipeline: Any, transformer: Any, said: Ras) -> None:
    """Let a pipeline compute only the regions that its transformer works on, until the stack closes.

    The caller restores the attributes and hooks of the transformer and of every module in it.
    """
    regions = _Regions(said, pipeline, transformer.config.patch_size)
    for block in transformer.transformer_blocks:
        for attn in filter(None, (block.attn, block.attn2)):
            attn.processor = _Attention(regions, is_fused=said.index_fusion)
    noise = _Kept(regions)
    transformer.register_forward_pre_hook(regions.begin, with_kwargs=True)
    transformer.pos_embed.register_forward_hook(regions.gather)
    transformer.proj_out.register_forward_hook(lambda module, args, tokens: noise.put(tokens))
    stack.enter_context(standing_in(pipeline.scheduler, "step", lambda step: _showing(regions.look, step)))


def _showing(look: Callable[[Any], None], step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step of a scheduler that shows each prediction it gets."""

    def shown(model_output: Any, *rest: Any, **named: Any) -> Any:
        look(model_output)
        return step(model_output, *rest, **named)

    return shown
