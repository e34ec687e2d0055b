"""Signatures for which diffusers asks at every call are remembered, and are what they were."""

from __future__ import annotations

import inspect

from toybench import Bench

from dgen.engine.remembering import remember


def test_attention_of_a_job_knows_its_signature(shared_bench: Bench, toys: object) -> None:
    from diffusers.models.attention_processor import AttnProcessor2_0

    shared_bench.render(f"{toys}/sd")
    function = AttnProcessor2_0.__call__
    own = vars(function).pop("__signature__")
    assert inspect.signature(function) == own
    remember(function)
    assert inspect.signature(function) == own


def test_bound_method_of_a_remembered_function_takes_no_self() -> None:
    class Each:
        def call(self, value: int, *, scale: float = 1.0) -> None: ...

    wanted = inspect.signature(Each().call)
    remember(Each.call)
    assert inspect.signature(Each().call) == wanted
    assert list(wanted.parameters) == ["value", "scale"]
