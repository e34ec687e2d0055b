"""Lets Python remember the signatures for which diffusers asks at every call of a network."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any


def remember(function: Any) -> None:
    """Let Python remember the signature of a function, in the attribute at which `inspect` looks first."""
    if isinstance(function, FunctionType) and not hasattr(function, "__signature__"):
        function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]


def with_attention_remembered(value: Any) -> Any:
    """Return what was loaded, after the signatures of the attention processors in it were remembered.

    Every attention of diffusers asks what its processor takes, every time.
    """
    for module in value.modules() if hasattr(value, "modules") else ():
        remember(vars(type(getattr(module, "processor", None))).get("__call__"))
    return value
