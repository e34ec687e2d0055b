"""A bench to run jobs on toy models, and the pictures that they start from."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dgen.darkroom import Darkroom
from dgen.diagnostic import Source
from dgen.engine.protocol import Inputs, Result
from dgen.engine.render import LocalEngine
from dgen.events import Event, FileSaved
from dgen.families.indices import MODULAR_INDEX
from dgen.media.read import PictureFiles
from dgen.media.video import Clip
from dgen.options.request import Request
from dgen.plan.resolve import Job, resolve
from dgen.processors import chains
from dgen.schema import BadValue
from dgen.session import Session
from dgen.values.image_seed import ImageSeed
from dgen.values.prompt import Prompt
from dgen.values.scalars import Size
from dgen.values.uri import OpenUri


class Pictures:
    """Sizes of the pictures of these tests."""

    def size(self, path: str) -> Size:
        if path != "seed":
            raise BadValue(f"no picture {path}")
        return Size(64, 64)


RATE = 12
"""The frames a second of the video of these tests."""


class Sources:
    """A picture, and a video of nine frames."""

    def __init__(self, side: int) -> None:
        self.side = side

    def size(self, path: str) -> Size:
        return Size(self.side, self.side)

    def clip(self, path: str) -> Clip | None:
        return Clip(size=self.size(path), frames=9, rate=Fraction(RATE)) if path == "video" else None


def picture() -> Image.Image:
    """A picture of 64x64 pixels in which every pixel differs from its neighbours."""
    made = Image.new("RGB", (64, 64))
    made.putdata([(x * 4, y * 4, (x * y) % 256) for y in range(64) for x in range(64)])
    return made


def mask() -> Image.Image:
    """A mask of which the right half is repainted."""
    made = Image.new("L", (64, 64), 0)
    made.paste(255, (32, 0, 64, 64))
    return made


SEEDS = {"txt2img": None, "img2img": ImageSeed("seed"), "inpaint": ImageSeed("seed", mask="mask")}
INPUTS = {"txt2img": Inputs(), "img2img": Inputs(picture()), "inpaint": Inputs(picture(), mask())}


class Bench:
    """An engine whose events are kept, and the way of a request through it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.engine = LocalEngine(self.events.append)

    def job(self, model: Path | str, mode: str = "txt2img", **said: Any) -> Job:
        """Resolve a request: a red circle in two steps, from seed 7, unless something else is said."""
        prompt = said.pop("prompt", Prompt("a red circle", "blurry"))
        chosen = {"prompt": prompt, "seed": 7, "num_inference_steps": 2, "image_seed": SEEDS[mode]}
        request = Request(model=str(model), **{**chosen, **said})
        facts = self.engine.inspect(request)
        self.engine.check(request, facts)
        return resolve(request, facts, self.engine.device_kind(request.device), Pictures())

    def render(self, model: Path | str, mode: str = "txt2img", **said: Any) -> Result:
        """Run a job."""
        return self.engine.render(self.job(model, mode, **said), INPUTS[mode], lambda step, steps: None)

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one type, in order."""
        return [e for e in self.events if type(e) is kind]


class Runs:
    """A session, and what it told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.session = Session(Bench().engine, self.events.append)

    def run(self, text: str) -> list[Path]:
        """Run a script; return the files that it says it saved."""
        self.events.clear()
        self.session.run(Source("test", text))
        return [Path(e.path) for e in self.events if isinstance(e, FileSaved)]


def pixels(result: Result) -> list[bytes]:
    """The pixels of each picture."""
    return [i.tobytes() for i in result.images]


def as_modular(model: Path, pipeline: str, left_out: tuple[str, ...] = ()) -> Path:
    """Give a model the index that its modular pipeline writes, in place of its own."""
    path = model / "model_index.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    for kind, entry in told.items():
        if isinstance(entry, list):
            spec = {"pretrained_model_name_or_path": None, "subfolder": kind, "revision": None, "variant": None}
            told[kind] = [*entry, {**spec, "type_hint": entry}]
    kept = {kind: entry for kind, entry in told.items() if kind not in left_out}
    (model / MODULAR_INDEX).write_text(json.dumps({**kept, "_class_name": pipeline}), encoding="utf-8")
    path.unlink()
    return model


def developed(bench: Bench, words: str | tuple[str, ...], image: Image.Image | None = None) -> np.ndarray:
    """Return the pixels of a picture after the processors of a word or several, without the network."""
    each = (words,) if isinstance(words, str) else words
    (chain,) = chains([OpenUri().parse(word) for word in each], "processors")
    files = PictureFiles()
    files.offline = True
    return np.asarray(Darkroom(files, bench.engine).develop(image or picture(), chain))
