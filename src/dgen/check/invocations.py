"""Checks one invocation of which some words are unknown, by the rows, the binder and the trace engine."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from dgen.check.files import MadeFiles
from dgen.check.unknown import MARK, Oracle
from dgen.diagnostic import DgenError, Diagnostic, Source, Span, Word
from dgen.engine.protocol import EngineError
from dgen.engine.trace import TraceEngine
from dgen.families.inspection import ModelFacts
from dgen.families.rows import family_named
from dgen.media.read import PictureFiles
from dgen.misprocessing import missing_models, processor_mistakes, unpainted
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound, Given, Table, bind, is_flag, request_table, value_error
from dgen.plan.control import STEERING
from dgen.plan.embedded import with_arguments
from dgen.plan.expand import Expansion, expand
from dgen.plan.remember import last_variables
from dgen.plan.support import check_support
from dgen.plan.video import unheard
from dgen.preflight import (
    asks_for_help,
    check_schedulers,
    engine_diagnostic,
    in_folder_of_script,
    missing_files,
    plugin_mistakes,
)
from dgen.schema import BadValue, Kind, Option, Stage, Value
from dgen.upscaling import upscaler_mistakes
from dgen.values.image_seed import AdapterImage, ImageSeed
from dgen.values.scalars import FilePath, is_local, is_url
from dgen.values.uri import Uri

_UNKNOWN = object()
_FOLDER = ROWS["output_path"].default
_COUNTED = {
    "control-images": (*STEERING, "image_seed"), "adapter-images": ("ip_adapters", "image_seed"),
    "missing-option": (*STEERING, "ip_adapters"), "unsupported-mode": ("image_seed",),
}  # fmt: skip
"""Mistakes that are none when there is something unknown among the values of an option."""
_OF_SCHEDULES = ("sigmas", "timesteps", "prompt_weighter")
"""Options of a call that engines check as well."""
_NEEDS_ALL_WORDS = ("missing-option", "missing-model", "missing-value", "unsupported-mode")
_FROM_PLUGINS = ("unknown-plugin", "unknown-model-type")


class Perhaps(Kind):
    """A kind of value that may be unknown; the structure of an image seed is known even when its files are not."""

    inner: Value

    @property
    def metavar(self) -> str:
        """What help shows for the value."""
        return self.inner.metavar

    def parse(self, text: str) -> Any:
        """Read a word, or tell that it is unknown."""
        if MARK not in text:
            return self.inner.parse(text)
        try:
            value = self.inner.parse(text)
        except BadValue:
            return _UNKNOWN
        is_whole = isinstance(value, ImageSeed) and value.paths == (MARK,)
        return value if isinstance(value, ImageSeed) and not is_whole else _UNKNOWN


@cache
def _table() -> Table:
    return Table({n: replace(r, value=Perhaps(r.value)) if r.value else r for n, r in ROWS.items()})


class Invocations:
    """Checks invocations one after another; a model is looked into once."""

    def __init__(self, oracle: Oracle, made: MadeFiles) -> None:
        """Ask `made` for files that do not exist yet."""
        self._oracle, self._made = oracle, made
        self._engine = TraceEngine()
        self._pictures = PictureFiles()
        self._facts: dict[tuple[Any, ...], ModelFacts | EngineError | None] = {}
        self._fit: set[tuple[Any, ...]] = set()
        self.last: dict[str, Any] = {}  # what the `last_*` variables are after the invocation

    def check(self, words: Sequence[Word], span: Span) -> Iterator[Diagnostic]:
        """Yield everything that is wrong with an invocation; remember the folder that it writes to."""
        yield from old_spellings(words)
        raw, mistakes = _bind(words, span)
        yield from mistakes
        bound, unknown = _known(raw)
        if "output_path" not in unknown:
            yield from self._closed_folder(bound)
        self._made.note([MARK if "output_path" in unknown else bound.value("output_path", _FOLDER)])
        if raw is None or asks_for_help(bound):
            self.last = self._unknown_last(ROWS)
            return
        yield from bound.warnings
        bound = in_folder_of_script(bound)
        try:
            bound = with_arguments(bound)
        except DgenError as error:
            yield from error.diagnostics
        expansion = expand(_said(bound), random.Random(0))
        self.last = self._last(bound, expansion, unknown)
        yield from self._missing_inputs(bound)
        found = (*upscaler_mistakes(bound), *processor_mistakes(bound), *plugin_mistakes(bound))
        yield from missing_models(bound, self._is_pending)
        unfit = self._unfit(bound, next(iter(expansion)), unknown)
        yield from (d for d in chain(found, unfit) if not (d.code in _FROM_PLUGINS and self._made.anything))

    # ---- files ---------------------------------------------------------------------------------------------------

    def _missing_inputs(self, bound: Bound) -> Iterator[Diagnostic]:
        held = bound.given.get("image_seed")
        if held is not None:
            pairs = zip(held.words, held.values, strict=False)
            kept = [(w, s) for w, s in pairs if not any(self._is_pending(p) for p in s.paths)]
            known = Given(held.flag, tuple(w for w, _ in kept), tuple(s for _, s in kept))
            yield from missing_files(Bound({**bound.given, "image_seed": known}, bound.span), self._pictures)
        for name, given in bound.given.items():
            row = ROWS[name]
            if isinstance(row.value, FilePath) and row.stage is not Stage.OUTPUT:
                yield from self._missing_paths(row, given)

    def _missing_paths(self, row: Option, given: Given) -> Iterator[Diagnostic]:
        for word, path in zip(given.words, given.values, strict=False):
            if is_url(path) or self._is_pending(path):
                continue
            try:
                self._pictures.find(path)
            except BadValue as error:
                yield value_error(error, word, given.flag.text)

    def _closed_folder(self, bound: Bound) -> Iterator[Diagnostic]:
        """Warn of an output folder that cannot be made or written, as far as can be seen without trying."""
        folder = bound.value("output_path", _FOLDER)
        place = Path(folder).expanduser()
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        if self._made.may_hold(str(place)) or (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            return
        reason = "may not be written" if place.is_dir() else "is no folder"
        yield Diagnostic(
            code="unwritable-output", message=f"the folder `{folder}` cannot be written: `{place}` {reason}",
            span=bound.span_of("output_path"), severity="warning",
        )  # fmt: skip

    def _is_pending(self, path: str) -> bool:
        """Say whether a file is not there yet, and is no mistake."""
        return MARK in path or (not is_url(path) and not _exists(path) and self._made.may_hold(path))

    # ---- the model -----------------------------------------------------------------------------------------------

    def _unfit(self, bound: Bound, request: Request, unknown: Iterable[str]) -> Iterator[Diagnostic]:
        try:
            self._engine.device_kind(request.device)
        except EngineError as error:
            yield engine_diagnostic(error, bound)
        facts = self._inspected(bound, request)
        if isinstance(facts, EngineError):
            yield engine_diagnostic(facts, bound)
        elif facts is not None:
            doubts = [code for code, names in _COUNTED.items() if any(name in unknown for name in names)]
            yield from (d for d in check_support(_with_any_seed(bound), facts) if d.code not in doubts)
            yield from unpainted(bound, facts)
            yield from unheard(bound, facts.family)
            yield from self._unfit_parts(bound, self._without_pending(request), facts)

    def _without_pending(self, request: Request) -> Request:
        """Leave out what attaches to a model when a file of it is not there yet, and is no mistake."""
        pending = [
            row.name
            for row in ROWS.values()
            if isinstance(row.value, Uri) and row.many
            and any(is_local(uri.model) and self._is_pending(uri.model) for uri in getattr(request, row.name))
        ]  # fmt: skip
        return replace(request, **dict.fromkeys(pending, ()))

    def _unfit_parts(self, bound: Bound, request: Request, facts: ModelFacts) -> Iterator[Diagnostic]:
        """Yield what is wrong with schedulers and sub-models; a combination that was fit is not looked at again."""
        schedulers = bound.given["scheduler"].values if "scheduler" in bound else ()
        names = (r.name for r in ROWS.values() if r.stage is Stage.LOAD or r.needs)
        key = (*(getattr(request, name) for name in (*names, *_OF_SCHEDULES)), schedulers)
        if key not in self._fit:
            found = list(check_schedulers(self._engine, bound, request, (facts, schedulers)))
            self._fit.update(() if found else (key,))
            yield from found

    def _inspected(self, bound: Bound, request: Request) -> ModelFacts | EngineError | None:
        """Return what is known of a model; None when neither it nor its family can be told here."""
        if "model" not in bound or not bound.given["model"].values:
            return None
        key = tuple(getattr(request, r.name) for r in ROWS.values() if r.stage is Stage.LOAD and not r.replaces)
        if key not in self._facts:
            self._facts[key] = self._inspect(request)
        return self._facts[key]

    def _inspect(self, request: Request) -> ModelFacts | EngineError | None:
        if is_local(request.model) and self._is_pending(request.model):
            return None
        try:
            is_told = self._engine.sees(request) or request.model_type is not None
            return self._engine.inspect(request) if is_told else None
        except EngineError as error:
            return error

    # ---- variables -----------------------------------------------------------------------------------------------

    def _last(self, bound: Bound, expansion: Expansion, unknown: Iterable[str]) -> dict[str, Any]:
        """Return the `last_*` variables, unknown where the invocation says something unknown, or nothing of a seed."""
        drawn = () if "seed" in bound else ("seed",)
        rows = {name: ROWS[name] for name in (*unknown, *drawn)}
        return {**last_variables(bound, expansion), **self._unknown_last(rows)}

    def _unknown_last(self, rows: Mapping[str, Option]) -> dict[str, Any]:
        names = [name for row in rows.values() for name in (row.variable, *row.last)]
        return {name: self._oracle.unknown() for name in names}


def _exists(path: str) -> bool:
    import os

    return os.path.exists(os.path.expanduser(path))


def _bind(words: Sequence[Word], span: Span) -> tuple[Bound | None, tuple[Diagnostic, ...]]:
    """Bind what is known of an invocation; what stands where an unknown word may have changed its meaning is let be."""
    known, is_open = _groups(words)
    while True:
        try:
            bound = bind(known, _table(), span)
        except DgenError as error:
            spared = _spared(known, error.diagnostics)
            if not spared:
                found = [d for d in error.diagnostics if not (is_open and d.code in _NEEDS_ALL_WORDS)]
                return _sound_part(known, error.diagnostics, span), tuple(d for d in found if MARK not in d.message)
            known, is_open = [w for i, w in enumerate(known) if i not in spared], True
        else:
            return bound, () if "model" in bound or is_open else (_no_model(span),)


def _no_model(span: Span) -> Diagnostic:
    message = "an invocation starts with a model"
    return Diagnostic(code="missing-model", message=message, span=span, help="as in `builtin:shapes`")


def _sound_part(words: list[Word], mistakes: Sequence[Diagnostic], span: Span) -> Bound | None:
    """Bind the options of an invocation in which nothing is wrong, so that they can be checked further."""
    groups: list[list[Word]] = [[]]
    for word in words:
        if is_flag(word):
            groups.append([])
        groups[-1].append(word)
    wrong = [d.span for d in mistakes if d.span is not None]
    sound = [g for g in groups if not any(_holds(w.span, s) for w in g for s in wrong)]
    try:
        return bind([w for g in sound for w in g], _table(), span) if sound and sound[0] == groups[0] else None
    except DgenError:
        return None


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start < max(outer.end, outer.start + 1)


def _is_loose(word: Word) -> bool:
    """Say whether a word may turn out to be several, none, or an option."""
    return MARK in word.text and word.span.text[:1] not in {'"', "'"}


def _groups(words: Sequence[Word]) -> tuple[list[Word], bool]:
    """Leave out options of which the name is unknown, with their values; tell whether any word is loose."""
    known: list[Word] = []
    skips = False
    for word in words:
        if is_flag(word):
            skips = MARK in word.text.partition("=")[0]
        if not skips:
            known.append(word)
    return known, any(_is_loose(w) for w in words)


def _spared(words: list[Word], mistakes: Sequence[Diagnostic]) -> set[int]:
    """Return the places of words that are only wrong when the loose words before them stand for one word each."""
    spans = [d.span for d in mistakes if d.code in ("too-many-values", "unexpected-word")]
    spared: set[int] = set()
    is_loose = False
    for index, word in enumerate(words):
        is_loose = _is_loose(word) or (is_loose and not is_flag(word))
        follows = index - 1 in spared and not is_flag(word)
        if follows or (is_loose and word.span in spans):
            spared.add(index)
    return spared


def _known(bound: Bound | None) -> tuple[Bound, tuple[str, ...]]:
    """Leave unknown values out, and options that take one value which is unknown; name them all."""
    if bound is None:
        return Bound({}, Span(Source("", ""), 0, 0)), tuple(ROWS)
    kept: dict[str, Given] = {}
    unknown: list[str] = []
    for name, held in bound.given.items():
        pairs = [(w, v) for w, v in zip(held.words, held.values, strict=False) if v is not _UNKNOWN]
        if len(pairs) < len(held.words):
            unknown.append(name)
        if pairs or ROWS[name].takes_many or not held.words:
            kept[name] = Given(held.flag, tuple(w for w, _ in pairs), tuple(v for _, v in pairs))
    return Bound(kept, bound.span, bound.warnings), tuple(unknown)


def _said(bound: Bound) -> Bound:
    """Leave out the options of which no value is known."""
    said = {n: h for n, h in bound.given.items() if h.values or not ROWS[n].takes_value}
    return Bound(said, bound.span)


def _with_any_seed(bound: Bound) -> Bound:
    """Let image seeds of which nothing is known stand for every mode that they may ask for."""
    held = bound.given.get("image_seed")
    if held is None or held.values:
        return bound
    counts = {name: len(bound.given[name].values) for name in (*STEERING, "ip_adapters") if name in bound}
    controls = (MARK,) * sum(counts.get(name, 0) for name in STEERING)
    groups = ((AdapterImage(MARK),),) * counts.get("ip_adapters", 0)
    plain = ImageSeed(MARK, control=controls, adapter=groups)
    seeds = (replace(plain, control=(), further=controls[1:]), plain, replace(plain, mask=MARK))
    return Bound({**bound.given, "image_seed": Given(held.flag, (), seeds)}, bound.span)


def old_spellings(words: Iterable[Word]) -> Iterator[Diagnostic]:
    """Yield a note for each option, and each name of a family, that is written as an older version called it."""
    flags = request_table().flags
    before: Option | None = None
    for word in words:
        row = flags.get(word.text.partition("=")[0]) if is_flag(word) else None
        name = word.text.partition("=")[0]
        if row is not None and name not in (row.flag, row.short):
            yield old_spelling(name, row.flag, word.at(0, len(name)))
        elif row is None and before is not None and before.name == "model_type" and MARK not in word.text:
            yield from _old_family(word)
        before = row


def _old_family(word: Word) -> Iterator[Diagnostic]:
    try:
        name = family_named(word.text).name
    except BadValue:
        return
    if name != word.text.lower():
        yield old_spelling(word.text, name, word.at(0, len(word.text)))


def old_spelling(old: str, new: str, span: Span) -> Diagnostic:
    """Describe a spelling that still works but has a new name."""
    return Diagnostic(
        code="old-spelling", message=f"`{old}` is now written `{new}`", span=span, severity="note",
        help="`dgen check --fix` writes the new name", fix=new,
    )  # fmt: skip
