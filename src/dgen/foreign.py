"""Reads what pictures of other programs say of how they were made, as far as it can be said in an invocation.

AUTOMATIC1111's `parameters` text, ComfyUI's graph in the format of its API, and InvokeAI's metadata. Whatever they
hold is taken as text: a prompt can name no option, a model is nothing but a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dgen.families.samplers import SPACINGS, sampler_named
from dgen.options.request import ROWS
from dgen.schema import BadValue
from dgen.values.prompt import Prompt

LONGEST = 200_000
"""How many characters are read."""

Texts = Mapping[str, str]
Node = Mapping[str, Any]


@dataclass(slots=True)
class Recipe:
    """What a picture was made with: a model, options by field with the words they take, and what cannot be said."""

    program: str
    model: str = ""
    words: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    notes: list[str] = field(default_factory=list[str])

    def say(self, name: str, *texts: object) -> None:
        """Take an option, if it can have the value; note it otherwise."""
        words = tuple(str(text) for text in texts if text is not None)
        try:
            for word in words:
                ROWS[name].parse(word)
        except BadValue as error:
            self.notes.append(f"{ROWS[name].flag} cannot be {' '.join(words)}: {error.message}")
            return
        if words:
            self.words[name] = words

    def say_prompt(self, positive: object, negative: object) -> None:
        """Take a prompt and its negative; LoRAs named in it become options, other tags are left out."""
        shown, not_shown = (self._plain(text if isinstance(text, str) else "") for text in (positive, negative))
        self.say("prompt", str(Prompt(shown, not_shown)))
        if any(map(_WEIGHTS.search, (shown, not_shown))):
            self.say("prompt_weighter", "sd-embed")

    def _plain(self, text: str) -> str:
        for kind, name, scale in _LORA_TAG.findall(text):
            if kind.lower() in ("lora", "lyco"):
                self.say_lora(name, scale or "1")
        for tag in _TAG.findall(text):
            if not _LORA_TAG.fullmatch(tag):
                self.notes.append(f"nothing stands for {tag} in the prompt")
        return " ".join(_TAG.sub(" ", text).replace("<", "(").replace(">", ")").split())

    def say_lora(self, name: str, scale: object) -> None:
        """Take a LoRA by its name, which becomes that of a file."""
        file = _file_name(name)
        if file:
            self.say("loras", *self.words.get("loras", ()), f"{file};scale={scale}")

    def say_sampler(self, sampler: str, spacing: str = "") -> None:
        """Take a scheduler by the names that samplers and their spacings have in AUTOMATIC1111's web UI."""
        name = f"{sampler} {spacing}" if spacing in SPACINGS and not sampler.endswith(spacing) else sampler
        if sampler_named(name) is not None:
            self.say("scheduler", name)
        elif sampler:
            self.notes.append(f"nothing stands for the sampler {sampler} {spacing}".rstrip())

    def say_size(self, width: object, height: object) -> None:
        """Take the size in pixels."""
        if width is not None and height is not None:
            self.say("output_size", f"{width}x{height}")


_LORA_TAG = re.compile(r"<(lora|lyco):([^:<>]*)(?::([\d.]+))?[^<>]*>", re.I)
_TAG = re.compile(r"<[^<>:]*:[^<>]*>")
_WEIGHTS = re.compile(r"[(\[][^()\[\]]*:\s*[\d.]+\s*[)\]]|\(\(|\bBREAK\b")
_WEIGHTS_FILE = re.compile(r"\.(safetensors|ckpt|pt|pth|bin|gguf)$", re.I)


def _file_name(name: object) -> str:
    """Return the last part of a name that may be a path, with the ending that weights have."""
    last = re.split(r"[\\/]", name if isinstance(name, str) else "")[-1].strip().lstrip("-.")
    last = re.sub(r"[;\x00-\x1f\x7f]", "_", last)[:200]
    return last if not last or _WEIGHTS_FILE.search(last) else f"{last}.safetensors"


# ---- AUTOMATIC1111 ---------------------------------------------------------------------------------------------


_FIELD = re.compile(r'\s*([A-Za-z][\w \-/]{0,40}):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
_KNOWN = {
    "steps", "sampler", "schedule type", "cfg scale", "seed", "size", "model", "clip skip", "denoising strength",
    "model hash", "version", "lora hashes", "ti hashes", "hashes",
}  # fmt: skip


def _read_parameters(text: str) -> Recipe:
    """Read prompt lines, lines of the negative prompt, and the last line of `Name: value` fields."""
    lines = text.strip().splitlines()
    last = lines.pop() if lines and re.search(r"\bSteps: \d", lines[-1]) else ""
    start = next((n for n, line in enumerate(lines) if line.startswith("Negative prompt:")), len(lines))
    told = {name.strip().lower(): _unquoted(value) for name, value in _FIELD.findall(last)}
    recipe = Recipe("AUTOMATIC1111", model=_file_name(told.get("model")))
    recipe.say_prompt("\n".join(lines[:start]), "\n".join(lines[start:]).removeprefix("Negative prompt:"))
    recipe.say_sampler(told.get("sampler", ""), told.get("schedule type", ""))
    recipe.say("num_inference_steps", told.get("steps"))
    recipe.say("guidance_scale", told.get("cfg scale"))
    recipe.say("seed", told.get("seed"))
    recipe.say("output_size", told.get("size"))
    skip = told.get("clip skip", "1")
    if skip.isdecimal() and int(skip[:4]) > 1:
        recipe.say("clip_skip", int(skip[:4]) - 1)  # the web UI counts the layer that is used, from the last
    if "denoising strength" in told:
        recipe.notes.append("it was made from another picture, or enlarged: that is not in its text")
    recipe.notes += [f"nothing stands for {name}: {value}" for name, value in told.items() if name not in _KNOWN]
    return recipe


def _unquoted(value: str) -> str:
    try:
        found = json.loads(value) if value.startswith('"') else value.strip()
    except ValueError:
        return value.strip()
    return found if isinstance(found, str) else value.strip()


# ---- ComfyUI ---------------------------------------------------------------------------------------------------


_SAMPLERS = {
    "euler": "Euler", "euler_ancestral": "Euler a", "heun": "Heun", "dpm_2": "DPM2", "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS", "dpmpp_2s_ancestral": "DPM++ 2S a", "dpmpp_sde": "DPM++ SDE", "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_3m_sde": "DPM++ 3M SDE", "ddim": "DDIM", "uni_pc": "UniPC", "lcm": "LCM",
}  # fmt: skip
_SCHEDULES = {
    "normal": "", "karras": "Karras", "exponential": "Exponential", "sgm_uniform": "SGM Uniform", "simple": "Simple",
    "beta": "Beta",
}  # fmt: skip
_PLAIN_NODES = {
    "KSampler", "CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "LoraLoader", "VAEDecode", "SaveImage",
    "PreviewImage", "VAELoader",
}  # fmt: skip


def _read_graph(text: str) -> Recipe:
    """Read a graph with one sampler: nodes by number, each with `class_type` and `inputs`; `[number, n]` is a wire."""
    nodes = {key: cast("Node", n) for key, n in _object(text).items() if isinstance(n, dict) and "class_type" in n}
    samplers = [n for n in nodes.values() if n["class_type"] == "KSampler"]
    if len(samplers) != 1:
        raise _unreadable(f"a graph with 1 KSampler was expected, this one has {len(samplers)}")
    inputs = _inputs(samplers[0])
    recipe = Recipe("ComfyUI")
    shown, not_shown = (_behind(nodes, inputs.get(name), "CLIPTextEncode") for name in ("positive", "negative"))
    recipe.say_prompt(_inputs(shown).get("text"), _inputs(not_shown).get("text"))
    sampler, spacing = str(inputs.get("sampler_name", "")), str(inputs.get("scheduler", ""))
    recipe.say_sampler(_SAMPLERS.get(sampler, sampler), _SCHEDULES.get(spacing, spacing))
    recipe.say("num_inference_steps", _number(inputs.get("steps")))
    recipe.say("guidance_scale", _number(inputs.get("cfg")))
    recipe.say("seed", _number(inputs.get("seed")))
    latent = _inputs(_behind(nodes, inputs.get("latent_image"), "EmptyLatentImage"))
    recipe.say_size(_number(latent.get("width")), _number(latent.get("height")))
    for node in _chain(nodes, inputs.get("model")):
        if node["class_type"] == "LoraLoader":
            recipe.say_lora(str(_inputs(node).get("lora_name", "")), _number(_inputs(node).get("strength_model")) or 1)
        elif node["class_type"] == "CheckpointLoaderSimple":
            recipe.model = _file_name(_inputs(node).get("ckpt_name"))
    odd = sorted({str(n["class_type"]) for n in nodes.values()} - _PLAIN_NODES)
    recipe.notes += [f"nothing stands for the node {name}" for name in odd]
    return recipe


def _inputs(node: Node | None) -> Node:
    found = node.get("inputs") if node is not None else None
    return cast("Node", found) if isinstance(found, dict) else {}


def _chain(nodes: Mapping[str, Node], wire: Any) -> Iterator[Node]:
    """Yield the nodes that stand behind a wire, one after another, each once."""
    seen: set[str] = set()
    key = _start(wire)
    while key in nodes and key not in seen:
        seen.add(key)
        yield nodes[key]
        held = _inputs(nodes[key])
        key = _start(next((held[name] for name in ("model", "conditioning", "samples") if name in held), None))


def _start(wire: Any) -> str:
    """Return the number of the node that a wire comes from; nothing when it is no wire."""
    return str(cast("list[Any]", wire)[0]) if isinstance(wire, list) and wire else ""


def _behind(nodes: Mapping[str, Node], wire: Any, kind: str) -> Node | None:
    return next((node for node in _chain(nodes, wire) if node["class_type"] == kind), None)


# ---- InvokeAI --------------------------------------------------------------------------------------------------


_INVOKE_SAMPLERS = {
    "euler": "Euler", "euler_a": "Euler a", "heun": "Heun", "kdpm_2": "DPM2", "kdpm_2_a": "DPM2 a", "lms": "LMS",
    "dpmpp_2s": "DPM++ 2S a", "dpmpp_2m": "DPM++ 2M", "dpmpp_sde": "DPM++ SDE", "dpmpp_2m_sde": "DPM++ 2M SDE",
    "ddim": "DDIM", "pndm": "PLMS", "unipc": "UniPC", "lcm": "LCM", "tcd": "TCD",
}  # fmt: skip
_INVOKE_KNOWN = {
    "positive_prompt", "negative_prompt", "scheduler", "steps", "cfg_scale", "cfg_rescale_multiplier", "seed", "width",
    "height", "clip_skip", "model", "loras", "generation_mode", "app_version", "rand_device", "vae",
}  # fmt: skip


def _read_metadata(text: str) -> Recipe:
    """Read an object with the names of InvokeAI's fields, `model` and each of `loras` being objects with names."""
    told = _object(text)
    recipe = Recipe("InvokeAI", model=_model_name(told.get("model")))
    recipe.say_prompt(told.get("positive_prompt"), told.get("negative_prompt"))
    sampler = str(told.get("scheduler", ""))
    plain = sampler.removesuffix("_k")
    recipe.say_sampler(_INVOKE_SAMPLERS.get(plain, sampler), "Karras" if plain != sampler else "")
    recipe.say("num_inference_steps", _number(told.get("steps")))
    recipe.say("guidance_scale", _number(told.get("cfg_scale")))
    recipe.say("guidance_rescale", _number(told.get("cfg_rescale_multiplier")) or None)
    recipe.say("seed", _number(told.get("seed")))
    recipe.say("clip_skip", _number(told.get("clip_skip")) or None)
    recipe.say_size(_number(told.get("width")), _number(told.get("height")))
    loras = told.get("loras")
    for lora in cast("list[Any]", loras)[:50] if isinstance(loras, list) else ():
        if isinstance(lora, dict):
            held = cast("Node", lora)
            recipe.say_lora(_model_name(held.get("model") or held.get("lora")), _number(held.get("weight")) or 1)
    if "txt2img" not in str(told.get("generation_mode", "txt2img")):
        recipe.notes.append("it was made from another picture: that is not in its metadata")
    recipe.notes += [f"nothing stands for {name}" for name in told if name not in _INVOKE_KNOWN and told[name]]
    return recipe


def _model_name(told: Any) -> str:
    found: Node = cast("Node", told) if isinstance(told, dict) else {}
    return _file_name(found.get("name") or found.get("model_name"))


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(text: str) -> Node:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("it is no JSON") from None
    if not isinstance(found, dict):
        raise _unreadable("it is no JSON object")
    return cast("Node", found)


def _unreadable(why: str) -> BadValue:
    return BadValue(f"what the picture says of itself cannot be read: {why}", code="not-replayable")


# ---- all of them -----------------------------------------------------------------------------------------------


_READERS: Mapping[str, Callable[[str], Recipe]] = {
    "invokeai_metadata": _read_metadata,
    "prompt": _read_graph,
    "parameters": _read_parameters,
    "UserComment": _read_parameters,
}
"""The names that texts have in pictures, and who reads them."""


def recipe_of(texts: Texts) -> Recipe | None:
    """Return what a picture of another program says, by the texts it carries; None when it says nothing.

    Raises:
        BadValue: `not-replayable`: it cannot be understood.
    """
    for name, read in _READERS.items():
        text = texts.get(name, "")
        if name in ("parameters", "UserComment") and not re.search(r"\bSteps: \d", text[-LONGEST:]):
            continue
        if text:
            if len(text) > LONGEST:
                raise _unreadable(f"it has more than {LONGEST:,} characters")
            return read(text)
    return None
