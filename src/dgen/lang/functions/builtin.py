"""Python's safe built-ins, as template functions."""

from __future__ import annotations

import builtins

from dgen.lang.functions import Function, add_function
from dgen.lang.limits import bounded_bytes, bounded_range, check_format, modular_power, power, rounded, total

_PLAIN = {
    "abs": "The absolute value of a number.",
    "all": "Whether every item is true.",
    "any": "Whether some item is true.",
    "ascii": "The value as Python would write it, in ASCII.",
    "bin": "An integer in base two.",
    "bool": "Whether a value is true.",
    "chr": "The character of a code point.",
    "dict": "A dictionary.",
    "divmod": "Quotient and remainder.",
    "enumerate": "Pairs of a number and an item.",
    "filter": "The items for which a function holds.",
    "float": "A floating point number.",
    "frozenset": "A set that cannot change.",
    "hex": "An integer in base sixteen.",
    "int": "An integer.",
    "isinstance": "Whether a value is of a type.",
    "iter": "An iterator over items.",
    "len": "The number of items.",
    "list": "A list of items.",
    "map": "A function applied to every item.",
    "max": "The largest item.",
    "min": "The smallest item.",
    "next": "The next item of an iterator.",
    "oct": "An integer in base eight.",
    "ord": "The code point of a character.",
    "repr": "The value as Python would write it.",
    "reversed": "The items in reverse.",
    "set": "A set of items.",
    "slice": "A slice, as a subscript has it.",
    "sorted": "The items sorted.",
    "str": "The value as text.",
    "tuple": "A tuple of items.",
    "zip": "Items of several lists side by side.",
}


def _format(value: object, spec: str = "") -> str:
    return builtins.format(value, check_format(spec))


def _range(*bounds: int) -> range:
    return bounded_range(*bounds)


def _pow(base: float, exponent: float, modulus: int | None = None) -> float:
    if modulus is not None:
        return modular_power(int(base), int(exponent), modulus)
    return power(base, exponent)


_BOUNDED = (
    ("format", _format, "A value formatted by a specification such as `.2f`.", "{{ format(2.5, '.2f') }}", "2.50"),
    ("range", _range, "Whole numbers from start to before stop.", "{{ list(range(3)) }}", "[0, 1, 2]"),
    ("bytes", bounded_bytes, "Bytes of a list of integers, or of a text and its encoding.", "{{ len(bytes(3)) }}", "3"),
    ("round", rounded, "A number rounded to some digits.", "{{ round(2.567, 1) }}", "2.6"),
    ("sum", total, "The sum of numbers.", "{{ sum([1, 2]) }}", "3"),
    ("pow", _pow, "A number raised to a power.", "{{ pow(2, 10) }}", "1024"),
)

for _name, _help in _PLAIN.items():
    add_function(Function(_name, getattr(builtins, _name), _help, is_builtin=True))
for _name, _call, _help, _template, _result in _BOUNDED:
    add_function(Function(_name, _call, _help, ((_template, _result),), is_builtin=True))
