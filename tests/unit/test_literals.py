"""Values are read as the annotations of diffusers' parameters say."""

from __future__ import annotations

from typing import Any

import pytest

from dgen.families.definitions import Parameter
from dgen.families.literals import is_writable, read_literal
from dgen.schema import BadValue
from dgen.values.extras import Extra, ExtraText


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("float", "1", 1.0), ("float | None", "none", None), ("int", "3", 3), ("bool", "True", True), ("str", "5", "5"),
        ("list[int] | None", "1,2,3", [1, 2, 3]), ("Optional[Union[int, List[int]]]", "5", 5),
        ("Tuple[int, int]", "3,4", (3, 4)), ("float | list[float]", "1,2", [1.0, 2.0]),
        ("tuple[int, ...]", "1,2,3", (1, 2, 3)), ("str | list[str]", "a,b", "a,b"), ("list[str]", "a,b", ["a", "b"]),
        ("dict[str, Any] | None", "{'scale': 0.5}", {"scale": 0.5}), ("torch.Tensor | float", "0.5", 0.5),
    ],
)  # fmt: skip
def test_text_becomes_what_an_annotation_says(annotation: str, text: str, value: Any) -> None:
    read = read_literal(Parameter("p", annotation, "0"), text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "message"),
    [
        ("float", "high", "a number"), ("int", "1.5", "a whole number"), ("bool", "1", "true or false"),
        ("Tuple[int, int]", "1,2,3", "several of whole number"), ("int", "none", "a whole number"),
        ("torch.Tensor | None", "1", "cannot be written"), ("int", "9**9**9", "a whole number"),
        ("list[float]", "(" * 5000, "several of number"),
    ],
)  # fmt: skip
def test_text_of_another_type_is_refused(annotation: str, text: str, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        read_literal(Parameter("p", annotation, "0"), text)


def test_parameter_without_annotation_is_of_the_type_of_its_default() -> None:
    assert read_literal(Parameter("p", "", "0.5"), "2") == 2.0
    with pytest.raises(BadValue, match="true or false"):
        read_literal(Parameter("p", "", "False"), "2")


def test_tensors_and_functions_cannot_be_written() -> None:
    assert not is_writable(Parameter("p", "torch.Tensor | None", "None"))
    assert not is_writable(Parameter("p", "Callable[[int, int], None]", "None"))


def test_values_of_one_parameter_multiply_and_others_act_together() -> None:
    eta, eta2, other = Extra("eta", "0"), Extra("eta", "1"), Extra("scale", "2")
    assert ExtraText().combined([eta, other, eta2]) == ((eta, other), (eta2, other))
