"""Text encoders by their place: one from elsewhere, the model's own (`+`), or none (`null`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dgen.schema import Kind
from dgen.values.uri import Uri

KEEP, NONE, HELP = "+", "null", "help"
"""The model's own, no text encoder, and the question which there are."""


class EncoderText(Kind):
    """One word for one text encoder."""

    cls: type
    metavar: str = "URI"

    def parse(self, text: str) -> Any:
        """Read `+`, `null`, `help` or a URI."""
        word = text.strip()
        return word if word in (KEEP, NONE, HELP) else Uri(self.cls).parse(text)

    def format(self, value: Any) -> str:
        """Write the word."""
        return value if isinstance(value, str) else Uri(self.cls).format(value)

    def map_paths(self, value: Any, change: Callable[[str], str]) -> Any:
        """Change the paths that a URI names."""
        return value if isinstance(value, str) else Uri(self.cls).map_paths(value, change)
