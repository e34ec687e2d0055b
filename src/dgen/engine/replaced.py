"""Parts from elsewhere that replace a model's own: its denoiser and its text encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dgen.engine import denoiser_files
from dgen.engine.adapters.controlnet import read_config
from dgen.engine.hub import Hub
from dgen.engine.models import check_weights, part_folder
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Layout, Part, Source, plain_class, replaced_parts
from dgen.engine.text_files import found_in, nowhere
from dgen.engine.weights import check_files, is_safe_format
from dgen.families.checkpoints import DENOISERS
from dgen.families.indices import is_part
from dgen.families.inspection import safetensors_header
from dgen.families.rows import Family
from dgen.options.request import ROWS, Request
from dgen.values.encoders import NONE

_SHARED: Mapping[str, tuple[str, ...]] = {
    "unet": ("in_channels", "out_channels", "cross_attention_dim", "addition_embed_type"),
    "text_encoder": ("hidden_size",),
    "transformer": ("_class_name", "in_channels", "out_channels"),
    "motion_adapter": (),
}
"""Settings that a part has in common with the one that it replaces, by the kind without its number."""


ADDED = ("motion_adapter",)
"""Parts that a model need not have of its own."""


def check_left_out(request: Request, family: Family) -> None:
    """Refuse to go without a text encoder that the pipelines of a family, or a prompt weighter, cannot do without.

    Raises:
        EngineError: `unsupported-option`.
    """
    for index, (kind, uri) in enumerate(zip(ROWS["text_encoders"].parts, request.text_encoders, strict=False)):
        if uri == NONE and (kind not in family.dispensable or request.prompt_weighter is not None):
            who = family.label if request.prompt_weighter is None else f"`{request.prompt_weighter.name}`"
            raise EngineError(
                "unsupported-option", f"{who} cannot do without the {kind}", "text_encoders",
                help="`+` keeps the model's own",
            ).at(index)  # fmt: skip


def check_replaced(
    hub: Hub, request: Request, layout: Layout, family: Family
) -> Iterator[tuple[Source, Callable[[], None]]]:
    """Yield the checks of the parts that replace parts of a request's model, which is of a family."""
    for part in replaced_parts(request):
        yield part.source, partial(_check, hub, part, layout, family)


def _check(hub: Hub, part: Part, layout: Layout, family: Family) -> None:
    source, path = part.source, hub.index(part.source)
    own = layout.index.get(part.kind)
    if layout.index and not isinstance(own, list) and part.kind not in ADDED:
        raise EngineError("bad-value", f"the model has no {part.kind} that it could replace", source.option)
    if isinstance(own, list) and own[1] not in (None, part.class_name) and part.kind not in DENOISERS:
        raise EngineError(
            "bad-uri", f"the model's {part.kind} is a `{own[1]}`, not a `{part.class_name}`", source.option
        )
    if path.is_file():
        check_files([path], source.option)
        if part.library == "transformers":
            _check_text_file(part, path, layout)
            return
        if part.kind in DENOISERS and is_safe_format(path) and is_part(own) and isinstance(own, list):
            denoiser_files.check(part, path, plain_class(str(own[1])), family)
        return
    folder = part_folder(path, part.kind)
    config = read_config(folder) if folder is not None else None
    if folder is None or config is None:
        raise EngineError("bad-model", f"`{source.shown}` has no `config.json` of a {part.kind}", source.option)
    check_weights(part.kind, source, folder)
    _check_fit(part, config, layout.path)


def _check_text_file(part: Part, path: Path, layout: Layout) -> None:
    """Check a file with a text encoder against the one that it replaces; a pickle is told when it is loaded."""
    own = read_config(layout.path / part.kind) if layout.path is not None and not layout.is_file else None
    if own is None:
        raise EngineError(
            "bad-model", f"`{part.source.shown}` is a file, and the model has no `config.json` of its own {part.kind}",
            part.source.option, help="name the folder that has its `config.json`",
        ).at(part.source.index)  # fmt: skip
    if is_safe_format(path):
        shapes = {name: t["shape"] for name, t in safetensors_header(path).items() if name != "__metadata__"}
        if found_in(shapes, own, part.mode) is None:
            raise nowhere(part)


def _check_fit(part: Part, config: Mapping[str, Any], model: Path | None) -> None:
    own = read_config(model / part.kind) if model is not None else None
    kind = "text_encoder" if part.kind.startswith("text_encoder") else part.kind
    for name in _SHARED[kind] if own is not None else ():
        if own is not None and config.get(name) != own.get(name):
            raise EngineError(
                "bad-weights", f"the {part.kind} of `{part.source.name}` does not fit: its `{name}` is "
                f"{config.get(name)}, that of the model's own is {own.get(name)}", part.source.option,
                help="it was made for another model, or for another family",
            )  # fmt: skip
