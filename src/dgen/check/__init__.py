"""Finds the mistakes of scripts without running them; called, it is the function `dgen.check`."""

from dgen import make_callable

make_callable(__name__)
