"""Directives that set variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import directive
from dgen.lang.limits import MAX_RANGE
from dgen.lang.line import Line

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_MOST_SEEDS = MAX_RANGE
_NO_TEXT = Line("", ())


@directive(
    "set",
    examples=(("\\set who  a red fox \n\\print {{ who }}!", "a red fox!\n"),),
)
def set_text(run: Interpreter, span: Span, name: Word, text: Line = _NO_TEXT) -> None:
    """Set a variable to the rest of the line, as text."""
    run.scope.set(name.text, text.text, name.span)


@directive(
    "sete",
    examples=(('\\sete xs a "b c"\n\\print {{ xs }}', "['a', 'b c']\n"),),
)
def set_words(run: Interpreter, span: Span, name: Word, *words: Word) -> None:
    """Set a variable to a list of words, with globs and home folders expanded."""
    run.scope.set(name.text, [word.text for word in words], name.span)


@directive(
    "setp",
    examples=(("\\setp xs [n * n for n in range(3)]\n\\print {{ xs }}", "[0, 1, 4]\n"),),
)
def set_value(run: Interpreter, span: Span, name: Word, expr: Line) -> None:
    """Set a variable to the value of a Python-like expression."""
    run.scope.set(name.text, run.evaluate(expr), name.span)


@directive(
    "unset",
    takes="variables",
    examples=(("\\set a 1\n\\unset a\n\\print {{ a is defined }}", "False\n"),),
)
def unset(run: Interpreter, span: Span, name: Word, *names: Word) -> None:
    """Forget variables."""
    for each in (name, *names):
        run.scope.unset(each.text, each.span)


@directive(
    "gen_seeds",
    examples=(("\\gen_seeds seeds 3\n\\print {{ len(seeds) }}", "3\n"),),
)
def gen_seeds(run: Interpreter, span: Span, name: Word, number: Word) -> None:
    """Set a variable to a list of random seeds."""
    from dgen.lang.functions.system import gen_seeds as generate

    if not number.text.isdecimal() or not 0 < int(number.text) <= _MOST_SEEDS:
        message = f"expected a number of seeds from 1 to {_MOST_SEEDS}, found `{number.text}`"
        raise fail("bad-value", message, number.span)
    run.scope.set(name.text, generate(int(number.text)), name.span)
