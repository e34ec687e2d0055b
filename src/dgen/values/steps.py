"""Numbers of steps."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class WindowText(Kind):
    """A range of steps in one word: from the first, and before the second."""

    low: int = 0  # the least step that it may have
    metavar: str = "START,END"

    def parse(self, text: str) -> tuple[int, int]:
        """Read two rising whole numbers."""
        parts = [part.strip() for part in text.split(",")]
        numbers = [int(part) for part in parts if part.isdecimal() and len(part) < 6]
        if len(parts) != 2 or len(numbers) != 2 or not self.low <= numbers[0] < numbers[1]:
            raise BadValue(f"expected two rising steps of at least {self.low} such as `10,47`, found `{text}`")
        return (numbers[0], numbers[1])

    def format(self, value: tuple[int, int]) -> str:
        """Write the two numbers."""
        return ",".join(map(str, value))
