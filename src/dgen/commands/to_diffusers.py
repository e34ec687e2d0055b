"""`to-diffusers`: writes any model that can be loaded as a folder in diffusers layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dgen.commands import CommandHost
from dgen.diagnostic import fail
from dgen.events import FileSaved
from dgen.families.indices import has_index
from dgen.families.inspection import ModelFacts
from dgen.families.rows import MODES, TXT2IMG
from dgen.media.publish import whole_folder
from dgen.options.request import Request
from dgen.plan.bind import Bound
from dgen.plan.resolve import Job, pipeline_of

VARIANTS = {"float32": None, "float16": "fp16", "bfloat16": "bf16"}
"""The variant that diffusers' users call a precision by; plain files come first, as later ones join them."""

_SHARED = (
    "model", "model_type", "revision", "variant", "subfolder", "original_config", "model_config", "auth_token",
    "offline_mode",
)  # fmt: skip


def run(host: CommandHost, bound: Bound) -> None:
    """Load a model once for each precision and write all of them into one folder, whole or not at all.

    Raises:
        DgenError: `too-many-values`, `file-failed`.
        BadValue: `unwritable-output`, `disk-full`.
        EngineError: whatever is wrong with the model.
    """
    precisions = _precisions(bound)
    folder = Path(bound.value("output_path")).expanduser()
    host.permissions.require_write(folder, bound.span_of("output_path"))
    _check_target(folder, bound)
    request = _request(host, bound)
    facts = host.engine.inspect(request)
    jobs = [(_job(request, facts, dtype), VARIANTS[dtype]) for dtype in precisions]
    with whole_folder(folder) as part:
        host.engine.convert(jobs, part)
    host.emit(FileSaved(number=1, path=str(folder), kind="model"))


def _precisions(bound: Bound) -> Sequence[str]:
    held = bound.given.get("dtypes")
    if held is None:
        return ("float32",)
    if len(held.values) > 2:
        raise fail("too-many-values", f"`{held.flag.text}` takes 1 or 2 values, got {len(held.values)}",
                   held.words[2].span)  # fmt: skip
    return sorted(set(held.values), key=list(VARIANTS).index)


def _check_target(folder: Path, bound: Bound) -> None:
    """Refuse to replace a folder, unless it is asked for and holds a model: nobody wants to lose anything else."""
    span = bound.span_of("output_path")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.is_dir() and has_index(folder):
        if "output_overwrite" not in bound:
            raise fail("file-failed", f"`{folder}` holds a model already", span, "replace it with `--output-overwrite`")
    elif folder.exists():
        what = "is a folder of other things" if folder.is_dir() else "is a file"
        raise fail("file-failed", f"`{folder}` {what}, which is never replaced", span, "name a new folder")


def _request(host: CommandHost, bound: Bound) -> Request:
    said = {name: bound.value(name) for name in _SHARED if name in bound}
    if not host.permissions.network:
        said["offline_mode"] = True
    return Request(**said)


def _job(request: Request, facts: ModelFacts, dtype: str) -> Job:
    """Return a job whose parts are those of the model; nothing is rendered."""
    modes = [mode for mode in MODES if facts.has_mode(mode)]
    pipeline = facts.pipeline if TXT2IMG in modes else pipeline_of(facts, modes[0])
    return Job(
        request=replace(request, dtype=dtype), family=facts.family.name, mode=modes[0], size=facts.default_size,
        pipeline=pipeline or facts.pipeline,
    )  # fmt: skip
