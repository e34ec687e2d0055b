"""Region-adaptive sampling of SD3 is the plain loop of its paper, and goes with everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flowbench import EDGES, SAID, plain
from toybench import INPUTS, Bench, pixels

from dgen.options.attachments import ControlNetUri
from dgen.values.image_seed import ImageSeed


class Regional:
    """SD3's transformer as a plain loop over active tokens, after the method's paper; keeps how many were active."""

    def __init__(self, pipe: Any, said: dict[str, Any]) -> None:
        self.pipe, self.own, self.said = pipe, pipe.transformer, said
        self.step, self.noise, self.left, self.keys, self.values = 0, None, None, {}, {}
        self.active: list[int] = []

    def chosen(self, tokens: int) -> list[int]:
        """The numbers of the active tokens."""
        import numpy as np

        said, step = self.said, self.step
        if self.noise is None or not said["start"] < step <= said["end"] or step in said["reset"]:
            self.left = np.zeros(tokens)
            return list(range(tokens))
        negative, positive = self.noise.double().numpy()
        guided = negative + 5.0 * (positive - negative)
        _, height, width = guided.shape
        rank = []
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                part = guided[:, row : row + 2, column : column + 2].ravel()
                rank.append(part.std(ddof=1) if said["metric"] == "std" else np.sqrt((part**2).sum()))
        count = (1 - said["ratio"]) * tokens
        if said["length"]:
            steps = np.arange(said["start"] + 1, said["end"] + 1)
            more = (steps - said["start"] - 1) // said["length"]
            count += said["more"] * (more[step - said["start"] - 1] - more.mean())
        high = int(np.ceil(int(count) * said["high"]))
        order = np.argsort(np.array(rank) * np.exp(-said["starvation"] * self.left), kind="stable")
        active = sorted(order[int(count) - high : tokens - high])
        self.left += 1
        self.left[active] = 0
        return [int(number) for number in active]

    def attended(self, attn: Any, place: int, states: Any, texts: Any, active: list[int]) -> tuple[Any, Any]:
        """Attention with explicit products; keys and values of tokens that are not active are old ones."""
        import torch

        key, value = attn.to_k(states), attn.to_v(states)
        if len(active) < self.keys.get(place, key).shape[1]:
            for kept, new in ((self.keys, key), (self.values, value)):
                kept[place] = kept[place].clone()
                kept[place][:, active] = new
        else:
            self.keys[place], self.values[place] = key, value
        query = torch.cat([attn.to_q(states), attn.add_q_proj(texts)], dim=1)
        key = torch.cat([self.keys[place], attn.add_k_proj(texts)], dim=1)
        value = torch.cat([self.values[place], attn.add_v_proj(texts)], dim=1)
        made = []
        for q, k, v in zip(*(each.chunk(attn.heads, dim=-1) for each in (query, key, value)), strict=True):
            made.append(torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1) @ v)
        joined = torch.cat(made, dim=-1)
        return joined[:, : len(active)], joined[:, len(active) :]

    def __call__(self, hidden_states: Any, timestep: Any, encoder_hidden_states: Any, **named: Any) -> Any:
        own = self.own
        self.step += 1
        states, texts = own.pos_embed(hidden_states), own.context_embedder(encoder_hidden_states)
        emb = own.time_text_embed(timestep, named["pooled_projections"])
        active = self.chosen(states.shape[1])
        self.active.append(len(active))
        states = states[:, active]
        for place, block in enumerate(own.transformer_blocks):
            normed, gate, shift, scale, gate_ff = block.norm1(states, emb=emb)
            told = block.norm1_context(texts, emb) if block.context_pre_only else block.norm1_context(texts, emb=emb)
            of_texts = told if block.context_pre_only else told[0]
            seen, read = self.attended(block.attn, place, normed, of_texts, active)
            states = states + gate[:, None] * block.attn.to_out[0](seen)
            states = states + gate_ff[:, None] * block.ff(block.norm2(states) * (1 + scale[:, None]) + shift[:, None])
            if not block.context_pre_only:
                _, own_gate, own_shift, own_scale, own_gate_ff = told
                texts = texts + own_gate[:, None] * block.attn.to_add_out(read)
                normed = block.norm2_context(texts) * (1 + own_scale[:, None]) + own_shift[:, None]
                texts = texts + own_gate_ff[:, None] * block.ff_context(normed)
        made = own.proj_out(own.norm_out(states, emb))
        count, side = len(hidden_states), hidden_states.shape[-1] // 2
        noise = self.noise.clone() if self.noise is not None else hidden_states.clone()
        for index, number in enumerate(active):
            row, column = 2 * (number // side), 2 * (number % side)
            part = made[:, index].view(count, 2, 2, -1).permute(0, 3, 1, 2)
            noise[:, :, row : row + 2, column : column + 2] = part
        self.noise = noise
        return (noise,)


HALF = {
    "ratio": 0.5,
    "high": 1.0,
    "starvation": 0.1,
    "reset": (),
    "metric": "std",
    "start": 1,
    "end": 6,
    "more": 0,
    "length": 0,
}
RAS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "half": ({"ras": True, "ras_start_step": 1}, HALF),
    "fused": ({"ras_index_fusion": True, "ras_start_step": 1}, HALF),
    "everything": (
        {
            "ras_sample_ratio": 0.4, "ras_high_ratio": 0.6, "ras_starvation_scale": 1.0, "ras_error_reset_steps": (4,),
            "ras_metric": "l2norm", "ras_start_step": 2, "ras_end_step": 5, "ras_skip_num_step": 9,
            "ras_skip_num_step_length": 1,
        },
        {**HALF, "ratio": 0.4, "high": 0.6, "starvation": 1.0, "reset": (4,), "metric": "l2norm", "start": 2, "end": 5,
         "more": 9, "length": 1},
    ),
}  # fmt: skip


ACTIVE = {
    "half": [256, 128, 128, 128, 128, 128],
    "fused": [256, 128, 128, 128, 128, 128],
    "everything": [256, 256, 112, 256, 94, 256],
}


@pytest.mark.parametrize("name", RAS)
def test_region_adaptive_sampling_is_the_loop_of_the_paper(flow_toys: Path, shared_bench: Bench, name: str) -> None:
    import numpy as np

    said, meant = RAS[name]
    loops: list[Regional] = []

    def prepare(pipe: Any) -> None:
        loops.append(Regional(pipe, meant))
        pipe.transformer.forward = loops[0]

    before = pixels(shared_bench.render(flow_toys / "sd3", **SAID))
    made = pixels(shared_bench.render(flow_toys / "sd3", **SAID, **said))
    wanted = plain(flow_toys, "sd3", prepare)
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(wanted[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    assert loops[0].active == ACTIVE[name]
    assert made != before
    assert pixels(shared_bench.render(flow_toys / "sd3", **SAID)) == before


@pytest.mark.parametrize("said", [{}, {"ras_index_fusion": True}], ids=["plain", "fused"])
@pytest.mark.parametrize("toy", ["sd3", "sd3.5"])
def test_where_all_regions_are_active_the_picture_is_the_plain_one(
    flow_toys: Path, shared_bench: Bench, toy: str, said: dict[str, Any]
) -> None:
    import numpy as np

    before = pixels(shared_bench.render(flow_toys / toy, **SAID))
    made = pixels(shared_bench.render(flow_toys / toy, **SAID, **said, ras_start_step=1, ras_sample_ratio=1.0))
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(before[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    if not said:
        part = pixels(shared_bench.render(flow_toys / toy, **SAID, ras_start_step=1, ras_sample_ratio=0.5))
        assert pixels(shared_bench.render(flow_toys / toy, **SAID, ras_start_step=1, offload="model")) == part


def test_regions_follow_a_control_net(flow_toys: Path, shared_bench: Bench) -> None:
    nets = (ControlNetUri(model=str(flow_toys / "sd3-net")),)
    inputs = replace(INPUTS["txt2img"], controls=(EDGES,))

    def steered(**said: Any) -> list[bytes]:
        job = shared_bench.job(
            flow_toys / "sd3", control_nets=nets, image_seed=ImageSeed("seed"), num_inference_steps=4, **said
        )
        return pixels(shared_bench.engine.render(job, inputs, lambda step, steps: None))

    whole = steered()
    assert steered(ras_start_step=1) != whole
    assert steered(ras_start_step=4) == whole
