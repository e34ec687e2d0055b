"""Tells what an exception of the libraries means to a user."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from dgen.engine.protocol import EngineError
from dgen.options.request import ROWS
from dgen.values.amounts import shown_bytes

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, at most 240 characters."""
    lines = str(error).strip().splitlines()
    return lines[0][:240] if lines else f"{type(error).__name__}, without a reason"


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an exception means that the memory of the machine or of a device ran out."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(w in text for w in ("outofmemoryerror", *_MEMORY_WORDS))


def flag_of(option: str) -> str:
    """Return how a field of `Request` is written."""
    return ROWS[option].flag


class TooBig(EngineError):
    """What a job needs is more than there can ever be: trying again is no use."""


def too_big(sizes: Mapping[str, int], most: int, option: str | None) -> TooBig:
    """Make the error for parts that are bigger together than a memory; `option` set its limit, None: it is all."""
    largest = max(sizes, key=lambda kind: sizes[kind])
    what = f"the parts of this job take {shown_bytes(sum(sizes.values()))}"
    where = f"`{flag_of(option)}` allows" if option else "this machine has for them no more than"
    return TooBig(
        "out-of-memory", f"{what}, and {where} {shown_bytes(most)}", option or "model",
        help=f"the largest is its {largest}, {shown_bytes(sizes[largest])}; try `--dtype bfloat16` or a smaller model",
    )  # fmt: skip


@contextmanager
def at_value(index: int) -> Generator[None]:
    """Let an error of the block say that it is about a value of its option, counted from 0.

    Raises:
        EngineError: with the index.
    """
    try:
        yield
    except EngineError as error:
        raise error.at(index) from error.__cause__


@contextmanager
def memory_errors(doing: str, option: str = "model") -> Generator[None]:
    """Turn an exception of the block that means that memory ran out into an error.

    Raises:
        EngineError: `out-of-memory`.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        if not is_short_of_memory(error):
            raise
        raise EngineError(
            "out-of-memory", f"memory ran out while {doing}", option,
            help="try `--dtype float16` or a smaller model, or free memory",
        ) from error  # fmt: skip
