"""A config makes its job again, whatever the job says."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_schema import values_of

from dgen.config import config
from dgen.diagnostic import Source, Word
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES
from dgen.lang.evaluate import Interpreter
from dgen.lang.nodes import Invocation
from dgen.lang.parse import parse
from dgen.lang.replay import replay_words
from dgen.lang.scope import Scope
from dgen.options.attachments import IpAdapterUri, LoraUri, T2iAdapterUri
from dgen.options.refiner import RefinerUri
from dgen.options.request import ROWS, Request
from dgen.plan.bind import bind, relative_to, request_table
from dgen.plan.expand import expand
from dgen.plan.resolve import Job, resolve
from dgen.schema import Combines, Option, Stage
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

SD, SDXL = (
    ModelFacts(family=FAMILIES[name], pipeline=FAMILIES[name].pipelines["txt2img"], default_size=Size(64, 64))
    for name in ("sd", "sdxl")
)


class NoPictures:
    def size(self, path: str) -> Size:
        return Size(96, 64)


def job_of(words: tuple[Word, ...], folder: Path, facts: ModelFacts) -> Job:
    bound = bind(words, request_table(), words[0].span)
    if bound.value("relative_inputs"):
        bound = relative_to(bound, str(folder), ROWS)
    (request,) = expand(bound, random.Random(1))
    return resolve(request, facts, "cpu", NoPictures())


def read_again(text: str, folder: Path, facts: ModelFacts) -> tuple[Job, Job]:
    """Read a config both ways: as a script, and inert as a replay does."""
    source = Source("config", text)
    (invocation,) = (s for s in parse(source).statements if isinstance(s, Invocation))
    as_script = Interpreter(Scope(), None).words(invocation)  # type: ignore[arg-type]
    return job_of(as_script, folder, facts), job_of(replay_words(source), folder, facts)


def is_round(row: Option) -> bool:
    return row.is_recorded and not row.positional and row.name != "model_type"


@pytest.mark.parametrize("facts", [SD, SDXL], ids=["sd", "sdxl"])
@pytest.mark.parametrize("name", [n for n, r in ROWS.items() if is_round(r)])
@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_config_of_every_option_reads_back(name: str, facts: ModelFacts, data: st.DataObject, tmp_path: Path) -> None:
    """`test_schema` tries each kind of value oftener; here each option is tried."""
    row = ROWS[name]
    value = True if row.value is None else data.draw(values_of(row.value))
    if row.many:
        value = row.pool((value, data.draw(values_of(row.value))))
        value = value[0] if isinstance(row.value, Combines) else value
    said = {"model": "builtin:shapes", "seed": 1, name: value}
    said |= {each: True for each in row.requires if ROWS[each].value is None}
    for number in {"ras_skip_num_step", "ras_skip_num_step_length"} & set(row.requires):
        said[number] = 1
    if "image_seed" in row.requires:
        said["image_seed"] = ImageSeed("a.png")
    if "inpaint_crop" in row.requires:
        said |= {"inpaint_crop": True, "image_seed": ImageSeed("a.png", mask="m.png")}
    if "loras" in row.requires:
        said["loras"] = (LoraUri(model="./l.safetensors", scale=0.5),)
    if "ip_adapters" in row.requires:
        said["ip_adapters"] = (IpAdapterUri(model="./ip.safetensors", scale=0.5),)
    if "t2i_adapters" in row.requires:
        said["t2i_adapters"] = (T2iAdapterUri(model="./t2i", scale=0.5),)
        said["image_seed"] = ImageSeed("a.png")
    if "adetailer_detectors" in row.requires:
        said["adetailer_detectors"] = (NamedUri("color", (("color", "red"),)),)
    if "sdxl_refiner" in row.requires:
        said["sdxl_refiner"] = RefinerUri(model="./refiner")
    for quantizer in {"quantizer", "second_quantizer"} & set(row.requires):
        said |= {quantizer: data.draw(values_of(ROWS[quantizer].value)), "sdxl_refiner": RefinerUri(model="./refiner")}
    if "num_images_per_prompt" in row.requires:
        said["num_images_per_prompt"] = 2
    if row.stage is Stage.LOAD and name not in {"vae", "scheduler", "t2i_adapters"}:
        said["image_seed"] = ImageSeed("it's a {{ picture }} $HOME.png", mask="m;1.png")
    job = resolve(Request(**said), facts, "cpu", NoPictures())
    text = config(job, tmp_path)
    script, replayed = read_again(text, tmp_path, facts)
    assert script.recorded() == replayed.recorded() == job.recorded()
    assert config(replayed, tmp_path) == text


def test_inputs_are_named_from_the_folder_of_the_config(tmp_path: Path) -> None:
    folder = tmp_path / "outer" / "output"
    seed = ImageSeed(str(tmp_path / "outer" / "in" / "a.png"))
    job = resolve(Request(model="builtin:shapes", seed=1, image_seed=seed), SD, "cpu", NoPictures())
    text = config(job, folder)
    assert "--image-seeds ../in/a.png" in text
    assert str(tmp_path) not in text
    moved = tmp_path / "moved" / "output"
    (again, _) = read_again(text, moved, SD)
    assert again.request.image_seed == replace(seed, image=str(tmp_path / "moved" / "in" / "a.png"))


def test_config_holds_no_token_query_or_device(tmp_path: Path) -> None:
    request = Request(
        model="https://example.org/m.safetensors?token=secret", seed=1, auth_token="secret", device="cuda",
        image_seed=ImageSeed("https://example.org/a.png?key=secret"),
    )  # fmt: skip
    text = config(resolve(request, SD, "cuda", NoPictures()), tmp_path)
    assert "secret" not in text
    assert "cuda" not in text
