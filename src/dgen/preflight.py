"""Checks of an invocation that need no loaded model: what a session asks before it starts, and `check` in its stead."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dgen import help as helps
from dgen.detailing import detailing_mistakes
from dgen.detectors import DETECTORS
from dgen.diagnostic import DgenError, Diagnostic, Exit, Span, Word
from dgen.engine.protocol import Engine, EngineError, PartFacts
from dgen.families.inspection import ModelFacts
from dgen.families.samplers import SAMPLERS, SPACINGS
from dgen.families.signatures import parameters
from dgen.media.read import PictureFiles
from dgen.misprocessing import missing_models, unpainted
from dgen.options.request import ROWS, Request
from dgen.plan.bind import Bound, relative_to, root, value_error
from dgen.plan.control import STEERING
from dgen.plan.embedded import said_in
from dgen.plan.expand import Expansion
from dgen.plan.latents import latents_mistakes
from dgen.plan.shots import film_mistakes, reel_of, said_slice
from dgen.plan.support import check_support
from dgen.plan.video import moves_in
from dgen.processors import ProcessorText
from dgen.refiners import NEXT, REFINERS
from dgen.registry import Registry
from dgen.retouching import retouching_mistakes
from dgen.schema import BadValue
from dgen.values.encoders import HELP
from dgen.values.image_seed import CONTROL_IMAGE
from dgen.values.scalars import is_url
from dgen.weighters import WEIGHTERS

_FAILURES = {"out-of-memory", "render-failed", "disk-full", "unwritable-output"}


def look_into(
    bound: Bound, expansion: Expansion, engine: Engine, pictures: PictureFiles
) -> tuple[ModelFacts | None, list[Diagnostic]]:
    """Return what a statement's model is, None when it cannot be told, and everything that is wrong with both."""
    found = [*missing_files(bound, pictures), *missing_models(bound)]
    first = next(iter(expansion))
    try:
        facts = engine.inspect(first)
    except EngineError as error:
        return None, [*found, engine_diagnostic(error, bound)]
    found += (*check_support(bound, facts, moves_in(pictures.clip)), *unpainted(bound, facts))
    found += check_schedulers(engine, bound, first, (facts, expansion.values("scheduler")))
    return facts, found


@contextmanager
def blaming(bound: Bound) -> Generator[None]:
    """Turn an error without a place into one that points at the word it is about.

    Raises:
        DgenError: in the place of an `EngineError` or a `BadValue`.
    """
    try:
        yield
    except EngineError as error:
        raise as_error(engine_diagnostic(error, bound)) from error
    except BadValue as error:
        option = {"disk-full": "output_path", "unwritable-output": "output_path"}.get(error.code, "image_seed")
        raise as_error(value_diagnostic(error, bound.span_of(option))) from error


def as_error(diagnostic: Diagnostic) -> DgenError:
    """Make the error of a diagnostic; some belong to running, not to what the user wrote."""
    return DgenError(diagnostic, exit_code=Exit.JOB_FAILED if diagnostic.code in _FAILURES else Exit.USAGE)


def missing_files(bound: Bound, pictures: PictureFiles) -> Iterator[Diagnostic]:
    """Yield what is wrong with the pictures that image seeds name, one mistake a seed; URLs are not looked at."""
    yield from film_mistakes(bound)
    yield from retouching_mistakes(bound)
    yield from detailing_mistakes(bound)
    held = bound.given.get("image_seed")
    for word, seed in zip(held.words, held.values, strict=True) if held else ():
        checks: list[tuple[Callable[[], object], str]] = [(partial(pictures.size, p), p) for p in seed.pictures]
        keeps_aspect = seed.aspect if seed.aspect is not None else "no_aspect" not in bound
        if (
            seed.image is not None
            and not seed.is_latent
            and keeps_aspect
            and not any(option in bound for option in _PROCESSORS)
        ):
            beside = [b for b in seed.beside if b[0] != CONTROL_IMAGE or any(option in bound for option in STEERING)]
            checks += ((partial(pictures.check_aspect, p, seed.image, what), p) for what, p in beside)
        if any(map(is_url, seed.paths)):
            continue
        checks += ((partial(pictures.find, p), p) for p in seed.latent_files)
        broken = next(filter(None, (_blame(check, path, word) for check, path in checks)), None)
        if broken is None:
            slicing = partial(reel_of, seed, said_slice(bound), pictures.clip)
            broken = next(filter(None, (_blame(slicing, path, word) for path in seed.pictures[:1])), None)
        if broken is not None:
            yield value_error(broken, word, held.flag.text if held else "")


def plugin_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with the plugins that options name, but for processors and upscalers."""
    yield from latents_mistakes(bound)
    for option, registry in _NAMED.items():
        held = bound.given.get(option)
        for word in held.words if held is not None else ():
            try:
                _ = word.text == NEXT or registry.read(word.text)
            except BadValue as error:
                yield value_error(error, word, held.flag.text if held is not None else "")
    for row, value, word in said_in(bound):
        try:
            _ = row.name in _NAMED and _NAMED[row.name].read(str(value))
        except BadValue as error:
            yield value_diagnostic(error, word.span)


_NAMED: dict[str, Registry[Any]] = {
    "prompt_weighter": WEIGHTERS, "second_prompt_weighter": WEIGHTERS, "latents_processors": REFINERS,
    "img2img_latents_processors": REFINERS, "latents_post_processors": REFINERS,
    "adetailer_detectors": DETECTORS,
}  # fmt: skip
"""The options whose words name plugins, and their kinds."""

_PROCESSORS = tuple(name for name, row in ROWS.items() if isinstance(row.value, ProcessorText))
"""Options that may change the aspect of a picture: what fits is only known when they are done."""


def _blame(check: Callable[[], object], path: str, word: Word) -> BadValue | None:
    """Return the error of a check, pointing at a path in a word."""
    try:
        check()
    except BadValue as error:
        written = path if path in word.text else Path(path).name
        start = word.text.rfind(written)
        error.start, error.end = (start, start + len(written)) if start >= 0 else (0, None)
        return error
    return None


def check_schedulers(
    engine: Engine, bound: Bound, request: Request, given: tuple[ModelFacts, Sequence[Any]]
) -> Iterator[Diagnostic]:
    """Yield what an engine has against each scheduler of a statement, and against the parts of its model."""
    facts, schedulers = given
    found: list[Diagnostic] = []
    for index, scheduler in enumerate(schedulers or (None,)):
        try:
            engine.check(replace(request, scheduler=scheduler), facts)
        except EngineError as error:
            found += (engine_diagnostic(each, bound, index) for each in (error, *error.more))
    yield from dict.fromkeys(found)  # what is wrong with another part is wrong beside every scheduler


def asks_for_help(bound: Bound) -> bool:
    """Whether a statement asks which schedulers or text encoders there are instead of rendering."""
    return bool(asked_about(bound))


def asked_about(bound: Bound) -> dict[str, list[str]]:
    """Return the options of which a statement asks what they can be, and their words."""
    said = {name: [w.text for w in bound.given[name].words] for name in _QUESTIONS if name in bound.given}
    return {name: words for name, words in said.items() if not _QUESTIONS[name].isdisjoint(words)}


_QUESTIONS = {"scheduler": {"help", "helpargs"}, "text_encoders": {HELP}, "second_text_encoders": {HELP}}


def encoder_lines(parts: Sequence[PartFacts]) -> Iterator[str]:
    """Yield what `help` says of the text encoders among the parts of a model."""
    found = [part for part in parts if part.kind.startswith("text_encoder")]
    yield from (f"{part.kind}: {part.class_name or 'of a class that only loading tells'}" for part in found)
    if not found:
        yield "what text encoders the model has cannot be told before it is loaded"
    yield "One word for each, in this order: `CLASS;model=SOURCE`, `+` for the model's own, or `null` for none."


def scheduler_lines(names: Sequence[str], with_arguments: bool) -> Iterator[str]:
    """Yield what `help` and `helpargs` say of schedulers."""
    for name in names:
        yield name
        for p in parameters(name, "__init__") if with_arguments else ():
            yield f"    {p.name.replace('_', '-')}={p.default if p.default is not None else ''}"
    if with_arguments:
        yield "and of all: clone-config=True, which takes what is not said from the model's own scheduler"
    known = ", ".join(f"`{name}`" for name, (scheduler, _) in SAMPLERS.items() if scheduler in names)
    if known:
        yield f"Other names: {known}; with {', '.join(f'`{s}`' for s in SPACINGS)} after them where they can do it."


def in_folder_of_script(bound: Bound) -> Bound:
    """Read the relative paths of a statement from the folder of its script, when `--relative-inputs` says so."""
    if not bound.value("relative_inputs"):
        return bound
    script = Path(root(bound.span.source).name)
    folder = script.resolve().parent if script.is_file() else Path.cwd()
    return relative_to(bound, str(folder), ROWS)


def option_help(names: Sequence[Word]) -> str:
    r"""Return help on options, as `\help` shows it.

    Raises:
        DgenError: `unknown-topic`.
    """
    try:
        return helps.page([w.text for w in names])
    except BadValue as error:
        raise DgenError(value_diagnostic(error, names[0].span if names else None)) from None


def value_diagnostic(error: BadValue, span: Span | None) -> Diagnostic:
    """Give an error of a value its place."""
    return Diagnostic(code=error.code, message=error.message, span=span, help=error.help)


def engine_diagnostic(error: EngineError, bound: Bound, index: int = 0) -> Diagnostic:
    """Give an engine's error its place: a value of the option that it is about. `index` counts schedulers."""
    span = bound.span_of(error.option, index if error.option == "scheduler" else error.index)
    return Diagnostic(code=error.code, message=error.message, span=span, help=error.help)
