"""Language models write prompts on as transformers itself does, and are loaded once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from toybench import Bench

from dgen.cli.main import main
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded
from dgen.upscalers import TextOrder


def plainly(folder: Path, order: TextOrder) -> list[str]:
    """What a plain call of transformers gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        tokenizer.pad_token = tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        torch.manual_seed(order.seed)
        given = tokenizer(list(order.texts), return_tensors="pt", padding=True)
        made = model.generate(
            **given, do_sample=True, max_length=order.max_length, temperature=order.temperature, top_k=order.top_k,
            top_p=order.top_p, pad_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        return tokenizer.batch_decode(made, skip_special_tokens=True)


def order(toys: Path, *texts: str, **more: object) -> TextOrder:
    settings = {"seed": 3, "max_length": 40, "temperature": 0.7, **more}
    return TextOrder(texts=texts, model=str(toys / "gpt2"), **settings)


def test_texts_go_on_as_in_a_plain_call(bench: Bench, toys: Path) -> None:
    wanted = order(toys, "a red star", "a blue circle on grass")
    made = bench.engine.continue_texts(wanted, None, offline=True)
    assert list(made) == plainly(toys / "gpt2", wanted)
    assert all(text.startswith(start) and text != start for text, start in zip(made, wanted.texts, strict=True))
    assert bench.engine.continue_texts(wanted, "cpu", offline=True) == made
    assert bench.engine.continue_texts(order(toys, *wanted.texts, seed=4), None, offline=True) != made
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["text_tokenizer", "text_model"]


@pytest.mark.parametrize(
    ("model", "code"), [("sd", "bad-model"), ("nothing.bin", "missing-file"), ("no/hub", "offline")]
)
def test_what_is_no_language_model_is_told(bench: Bench, toys: Path, model: str, code: str) -> None:
    place = str(toys / model) if "/" not in model else model
    with pytest.raises(EngineError) as caught:
        bench.engine.continue_texts(TextOrder(texts=("a",), model=place, seed=1), None, offline=True)
    assert caught.value.code == code


def upscaled(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["prompt-upscale", *words, "--quotes", "shell"]) == 0
    return capsys.readouterr().out.splitlines()


def test_magicprompt_fans_out_and_cleans_up(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"magicprompt;model={toys / 'gpt2'};seed=3;max-length=30"
    plain = upscaled(capsys, "-p", "a star; bad", "a circle", "-u", f"{uri};variations=2")
    assert len(plain) == 4
    assert all("a star" in p and "bad" in p for p in plain[:2])
    assert all("a circle" in p for p in plain[2:])
    assert plain[0] != plain[1]
    assert upscaled(capsys, "-p", "a star; bad", "a circle", "-u", f"{uri};variations=2") == plain
    assert len(upscaled(capsys, "-p", "a star", "-u", f"{uri};batch=no;variations=3")) == 3
    (kept,) = upscaled(capsys, "-p", "a star; bad", "-u", f"{uri};part=positive;block-regex=.")
    assert kept == "'a star; bad'"
    (removed,) = upscaled(capsys, "-p", "a star", "-u", f"{uri};remove-prompt=yes;preamble='this is '")
    assert not removed.startswith(("'a star", "'this"))
    (again,) = upscaled(capsys, "-p", "a star", "-u", f"{uri};prepend-prompt=yes")
    assert again.startswith("'a star a star")


def test_a_chain_gives_each_upscaler_what_the_one_before_made(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    magic = f"magicprompt;model={toys / 'gpt2'};seed=3;max-length=30;variations=2"
    made = upscaled(capsys, "-p", "a {red|blue} star", "-u", "dynamicprompts", magic)
    assert [p[:7] for p in made] == ["'a red ", "'a red ", "'a blue", "'a blue"]


def test_a_pattern_that_is_none_is_told(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt-upscale", "-p", "a", "-u", "magicprompt;block-regex='('"]) == 2
    assert "error[bad-value]: `block-regex` is no pattern" in capsys.readouterr().err


def test_texts_are_answered_as_in_a_plain_call(bench: Bench, toys: Path) -> None:
    from dgen.engine.libraries import quiet

    texts = ("ein roter Stern", "zwei blaue Kreise, gelb")
    wanted = TextOrder(texts=texts, model=str(toys / "marian"), seed=0, answers=True)
    made = bench.engine.continue_texts(wanted, None, offline=True)
    with quiet():
        from transformers import MarianMTModel, MarianTokenizer

        tokenizer = MarianTokenizer.from_pretrained(toys / "marian")
        model = MarianMTModel.from_pretrained(toys / "marian").eval()
        given = tokenizer(list(texts), return_tensors="pt", padding=True)
        plain = tokenizer.batch_decode(model.generate(**given, max_new_tokens=100), skip_special_tokens=True)
    assert list(made) == plain
    assert made[0] != made[1]


def test_model_that_continues_does_not_answer(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError) as caught:
        bench.engine.continue_texts(order(toys, "a star", answers=True), None, offline=True)
    assert caught.value.code == "bad-model"


def test_translated_prompts_come_from_the_model(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("prompt-upscale", "-p", "ein roter Stern; zwei Kreise", "-u")
    uri = f"translate;input=de;model={toys / 'marian'}"
    assert main([*words, uri]) == 0
    both = capsys.readouterr().out
    assert main([*words, f"{uri};batch=no;part=negative"]) == 0
    alone = capsys.readouterr().out
    assert alone.startswith("ein roter Stern; ")
    assert both.partition("; ")[2] == alone.partition("; ")[2]
