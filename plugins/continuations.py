"""`magicprompt`: lets a language model write prompts on."""

import json
import random
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgen.plugins import (
    BadValue,
    Choice,
    FilePath,
    Flag,
    Integer,
    ModelSource,
    QuantizerText,
    Real,
    Text,
    TextOrder,
    Upscaling,
    Writer,
    opt,
    options,
    prompt_upscaler,
    record,
)

_SEEDS = 2**31


@record
@options("magicprompt")
class MagicPrompt(Upscaling):
    """Arguments of `magicprompt`."""

    model: str = opt(
        "Gustavosta/MagicPrompt-Stable-Diffusion", value=ModelSource(),
        help="The language model: a hub repository, or a folder as transformers writes it.",
    )  # fmt: skip
    dtype: str = opt("float32", value=Choice(("bfloat16", "float16", "float32"), metavar="TYPE"), help="Its precision.")
    seed: int | None = opt(None, value=Integer(0, _SEEDS - 1), help="Where draws start; elsewhere each time.")
    variations: int = opt(1, value=Integer(1, 1000), help="How many prompts come of each.")
    max_length: int = opt(100, value=Integer(1, 4096), help="The length of a text in tokens, with the prompt's own.")
    temperature: float = opt(0.7, value=Real(0.01), help="How daring it is.")
    top_k: int = opt(50, value=Integer(1), help="From how many tokens each is drawn.")
    top_p: float = opt(1.0, value=Real(0.01, 1), help="From the likeliest tokens of which share each is drawn.")
    system: str = opt(
        "",
        value=Text(),
        help="What a model that chats is told first; what it answers to a prompt takes the prompt's place.",
    )
    quantizer: Any = opt(None, value=QuantizerText(), help="Its quantizer, as `--quantizer` says one.")
    preamble: str = opt("", value=Text(), help="A text that the model reads before each prompt.")
    remove_prompt: bool = opt(False, value=Flag(), help="Leave the prompt itself out of what comes of it.")
    prepend_prompt: bool = opt(False, value=Flag(), help="Let what comes of it start with the prompt once more.")
    batch: bool = opt(True, value=Flag(), help="Let the model write several texts at once.")
    max_batch: int = opt(50, value=Integer(1), help="How many at most.")
    block_regex: str | None = opt(None, value=Text(metavar="PATTERN"), help="What may not be in a text; it is redone.")
    max_attempts: int = opt(10, value=Integer(1, 1000), help="How often; after that the prompt stays as it is.")
    cleanup_config: str | None = opt(
        None, value=FilePath("FILE"),
        help="A JSON, TOML or YAML file with a list `cleanup`: each `pattern` becomes its `substitution`, or nothing; "
        "`ignore-case` may be true.",
    )  # fmt: skip
    smart_truncate: bool = opt(False, value=Flag(), help="Cut a text after its last whole phrase.")


@prompt_upscaler("magicprompt", MagicPrompt, pairs="variations")
def magicprompt(said: Any, texts: Sequence[str], writer: Writer) -> list[list[str]]:
    """Let a language model write each prompt on, by default one that learned from prompts."""
    blocked = _compiled("block-regex", said.block_regex) if said.block_regex else None
    rules = _rules(said.cleanup_config)
    wanted = [text for text in texts for _ in range(said.variations)]
    made: dict[int, str] = {}
    draws = random.Random(said.seed)
    for _ in range(said.max_attempts):
        missing = {index: text for index, text in enumerate(wanted) if index not in made}
        tidied = (_tidied(text, rules) for text in _in_batches(list(missing.values()), said, draws, writer))
        written = zip(missing, tidied, strict=True)
        made |= {index: text for index, text in written if blocked is None or not blocked.search(text)}
        if len(made) == len(wanted):
            break
    done = [made.get(index, text) for index, text in enumerate(wanted)]
    return [done[i : i + said.variations] for i in range(0, len(done), said.variations)]


def _in_batches(texts: Sequence[str], said: Any, draws: random.Random, writer: Writer) -> list[str]:
    size = said.max_batch if said.batch else 1
    return [t for i in range(0, len(texts), size) for t in _written(texts[i : i + size], said, draws, writer)]


def _compiled(name: str, text: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise BadValue(f"`{name}` is no pattern: {error}") from None


Rule = tuple[re.Pattern[str], str]


def _rules(path: str | None) -> list[Rule]:
    """Read the patterns of a file, and what each becomes."""
    if path is None:
        return []
    try:
        held = _read(Path(path).expanduser())
    except (OSError, ValueError) as error:
        raise BadValue(f"`cleanup-config`: `{path}` cannot be read: {error}") from None
    entries = held.get("cleanup") if isinstance(held, dict) else held
    if not isinstance(entries, list):
        raise BadValue(f"`cleanup-config`: `{path}` has no list `cleanup`")
    return [_rule(entry, path) for entry in entries]


def _read(path: Path) -> Any:
    """Read a file by its ending; YAML holds plain values alone."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from None
    return json.loads(text)


def _rule(entry: Any, path: str) -> Rule:
    known = {"pattern", "substitution", "ignore-case"}
    is_rule = isinstance(entry, dict) and entry.keys() <= known and isinstance(entry.get("substitution", ""), str)
    pattern = entry.get("pattern") if is_rule else None
    if not isinstance(pattern, str) or not pattern:
        raise BadValue(f"`cleanup-config`: in `{path}` each entry has a `pattern`, and may have a `substitution` and "
                       f"`ignore-case`; found {entry}")  # fmt: skip
    flags = re.IGNORECASE if entry.get("ignore-case") else 0
    return _compiled("cleanup-config", pattern, flags), entry.get("substitution", "")


def _tidied(text: str, rules: Sequence[Rule]) -> str:
    for pattern, substitution in rules:
        text = pattern.sub(substitution, text)
    return text


def _written(texts: Sequence[str], said: Any, draws: random.Random, writer: Writer) -> list[str]:
    order = TextOrder(
        texts=tuple(said.preamble + text for text in texts), model=said.model, seed=draws.randrange(_SEEDS),
        dtype=said.dtype, max_length=said.max_length, temperature=said.temperature, top_k=said.top_k,
        top_p=said.top_p, system=said.system, quantizer=said.quantizer,
    )  # fmt: skip
    return [_cleaned(made, text, said) for made, text in zip(writer.continue_texts(order), texts, strict=True)]


def _cleaned(made: str, text: str, said: Any) -> str:
    """Take the preamble off, and the prompt when it shall go; white space becomes single blanks."""
    rest = made.removeprefix(said.preamble)
    if said.remove_prompt:
        rest = rest.removeprefix(text)
    rest = " ".join(rest.split())
    if said.smart_truncate:
        rest = _whole_phrases(rest) or rest
    return f"{text} {rest}".strip() if said.prepend_prompt else rest


def _whole_phrases(text: str) -> str:
    """Return a text up to its last `.`, `!`, `?`, `;` or `,`, without that when it is one of the last two."""
    end = max(text.rfind(mark) for mark in ".!?;,")
    return text[: end + 1].rstrip(";, ") if end >= 0 else text
