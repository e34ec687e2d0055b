"""The directive that fetches files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word, fail
from dgen.lang.directives import bad_arguments, directive
from dgen.lang.directives.flags import read_flags
from dgen.schema import BadValue

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

_LONG = {"--output": "o", "--overwrite": "x", "--text": "t"}


@directive("download", arguments="VAR URL [-o PATH] [-x] [-t]")
def download(run: Interpreter, span: Span, var: Word, url: Word, *options: Word) -> None:
    """Fetch a URL once, into the web cache or to a path; `-x` replaces a file, `-t` takes text; VAR is the path."""
    given = read_flags("download", (var, url, *options), "o:xt", _LONG)
    if len(given.words) != 2:
        raise bad_arguments("download", f"takes VAR and URL, got {len(given.words)} words", span)
    name, address = given.words
    if not address.text.lower().startswith(("http://", "https://")):
        raise fail("bad-value", f"expected an http or https URL, found `{address.text}`", address.span)
    run.permissions.require("network", address.span, "use the network")
    path = given.flags.get("o")
    if path is not None:
        run.permissions.require_write(path.text, path.span)
    run.scope.check_name(name.text, name.span)
    try:
        found = run.host.download(
            address.text, path.text if path else None, overwrite="x" in given, text="t" in given
        )  # fmt: skip
    except BadValue as error:
        raise fail(error.code, error.message, address.span, error.help) from None
    except OSError as error:
        raise fail("file-failed", f"cannot be written: {error.strerror}", (path or address).span) from None
    run.scope.set(name.text, found, name.span)
