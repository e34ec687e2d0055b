"""Makes the configurations by which diffusers and transformers load weights in few bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dgen.engine.protocol import EngineError
from dgen.engine.sources import Layout
from dgen.options.quantizers import (
    BitsAndBytesUri,
    GgufUri,
    Quantizer,
    QuantoUri,
    SdnqUri,
    TorchAoUri,
    is_gguf,
    quantizer_said,
)
from dgen.options.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A quantizer: the package that does it, how a library is told, and where it runs."""

    package: str
    config: Callable[[Any, Any, Any], Any]  # of what was said, for a module, diffusers or transformers, in a precision
    needs_accelerator: bool = False


def _bitsandbytes(uri: BitsAndBytesUri, library: Any, _: Any) -> Any:
    said: dict[str, Any] = {
        "bnb_4bit_quant_type": uri.bits4_quant_type,
        "bnb_4bit_use_double_quant": uri.bits4_use_double_quant,
        "bnb_4bit_compute_dtype": uri.bits4_compute_dtype,
        "bnb_4bit_quant_storage": uri.bits4_quant_storage,
    }
    return library.BitsAndBytesConfig(**{f"load_in_{uri.bits}bit": True}, **(said if uri.bits == "4" else {}))


def _sdnq(uri: SdnqUri, library: Any, _: Any) -> Any:
    from sdnq import SDNQConfig  # one for both libraries; the import registers it with them

    return SDNQConfig(
        weights_dtype=uri.type, group_size=uri.group_size, quant_conv=uri.quant_conv,
        use_quantized_matmul=uri.quantized_matmul, use_quantized_matmul_conv=uri.quantized_matmul_conv,
    )  # fmt: skip


def _torchao(uri: TorchAoUri, library: Any, _: Any) -> Any:
    made = getattr(import_module("torchao.quantization"), f"{uri.type.capitalize()}WeightOnlyConfig")
    return library.TorchAoConfig(made())


def _quanto(uri: QuantoUri, library: Any, _: Any) -> Any:
    keyword = "weights_dtype" if library.__name__ == "diffusers" else "weights"
    return library.QuantoConfig(**{keyword: uri.type})


def _gguf(uri: GgufUri, library: Any, dtype: Any) -> Any:
    return library.GGUFQuantizationConfig(compute_dtype=dtype)


ROWS: dict[type, Row] = {
    BitsAndBytesUri: Row(package="bitsandbytes", config=_bitsandbytes, needs_accelerator=True),
    SdnqUri: Row(package="sdnq", config=_sdnq),
    TorchAoUri: Row(package="torchao", config=_torchao),
    QuantoUri: Row(package="optimum.quanto", config=_quanto),
    GgufUri: Row(package="gguf", config=_gguf),
}


def check(request: Request, layout: Layout, device: Callable[[], str]) -> None:
    """Refuse quantizers that are not installed, cannot run on a kind of device, or not on a model of this layout.

    Raises:
        EngineError: `missing-package`, `bad-device`, `unsupported-option`.
    """
    check_wholeness(request, layout)
    for uri, model, option, index in _said(request):
        check_usable(uri, model, device, option, index)


def check_usable(uri: Quantizer, model: str, device: Callable[[], str], option: str, index: int = 0) -> None:
    """Refuse a quantizer that is not installed, cannot run on a kind of device, or not on the weights of `model`.

    Raises:
        EngineError: `missing-package`, `bad-device`, `bad-value`.
    """
    _check_format(uri, model, option, index)
    row = ROWS[type(uri)]
    if not _is_installed(row.package):
        raise EngineError(
            "missing-package", f"`{uri.name}` needs the package `{row.package}`, which is not installed", option,
            help='`pip install "dgen-lang[quant]"` brings it',
        ).at(index)  # fmt: skip
    if row.needs_accelerator and device() == "cpu":
        raise EngineError(
            "bad-device", f"`{uri.name}` needs an accelerator, and the job runs on the CPU", option,
            help="`sdnq`, `torchao` and `quanto` run on any device",
        ).at(index)  # fmt: skip


def check_wholeness(request: Request, layout: Layout) -> None:
    """Refuse to quantize a model that is no folder with all its weights.

    Raises:
        EngineError: `unsupported-option`.
    """
    if request.quantizer is not None and (layout.is_file or layout.base is not None):
        raise EngineError(
            "unsupported-option", f"only a folder with all weights of a model is quantized, not `{request.model}`",
            "quantizer", help="`dgen to-diffusers` makes such a folder of it",
        )  # fmt: skip


def _said(request: Request) -> Iterator[tuple[Quantizer, str, str, int]]:
    """Yield each quantizer of a request, what it works on, the option that says it, and which value of the option."""
    if request.quantizer is not None:
        yield request.quantizer, request.model, "quantizer", 0
    if request.second_quantizer is not None:
        refiner = request.sdxl_refiner.model if request.sdxl_refiner is not None else ""
        yield request.second_quantizer, refiner, "second_quantizer", 0
    for option, uris in (
        ("unet", (request.unet,) if request.unet is not None else ()),
        ("transformer", (request.transformer,) if request.transformer is not None else ()),
        ("second_unet", (request.second_unet,) if request.second_unet is not None else ()),
        ("text_encoders", request.text_encoders),
        ("second_text_encoders", request.second_text_encoders),
        ("control_nets", request.control_nets),
    ):
        for index, uri in enumerate(uris):
            if not isinstance(uri, str) and (said := quantizer_said(uri)) is not None:
                yield said, uri.model, option, index


def _check_format(uri: Quantizer, model: str, option: str, index: int) -> None:
    """Refuse `gguf` for what is no such file, and any other quantizer for what is one."""
    if isinstance(uri, GgufUri) == is_gguf(model):
        return
    if is_gguf(model):
        message = f"the weights in `{Path(model).name}` are quantized already, and `{uri.name}` cannot do it again"
        raise EngineError("bad-value", message, option, help="leave the quantizer out").at(index)
    message = f"`gguf` makes nothing smaller: it reads the weights of a `.gguf` file, and `{model}` is none"
    help = "name such a file as `--unet` or `--transformer`, or choose another quantizer; `--quantizer-help` lists them"
    raise EngineError("bad-value", message, option, help=help).at(index)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def configuration(quantizer: Quantizer, library: str, dtype: Any = None) -> Any:
    """Return what the loader of a library, `diffusers` or `transformers`, takes as `quantization_config`.

    `dtype` is the precision of torch that is computed in.
    """
    import diffusers
    import transformers

    return ROWS[type(quantizer)].config(quantizer, transformers if library == "transformers" else diffusers, dtype)


def bits_of(quantizer: Quantizer | None) -> int | None:
    """Return the bits of a quantized weight; None without a quantizer, or when a file says it of each weight."""
    if quantizer is None or isinstance(quantizer, GgufUri):
        return None
    said = quantizer.bits if isinstance(quantizer, BitsAndBytesUri) else quantizer.type
    return next((bits for bits in range(8, 1, -1) if str(bits) in said), 1)
