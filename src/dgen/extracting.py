"""Writes the script that a picture carries, or what the metadata of another program comes to in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dgen import __version__
from dgen.config import as_value
from dgen.diagnostic import Source
from dgen.foreign import Recipe, recipe_of
from dgen.inertness import inert
from dgen.media.metadata import CONFIG, USER_COMMENT, read_texts
from dgen.options.request import ROWS
from dgen.plan.bind import Bound
from dgen.preflight import in_folder_of_script
from dgen.schema import BadValue, Option

HEAD = f"#! dgen {__version__}\n"
_LONGEST = 160


def extracted(path: Path, model: str | None = None) -> str:
    """Return the statement that makes a picture, or one like it; `model` stands for the one that it names.

    Raises:
        BadValue: `missing-file`, `bad-file`, `not-replayable`, `missing-model`.
        DgenError: its config is wrong.
    """
    if path.suffix == ".dgen":
        return _own(Source(str(path), path.read_text(encoding="utf-8")), model)
    texts = read_texts(path)
    comment = texts.get(USER_COMMENT, "")
    config = texts.get(CONFIG) or (comment if comment.startswith("#! dgen") else None)
    if config is not None:
        return _own(Source(str(path), config), model)
    recipe = recipe_of(texts)
    if recipe is None:
        raise BadValue(
            f"`{path.name}` carries nothing that tells how it was made", code="not-replayable",
            help="dgen, AUTOMATIC1111, ComfyUI and InvokeAI write it into PNG, JPEG and WebP files",
        )  # fmt: skip
    return _like(recipe, path, model)


def _own(source: Source, model: str | None) -> str:
    """Write a config anew: what it says is quoted, so that it means nothing else in a script."""
    _, bound = inert(source)
    lines = [*_lines_of(in_folder_of_script(bound), model)]
    return "\n".join((f"# What `{_one_line(Path(source.name).name)}` carries.", *lines, ""))


def _lines_of(bound: Bound, model: str | None) -> Iterator[str]:
    for name, held in sorted(bound.given.items(), key=lambda item: not ROWS[item[0]].positional):
        row = ROWS[name]
        if name == "relative_inputs":
            continue
        words = [row.value.format(value) for value in held.values] if row.value is not None else []
        yield _line(row, [model] if model is not None and name == "model" else words)


def _line(row: Option, words: list[str]) -> str:
    said = [as_value(word) for word in words]
    return " ".join(said if row.positional else [row.flag, *said])


def _like(recipe: Recipe, path: Path, model: str | None) -> str:
    named = model or recipe.model
    if not named:
        raise BadValue(f"`{path.name}` names no model", code="missing-model", help="name one with `--model`")
    notes = [
        f"Like `{path.name}`, which {recipe.program} made; its noise is another one, so this is not the same picture.",
        *(["The model is known by its name alone."] if model is None else []), *recipe.notes,
    ]  # fmt: skip
    lines = [_line(ROWS[name], list(words)) for name, words in recipe.words.items()]
    return "\n".join((*(f"# {_one_line(note)}" for note in notes), as_value(named), *lines, ""))


def _one_line(text: str) -> str:
    """Return a text that can stand in a comment, which it can neither leave nor make a template of."""
    plain = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    cut = plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
    return cut.replace("\\", "/").replace("{", "(").replace("}", ")").lstrip("!")
