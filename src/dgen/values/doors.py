"""What a sandboxed script may do nevertheless: `net,exec,plugins,env,write=FOLDER`."""

from __future__ import annotations

from dgen.diagnostic import did_you_mean
from dgen.schema import BadValue, Kind

DOORS = {"net": "network", "exec": "programs", "plugins": "plugins", "env": "environment"}
"""The words that open a permission, and what it is called."""

WRITE = "write="


class DoorsText(Kind):
    """Words with commas between them."""

    metavar: str = "net,exec,plugins,env,write=FOLDER"

    def parse(self, text: str) -> tuple[str, ...]:
        """Read the words.

        Raises:
            BadValue: one of them is none.
        """
        words = tuple(word.strip() for word in text.split(","))
        for word in words:
            if word not in DOORS and not (word.startswith(WRITE) and len(word) > len(WRITE)):
                help = did_you_mean(word, DOORS, f"write {self.metavar}")
                raise BadValue(f"nothing to allow is called `{word}`", help=help)
        return words

    def format(self, value: tuple[str, ...]) -> str:
        """Write them as one word."""
        return ",".join(value)
