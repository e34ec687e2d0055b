"""Makes the CLIP tokenizer of the built-in model: one token for every word of the list, bytes for the rest."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizer

from .words import all_words

LENGTH = 32
"""Tokens of a caption, with its start and end."""

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_letters() -> list[str]:
    """Return the printable characters of byte-level BPE for all bytes that lower-case UTF-8 text has."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    letters = [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]
    never = {*range(33), *range(ord("A"), ord("Z") + 1), 127, 192, 193, *range(245, 256)}
    return [letter for byte, letter in enumerate(letters) if byte not in never]


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Join the most frequent pair again and again until every word is one token (Sennrich et al., 2016)."""
    split = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in split for pair in itertools.pairwise(parts))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = [join(parts, best) for parts in split]


def join(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Replace each occurrence of the pair by its concatenation."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def new_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer, always the same for the same word list."""
    merges = learn_merges(all_words())
    letters = byte_letters()
    tokens = [*letters, *(letter + END_OF_WORD for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def save(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer, with the vocab.json and merges.txt that older readers look for."""
    tokenizer = new_tokenizer()
    tokenizer.save_pretrained(folder)
    merges = learn_merges(all_words())
    vocabulary = dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokenizer
