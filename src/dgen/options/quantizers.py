"""How weights are made smaller: the quantizers, and a record of arguments for each."""

from __future__ import annotations

from typing import Any

from dgen.schema import BadValue, Kind, opt, options, record
from dgen.values.scalars import Choice, Flag, Integer
from dgen.values.uri import Uri, split_uri

_FLOATS = ("float32", "float16", "bfloat16")
_SDNQ_TYPES = (
    *(f"int{bits}" for bits in range(8, 1, -1)), *(f"uint{bits}" for bits in range(8, 0, -1)), "bool",
    "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip


def _named(name: str) -> Any:
    return opt(..., positional=True, value=Choice((name,)), help="The quantizer.")


@record
@options("bitsandbytes")
class BitsAndBytesUri:
    """8 or 4 bits a weight, on an accelerator: `bitsandbytes;bits=4`."""

    name: str = _named("bitsandbytes")
    bits: str = opt("8", value=Choice(("8", "4")), help="The bits of a weight: 8 or 4.")
    bits4_compute_dtype: str | None = opt(None, value=Choice(_FLOATS), help="The precision that 4 bits compute in.")
    bits4_quant_type: str = opt("fp4", value=Choice(("fp4", "nf4")), help="How 4 bits are spaced: `fp4` or `nf4`.")
    bits4_use_double_quant: bool = opt(False, value=Flag(), help="Quantize the scales of 4 bits too.")
    bits4_quant_storage: str | None = opt(
        None, value=Choice(("uint8", *_FLOATS)), help="The type that 4 bits are packed into."
    )


@record
@options("sdnq")
class SdnqUri:
    """1 to 8 bits a weight, on any device: `sdnq;type=uint4`."""

    name: str = _named("sdnq")
    type: str = opt("int8", value=Choice(_SDNQ_TYPES), help="The type of a weight: int8 to int2, uint8 to uint1 …")
    group_size: int = opt(0, value=Integer(-1), help="How many weights share a scale; 0 finds it, -1 is all.")
    quant_conv: bool = opt(False, value=Flag(), help="Quantize convolutions too.")
    quantized_matmul: bool = opt(False, value=Flag(), help="Multiply quantized weights as they are.")
    quantized_matmul_conv: bool = opt(False, value=Flag(), help="The same in convolutions.")


@record
@options("torchao")
class TorchAoUri:
    """8 bits a weight, on any device: `torchao;type=float8`."""

    name: str = _named("torchao")
    type: str = opt("int8", value=Choice(("int8", "float8")), help="The type of a weight: `int8` or `float8`.")


@record
@options("quanto")
class QuantoUri:
    """8 to 2 bits a weight, on any device: `quanto;type=int4`."""

    name: str = _named("quanto")
    type: str = opt("int8", value=Choice(("int8", "int4", "int2", "float8")), help="The type of a weight.")


@record
@options("gguf")
class GgufUri:
    """Weights that a `.gguf` file holds in few bits already, on any device: `--unet FILE.gguf` says it by itself."""

    name: str = _named("gguf")


Quantizer = BitsAndBytesUri | SdnqUri | TorchAoUri | QuantoUri | GgufUri

QUANTIZERS: dict[str, type] = {
    "bitsandbytes": BitsAndBytesUri, "sdnq": SdnqUri, "torchao": TorchAoUri, "quanto": QuantoUri, "gguf": GgufUri,
}  # fmt: skip
"""What can be said of each quantizer, by its name."""

NAMES = Choice(tuple(QUANTIZERS), {"bnb": "bitsandbytes"})
"""The names of quantizers."""


def is_gguf(model: str) -> bool:
    """Whether a source of weights is a file in the GGUF format."""
    return model.partition("?")[0].lower().endswith(".gguf")


def quantizer_said(uri: Any) -> Quantizer | None:
    """Return the quantizer of a part that a URI names: what it says, or what its file is."""
    return getattr(uri, "quantizer", None) or (GgufUri(name="gguf") if is_gguf(uri.model) else None)


class QuantizerText(Kind):
    """A quantizer and its arguments, which are its own."""

    metavar: str = "NAME;ARG=VALUE"

    @property
    def uris(self) -> dict[str, Uri]:
        """The URI of each quantizer."""
        return {name: Uri(cls) for name, cls in QUANTIZERS.items()}

    def parse(self, text: str) -> Any:
        """Read a quantizer's URI."""
        first = next(split_uri(text))
        name = NAMES.parse(first.value)
        try:
            return Uri(QUANTIZERS[name]).parse(name + text[first.end :])
        except BadValue as error:
            longer = len(name) - first.end  # than what was written
            error.start = max(0, error.start - longer)
            error.end = None if error.end is None else error.end - longer
            raise

    def format(self, value: Any) -> str:
        """Write a quantizer's URI."""
        return self.uris[value.name].format(value)
