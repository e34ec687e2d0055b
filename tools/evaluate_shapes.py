"""Measures the built-in model: paints fixed captions and judges the pictures by plain image analysis."""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from shapes import trials
from shapes.drawings import Drawing, Figure, new_figure, render
from shapes.marks import mark, shares
from shapes.painter import load
from shapes.questions import Question, Wanted, questions

MODELS = Path(__file__).parent.parent / "src" / "dgen" / "models"


def truth() -> dict[str, object]:
    """Draw what every question wants with the drawing program itself, and mark that: the judge's own accuracy."""
    rng = random.Random(1)
    return shares([(q, mark(q, render(ideal(q, rng)))) for q in questions()])


def ideal(question: Question, rng: random.Random) -> Drawing:
    """Return a drawing that answers the question."""
    ground = question.background or "gray"
    figures = tuple(ideal_figure(w, ground, len(question.figures) > 1, rng) for w in question.figures)
    return Drawing(background=ground, figures=figures)


def ideal_figure(wanted: Wanted, ground: str, crowded: bool, rng: random.Random) -> Figure:
    """Return a figure that is what is wanted; what the caption leaves open is random."""
    named = {k: getattr(wanted, k) for k in ("size", "column", "row") if getattr(wanted, k)}
    if crowded:
        named = {"size": "small", "column": "middle", "row": "middle", **named}
    return new_figure(rng, ground, form=wanted.form, colour=wanted.colour, style=wanted.style, **named)


def trials_of(models: Path, sheets: Path) -> dict[str, Callable[[], object]]:
    """Return every measurement by name."""
    base = load(models)
    return {
        "truth": truth,
        "captions": lambda: trials.try_captions(base, sheets),
        "guidance": lambda: trials.try_guidance(base),
        "schedulers": lambda: trials.try_schedulers(base),
        "negative": lambda: trials.try_negative(base),
        "img2img": lambda: trials.try_img2img(base),
        "autoencoder": lambda: trials.try_autoencoder(base),
        "inpaint": lambda: trials.try_inpaint(base, models, sheets),
        "loras": lambda: trials.try_loras(models, sheets),
        "controlnet": lambda: trials.try_controlnet(base, models, sheets),
        "learned word": lambda: trials.try_learned_word(models, sheets),
        "pix2pix": lambda: trials.try_pix2pix(base, models, sheets),
        "speed": lambda: trials.try_speed(models),
    }


def as_markdown(numbers: dict[str, object]) -> str:
    """Return all numbers as one table, a row each."""
    rows = ["| measurement | value |", "| --- | --- |"]

    def add(name: str, value: object) -> None:
        if isinstance(value, dict) and set(value) == {"right", "asked"}:
            rows.append(f"| {name} | {value['right']:.1%} of {value['asked']} |")
        elif isinstance(value, dict):
            for key, inner in value.items():
                add(f"{name}: {key}", inner)
        else:
            rows.append(f"| {name} | {value:.3g} |")

    for name, value in numbers.items():
        add(name, value)
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure, print, and write JSON, the table and the sheets of pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder that holds shapes/ and its parts")
    parser.add_argument(
        "--out", type=Path, default=Path(tempfile.gettempdir()) / "shapes-evaluation", help="folder for the results"
    )
    parser.add_argument("--only", action="append", help="only this measurement (may be repeated)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "numbers.json"
    numbers = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, measure in trials_of(arguments.models, arguments.out).items():
        if not arguments.only or name in arguments.only:
            numbers[name] = measure()
            print(as_markdown({name: numbers[name]}), flush=True)
            path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "numbers.md").write_text(as_markdown(numbers), encoding="utf-8")


if __name__ == "__main__":
    main()
