"""How many four-line statements a second are parsed, split into words and bound."""

from __future__ import annotations

import statistics
import time

from dgen.diagnostic import Source
from dgen.lang.evaluate import Interpreter
from dgen.lang.nodes import Invocation
from dgen.lang.parse import parse
from dgen.lang.scope import Scope
from dgen.plan.bind import bind, request_table
from dgen.plan.expand import expand

COUNT, ROUNDS = 2_000, 7
PLAIN = """\
some/model --prompts "a red circle number {n}; blurry"
--seeds 1 2 3
--inference-steps 20 30
--guidance-scales 5 7.5

"""
TEMPLATED = PLAIN.replace("red", "{{{{ colour }}}}")


def rate(template: str) -> float:
    """Return statements a second of one pass over a script of `COUNT` statements."""
    text = "".join(template.format(n=n) for n in range(COUNT))
    scope = Scope()
    scope.set("colour", "red", None)
    interpreter = Interpreter(scope, None)  # type: ignore[arg-type]
    table = request_table()
    start = time.perf_counter()
    for statement in parse(Source("script", text)).statements:
        if isinstance(statement, Invocation):
            expand(bind(interpreter.words(statement), table, statement.span))
    return COUNT / (time.perf_counter() - start)


def main() -> None:
    for name, template in (("plain", PLAIN), ("with a template", TEMPLATED)):
        rate(template)
        print(f"{name:16} {statistics.median(rate(template) for _ in range(ROUNDS)):8,.0f} statements/s (goal: 5,000)")


if __name__ == "__main__":
    main()
