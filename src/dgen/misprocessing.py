"""Says what is wrong with the image processors of a statement, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from dgen.diagnostic import Diagnostic, Word
from dgen.families.inspection import ModelFacts
from dgen.families.rows import INPAINT, TXT2IMG
from dgen.media.encode import FORMATS
from dgen.plan.bind import Bound, Given, value_error
from dgen.plan.control import control_images, is_steered, mode_of, said_in
from dgen.plan.resolve import pipeline_of
from dgen.plan.support import no_mode
from dgen.processors import NEXT, PROCESSORS, Link, ProcessorText, links_in, surplus
from dgen.schema import BadValue
from dgen.values.image_seed import ImageSeed
from dgen.values.scalars import HUB_NAMES
from dgen.values.uri import NamedUri

OF_SEEDS = ("seed_image_processors", "mask_image_processors", "control_image_processors")
"""The options whose processors work on what a job starts from."""

OPTIONS = (*OF_SEEDS, "post_processors")


def ending_of(path: Path, formats: Collection[str] = tuple(FORMATS), what: str = "") -> str:
    """Return the ending of a file that can be written, `what` it is: a picture unless said otherwise.

    Raises:
        BadValue: it names no format.
    """
    ending = path.suffix[1:]
    if ending.lower() not in formats:
        known = ", ".join(f"`.{each}`" for each in formats)
        raise BadValue(f"`{path.name}` names no format that can be written{what}", help=f"endings are {known}")
    return ending


def processor_mistakes(bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with the image processors of a statement."""
    for option in OPTIONS:
        held = bound.given.get(option)
        if held is not None:
            yield from wrong_processors(held, of_a_job=option == "post_processors")
            yield from _too_many(bound, held, option)


def missing_models(bound: Bound, is_expected: Callable[[str], bool] = lambda path: False) -> Iterator[Diagnostic]:
    """Yield the models of image processors that are not there, but for expected ones: no picture is made in vain."""
    for option in OPTIONS:
        if option in bound:
            yield from models_not_here(bound.given[option], is_expected)


def models_not_here(held: Given, is_expected: Callable[[str], bool] = lambda path: False) -> Iterator[Diagnostic]:
    """Yield the models that the processors of an option name and that are not there, but for expected ones."""
    for word, written, argument, model in _local_models(held):
        if not Path(model).expanduser().exists() and not is_expected(model):
            message = f"`{written.uri.name}`: there is no file or folder `{model}`"
            span = word.at(*written.place_of(argument, model))
            yield Diagnostic(code="missing-file", message=message, span=span, help=HUB_NAMES)


def _local_models(held: Given) -> Iterator[tuple[Word, Link, str, str]]:
    """Yield the models of this machine that an option's processors name: the word, the processor, its argument, a path.

    The path is that of the value, which may be relative to something else than what is written.
    """
    for word, uri in zip(held.words, held.values, strict=True):
        for written, meant in zip(links_in(word.text), links_in(str(uri)), strict=True):
            for argument, model in meant.local_models():
                yield word, written, argument, model


def unpainted(bound: Bound, facts: ModelFacts) -> Iterator[Diagnostic]:
    """Yield the image processors that let a model paint parts of its pictures which cannot."""
    for word, uri in _processors_in(bound, ("post_processors",)):
        row = PROCESSORS.rows().get(uri.name)
        if row is not None and row.repaints and pipeline_of(facts, INPAINT) is None:
            yield no_mode(facts, INPAINT, word.span)


def _processors_in(bound: Bound, options: Sequence[str]) -> Iterator[tuple[Word, NamedUri]]:
    for option in options:
        held = bound.given.get(option)
        if held is not None:
            yield from zip(held.words, held.values, strict=True)


def out_of_place(name: str, start: int = 0, end: int | None = None) -> BadValue:
    """Make the error for a processor that works on finished pictures, and is given another one."""
    message = f"{name} paints with the pipeline that made a picture, and none made this one"
    help = "make it a word of its own in `--post-processors`"
    return BadValue(message, start, end, code="processor-place", help=help)


def wrong_processors(held: Given, *, of_a_job: bool) -> Iterator[Diagnostic]:
    """Yield what is wrong with the processors that an option names, each by itself; `of_a_job`: it made the picture."""
    for word in held.words:
        if word.text == NEXT:
            continue
        try:
            chosen = PROCESSORS.read(word.text)
            if chosen.said.output_file is not None:
                ending_of(Path(chosen.said.output_file))
            _check_places(word.text, of_a_job)
        except BadValue as error:
            yield value_error(error, word, held.flag.text)


def _check_places(text: str, of_a_job: bool) -> None:
    """Refuse processors that work on finished pictures alone, within another one in any case."""
    for number, link in enumerate(links_in(text)):
        if PROCESSORS.find(link.uri.name).repaints and (number or not of_a_job):
            raise out_of_place(f"`{link.uri.name}`", link.start, link.end)


def _too_many(bound: Bound, held: Given, option: str) -> Iterator[Diagnostic]:
    count = max((_pictures(seed, option, is_steered(said_in(bound))) for seed in _seeds(bound)), default=0)
    index = surplus(held.values, 1 if option == "post_processors" else count)
    if index is not None and index < len(held.words):
        yield chains_left_over(held, held.words[index], count, _NOUNS[option])


def chains_left_over(held: Given, word: Word, count: int, noun: str) -> Diagnostic:
    """Describe a chain for which there is no picture."""
    found = f"there are {count} {noun}s" if count > 1 else f"there is {count or 'no'} {noun}"
    message, help = f"there is no picture for these processors: {found}", "after a `+` those of the next picture follow"
    if noun == "output":
        message, help = "the processors of one chain serve every picture that is made", "leave the `+` out"
    return Diagnostic(
        code="processor-chains", span=word.span, message=f"`{held.flag.text}`: {message}",
        help=help if count or noun == "output" else f"leave `{held.flag.text}` out",
    )  # fmt: skip


_NOUNS = {
    "seed_image_processors": "image to start from", "mask_image_processors": "mask",
    "control_image_processors": "control image", "post_processors": "output",
}  # fmt: skip


def _seeds(bound: Bound) -> Sequence[ImageSeed]:
    return bound.given["image_seed"].values if "image_seed" in bound else ()


def _pictures(seed: ImageSeed, option: str, has_nets: bool) -> int:
    """Count the pictures of an image seed that the processors of an option are for."""
    if option == "mask_image_processors":
        return len(seed.masks)
    if option == "control_image_processors":
        return len(control_images(seed, has_nets))
    return int(mode_of(seed, has_nets) != TXT2IMG)


def outside_a_config(bound: Bound) -> Iterator[Word]:
    """Yield the words that name processors with arguments which a config never says."""
    for word, uri in _processors_in(bound, OPTIONS):
        if ProcessorText().recorded(uri) != uri:
            yield word
