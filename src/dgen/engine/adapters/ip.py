"""Lets pictures prompt a model through IP-adapters (Ye et al., 2023) for the time of a job."""

from __future__ import annotations

import re
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from dgen.engine.adapters.files import AdapterWeights
from dgen.engine.adapters.layers import as_it_was
from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.options.attachments import IpAdapterUri

_LAYER = re.compile(r"ip_adapter\.(\d+)\.to_k_ip\.weight")
_ATTENTION = re.compile(r"(down|up|mid)_block(?:s\.(\d+))?\.((?!motion).*attn2)\.to_k\.weight")
_ORDER = ("down", "up", "mid")
"""The order in which the layers of a UNet are numbered in the files."""

_JOINT_ATTENTION = re.compile(r"transformer_blocks\.(\d+)\.attn\.to_k\.weight")
_STREAM = re.compile(r"double_blocks\.(\d+)\.processor\.ip_adapter_double_stream_([kv])_proj\.(\w+)")
_READER = "ip_adapter_proj_model."
"""How the first adapters for FLUX.1 name their layers, and what reads pictures."""


@dataclass(frozen=True, slots=True)
class IpAdapter:
    """One IP-adapter of a job."""

    uri: IpAdapterUri
    source: Source
    held: AdapterWeights

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return its tensors as diffusers takes them: those that read pictures, and those of the layers."""
        tensors = self.held.tensors
        if isinstance(tensors, Mapping):
            tensors = {usual_name(name): tensor for name, tensor in tensors.items()}
        return {name: _under(tensors, name) for name in ("image_proj", "ip_adapter")}


def usual_name(name: str) -> str:
    """Return what most adapters call a tensor."""
    found = _STREAM.fullmatch(name)
    if found is not None:
        return f"ip_adapter.{found[1]}.to_{found[2]}_ip.{found[3]}"
    return f"image_proj.{name.removeprefix(_READER)}" if name.startswith(_READER) else name


def _under(tensors: Any, name: str) -> dict[str, Any]:
    inner = tensors.get(name) if isinstance(tensors, Mapping) else None
    if isinstance(inner, Mapping):
        return dict(inner)
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def flat(held: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an adapter's tensors by their names in safetensors files."""
    pairs = [(name, held[name]) for name in ("image_proj", "ip_adapter") if isinstance(held.get(name), Mapping)]
    return {f"{name}.{k}": tuple(v.shape) for name, inner in pairs for k, v in inner.items()}


def check_ip(source: Source, found: Mapping[str, Sequence[int]], denoiser: Mapping[str, Sequence[int]]) -> None:
    """Refuse what is no IP-adapter, one for faces alone, and one of which the headers tell that it does not fit.

    `found` and `denoiser` are the shapes of tensors by name; an empty `denoiser` is not known.

    Raises:
        EngineError: `bad-weights`.
    """
    found = {usual_name(name): shape for name, shape in found.items()}
    layers = {int(m[1]): shape for name, shape in found.items() if (m := _LAYER.fullmatch(name))}
    reads = {name.removeprefix("image_proj.") for name in found if name.startswith("image_proj.")}
    if not layers or not reads:
        other = f": it holds `{next(iter(found))}`" if found else ""
        raise EngineError("bad-weights", f"`{source.name}` is no IP-adapter{other}", source.option)
    if "perceiver_resampler.proj_in.weight" in reads or not reads & {"proj.weight", "proj.3.weight", "latents"}:
        raise EngineError(
            "bad-weights", f"`{source.name}` is an adapter for face IDs, which no CLIP image encoder gives",
            source.option, help="use an IP-adapter that looks at pictures, such as `ip-adapter-plus-face`",
        )  # fmt: skip
    _check_layers(source, layers, denoiser)


def _check_layers(source: Source, layers: Mapping[int, Sequence[int]], denoiser: Mapping[str, Sequence[int]]) -> None:
    texts = denoiser.get("context_embedder.weight")
    if texts is not None:  # a transformer: every layer takes texts of one width, as the adapter's do
        wanted = [
            (int(m[1]), name, (shape[0], texts[1]))
            for name, shape in denoiser.items()
            if (m := _JOINT_ATTENTION.fullmatch(name))
        ]
        numbers = range(len(wanted))
    else:
        wanted = [(_place(m), name, shape) for name, shape in denoiser.items() if (m := _ATTENTION.fullmatch(name))]
        numbers = range(1, 2 * len(wanted), 2)  # the files count the self-attention layers between, and leave them out
    for number, (_, name, shape) in zip(numbers, sorted(wanted), strict=True):
        own = layers.get(number)
        layer = f"`{'unet' if texts is None else 'transformer'}.{name.removesuffix('.to_k.weight')}`"
        if own is None:
            raise _unfit(source, f"the model's {layer} is layer {number}, and its layers are {len(layers)}")
        if list(own) != list(shape):
            raise _unfit(source, f"{layer} is {list(shape)}, and the adapter's layer {number} for it {list(own)}")


def _place(found: re.Match[str]) -> tuple[Any, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", found[3])]
    return (_ORDER.index(found[1]), int(found[2] or 0), numbers)


def _unfit(source: Source, reason: str) -> EngineError:
    return EngineError(
        "bad-weights", f"the IP-adapter `{source.name}` does not fit: {reason}", source.option,
        help="it was made for another model, or for another family",
    )  # fmt: skip


def check_reading(source: Source, found: Mapping[str, Sequence[int]], encoder: Mapping[str, Any]) -> None:
    """Refuse an adapter that reads pictures as another image encoder tells them, by its configuration.

    Raises:
        EngineError: `bad-weights`.
    """
    found = {usual_name(name): shape for name, shape in found.items()}
    for name, setting, axis in _READ_FROM:
        own, given = found.get(f"image_proj.{name}"), encoder.get(setting)
        if own is not None and isinstance(given, int) and own[axis] != given:
            raise EngineError(
                "bad-weights", f"the IP-adapter `{source.name}` reads pictures as {own[axis]} numbers each, "
                f"the image encoder tells {given}", source.option, help="name the fitting one with `--image-encoder`",
            )  # fmt: skip


_READ_FROM = (
    ("proj.weight", "projection_dim", 1), ("proj_in.weight", "hidden_size", 1), ("proj.0.weight", "hidden_size", 1)
)  # fmt: skip
"""The tensors that take what an image encoder tells, the setting of the encoder, and the axis of the tensor."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What was put into a denoiser: slow to make, quick to put in again."""

    key: tuple[Any, ...]
    denoiser: weakref.ref[Any]
    processors: dict[str, Any]
    projection: Any


class IpAdapters:
    """Puts IP-adapters into pipelines; remembers the layers that it made last."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._made: _Made | None = None

    def forget(self) -> None:
        """Free what is remembered."""
        self._made = None

    def add(self, stack: ExitStack, pipeline: Any, adapters: Sequence[IpAdapter]) -> None:
        """Let IP-adapters act in a pipeline until the stack closes.

        Raises:
            EngineError: `bad-weights`: one of them does not fit, or is something else.
        """
        denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
        stack.enter_context(as_it_was(denoiser))
        stack.enter_context(_same_settings(denoiser))
        key = (*(a.source for a in adapters), str(denoiser.device), str(denoiser.dtype))
        made = self._made
        if made is not None and made.key == key and made.denoiser() is denoiser:
            denoiser.set_attn_processor(dict(made.processors))
            denoiser.encoder_hid_proj = made.projection
            denoiser.config.encoder_hid_dim_type = "ip_image_proj"
        else:
            for adapter in adapters:
                _check_again(adapter, denoiser)
            _load(pipeline, adapters)
            own = {n: p for n, p in denoiser.attn_processors.items() if not n.startswith("encoder_hid_proj.")}
            self._made = _Made(key, weakref.ref(denoiser), own, denoiser.encoder_hid_proj)
        if pipeline.feature_extractor is None:
            pipeline.register_modules(feature_extractor=_extractor(pipeline.image_encoder))
        pipeline.set_ip_adapter_scale([a.uri.scale for a in adapters])


def _check_again(adapter: IpAdapter, denoiser: Any) -> None:
    """Check what could not be seen before a pickle was open, or before the model was there."""
    shapes = {f"{part}.{k}": tuple(v.shape) for part, inner in adapter.parts().items() for k, v in inner.items()}
    try:
        check_ip(adapter.source, shapes, {n: tuple(p.shape) for n, p in denoiser.named_parameters()})
    except EngineError as error:
        raise error.at(adapter.source.index) from None


def _load(pipeline: Any, adapters: Sequence[IpAdapter]) -> None:
    try:
        nothing = [None] * len(adapters)
        pipeline.load_ip_adapter([a.parts() for a in adapters], subfolder=nothing, weight_name=nothing)
    except Exception as error:
        raise EngineError(
            "bad-weights", f"the IP-adapter cannot be used: {first_line(error)}", "ip_adapters"
        ) from error


def _extractor(encoder: Any) -> Any:
    """Make what brings pictures to the size that an image encoder looks at."""
    from transformers import CLIPImageProcessor

    size = encoder.config.image_size
    return CLIPImageProcessor(size=size, crop_size=size)


@contextmanager
def _same_settings(denoiser: Any) -> Generator[None]:
    """Give a denoiser's configuration its attributes back."""
    held = vars(denoiser.config)
    before = dict(held)
    try:
        yield
    finally:
        held.clear()
        held.update(before)
