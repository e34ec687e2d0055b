"""How much memory a model may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgen.options.quantizers import Quantizer, QuantizerText
from dgen.schema import Stage, opt, options
from dgen.values.amounts import Amount
from dgen.values.scalars import Choice

if TYPE_CHECKING:
    from dgen.options.request import Request

OFFLOADS = ("none", "model", "group", "sequential")
"""How the weights of a model lie on the host while it runs elsewhere: each takes less of the device, and more time."""

QUANTIZABLE = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
"""The parts of a model that are quantized unless it is said which."""

_OLD_FLAGS = {"model_cpu_offload": "model", "model_sequential_offload": "sequential"}


@options("memory")
class MemoryOptions:
    """Where a model's weights lie, and how much memory they may take."""

    device_memory: int | None = opt(
        None, flag="--device-memory", value=Amount(),
        help="The most memory that parts of models may hold on the device, as in `6GB`; by default what is free.",
    )  # fmt: skip
    host_memory: int | None = opt(
        None, flag="--host-memory", value=Amount(),
        help="The most memory that parts of models may hold on the host; the ones longest unused go first.",
    )  # fmt: skip
    quantizer: Quantizer | None = opt(
        None, flag="--quantizer", short="-q", stage=Stage.LOAD, parts=QUANTIZABLE, value=QuantizerText(),
        help="Load weights in few bits: `bitsandbytes`, `sdnq`, `torchao` or `quanto` with its arguments, as in "
        "`sdnq;type=uint4`, which `--quantizer-help` describes; `pip install 'dgen-lang[quant]'` brings them.",
    )  # fmt: skip
    quantizer_map: tuple[str, ...] = opt(
        (), flag="--quantizer-map", short="-qm", stage=Stage.LOAD, parts=QUANTIZABLE, many=True,
        value=Choice((*QUANTIZABLE, "controlnet"), metavar="PART"), requires=("quantizer",),
        help="The parts that are quantized; by default the UNet or transformer and every text encoder.",
    )  # fmt: skip
    offload: str | None = opt(
        None, flag="--offload", value=Choice(OFFLOADS, metavar="HOW"), excludes=tuple(_OLD_FLAGS),
        help="Keep weights on the host and bring them to the device by `model`, by `group` of layers, or layer after "
        "layer (`sequential`); by default the first that fits, `none` if all does. On a CPU it saves nothing.",
    )  # fmt: skip
    model_cpu_offload: bool = opt(
        False, flag="--model-cpu-offload", short="-mco", excludes=("model_sequential_offload",),
        help="The same as `--offload model`.",
    )  # fmt: skip
    model_sequential_offload: bool = opt(
        False, flag="--model-sequential-offload", short="-mqo", help="The same as `--offload sequential`.",
    )  # fmt: skip
    second_offload: str | None = opt(
        None, flag="--second-model-offload", value=Choice(OFFLOADS, metavar="HOW"), requires=("sdxl_refiner",),
        excludes=tuple(f"second_{flag}" for flag in _OLD_FLAGS), help="The same as `--offload` for the refiner.",
    )  # fmt: skip
    second_model_cpu_offload: bool = opt(
        False, flag="--second-model-cpu-offload", short="-mco2", requires=("sdxl_refiner",),
        excludes=("second_model_sequential_offload",), help="The same as `--second-model-offload model`.",
    )  # fmt: skip
    second_model_sequential_offload: bool = opt(
        False, flag="--second-model-sequential-offload", short="-mqo2", requires=("sdxl_refiner",),
        help="The same as `--second-model-offload sequential`.",
    )  # fmt: skip
    second_quantizer: Quantizer | None = opt(
        None, flag="--second-model-quantizer", short="-q2", stage=Stage.CALL, value=QuantizerText(),
        requires=("sdxl_refiner",), help="The same as `--quantizer` for the refiner.",
    )  # fmt: skip
    second_quantizer_map: tuple[str, ...] = opt(
        (), flag="--second-model-quantizer-map", short="-qm2", stage=Stage.CALL, many=True,
        value=Choice(QUANTIZABLE, metavar="PART"), requires=("second_quantizer",),
        help="The parts of the refiner that are quantized; by default all that can be.",
    )  # fmt: skip


def offload_said(request: Request) -> tuple[str, str | None]:
    """Return the option that says how weights are offloaded, and what it says; None when nobody said."""
    old = next((option for option in _OLD_FLAGS if getattr(request, option)), None)
    return (old, _OLD_FLAGS[old]) if old is not None else ("offload", request.offload)


def said_so(mode: str) -> dict[str, Any]:
    """Return what a request says that offloads its model, and its refiner, in a certain way."""
    said: dict[str, Any] = {f"{model}{flag}": False for model in ("", "second_") for flag in _OLD_FLAGS}
    return {**said, "offload": mode, "second_offload": mode}


def quantizer_of(request: Request, kind: str, own: Quantizer | None = None) -> Quantizer | None:
    """Return the quantizer of a part of a request's model; `own` is what the part's URI says."""
    return own or (request.quantizer if kind in (request.quantizer_map or QUANTIZABLE) else None)
