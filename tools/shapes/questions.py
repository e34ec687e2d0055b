"""The fixed captions that the built-in model is measured with, and what their pictures must show."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .words import BACKGROUND_COLOURS, COLUMNS, FIGURE_COLOURS, FORMS, ROWS

SEED = 7001


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One figure that must be seen; an empty string means that the caption does not say."""

    form: str
    colour: str
    size: str = ""
    column: str = ""
    row: str = ""
    style: str = "plain"

    def noun(self) -> str:
        """Return size, style, colour and form as a phrase with its article."""
        style = "" if self.style == "plain" else self.style
        words = " ".join(w for w in (self.size, style, self.colour, self.form) if w)
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"

    def place(self) -> str:
        """Return the place as a phrase, or nothing."""
        if not self.column and not self.row:
            return ""
        if self.column == self.row == "middle":
            return " in the center"
        if self.row in ("", "middle"):
            return f" on the {self.column}"
        if self.column in ("", "middle"):
            return f" at the {self.row}"
        return f" in the {self.row} {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A caption, its seed, and what must be seen."""

    group: str
    caption: str
    seed: int
    background: str
    figures: tuple[Wanted, ...]


def ask(group: str, seed: int, background: str, *figures: Wanted) -> Question:
    """Return the question for these figures."""
    text = " and ".join(f.noun() + f.place() for f in figures)
    if background:
        text += f" on {'an' if background[0] in 'aeiou' else 'a'} {background} background"
    return Question(group=group, caption=text, seed=seed, background=background, figures=figures)


def questions() -> list[Question]:
    """Return all questions: full captions, short ones, two figures, styles; always the same."""
    rng = random.Random(SEED)
    asked = [full(rng, i) for i in range(216)]
    asked += [short(rng, 1000 + i) for i in range(54)]
    asked += [two(rng, 2000 + i) for i in range(48)]
    asked += [styled(rng, 3000 + i) for i in range(48)]
    return asked


def other_colour(rng: random.Random, *taken: str) -> str:
    """Return a figure colour that is not taken."""
    return rng.choice([c for c in FIGURE_COLOURS if c not in taken])


def full(rng: random.Random, number: int) -> Question:
    """Ask for size, colour, form, place and background; every form, row and column equally often."""
    background = BACKGROUND_COLOURS[number % len(BACKGROUND_COLOURS)]
    figure = Wanted(
        form=FORMS[number % 6],
        colour=other_colour(rng, background),
        size=rng.choice(("small", "", "large")),
        column=COLUMNS[number // 6 % 3],
        row=ROWS[number // 18 % 3],
    )
    return ask("full", number, background, figure)


def short(rng: random.Random, number: int) -> Question:
    """Ask for a colour and a form, sometimes with a background."""
    background = rng.choice(("", "", *BACKGROUND_COLOURS[:4]))
    figure = Wanted(form=FORMS[number % 6], colour=other_colour(rng, background))
    return ask("short", number, background, figure)


def two(rng: random.Random, number: int) -> Question:
    """Ask for two figures, each at its place."""
    background = rng.choice(BACKGROUND_COLOURS)
    first = other_colour(rng, background)
    second = other_colour(rng, background, first)
    forms = rng.sample(FORMS, 2)
    axis, ends = rng.choice((("column", ("left", "right")), ("row", ("top", "bottom"))))
    figures = [Wanted(form=f, colour=c, **{axis: e}) for f, c, e in zip(forms, (first, second), ends, strict=True)]
    return ask("two", number, background, *figures)


def styled(rng: random.Random, number: int) -> Question:
    """Ask for an outlined or a striped figure."""
    background = rng.choice(BACKGROUND_COLOURS)
    style = ("outlined", "striped")[number % 2]
    form = [f for f in FORMS if f != "ring"][number // 2 % 5]
    figure = Wanted(form=form, colour=other_colour(rng, background), style=style)
    return ask("styled", number, background, figure)
