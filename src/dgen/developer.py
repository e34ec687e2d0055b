"""Runs chains of image processors on pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgen.diagnostic import DgenError
from dgen.engine.protocol import Engine, EngineError
from dgen.media.encode import encode
from dgen.media.publish import publish
from dgen.media.read import PictureFiles, brought_to
from dgen.media.write import Names
from dgen.misprocessing import ending_of, out_of_place
from dgen.plan.resolve import fit
from dgen.processors import Bench, Chain, Detection, Lens, Seer, Step, Unseen, chains
from dgen.schema import BadValue
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

if TYPE_CHECKING:
    from PIL.Image import Image

_KEPT = 24

Repaint = Callable[["Image", Any], "Image"]
"""Takes a picture and what a `Repainting` says; returns the picture with some parts painted again."""


class Developer:
    """Runs processors, and keeps what the last of them made: a sweep computes an edge map once."""

    def __init__(
        self, pictures: PictureFiles, engine: Engine | None = None,
        allow: Callable[[str, None], None] = lambda path, span: None,
    ) -> None:  # fmt: skip
        """`engine` runs the models of processors; `allow` refuses files that may not be written.

        `allow` is given a path, and raises a `DgenError`.
        """
        self.pictures, self._engine = pictures, engine
        self._allow = allow
        self._kept: dict[str, Image] = {}
        self._written: dict[str, Path] = {}
        self._names = Names()

    # ---- what processors ask for ---------------------------------------------------------------------------------

    def picture(self, path: str) -> Image:
        """Return a picture, as RGB of its own size.

        Raises:
            BadValue: it is missing or cannot be read.
        """
        return self.pictures.picture(path)

    def processed(self, image: Image, chain: Sequence[NamedUri]) -> Image:
        """Return a picture after the processors that an argument names."""
        return self.develop(image, chains(chain, "")[0]) if chain else image

    def look(self, lens: Lens, said: Any) -> AbstractContextManager[Seer]:
        """Give a model for as long as a block lasts."""
        if self._engine is None:
            raise ValueError("a developer without an engine runs no models")
        return self._engine.look(lens, said.device, offline=self.pictures.offline, stays=not said.model_offload)

    def repaint(self, image: Image, said: Any) -> Image:
        """Refuse: no job made this picture."""
        raise out_of_place("it")

    # ---- running a chain -----------------------------------------------------------------------------------------

    def develop(self, image: Image, chain: Chain, repaint: Repaint | None = None) -> Image:
        """Return a picture after the processors of a chain; `repaint` paints parts of it with what made it.

        Raises:
            EngineError: a processor refuses its arguments or the picture, or fails; it names the word.
        """
        if chain and image.mode == "RGBA":
            return self._developed_beside(image, chain, repaint)
        key = _content(image) if chain else ""
        bench = self if repaint is None else _Beside(self, repaint)
        for step in chain:
            key = self._key_after(key, step)
            if step.chosen.row.repaints:  # as the job does that made the picture, which no key tells
                image = self._made(step, image, bench)
                key = self._key_after(_content(image), step)
            else:
                made = self._kept.pop(key, None)
                image = self._made(step, image, bench) if made is None else made
                self._kept[key] = image
            self._save(step, image, key)
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return image

    def _developed_beside(self, image: Image, chain: Chain, repaint: Repaint | None) -> Image:
        """Return a picture with transparency after processors, which see its colours alone."""
        made = self.develop(image.convert("RGB"), chain, repaint)
        made.putalpha(image.getchannel("A").resize(made.size))
        return made

    def _key_after(self, before: str, step: Step) -> str:
        """Say in one text what made a picture: what it was, the processor, and the files that the processor reads."""
        files = [f"{each.st_mtime_ns} {each.st_size}" for each in map(Path.stat, self._files(step))]
        return hashlib.sha256("\0".join((before, step.key, *files)).encode()).hexdigest()

    def _files(self, step: Step) -> Iterator[Path]:
        from dgen.processors import paths_in

        for path in paths_in((step.uri,)):
            try:
                yield self.pictures.find(path)
            except BadValue:  # the processor itself will say so
                continue

    def _made(self, step: Step, image: Image, bench: Bench) -> Image:
        row = step.chosen.row
        try:
            made = self._called(step, image, bench)
        except (BadValue, EngineError, DgenError) as error:
            raise _blamed(error, step) from error
        except MemoryError:
            raise EngineError("out-of-memory", f"`{row.name}` needs more memory", step.option).at(step.index) from None
        except Exception as error:
            message = f"the image processor `{row.name}` failed: {type(error).__name__}: {error}"
            raise EngineError("bad-plugin", message, step.option, _where(step)).at(step.index) from error
        if not row.resizes and made.size != image.size:
            message = f"the image processor `{row.name}` made {_size(made)} of {_size(image)}, but is no `resizes` one"
            raise EngineError("bad-plugin", message, step.option, _where(step)).at(step.index)
        return made

    def _called(self, step: Step, image: Image, bench: Bench) -> Image:
        from PIL.Image import Image as Picture

        said, row = step.chosen.said, step.chosen.row
        wanted: Size | None = getattr(said, "detect_resolution", None)
        seen = image
        if issubclass(row.options, Detection) and wanted is not None:
            seen = brought_to(image, fit(Size(*image.size), wanted, said.detect_aspect, said.detect_align))
        try:
            made: Any = row.call(said, seen.copy(), bench)
        except Unseen:
            made = seen if row.unseen is None else row.unseen(said, seen)
        if not isinstance(made, Picture):
            raise EngineError("bad-plugin", f"it returned a {type(made).__name__}, not a picture", help=_where(step))
        made = made.convert("RGB")
        return made if seen is image else brought_to(made, Size(*image.size))

    def _save(self, step: Step, image: Image, key: str) -> None:
        """Write what a processor made into the file that it names, unless it is there."""
        said = step.chosen.said
        if said.output_file is None or (key in self._written and self._written[key].exists()):
            return
        path = Path(said.output_file).expanduser()
        try:
            self._allow(str(path), None)
            ending = ending_of(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            name = self._names.claim(path.parent, path.stem, [ending], said.output_overwrite)
            self._written[key] = path.with_name(f"{name}.{ending}")
            publish(self._written[key], lambda file: encode(image, ending.lower(), {}, file))
            self._names.release([self._written[key]])
        except (BadValue, DgenError) as error:
            raise _blamed(error, step) from error
        except OSError as error:
            message = f"`{path}` cannot be written: {error.strerror}"
            raise EngineError("file-failed", message, step.option).at(step.index) from None


@dataclass(frozen=True, slots=True)
class _Beside:
    """What processors of a finished picture can ask for: a developer, and the pipeline that made the picture."""

    room: Developer
    paint: Repaint

    def picture(self, path: str) -> Image:
        """Return another picture."""
        return self.room.picture(path)

    def processed(self, image: Image, chain: Sequence[NamedUri]) -> Image:
        """Return a picture after other processors."""
        return self.room.processed(image, chain)

    def look(self, lens: Lens, said: Any) -> AbstractContextManager[Seer]:
        """Give a model for as long as a block lasts."""
        return self.room.look(lens, said)

    def repaint(self, image: Image, said: Any) -> Image:
        """Return a picture of which parts were painted again."""
        return self.paint(image, said)


def _content(image: Image) -> str:
    """Say in one text what a picture shows."""
    return hashlib.sha256(b"%dx%d" % image.size + image.tobytes()).hexdigest()


def _size(image: Image) -> Size:
    return Size(*image.size)


def _where(step: Step) -> str:
    path, line = step.chosen.row.place
    return f"it is written in `{path.name}`, line {line}"


def _blamed(error: BadValue | EngineError | DgenError, step: Step) -> EngineError:
    """Say which word of which option an error is about."""
    if isinstance(error, DgenError):
        first = error.diagnostics[0]
        return EngineError(first.code, first.message, step.option, first.help).at(step.index)
    message = f"`{step.chosen.row.name}`: {error.message}"
    return EngineError(error.code, message, step.option, error.help).at(step.index)
