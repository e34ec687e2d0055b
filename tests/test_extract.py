"""`dgen extract` writes the script of a picture, whichever program made it; nothing in it is evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.lang.evaluate import Interpreter
from dgen.lang.nodes import Invocation
from dgen.lang.parse import parse
from dgen.lang.scope import Scope
from dgen.plan.bind import bind, request_table

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 7, "steps": 9, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
        "model": ["9", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/base.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 96, "height": 64, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat; asleep", "clip": ["9", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dogs", "clip": ["9", 1]}},
    "8": {"class_type": "FaceDetailer", "inputs": {}},
    "9": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "ink.safetensors", "strength_model": 0.5, "model": ["4", 0]}},
}  # fmt: skip
INVOKE = {
    "generation_mode": "txt2img", "positive_prompt": "a cat; asleep", "negative_prompt": "dogs", "seed": 7, "steps": 9,
    "cfg_scale": 6.5, "scheduler": "dpmpp_2m_k", "width": 96, "height": 64, "clip_skip": 0, "app_version": "4.2",
    "model": {"name": "base", "hash": "blake3:00", "type": "main"}, "refiner_steps": 3,
    "loras": [{"model": {"name": "ink"}, "weight": 0.5}],
}  # fmt: skip
A1111 = (
    "a cat; asleep <lora:ink:0.5><hypernet:old:1>\nNegative prompt: dogs\n"
    "Steps: 9, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 7, Size: 96x64, Model hash: 00, "
    'Model: base, Clip skip: 2, Hires upscaler: "a, b: c", Version: v1.9'
)
SAID = [
    "base.safetensors", r'--prompts "a cat\\; asleep; dogs"', "--loras ink.safetensors;scale=0.5",
    '--scheduler "DPM++ 2M Karras"', "--inference-steps 9", "--guidance-scales 6.5", "--seeds 7", "--output-size 96x64",
]  # fmt: skip


def picture(path: Path, **texts: str) -> Path:
    """A picture that carries texts: as PNG chunks, or as the EXIF comment in the other formats."""
    image, chunks, exif = Image.new("RGB", (8, 8)), PngInfo(), Image.Exif()
    for name, text in texts.items():
        chunks.add_text(name, text)
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    image.save(path, **({"pnginfo": chunks} if path.suffix == ".png" else {"exif": exif}))
    return path


def lines_of(path: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[list[str], list[str]]:
    """The lines of the script of a picture, and its comments."""
    assert main(["extract", str(path), *argv]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [x for x in lines if x and not x.startswith("#")], [x for x in lines if x.startswith("# ")]


def test_config_of_a_picture_becomes_a_script_that_makes_it_again(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["toy", "--prompts", "{{ 50% }} of $HOME; b", "--image-seeds", "seed.png", "--seeds", "1"]
    assert main([*argv, "--inference-steps", "2", "-o", "out", "--quiet"]) == 0
    (made,) = (at_work / "out").glob("*.png")
    assert main(["extract", str(made), "-o", "again.dgen"]) == 0
    assert main(["again.dgen", "-o", "again", "--quiet"]) == 0
    again = at_work / "again" / made.name
    assert Image.open(again).tobytes() == Image.open(made).tobytes()
    assert lines_of(made, capsys, "--model", "other")[0][0] == "other"


@pytest.mark.parametrize(
    ("name", "texts", "note"),
    [
        ("a.png", {"parameters": A1111}, "nothing stands for hires upscaler: a, b: c"),
        ("a.jpg", {"UserComment": A1111}, "nothing stands for <hypernet:old:1> in the prompt"),
        ("a.webp", {"UserComment": A1111}, "nothing stands for <hypernet:old:1> in the prompt"),
        ("a.png", {"prompt": json.dumps(GRAPH), "workflow": "{}"}, "nothing stands for the node FaceDetailer"),
        ("a.png", {"invokeai_metadata": json.dumps(INVOKE)}, "nothing stands for refiner_steps"),
    ],
    ids=["A1111", "A1111 in a JPEG", "A1111 in a WebP", "ComfyUI", "InvokeAI"],
)
def test_metadata_of_another_program_becomes_an_invocation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, texts: dict[str, str], note: str
) -> None:
    said, notes = lines_of(picture(tmp_path / name, **texts), capsys)
    clip_skip = ["--clip-skips 1"] if A1111 in texts.values() else []
    assert said[0] == SAID[0]
    assert sorted(said[1:]) == sorted([*SAID[1:], *clip_skip])
    assert f"# {note}" in notes


def test_weights_in_a_prompt_choose_a_weighter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = A1111.replace("a cat; asleep", "a (red:1.3) cat")
    assert "--prompt-weighter sd-embed" in lines_of(picture(tmp_path / "a.png", parameters=text), capsys)[0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "`a.png` carries nothing that tells how it was made"),
        ({"parameters": "only a prompt"}, "carries nothing"),
        ({"prompt": "{"}, "it is no JSON"),
        ({"prompt": "[" * 100_000}, "it is no JSON"),
        ({"prompt": "{}"}, "a graph with 1 KSampler was expected, this one has 0"),
        ({"invokeai_metadata": "[1]"}, "it is no JSON object"),
        ({"invokeai_metadata": "1" * 300_000}, "more than 200,000 characters"),
        ({"parameters": "a cat\nSteps: 3"}, "`a.png` names no model"),
        ({"DgenerateConfig": "toy --prompts x\n\\exec rm x\n"}, "a config is one invocation and nothing else"),
        ({"DgenerateConfig": 'toy --prompts "<upscaler: magicprompt> x"\n'}, "which runs a plugin"),
    ],
)  # fmt: skip
def test_what_cannot_be_extracted_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], texts: dict[str, str], message: str
) -> None:
    assert main(["extract", str(picture(tmp_path / "a.png", **texts))]) == 2
    assert message in capsys.readouterr().err


HOSTILE = st.lists(
    st.sampled_from(["{{ 1 }}", "{% for x in y %}", "\n\\exec rm -rf x\n", "$HOME", "%PATH%", "`id`", "<seed: 5>", "\0",
                     "<upscaler: magicprompt>", '"', "'", "\\", ";", "#", "--output-path /etc", "../../x", "~", "\r\n",
                     "<lora:../../x:1>", "\u2028", "a", " "])).map("".join)  # fmt: skip


@given(prompt=HOSTILE, model=HOSTILE, extra=HOSTILE)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_foreign_metadata_holds_becomes_one_invocation_of_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prompt: str, model: str, extra: str
) -> None:
    graph = json.loads(json.dumps(GRAPH))
    graph["6"]["inputs"]["text"], graph["8"]["class_type"] = prompt, extra
    graph["4"]["inputs"]["ckpt_name"] = f"{model}m"
    path = picture(tmp_path / "a.png", prompt=json.dumps(graph))
    assert main(["extract", str(path)]) == 0
    text = capsys.readouterr().out
    script = parse(Source("script", text))
    (invocation,) = (s for s in script.statements if isinstance(s, Invocation))
    words = Interpreter(Scope(), None).words(invocation)  # type: ignore[arg-type]
    bound = bind(words, request_table(), invocation.span)
    assert {held.flag.text for name, held in bound.given.items() if name != "model"} == {s.split()[0] for s in SAID[1:]}
    assert "/" not in bound.value("model")
