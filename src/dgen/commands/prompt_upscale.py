"""`prompt-upscale`: rewrites prompts, or makes several of one, without a run."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dgen.commands import CommandHost
from dgen.diagnostic import DgenError, Diagnostic, fail
from dgen.engine.protocol import EngineError
from dgen.events import FileSaved
from dgen.lang.format import quote
from dgen.media.write import publish
from dgen.plan.bind import Bound, Given, value_error
from dgen.preflight import as_error
from dgen.schema import BadValue
from dgen.upscalers import Chosen, TextOrder, read_upscaler, upscale
from dgen.values.prompt import Prompt

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
    prompts: Sequence[Prompt] = bound.given["prompts"].values
    writer = _Writer(host, bound)
    for index, chosen in enumerate(chain):
        span = bound.span_of("upscalers", index)
        try:
            prompts = upscale(prompts, chosen, writer)
        except BadValue as error:
            raise fail(error.code, error.message, span, error.help) from None
        except EngineError as error:
            place = bound.span_of("device") if error.option == "device" else span
            raise as_error(Diagnostic(code=error.code, message=error.message, span=place, help=error.help)) from error
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


class _Writer:
    """Lets the engine of the session continue texts."""

    def __init__(self, host: CommandHost, bound: Bound) -> None:
        self._host = host
        offline = "offline_mode" in bound or not host.permissions.network
        self._device, self._offline = bound.value("device"), offline

    def continue_texts(self, order: TextOrder) -> tuple[str, ...]:
        """Return each text with what a model wrote after it."""
        return self._host.engine.continue_texts(order, self._device, offline=self._offline)


def _chain(held: Given) -> list[Chosen]:
    """Read the upscalers of an option.

    Raises:
        DgenError: every mistake in all of them.
    """
    found: list[Chosen] = []
    wrong: list[Diagnostic] = []
    for word in held.words:
        try:
            found.append(read_upscaler(word.text))
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
