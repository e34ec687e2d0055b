"""The command that lists the built-in models: `dgen models`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dgen.builtin import Builtin, builtin_models
from dgen.cli.arguments import options_alone
from dgen.diagnostic import Exit


def run(argv: Sequence[str]) -> int:
    """Run `dgen models`; return its exit code.

    Raises:
        DgenError: the command line is wrong.
    """
    bound = options_alone(argv)
    models = list(builtin_models())
    print(json.dumps([as_object(m) for m in models], indent=2) if "json" in bound else as_table(models))
    return Exit.OK


def as_object(model: Builtin) -> dict[str, object]:
    """Return what is told about a model, as JSON has it."""
    base = f"builtin:{model.base}" if model.base else None
    return {"model": model.source, "kind": model.kind, "base": base, "bytes": model.bytes, "help": model.help}


def as_table(models: Sequence[Builtin]) -> str:
    """Return one line a model: its source, its kind, its size, what it is."""
    width = max(len(m.source) for m in models)
    kinds = max(len(m.kind) for m in models)
    return "\n".join(f"{m.source:{width}}  {m.kind:{kinds}}  {m.bytes / 1e6:5.1f} MB  {m.help}" for m in models)
