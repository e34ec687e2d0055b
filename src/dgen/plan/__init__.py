"""Turns words into jobs: bind, expand, resolve; called, it is the function `dgen.plan`."""

from dgen import make_callable

make_callable(__name__)
