"""A plugin that tests load: a directive and a template function."""

from __future__ import annotations

from dgen.plugins import Interpreter, Span, Word, directive, fail, function


@directive("shout", examples=(("\\shout a b", "A B!\n"),))
def shout(run: Interpreter, span: Span, word: Word, *words: Word) -> None:
    """Write words loudly."""
    if word.text == "nothing":
        raise fail("bad-value", "there is nothing to shout", word.span)
    run.host.write(" ".join(each.text.upper() for each in (word, *words)) + "!\n")


@function(examples=(("{{ louder('a') }}", "A!"),))
def louder(text: str) -> str:
    """A text, louder."""
    return f"{text.upper()}!"
