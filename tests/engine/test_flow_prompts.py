"""Weighted and long prompts of SD3 and FLUX.1 are those of plain calls with the embeddings they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flowbench import NAMES, PIPELINES, SAID, plain
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

WEIGHTER = NamedUri("sd-embed")
LONG = ", ".join(["red blue star"] * 30)


def row(tokenizer: Any, text: str, length: int) -> Any:
    """The tokens of a text as CLIP (77) or T5 takes them, cut nowhere."""
    import torch

    ids = list(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)
    ids = [*([] if tokenizer.bos_token_id is None or length != 77 else [tokenizer.bos_token_id]), *ids]
    ids = [*ids, tokenizer.eos_token_id]
    return torch.tensor([[*ids, *[tokenizer.pad_token_id] * (length - len(ids))]])


def embedded(pipe: Any, toy: str, first: list[Any], text: str, t5: Any) -> dict[str, Any]:
    """Put the rows of both CLIP encoders and the states of T5 together as a pipeline does."""
    import torch

    if toy == "flux":
        plain_row = pipe.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        return {"prompt_embeds": t5, "pooled_prompt_embeds": pipe.text_encoder(plain_row.input_ids).pooler_output}
    states, pooled = [], []
    for rows, encoder, tokenizer in zip(
        first, (pipe.text_encoder, pipe.text_encoder_2), (pipe.tokenizer, pipe.tokenizer_2), strict=True
    ):
        made = [encoder(ids, output_hidden_states=True).hidden_states[-2] for ids in rows]
        states.append(torch.cat(made, dim=1))
        short = tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        pooled.append(encoder(short).text_embeds)
    clip = torch.cat(states, dim=-1)
    clip = torch.nn.functional.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
    return {"prompt_embeds": torch.cat([clip, t5], dim=1), "pooled_prompt_embeds": torch.cat(pooled, dim=-1)}


def drawn(flow_toys: Path, toy: str, make: Callable[[Any], dict[str, Any]]) -> list[bytes]:
    """Call a pipeline with embeddings that are made from its own encoders."""
    import torch

    given: dict[str, Any] = {"prompt": None, "negative_prompt": None}

    def prepare(pipe: Any) -> None:
        with torch.no_grad():
            given.update(make(pipe))
        call = type(pipe).__call__
        pipe.__class__ = type("Told", (type(pipe),), {"__call__": lambda self, **named: call(self, **named | given)})

    return plain(flow_toys, toy, prepare)


T5 = {"sd3": ("text_encoder_3", "tokenizer_3", 256), "flux": ("text_encoder_2", "tokenizer_2", 512)}


def t5_states(pipe: Any, toy: str, text: str, length: int = 0) -> Any:
    encoder, tokenizer, usual = T5[toy]
    return getattr(pipe, encoder)(row(getattr(pipe, tokenizer), text, length or usual))[0]


@pytest.mark.parametrize("toy", NAMES)
def test_prompt_without_weights_is_read_as_without_a_weighter(flow_toys: Path, shared_bench: Bench, toy: str) -> None:
    mode = {"flux-fill": "inpaint", "flux-kontext": "img2img"}.get(toy, "txt2img")
    said: dict[str, Any] = {"prompt": Prompt("a red circle", "blurry"), "prompt_2": Prompt("blue", "dull")}
    said |= {"output_size": Size(64, 64)} if mode == "txt2img" else {}
    said |= {"prompt_3": Prompt("green", "dark"), "clip_skip": 1} if toy == "sd3" else {"max_sequence_length": 64}
    before = pixels(shared_bench.render(flow_toys / toy, mode, **said))
    assert pixels(shared_bench.render(flow_toys / toy, mode, **said, prompt_weighter=WEIGHTER)) == before
    said["prompt_2"] = Prompt("(blue:1.8)", "dull")
    assert pixels(shared_bench.render(flow_toys / toy, mode, **said, prompt_weighter=WEIGHTER)) != before
    said["prompt_2"] = Prompt("blue", "dull")
    assert pixels(shared_bench.render(flow_toys / toy, mode, **said)) == before


@pytest.mark.parametrize("toy", PIPELINES)
def test_weights_act_on_the_tokens_of_clip_and_t5(flow_toys: Path, shared_bench: Bench, toy: str) -> None:
    import numpy as np

    def make(pipe: Any) -> dict[str, Any]:
        t5 = t5_states(pipe, toy, "red")
        t5[:, : len(getattr(pipe, T5[toy][1])("red", add_special_tokens=False).input_ids)] *= 1.5
        first = [[row(t, "red", 77)] for t in (pipe.tokenizer, getattr(pipe, "tokenizer_2", None))]
        found = embedded(pipe, toy, first, "red", t5)
        if toy == "sd3":
            for place in range(1, 1 + len(pipe.tokenizer("red", add_special_tokens=False).input_ids)):
                rest = found["prompt_embeds"][:, 76].clone()
                moved = rest + (found["prompt_embeds"][:, place] - rest) * 1.5
                found["prompt_embeds"][:, place] = moved
            blurry = [[row(t, "blurry", 77)] for t in (pipe.tokenizer, pipe.tokenizer_2)]
            negative = embedded(pipe, toy, blurry, "blurry", t5_states(pipe, toy, "blurry"))
            found |= {f"negative_{name}": value for name, value in negative.items()}
        return found

    said = {**SAID, "prompt": Prompt("(red:1.5)", "blurry")}
    made = pixels(shared_bench.render(flow_toys / toy, **said, prompt_weighter=WEIGHTER))
    wanted = drawn(flow_toys, toy, make)
    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(wanted[0], np.uint8))
    assert near.max() <= 1  # the order of the sums
    assert made != pixels(
        shared_bench.render(flow_toys / toy, **SAID, prompt=Prompt("red", "blurry"), prompt_weighter=WEIGHTER)
    )


@pytest.mark.parametrize("toy", PIPELINES)
def test_long_prompt_reaches_clip_in_pieces_and_t5_whole(flow_toys: Path, shared_bench: Bench, toy: str) -> None:
    length = 0

    def make(pipe: Any) -> dict[str, Any]:
        nonlocal length
        tokenizer = getattr(pipe, T5[toy][1])
        length = len(tokenizer(LONG, add_special_tokens=False).input_ids) + 1
        t5 = t5_states(pipe, toy, LONG, max(length, T5[toy][2]))
        if toy == "flux":
            return embedded(pipe, toy, [], LONG, t5)
        ids = list(pipe.tokenizer(LONG, add_special_tokens=False, truncation=False).input_ids)
        comma = pipe.tokenizer("red,", add_special_tokens=False).input_ids[-1]
        pieces: list[list[int]] = []
        while len(ids) > 75:
            end = max(n for n in range(56, 76) if ids[n - 1] == comma)
            pieces.append(ids[:end])
            ids = ids[end:]
        rows = [_closed(pipe.tokenizer, piece) for piece in (*pieces, ids)]
        empty = [_closed(pipe.tokenizer, [])] * len(pieces)
        negative = embedded(
            pipe, toy, [[row(pipe.tokenizer, "blurry", 77), *empty]] * 2, "blurry",
            t5_states(pipe, toy, "blurry", max(length, T5[toy][2])),
        )  # fmt: skip
        return embedded(pipe, toy, [rows, rows], LONG, t5) | {f"negative_{k}": v for k, v in negative.items()}

    made = pixels(shared_bench.render(flow_toys / toy, **SAID, prompt=Prompt(LONG, "blurry"), prompt_weighter=WEIGHTER))
    assert made == drawn(flow_toys, toy, make)
    assert (length > T5[toy][2]) == (toy == "sd3")


def _closed(tokenizer: Any, piece: list[int]) -> Any:
    import torch

    ids = [tokenizer.bos_token_id, *piece, tokenizer.eos_token_id]
    return torch.tensor([[*ids, *[tokenizer.pad_token_id] * (77 - len(ids))]])


def test_weighter_that_knows_clip_alone_is_refused(flow_toys: Path, shared_bench: Bench) -> None:
    with pytest.raises(EngineError, match="weighs no prompts for T5") as caught:
        shared_bench.job(flow_toys / "flux", prompt_weighter=NamedUri("compel"))
    assert (caught.value.code, caught.value.option) == ("unsupported-option", "prompt_weighter")
