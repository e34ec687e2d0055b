"""Makes a pipeline of the blocks of a modular one, with whose parts and call everything else can deal."""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial, wraps
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dgen.engine.adapters.layers import standing_in
from dgen.families.modular import LEFT_OUT, configs_of_blocks, inputs_of_blocks, parts_of_blocks

OnStepEnd = Callable[[Any, int, Any, dict[str, Any]], Any]


@cache
def as_pipeline(modular: Any) -> Any:
    """Return a class of ordinary pipelines, called like a modular one, that runs its blocks on its own parts."""
    from diffusers.modular_pipelines.modular_pipeline import ModularPipeline
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    logging.getLogger("diffusers.modular_pipelines").setLevel(logging.CRITICAL)  # it logs what it raises
    loaders = [base for base in modular.__mro__ if base.__name__.endswith("LoaderMixin")]
    parts = [parameter.name for parameter in parts_of_blocks(modular.__name__)]
    configs = configs_of_blocks(modular.__name__)
    named = {
        "__module__": modular.__module__,
        "__init__": _keep,
        "__call__": _call_of(modular.__name__),
        "_get_signature_keys": classmethod(lambda cls, obj: (set(parts), set(configs))),
        "_modular": modular,
        "_config_file": ModularPipeline.config_name,
        "model_cpu_offload_seq": "->".join(part for part in _IN_TURN if part in parts),
        "num_timesteps": property(_steps),
        "vae_scale_factor": property(lambda self: _assembled(self).vae_scale_factor),
        "save_pretrained": _save,
    }
    return type(modular.__name__, (DiffusionPipeline, *loaders[:1]), named)


def is_of_blocks(pipeline: Any) -> bool:
    """Whether a pipeline runs blocks."""
    return hasattr(pipeline, "_modular")


_IN_TURN = (
    "text_encoder", "text_conditioner", "connectors", "image_encoder", "transformer_ref", "transformer",
    "vae", "diffusion_decoder", "audio_vae", "vocoder",
)  # fmt: skip
"""The order in which parts are computed with."""


def _keep(self: Any, **given: Any) -> None:
    """Keep the parts, and what the model says beside them."""
    said = {name: given.pop(name) for name in configs_of_blocks(self._modular.__name__) if name in given}
    self.register_modules(**given)
    self.register_to_config(**said)


def _steps(self: Any) -> int:
    """How many steps the call takes."""
    if _STEPS in vars(self):
        return vars(self)[_STEPS]
    return len(self.scheduler.timesteps) - (self.scheduler.begin_index or 0)


def foretell(pipeline: Any, steps: int) -> None:
    """Tell a pipeline how many steps its next call takes, where its scheduler does not know."""
    vars(pipeline)[_STEPS] = steps


_STEPS = "_dgen_steps"


def _call_of(name: str) -> Callable[..., Any]:
    from diffusers.pipelines.pipeline_utils import ImagePipelineOutput

    def call(self: Any, callback_on_step_end: OnStepEnd | None = None, **named: Any) -> Any:
        made = _assembled(self, named.pop("guidance_scale", None))
        films = [each.name for each in made.blocks.outputs if each.name in _OF_FILMS]
        wanted = "latents" if named.get("output_type") == "latent" else films or "images"
        given = {k: _in_time(self, k, v) for k, v in named.items() if (k, v) != ("output_type", "latent")}
        if getattr(self, "scheduler", None) is None:
            levels = given.get("sigmas") or next(each.default for each in made.blocks.inputs if each.name == "sigmas")
            foretell(self, len(levels) - 1)  # the last one is 0
        with _telling(self, callback_on_step_end), _silent(made.blocks), _uncompiled(self):
            found = made(**given, output=wanted)
        if films:
            return SimpleNamespace(**{_OF_FILMS[name]: found[name] for name in films})
        return ImagePipelineOutput(images=found[:, :, 0] if getattr(found, "ndim", 0) == 5 else found)

    kinds = [inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY) for p in inputs_of_blocks(name)]
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    call.__signature__ = inspect.Signature([own, *kinds])  # type: ignore[attr-defined]
    return call


_OF_FILMS = {"videos": "frames", "audio": "audio", "sampling_rate": "sampling_rate"}
"""What blocks that make videos put out, and how ordinary pipelines call it."""


def _in_time(self: Any, name: str, value: Any) -> Any:
    """Give latents, (n, channels, h, w), the axis of time that models of pictures and videos have: one frame."""
    is_timed = hasattr(self.vae, "temperal_downsample")
    return value[:, :, None] if name == "latents" and is_timed and value is not None else value


def _assembled(self: Any, guidance_scale: float | None = None) -> Any:
    """Make the modular pipeline of the parts; its guider, when it has one, guides so strongly."""
    import diffusers

    blocks = getattr(diffusers, self._modular.default_blocks_name)()
    for name in LEFT_OUT:
        if name in blocks.sub_blocks:
            blocks.sub_blocks.pop(name)
    _hush(blocks)
    made = self._modular(blocks)
    guided = {} if guidance_scale is None else {"guider": made.guider.new(guidance_scale=guidance_scale)}
    said = {name: self.config[name] for name in configs_of_blocks(self._modular.__name__) if name in self.config}
    made.update_components(**self.components, **guided, **said)
    return made


def _hush(blocks: Any) -> None:
    """Let blocks draw no progress bar, wherever they stand in others."""
    for each in _every(blocks):
        if hasattr(each, "progress_bar"):
            each.set_progress_bar_config(disable=True)


@contextmanager
def _silent(blocks: Any) -> Generator[None]:
    """Let the bars that some blocks draw by themselves stay away."""
    modules = {sys.modules[type(each).__module__] for each in _every(blocks)}
    with ExitStack() as stack:
        for module in modules:
            if hasattr(module, "tqdm"):
                stack.enter_context(standing_in(module, "tqdm", lambda bar: partial(bar, disable=True)))
        yield


@contextmanager
def _uncompiled(self: Any) -> Generator[None]:
    """Let a transformer make its masks without a compiler on a CPU: it asks for one whatever the device is."""
    module = sys.modules[type(self.transformer).__module__]
    if not hasattr(module, "create_block_mask") or self.device.type != "cpu":
        yield
        return

    def plain(make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: make(*given, **{**named, "_compile": False})

    with standing_in(module, "create_block_mask", plain):
        yield


def _every(blocks: Any) -> Iterator[Any]:
    """Yield blocks and those that stand in them."""
    yield blocks
    for inner in blocks.sub_blocks.values():
        yield from _every(inner)


@contextmanager
def _telling(self: Any, told: OnStepEnd | None) -> Generator[None]:
    """Tell of each step of the scheduler, or each call of the transformer where there is none: blocks do not.

    Some blocks step sound with a copy of the scheduler, which has to step as itself and is not told of.
    """
    holder, name = (self.scheduler, "step") if getattr(self, "scheduler", None) else (self.transformer, "forward")
    own, calls = type(holder), count()
    original = getattr(own, name)

    @wraps(original)
    def step(each: Any, *given: Any, **more: Any) -> Any:
        answer = original(each, *given, **more)
        if told is not None and each is holder:
            told(self, next(calls), None, {})
        return answer

    holder.__class__ = type(own.__name__, (own,), {"__module__": own.__module__, name: step})
    try:
        yield
    finally:
        holder.__class__ = own


def _save(self: Any, save_directory: Any, **named: Any) -> None:
    """Write the model as its modular pipeline does, with parts that are found wherever the folder goes."""
    _assembled(self).save_pretrained(str(save_directory), **named)
    path = Path(save_directory) / self._config_file
    index = json.loads(path.read_text(encoding="utf-8"))
    for entry in index.values():
        if isinstance(entry, list) and len(entry) == 3:
            entry[2]["pretrained_model_name_or_path"] = None
    path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
