"""A file with nothing but a UNet or transformer: its family is told, and it replaces a model's own."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from published_names import PUBLISHED, write_published
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError, Inputs
from dgen.families.checkpoints import DENOISERS
from dgen.families.definitions import read_from_files
from dgen.options.request import Request
from dgen.options.submodels import TransformerUri, UnetUri
from dgen.values.scalars import Size


def denoiser(toy: Path) -> Path | None:
    """The file with the denoiser of a toy; None of one with several."""
    kinds = (*DENOISERS, "prior")
    return next((f for kind in kinds for f in sorted((toy / kind).glob("*.safetensors"))), None)


def test_families_and_modes_are_said_without_torch(every_toy: Path, tmp_path: Path) -> None:
    names = sorted(PUBLISHED)
    files = [
        write_published(every_toy / n, PUBLISHED[n], tmp_path / f"{n}.safetensors", is_prefixed=True) for n in names
    ]
    program = (
        "import contextlib, io, json, sys\n"
        "from dgen.cli.main import main\n"
        "for path in sys.argv[1:]:\n"
        "    text = io.StringIO()\n"
        "    with contextlib.redirect_stdout(text):\n"
        "        assert main(['model', path, '--json']) == 0\n"
        "    told = json.loads(text.getvalue())\n"
        "    print(told['family'], *told['modes'], *(part['kind'] for part in told['parts']))\n"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, files)], capture_output=True, text=True, check=True, timeout=300
    )
    lines = ran.stdout.splitlines()
    assert lines[:-1] == [
        "auraflow txt2img transformer",
        "hidream txt2img transformer",
        "ltx txt2vid img2vid vid2vid transformer",
        "qwen-image txt2img img2img inpaint transformer",
        "sana txt2img transformer",
        "sd3 txt2img img2img inpaint transformer",
        "wan txt2vid vid2vid transformer",
        "wan img2vid transformer",
        "wan-vace txt2vid img2vid vid2vid inpaint transformer",
        "z-image txt2img img2img inpaint transformer",
    ]
    assert lines[-1] == "[]"


SHORT: dict[str, dict[str, Any]] = {"ltx": {"num_frames": 9}, "wan": {"num_frames": 5}}
RENDERED = sorted(set(PUBLISHED) - {"wan-image", "wan-vace"})  # which start from pictures; their files are read below


@pytest.mark.parametrize("name", RENDERED)
def test_published_file_draws_what_its_folder_draws(
    every_toy: Path, shared_bench: Bench, tmp_path: Path, name: str
) -> None:
    from safetensors.torch import load_file, save_file

    mode = "txt2vid" if name in SHORT else "txt2img"
    said = {"output_size": Size(64, 64) if mode == "txt2img" else Size(32, 32), **SHORT.get(name, {})}

    def render(**more: Any) -> list[bytes]:
        job = shared_bench.job(every_toy / name, image_seed=None, **said, **more)
        made = shared_bench.engine.render(job, Inputs(), lambda step, steps: None)
        return pixels(made) or [image.tobytes() for image in made.films[0]]

    plain = render()
    file = write_published(every_toy / name, PUBLISHED[name], tmp_path / "prefixed.safetensors", is_prefixed=True)
    assert render(transformer=TransformerUri(model=str(file))) == plain
    tensors = load_file(file)
    for tensor in tensors.values():
        if tensor.ndim == 2:
            tensor *= 0.9
    save_file(tensors, tmp_path / "other.safetensors")
    assert render(transformer=TransformerUri(model=str(tmp_path / "other.safetensors"))) != plain
    assert render() == plain


@pytest.mark.parametrize("name", ["wan-image", "wan-vace", *RENDERED])
def test_published_names_are_those_that_diffusers_reads(every_toy: Path, tmp_path: Path, name: str) -> None:
    import torch
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
    from safetensors.torch import load_file

    cls = json.loads((every_toy / name / "transformer" / "config.json").read_text(encoding="utf-8"))["_class_name"]
    file = write_published(every_toy / name, PUBLISHED[name], tmp_path / "model.safetensors")
    read = SINGLE_FILE_LOADABLE_CLASSES[cls]["checkpoint_mapping_fn"](checkpoint=load_file(file))
    wanted = load_file(every_toy / name / "transformer" / "diffusion_pytorch_model.safetensors")
    assert {key for key, value in read.items() if value is not None} == set(wanted)
    assert all(torch.equal(read[key], value) for key, value in wanted.items())


def test_file_without_the_rest_of_its_model_is_told_where_it_belongs(
    every_toy: Path, shared_bench: Bench, tmp_path: Path
) -> None:
    for toy, kind, label in (("wan", "transformer", "Wan 2.1 and 2.2"), ("sdxl", "unet", "Stable Diffusion XL")):
        file = tmp_path / f"{toy}.safetensors"
        file.write_bytes((denoiser(every_toy / toy) or file).read_bytes())
        with pytest.raises(EngineError) as caught:
            shared_bench.job(file, model_config=str(every_toy / toy))
        assert caught.value.message == f"`{toy}.safetensors` holds nothing but the {kind} of a model of {label}"
        assert caught.value.help == f"name a model, and the file beside it: `MODEL --{kind} {toy}.safetensors`"


SMALL: dict[str, Any] = {"output_size": Size(64, 64)}
OWN = {"kandinsky3": SMALL, "pixart-sigma": SMALL, "cogview4": SMALL, "allegro": {"num_frames": 24}}
"""Toys whose denoisers diffusers reads from folders alone."""


@pytest.mark.parametrize("name", OWN)
def test_file_in_the_names_of_diffusers_needs_no_converter(
    every_toy: Path, shared_bench: Bench, tmp_path: Path, name: str
) -> None:
    from safetensors.torch import load_file, save_file

    said = {"num_inference_steps": 1, "image_seed": None, **OWN[name]}

    def render(**more: Any) -> list[bytes]:
        made = shared_bench.engine.render(
            shared_bench.job(every_toy / name, **said, **more), Inputs(), lambda step, steps: None
        )
        return pixels(made) or [image.tobytes() for image in made.films[0]]

    def read(file: Path) -> list[bytes]:
        kind = own.parent.name
        return render(**{kind: {"unet": UnetUri, "transformer": TransformerUri}[kind](model=str(file))})

    own = denoiser(every_toy / name) or every_toy
    (tmp_path / "own.safetensors").symlink_to(own)
    plain = render()
    assert read(tmp_path / "own.safetensors") == plain
    tensors = {key: value * -4 for key, value in load_file(own).items()}
    save_file(tensors, tmp_path / "other.safetensors")
    assert read(tmp_path / "other.safetensors") != plain
    tensors.pop(next(key for key in tensors if "to_out.0.weight" in key))
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(EngineError, match="lacks 1 tensors of"):
        read(tmp_path / "less.safetensors")


def test_every_family_takes_its_transformer_as_a_file_in_the_names_of_diffusers(
    every_toy: Path, shared_bench: Bench
) -> None:
    taken = []
    for toy in sorted(every_toy.iterdir()):
        index = toy / "model_index.json"
        own = json.loads(index.read_text(encoding="utf-8")).get("transformer") if index.is_file() else None
        file = denoiser(toy)
        if own is not None and own[0] is not None and file is not None and file.parent.name == "transformer":
            request = Request(model=str(toy), transformer=TransformerUri(model=str(file)))
            shared_bench.engine.check(request, shared_bench.engine.inspect(request))
            taken += [toy.name] if own[1] not in read_from_files() else []
    assert {"cogview4", "hunyuan-dit", "pixart-sigma", "cogvideox", "allegro", "hunyuan-image", "bria"} <= set(taken)


def test_published_names_that_diffusers_cannot_convert_are_refused(
    every_toy: Path, shared_bench: Bench, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    from dgen.families.rows import FAMILIES

    for name, cls in (("pixart-sigma", "PixArtTransformer2DModel"), ("cogvideox", "CogVideoXTransformer3DModel")):
        file = tmp_path / f"{name}.safetensors"
        save_file({key: torch.zeros(1) for key in FAMILIES[name].checkpoint_keys}, file)
        with pytest.raises(EngineError) as caught:
            shared_bench.job(every_toy / name, transformer=TransformerUri(model=str(file)))
        assert caught.value.code == "unsupported-option"
        assert caught.value.message == f"diffusers converts no files of a {cls}, and `{file.name}` has names of its own"


def test_file_with_the_transformer_of_another_family_is_refused(every_toy: Path, shared_bench: Bench) -> None:
    file = denoiser(every_toy / "pixart-sigma")
    with pytest.raises(EngineError, match=r"holds a transformer of PixArt-Σ, not of FLUX\.1"):
        shared_bench.job(every_toy / "flux", transformer=TransformerUri(model=str(file)))


def test_transformer_of_another_family_is_refused(every_toy: Path, shared_bench: Bench) -> None:
    with pytest.raises(EngineError, match="does not fit: its `_class_name` is"):
        shared_bench.job(every_toy / "sd3", transformer=TransformerUri(model=str(every_toy / "flux")))


def test_gguf_file_of_a_transformer_acts_as_in_diffusers(every_toy: Path, shared_bench: Bench, tmp_path: Path) -> None:
    import diffusers
    import torch
    from toy_models import make_gguf

    file = make_gguf(every_toy / "flux", tmp_path / "flux.gguf", "transformer")
    said = {"output_size": Size(64, 64)}
    plain = pixels(shared_bench.render(every_toy / "flux", **said))
    made = pixels(shared_bench.render(every_toy / "flux", transformer=TransformerUri(model=str(file)), **said))
    assert made != plain
    assert pixels(shared_bench.render(every_toy / "flux", **said)) == plain
    by_hand = diffusers.FluxTransformer2DModel.from_single_file(
        str(file), config=str(every_toy / "flux"), subfolder="transformer", torch_dtype=torch.float32,
        quantization_config=diffusers.GGUFQuantizationConfig(compute_dtype=torch.float32),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = diffusers.FluxPipeline.from_pretrained(every_toy / "flux", transformer=by_hand)
    pipe.set_progress_bar_config(disable=True)
    drawn = torch.Generator("cpu").manual_seed(7)
    (image,) = pipe(
        "a red circle", negative_prompt="blurry", guidance_scale=3.5, num_inference_steps=2, width=64, height=64,
        generator=drawn,
    ).images  # fmt: skip
    assert [image.convert("RGB").tobytes()] == made
