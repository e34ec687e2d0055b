"""`image-process`: changes pictures, animations and videos with image processors, without a run."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dgen.commands import CommandHost
from dgen.commands.developing import Developing, Work
from dgen.diagnostic import DgenError, Diagnostic, Word, fail
from dgen.lang.modules import load_plugins
from dgen.media.encode import FORMATS
from dgen.media.record import FORMATS as FILM_FORMATS
from dgen.media.video import ENDINGS, Clip
from dgen.misprocessing import chains_left_over, ending_of, models_not_here, wrong_processors
from dgen.options.animation import WITH_SOUND
from dgen.plan.bind import Bound, value_error
from dgen.processors import chain_of, chains, surplus
from dgen.schema import BadValue
from dgen.values.scalars import is_url

_ALL = (*FORMATS, *(each for each in FILM_FORMATS if each not in FORMATS))


def run(host: CommandHost, bound: Bound) -> None:
    """Change each picture, and write it.

    Raises:
        DgenError: `missing-file`, `bad-file`, `file-failed`, `processor-chains`, and what a processor does not like.
    """
    for word in bound.given["plugin_modules"].words if "plugin_modules" in bound else ():
        host.permissions.require("plugins", word.span, "load plugins")
        load_plugins(word)
    _refuse([*_mistakes(bound), *models_not_here(bound.given["processors"])])
    host.pictures.offline = "offline_mode" in bound or not host.permissions.network
    works = _works(bound)
    _refuse_surplus(bound, len(works))
    works = [_looked_at(host, bound, work) for work in works]
    _refuse_slice_of_stills(bound, works)
    for work in works:
        span = bound.span_of("output_path") if "output_path" in bound else work.word.span
        host.permissions.require_write(work.target, span)
    found = chains(bound.given["processors"].values, "processors")
    made = Developing(host, bound)
    try:
        for number, work in enumerate(works):
            made.make(number + 1, work, chain_of(found, number))
    finally:
        host.provide(last_images=made.pictures, last_animations=made.films)


def check(bound: Bound) -> None:
    """Find what is wrong with the processors and the names of files; those of plugins that are not loaded may be.

    Raises:
        DgenError: every mistake in all of them.
    """
    has_plugins = "plugin_modules" in bound
    _refuse([each for each in _mistakes(bound) if not (has_plugins and each.code == "unknown-plugin")])


def _refuse(wrong: list[Diagnostic]) -> None:
    if wrong:
        raise DgenError(*wrong)


def _mistakes(bound: Bound) -> Iterator[Diagnostic]:
    yield from wrong_processors(bound.given["processors"], of_a_job=False)
    yield from _frame_mistakes(bound)
    held = bound.given.get("output_path")
    if held is not None and len(held.words) > 1:
        for word in held.words:
            try:
                ending_of(Path(word.text), _ALL)
            except BadValue as error:
                yield value_error(error, word, held.flag.text)


def _frame_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is contradictory in what is said of the frames of animations."""
    first, last = bound.value("frame_start"), bound.value("frame_end")
    if first is not None and last is not None and first > last:
        message = f"`--frame-end`: the last frame, {last}, comes before the first, {first}"
        yield Diagnostic(code="bad-value", message=message, span=bound.span_of("frame_end"))
    if "no_frames" in bound and "no_animation_file" in bound:
        yield Diagnostic(
            code="contradictory-options", message="without frames and without an animation nothing is written",
            span=bound.given["no_animation_file"].flag.span, help="leave one of the two out",
            notes=((bound.given["no_frames"].flag.span, "this leaves the animation alone"),),
        )  # fmt: skip


def _looked_at(host: CommandHost, bound: Bound, work: Work) -> Work:
    """Find out what moves and which of its frames are used, before anything is written.

    Raises:
        DgenError: `missing-file`, `bad-file`, `bad-value`.
    """
    try:
        clip = host.pictures.clip(work.source)
        if clip is None:
            host.pictures.size(work.source)
        frames = _slice(bound, work, clip) if clip is not None else None
    except BadValue as error:
        raise fail(error.code, error.message, work.word.span, error.help) from None
    work = replace(work, frames=frames, rate=clip.rate if clip is not None else work.rate)
    return _with_sound(bound, replace(work, target=_target(bound, work)))


def _with_sound(bound: Bound, work: Work) -> Work:
    """Return an animation that may keep its sound.

    Raises:
        DgenError: `contradictory-options`: its file holds none.
    """
    if "keep_audio" in bound and work.is_film and work.target.suffix[1:].lower() not in WITH_SOUND:
        message = f"only an mp4 holds sound, and `{work.target.name}` is none"
        flag = bound.given["keep_audio"].flag
        raise fail("contradictory-options", message, flag.span, "name an mp4 with `--output`, or leave it out")
    return work


def _slice(bound: Bound, work: Work, clip: Clip) -> range:
    first, last = bound.value("frame_start") or 0, clip.frames - 1
    if first > last:
        message = f"the slice starts at frame {first}, and the last frame of `{Path(work.source).name}` is {last}"
        raise fail("bad-value", message, bound.span_of("frame_start"))
    end = bound.value("frame_end")
    return range(first, (last if end is None else min(last, end)) + 1)


def _target(bound: Bound, work: Work) -> Path:
    """Return the file for a picture; the format is that of its name, or else one that holds it.

    Raises:
        DgenError: `bad-value`: its name is the user's, and names no format that holds it.
    """
    formats, other = (tuple(FILM_FORMATS), "mp4") if work.is_film else (tuple(FORMATS), "png")
    if work.named is not None:
        what = " as an animation" if work.is_film else " as a still picture"
        try:
            ending_of(work.target, _ALL if work.is_film and "no_animation_file" in bound else formats, what)
        except BadValue as error:
            raise DgenError(value_error(error, work.named, "--output")) from None
    elif work.target.suffix[1:].lower() not in formats:
        return work.target.with_suffix(f".{other}")
    return work.target


def _refuse_slice_of_stills(bound: Bound, works: list[Work]) -> None:
    name = next((name for name in ("frame_start", "frame_end") if name in bound), None)
    if name is not None and not any(work.frames is not None for work in works):
        raise fail("bad-value", "frames are sliced, and none of these pictures moves", bound.span_of(name))


def _refuse_surplus(bound: Bound, count: int) -> None:
    held = bound.given["processors"]
    index = surplus(held.values, count)
    if index is not None:
        raise DgenError(chains_left_over(held, held.words[index], count, "picture"))


def _is_named(bound: Bound) -> bool:
    """Whether the outputs are files, and not a folder."""
    outputs = [Path(v) for v in bound.given["output_path"].values] if "output_path" in bound else []
    return bool(outputs) and (len(outputs) > 1 or outputs[0].suffix[1:].lower() in _ALL)


def _works(bound: Bound) -> list[Work]:
    """Pair the pictures with the files that they become.

    Raises:
        DgenError: `missing-file`, `bad-arguments`.
    """
    pairs = [(source, word) for word in bound.given["inputs"].words for source in _sources(word)]
    held = bound.given.get("output_path")
    outputs = [Path(v).expanduser() for v in held.values] if held is not None else []
    if not _is_named(bound) or held is None:
        folder = outputs[0] if outputs else None
        return [Work(source=s, word=w, target=_named_after(s, folder)) for s, w in pairs]
    if len(outputs) != len(pairs):
        raise fail(
            "bad-arguments", f"`{held.flag.text}` takes a file for each of {len(pairs)} pictures, got {len(outputs)}",
            held.words[0].span, "name one for each, or a folder for all",
        )  # fmt: skip
    return [Work(source=s, word=w, target=o, named=n) for (s, w), o, n in zip(pairs, outputs, held.words, strict=True)]


def _named_after(source: str, folder: Path | None) -> Path:
    """Return the file for a picture: in a folder, or beside it."""
    path = Path(unquote(urlsplit(source).path).rpartition("/")[2]) if is_url(source) else Path(source).expanduser()
    ending = path.suffix or ".png"
    return folder / f"{path.stem}{ending}" if folder else path.with_name(f"{path.stem}_processed{ending}")


def _sources(word: Word) -> Iterator[str]:
    """Yield the pictures that a word names.

    Raises:
        DgenError: `missing-file`: it names none.
    """
    text, place = word.text, Path(word.text).expanduser()
    if is_url(text) or place.is_file():
        yield text
        return
    pattern = str(place / "*") if place.is_dir() else str(place)
    listed = sorted(glob.glob(pattern, recursive=True)) if place.is_dir() or glob.has_magic(text) else []
    found = [path for path in listed if Path(path).suffix.lower() in _endings()]
    if not found:
        raise fail("missing-file", f"`{text}` {_emptiness(text, place)}", word.span)
    yield from found


def _emptiness(text: str, place: Path) -> str:
    if place.is_dir():
        return "holds no picture"
    return "matches no picture" if glob.has_magic(text) else "does not exist"


def _endings() -> frozenset[str]:
    from PIL import Image

    return frozenset(Image.registered_extensions()) | {f".{each}" for each in ENDINGS}
