"""`image-process`: changes pictures with image processors, without a run."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dgen.commands import CommandHost
from dgen.darkroom import chains_left_over, ending_of, wrong_processors
from dgen.diagnostic import DgenError, Diagnostic, Word, fail
from dgen.events import FileSaved
from dgen.media.read import brought_to
from dgen.media.write import FORMATS, Names, encode, publish
from dgen.plan.bind import Bound, value_error
from dgen.plan.resolve import align, fit
from dgen.processors import Chain, chain_of, chains, surplus
from dgen.schema import BadValue
from dgen.values.scalars import Size, is_url


@dataclass(frozen=True, slots=True)
class Work:
    """A picture to change: where it lies, the word that names it, and the file to write."""

    source: str
    word: Word
    target: Path
    replaces: bool  # the target may be numbered otherwise


def run(host: CommandHost, bound: Bound) -> None:
    """Change each picture, and write it.

    Raises:
        DgenError: `missing-file`, `bad-file`, `file-failed`, `processor-chains`, and what a processor does not like.
    """
    check(bound)
    host.pictures.offline = "offline_mode" in bound or not host.permissions.network
    works = _works(bound)
    _refuse_surplus(bound, len(works))
    for work in works:
        span = bound.span_of("output_path") if "output_path" in bound else work.word.span
        host.permissions.require_write(work.target, span)
        _only_still(host, work)
    found = chains(bound.given["processors"].values, "processors")
    names = Names()
    written: list[str] = []
    for number, work in enumerate(works):
        path = _process(host, bound, work, (chain_of(found, number), names))
        written.append(str(path.resolve()))
        host.emit(FileSaved(number=number + 1, path=str(path), kind="image"))
    host.provide(last_images=written, last_animations=[])


def check(bound: Bound) -> None:
    """Find what is wrong with the processors and the names of files.

    Raises:
        DgenError: every mistake in all of them.
    """
    wrong: list[Diagnostic] = [*wrong_processors(bound.given["processors"])]
    held = bound.given.get("output_path")
    if held is not None and len(held.words) > 1:
        for word in held.words:
            try:
                ending_of(Path(word.text))
            except BadValue as error:
                wrong.append(value_error(error, word, held.flag.text))
    if wrong:
        raise DgenError(*wrong)


def _refuse_surplus(bound: Bound, count: int) -> None:
    held = bound.given["processors"]
    index = surplus(held.values, count)
    if index is not None:
        raise DgenError(chains_left_over(held, held.words[index], count, "picture"))


def _works(bound: Bound) -> list[Work]:
    """Pair the pictures with the files that they become.

    Raises:
        DgenError: `missing-file`, `bad-arguments`.
    """
    pairs = [(source, word) for word in bound.given["inputs"].words for source in _sources(word)]
    held = bound.given.get("output_path")
    outputs = [Path(v).expanduser() for v in held.values] if held is not None else []
    named = bool(outputs) and (len(outputs) > 1 or outputs[0].suffix[1:].lower() in FORMATS)
    if named and held is not None and len(outputs) != len(pairs):
        raise fail(
            "bad-arguments", f"`{held.flag.text}` takes a file for each of {len(pairs)} pictures, got {len(outputs)}",
            held.words[0].span, "name one for each, or a folder for all",
        )  # fmt: skip
    if named:
        return [Work(s, w, o, "output_overwrite" in bound) for (s, w), o in zip(pairs, outputs, strict=True)]
    folder = outputs[0] if outputs else None
    return [Work(s, w, _named_after(s, folder), "output_overwrite" in bound) for s, w in pairs]


def _named_after(source: str, folder: Path | None) -> Path:
    """Return the file for a picture: in a folder, or beside it."""
    path = Path(unquote(urlsplit(source).path).rpartition("/")[2]) if is_url(source) else Path(source).expanduser()
    ending = path.suffix if path.suffix[1:].lower() in FORMATS else ".png"
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

    return frozenset(Image.registered_extensions())


def _only_still(host: CommandHost, work: Work) -> None:
    """Refuse animations, and what cannot be read, before anything is written."""
    try:
        frames = host.pictures.frames(work.source)
        ending_of(work.target)
    except BadValue as error:
        raise fail(error.code, error.message, work.word.span, error.help) from None
    if frames > 1:
        message = f"`{Path(work.source).name}` is an animation of {frames} frames"
        raise fail("bad-file", message, work.word.span, "still pictures are processed")


def _process(host: CommandHost, bound: Bound, work: Work, how: tuple[Chain, Names]) -> Path:
    chain, names = how
    room = host.darkroom
    image = room.develop(room.picture(work.source), tuple(s for s in chain if s.chosen.said.pre_resize))
    wanted, multiple = bound.value("resize"), bound.value("align", 1)
    size = align(fit(Size(*image.size), wanted, "no_aspect" not in bound, 1), multiple)
    image = room.develop(brought_to(image, size), tuple(s for s in chain if not s.chosen.said.pre_resize))
    folder, ending = work.target.parent, work.target.suffix[1:]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{names.claim(folder, work.target.stem, [ending], work.replaces)}.{ending}"
        publish(path, lambda file: encode(image, ending.lower(), {}, file))
    except OSError as error:
        raise fail("file-failed", f"`{work.target}` cannot be written: {error.strerror}", work.word.span) from None
    return path
