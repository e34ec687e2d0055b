"""Directives that change which statement runs next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import bad_arguments, directive
from dgen.lang.files import INCLUDED, check_circle, read_script
from dgen.lang.functions.namespaces import Namespace

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive("exit", examples=(("\\print a\n\\exit\n\\print b", "a\n"),))
def exit_(run: Interpreter, span: Span, code: Word | None = None) -> None:
    """Stop, with an exit code."""
    from dgen.lang.evaluate import Exited

    if code is not None and not (code.text.isdecimal() and int(code.text) <= 255):
        raise fail("bad-value", f"expected an exit code from 0 to 255, found `{code.text}`", code.span)
    raise Exited(int(code.text) if code is not None else 0)


@directive("include", arguments="FILE [as NAME]")
def include(run: Interpreter, span: Span, file: Word, as_: Word | None = None, name: Word | None = None) -> None:
    """Run another script, found beside this one; `as NAME` gives it variables of its own, read as `NAME.variable`."""
    if as_ is not None and (as_.text != "as" or name is None):
        raise bad_arguments("include", f"expected `as NAME`, found `{as_.text}`", as_.span)
    if name is not None:
        run.scope.check_name(name.text, name.span)
    including = run.files[-1] if run.files else None
    path = including.parent / file.text if including is not None else Path(file.text)
    found = check_circle(path, run.files, file.span)
    source = read_script(path, file.span, included_as=_shown(file, including))
    scope = run.scope.child() if name is not None else None
    run.within(found, scope).run_source(source)
    if name is not None and scope is not None:
        run.scope.set(name.text, Namespace(f"variables of {file.text}", scope.own()), name.span)


def _shown(file: Word, including: Path | None) -> str:
    """Return the name of an included file as messages show it: beside the name of the file that includes it."""
    from os.path import normpath

    source = file.span.source
    while source.origin is not None and source.origin.how != INCLUDED:
        source = source.origin.span.source
    folder = Path(source.name).parent if including is not None else Path()
    return normpath(folder / file.text)
