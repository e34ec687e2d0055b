"""Compares what the judge sees with what a question wants."""

from __future__ import annotations

from collections import defaultdict

from PIL import Image

from .judge import Piece, Seen, see
from .questions import Question, Wanted

OUTLINED_BELOW, STRIPED_BELOW = 0.2, 0.85
"""Painted share of a form's inside, below which a figure counts as outlined, and as striped."""

Marks = dict[str, bool]


def mark(question: Question, picture: Image.Image) -> Marks:
    """Return right or wrong for everything the question names."""
    seen = see(picture)
    marks = {"background": seen.background == question.background} if question.background else {}
    marks["count"] = len(seen.pieces) == len(question.figures)
    pairs = matched(question, seen)
    for wanted, piece in pairs:
        for name, right in mark_figure(wanted, piece).items():
            marks[name] = marks.get(name, True) and right
    marks["all"] = all(marks.values())
    return marks


def matched(question: Question, seen: Seen) -> list[tuple[Wanted, Piece | None]]:
    """Give each wanted figure its piece: the largest ones, put in order along the axis that tells them apart."""
    pieces: list[Piece | None] = list(seen.pieces[: len(question.figures)])
    if len(pieces) == 2:
        across = question.figures[0].column != ""
        pieces.sort(key=lambda p: p.x if across else p.y)
    pieces += [None] * (len(question.figures) - len(pieces))
    return list(zip(question.figures, pieces, strict=True))


def mark_figure(wanted: Wanted, piece: Piece | None) -> Marks:
    """Return the marks of one figure; all are wrong when there is none."""
    marks = {"colour": piece is not None and piece.colour == wanted.colour}
    marks["form"] = piece is not None and piece.form == wanted.form
    if wanted.column or wanted.row:
        right = piece is not None
        right = right and wanted.column in ("", piece.column) and wanted.row in ("", piece.row)
        marks["position"] = bool(right)
    if wanted.size:
        marks["size"] = piece is not None and piece.size == wanted.size
    if wanted.style != "plain":
        marks["style"] = piece is not None and style_of(piece) == wanted.style
    return marks


def style_of(piece: Piece) -> str:
    """Name the style by how much of the inside is painted (a ring's hole counts, so no question asks it of rings)."""
    if piece.painted < OUTLINED_BELOW:
        return "outlined"
    return "striped" if piece.painted < STRIPED_BELOW else "plain"


def shares(marked: list[tuple[Question, Marks]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, per group and mark, the share that is right and how many were asked."""
    found: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for question, marks in marked:
        for name, right in marks.items():
            found[question.group][name].append(right)
    return {
        group: {name: {"right": sum(r) / len(r), "asked": len(r)} for name, r in names.items()}
        for group, names in found.items()
    }
