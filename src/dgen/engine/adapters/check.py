"""Looks into what attaches to a model before anything is loaded; imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from dgen.engine.adapters.controlnet import check_class, check_fit, read_config
from dgen.engine.adapters.files import adapter_file
from dgen.engine.adapters.ip import check_ip, check_reading
from dgen.engine.adapters.lora import check_shapes, is_lora, named_lora, no_block, no_lora
from dgen.engine.adapters.lycoris import check_lycoris
from dgen.engine.adapters.t2i import check_t2i
from dgen.engine.adapters.words import check_widths, is_word, no_word
from dgen.engine.hub import Hub
from dgen.engine.models import check_weights, part_folder, wanted_family
from dgen.engine.protocol import EngineError
from dgen.engine.replaced import check_replaced
from dgen.engine.sources import (
    ADAPTERS,
    Layout,
    Part,
    Source,
    attached_sources,
    control_parts,
    encoder_part,
    t2i_parts,
)  # fmt: skip
from dgen.engine.weights import check_files, is_safe_format, shapes, weights_of
from dgen.families.rows import SD, Family, family_of_class
from dgen.options.request import Request
from dgen.values.blocks import Blocks, prefix_of


def check_attached(hub: Hub, request: Request, layout: Layout, sees: Callable[[Source], bool]) -> None:
    """Check everything that attaches to a request's model and that the engine `sees`.

    `layout` says where the model lies, when that is known.

    Raises:
        EngineError: `missing-file`, `bad-model`, `bad-weights`, `unsafe-weights`, `bad-uri`; the rest is its `more`.
    """
    found: list[EngineError] = []
    for source, check in _checks(hub, request, layout):
        try:
            if sees(source):
                check()
        except EngineError as error:
            found.append(error.at(source.index))
    if found:
        found[0].more = tuple(found[1:])
        raise found[0]


def _checks(hub: Hub, request: Request, layout: Layout) -> Iterator[tuple[Source, Callable[[], None]]]:
    is_replaced = request.unet is not None or request.transformer is not None
    model = None if is_replaced else layout.path  # what fits another denoiser is told when it is there
    family = _family(request, layout)
    yield from check_replaced(hub, request, layout, family)
    for option in ADAPTERS:
        for source in attached_sources(request, option):
            yield source, partial(_check_adapter, hub, source, model)
    for uri, source in zip(request.loras, attached_sources(request, "loras"), strict=True):
        yield source, partial(_check_blocks, uri.blocks or (), model)
    for uri, part in zip(request.control_nets, control_parts(request, family), strict=True):
        yield part.source, partial(_check_net, hub, part, model, has_mode=uri.mode is not None)
    for part in t2i_parts(request, family):
        yield part.source, partial(_check_t2i, hub, part, model)
    encoder = encoder_part(request, layout)
    if encoder is not None:
        yield encoder.source, partial(_check_encoder, hub, encoder)
        yield encoder.source, partial(_check_reading, hub, request, encoder)


def _family(request: Request, layout: Layout) -> Family:
    return wanted_family(request) or family_of_class(str(layout.index.get("_class_name", SD.pipeline)))


def _check_adapter(hub: Hub, source: Source, model: Path | None) -> None:
    path = adapter_file(hub, source)
    check_files([path], source.option)
    if not is_safe_format(path):
        return
    found = shapes([path])
    names = list(found)
    if source.option == "ip_adapters":
        check_ip(source, found, _unet_shapes(model) or _unet_shapes(model, "transformer"))
        return
    if source.option == "loras":
        if not is_lora(names):
            raise no_lora(source.shown, names)
        with named_lora(source):
            check_lycoris(found, _unet_shapes(model))
        check_shapes(source.name, found, _unet_shapes(model))
        return
    if not is_word(names):
        raise no_word(source.shown, names)
    check_widths(source.name, {name: shape[-1] for name, shape in found.items() if shape}, _widths(model))


def _check_blocks(blocks: Blocks, model: Path | None) -> None:
    """Refuse blocks that a model has not; of one that is not seen, or is a file, loading will tell."""
    if model is None or not model.is_dir():
        return
    layers = _unet_shapes(model) if blocks else {}
    for block, _ in blocks:
        part, start = prefix_of(block)
        is_there = any(name.startswith(start) for name in layers) if part == "unet" else (model / part).is_dir()
        if not is_there and (layers or part != "unet"):
            raise no_block(block)


def _unet_shapes(model: Path | None, kind: str = "unet") -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of a model's UNet or transformer; nothing when no headers tell them."""
    files = weights_of(model / kind, None)[0] if model is not None and model.is_dir() else []
    return shapes(files) if all(map(is_safe_format, files)) else {}


def _widths(model: Path | None) -> dict[str, int]:
    """Return the widths of a model's text encoders, as far as its configurations tell them."""
    kinds = ("text_encoder", "text_encoder_2", "text_encoder_3") if model is not None else ()
    told = {kind: (read_config(model / kind) or {}).get("hidden_size") for kind in kinds if model is not None}
    return {kind: width for kind, width in told.items() if isinstance(width, int)}


def _check_t2i(hub: Hub, part: Part, model: Path | None) -> None:
    folder = _folder(hub, part, "T2I adapter")
    unet = read_config(model / "unet") if model is not None else None
    check_t2i(part.source, read_config(folder) or {}, unet or {})
    check_weights(part.kind, part.source, folder)


def _check_encoder(hub: Hub, part: Part) -> None:
    folder = _folder(hub, part, "image encoder")
    check_weights(part.kind, part.source, folder)


def _check_reading(hub: Hub, request: Request, encoder: Part) -> None:
    config = read_config(_folder(hub, encoder, "image encoder")) or {}
    for source in attached_sources(request, "ip_adapters"):
        path = adapter_file(hub, source)
        if is_safe_format(path):
            check_reading(source, shapes([path]), config)


def _folder(hub: Hub, part: Part, what: str) -> Path:
    """Return the folder with a part's configuration.

    Raises:
        EngineError: `bad-model`: there is none.
    """
    path, source = hub.index(part.source), part.source
    folder = part_folder(path, part.kind) if path.is_dir() else None
    if folder is not None:
        return folder
    if source.option == "ip_adapters":
        raise EngineError(
            "bad-model", "nothing is there to look at the pictures: beside the IP-adapter is no folder `image_encoder`",
            source.option, help="name an image encoder with `--image-encoder`",
        )  # fmt: skip
    reason = "it has no `config.json`" if path.is_dir() else "it is a file, not a folder with `config.json`"
    raise EngineError("bad-model", f"`{source.shown}` is no {what}: {reason}", source.option)


def _check_net(hub: Hub, part: Part, model: Path | None, *, has_mode: bool) -> None:
    source = part.source
    path = hub.index(source)
    if path.is_file():
        check_files([path], source.option)
        return
    folder = part_folder(path, part.kind)
    config = read_config(folder) if folder is not None else None
    if folder is None or config is None:
        raise EngineError("bad-model", f"`{source.shown}` is no ControlNet: it has no `config.json`", source.option)
    check_class(source, config, part.class_name, has_mode=has_mode)
    check_weights(part.kind, source, folder)
    kinds = ("unet", "transformer") if model is not None else ()
    for denoiser in (read_config(model / kind) for kind in kinds if model is not None):
        check_fit(source, config, denoiser or {})
