"""Directives that bring Python into a script: modules as variables, and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import bad_arguments, directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive(
    "import",
    arguments="MODULE [as NAME]",
    examples=(
        ("\\import math\n\\print {{ math.sqrt(16) }}", "4.0\n"),
        ("\\import math as m\n\\setp x m.floor(2.5)", ""),
    ),
)
def import_(run: Interpreter, span: Span, module: Word, as_: Word | None = None, name: Word | None = None) -> None:
    """Make the public functions and values of a Python module a variable."""
    from dgen.lang.modules import import_module

    if as_ is not None and (as_.text != "as" or name is None):
        raise bad_arguments("import", f"expected `as NAME`, found `{as_.text}`", as_.span)
    run.permissions.require("plugins", span, "import Python modules")
    target = name or module
    text = name.text if name else module.text.partition(".")[0]
    run.scope.check_name(text, target.span)
    run.scope.set(text, import_module(module, whole=name is None), target.span)


@directive("import_plugins", arguments="PATH…")
def import_plugins(run: Interpreter, span: Span, path: Word, *paths: Word) -> None:
    """Load plugin files, or folders of them: the directives and functions they register are there from now on."""
    from dgen.lang.modules import load_plugins

    run.permissions.require("plugins", span, "load plugins")
    for word in (path, *paths):
        load_plugins(word)
    run.forget_functions()
