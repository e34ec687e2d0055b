"""`prompt-upscale`: rewrites prompts, or makes several of one, without a run."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dgen.commands import CommandHost
from dgen.diagnostic import DgenError, Diagnostic, fail
from dgen.events import FileSaved
from dgen.lang.format import quote
from dgen.media.publish import publish
from dgen.plan.bind import Bound, Given, value_error
from dgen.schema import BadValue
from dgen.upscalers import UPSCALERS
from dgen.upscaling import EngineWriter, Step, run_chain

_QUOTES: dict[str, Callable[[str], str]] = {"none": str, "shell": shlex.quote, "dgenerate": quote}


def run(host: CommandHost, bound: Bound) -> None:
    """Send prompts through a chain of upscalers, and write what comes out.

    Raises:
        DgenError: what is wrong with an upscaler, or what it does not like; `file-failed`.
    """
    chain = _chain(bound.given["upscalers"])
    target = bound.value("output_path")
    if target is not None:
        host.permissions.require_write(target, bound.span_of("output_path"))
    offline = "offline_mode" in bound or not host.permissions.network
    writer = EngineWriter(host.engine, bound.value("device"), offline=offline)
    prompts = run_chain(bound.given["prompts"].values, chain, writer)
    text = _written([str(p) for p in prompts], bound.value("output_format", "text"), bound.value("quotes", "none"))
    if target is None:
        host.write(text)
    else:
        _put(host, bound, target, text)


def check(bound: Bound) -> None:
    """Find what is wrong with the upscalers.

    Raises:
        DgenError: every mistake in all of them.
    """
    _chain(bound.given["upscalers"])


def _chain(held: Given) -> list[Step]:
    """Read the upscalers of an option.

    Raises:
        DgenError: every mistake in all of them.
    """
    found: list[Step] = []
    wrong: list[Diagnostic] = []
    for word in held.words:
        try:
            found.append((UPSCALERS.read(word.text), word.span))
        except BadValue as error:
            wrong.append(value_error(error, word, held.flag.text))
    if wrong:
        raise DgenError(*wrong)
    return found


def _written(prompts: list[str], form: str, quotes: str) -> str:
    """Write prompts in a format; only plain text needs quotes of its own."""
    if form == "json":
        return json.dumps(prompts, ensure_ascii=False, indent=2) + "\n"
    if form == "yaml":
        import yaml

        return yaml.safe_dump(prompts, allow_unicode=True, width=1_000_000)
    if form == "toml":
        lines = [f"  {json.dumps(p, ensure_ascii=False)},".replace("\x7f", "\\u007f") for p in prompts]
        return "\n".join(["prompts = [", *lines, "]"]) + "\n"
    return "".join(f"{_QUOTES[quotes](prompt)}\n" for prompt in prompts)


def _put(host: CommandHost, bound: Bound, target: str, text: str) -> None:
    path = Path(target).expanduser()
    try:
        publish(path, partial(shutil.copyfileobj, io.BytesIO(text.encode())))
    except OSError as error:
        raise fail(
            "file-failed", f"`{target}` cannot be written: {error.strerror}", bound.span_of("output_path")
        ) from None
    host.emit(FileSaved(number=1, path=str(path), kind="text"))
