"""Remembers what was said: the last invocation, and in a session every statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dgen.diagnostic import DgenError, Source, Span, Word, cut_secrets, fail
from dgen.lang.format import quote
from dgen.lang.layout import lay_out


@dataclass(frozen=True, slots=True)
class Entry:
    """A statement of a session, as it was written, or as what it stood for; `is_shown_only` changes nothing."""

    text: str
    succeeded: bool
    is_shown_only: bool = False


@dataclass(slots=True)
class Journal:
    """What was said so far. Only a session keeps entries; a script has its text."""

    is_session: bool = False
    takes_drafts: bool = False  # there is a prompt that a draft can wait at
    last: tuple[Word, ...] = ()  # of the last invocation that could be understood, without injected words
    entries: list[Entry] = field(default_factory=list[Entry])
    draft: str = ""  # what the next prompt starts with
    stands_for: tuple[Span, str] | None = None  # the last statement that is short for another, and that other
    saved_to: set[str] = field(default_factory=set[str])

    def note(self, span: Span, *, succeeded: bool, is_shown_only: bool = False) -> None:
        """Keep a statement that was run; one that is short for another as that other."""
        text = span.text.strip()
        short, full = self.stands_for or (None, "")
        is_short = succeeded and short is not None and short.source is span.source and short.start == span.start
        self.entries.append(Entry(full.strip() if is_short else text, succeeded, is_shown_only))

    def note_comment(self, span: Span, before: Span | None) -> None:
        """Keep a comment: at the end of the line of the statement before it, or by itself."""
        if before is not None and self.entries and "\n" not in span.source.text[before.end : span.start]:
            last = self.entries[-1]
            self.entries[-1] = replace(last, text=f"{last.text}  {span.text.strip()}")
        else:
            self.note(span, succeeded=True)

    def require_session(self, name: str, span: Span) -> None:
        """Refuse what only a session can do.

        Raises:
            DgenError: `not-in-script`.
        """
        if not self.is_session:
            raise fail("not-in-script", f"`\\{name}` needs a session; a script has no history", span, _WAY_IN)

    def last_invocation(self, name: str, span: Span) -> tuple[Word, ...]:
        """Return the words of the last invocation.

        Raises:
            DgenError: `nothing-yet`.
        """
        if not self.last:
            raise fail("nothing-yet", f"`\\{name}` follows an invocation, and there was none", span)
        return self.last

    def script(self, version: str) -> str:
        """Return the session as a script: what succeeded, laid out, without tokens: `HF_TOKEN` holds one elsewhere."""
        kept = [cut_secrets(entry.text) for entry in self.entries if entry.succeeded and not entry.is_shown_only]
        return lay_out(Source("session", "\n\n".join([f"#! dgen {version}", *kept, ""])))


_WAY_IN = "`dgen` on a terminal, or `dgen repl`, starts one"


def as_statement(words: Sequence[Word]) -> str:
    """Write words as a statement that reads back as them, laid out."""
    text = " ".join(map(_written, words))
    try:
        return lay_out(Source("last invocation", text + "\n"))
    except DgenError:  # it is shown all the same
        return text + "\n"


def _written(word: Word) -> str:
    """Write a word; one that was quoted lest it be taken for an option stays so."""
    text = quote(word.text)
    was_quoted = word.span.text[:1] in ("'", '"')
    return f'"{text}"' if was_quoted and text.startswith("-") else text
