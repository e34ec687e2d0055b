"""Learned words mean in prompts what diffusers alone makes them mean, and are forgotten afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_loras import CALL, alone, lora
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.options.attachments import TextualInversionUri
from dgen.values.prompt import Prompt


def word(path: Path, token: str | None = None) -> TextualInversionUri:
    return TextualInversionUri(model=str(path), token=token)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_words_mean_what_they_mean_in_diffusers(
    shared_bench: Bench, toys: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "a <badge>, a red zork and a blue dorf"
    monkeypatch.setitem(CALL, "prompt", prompt)
    words = (word(toys / "word"), word(toys / "word.pt"), word(toys / "word.pt", "dorf"))

    def load(pipe: Any) -> None:
        pipe.load_textual_inversion(str(toys / "word"))
        pipe.load_textual_inversion(str(toys / "word.pt"))
        pipe.load_textual_inversion(str(toys / "word.pt"), token="dorf")

    said = {"prompt": Prompt(prompt, "blurry")}
    plain = pixels(shared_bench.render(toys / model, **said))
    made = pixels(shared_bench.render(toys / model, textual_inversions=words, **said))
    assert made == alone(toys, model, load)
    assert made != plain
    assert pixels(shared_bench.render(toys / model, **said)) == plain


def test_word_for_both_encoders_of_sdxl_beside_a_lora(
    shared_bench: Bench, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CALL, "prompt", "a sdxl-word circle")
    file = toys / "sdxl-word.safetensors"

    def load(pipe: Any) -> None:
        from safetensors.torch import load_file

        held = load_file(file)
        pipe.load_lora_weights(str(toys / "sdxl-lora"), adapter_name="one")
        pipe.set_adapters(["one"], [0.5])
        for own, encoder, tokenizer in (
            ("clip_l", "text_encoder", "tokenizer"),
            ("clip_g", "text_encoder_2", "tokenizer_2"),
        ):
            parts = {"text_encoder": getattr(pipe, encoder), "tokenizer": getattr(pipe, tokenizer)}
            pipe.load_textual_inversion({"x": held[own]}, token="sdxl-word", **parts)

    made = shared_bench.render(
        toys / "sdxl", prompt=Prompt("a sdxl-word circle", "blurry"), textual_inversions=(word(file),),
        loras=(lora(toys / "sdxl-lora", 0.5),),
    )  # fmt: skip
    assert pixels(made) == alone(toys, "sdxl", load)


def test_words_are_encoded_once_for_all_seeds(bench: Bench, toys: Path) -> None:
    said = {"prompt": Prompt("a <badge>", "blurry"), "textual_inversions": (word(toys / "word"),)}
    bench.render(toys / "sd", **said)
    misses = bench.engine.memo.misses
    bench.render(toys / "sd", seed=8, **said)
    assert bench.engine.memo.misses == misses


def test_word_that_does_not_fit_is_named_with_its_place(bench: Bench, toys: Path) -> None:
    for words, message in (
        ((word(toys / "word"), word(toys / "sdxl-word.safetensors")), "takes 32"),
        ((word(toys / "word"), word(toys / "word.pt", "<badge>")), "knows a word `<badge>` already"),
    ):
        with pytest.raises(EngineError, match=message) as caught:
            bench.render(toys / "sd", textual_inversions=words)
        assert (caught.value.code, caught.value.option, caught.value.index) == ("bad-weights", "textual_inversions", 1)
