"""The directive that runs programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter


@directive(
    "exec",
    operators=True,
    arguments="PROGRAM [ARGUMENT…] [| PROGRAM …] [< > >> 2> 2>> &> &>> FILE] [2>&1]",
    examples=(
        ("\\exec python3 -c \"print('a b')\"", "a b\n"),
        ('\\exec python3 -c "print(\'a\')" | python3 -c "print(input() * 2)"', "aa\n"),
    ),
)
def exec_(run: Interpreter, span: Span, program: Word, *words: Word) -> None:
    """Run programs without a shell, joined by `|`; one that ends with an exit code other than 0 is an error."""
    from dgen.lang.pipeline import read_pipeline, run_pipeline

    run.permissions.require("programs", span, "run programs")
    run_pipeline(read_pipeline((program, *words), span), run.host.write)
