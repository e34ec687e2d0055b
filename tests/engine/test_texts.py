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


CLEANUP = {
    "rules.json": '{"cleanup": [{"pattern": "A STAR", "substitution": "the sun", "ignore-case": true}, '
    '{"pattern": "(?s) sun.*", "substitution": " sun shines"}]}',
    "rules.toml": '[[cleanup]]\npattern = "a star"\nsubstitution = "the sun"\n'
    '[[cleanup]]\npattern = "(?s) sun.*"\nsubstitution = " sun shines"\n',
    "rules.yaml": "- pattern: a star\n  substitution: the sun\n"
    "- {pattern: '(?s) sun.*', substitution: ' sun shines'}\n",
}


@pytest.mark.parametrize("name", CLEANUP)
def test_patterns_of_a_file_clean_what_was_written(
    toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text(CLEANUP[name], encoding="utf-8")
    uri = f"magicprompt;model={toys / 'gpt2'};seed=3;max-length=30;cleanup-config={tmp_path / name}"
    assert upscaled(capsys, "-p", "a star", "-u", uri) == ["'the sun shines'"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{", "cannot be read"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.json", "{}", "has no list `cleanup`"),
        ("a.json", '[{"pattern": "a", "with": "b"}]', "each entry has a `pattern`"),
        ("a.json", '[{"pattern": "("}]', "is no pattern"),
    ],
)
def test_cleanup_file_that_is_wrong_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["prompt-upscale", "-p", "a", "-u", f"magicprompt;cleanup-config={tmp_path / name}"]) == 2
    err = capsys.readouterr().err
    assert "error[bad-value]: `cleanup-config`" in err
    assert told in err


TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[me]{% endif %}"
)


def test_model_that_chats_answers_as_in_a_plain_call(bench: Bench, toys: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "chat"
    shutil.copytree(toys / "gpt2", folder)
    wanted = TextOrder(texts=("a star",), model=str(folder), seed=3, max_length=12, system="be brief")
    with pytest.raises(EngineError, match="takes no `system` text"):
        bench.engine.continue_texts(wanted, None, offline=True)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    bench.engine.clear("model")
    (made,) = bench.engine.continue_texts(wanted, None, offline=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer("[system]be brief[user]a star[me]", return_tensors="pt")
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    plain = model.generate(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=True, max_new_tokens=12,
        temperature=1.0, top_k=50, top_p=1.0, pad_token_id=256,
    )  # fmt: skip
    assert made == tokenizer.decode(plain[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    assert not made.startswith("a star")


def test_language_model_may_be_quantized(bench: Bench, toys: Path) -> None:
    from dgen.options.quantizers import QuantizerText

    quantizer = QuantizerText().parse("quanto;type=int8")
    texts = {"texts": ("ein roter Stern",), "model": str(toys / "marian"), "seed": 0, "answers": True}
    whole = bench.engine.continue_texts(TextOrder(**texts), None, offline=True)
    bench.engine.continue_texts(TextOrder(**texts, quantizer=quantizer), None, offline=True)
    sizes = [e.bytes for e in bench.of(ComponentLoaded) if e.kind == "text_model"]
    assert len(sizes) == 2
    assert sizes[1] < sizes[0]
    assert bench.engine.continue_texts(TextOrder(**texts), None, offline=True) == whole
    assert len([e for e in bench.of(ComponentLoaded) if e.kind == "text_model"]) == 2


def test_quantizer_that_cannot_be_used_is_told(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"magicprompt;model={toys / 'gpt2'};quantizer=gguf"
    assert main(["prompt-upscale", "-p", "a", "-u", uri]) in (1, 2)
    assert "`gguf` makes nothing smaller" in capsys.readouterr().err


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
