"""`dynamicprompts`: makes the prompts that a template of variants and wildcards stands for."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgen.plugins import BadValue, FilePath, Flag, Integer, Upscaling, Writer, opt, options, prompt_upscaler, record

_MOST = 10_000
_WILDCARD = re.compile(r"__([\w/*-]+?)__")


@record
@options("dynamicprompts")
class DynamicPrompts(Upscaling):
    """Arguments of `dynamicprompts`."""

    random: bool = opt(False, value=Flag(), help="Draw prompts at random instead of making every one there is.")
    seed: int | None = opt(None, value=Integer(0), help="Where random draws start; elsewhere each time by default.")
    variations: int | None = opt(
        None, value=Integer(1, _MOST), help="How many prompts; 1 at random, otherwise at most as many as there are."
    )
    wildcards: str | None = opt(None, value=FilePath("FOLDER"), help="The folder with the files of `__wildcards__`.")


@prompt_upscaler("dynamicprompts", DynamicPrompts, pairs="random")
def dynamicprompts(said: Any, texts: Sequence[str], writer: Writer) -> list[list[str]]:
    """Make the prompts that `{a|b}`, `{2$$a|b|c}` and `__wildcards__` stand for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls its parser by names of before
        try:
            from dynamicprompts.wildcards.wildcard_manager import WildcardManager
        except ImportError:
            raise BadValue(
                "this needs the package `dynamicprompts`", code="missing-package",
                help='install it: `pip install "dgen-lang[prompts]"`',
            ) from None  # fmt: skip
        if said.wildcards is not None and not Path(said.wildcards).expanduser().is_dir():
            raise BadValue(f"the folder `{said.wildcards}` does not exist", code="missing-file")
        manager = WildcardManager(Path(said.wildcards).expanduser() if said.wildcards else None)
        return [_made(text, said, manager) for text in texts]


def _made(text: str, said: Any, manager: Any) -> list[str]:
    from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator

    for name in _WILDCARD.findall(text):
        if not manager.get_values(name):
            where = f"`{said.wildcards}` has no file for it" if said.wildcards else "name a folder: `wildcards=FOLDER`"
            raise BadValue(f"nothing is known for the wildcard `__{name}__`", code="missing-file", help=where)
    try:
        if said.random:
            return RandomPromptGenerator(manager, seed=said.seed).generate(text, said.variations or 1)
        made = CombinatorialPromptGenerator(manager).generate(text, said.variations or _MOST + 1)
    except Exception as error:  # its parser's own, and whatever a wildcard file does to it
        reason = str(error).strip().partition("\n")[0]
        raise BadValue(f"the template `{text}` cannot be read: {reason}", code="bad-value") from None
    if len(made) > _MOST:
        message = f"the template `{text}` stands for more than {_MOST} prompts"
        raise BadValue(message, help="say how many: `variations=N`")
    return made
