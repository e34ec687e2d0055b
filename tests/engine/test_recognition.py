"""Every family is told as itself: by an index, a modular index, the tensors of a file, or the name of one."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from published_names import FIXED, FURTHER, PUBLISHED, write_published

from dgen.cli.main import main
from dgen.engine.trace import TraceEngine
from dgen.families.checkpoints import DENOISERS
from dgen.families.inspection import inspect_file, inspect_folder
from dgen.families.rows import FAMILIES
from dgen.options.request import Request

PUBLISHED_AS: Mapping[str, tuple[str, str]] = {
    "flux-fill": ("flux1-fill-dev.safetensors", "flux"),
    "flux-kontext": ("flux1-kontext-dev.safetensors", "flux"),
    "qwen-image-edit": ("qwen_image_edit_fp8_e4m3fn.safetensors", "qwen-image"),
    "qwen-image-edit-plus": ("Qwen-Image-Edit-2509-Q4.safetensors", "qwen-image"),
    "pixart-alpha": ("PixArt-XL-2-512x512.safetensors", "pixart-sigma"),
    "chronoedit": ("chronoedit_14B_fp16.safetensors", "wan"),
    "skyreels-v2": ("Wan2_1-SkyReels-V2-T2V-14B-540P.safetensors", "wan"),
    "skyreels-v2-df": ("Wan2_1-SkyReels-V2-DF-14B-540P.safetensors", "wan"),
    "bria-fibo-edit": ("fibo-edit-bf16.safetensors", "bria-fibo"),
    "longcat-image": ("longcat_image_bf16.safetensors", "bria"),
    "longcat-image-edit": ("longcat-image-edit-bf16.safetensors", "bria"),
    "dreamlite-mobile": ("DreamLite-Mobile.safetensors", "dreamlite"),
    "kandinsky5-edit": ("kandinsky5lite_i2i.safetensors", "kandinsky5-video"),
    "kandinsky5-video-i2v": ("kandinsky5lite_i2v_5s.safetensors", "kandinsky5-video"),
    "marigold-depth": ("marigold-depth-v1-1.safetensors", "pix2pix"),
    "marigold-normals": ("marigold-normals-v1-1.safetensors", "pix2pix"),
    "helios-pyramid": ("helios-pyramid-bf16.safetensors", "helios"),
    "ltx2.5": ("ltx-2.5-22b.safetensors", "ltx2"),
    "echo": ("echo_bf16.safetensors", "ltx2"),
    "wan-animate-2-distilled": ("wan_animate_2_distilled_bf16.safetensors", "wan-animate-2"),
    "hunyuan-video-i2v": ("hunyuan_video_I2V_fp8.safetensors", "hunyuan-video"),
    "hunyuan-video-1.5-i2v": ("hunyuanvideo1.5_720p_i2v_fp16.safetensors", "hunyuan-video-1.5"),
}
"""Families whose denoisers have the tensors of another one's: how their files are called, and that other family.

FLUX.1 Fill has more input channels, but not as a toy; PixArt-α has further tensors where it draws 1024 pixels; the
first HunyuanVideo I2V has more input channels.
"""

SHARED = {"ifs-img2img": "ifs"}
"""Families whose pipeline is that of another one, whose index therefore tells that one."""


@pytest.fixture(scope="module")
def denoisers(every_toy: Path, more_toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The file with the denoiser of a toy of each family."""
    import toy_families
    import toy_guided
    import toy_models

    made = tmp_path_factory.mktemp("others")
    folders = {toy.name: toy for place in (every_toy, more_toys) for toy in place.iterdir() if toy.name in FAMILIES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folders["pix2pix"] = toy_models.make_sd(made / "pix2pix", in_channels=8)
        folders["s-cascade"] = toy_guided.make_cascade(made / "s-cascade")
        folders["sd3-pix2pix"] = toy_families.make_sd3_pix2pix(made / "sd3-pix2pix", channels=33)
    kinds = (*DENOISERS, "prior")
    return {n: next(f for k in kinds for f in sorted((toy / k).glob("*.safetensors"))) for n, toy in folders.items()}


MORE = {"sana": {"sana-sprint"}, "z-image": {"z-image-omni"}, "ifs": {"ifs-img2img"}}
"""Further families that a file may be of: published ones without what tells them, and other uses of the same."""

WITHOUT_A_FILE = {
    "ifs-img2img": "another way to use the models of `ifs`",
    "animatediff-sdxl": "published as a motion adapter alone, which `--motion-adapter` takes beside a model of `sdxl`",
}
"""Families of which no file has a denoiser, and why."""


def test_every_family_has_a_toy_here(denoisers: dict[str, Path]) -> None:
    assert set(FAMILIES) - set(denoisers) == set(WITHOUT_A_FILE)


def test_tensors_tell_every_family_or_the_one_that_they_are_those_of(
    denoisers: dict[str, Path], tmp_path: Path
) -> None:
    found = {}
    for name, file in denoisers.items():
        (tmp_path / f"{len(found)}.safetensors").symlink_to(file)
        found[name] = inspect_file(tmp_path / f"{len(found)}.safetensors")
    plain = {name: PUBLISHED_AS[name][1] if name in PUBLISHED_AS else name for name in found}
    assert {name: facts.family.name for name, facts in found.items()} == plain
    assert all(facts.told_by.startswith("its tensors") for facts in found.values())
    alike = {plain: {n for n, (_, other) in PUBLISHED_AS.items() if other == plain} for plain in FAMILIES}
    for name, facts in found.items():
        told = set(re.findall("`(.*?)`", facts.told_by))
        assert told <= alike[plain[name]] | MORE.get(plain[name], set())
        assert name == plain[name] or name in told


@pytest.mark.parametrize("name", sorted(PUBLISHED_AS))
def test_name_tells_a_family_from_the_one_with_the_same_tensors(
    denoisers: dict[str, Path], tmp_path: Path, name: str
) -> None:
    file = tmp_path / PUBLISHED_AS[name][0]
    file.symlink_to(denoisers[name])
    facts = inspect_file(file)
    assert facts.family.name == name
    assert facts.told_by.endswith(" in its name")
    other = inspect_file(file, FAMILIES[PUBLISHED_AS[name][1]])
    assert (other.family.name, other.told_by) == (PUBLISHED_AS[name][1], "`--model-type`")


CONVERTED = {**PUBLISHED, **FURTHER, **{name: how for name, (how, _) in FIXED.items()}}


@pytest.mark.parametrize("name", sorted(CONVERTED))
def test_published_names_tell_the_family(every_toy: Path, more_toys: Path, tmp_path: Path, name: str) -> None:
    toy = next(place / name for place in (every_toy, more_toys) if (place / name).is_dir())
    wanted = "wan" if name == "wan-image" else PUBLISHED_AS.get(name, (None, name))[1]
    for is_prefixed in (False, True):
        file = tmp_path / f"{is_prefixed}.safetensors"
        facts = inspect_file(write_published(toy, CONVERTED[name], file, is_prefixed=is_prefixed))
        assert facts.family.name == wanted
        assert facts.told_by.startswith("its tensors")


def test_index_of_the_configuration_says_which_of_them_a_file_is(
    every_toy: Path, denoisers: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "x.safetensors").symlink_to(denoisers["flux-kontext"])

    def told(name: str, **said: str) -> tuple[str, str]:
        facts = TraceEngine().inspect(Request(model=str(tmp_path / name), **said))
        return facts.family.name, facts.told_by

    by_index = "the index of its `--model-config`"
    assert told("x.safetensors", model_config=str(every_toy / "flux-kontext")) == ("flux-kontext", by_index)
    assert told("x.safetensors", model_config=str(every_toy / "flux"))[0] == "flux"
    (tmp_path / "edit.safetensors").symlink_to(denoisers["qwen-image-edit-plus"])
    config = str(every_toy / "qwen-image-edit-plus")
    assert told("edit.safetensors", model_config=config) == ("qwen-image-edit-plus", by_index)
    assert told("edit.safetensors", model_config=str(every_toy / "qwen-image")) == (
        "qwen-image-edit", "`edit` in its name",
    )  # fmt: skip
    assert told("edit.safetensors", model_config=config, model_type="qwen-image-edit-plus")[1] == "`--model-type`"


def test_page_of_a_model_says_what_decided(
    denoisers: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lines in (
        ("z_image_turbo.safetensors", [
            "told by its tensors, which `z-image-omni` can have as well",
            "distilled, told by `z-image-turbo` in its name: its defaults are those of its card",
        ]),
        ("z-image-omni.safetensors", ["told by `omni` in its name", "parts:"]),
    ):  # fmt: skip
        write_published(denoisers["z-image"].parent.parent, PUBLISHED["z-image"], tmp_path / name)
        assert main(["model", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.splitlines()[1:3] == lines


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_index_tells_the_family(name: str, tmp_path: Path) -> None:
    for pipeline in FAMILIES[name].pipelines.values():
        (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        facts = inspect_folder(tmp_path)
        assert (facts.family.name, facts.told_by) == (SHARED.get(name, name), "its index")


@pytest.mark.parametrize(("name", "pipeline"), [(n, p) for n, f in FAMILIES.items() for p in f.modular])
def test_modular_index_tells_the_family(name: str, pipeline: str, tmp_path: Path) -> None:
    (tmp_path / "modular_model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(dict(FAMILIES[name].modular_settings)))
    facts = inspect_folder(tmp_path)
    assert (facts.family.name, facts.told_by) == (name, "its index")
