"""A UNet and text encoders from elsewhere take the place of a model's own, and nothing is loaded twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import toy_models
from test_adapters import NAMES, alone
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded
from dgen.options.attachments import LoraUri
from dgen.options.submodels import TextEncoderUri, UnetUri

ENCODERS = {"text_encoder": "CLIPTextModel", "text_encoder_2": "CLIPTextModelWithProjection"}


@pytest.fixture(scope="module")
def others(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy models with other weights."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("others")
    for name in NAMES:
        shutil.copytree(toys / name, folder / name)
        for file in folder.glob(f"{name}/*/*.safetensors"):
            generator = torch.Generator().manual_seed(9)
            tensors = load_file(file)
            made = {n: t + 0.02 * torch.randn(t.shape, generator=generator) for n, t in tensors.items()}
            save_file(made, file, {"format": "pt"})
    return folder


def encoder(path: Path, kind: str) -> TextEncoderUri:
    return TextEncoderUri(class_name=ENCODERS[kind], model=str(path), subfolder=kind)


@pytest.mark.parametrize("model", NAMES)
def test_replaced_parts_act_as_in_diffusers(bench: Bench, toys: Path, others: Path, model: str) -> None:
    import diffusers
    import transformers

    kind = "text_encoder_2" if model == "sdxl" else "text_encoder"
    plain = pixels(bench.render(toys / model))
    bench.events.clear()
    said: list[dict[str, Any]] = [
        {"unet": UnetUri(model=str(others / model))},
        {"text_encoders": (("+",) if model == "sdxl" else ()) + (encoder(others / model, kind),)},
    ]
    parts: list[dict[str, Any]] = [
        {"unet": diffusers.UNet2DConditionModel.from_pretrained(others / model / "unet")},
        {kind: getattr(transformers, ENCODERS[kind]).from_pretrained(others / model / kind)},
    ]
    for options, own in ((said[0], parts[0]), (said[1], parts[1]), (said[0] | said[1], parts[0] | parts[1])):
        made = pixels(bench.render(toys / model, **options))
        assert made == alone(NAMES[model] + "Pipeline", toys / model, own)
        assert made != plain
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["unet", kind]
    assert pixels(bench.render(toys / model)) == plain


def test_unet_comes_from_a_checkpoint_file_too(bench: Bench, toys: Path) -> None:
    same = pixels(bench.render(toys / "sd", unet=UnetUri(model=str(toys / "sd.safetensors"))))
    assert same == pixels(bench.render(toys / "sd"))


@pytest.fixture(scope="module")
def small(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The UNet of the toy model, in few bits."""
    return toy_models.make_gguf(toys / "sd", tmp_path_factory.mktemp("gguf") / "unet.gguf")


def test_gguf_file_acts_as_in_diffusers(bench: Bench, toys: Path, small: Path) -> None:
    import diffusers

    plain = pixels(bench.render(toys / "sd"))
    held = {h.kind: h.bytes for h in bench.engine.holdings()}["unet"]
    bench.events.clear()
    made = pixels(bench.render(toys / "sd", unet=UnetUri(model=str(small))))
    (loaded,) = bench.of(ComponentLoaded)
    assert (loaded.kind, loaded.bytes < held) == ("unet", True)
    by_hand = diffusers.UNet2DConditionModel.from_single_file(
        str(small), config=str(toys / "sd"), subfolder="unet", quantization_config=diffusers.GGUFQuantizationConfig()
    )
    assert made == alone("StableDiffusionPipeline", toys / "sd", {"unet": by_hand})
    assert made != plain
    assert pixels(bench.render(toys / "sd")) == plain


def test_gguf_file_holds_the_weights_that_were_put_into_it(bench: Bench, toys: Path, small: Path) -> None:
    import diffusers
    import gguf
    import torch

    unet = diffusers.UNet2DConditionModel.from_pretrained(toys / "sd" / "unet")
    read = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(small).tensors}
    unet.load_state_dict({name: torch.tensor(values) for name, values in read.items()})
    (made,), (whole,) = (
        pixels(bench.render(toys / "sd", unet=UnetUri(model=str(small)))),
        alone("StableDiffusionPipeline", toys / "sd", {"unet": unet}),
    )
    assert max(abs(a - b) for a, b in zip(made, whole, strict=True)) <= 2  # of 255


def test_lora_acts_on_a_gguf_file_and_leaves_no_trace(bench: Bench, toys: Path, small: Path) -> None:
    unet = UnetUri(model=str(small))
    first = pixels(bench.render(toys / "sd", unet=unet))
    loras = (LoraUri(model=str(toys / "sd-lora")),)
    assert pixels(bench.render(toys / "sd", unet=unet, loras=loras)) != first
    assert pixels(bench.render(toys / "sd", unet=unet)) == first


@pytest.mark.parametrize("model", NAMES)
def test_replaced_parts_may_have_a_precision_of_their_own(bench: Bench, toys: Path, model: str) -> None:
    plain = pixels(bench.render(toys / model))
    unet = UnetUri(model=str(toys / model), dtype="bfloat16")
    text = TextEncoderUri(
        class_name="CLIPTextModel", model=str(toys / model), subfolder="text_encoder", dtype="bfloat16"
    )
    mixed: list[dict[str, Any]] = [{"unet": unet}, {"text_encoders": (text,)}]
    for options in mixed:
        (made,), (precise,) = pixels(bench.render(toys / model, **options)), plain
        assert max(abs(a - b) for a, b in zip(made, precise, strict=True)) <= 40  # of 255; a toy is all rounding
    assert pixels(bench.render(toys / model)) == plain


MISFITS: dict[str, tuple[dict[str, Any], str, tuple[str, int]]] = {
    "unet of another family": ({"unet": "sdxl"}, "its `cross_attention_dim` is 80, that of the model's own is 32",
                               ("unet", 0)),
    "encoder of another class": ({"text_encoders": ("text_encoder_2",)}, "is a `CLIPTextModel`, not a",
                                 ("text_encoders", 0)),
    "encoder that is not there": ({"text_encoders": ("text_encoder", "text_encoder_2")}, "has no text_encoder_2",
                                  ("text_encoders", 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_part_that_does_not_fit_is_named_with_its_place_before_anything_is_loaded(
    bench: Bench, toys: Path, case: str
) -> None:
    named, message, place = MISFITS[case]
    said: dict[str, Any] = {}
    if "unet" in named:
        said["unet"] = UnetUri(model=str(toys / named["unet"]))
    else:
        said["text_encoders"] = tuple(encoder(toys / "sdxl", kind) for kind in named["text_encoders"])
    with pytest.raises(EngineError) as caught:
        bench.job(toys / "sd", **said)
    assert message in caught.value.message
    assert (caught.value.option, caught.value.index) == place
    assert bench.events == []
