"""What can be written at a place, each with its help, derived from the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgen.complete.complete import complete, signature
from dgen.lang.directives import directives
from dgen.options.request import ROWS

SCOPE = {"colour": "red", "last_images": ["a.png"]}


def offered(text: str) -> list[str]:
    return [c.text for c in complete(text, scope=SCOPE).candidates]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("\\uns", "unset"),
        ("\\", "again"),
        ("{% for x in y %}\n\\uns", "unset"),
        ("builtin:sha", "builtin:shapes"),
        ("toy --guid", "--guidance-scales"),
        ("toy \\\n  --guid", "--guidance-scales"),
        ("toy --seeds 1\n--guid", "--guidance-scales"),
        ("toy -g", "-gse"),
        ("toy --dtype fl", "float16"),
        ("toy --dtype=fl", "float16"),
        ("toy --model-type s", "sd"),
        ("toy --scheduler eulerd", "EulerDiscreteScheduler"),
        ("toy --image-seeds a.png --seed-image-processors mirror cann", "canny"),
        ("toy --post-processors canny;apert", "aperture-size="),
        ("toy --post-processors dilate;shape=", "rectangle"),
        ("\\image_process a.png --processors letterb", "letterbox"),
        ("toy --prompt-upscalers dynam", "dynamicprompts"),
        ("toy --prompt-upscalers dynamicprompts;rand", "random="),
        ("toy --scheduler DDIM;clip-sample-r", "clip-sample-range="),
        ("toy --scheduler DDIM;clip-sample=", "true"),
        ("toy --vae Auto", "AutoencoderKL"),
        ("toy --vae AutoencoderKL;mo", "model="),
        ("toy --vae AutoencoderKL;model=builtin:", "builtin:shapes"),
        ("toy --vae 'AutoencoderKL;model=x;dty", "dtype="),
        ("toy --image-seeds a.png;asp", "aspect="),
        ("toy --image-seeds a.png;aspect=f", "false"),
        ("toy --prompts {{ col", "colour"),
        ("toy --prompts 'a {{ quo", "quote("),
        ("toy --prompts {{ x | upp", "upper"),
        ("toy --prompts {{ path.base", "path.basename"),
        ("{% endf", "endfor"),
        ("\\print {{ las", "last_images"),
        ("\\setp n le", "len("),
        ("\\unset col", "colour"),
        ("\\help infer", "--inference-steps"),
        ("\\directives_help pri", "print"),
        ("\\clear_object_cache un", "unet"),
        ("\\save_modules x une", "unet"),
        ("\\print $HOM", "HOME"),
    ],
)
def test_what_is_typed_is_completed(text: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    assert offered(text)[:1] == [first]


@pytest.mark.parametrize("text", ["# a", "toy # --s", "toy {# --", "#! dgen 0", 'toy "a"', "\\print --s", "{{ 'las"])
def test_nothing_is_offered_where_nothing_helps(text: str) -> None:
    assert offered(text) == []


def test_every_option_and_directive_is_offered_with_its_help() -> None:
    options = {c.text: c.help for c in complete("toy --").candidates}
    assert set(options) == {row.flag for row in ROWS.values() if row.flag}
    assert all(options.values())
    names = {c.text: c.help for c in complete("\\").candidates}
    assert set(names) == set(directives())
    assert all(names.values())


def test_option_that_stands_already_is_not_offered_again() -> None:
    assert "--seeds" not in offered("toy --seeds 1 --")
    assert "--prompts" in offered("toy --seeds 1 --")


def test_after_a_value_come_more_options() -> None:
    assert "--prompts" in offered("toy --seeds 1 ")
    assert "--prompts" in offered("toy ")


def test_files_are_completed_and_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file.dgen").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / ".hidden").touch()
    assert offered("\\include ") == ['"a file.dgen"', "folder/"]
    assert offered('\\include "a') == ["a file.dgen"]
    assert offered("\\cd ") == ["folder/"]
    assert offered("\\include .") == [".hidden"]


def test_model_folders_files_and_cached_models_are_offered(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = at_work / "hub"
    (hub / "models--org--name" / "snapshots" / "1").mkdir(parents=True)
    (hub / "models--org--name" / "snapshots" / "1" / "model_index.json").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    found = {c.text: c.help for c in complete("").candidates}
    assert found["builtin:shapes"]
    assert found["org/name"] == "in the hub's cache"
    assert found["toy"] == "a model"
    assert "hostile.ckpt" in found
    assert "seed.png" not in found


def test_schedulers_are_those_that_the_model_can_use(at_work: Path) -> None:
    assert "FlowMatchEulerDiscreteScheduler" in offered("nowhere --scheduler ")
    assert "FlowMatchEulerDiscreteScheduler" not in offered("toy --scheduler ")
    assert "DDIMScheduler" in offered("toy --scheduler ")


def test_signature_of_a_uri_names_its_keys_and_the_one_being_typed() -> None:
    found = signature("toy --vae AutoencoderKL;model=x;dtype=fl")
    assert found is not None
    assert found.parts[:3] == ("CLASS", "model=MODEL", "[revision=TEXT]")
    assert found.current is not None
    assert found.parts[found.current] == "[dtype=NAME]"
    assert found.help == "Its precision; the model's by default"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("toy --seeds 1", ("--seeds", "N …")),
        ("\\set a", ("\\set", "NAME", "[TEXT]")),
        ("toy {{ quote(", ("quote(text)",)),
    ],
)
def test_signature_of_what_is_being_typed(text: str, parts: tuple[str, ...]) -> None:
    found = signature(text)
    assert found is not None
    assert found.parts == parts
    assert found.help


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="at-#;=\\\"'{}%$ \n0|(.", max_size=40), st.integers(0, 40))
def test_any_text_can_be_completed(text: str, cursor: int) -> None:
    cursor = min(cursor, len(text))
    found = complete(text, cursor, SCOPE)
    assert 0 <= found.start <= cursor
    signature(text, cursor)
