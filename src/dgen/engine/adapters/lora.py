"""Puts LoRAs (Hu et al., 2021) into the parts of a pipeline with the pipeline's own loader."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dgen.engine.adapters.files import PEFT_CONFIG, AdapterWeights
from dgen.engine.adapters.layers import exchange, keeping
from dgen.engine.adapters.lycoris import add_lycoris, is_lycoris
from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.options.attachments import LoraUri
from dgen.values.blocks import factor_at, prefix_of

_PEFT_PREFIX = "base_model.model."
_PEFT_SETTINGS = (
    "r", "lora_alpha", "alpha", "rank_pattern", "alpha_pattern", "target_modules", "use_dora", "use_rslora",
)  # fmt: skip
_MARKS = (
    "lora_A", "lora_B", "lora_down", "lora_up", "lora.down", "lora.up", "_lora.", "lora_linear_layer", "lokr_", "hada_",
)  # fmt: skip
"""What stands in the names of a LoRA's tensors."""

_WHOLE = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.")
"""How the tensors of a whole checkpoint are called."""

_UNET_FACTOR = (
    r"(?:unet\.|lora_unet_|base_model\.model\.)(?P<layer>.+?)"
    r"\.(?P<factor>lora_A|lora_B|lora\.down|lora\.up|lora_down|lora_up)\.weight"
)
"""How diffusers, kohya's scripts and peft call a factor of a layer of the UNet."""


@dataclass(frozen=True, slots=True)
class Lora:
    """One LoRA of a job."""

    uri: LoraUri
    source: Source
    held: AdapterWeights

    @property
    def names(self) -> list[str]:
        """The names of its tensors."""
        return list(self.held.tensors) if isinstance(self.held.tensors, Mapping) else []


def is_lora(names: Sequence[str]) -> bool:
    """Whether tensors of these names are those of a LoRA."""
    return any(mark in name for name in names for mark in _MARKS)


def no_lora(file: str, names: Sequence[str]) -> EngineError:
    """Make the error for a file that is something else."""
    other = f": it holds `{names[0]}`" if names else ": it holds no tensors"
    is_whole = any(name.startswith(_WHOLE) for name in names)
    help = "it is a whole model, which stands first in a statement, or after `dgen`" if is_whole else None
    return EngineError("bad-weights", f"`{file}` is no LoRA{other}", "loras", help)


def check_shapes(name: str, lora: Mapping[str, Sequence[int]], unet: Mapping[str, Sequence[int]]) -> None:
    """Refuse a LoRA of which the headers of the files tell that a layer of the UNet has another shape.

    Raises:
        EngineError: `bad-weights`.
    """
    layers = {n.removesuffix(".weight").replace(".", "_"): (n, shape) for n, shape in unet.items()}
    for tensor, shape in lora.items():
        found = re.fullmatch(_UNET_FACTOR, tensor)
        layer = layers.get(found["layer"].replace(".", "_")) if found is not None else None
        if found is None or layer is None:
            continue
        axis = 1 if found["factor"] in ("lora_A", "lora.down", "lora_down") else 0
        if shape[axis] != layer[1][axis]:
            raise _unfit(name, _two_shapes(f"unet.{layer[0].removesuffix('.weight')}", layer[1], axis, shape))


def _two_shapes(layer: str, wanted: Sequence[int], axis: int, found: Sequence[int]) -> str:
    factor = "lora_A" if axis else "lora_B"
    return f"`{layer}` is {list(wanted)}, and the LoRA's `{factor}` for it {list(found)}"


def read_peft(held: AdapterWeights, folder: Path) -> AdapterWeights:
    """Bring a LoRA that peft itself saved to the names and settings that diffusers understands; others stay."""
    if not isinstance(held.tensors, dict) or not all(n.startswith(_PEFT_PREFIX) for n in held.tensors):
        return held
    names = [name.removeprefix(_PEFT_PREFIX) for name in held.tensors]
    part = "text_encoder" if any(".self_attn." in n or ".mlp." in n for n in names) else "unet"
    tensors = {f"{part}.{name}": tensor for name, tensor in zip(names, held.tensors.values(), strict=True)}
    try:
        told = json.loads((folder / PEFT_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return replace(held, tensors=tensors)
    return replace(held, tensors=tensors, metadata={f"{part}.{k}": told[k] for k in _PEFT_SETTINGS if k in told})


def add_loras(stack: ExitStack, pipeline: Any, loras: Sequence[Lora], factor: float) -> frozenset[str]:
    """Make LoRAs act in a pipeline until the stack closes; return the kinds of the parts that they change.

    Raises:
        EngineError: `bad-weights`, `out-of-memory`: one of them does not fit, or is no LoRA.
    """
    modules = dict(_parts(pipeline))
    whole = _add_lycoris(stack, modules, [lora for lora in loras if is_lycoris(lora.names)], factor)
    loras = [lora for lora in loras if not is_lycoris(lora.names)]
    if not loras:
        return whole
    for module in modules.values():
        stack.enter_context(keeping(module))
    names = [f"lora_{number}" for number in range(len(loras))]

    def change() -> frozenset[str]:
        pairs = zip(loras, names, strict=True)
        return frozenset(kind for lora, name in pairs for kind in _add(pipeline, lora, name, modules))

    changed = exchange(modules, tuple(lora.source for lora in loras), change)
    pipeline.set_adapters(names, [lora.uri.scale * factor for lora in loras])
    for lora, name in zip(loras, names, strict=True):
        _scale_blocks(modules, lora, name, factor)
    return changed | whole


def _add_lycoris(stack: ExitStack, modules: Mapping[str, Any], loras: Sequence[Lora], factor: float) -> frozenset[str]:
    changed: set[str] = set()
    for lora in loras:
        with named_lora(lora.source):
            changed |= add_lycoris(stack, modules, lora.uri, lora.held, lora.uri.scale * factor)
    return frozenset(changed)


@contextmanager
def named_lora(source: Source) -> Generator[None]:
    """Let an error of the block that is about a LoRA name it.

    Raises:
        EngineError: with the name and the index.
    """
    try:
        yield
    except EngineError as error:
        error.message = error.message.replace("the LoRA", f"the LoRA `{source.name}`", 1)
        raise error.at(source.index) from error.__cause__


def _scale_blocks(modules: Mapping[str, Any], lora: Lora, name: str, factor: float) -> None:
    """Give the layers of a LoRA in the blocks that its URI names a scale of their own.

    Raises:
        EngineError: `bad-uri`: the model has no such block.
    """
    for block, _ in lora.uri.blocks or ():
        part, start = prefix_of(block)
        if part not in modules or not any(n.startswith(start) for n, _ in modules[part].named_modules()):
            raise no_block(block).at(lora.source.index)
    for part, module in modules.items() if lora.uri.blocks else ():
        for layer, inner in module.named_modules():
            own = factor_at(lora.uri.blocks or (), part, layer)
            if own != 1 and name in getattr(inner, "scaling", ()):
                inner.set_scale(name, lora.uri.scale * factor * own)


def no_block(block: str) -> EngineError:
    """Make the error for a block that a model has not."""
    return EngineError("bad-uri", f"the model has no block `{block}`", "loras")


def _parts(pipeline: Any) -> Iterator[tuple[str, Any]]:
    for kind in pipeline._lora_loadable_modules:
        module = getattr(pipeline, kind, None)
        if module is not None:
            yield kind, module


def _add(pipeline: Any, lora: Lora, name: str, modules: Mapping[str, Any]) -> list[str]:
    """Add one LoRA by a name of its own; return the kinds of the parts that it changes."""
    changed: list[str] = []

    def read(_: Any, **named: Any) -> Any:
        """Answer the pipeline's loader with what was read before."""
        state, *alphas, _ = type(pipeline).lora_state_dict(dict(lora.held.tensors), **named)
        if not all("lora" in key or ".lokr_" in key for key in state):
            raise no_lora(lora.source.name, [key for key in state if "lora" not in key])
        changed.extend(kind for kind in modules if any(key.startswith(f"{kind}.") for key in state))
        _check_fit(lora, state, modules)
        return (state, *alphas, None if any(alphas) else lora.held.metadata)

    vars(pipeline)["lora_state_dict"] = read
    try:
        pipeline.load_lora_weights({}, adapter_name=name)
    except EngineError as error:
        raise error.at(lora.source.index) from error.__cause__
    except Exception as error:
        raise EngineError(
            "bad-weights", f"the LoRA `{lora.source.name}` cannot be used: {first_line(error)}", "loras"
        ).at(lora.source.index) from error
    finally:
        del vars(pipeline)["lora_state_dict"]
    return changed


def _check_fit(lora: Lora, state: Mapping[str, Any], modules: Mapping[str, Any]) -> None:
    """Refuse a LoRA that changes nothing of the model, or layers that it has not or has in other shapes."""
    if not any(name.startswith(f"{kind}.") for kind in modules for name in state):
        raise _unfit(
            lora.source.name, f"it changes none of {', '.join(modules)}: its tensors are such as `{next(iter(state))}`"
        )
    for kind, module in modules.items():
        layers = dict(module.named_modules())
        for layer, factor, tensor in _factors(kind, state, not hasattr(module, "text_model")):
            weight = getattr(layers.get(layer), "weight", None)
            if weight is None:
                raise _unfit(lora.source.name, f"the model's {kind} has no layer `{layer}`")
            axis, shape = 1 if factor == "lora_A" else 0, getattr(weight, "quant_shape", weight.shape)  # of a GGUF file
            if weight.ndim < 2 or tensor.shape[axis] != shape[axis]:
                raise _unfit(lora.source.name, _two_shapes(f"{kind}.{layer}", shape, axis, tensor.shape))


def _factors(kind: str, state: Mapping[str, Any], is_flat: bool) -> Iterator[tuple[str, str, Any]]:
    """Yield the layer, the factor (`lora_A` or `lora_B`) and the tensor of each change of a part."""
    from diffusers.utils.state_dict_utils import (
        convert_state_dict_to_diffusers,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    own = {k.removeprefix(f"{kind}."): v for k, v in state.items() if k.startswith(f"{kind}.")}
    if not own or any(".lokr_" in k for k in own):
        return
    if kind.startswith("text_encoder"):
        own = convert_state_dict_to_peft(convert_state_dict_to_diffusers(own))
        own = {k.removeprefix("text_model.") if is_flat else k: v for k, v in own.items()}
    elif "lora_A" not in next(iter(own)):
        own = convert_unet_state_dict_to_peft(own)
    for name, tensor in own.items():
        for factor in ("lora_A", "lora_B"):
            if name.endswith(f".{factor}.weight"):
                yield name.removesuffix(f".{factor}.weight"), factor, tensor


def _unfit(name: str, reason: str) -> EngineError:
    return EngineError(
        "bad-weights", f"the LoRA `{name}` does not fit: {reason}", "loras",
        help="it was made for another model, or for another family",
    )  # fmt: skip
