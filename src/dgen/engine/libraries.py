"""Imports torch, diffusers and transformers when they are first needed, and keeps them quiet."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from dgen.engine.standins import is_in_need, stand_in
from dgen.families.definitions import module_of

_TALKATIVE = ("bitsandbytes", "torch.utils._pytree", "torchao")
"""Loggers of packages that the libraries import when they are installed, and that warn of what nobody asked for."""


@cache
def silence() -> None:
    """Import the libraries, with their progress bars and log lines off."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    with importing():
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
    gc.freeze()  # modules stay: later collections need not walk through them; no component is loaded yet


_ONE_AT_A_TIME = threading.RLock()
"""Held while libraries are imported: two threads that import parts of one another would get halves of modules."""


@contextmanager
def importing() -> Generator[None]:
    """Import without warnings and without collecting garbage, which takes a fifth of the time and finds none."""
    with _ONE_AT_A_TIME, collecting_nothing(), quiet():
        yield


@contextmanager
def collecting_nothing() -> Generator[None]:
    """Collect no garbage for a while."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def open_torch_aside() -> None:
    """Let the system open torch's largest library while other threads go on.

    Python's own import holds the interpreter for as long as that takes, a quarter of a second and more; a foreign
    call does not. Where this cannot be done, the import does it later as ever.
    """
    import ctypes
    import importlib.util

    found = importlib.util.find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None or "torch" in sys.modules:
        return
    library = Path(found.origin).parent / "lib" / "libtorch_cpu.so"
    dlopen: Any = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    if library.exists():
        dlopen(os.fsencode(library), os.RTLD_LAZY)


@cache
def load_torch() -> Any:
    """Import torch alone."""
    with importing():
        import torch
    return torch


@contextmanager
def quiet() -> Generator[None]:
    """Hide the warnings of the libraries: they speak to programmers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def class_named(library: str, name: str) -> Any:
    """Return a class of diffusers, or ours, of transformers, or of a pipeline module of diffusers; None for none."""
    silence()
    with importing():
        import diffusers
        import transformers

        name = _RENAMED.get(name, name)
        if library == "diffusers":
            own = module_of(name)
            cls = getattr(import_module(own) if own else diffusers, name, None)
            return stand_in(cls) if is_in_need(cls) else cls
        if library == "transformers":
            return getattr(transformers, name, None)
        module = getattr(diffusers.pipelines, library, None) or getattr(diffusers.pipelines.deprecated, library, None)
        return getattr(module, name, None)


_RENAMED = {"CLIPFeatureExtractor": "CLIPImageProcessor"}
"""Classes that old models name and transformers 5 no longer has."""


def torch_dtype(name: str) -> Any:
    """Return the dtype of torch of a name of `--dtype`."""
    import torch

    return getattr(torch, name)
