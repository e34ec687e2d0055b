"""A job leaves no trace: A after B is A as it is without any B, bit for bit, also when B failed half-way.

B comes first, on an engine that holds nothing: libraries prepare some things at a model's first use, and the job of
that use must not take them away with it. B's own picture is replayed then, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from workshop import figure

from dgen.diagnostic import Source
from dgen.engine.render import LocalEngine
from dgen.events import Event, FileSaved, JobRendered, StepDone
from dgen.options.request import ROWS, Request
from dgen.schema import Stage
from dgen.session import Session
from dgen.verifying import VerifyingSession

_ADAPTED = "--image-seeds 'adapter: seed.png'"

WITH = {
    "toy": [
        "--vae 'AutoencoderKL;model=other-vae'",
        "--batch-size 2 --vae-tiling --vae-slicing",
        "--dtype bfloat16",
        "--loras lora;scale=0.5",
        "--loras lora lora.safetensors --lora-fuse-scale 0.8",
        "--prompts <badge> --textual-inversions word",
        "--control-nets edges;scale=0.5;end=0.6 --image-seeds seed.png",
        "--control-nets edges depths --image-seeds 'seed.png, mask.png' --control-image-processors invert",
        "--control-nets edges --loras lora --image-seeds 'seed.png;mask=mask.png;control=mask.png'",
        "--t2i-adapters t2i;scale=0.8 --image-seeds seed.png",
        f"--ip-adapters 'ip;weight-name=ip.safetensors;scale=0.6' --image-encoder ip/image_encoder {_ADAPTED}",
        f"--ip-adapters 'ip;weight-name=ip.safetensors' --loras lora {_ADAPTED}",
        "--image-seeds seed.png --image-seed-strengths 0.6 --seed-image-processors mirror --no-aspect",
        "--image-seeds 'seed.png;mask=mask.png' --mask-image-processors invert",
        "--guidance-scales 1 --guidance-rescales 0.5 --clip-skips 1 --output-size 32x96",
        "--prompts '(a red:1.5) [circle]' --prompt-weighter compel",
        "--sigmas 10,2,0.5 --scheduler EulerDiscrete",
        "--timesteps 900,500,100 --scheduler DDPM",
        "--call eta=0.8",
        "--freeu-params 0.9,0.2,1.2,1.4",
        "--deep-cache --deep-cache-intervals 2 --deep-cache-branch-ids 0",
        "--hi-diffusion",
        "--hi-diffusion --hi-diffusion-no-win-attn --output-size 96x96 --control-nets edges --image-seeds seed.png",
        "--hi-diffusion --hi-diffusion-no-raunet --loras lora",
        "--pag --pag-scales 2 --pag-adaptive-scales 0.001",
        "--image-seeds 'seed.png;mask=mask.png' --inpaint-crop --inpaint-crop-paddings 8 --inpaint-crop-masked",
        "--image-seeds 'seed.png;mask=mask.png' --inpaint-crop --inpaint-crop-feathers 4 --mask-blur 2",
        "--image-seeds seed.png --outpaint left=32",
        "--image-seeds seed.png --adetailer-detectors 'color;color=orange' --adetailer-mask-shapes circle",
        "--image-seeds seed.png --adetailer-detectors 'color;color=orange' --adetailer-detector-paddings 2",
        "--control-nets edges --image-seeds 'seed.png;control=mask.png' --adetailer-detectors 'color;color=orange' "
        "--adetailer-crop-control-image --adetailer-class-filter 0 --adetailer-index-filter 0 --adetailer-model-masks "
        "--adetailer-mask-paddings 8 --adetailer-mask-blurs 0 --adetailer-mask-dilations 2 --adetailer-sizes 64",
        "--unet \"toy;quantizer='sdnq;type=uint4'\"",
        "--unet unet.gguf",
        "--text-encoders CLIPTextModel;model=toy;subfolder=text_encoder;quantizer=quanto",
        "--quantizer sdnq;type=uint4 --quantizer-map unet",
        "--offload model",
        "--offload group",
        "--offload sequential",
        "--post-processors invert",
    ],
    "toy-xl": [
        "--second-prompts 'a blue star; red' --sdxl-original-sizes 32x32 --sdxl-target-sizes 48x48",
        "--sdxl-crops-coords-top-left 8,8 --sdxl-negative-crops-coords-top-left 4,4",
        "--sdxl-negative-original-sizes 32x32 --sdxl-negative-target-sizes 48x48",
        "--loras xl-lora.safetensors",
        "--textual-inversions xl-word.safetensors --prompts '<xl-word>'",
        "--control-nets xl-edges --image-seeds seed.png",
        "--control-nets xl-union;mode=canny --image-seeds seed.png",
        "--t2i-adapters xl-t2i --sdxl-t2i-adapter-factors 0.5 --image-seeds seed.png",
        f"--ip-adapters 'ip;weight-name=xl-ip.safetensors' --image-encoder ip/image_encoder {_ADAPTED}",
        "--dtype float16 --image-seeds seed.png",
        "--denoising-end 0.5",
        "--sdxl-refiner toy-refiner --second-model-scheduler EulerDiscrete --sdxl-refiner-freeu-params 0.9,0.2,1.2,1.4",
        "--sdxl-refiner toy-refiner --sdxl-refiner-edit --sdxl-high-noise-fractions 0.5 --second-model-prompts star",
        "--sdxl-refiner toy-refiner --sdxl-refiner-pag --second-model-inference-steps 6",
        "--freeu-params 0.6,0.4,1.1,1.2 --pag --deep-cache --loras xl-lora.safetensors",
    ],
    "toy-checked": ["--safety-checker"],
    "toy-sd3": [
        "--prompts '(a red:1.5) [circle]' --third-prompts '(star:0.5)' --prompt-weighter sd-embed",
        "--ras --ras-index-fusion --ras-sample-ratios 0.4 --ras-high-ratios 0.8 --ras-starvation-scales 0.5 "
        "--ras-error-reset-steps 9 --ras-metrics l2norm --ras-start-steps 1 --ras-end-steps 3 --ras-skip-num-steps 4 "
        "--ras-skip-num-step-lengths 1",
        "--step-cache 'MagCache;threshold=9;retention-ratio=0.1;mag-ratios=1,1'",
        "--step-cache 'FasterCache;spatial-attention-timestep-skip-range=0,1000'",
    ],
    "toy-flux": [
        "--step-cache FirstBlock;threshold=9",
        "--prompts '(a red:1.5) [circle]' --max-sequence-length 64 --prompt-weighter sd-embed",
        "--control-nets flux-union;mode=pose flux-edges --image-seeds 'seed.png, mask.png'",
        f"--ip-adapters 'ip;weight-name=flux-ip.safetensors' --image-encoder ip/image_encoder {_ADAPTED}",
        "--transformer toy-flux;dtype=bfloat16",
        "--transformer flux.gguf",
        "--tea-cache --tea-cache-rel-l1-thresholds 1",
        "--tea-cache --control-nets flux-edges --image-seeds seed.png",
        "--step-cache 'TaylorSeer;cache-interval=3;disable-cache-before-step=1'",
    ],
}
"""What B says beside the model, by the model that A is too."""

ELSEWHERE = {
    "model", "model_type", "revision", "variant", "subfolder", "original_config", "model_config",  # another model
    "noise_level", "image_guidance_scale", "s_cascade_decoder", "prior", "layers",  # other families
    "aesthetic_score", "negative_aesthetic_score", "second_aesthetic_score", "second_negative_aesthetic_score",
    "second_original_config", "second_model_config",  # of a refiner in a file
    "num_frames", "fps", "motion_adapter",  # of videos
    "seed", "num_inference_steps", "frame_start", "frame_end",  # in every job, or in none of a picture
    "denoising_start", "latents_processors", "img2img_latents_processors", "latents_post_processors",  # no picture
}  # fmt: skip
"""Options that B need not say."""


NEEDS = {"DPMSolverSDEScheduler": "torchsde", "LMSDiscreteScheduler": "scipy"}
"""Packages of single schedulers."""


class Runs:
    """A session, its files, the pixels of its pictures, and a way to let jobs fail after their first step."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.files: list[Path] = []
        self.fails = False
        engine = LocalEngine(self.listen)
        self.session, self.verifier = Session(engine, self.listen), VerifyingSession(engine)
        self._undisturbed: dict[str, bytes] = {}

    def listen(self, event: Event) -> None:
        if isinstance(event, FileSaved):
            self.files.append(Path(event.path))
        if isinstance(event, JobRendered):
            self.pictures += [image.tobytes() for image in event.images]
        if isinstance(event, StepDone) and self.fails:
            raise KeyboardInterrupt

    def run(self, model: str, said: str) -> bytes:
        prompt = "" if "--prompts" in said else "--prompts 'a red circle'"
        steps = 4 if said.startswith("--scheduler") else 3  # with 3, some schedulers fail
        has_size = "--output-size" in said or ("--image-seeds" in said and "adapter:" not in said)
        size = "" if has_size else "--output-size 32x32"
        text = f"{model} {prompt} --seeds 7 --inference-steps {steps} {size} {said}\n"
        self.session.run(Source("test", text))
        return self.pictures[-1]

    def undisturbed(self, model: str) -> bytes:
        """What a model draws on an engine on which nothing ran before; afterwards it holds nothing again."""
        self.session.engine.clear("model")
        if model not in self._undisturbed:
            self._undisturbed[model] = self.run(model, "")
            self.session.engine.clear("model")
        return self._undisturbed[model]

    def fail(self, model: str, said: str) -> None:
        self.fails = True
        with pytest.raises(KeyboardInterrupt):
            self.run(model, said)
        self.fails = False


@pytest.fixture(scope="module")
def folder(workshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import toy_models

    place = tmp_path_factory.mktemp("isolation")
    for entry in workshop.iterdir():
        (place / entry.name).symlink_to(entry)
    toy_models.make_sd(place / "toy-checked", checked=True)
    return place


@pytest.fixture(scope="module")
def shared_runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    runs.session.close()
    runs.verifier.close()


@pytest.fixture
def runs(shared_runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SDNQ_USE_TORCH_COMPILE", "0")  # it takes longer than all of this
    return shared_runs


@pytest.mark.parametrize(("model", "said"), [(model, said) for model, rows in WITH.items() for said in rows])
def test_job_leaves_no_trace_and_is_replayed_to_the_same_bytes(runs: Runs, model: str, said: str) -> None:
    wanted = runs.undisturbed(model)
    assert runs.run(model, said) != wanted or "--offload" in said
    assert runs.run(model, "") == wanted
    assert runs.verifier.verify(runs.files[-2]).same_bytes
    runs.fail(model, said)
    assert runs.run(model, "") == wanted


@pytest.mark.parametrize("model", ["toy", "toy-xl"])
def test_scheduler_leaves_no_trace(runs: Runs, model: str) -> None:
    first = runs.undisturbed(model)
    for name in runs.session.engine.schedulers(Request(model=model)):
        if find_spec(NEEDS.get(name, "torch")) is None:
            continue
        runs.run(model, f"--scheduler {name}")
        runs.fail(model, f"--scheduler {name}")
        assert runs.run(model, "") == first, name


def test_every_option_that_reaches_the_engine_is_among_them() -> None:
    said: set[str] = set()
    for rows in WITH.values():
        for row in rows:
            said |= {word.strip("'") for word in row.split() if word.startswith("--")}
    flags = {spelling: name for name, row in ROWS.items() for spelling in row.spellings}
    covered = {flags[flag] for flag in said} | {"scheduler", "prompt"}
    wanted = {name for name, row in ROWS.items() if row.stage in (Stage.LOAD, Stage.CALL)}
    covered |= {name for name in wanted if name.removeprefix("second_") in covered}  # the refiner's run the same way
    assert wanted - covered - ELSEWHERE == set()


def test_pages_figure_is_the_number_of_these_jobs() -> None:
    assert sum(map(len, WITH.values())) == figure("jobs with each option that reaches a model replayed")
