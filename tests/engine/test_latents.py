"""Latents as files and parts of a schedule are those of plain calls of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, pixels

from dgen.cli.main import main
from dgen.engine.latents import Latents, read
from dgen.engine.libraries import quiet
from dgen.engine.protocol import EngineError, Inputs
from dgen.values.image_seed import ImageSeedText
from dgen.values.uri import NamedUri

SAID: dict[str, Any] = {"prompt": "a red circle", "negative_prompt": "blurry", "guidance_scale": 5.0}
SIZE = {"height": 64, "width": 64}
EULER = NamedUri("EulerDiscreteScheduler")
MODELS = (("sd", "StableDiffusion"), ("sdxl", "StableDiffusionXL"))


@pytest.fixture(scope="module")
def plain(toys: Path) -> Callable[..., Any]:
    """Call a pipeline of diffusers and return what it gives."""
    loaded: dict[tuple[str, str], Any] = {}

    def call(pipeline: str, model: str, scheduler: str = "DDIMScheduler", **named: Any) -> Any:
        import diffusers
        import torch

        with quiet():
            if (pipeline, model) not in loaded:
                options = {"safety_checker": None} if model == "sd" else {}
                loaded[pipeline, model] = getattr(diffusers, pipeline).from_pretrained(toys / model, **options)
            pipe = loaded[pipeline, model]
            pipe.scheduler = getattr(diffusers, scheduler).from_config(pipe.scheduler.config)
            pipe.set_progress_bar_config(disable=True)
            return pipe(generator=torch.Generator("cpu").manual_seed(7), **SAID, **named).images

    return call


def start(bench: Bench, model: Path, text: str, *files: Path, **said: Any) -> Any:
    """Render a job that starts from files of latents."""
    seed = ImageSeedText().parse(text)
    inputs = Inputs(image_latents=files[0]) if seed.is_latent else Inputs(latents=files)
    job = bench.job(model, image_seed=seed, **said)
    return bench.engine.render(job, inputs, lambda step, steps: None)


def written(made: Any, folder: Path, ending: str = "safetensors") -> Path:
    path = folder / f"made.{ending}"
    with path.open("wb") as file:
        made.latents[0].write(file, ending, {"note": "x"})
    return path


@pytest.mark.parametrize(("model", "family"), MODELS)
def test_latents_are_what_a_plain_call_gives_and_read_back(
    shared_bench: Bench, toys: Path, plain: Any, tmp_path: Path, model: str, family: str
) -> None:
    import torch

    wanted = plain(f"{family}Pipeline", model, output_type="latent", num_inference_steps=2, **SIZE)
    for ending in ("safetensors", "pt", "pth"):
        made = shared_bench.render(toys / model, image_format=ending)
        assert made.images == ()
        assert torch.equal(made.latents[0].tensor[None], wanted)
        path = written(made, tmp_path, ending)
        assert torch.equal(read(path), wanted)
        before = path.read_bytes()
        assert written(made, tmp_path, ending).read_bytes() == before


@pytest.mark.parametrize(("model", "family"), MODELS)
def test_latents_in_place_of_an_image_are_those_of_a_plain_call(
    shared_bench: Bench, toys: Path, plain: Any, tmp_path: Path, model: str, family: str
) -> None:
    path = written(shared_bench.render(toys / model, image_format="safetensors"), tmp_path)
    wanted = plain(f"{family}Img2ImgPipeline", model, image=read(path), strength=0.5, num_inference_steps=4)
    made = start(shared_bench, toys / model, "made.safetensors", path, strength=0.5, num_inference_steps=4)
    assert pixels(made) == [wanted[0].convert("RGB").tobytes()]
    halved = {"img2img_latents_processors": (NamedUri("scale", (("factor", "0.5"),)),)}
    wanted = plain(f"{family}Img2ImgPipeline", model, image=read(path) * 0.5, strength=0.5, num_inference_steps=4)
    made = start(shared_bench, toys / model, "made.safetensors", path, strength=0.5, num_inference_steps=4, **halved)
    assert pixels(made) == [wanted[0].convert("RGB").tobytes()]


def test_latents_in_place_of_noise_are_those_of_a_plain_call(
    shared_bench: Bench, toys: Path, plain: Any, tmp_path: Path
) -> None:
    import torch

    noise = torch.randn((2, 4, 32, 32), generator=torch.Generator().manual_seed(1))
    files = [tmp_path / f"{n}.safetensors" for n in "ab"]
    for number, path in enumerate(files):
        with path.open("wb") as file:
            Latents(noise[number]).write(file, "safetensors", {})
    wanted = plain(
        "StableDiffusionPipeline", "sd", "EulerDiscreteScheduler", latents=noise * 0.5, num_images_per_prompt=2,
        num_inference_steps=2, **SIZE,
    )  # fmt: skip
    half = {"latents_processors": (NamedUri("scale", (("factor", "0.5"),)),)}
    text = f"latents: {files[0]}, {files[1]}"
    made = start(shared_bench, toys / "sd", text, *files, scheduler=EULER, **half)
    assert pixels(made) == [image.convert("RGB").tobytes() for image in wanted]


def test_two_parts_of_a_schedule_are_those_of_sdxl_itself(
    shared_bench: Bench, toys: Path, plain: Any, tmp_path: Path
) -> None:
    import torch

    said = {"scheduler": EULER, "num_inference_steps": 5}
    first = shared_bench.render(toys / "sdxl", denoising_end=0.6, image_format="safetensors", **said)
    wanted = plain(
        "StableDiffusionXLPipeline", "sdxl", "EulerDiscreteScheduler", denoising_end=0.6, output_type="latent",
        num_inference_steps=5, **SIZE,
    )  # fmt: skip
    assert torch.equal(first.latents[0].tensor[None], wanted)
    path = written(first, tmp_path)
    whole = plain(
        "StableDiffusionXLImg2ImgPipeline", "sdxl", "EulerDiscreteScheduler", image=wanted, denoising_start=0.6,
        num_inference_steps=5,
    )  # fmt: skip
    second = start(shared_bench, toys / "sdxl", "latents: made.safetensors", path, denoising_start=0.6, **said)
    assert pixels(second) == [whole[0].convert("RGB").tobytes()]


@pytest.mark.parametrize("name", ["EulerDiscrete", "DDIM", "DPMSolverMultistep", "HeunDiscrete", "DDPM"])
def test_two_parts_of_a_schedule_make_the_whole(shared_bench: Bench, toys: Path, tmp_path: Path, name: str) -> None:
    """For solvers of one step, bit for bit; one that looks back begins anew."""
    said: dict[str, Any] = {"scheduler": NamedUri(f"{name}Scheduler"), "num_inference_steps": 6}
    told: list[tuple[int, int]] = []
    job = shared_bench.job(toys / "sd", denoising_end=0.5, image_format="safetensors", **said)
    first = shared_bench.engine.render(job, Inputs(), lambda step, steps: told.append((step, steps)))
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert len(told) < 6 * (2 if name == "HeunDiscrete" else 1)
    path = written(first, tmp_path)
    second = start(shared_bench, toys / "sd", "latents: made.safetensors", path, denoising_start=0.5, **said)
    if name in ("EulerDiscrete", "DDIM", "HeunDiscrete"):
        assert pixels(second) == pixels(shared_bench.render(toys / "sd", **said))


def test_noise_of_a_timestep_is_that_of_the_scheduler(shared_bench: Bench, toys: Path) -> None:
    import torch
    from diffusers import DDIMScheduler

    plain = shared_bench.render(toys / "sd", image_format="pt").latents[0].tensor[None]
    chain = (NamedUri("noise", (("timestep", "300"), ("seed", "4"))),)
    made = shared_bench.render(toys / "sd", image_format="pt", latents_post_processors=chain).latents[0].tensor[None]
    own = DDIMScheduler.from_pretrained(toys / "sd" / "scheduler")
    noise = torch.randn(plain.shape, generator=torch.Generator().manual_seed(4))
    assert torch.equal(made, own.add_noise(plain, noise, torch.tensor([300])))


def test_scale_normalizes_multiplies_and_clamps(shared_bench: Bench, toys: Path) -> None:
    import torch

    plain = shared_bench.render(toys / "sd", image_format="pt").latents[0].tensor
    uri = NamedUri("scale", (("normalize", "yes"), ("factor", "2"), ("clamp_min", "-3"), ("clamp_max", "2.5")))
    made = shared_bench.render(toys / "sd", image_format="pt", latents_post_processors=(uri,)).latents[0].tensor
    wanted = ((plain - plain.mean()) / plain.std() * 2).clamp(-3, 2.5)
    assert torch.allclose(made, wanted, atol=1e-5)


def test_part_of_a_schedule_leaves_the_next_job_alone(shared_bench: Bench, toys: Path, tmp_path: Path) -> None:
    before = pixels(shared_bench.render(toys / "sd"))
    made = shared_bench.render(toys / "sd", denoising_end=0.5, image_format="pt")
    start(shared_bench, toys / "sd", "latents: made.pt", written(made, tmp_path, "pt"), denoising_start=0.5)
    assert pixels(shared_bench.render(toys / "sd")) == before


@pytest.mark.parametrize(
    ("shape", "code"), [((4, 16, 16), "size-mismatch"), ((16, 32, 32), "bad-weights"), ((4, 9), "bad-file")]
)
def test_latents_that_do_not_fit_are_told(
    shared_bench: Bench, toys: Path, tmp_path: Path, shape: tuple[int, ...], code: str
) -> None:
    import torch

    path = tmp_path / "odd.safetensors"
    with path.open("wb") as file:
        Latents(torch.zeros(shape)).write(file, "safetensors", {})
    with pytest.raises(EngineError) as caught:
        start(shared_bench, toys / "sd", "latents: odd.safetensors", path)
    assert (caught.value.code, caught.value.option) == (code, "image_seed")


def test_two_scripts_hand_latents_over(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (at_work / "s.dgen").write_text(
        'toy --prompts "a star" --seeds 1 --inference-steps 4 --denoising-end 0.5 -if safetensors -o one\n'
        'toy --prompts "a star" --seeds 1 --inference-steps 4 --denoising-start 0.5 --image-seeds '
        '"latents: {{ last_images[0] }}" -o two\n'
        'toy --prompts "a star" --seeds 1 --inference-steps 4 -o whole\n'
    )
    assert main(["s.dgen", "--quiet"]) == 0, capfd.readouterr().err
    from PIL import Image

    (two,), (whole,), (one,) = ((at_work / f).glob("*.[ps][na]*") for f in ("two", "whole", "one"))
    with Image.open(two) as a, Image.open(whole) as b:
        assert a.convert("RGB").tobytes() == b.convert("RGB").tobytes()
    assert main(["replay", str(one), "-o", "again", "--quiet"]) == 0, capfd.readouterr().err
    assert next((at_work / "again").glob("*.safetensors")).read_bytes() == one.read_bytes()
