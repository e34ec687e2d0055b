"""Directives that keep modules of a pipeline and use them in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import directive
from dgen.lang.scope import unknown_variable

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


class Saved:
    """Modules that a script keeps but cannot look into."""

    __slots__ = ("_modules",)

    def __init__(self, modules: object) -> None:
        """Keep what the host saved."""
        self._modules = modules

    def __repr__(self) -> str:
        return str(self._modules)


def kept(saved: Saved) -> object:
    """Return what the host saved."""
    return saved._modules  # pyright: ignore[reportPrivateUsage]


@directive(
    "save_modules",
)
def save_modules(run: Interpreter, span: Span, var: Word, module: Word, *modules: Word) -> None:
    """Keep modules of the last pipeline under a name."""
    run.saved_modules[var.text] = Saved(run.host.save_modules((module, *modules)))


@directive(
    "use_modules",
    takes="saved",
)
def use_modules(run: Interpreter, span: Span, var: Word) -> None:
    """Use saved modules in the next invocation."""
    run.host.use_modules(kept(_saved(run, var)), var.span)


@directive(
    "clear_modules",
    takes="saved",
    examples=(("\\clear_modules", ""),),
)
def clear_modules(run: Interpreter, span: Span, *names: Word) -> None:
    """Let saved modules go: those of the given names, or all."""
    for word in names:
        _saved(run, word)
    for name in [word.text for word in names] or list(run.saved_modules):
        saved = run.saved_modules.pop(name, None)
        if saved is not None:
            run.host.clear_modules(kept(saved))


def _saved(run: Interpreter, word: Word) -> Saved:
    if word.text not in run.saved_modules:
        raise unknown_variable(word.text, word.span, run.saved_modules, "saved modules")
    return run.saved_modules[word.text]
