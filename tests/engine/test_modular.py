"""Models with the index of a modular pipeline run: through its blocks, or as the ordinary model that they are."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench, as_modular, picture, pixels

from dgen.cli.main import main
from dgen.engine.processors import load_reader
from dgen.engine.protocol import EngineError, Inputs
from dgen.events import ComponentLoaded
from dgen.families.inspection import inspect_folder
from dgen.options.attachments import LoraUri
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size

INDEX = "modular_model_index.json"
SIZE = {"output_size": Size(64, 64)}
ALONE = {"prompt": Prompt("a red circle")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy models that have the index of a modular pipeline alone, moved since it was written."""
    import toy_blocks

    made = tmp_path_factory.mktemp("blocks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in toy_blocks.BLOCKS.items():
            make(made / "written" / name)
    return (made / "written").rename(made / "moved")


def plainly(model: Path, pipeline: str, guidance: float | None = None, **call: Any) -> list[bytes]:
    """Run the blocks of a modular pipeline as diffusers' documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch
        from transformers import Qwen3VLProcessor

        cls = getattr(diffusers, pipeline)
        blocks = getattr(diffusers, cls.default_blocks_name)()
        blocks.sub_blocks.pop("prompt_upsampler", None)
        pipe = cls(blocks, pretrained_model_name_or_path=str(model))
        told = json.loads((model / INDEX).read_text(encoding="utf-8"))
        names = [name for name in pipe.pretrained_component_names if name != "tokenizer" or "flux3" not in model.name]
        pipe.load_components(names=names, pretrained_model_name_or_path=str(model))
        if told["tokenizer"][1] == "Qwen3VLProcessor":
            pipe.update_components(tokenizer=load_reader(Qwen3VLProcessor, model / "tokenizer"))
        if guidance is not None:
            pipe.update_components(guider=pipe.guider.new(guidance_scale=guidance))
        given = {"height": 64, "width": 64, "num_inference_steps": 2, **call}
        images = pipe(prompt="a red circle", generator=torch.Generator("cpu").manual_seed(7), **given, output="images")
    return [image.tobytes() for image in images]


@pytest.mark.parametrize(
    ("name", "pipeline", "mode", "said", "guidance", "call"),
    [
        ("anima", "AnimaModularPipeline", "txt2img", {}, None, {"negative_prompt": "blurry"}),
        ("anima", "AnimaModularPipeline", "txt2img", {"guidance_scale": 2.0}, 2.0, {"negative_prompt": "blurry"}),
        ("anima", "AnimaModularPipeline", "img2img", {}, None, {"negative_prompt": "blurry", "strength": 0.9}),
        ("flux3", "Flux3ModularPipeline", "txt2img", {}, None, {"negative_prompt": "blurry"}),
        ("flux3", "Flux3ModularPipeline", "img2img", {}, None, {"negative_prompt": "blurry"}),
        ("flux3-distilled", "Flux3DistilledModularPipeline", "txt2img", ALONE, None, {}),
        ("flux3-distilled", "Flux3DistilledModularPipeline", "img2img", ALONE, None, {}),
    ],
)
def test_blocks_make_what_a_plain_call_of_them_makes(
    folder: Path, shared_bench: Bench, name: str, pipeline: str, mode: str, said: Any, guidance: Any, call: Any
) -> None:
    job = shared_bench.job(folder / name, mode, **(SIZE if mode == "txt2img" else {}), **said)
    steps: list[tuple[int, int]] = []
    made = shared_bench.engine.render(job, INPUTS[mode], lambda step, of: steps.append((step, of)))
    given = {"image": picture()} if mode == "img2img" else {}
    assert (job.family, job.pipeline, job.mode) == (name, pipeline, mode)
    assert pixels(made) == plainly(folder / name, pipeline, guidance, **given, **call)
    assert steps == [(1, 2), (2, 2)]


def test_flux3_looks_at_all_pictures_together(folder: Path, shared_bench: Bench) -> None:
    job = shared_bench.job(folder / "flux3", "img2img", image_seed=ImageSeed("seed", batch=("seed",)))
    other = picture().rotate(90)
    made = shared_bench.engine.render(job, Inputs(picture(), batch=(other,)), lambda step, of: None)
    call = {"negative_prompt": "blurry", "image": [picture(), other]}
    assert pixels(made) == plainly(folder / "flux3", "Flux3ModularPipeline", **call)


def test_model_with_a_modular_index_alone_is_the_ordinary_model(folder: Path, shared_bench: Bench) -> None:
    ordinary = folder.parent / "written" / "z-image-plain"
    job = shared_bench.job(folder / "z-image", **SIZE)
    assert (job.family, job.pipeline) == ("z-image", "ZImagePipeline")
    plain = shared_bench.render(folder / "z-image-plain", **SIZE)
    assert pixels(shared_bench.render(folder / "z-image", **SIZE)) == pixels(plain)
    assert not ordinary.exists()


@pytest.mark.parametrize(
    ("name", "pipeline", "left_out", "mode", "said"),
    [
        ("qwen-image", "QwenImageModularPipeline", (), "txt2img", SIZE),
        ("qwen-image-edit", "QwenImageEditModularPipeline", ("tokenizer",), "img2img", {"num_inference_steps": 1}),
        ("flux2-klein", "Flux2KleinModularPipeline", (), "txt2img", {**SIZE, **ALONE}),
        ("krea2@distilled", "Krea2TurboModularPipeline", ("is_distilled",), "txt2img", SIZE),
    ],
)
def test_model_is_the_same_with_either_index(
    tmp_path: Path, name: str, pipeline: str, left_out: tuple[str, ...], mode: str, said: dict[str, Any]
) -> None:
    import toy_makers
    import toy_today

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = {**toy_today.TODAY, **toy_makers.MAKERS}[name](tmp_path / name)
    before, ordinary = pixels(Bench().render(model, mode, **said)), Bench().job(model, mode, **said)
    as_modular(model, pipeline, left_out)
    assert Bench().job(model, mode, **said) == ordinary
    assert pixels(Bench().render(model, mode, **said)) == before


@pytest.mark.parametrize(
    ("pipeline", "family"),
    [
        ("StableDiffusionXLModularPipeline", "sdxl"), ("StableDiffusion3ModularPipeline", "sd3"),
        ("FluxModularPipeline", "flux"), ("FluxKontextModularPipeline", "flux-kontext"),
        ("Flux2ModularPipeline", "flux2"), ("QwenImageEditPlusModularPipeline", "qwen-image-edit-plus"),
        ("QwenImageLayeredModularPipeline", "qwen-image-layered"), ("WanModularPipeline", "wan"),
        ("Wan22Image2VideoModularPipeline", "wan"), ("Wan22VaceModularPipeline", "wan-vace"),
        ("LTXModularPipeline", "ltx"), ("LTX2ModularPipeline", "ltx2"),
        ("HunyuanVideo15ModularPipeline", "hunyuan-video-1.5"), ("HeliosModularPipeline", "helios"),
        ("LTX25ModularPipeline", "ltx2.5"),
        ("HeliosPyramidModularPipeline", "helios-pyramid"),
        ("HeliosPyramidDistilledModularPipeline", "helios-pyramid"), ("ErnieImageModularPipeline", "ernie-image"),
        ("QwenImage21TurboModularPipeline", "qwen-image-21"), ("Ideogram4ModularPipeline", "ideogram4"),
    ],
)  # fmt: skip
def test_family_is_told_from_a_modular_index(tmp_path: Path, pipeline: str, family: str) -> None:
    import diffusers

    (tmp_path / INDEX).write_text(json.dumps({"_class_name": pipeline}), encoding="utf-8")
    facts = inspect_folder(tmp_path)
    assert facts.family.name == family
    assert hasattr(diffusers, pipeline)
    assert facts.pipeline in facts.family.classes


def test_part_that_the_index_places_in_another_model_comes_from_there_once(folder: Path, tmp_path: Path) -> None:
    thin = tmp_path / "thin"
    shutil.copytree(folder / "z-image", thin, ignore=lambda _, names: {"text_encoder"} & set(names))
    told = json.loads((thin / INDEX).read_text(encoding="utf-8"))
    told["text_encoder"][2] |= {"pretrained_model_name_or_path": str(folder / "z-image"), "subfolder": "text_encoder"}
    (thin / INDEX).write_text(json.dumps(told), encoding="utf-8")
    bench = Bench()
    made = [pixels(bench.render(model, **SIZE)) for model in (thin, folder / "z-image")]
    assert made[0] == made[1]
    assert [event.kind for event in bench.of(ComponentLoaded)].count("text_encoder") == 1
    files = [file for each in bench.engine.model_files(bench.job(thin).request) for file in each.files]
    assert folder / "z-image" / "text_encoder" / "model.safetensors" in files


def test_class_that_an_index_leaves_open_is_read_from_the_settings_of_the_part(
    folder: Path, tmp_path: Path, shared_bench: Bench
) -> None:
    open_one = tmp_path / "open"
    shutil.copytree(folder / "z-image", open_one)
    told = json.loads((open_one / INDEX).read_text(encoding="utf-8"))
    for kind in ("transformer", "text_encoder"):
        told[kind][:2] = [None, None]
    (open_one / INDEX).write_text(json.dumps(told), encoding="utf-8")
    assert pixels(shared_bench.render(open_one, **SIZE)) == pixels(shared_bench.render(folder / "z-image", **SIZE))


@pytest.mark.parametrize("name", ["anima", "flux3"])
def test_lora_acts_on_blocks_and_leaves_no_trace(folder: Path, shared_bench: Bench, name: str) -> None:
    import toy_families

    lora = toy_families.make_transformer_lora(folder / f"{name}-lora", folder / name)
    before = pixels(shared_bench.render(folder / name, **SIZE))
    assert pixels(shared_bench.render(folder / name, **SIZE, loras=(LoraUri(model=str(lora)),))) != before
    assert pixels(shared_bench.render(folder / name, **SIZE)) == before


def test_latents_of_blocks_are_written_and_started_from(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "anima"), "--prompts", "a", "--output-size", "64x64", "--inference-steps", "1"]
    assert main([*words, "--image-format", "safetensors", "--output-path", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*.safetensors")
    assert main([*words, "--image-seeds", f"latents: {file}", "--output-path", str(tmp_path / "again")]) == 0
    assert len(list((tmp_path / "again").glob("*.png"))) == 1
    from safetensors.torch import load_file

    assert tuple(load_file(file)["latents"].shape) == (4, 8, 8)


def test_model_of_blocks_is_written_as_one_and_runs_again(folder: Path, tmp_path: Path, shared_bench: Bench) -> None:
    assert main(["to-diffusers", str(folder / "flux3"), "--output", str(tmp_path / "copy")]) == 0
    told = json.loads((tmp_path / "copy" / INDEX).read_text(encoding="utf-8"))
    assert str(tmp_path) not in json.dumps(told)
    assert pixels(shared_bench.render(tmp_path / "copy", **SIZE)) == pixels(
        shared_bench.render(folder / "flux3", **SIZE)
    )


def test_plan_and_model_page_know_a_model_of_blocks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "flux3"), "--prompts", "a", "--output-path", str(tmp_path)]
    assert main(["plan", *words]) == 0
    assert "1024x1024" in capsys.readouterr().out
    assert main(["model", str(folder / "anima"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["family"], sorted(told["modes"])) == ("anima", ["img2img", "txt2img"])
    assert {part["kind"] for part in told["parts"]} >= {"text_conditioner", "t5_tokenizer", "transformer", "vae"}


@pytest.mark.parametrize(
    ("file", "told", "message"),
    [
        (INDEX, {"auto_map": {"ModularPipelineBlocks": "block.Own"}}, "is put together by code of its own"),
        (
            "modular_config.json",
            {"auto_map": {"ModularPipelineBlocks": "block.Own"}},
            "its `modular_config.json` names",
        ),
        (INDEX, {"_class_name": "MiniMaxMusic3ModularPipeline"}, "is made for `MiniMaxMusic3ModularPipeline`"),
        (INDEX, {"_class_name": "ModularPipeline"}, "is made for `ModularPipeline` of diffusers, which no family runs"),
    ],
)
def test_blocks_that_would_run_code_or_that_no_family_runs_are_refused(
    folder: Path, tmp_path: Path, file: str, told: dict[str, Any], message: str
) -> None:
    own = {"_class_name": "ZImageModularPipeline"}
    (tmp_path / INDEX).write_text(json.dumps(own), encoding="utf-8")
    (tmp_path / file).write_text(json.dumps({**(own if file == INDEX else {}), **told}), encoding="utf-8")
    with pytest.raises(EngineError, match="bad-model|" + message.replace("`", ".")) as caught:
        Bench().job(tmp_path, **SIZE)
    assert (caught.value.code, message in caught.value.message) == ("bad-model", True)
