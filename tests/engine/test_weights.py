"""Damaged, foreign and dangerous weights are refused, with what is wrong about them."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toybench import Bench

from dgen.engine import weights
from dgen.engine.protocol import EngineError
from dgen.options.submodels import VaeUri

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(toys: Path, tmp_path: Path) -> Path:
    """A copy of the toy model that may be damaged."""
    return Path(shutil.copytree(toys / "sd", tmp_path / "sd"))


def refusal(bench: Bench, model: Path, **said: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        bench.render(model, **said)
    return caught.value


def test_truncated_weights(bench: Bench, model: Path) -> None:
    file = model / UNET
    file.write_bytes(file.read_bytes()[:-7])
    error = refusal(bench, model)
    assert error.code == "bad-weights"
    assert "is cut short: it has 3,194,945 bytes of 3,194,952" in error.message


def test_corrupt_header(bench: Bench, model: Path) -> None:
    (model / UNET).write_bytes(b"\x10\0\0\0\0\0\0\0not a header.....")
    assert refusal(bench, model).code == "bad-weights"


def test_weights_of_another_shape(bench: Bench, model: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / UNET)
    tensors["conv_in.weight"] = tensors["conv_in.weight"][:, :3].contiguous()
    save_file(tensors, model / UNET)
    error = refusal(bench, model)
    assert error.code == "bad-weights"
    assert "`conv_in.weight` is [32, 3, 3, 3], expected [32, 4, 3, 3]" in error.message


def test_text_encoder_of_another_shape(bench: Bench, model: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = model / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    name = next(n for n in tensors if n.endswith("token_embedding.weight"))
    tensors[name] = tensors[name][:100].contiguous()
    save_file(tensors, file, {"format": "pt"})
    error = refusal(bench, model)
    assert (error.code, "is [100, 32], expected [521, 32]" in error.message) == ("bad-weights", True)


def test_weights_that_lack_a_tensor(bench: Bench, model: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / UNET)
    del tensors["conv_out.bias"]
    save_file(tensors, model / UNET)
    error = refusal(bench, model)
    assert error.code == "bad-weights"
    assert "lacks 1 tensors of UNet2DConditionModel: `conv_out.bias`" in error.message


def test_missing_weights_offer_the_variant_that_is_there(bench: Bench, model: Path) -> None:
    (model / UNET).rename(model / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    error = refusal(bench, model)
    assert error.code == "bad-model"
    assert error.help == "it has the variant `fp16`: `--variant fp16`"
    bench.render(model, variant="fp16")


class Payload:
    """What a hostile pickle would run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.mark), "w")


def in_zip(file: Path, held: Any) -> None:
    import torch

    torch.save(held, file)


def as_bare_pickle(file: Path, held: Any) -> None:
    file.write_bytes(pickle.dumps(held))


@pytest.mark.parametrize("write", [in_zip, as_bare_pickle])
@pytest.mark.parametrize("where", ["unet", "checkpoint", "vae"])
def test_pickle_of_code_is_never_run(
    bench: Bench, toys: Path, model: Path, write: Callable[[Path, Any], None], where: str
) -> None:
    mark = model / "it-ran"
    held = {"state_dict": {"a": Payload(mark)}}
    said: dict[str, Any] = {}
    if where == "unet":
        (model / UNET).unlink()
        file = model / "unet" / "diffusion_pytorch_model.bin"
    else:
        file = model / f"{where}.ckpt"
    if where == "vae":
        said = {"vae": VaeUri(class_name="AutoencoderKL", model=str(file))}
    write(file, held)
    error = refusal(bench, file if where == "checkpoint" else model, **said, model_type="sd")
    assert error.code == "unsafe-weights"
    assert "names `io.open`" in error.message or "names `_io.open`" in error.message
    assert not mark.exists()


def test_plain_pickles_are_read(bench: Bench, toys: Path, tmp_path: Path) -> None:
    import warnings

    import toy_models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers

        toy_models.make_sd(tmp_path / "sd")
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(toys / "sd", safety_checker=None)
        pipe.unet.save_pretrained(tmp_path / "sd" / "unet", safe_serialization=False)
    (tmp_path / "sd" / UNET).unlink()
    from toybench import pixels

    assert pixels(bench.render(tmp_path / "sd")) == pixels(bench.render(toys / "sd"))


def test_file_that_is_nothing(bench: Bench, toys: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"hello")
    assert refusal(bench, file, model_type="sd").code == "bad-weights"


def test_folder_that_is_no_model(bench: Bench, tmp_path: Path) -> None:
    error = refusal(bench, tmp_path)
    assert (error.code, error.option) == ("bad-model", "model")


def test_model_without_a_part(bench: Bench, model: Path) -> None:
    index = model / "model_index.json"
    index.write_text(index.read_text(encoding="utf-8").replace('"vae"', '"vaes"'), encoding="utf-8")
    assert "has no folder `vaes`" in refusal(bench, model).message
    (model / "vae").rename(model / "vaes")
    error = refusal(bench, model)
    assert (error.code, error.help) == ("bad-model", "did you mean `vaes`?")


def test_class_that_no_library_has_is_never_fetched(bench: Bench, model: Path) -> None:
    index = model / "model_index.json"
    index.write_text(index.read_text(encoding="utf-8").replace('"UNet2DConditionModel"', '"MyUNet"'), encoding="utf-8")
    error = refusal(bench, model)
    assert error.code == "bad-model"
    assert "`diffusers.MyUNet`" in error.message


def test_safety_checker_that_the_model_lacks(bench: Bench, toys: Path) -> None:
    error = refusal(bench, toys / "sd", safety_checker=True)
    assert (error.code, error.option) == ("bad-model", "safety_checker")


def test_model_type_that_contradicts_the_model(bench: Bench, toys: Path) -> None:
    error = refusal(bench, toys / "sd", model_type="sdxl")
    assert (error.code, error.option) == ("bad-model", "model_type")


@pytest.mark.parametrize(
    ("names", "variant", "chosen"),
    [
        ("model.safetensors pytorch_model.bin config.json", None, "model.safetensors"),
        ("pytorch_model.bin", None, "pytorch_model.bin"),
        ("model.safetensors model.fp16.safetensors", "fp16", "model.fp16.safetensors"),
        ("model.safetensors model.fp16.safetensors", None, "model.safetensors"),
        ("model.safetensors", "fp16", "model.safetensors"),
        ("model.fp16.safetensors", None, ""),
        ("model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", None,
         "model-00001-of-00002.safetensors model-00002-of-00002.safetensors"),
        ("model.fp16-00001-of-00002.safetensors model.fp16-00002-of-00002.safetensors model.bin", "fp16",
         "model.fp16-00001-of-00002.safetensors model.fp16-00002-of-00002.safetensors"),
        ("diffusion_flax_model.msgpack diffusion_pytorch_model.non_ema.bin diffusion_pytorch_model.bin", None,
         "diffusion_pytorch_model.bin"),
    ],
)  # fmt: skip
def test_weights_are_chosen_by_variant_then_format(names: str, variant: str | None, chosen: str) -> None:
    assert weights.choose(names.split(), variant)[0] == chosen.split()
