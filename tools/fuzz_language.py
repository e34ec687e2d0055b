"""Feeds a coverage-guided fuzzer's inputs to the language: each ends in a script or in diagnostics.

`pip install "dgen-lang[fuzz]"`, then `python tools/fuzz_language.py -max_total_time=600 CORPUS_FOLDER`.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from importlib import import_module
from typing import Any

import atheris

with atheris.instrument_imports(include=["dgen.lang", "dgen.diagnostic", "lark"]):
    import lark  # noqa: F401

    import dgen.lang

    # The language imports most of its modules when they are first needed, which would leave them without instruments.
    for _module in pkgutil.walk_packages(dgen.lang.__path__, "dgen.lang."):
        import_module(_module.name)
    from dgen.diagnostic import DgenError, Source
    from dgen.lang.directives import directives
    from dgen.lang.evaluate import Exited, Interpreter
    from dgen.lang.format import quote
    from dgen.lang.nodes import Directive
    from dgen.lang.parse import parse
    from dgen.lang.permissions import Permissions
    from dgen.lang.scope import Scope

# These reach beyond the language: they would fill the disk and change what the next input sees.
_OUTSIDE = ("env", "unset_env", "cd", "pushd", "popd", "ls", "mkdir", "rmdir", "rm", "mv", "cp", "include")


class Host:
    """Runs nothing and says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: ""


def run(text: str) -> None:
    """Parse and run a text without its files and programs."""
    script = parse(Source("fuzz.dgen", text))
    interpreter = Interpreter(Scope(), Host(), keep_going=True)
    interpreter.permissions = Permissions(programs=False, network=False, plugins=False)
    for statement in script.statements:
        if not (isinstance(statement, Directive) and statement.name in _OUTSIDE):
            interpreter.run(type(script)(script.source, (statement,)))


def one_input(data: bytes) -> None:
    """Try one input; anything but a diagnostic is a finding."""
    text = data.decode("utf-8", errors="surrogateescape")[:4096]
    try:
        run(text)
    except (DgenError, Exited) as error:
        str(error)
    words = Interpreter(Scope(), Host()).words(parse(Source("quote", f"m {quote(text)}")).statements[0])
    assert [word.text for word in words] == ["m", text], text


def main() -> None:
    """Fuzz until the time is over or something is found."""
    os.environ.clear()
    for name in _OUTSIDE:
        directives()[name].__dict__["call"] = lambda *args, **kwargs: None
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
