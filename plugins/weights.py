"""`compel` and `sd-embed`: prompts in which words weigh more or less, longer than a text encoder reads at once."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dgen.plugins import BadValue, Choice, Encoded, Reader, Weighting, opt, options, prompt_weighter, record

_MORE, _LESS = 1.1, 1 / 1.1
_MARKS = re.compile(r"\\[\\()\[\]]|:\s*([+-]?\d*\.?\d+)\s*\)|[()\[\]]|\bBREAK\b")
_BACKTRACK = 20


class Phrase(NamedTuple):
    """A part of a prompt, and how much it weighs."""

    text: str
    weight: float


def read_weights(prompt: str) -> list[list[Phrase]]:
    r"""Read `(more)`, `(much more:1.4)`, `[less]`, which nest, and `BREAK`; return the phrases between the breaks.

    This is the syntax of AUTOMATIC1111's web UI: `( )` weighs 1.1 times as much, `[ ]` 1.1 times less, and a
    backslash makes a bracket a plain one. A bracket that is never closed counts as closed at the end.
    """
    parts: list[list[Phrase]] = [[]]
    opened: list[tuple[str, int, int]] = []  # the bracket, and where its phrases begin
    place = 0
    for mark in _MARKS.finditer(prompt):
        _append(parts, prompt[place : mark.start()])
        place = mark.end()
        symbol = mark[0]
        if symbol.startswith("\\"):
            _append(parts, symbol[1])
        elif symbol in "([":
            opened.append((symbol, len(parts) - 1, len(parts[-1])))
        elif symbol == "BREAK":
            parts.append([])
        elif not _close(parts, opened, "[" if symbol == "]" else "(", mark[1]):
            _append(parts, symbol)
    _append(parts, prompt[place:])
    while opened:
        _weigh(parts, opened[-1], _MORE if opened.pop()[0] == "(" else _LESS)
    return [_joined(part) for part in parts]


def _append(parts: list[list[Phrase]], text: str) -> None:
    if text:
        parts[-1].append(Phrase(text, 1.0))


def _close(parts: list[list[Phrase]], opened: list[tuple[str, int, int]], bracket: str, weight: str | None) -> bool:
    """Weigh what stands since the last bracket of a kind; False when none is open."""
    if not opened or opened[-1][0] != bracket:
        return False
    _weigh(parts, opened.pop(), float(weight) if weight else _MORE if bracket == "(" else _LESS)
    return True


def _weigh(parts: list[list[Phrase]], start: tuple[str, int, int], weight: float) -> None:
    _, first, index = start
    for number in range(first, len(parts)):
        since = index if number == first else 0
        parts[number][since:] = [Phrase(p.text, p.weight * weight) for p in parts[number][since:]]


def _joined(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Join neighbours of the same weight, so that words are cut into tokens as in a plain prompt."""
    found: list[Phrase] = []
    for phrase in phrases:
        if found and found[-1].weight == phrase.weight:
            found[-1] = Phrase(found[-1].text + phrase.text, phrase.weight)
        else:
            found.append(phrase)
    return found


def _plain(parts: Sequence[Sequence[Phrase]]) -> str:
    return " ".join("".join(p.text for p in part).strip() for part in parts).strip()


@record
@options("sd-embed")
class SdEmbed(Weighting):
    """Arguments of `sd-embed`."""


@prompt_weighter("sd-embed", SdEmbed, reads_whole=True)
def sd_embed(said: Any, text: str, reader: Reader) -> Encoded:
    """Read `(more)`, `(much more:1.4)`, `[less]` and `BREAK`, as AUTOMATIC1111's web UI does, and long prompts."""
    import torch

    parts = read_weights(text)
    if reader.reads_whole:
        return Encoded(_scaled([phrase for part in parts for phrase in part], reader), _plain(parts))
    pieces = [_weighed(piece, reader) for part in parts for piece in _pieces(part, reader)]
    return Encoded(torch.cat(pieces, dim=1), _plain(parts))


def _scaled(phrases: Sequence[Phrase], reader: Reader) -> Any:
    """Encode a whole text; a state is multiplied by its token's weight, for there is no rest to move it away from."""
    tokens = [(token, p.weight) for p in phrases for token in reader.tokens(p.text)]
    states = reader.states([token for token, _ in tokens])
    for place, (_, weight) in enumerate(tokens):
        if weight != 1:
            states[:, place] *= weight
    return states


Token = tuple[int, float]


def _pieces(phrases: Sequence[Phrase], reader: Reader) -> Iterator[list[Token]]:
    """Cut the tokens of phrases into what the encoder reads at once; a comma near the end of a piece ends it."""
    tokens = [(token, p.weight) for p in phrases for token in reader.tokens(p.text)]
    commas = {*reader.tokens(","), *reader.tokens("x,")[-1:]}
    while len(tokens) > reader.room:
        near = range(reader.room, max(reader.room - _BACKTRACK, 0), -1)
        end = next((n for n in near if tokens[n - 1][0] in commas), reader.room)
        yield tokens[:end]
        tokens = tokens[end:]
    yield tokens


def _weighed(tokens: Sequence[Token], reader: Reader) -> Any:
    """Encode a piece; a state moves away from that of the last place, or towards it, by its token's weight."""
    states = reader.states([token for token, _ in tokens])
    rest = states[:, -1].clone()
    for place, (_, weight) in enumerate(tokens, 1):
        if weight != 1:
            states[:, place] = rest + (states[:, place] - rest) * weight
    return states


@record
@options("compel")
class CompelArguments(Weighting):
    """Arguments of `compel`."""

    syntax: str = opt(
        "compel", value=Choice(("compel", "sdwui"), metavar="SYNTAX"),
        help="`compel` reads `(words)1.3`, `word++`, `word--`, `.and()` and `.blend()`; `sdwui` reads as `sd-embed`.",
    )  # fmt: skip


@prompt_weighter("compel", CompelArguments)
def compel(said: Any, text: str, reader: Reader) -> Encoded:
    """Let the package compel weigh words, blend prompts, and read long ones."""
    try:
        from compel import Compel
        from compel.prompt_parser import Conjunction, FlattenedPrompt, Fragment
    except ImportError:
        raise BadValue(
            "this needs the package `compel`", code="missing-package",
            help='install it: `pip install "dgen-lang[prompts]"`',
        ) from None  # fmt: skip
    reading = Compel(tokenizer=reader.tokenizer, text_encoder=reader.encoder, truncate_long_prompts=False)
    try:
        if said.syntax == "sdwui":
            parts = read_weights(text)
            told = Conjunction([FlattenedPrompt([Fragment(*p) for p in part or [Phrase("", 1.0)]]) for part in parts])
        else:
            told = Compel.parse_prompt_string(text)
        made: Any = reading.build_conditioning_tensor_for_conjunction(told)
    except Exception as error:  # its parser's own, and whatever odd weights do
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadValue(f"the prompt `{text}` cannot be read: {reason}") from None
    states, options = made
    if options:
        raise BadValue("`.swap()` changes attention, which dgen does not do", help="leave `.swap()` out")
    return Encoded(states, _bare(told))


def _bare(told: Any) -> str:
    """Return the words of a prompt that compel has read."""
    prompts = getattr(told, "prompts", None)
    if prompts is not None:
        return " ".join(filter(None, map(_bare, prompts)))
    return " ".join(str(child.text).strip() for child in told.children).strip()
