"""Examines an installation: versions, devices, memory, caches, disk, extras, and what is missing.

No library is imported here: `dgen.engine.report` looks at them in a process of its own.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from dgen import __version__
from dgen.cache import cache_folder
from dgen.engine.report import FACTS, LIBRARIES
from dgen.media.ffmpeg import program
from dgen.schema import BadValue
from dgen.values.amounts import shown_bytes

DISTRIBUTION = "dgen-lang"
TIME_LIMIT_S = 120.0
_LEAST_FREE_BYTES = 2 * 2**30
_SKIPPED = "not looked at, after what failed before"
_OF_MODULE = {"PIL": "pillow"}  # the distribution of a module, where they differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. Only what is `wrong` keeps dgen from working."""

    section: str
    name: str
    text: str
    state: str = "ok"  # ok, missing, wrong
    help: str | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


class Report:
    """What the program that looks at the libraries answered."""

    def __init__(self, time_limit_s: float) -> None:
        """Run it, for so many seconds at most."""
        self._limit = time_limit_s

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Every fact; the one at which the program ended has an `error`, those after it are `skipped`."""
        text, ending = self._answer()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        found: dict[str, dict[str, Any]] = {line.pop("fact"): line for line in lines}
        missing = [name for name in FACTS if name not in found]
        for name in missing:
            found[name] = {"error": ending} if name == missing[0] else {"error": _SKIPPED, "skipped": True}
        return found

    def _answer(self) -> tuple[str, str]:
        """Return what the program printed, and how it ended."""
        argv = [sys.executable, "-m", "dgen.engine.report"]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=self._limit, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as late:
            return _text(late.stdout), f"no answer within {self._limit:g} s"
        return _text(done.stdout), _ending(done.returncode, _text(done.stderr).strip().splitlines())

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.facts[name]


def _ending(code: int, lines: list[str]) -> str:
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"the process that looks at it crashed ({known.get(-code, f'signal {-code}')})"
    return f"the process that looks at it ended with {code}" + (f": {lines[-1]}" if lines else "")


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def examine(time_limit_s: float = TIME_LIMIT_S) -> Iterator[Finding]:
    """Yield everything that there is to tell."""
    report = Report(time_limit_s)
    yield Finding(section="program", name="dgen", text=__version__)
    yield Finding(section="program", name="python", text=f"{platform.python_version()} ({sys.executable})")
    yield Finding(section="program", name="system", text=platform.platform())
    yield from _libraries(report)
    yield from _devices(report)
    yield from _caches(report)
    yield from _disks()
    yield from _programs()
    yield from _hub(report)
    yield from _extras()


# ---- libraries and extras --------------------------------------------------------------------------------------


def _libraries(report: Report) -> Iterator[Finding]:
    modules = {_OF_MODULE.get(name, name): name for name in LIBRARIES}
    for requirement in _requirements(""):
        found = _version(requirement.name)
        fact = report[modules[requirement.name]] if requirement.name in modules else {}
        yield _library(requirement, found, fact)


def _library(requirement: Any, found: str | None, fact: dict[str, Any]) -> Finding:
    get = f'pip install "{requirement.name}{requirement.specifier}"'
    said: dict[str, Any] = {"section": "libraries", "name": requirement.name, "facts": {"version": found}}
    if found is None:
        return Finding(**said, text="not installed", state="wrong", help=get)
    if not requirement.specifier.contains(found, prereleases=True):
        return Finding(**said, text=f"{found}, but dgen needs {requirement.specifier}", state="wrong", help=get)
    if fact.get("skipped"):
        return Finding(**said, text=f"{found}, {_SKIPPED}", state="missing")
    if "error" in fact:
        again = f'pip install --force-reinstall "{requirement.name}{requirement.specifier}"'
        return Finding(**said, text=f"{found} cannot be imported: {fact['error']}", state="wrong", help=again)
    return Finding(**said, text=found)


def _requirements(extra: str) -> list[Any]:
    """Return what dgen requires, for an extra or always; nothing when dgen is run without being installed."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    every = [Requirement(text) for text in texts]
    always = [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [r for r in every if r not in always and r.marker is not None and r.marker.evaluate({"extra": extra})]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extras() -> Iterator[Finding]:
    try:
        names = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return
    for extra in names:
        missing = [r.name for r in _requirements(extra) if _version(r.name) is None]
        if missing:
            get = f'pip install "{DISTRIBUTION}[{extra}]"'
            text = f"lacks {', '.join(missing)}"
            yield Finding(section="extras", name=extra, text=text, state="missing", help=get)
        else:
            yield Finding(section="extras", name=extra, text="installed")


# ---- the machine -----------------------------------------------------------------------------------------------


def _devices(report: Report) -> Iterator[Finding]:
    host, torch = report["host"], report["devices"]
    if "error" in host:
        yield Finding(section="devices", name="cpu", text=f"memory unknown: {host['error']}", state=_unknown(host))
    else:
        memory = f"{shown_bytes(host['free_bytes'])} of {shown_bytes(host['total_bytes'])} free"
        yield Finding(section="devices", name="cpu", text=f"{host['cores']} cores, {memory}", facts=host)
    if "error" in torch:
        yield Finding(section="devices", name="others", text=f"unknown: {torch['error']}", state=_unknown(torch))
        return
    for told in torch["devices"]:
        free = f"{shown_bytes(told['free_bytes'])} of " if told["free_bytes"] is not None else ""
        text = f"{told['name']}, {free}{shown_bytes(told['total_bytes'])}{' free' if free else ''}"
        yield Finding(section="devices", name=told["device"], text=text, facts=told)
    if not torch["devices"]:
        yield Finding(section="devices", name="others", text="none: everything runs on the CPU")


def _unknown(fact: dict[str, Any]) -> str:
    return "missing" if fact.get("skipped") else "wrong"


def _caches(report: Report) -> Iterator[Finding]:
    yield _cache("dgen", cache_folder(""))
    hub = report["hub"]
    if "cache" in hub:
        yield _cache("hub", Path(hub["cache"]))


def _cache(name: str, folder: Path) -> Finding:
    held = folder_bytes(folder) if folder.is_dir() else 0
    facts = {"folder": str(folder), "bytes": held}
    first = next((f for f in (folder, *folder.parents) if f.exists()), folder)
    if not os.access(first, os.W_OK):
        return Finding(
            section="caches", name=name, text=f"`{folder}` cannot be written", state="wrong", facts=facts,
            help="set `DGEN_CACHE` to another folder" if name == "dgen" else "set `HF_HUB_CACHE` to another folder",
        )  # fmt: skip
    return Finding(section="caches", name=name, text=f"{shown_bytes(held)} in {folder}", facts=facts)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of the files under a folder; what links point to counts where it lies."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:
                continue  # it went away, or nobody may look
    return total


def _disks() -> Iterator[Finding]:
    for name, folder in (("here", Path.cwd()), ("cache", cache_folder(""))):
        place = next(f for f in (folder, *folder.parents) if f.exists())
        free = shutil.disk_usage(place).free
        is_low = free < _LEAST_FREE_BYTES
        yield Finding(
            section="disk", name=name, text=f"{shown_bytes(free)} free at {place}", state="missing" if is_low else "ok",
            help="models take several GiB" if is_low else None, facts={"folder": str(place), "free_bytes": free},
        )  # fmt: skip


def _programs() -> Iterator[Finding]:
    try:
        path = program()
    except BadValue as error:
        yield Finding(section="programs", name="ffmpeg", text=error.message, state="missing", help=error.help)
        return
    try:
        done = subprocess.run([path, "-version"], capture_output=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        text = f"{path} does not run: {type(error).__name__}"
        yield Finding(section="programs", name="ffmpeg", text=text, state="missing")
        return
    yield Finding(section="programs", name="ffmpeg", text=_text(done.stdout).partition("\n")[0] or path)


def _hub(report: Report) -> Iterator[Finding]:
    hub = report["hub"]
    if "error" in hub:
        yield Finding(section="hub", name="token", text=f"unknown: {hub['error']}", state=_unknown(hub))
        return
    text = "present" if hub["has_token"] else "none: models that ask for one need `HF_TOKEN` or `--auth-token`"
    yield Finding(section="hub", name="token", text=text)
    if hub["is_offline"]:
        yield Finding(section="hub", name="network", text="off: `HF_HUB_OFFLINE` is set")
