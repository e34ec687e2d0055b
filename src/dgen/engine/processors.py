"""Loads what prepares pictures and text for vision-language models, where torchvision is not installed.

transformers makes such processors with a part for videos, which needs torchvision; no picture does.
"""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any


def is_hindered(cls: Any) -> bool:
    """Whether a class of transformers is a processor that cannot be made as it is, for want of torchvision."""
    from transformers.utils.import_utils import is_torchvision_available

    return not is_torchvision_available() and (_is_empty(cls) or "video_processor" in _parts(cls))


def load_reader(cls: Any, folder: Path) -> Any:
    """Load such a processor for pictures and text; for text alone where its class needs torchvision as a whole."""
    from transformers import AutoImageProcessor, AutoTokenizer

    here = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(str(folder), **here)
    if _is_empty(cls):
        return tokenizer
    pictures = AutoImageProcessor.from_pretrained(str(folder), **here)
    parts = {"image_processor": pictures, "tokenizer": tokenizer, "video_processor": None}
    taken = inspect.signature(cls.__init__).parameters
    named = {name: part for name, part in parts.items() if name in taken}
    return _without_videos(cls)(**named, chat_template=tokenizer.chat_template)


def _is_empty(cls: Any) -> bool:
    """Whether a class stands in for one that is not there: it fails whatever it is asked."""
    from transformers.utils.import_utils import DummyObject

    return isinstance(cls, DummyObject) and "torchvision" in (cls._backends or ())


def _parts(cls: Any) -> list[str]:
    return cls.get_attributes() if hasattr(cls, "get_attributes") else []


@cache
def _without_videos(cls: Any) -> Any:
    """Return a processor class that does without its part for videos."""

    class Reader(cls):
        """Prepares pictures and text."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            """Look at the parts that are there."""
            if argument_name == "video_processor":
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

        def save_pretrained(self, save_directory: Any, **named: Any) -> None:
            """Write the parts that are there."""
            for part in (self.image_processor, self.tokenizer):
                part.save_pretrained(save_directory)

    Reader.__name__, Reader.__module__ = cls.__name__, cls.__module__  # by which a model that is written names it
    return Reader
