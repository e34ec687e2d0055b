"""Encodes prompts through a prompt weighter, in place of the pipeline's own encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgen.engine.calls import taken_by
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.protocol import EngineError
from dgen.engine.readers import EncoderReader, WholeReader
from dgen.families.family import WEIGHING
from dgen.families.rows import FAMILIES, Family, some_of
from dgen.families.signatures import default_of
from dgen.options.request import Request
from dgen.plan.resolve import Job
from dgen.registry import Chosen
from dgen.schema import BadValue
from dgen.values.prompt import Prompt
from dgen.weighters import WEIGHTERS, Encoded, Row

OPTION = "prompt_weighter"
REPLACED = (*(side + name for side in ("", "negative_") for name in ("prompt", "prompt_2", "prompt_3")), "clip_skip")
"""The keywords of a call that encoded prompts stand for."""


def check_weighter(request: Request, family: Family) -> None:
    """Check that a weighter reads what the prompts of a family are read with.

    Raises:
        EngineError: `unsupported-option`.
    """
    if request.prompt_weighter is None:
        return
    name = request.prompt_weighter.name
    row = WEIGHTERS.rows().get(name)
    if family.whole_text and row is not None and not row.reads_whole:
        able = ", ".join(f"`{own}`" for own, other in WEIGHTERS.rows().items() if other.reads_whole)
        others = some_of([f.name for f in FAMILIES.values() if f.can(WEIGHING) and not f.whole_text])
        raise EngineError(
            "unsupported-option", f"`{name}` weighs no prompts for T5, which {family.label} reads with", OPTION,
            help=f"these do: {able}; with `{name}` these families can: {others}",
        )  # fmt: skip


def weighted(pipeline: Any, job: Job, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keywords of a call with the prompts in them encoded by the weighter of a job, when it has one.

    Raises:
        EngineError: the weighter cannot read a prompt, or fails.
    """
    if job.request.prompt_weighter is None:
        return named
    said: Any = named.get("prompt")
    count = len(said) if isinstance(said, list) else 1  # a prompt for each image of `images:`
    encoded = {k: v.repeat(count, *(1,) * (v.ndim - 1)) for k, v in _encoded(pipeline, job, named).items()}
    return {k: v for k, v in named.items() if k not in REPLACED} | encoded


def _encoded(pipeline: Any, job: Job, named: Mapping[str, Any]) -> dict[str, Any]:
    chosen = WEIGHTERS.read(str(job.request.prompt_weighter))
    texts = _texts(job.request)
    zeroed = not any(texts["negative_"]) and getattr(pipeline.config, "force_zeros_for_empty_prompt", False)
    if zeroed or not _has_negative(pipeline, named):
        del texts["negative_"]
    sides = {name: _read(pipeline, job, chosen, own, is_negative=bool(name)) for name, own in texts.items()}
    wholes = _wholes(pipeline, job, chosen, texts)
    length = max((states.shape[1] for side in sides.values() for _, states in side.states), default=0)
    found: dict[str, Any] = {}
    for name, side in sides.items():
        found |= side.keywords(name, length, wholes.get(name))
    if zeroed:
        found |= {f"negative_{name}": value.new_zeros(value.shape) for name, value in found.items()}
    return _named_for(taken_by(type(pipeline)), found)


def _named_for(taken: frozenset[str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return encoded prompts as a pipeline takes them: that of Stable Cascade wants summaries as (1, 1, width)."""
    if "pooled_prompt_embeds" in taken or "prompt_embeds_pooled" not in taken:
        return dict(found)
    return {
        name.replace("pooled_prompt_embeds", "prompt_embeds_pooled"): value[:, None] if "pooled" in name else value
        for name, value in found.items()
    }


def _has_negative(pipeline: Any, named: Mapping[str, Any]) -> bool:
    """Whether a call uses its negative prompt: models whose guidance is distilled do at a true scale above 1 alone."""
    taken = taken_by(type(pipeline))
    is_distilled = "true_cfg_scale" in taken and named.get("true_cfg_scale", 1) <= 1
    return "negative_prompt_embeds" in taken and not is_distilled


def _texts(request: Request) -> dict[str, tuple[str, ...]]:
    """Return what each text encoder reads, in their order, of the positive and of the negative part."""
    first, *others = request.prompt, request.prompt_2 or Prompt(), request.prompt_3 or Prompt()
    return {
        "": (first.positive, *(prompt.positive or first.positive for prompt in others)),
        "negative_": (first.negative, *(prompt.negative or first.negative for prompt in others)),
    }


@dataclass(slots=True)
class _Side:
    """A part of the prompts, as CLIP text encoders read it."""

    states: list[tuple[EncoderReader, Any]]  # (1, n, width) for each
    pooled: list[Any]  # (1, width) for each that is asked for it

    def keywords(self, name: str, length: int, whole: Any) -> dict[str, Any]:
        """Return the keywords: encoders side by side, brought to `length` with the empty prompt, then T5's states."""
        import torch

        states = whole
        if self.states:
            states = torch.cat([reader.lengthened(own, length) for reader, own in self.states], dim=-1)
        if self.states and whole is not None:
            padded = torch.nn.functional.pad(states, (0, whole.shape[-1] - states.shape[-1]))
            states = torch.cat([padded, whole.to(padded.dtype)], dim=1)
        found = {f"{name}prompt_embeds": states}
        return found | ({f"{name}pooled_prompt_embeds": torch.cat(self.pooled, dim=-1)} if self.pooled else {})


def _read(pipeline: Any, job: Job, chosen: Chosen[Row], texts: Sequence[str], *, is_negative: bool) -> _Side:
    skip = 0 if is_negative else job.request.clip_skip or 0  # as the pipelines themselves do
    side, family = _Side([], []), FAMILIES[job.family]
    for text, (kind, reader) in zip(texts, _readers(pipeline, family, skip), strict=False):
        made = _weigh(chosen, reader.spelled(text), reader)
        if kind in family.text_layers:
            side.states.append((reader, made.states))
        if kind in family.pooled_texts:
            side.pooled.append(reader.pooled(made.plain))
    return side


def _readers(pipeline: Any, family: Family, skip: int) -> Iterator[tuple[str, EncoderReader]]:
    for kind in dict.fromkeys((*family.text_layers, *family.pooled_texts)):
        encoder, layer = getattr(pipeline, kind, None), family.text_layers.get(kind, 0)
        if encoder is not None:
            tokenizer = getattr(pipeline, _tokenizer_of(kind))
            normed = layer == 0 and family.last_norm
            made = EncoderReader(
                pipeline, encoder, tokenizer, layer + skip, is_normed=normed, is_masked=family.tells_padding
            )
            yield kind, made


def _wholes(pipeline: Any, job: Job, chosen: Chosen[Row], texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what T5 makes of each part of the prompts, (1, n, width), all of one length; nothing without one."""
    family = FAMILIES[job.family]
    kind = family.whole_text
    if not kind:
        return {}
    length = job.request.max_sequence_length or default_of(job.pipeline, "max_sequence_length", family.package)
    encoder = getattr(pipeline, kind, None)
    if encoder is None:  # a model can go without its largest encoder
        return dict.fromkeys(texts, _silence(pipeline, length))
    place = int(kind.rpartition("_")[2]) - 1

    def read(length: int) -> dict[str, Any]:
        reader = WholeReader(pipeline, encoder, getattr(pipeline, _tokenizer_of(kind)), length)
        return {name: _weigh(chosen, reader.spelled(own[place]), reader).states for name, own in texts.items()}

    made = read(length)
    longest = max(states.shape[1] for states in made.values())
    return made if longest == length else read(longest)


def _silence(pipeline: Any, length: int) -> Any:
    """Return what pipelines put in the place of the states of a missing encoder."""
    import torch

    width, encoder = pipeline.transformer.config.joint_attention_dim, pipeline.text_encoder
    return torch.zeros((1, length, width), device=pipeline._execution_device, dtype=encoder.dtype)


def _tokenizer_of(kind: str) -> str:
    return kind.replace("text_encoder", "tokenizer")


def _weigh(chosen: Chosen[Row], text: str, reader: EncoderReader | WholeReader) -> Encoded:
    name = chosen.row.name
    try:
        return chosen.row.call(chosen.said, text, reader)
    except BadValue as error:
        raise EngineError(error.code, f"`{name}`: {error.message}", OPTION, error.help) from error
    except Exception as error:
        if is_short_of_memory(error):
            raise
        path, line = chosen.row.place
        message = f"the prompt weighter `{name}` failed: {type(error).__name__}: {first_line(error)}"
        raise EngineError("bad-plugin", message, OPTION, f"it is written in `{path.name}`, line {line}") from error
