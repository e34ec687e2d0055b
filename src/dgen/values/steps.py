"""Numbers of steps."""

from __future__ import annotations

from dgen.schema import BadValue, Kind


class StepsText(Kind):
    """Numbers of steps, counted from 1, in one word."""

    metavar: str = "N,N,…"

    def parse(self, text: str) -> tuple[int, ...]:
        """Read rising whole numbers."""
        parts = [part.strip() for part in text.split(",")]
        numbers = tuple(int(part) for part in parts if part.isdecimal() and len(part) < 6)
        if len(numbers) != len(parts) or 0 in numbers or list(numbers) != sorted(set(numbers)):
            raise BadValue(f"expected rising numbers of steps from 1 such as `12,22`, found `{text}`")
        return numbers

    def format(self, value: tuple[int, ...]) -> str:
        """Write the numbers."""
        return ",".join(map(str, value))
