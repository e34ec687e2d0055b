"""Writes what a check found: for people, as JSON, as SARIF."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dgen import __version__
from dgen.diagnostic import CODES, Diagnostic, Span, render
from dgen.events import diagnostic_fields
from dgen.lang.blocks import PRODUCED


def human(found: Sequence[Diagnostic], *, color: bool = False) -> str:
    """Draw what was found."""
    return render(found, color=color)


def summary(found: Sequence[Diagnostic], files: int) -> str:
    """Count what was found."""
    counts = Counter(d.severity for d in found)
    named = [f"{n} {word if n == 1 else word + 's'}" for word in ("error", "warning", "note") if (n := counts[word])]
    return f"checked {files} {'file' if files == 1 else 'files'}: {', '.join(named) or 'nothing to mend'}"


def as_json(found: Sequence[Diagnostic]) -> str:
    """Write what was found as a list of objects, each placed in a file that exists."""
    fields = [{**diagnostic_fields(at_root(d)), "fix": d.fix} for d in found]
    return json.dumps(fields, ensure_ascii=False, indent=2)


def as_sarif(found: Sequence[Diagnostic]) -> str:
    """Write what was found as SARIF 2.1.0; the codes are its rules."""
    rules = [{"id": code, "shortDescription": {"text": meaning}} for code, meaning in sorted(CODES.items())]
    driver = {"name": "dgen", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(at_root(d)) for d in found],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2)


def at_root(d: Diagnostic) -> Diagnostic:
    """Place a diagnostic of a line that a template produced where the template stands."""
    span = d.span
    notes = d.notes
    while span is not None and span.source.origin is not None and span.source.origin.how == PRODUCED:
        line = span.source.line(span.source.place(span.start)[0])
        notes = (*notes, (None, f"the line became: {line}"))
        span = span.source.origin.of(span)
    return d if span is d.span else replace(d, span=span, notes=notes, fix=None)


def _result(d: Diagnostic) -> dict[str, Any]:
    notes = [text for span, text in d.notes if span is None]
    text = "\n".join([d.message, *([f"help: {d.help}"] if d.help else []), *notes])
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": sorted(CODES).index(d.code),
        "level": d.severity,
        "message": {"text": text},
    }
    if d.span is not None:
        result["locations"] = [{"physicalLocation": _location(d.span)}]
    related = [
        {"physicalLocation": _location(span), "message": {"text": text}} for span, text in d.notes if span is not None
    ]
    if related:
        result["relatedLocations"] = related
    if d.span is not None and d.fix is not None:
        result["fixes"] = [_fix(d.span, d.fix)]
    return result


def _fix(span: Span, text: str) -> dict[str, Any]:
    change = {"deletedRegion": _region(span), "insertedContent": {"text": text}}
    artifact = _location(span)["artifactLocation"]
    return {
        "description": {"text": f"write `{text}`"},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": [change]}],
    }


def _location(span: Span) -> dict[str, Any]:
    path = Path(span.source.name)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"artifactLocation": {"uri": uri}, "region": _region(span)}


def _region(span: Span) -> dict[str, int]:
    line, column = span.source.place(span.start)
    last, end = span.source.place(span.end)
    return {"startLine": line, "startColumn": column, "endLine": last, "endColumn": end}
