"""Text encoders in single files: alone, or among others in a checkpoint; the model's own part tells what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dgen.engine.libraries import quiet, torch_dtype
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part
from dgen.options.submodels import TEXT_MODES

_OPEN_WORDS = "token_embedding.weight"
_WORDS = (
    "text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight", "shared.weight",
    "encoder.embed_tokens.weight", _OPEN_WORDS,
)  # fmt: skip
"""How the table of words is called in CLIP, before and after transformers 5.6, in T5, and in OpenCLIP."""


def found_in(shapes: Mapping[str, Iterable[int]], config: Mapping[str, Any], mode: str | None) -> str | None:
    """Return what stands before the names of a text encoder in a file; None when none in it is of this configuration.

    `shapes` are those of the file's tensors, by their names; `mode` says which of several it is.
    """
    wanted = [config.get("vocab_size"), config.get("hidden_size", config.get("d_model"))]
    before = ("", *(p for name, prefixes in TEXT_MODES.items() if mode in (None, name) for p in prefixes))
    fits = (p for p in before if any(list(shapes.get(p + word, ())) == wanted for word in _WORDS))
    return next(fits, None)


def nowhere(part: Part) -> EngineError:
    """Make the error for a file without the text encoder that is looked for in it."""
    kind = f" `{part.mode}`" if part.mode else ""
    return EngineError(
        "bad-weights", f"`{part.source.name}` holds no{kind} {part.class_name} like the {part.kind} of the model",
        part.source.option, help="name the folder that has its `config.json`",
    ).at(part.source.index)  # fmt: skip


def load(part: Part, cls: Any, path: Path, folder: Path, quantization: Mapping[str, Any]) -> Any:
    """Load a text encoder from a file; `folder` has the configuration of the one it replaces.

    Raises:
        EngineError: `bad-weights`; what the loader of its class raises stands for itself.
    """
    from diffusers.loaders.single_file_utils import load_single_file_checkpoint

    config = cls.config_class.from_pretrained(str(folder), local_files_only=True)
    with quiet():
        tensors: Any = load_single_file_checkpoint(str(path))  # pickles are read as plain weights alone
    before = found_in({name: t.shape for name, t in tensors.items()}, config.to_dict(), part.mode)
    if before is None:
        raise nowhere(part)
    own = _own(tensors, before, config)
    if before and "Projection" in part.class_name and "text_projection.weight" not in own:
        own["text_projection.weight"] = _unchanging(config)
    with quiet():
        module, report = cls.from_pretrained(
            None, config=config, state_dict=own, dtype=torch_dtype(part.dtype), output_loading_info=True, **quantization
        )
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise EngineError(
            "bad-weights", f"`{path.name}` lacks {len(missing)} tensors of {part.class_name}: `{missing[0]}` …",
            part.source.option,
        ).at(part.source.index)  # fmt: skip
    return module.eval()


def _own(tensors: Mapping[str, Any], before: str, config: Any) -> dict[str, Any]:
    """Return the tensors of a text encoder in the names of transformers, whatever stands before them in a file."""
    if before + _OPEN_WORDS not in tensors:
        return {name.removeprefix(before): t for name, t in tensors.items() if name.startswith(before)}
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    return convert_open_clip_checkpoint(SimpleNamespace(config=config), tensors, prefix=before)


def _unchanging(config: Any) -> Any:
    """Return the projection of a CLIP whose checkpoint has none: each number stays what it is."""
    import torch

    return torch.eye(config.projection_dim, config.hidden_size)
