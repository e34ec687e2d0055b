"""Amounts of memory."""

from __future__ import annotations

import re

from dgen.schema import BadValue, Kind

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
"""How many bytes a unit has, by its name in small letters."""

_NAMES = {"b": "B", "kb": "kB", "mb": "MB", "gb": "GB", "kib": "KiB", "mib": "MiB", "gib": "GiB"}
_AMOUNT = re.compile(r"(?P<number>\d{1,18}(?:\.\d{1,9})?)\s*(?P<unit>[a-z]*)", re.IGNORECASE)


class Amount(Kind):
    """An amount of memory: a number and its unit; a number alone counts bytes."""

    metavar: str = "SIZE"

    def parse(self, text: str) -> int:
        """Read an amount as bytes."""
        found = _AMOUNT.fullmatch(text.strip())
        unit = UNITS.get((found["unit"] or "b").lower()) if found else None
        if found is None or unit is None or int(float(found["number"]) * unit) < 1:
            raise BadValue(f"expected a size such as `6GB` or `512MiB`, found `{text}`")
        whole = "." not in found["number"]
        return int(found["number"]) * unit if whole else int(float(found["number"]) * unit)

    def format(self, value: int) -> str:
        """Write bytes in the largest unit that they are whole in."""
        name, unit = max(((n, u) for n, u in UNITS.items() if value % u == 0), key=lambda pair: pair[1])
        return f"{value // unit}{_NAMES[name]}"


def shown_bytes(count: int) -> str:
    """Write a number of bytes for a reader."""
    for unit, worth in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if count >= worth:
            return f"{count / worth:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
