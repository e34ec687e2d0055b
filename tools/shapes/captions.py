"""Says what is in a drawing, each time in other words and with other parts left out."""

from __future__ import annotations

import random
import string

from .drawings import Drawing, Figure
from .words import FILLER, JUNK, SYNONYMS

EMPTY_SHARE = 0.1
JUNK_ONLY_SHARE = 0.015
FILLER_SHARE = 0.12
BLURRY_WORDS = ("blurry", "blurry", "blurred")


def caption(drawing: Drawing, rng: random.Random) -> str:
    """Return one caption; a tenth are empty, so that the model learns to draw without one."""
    chance = rng.random()
    if chance < EMPTY_SHARE:
        return ""
    if chance < EMPTY_SHARE + JUNK_ONLY_SHARE:
        return ", ".join(rng.sample(JUNK, rng.randint(1, 3)))
    return decorate(picture_words(drawing, rng), drawing, rng)


def decorate(text: str, drawing: Drawing, rng: random.Random) -> str:
    """Add the words that say how sharp the picture is, and words that say nothing."""
    if drawing.blurry:
        word = rng.choice(BLURRY_WORDS)
        text = f"{text}, {word}" if rng.random() < 0.6 else f"{word} {text}"
    elif rng.random() < 0.05:
        text = f"{text}, sharp"
    chance = rng.random()
    if text.startswith(("on ", *BLURRY_WORDS)):
        return text
    if chance < FILLER_SHARE * 0.6:
        text = f"{rng.choice(FILLER)} {text}"
    elif chance < FILLER_SHARE:
        text = f"{text}, {rng.choice((*FILLER, unknown_word(rng)))}"
    return text


def unknown_word(rng: random.Random) -> str:
    """Return letters that mean nothing."""
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 6)))


def picture_words(drawing: Drawing, rng: random.Random) -> str:
    """Name the figures and, three times in four, the background."""
    if rng.random() < 0.02:
        return f"a {say(drawing.background, rng)} background"
    text = group_words(drawing, rng) if len(drawing.figures) > 1 else figure_words(drawing.figures[0], rng)
    if rng.random() < 0.25:
        return text
    name = say(drawing.background, rng)
    form = rng.random()
    if form < 0.72:
        return f"{text} on {with_article(name)} background"
    if form < 0.9:
        return f"{text}, {name} background"
    return f"on {with_article(name)} background, {text}"


def figure_words(figure: Figure, rng: random.Random, place: bool | None = None) -> str:
    """Name one figure: its form always, its colour nearly always, size and place mostly."""
    words = noun_words(figure, rng, form=figure.form)
    text = with_article(words) if rng.random() < 0.93 else words
    named = rng.random() < 0.65 if place is None else place
    return f"{text} {place_words(figure, rng)}" if named else text


def noun_words(figure: Figure, rng: random.Random, form: str) -> str:
    """Return adjectives and noun, without article; a style other than plain is always said."""
    colour = say(figure.colour, rng) if rng.random() < 0.93 else ""
    size_shown = (figure.size != "medium" and rng.random() < 0.6) or rng.random() < 0.08
    size = say(figure.size, rng) if size_shown else ""
    noun = rng.choice(("shape", "figure")) if rng.random() < 0.03 else form
    if figure.style == "plain":
        return " ".join(w for w in (size, colour, noun) if w)
    kind = rng.random()
    if kind < 0.7:
        return " ".join(w for w in (size, figure.style, colour, noun) if w)
    if figure.style == "outlined" and form == figure.form:
        return " ".join(w for w in (size, colour, "outline of a", noun) if w)
    suffix = "with stripes" if figure.style == "striped" else "outline"
    return " ".join(w for w in (size, colour, noun, suffix) if w)


def place_words(figure: Figure, rng: random.Random) -> str:
    """Return "on the left", "in the top right corner", … for the cell the figure is in."""
    centre = rng.choice(("center", "middle", "centre"))
    row, column = figure.row, figure.column
    if row == column == "middle":
        return f"in the {centre}"
    if row == "middle" or (column != "middle" and rng.random() < 0.12):
        return rng.choice((f"on the {column}", f"on the {column}", f"on the {column} side"))
    if column == "middle":
        return f"at the {row}"
    return rng.choice((f"in the {row} {column}", f"in the {row} {column} corner", f"at the {row} {column}"))


def group_words(drawing: Drawing, rng: random.Random) -> str:
    """Name several figures by number, by what stands where, or simply one after the other."""
    figures = drawing.figures
    if drawing.relation.endswith("alike"):
        number = {2: "two", 3: "three"}[len(figures)]
        return f"{number} {noun_words(figures[0], rng, form=figures[0].form + 's')}"
    first, second = figures
    kind = rng.random()
    if kind < 0.4:
        places = rng.random() < 0.9
        return " and ".join(figure_words(f, rng, place=places) for f in figures)
    if kind < 0.6:
        return " and ".join(figure_words(f, rng, place=False) for f in rng.sample(figures, 2))
    above = drawing.relation == "above"
    forward, backward = ("above", "below") if above else ("to the left of", "to the right of")
    if rng.random() < 0.5:
        first, second, forward = second, first, backward
    if not above and rng.random() < 0.25:
        forward = "next to"
    return f"{figure_words(first, rng, place=False)} {forward} {figure_words(second, rng, place=False)}"


def say(name: str, rng: random.Random) -> str:
    """Return the name or one of its synonyms."""
    return rng.choice(SYNONYMS.get(name, (name,)))


def with_article(words: str) -> str:
    """Put "a" or "an" before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
