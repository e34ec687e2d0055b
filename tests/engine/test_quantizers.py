"""Weights in few bits: smaller in memory, nearly the same picture, and a component of their own in the store."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, pixels

from dgen.engine import quantizers
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded, ComponentReused, OffloadChosen
from dgen.options.attachments import LoraUri
from dgen.options.quantizers import BitsAndBytesUri, QuantizerText, QuantoUri, SdnqUri, TorchAoUri
from dgen.options.refiner import RefinerUri
from dgen.options.submodels import UnetUri

SAID = {
    "sdnq;type=uint4": "sdnq",
    "torchao": "torchao",
    "quanto;type=int8": "optimum",
}
"""What runs on a CPU, and its package."""


@pytest.fixture(autouse=True)
def _without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDNQ_USE_TORCH_COMPILE", "0")  # it takes longer than all of this


def installed(said: str) -> Any:
    if find_spec(SAID[said]) is None:
        pytest.skip(f"{SAID[said]} is not installed")
    return QuantizerText().parse(said)


def sizes(bench: Bench) -> dict[str, int]:
    return {h.kind: h.bytes for h in bench.engine.holdings() if h.bytes}


@pytest.mark.parametrize("said", SAID)
def test_quantized_parts_are_smaller_and_the_plain_ones_stay(bench: Bench, toys: Path, said: str) -> None:
    quantizer = installed(said)
    first, plain = pixels(bench.render(toys / "sdxl")), sizes(bench)
    bench.events.clear()
    quantized = pixels(bench.render(toys / "sdxl", quantizer=quantizer))
    assert quantized != first
    assert {e.kind for e in bench.of(ComponentLoaded)} == {"unet", "text_encoder", "text_encoder_2"}
    assert {e.kind for e in bench.of(ComponentReused)} >= {"vae", "tokenizer", "scheduler"}
    small = {e.kind: e.bytes for e in bench.of(ComponentLoaded)}
    assert small["unet"] < 0.95 * plain["unet"]
    assert pixels(bench.render(toys / "sdxl")) == first
    assert pixels(bench.render(toys / "sdxl", quantizer=quantizer)) == quantized


@pytest.mark.parametrize("said", SAID)
def test_map_says_which_parts_are_quantized(bench: Bench, toys: Path, said: str) -> None:
    quantizer = installed(said)
    bench.render(toys / "sd")
    bench.events.clear()
    bench.render(toys / "sd", quantizer=quantizer, quantizer_map=("unet",))
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["unet"]
    bench.events.clear()
    bench.render(toys / "sd", quantizer=quantizer)
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["text_encoder"]


def test_lora_acts_on_quantized_weights_and_leaves_no_trace(bench: Bench, toys: Path) -> None:
    quantizer = installed("sdnq;type=uint4")
    first = pixels(bench.render(toys / "sd", quantizer=quantizer))
    loras = (LoraUri(model=str(toys / "sd-lora")),)
    assert pixels(bench.render(toys / "sd", quantizer=quantizer, loras=loras)) != first
    assert pixels(bench.render(toys / "sd", quantizer=quantizer)) == first


def test_part_from_elsewhere_has_a_quantizer_of_its_own(bench: Bench, toys: Path) -> None:
    quantizer = installed("sdnq;type=uint4")
    own = {"unet": UnetUri(model=str(toys / "sd")), "text_encoders": ()}
    first = pixels(bench.render(toys / "sd", **own))
    assert pixels(bench.render(toys / "sd", quantizer=quantizer, quantizer_map=("unet",), **own)) != first
    quantized = {"unet": UnetUri(model=str(toys / "sd"), quantizer=quantizer)}
    bench.events.clear()
    assert pixels(bench.render(toys / "sd", **quantized)) != first
    assert pixels(bench.render(toys / "sd", **own)) == first


def test_refiner_has_a_quantizer_and_an_offload_of_its_own(bench: Bench, toys: Path) -> None:
    said: dict[str, Any] = {"sdxl_refiner": RefinerUri(model=str(toys / "refiner")), "num_inference_steps": 5}
    first = pixels(bench.render(toys / "sdxl", **said))
    bench.events.clear()
    assert pixels(bench.render(toys / "sdxl", second_model_cpu_offload=True, **said)) == first
    assert [e.mode for e in bench.of(OffloadChosen)] == ["model"]
    assert pixels(bench.render(toys / "sdxl", second_offload="sequential", offload="group", **said)) == first
    assert [e.mode for e in bench.of(OffloadChosen)] == ["model", "group", "sequential"]
    assert bench.of(ComponentLoaded) == []
    quantizer = installed("sdnq;type=uint4")
    assert pixels(bench.render(toys / "sdxl", second_quantizer=quantizer, **said)) != first
    assert [e.source for e in bench.of(ComponentLoaded)] == [str(toys / "refiner")]  # the words are the model's
    assert pixels(bench.render(toys / "sdxl", **said)) == first


def test_bits_are_what_the_uri_says() -> None:
    said = ["sdnq", "sdnq;type=uint4", "sdnq;type=bool", "bnb;bits=4", "torchao;type=float8", "quanto;type=int2"]
    bits = [quantizers.bits_of(QuantizerText().parse(text)) for text in said]
    assert bits == [8, 4, 1, 4, 8, 2]
    assert quantizers.bits_of(None) is None


def test_each_library_is_told_in_its_own_words() -> None:
    pytest.importorskip("bitsandbytes")
    import diffusers
    import transformers

    four = BitsAndBytesUri(name="bitsandbytes", bits="4", bits4_quant_type="nf4")
    for library, module in (("diffusers", diffusers), ("transformers", transformers)):
        made = quantizers.configuration(four, library)
        assert type(made) is module.BitsAndBytesConfig
        assert (made.load_in_4bit, made.bnb_4bit_quant_type) == (True, "nf4")


@pytest.mark.parametrize("uri", [SdnqUri(name="sdnq"), TorchAoUri(name="torchao"), QuantoUri(name="quanto")])
def test_checkpoint_file_is_not_quantized(bench: Bench, toys: Path, uri: Any) -> None:
    with pytest.raises(EngineError) as caught:
        bench.job(toys / "sd.safetensors", model_config=str(toys / "sd"), quantizer=uri)
    assert (caught.value.code, caught.value.option) == ("unsupported-option", "quantizer")


def test_quantizer_that_cannot_be_used_is_told_before_anything_is_loaded(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError) as caught:
        bench.job(toys / "sd", quantizer=BitsAndBytesUri(name="bitsandbytes"))
    here = find_spec("bitsandbytes") is not None
    assert caught.value.code == ("bad-device" if here else "missing-package")
    assert bench.events == []
