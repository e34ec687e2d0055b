"""Further parameters of a pipeline's call that `--call` says, against the signatures that tell which there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from dgen.diagnostic import Diagnostic, did_you_mean
from dgen.families.definitions import Parameter
from dgen.families.literals import is_writable, read_literal
from dgen.families.rows import Family
from dgen.families.signatures import parameters
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound, value_error
from dgen.schema import BadValue
from dgen.values.prompt import PromptText

_PICTURES = (
    "image", "mask_image", "control_image", "control_mask", "ip_adapter_image", "latents", "image_latents", "images",
    "original_image",
)  # fmt: skip
_DGENS_OWN = (
    "generator", "return_dict", "callback", "callback_steps", "callback_on_step_end", "negative_prompt", "output_type",
    "callback_on_step_end_tensor_inputs",
)  # fmt: skip


def extras_of(request: Request, pipeline: str, package: str) -> dict[str, Any]:
    """Return the parameters of a pipeline's call that a request says, each of the type that the signature names.

    Raises:
        BadValue: as `read_literal`.
    """
    taken = {p.name: p for p in parameters(pipeline, "__call__", package)}
    return {each.name: read_literal(taken[each.name], each.text) for each in request.call if each.name in taken}


@lru_cache(maxsize=64)  # of each statement of a script it is asked anew
def free_parameters(pipeline: str, family: Family) -> tuple[Parameter, ...]:
    """List the parameters of a pipeline's call that no option says and that can be written in a word."""
    found = (p for p in parameters(pipeline, "__call__", family.package) if _instead_of(p.name, family) is None)
    return tuple(p for p in found if is_writable(p))


def extra_mistakes(bound: Bound, family: Family, pipelines: Sequence[str]) -> Iterator[Diagnostic]:
    """Find parameters that a pipeline of a statement does not take, that an option says, or of another type."""
    held = bound.given.get("call")
    for word, extra in zip(held.words, held.values, strict=True) if held is not None and pipelines else ():
        try:
            for pipeline in pipelines:
                _check(extra, pipeline, family)
        except BadValue as error:
            if error.end is None:
                error.start, error.end = word.text.index("=") + 1, len(word.text)
            yield value_error(error, word, "--call")
    said = {extra.name for extra in held.values} if held is not None else set[str]()
    for pipeline in pipelines:
        yield from _missing(bound, (pipeline, family), said)


def _missing(bound: Bound, which: tuple[str, Family], said: set[str]) -> Iterator[Diagnostic]:
    """Find parameters that a pipeline has to be given, and that no option says."""
    pipeline, family = which
    for parameter in free_parameters(pipeline, family):
        if parameter.default is None and parameter.name not in (*said, *family.call):
            name = parameter.name.replace("_", "-")
            yield Diagnostic(
                code="missing-option", message=f"{pipeline} needs `{parameter.name}`", span=bound.span_of("model"),
                help=f"add `--call {name}=…`" + (f", {parameter.annotation}" if parameter.annotation else ""),
            )  # fmt: skip


def _check(extra: Any, pipeline: str, family: Family) -> None:
    found = next((p for p in parameters(pipeline, "__call__", family.package) if p.name == extra.name), None)
    instead = _instead_of(extra.name, family)
    if found is not None and instead is not None:
        raise BadValue(f"`{extra.name}` is said in another way", 0, len(extra.name), help=instead)
    if found is None:
        free = [p.name for p in free_parameters(pipeline, family)]
        listed = "it takes " + ", ".join(f"`{name}`" for name in free) if free else "it takes no further ones"
        raise BadValue(
            f"{pipeline} has no parameter named `{extra.name}`", 0, len(extra.name),
            help=did_you_mean(extra.name, free, listed),
        )  # fmt: skip
    read_literal(found, extra.text)


def _instead_of(name: str, family: Family) -> str | None:
    """Say what to write in the place of a parameter that dgen fills in itself; None for all others."""
    if name in (*_PICTURES, family.references, family.follows):
        return "use `--image-seeds`"
    if name.endswith(("_embeds", "_embeds_mask")):
        return "use `--prompts`"
    if name in ("width", "height", "max_area"):
        return "use `--output-size`"
    if name in ("fps", "frame_rate") and family.makes_video:
        return "use `--fps`"
    row = next((r for r in ROWS.values() if r.keyword and family.keyword(r.name, r.keyword) == name), None)
    if row is not None:
        return f"use `{row.flag}`"
    if name.startswith("negative_"):
        said = next((r for r in ROWS.values() if r.keyword == name.removeprefix("negative_")), None)
        return f"write it after a `;` in `{said.flag}`" if said and isinstance(said.value, PromptText) else None
    decides_size = bool(family.draws) and name in family.call  # and `draws` counts on what is said there
    return "dgen fills it in" if decides_size or name in _DGENS_OWN else None
