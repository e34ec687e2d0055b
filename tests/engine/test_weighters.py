"""Weighted and long prompts are those of plain calls of diffusers with the embeddings they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, pixels

from dgen.engine.libraries import quiet
from dgen.engine.protocol import EngineError
from dgen.values.prompt import Prompt
from dgen.values.uri import NamedUri

Plain = Callable[..., list[bytes]]
SAID: dict[str, Any] = {"num_inference_steps": 2, "guidance_scale": 5.0, "height": 64, "width": 64}
SDWUI = NamedUri("compel", (("syntax", "sdwui"),))
WEIGHTERS = (NamedUri("compel"), SDWUI, NamedUri("sd-embed"))
MODELS = (("sd", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline"))
LONG = ", ".join(["red blue star"] * 30) + ", red"


@pytest.fixture(scope="module")
def encoders(toys: Path) -> dict[str, list[tuple[Any, Any]]]:
    """The tokenizers and text encoders of the toys."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    def part(model: str, cls: Any, name: str) -> Any:
        return cls.from_pretrained(toys / model / name)

    with quiet():
        return {
            "sd": [(part("sd", CLIPTokenizer, "tokenizer"), part("sd", CLIPTextModel, "text_encoder"))],
            "sdxl": [
                (part("sdxl", CLIPTokenizer, "tokenizer"), part("sdxl", CLIPTextModel, "text_encoder")),
                (
                    part("sdxl", CLIPTokenizer, "tokenizer_2"),
                    part("sdxl", CLIPTextModelWithProjection, "text_encoder_2"),
                ),
            ],
        }


def ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)


def states(pair: tuple[Any, Any], tokens: list[int], layer: int) -> Any:
    """Encode one piece of at most 75 tokens as the pipelines do."""
    import torch

    tokenizer, encoder = pair
    row = [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id]
    row += [tokenizer.pad_token_id] * (77 - len(row))
    with torch.no_grad():
        made = encoder(torch.tensor([row]), output_hidden_states=True)
    return made.last_hidden_state if layer == 0 else made.hidden_states[-(layer + 1)]


def pooled(pair: tuple[Any, Any], text: str) -> Any:
    import torch

    tokenizer, encoder = pair
    row = tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        return encoder(row).text_embeds


@pytest.mark.parametrize("uri", WEIGHTERS, ids=str)
@pytest.mark.parametrize(("model", "pipeline"), MODELS)
def test_prompt_without_weights_is_that_of_a_plain_call(
    shared_bench: Bench, toys: Path, plainly: Plain, uri: NamedUri, model: str, pipeline: str
) -> None:
    for prompt in (Prompt("a red circle", "blurry"), Prompt("a red circle")):
        more = {"negative_prompt": prompt.negative} if prompt.negative else {}
        wanted = plainly(pipeline, model, [7], prompt=prompt.positive, **more, **SAID)
        assert pixels(shared_bench.render(toys / model, prompt=prompt, prompt_weighter=uri)) == wanted
    skipped = pixels(shared_bench.render(toys / model, clip_skip=1))
    assert pixels(shared_bench.render(toys / model, clip_skip=1, prompt_weighter=uri)) == skipped


@pytest.mark.parametrize(("model", "pipeline"), MODELS)
def test_long_prompt_is_read_in_pieces(
    shared_bench: Bench, toys: Path, plainly: Plain, encoders: Any, model: str, pipeline: str
) -> None:
    """Pieces end after the last comma of a full one; the short negative is followed by the empty prompt."""
    import torch

    layer = 0 if model == "sd" else 1
    longer, shorter = [], []
    for pair in encoders[model]:
        tokens = ids(pair[0], LONG)
        comma = ids(pair[0], "red,")[-1]
        end = max(n for n in range(76) if tokens[n - 1] == comma)
        pieces: list[list[int]] = []
        while len(tokens) > 75:
            end = max(n for n in range(56, 76) if tokens[n - 1] == comma)
            pieces.append(tokens[:end])
            tokens = tokens[end:]
        pieces.append(tokens)
        longer.append(torch.cat([states(pair, piece, layer) for piece in pieces], dim=1))
        empty = [states(pair, [], layer)] * (len(pieces) - 1)
        shorter.append(torch.cat([states(pair, ids(pair[0], "blurry"), layer), *empty], dim=1))
    assert longer[0].shape[1] > 77 * 2
    said = {"prompt_embeds": torch.cat(longer, dim=-1), "negative_prompt_embeds": torch.cat(shorter, dim=-1)}
    if model == "sdxl":
        last = encoders[model][-1]
        said |= {"pooled_prompt_embeds": pooled(last, LONG), "negative_pooled_prompt_embeds": pooled(last, "blurry")}
    wanted = plainly(pipeline, model, [7], **said, **SAID)
    made = shared_bench.render(toys / model, prompt=Prompt(LONG, "blurry"), prompt_weighter=NamedUri("sd-embed"))
    assert pixels(made) == wanted


def test_weight_moves_a_word_from_the_rest(shared_bench: Bench, toys: Path, plainly: Plain, encoders: Any) -> None:
    (pair,) = encoders["sd"]
    tokens = ids(pair[0], "a red circle")
    first, last = 1 + len(ids(pair[0], "a")), 1 + len(ids(pair[0], "a red"))
    positive = states(pair, tokens, 0).clone()
    rest = positive[:, -1:].clone()
    positive[:, first:last] = rest + (positive[:, first:last] - rest) * 1.3
    said = {"prompt_embeds": positive, "negative_prompt_embeds": states(pair, ids(pair[0], "blurry"), 0)}
    wanted = plainly("StableDiffusionPipeline", "sd", [7], **said, **SAID)
    prompt = Prompt("a (red:1.3) circle", "blurry")
    made = pixels(shared_bench.render(toys / "sd", prompt=prompt, prompt_weighter=NamedUri("sd-embed")))
    import numpy as np

    near = np.abs(np.frombuffer(made[0], np.uint8).astype(int) - np.frombuffer(wanted[0], np.uint8))
    assert near.max() <= 1
    assert made != pixels(shared_bench.render(toys / "sd", prompt=Prompt("a red circle", "blurry")))


@pytest.mark.parametrize(("model", "pipeline"), MODELS)
def test_compel_is_what_its_own_classes_give(
    shared_bench: Bench, toys: Path, plainly: Plain, encoders: Any, model: str, pipeline: str
) -> None:
    import torch
    from compel import Compel, ReturnedEmbeddingsType

    kinds = ReturnedEmbeddingsType
    kind = kinds.LAST_HIDDEN_STATES_NORMALIZED if model == "sd" else kinds.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
    text = "a (red)1.4 circle, (blue star)0.6"
    pairs = [Compel(tokenizer, encoder, returned_embeddings_type=kind)(text) for tokenizer, encoder in encoders[model]]
    negative = [states(pair, ids(pair[0], "blurry"), 0 if model == "sd" else 1) for pair in encoders[model]]
    said = {"prompt_embeds": torch.cat(pairs, dim=-1), "negative_prompt_embeds": torch.cat(negative, dim=-1)}
    if model == "sdxl":
        last = encoders[model][-1]
        said["pooled_prompt_embeds"] = pooled(last, "a red circle, blue star")
        said["negative_pooled_prompt_embeds"] = pooled(last, "blurry")
    wanted = plainly(pipeline, model, [7], **said, **SAID)
    made = shared_bench.render(toys / model, prompt=Prompt(text, "blurry"), prompt_weighter=NamedUri("compel"))
    assert pixels(made) == wanted


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a (red) star", [[("a ", 1), ("red", 1.1), (" star", 1)]]),
        ("((x))", [[("x", 1.1 * 1.1)]]),
        ("a (b (c:1.5) d:2)", [[("a ", 1), ("b ", 2), ("c", 3), (" d", 2)]]),
        ("[less] more", [[("less", 1 / 1.1), (" more", 1)]]),
        (r"\(plain\) \[too\]", [[("(plain) [too]", 1)]]),
        ("a BREAK b", [[("a ", 1)], [(" b", 1)]]),
        ("(a BREAK b:1.2)", [[("a ", 1.2)], [(" b", 1.2)]]),
        ("(never closed", [[("never closed", 1.1)]]),
        ("closed) alone: 5) BREAKING", [[("closed) alone: 5) BREAKING", 1)]]),
        ("", [[]]),
    ],
)
def test_brackets_weigh(text: str, parts: list[list[tuple[str, float]]]) -> None:
    import sys

    from dgen.registry import PREFIX, load_first_party

    load_first_party()
    made = sys.modules[f"{PREFIX}weights"].read_weights(text)
    assert [[p.text for p in part] for part in made] == [[t for t, _ in part] for part in parts]
    assert [p.weight for part in made for p in part] == pytest.approx([w for part in parts for _, w in part])


def test_each_image_of_a_batch_has_the_weighted_prompt(shared_bench: Bench, toys: Path) -> None:
    from dataclasses import replace

    from toybench import INPUTS, picture

    from dgen.values.image_seed import ImageSeed

    other = picture().rotate(90)
    said = {"prompt": Prompt("a (red:1.3) star"), "prompt_weighter": NamedUri("sd-embed"), "strength": 0.5}
    job = shared_bench.job(toys / "sd", "img2img", **said)
    both = replace(job, request=replace(job.request, image_seed=ImageSeed("a", batch=("b",))))
    made = shared_bench.engine.render(both, replace(INPUTS["img2img"], batch=(other,)), lambda step, steps: None)
    assert len(set(pixels(made))) == 2


def test_weighter_leaves_the_next_job_alone(shared_bench: Bench, toys: Path) -> None:
    before = pixels(shared_bench.render(toys / "sdxl"))
    for uri in WEIGHTERS:
        shared_bench.render(toys / "sdxl", prompt=Prompt("(a)1.3 (b:0.4)"), prompt_weighter=uri)
        with pytest.raises(EngineError):
            shared_bench.render(toys / "sdxl", prompt_weighter=NamedUri("sd-embed"), sigmas=1)
        assert pixels(shared_bench.render(toys / "sdxl")) == before


def test_refiner_has_a_weighter_of_its_own(shared_bench: Bench, toys: Path) -> None:
    from dgen.options.refiner import RefinerUri

    said = {"sdxl_refiner": RefinerUri(model=str(toys / "refiner")), "num_inference_steps": 8}
    plain = pixels(shared_bench.render(toys / "sdxl", **said))
    assert pixels(shared_bench.render(toys / "sdxl", second_prompt_weighter=NamedUri("sd-embed"), **said)) == plain
    told = {"second_prompt": Prompt("a (red:1.8) circle", "blurry"), "second_prompt_weighter": NamedUri("compel")}
    assert pixels(shared_bench.render(toys / "sdxl", **said, **told)) != plain
