"""Reads what the modular pipelines of diffusers accept from the documentation of their blocks."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache

from dgen.families.definitions import Parameter, calls, classes_in, definition

MODULAR = "ModularPipeline"
"""How the names of such pipelines end."""

LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "prompt_upsampler": ("boxes", "max_new_tokens"),
    "prompt_enhancer": (
        "enable_prompt_enhancement", "system_prompt", "prompt_max_new_tokens", "prompt_enhancement_kwargs",
        "prompt_enhancement_seed",
    ),
    "duration": ("min_seconds", "max_seconds"),
}  # fmt: skip
"""Blocks that are not run, since dgen has its own way for what they do, and what only they are given."""

_BESIDE = {"prompt_enhancer": "processor"}
"""Parts of such blocks, and others that they alone use."""

UNSAID = (
    "memory_audio_waveforms", "memory_audio_sample_rates", "driving_video_fps",
    "normalized_references", "keyframes", "condition_latents", "audio_condition_latents", "condition_strengths",
    "condition_indices", "condition_pixel_frames", "reference_conditions", "reference_latents", "reference_coords",
    "reference_token_counts", "reference_cross_mask", "conditioning_attention_mask",
)  # fmt: skip
"""Inputs that are sound, of which dgen reads none, that change how many frames come out, or that other blocks make."""

_PART = re.compile(r"(\w+)\s+\(`(\w+)`\)")
_INPUT = re.compile(r"^ *(\w+) \(`([^`]+)`(?:, (\*optional\*)(?:, defaults to ([^)]*))?)?\):$", re.MULTILINE)
_MORE = (Parameter("callback_on_step_end", "Callable", "None"),)
_CONFIG = re.compile(r"(\w+)\s+\(default:")
_GUIDER = Parameter("guidance_scale", "float", "None")


@cache
def parts_of_blocks(pipeline: str) -> tuple[Parameter, ...]:
    """List the parts of a modular pipeline that a model brings: all but those that its blocks make themselves."""
    made = _made_in(pipeline) - {"scheduler"}
    found = _PART.findall(_section(pipeline, "Components"))
    made |= {_BESIDE[n] for n, _ in found if n in _BESIDE}
    return tuple(Parameter(n, cls) for n, cls in found if n not in made and not n.startswith(tuple(LEFT_OUT)))


@cache
def configs_of_blocks(pipeline: str) -> tuple[str, ...]:
    """List what the index of a modular model may say beside its parts."""
    return tuple(_CONFIG.findall(_section(pipeline, "Configs")))


@cache
def inputs_of_blocks(pipeline: str) -> tuple[Parameter, ...]:
    """List the inputs of a modular pipeline, and what dgen's own call of it takes besides."""
    skipped = {name for names in (*LEFT_OUT.values(), UNSAID) for name in names}
    found = _INPUT.findall(_section(pipeline, "Inputs"))
    read = (Parameter(n, kind, (default or "None") if optional else None) for n, kind, optional, default in found)
    guided = (_GUIDER,) if "guider" in dict(_PART.findall(_section(pipeline, "Components"))) else ()
    return (*(_quoted(p) for p in read if p.name not in skipped), *guided, *_MORE)


def _quoted(parameter: Parameter) -> Parameter:
    """Return a parameter whose default is written as Python has it: documentation leaves the quotes out."""
    default = parameter.default
    try:
        ast.literal_eval(str(default))
    except (ValueError, SyntaxError):
        default = repr(default) if parameter.annotation == "str" else "None"
    return Parameter(parameter.name, parameter.annotation, default)


def _section(pipeline: str, title: str) -> str:
    """Return a section of the documentation of the blocks that a pipeline is made of."""
    blocks = definition(_blocks_of(pipeline), ("modular_pipelines",))
    text = (ast.get_docstring(blocks) if blocks is not None else None) or ""
    found = re.search(rf"^ *{title}:\n(.*?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _blocks_of(pipeline: str) -> str:
    own = definition(pipeline, ("modular_pipelines",))
    for node in own.body if own is not None else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "default_blocks_name":
            return str(ast.literal_eval(node.value))
    return ""


def _made_in(pipeline: str) -> set[str]:
    """Return the parts that the blocks beside a pipeline make from settings of their own."""
    place = classes_in("modular_pipelines").get(pipeline)
    files = place.parent.glob("*.py") if place else ()
    specs = (spec for file in files for spec in calls(file, "ComponentSpec"))
    return {ast.literal_eval(spec.args[0]) for spec in specs if spec.args and _is_made(spec)}


def _is_made(spec: ast.Call) -> bool:
    return any(ast.unparse(k.value) == "'from_config'" for k in spec.keywords)
