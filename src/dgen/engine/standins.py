"""Does the little for which some modules of diffusers ask torchvision, where that is not installed.

Such a module imports it when it is there, and fails with a `NameError` where it is not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

_MODULES = {
    "diffusers.models.transformers.transformer_cosmos": (),
    "diffusers.pipelines.omnigen.pipeline_omnigen": (
        ("diffusers.pipelines.omnigen.processor_omnigen", "OmniGenMultiModalProcessor"),
    ),
}
"""Modules that name `transforms`, and what else they do not import without torchvision: from where, and what."""


def stand_in(cls: Any) -> Any:
    """Return a class after its module was given what it did not import."""
    module: Any = sys.modules.get(getattr(cls, "__module__", ""))
    for asking in (module, *_others(module)):
        if not hasattr(asking, "transforms"):
            asking.transforms = transforms
    return cls


def _others(module: Any) -> Iterator[Any]:
    """Yield the modules from which names are missing in a module, and fill them in."""
    for place, name in _MODULES.get(module.__name__, ()):
        other = import_module(place)
        if not hasattr(module, name):
            setattr(module, name, getattr(other, name))
        yield other


def is_in_need(cls: Any) -> bool:
    """Whether the module of a class asks for what is not there."""
    from diffusers.utils.import_utils import is_torchvision_available

    return getattr(cls, "__module__", "") in _MODULES and not is_torchvision_available()


def _resized(tensor: Any, size: Sequence[int], interpolation: str) -> Any:
    """Resize (n, channels, h, w) or (channels, h, w) to a height and a width in cells."""
    import torch

    if tensor.ndim == 3:
        return _resized(tensor[None], size, interpolation)[0]
    return torch.nn.functional.interpolate(tensor, size=tuple(size), mode=interpolation)


def _as_tensor() -> Callable[[Any], Any]:
    """Return what makes a tensor, (channels, h, w) float32 in [0, 1], of a picture."""
    import numpy as np
    import torch

    return lambda image: torch.from_numpy(np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255)


def _normalized(mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Callable[[Any], Any]:
    """Return what shifts and scales each channel of (channels, h, w)."""
    import torch

    shift, divisor = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    return lambda tensor: (tensor - shift) / divisor


def _in_turn(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return what does one after the other."""

    def change(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return change


transforms = SimpleNamespace(
    functional=SimpleNamespace(resize=_resized), InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    Compose=_in_turn, Lambda=lambda change: change, ToTensor=_as_tensor, Normalize=_normalized,
)  # fmt: skip
"""The transforms of torchvision that these modules use, by their names there."""
