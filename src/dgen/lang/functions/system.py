"""Template functions about models, devices and the machine."""

from __future__ import annotations

from typing import Any

from dgen.diagnostic import did_you_mean
from dgen.lang.functions import function
from dgen.lang.host import Host

FEATURES = {
    "bitsandbytes": "bitsandbytes",
    "gguf": "gguf",
    "gpt4all": "gpt4all",
    "llama-cpp": "llama_cpp",
    "ncnn": "ncnn",
    "peft": "peft",
    "ray": "ray",
    "sdnq": "sdnq",
    "spacy": "spacy",
    "torchao": "torchao",
    "triton": "triton",
    "ultralytics": "ultralytics",
    "xformers": "xformers",
}


@function(
    examples=(("{{ format_model_type('torch-sdxl') }}", "sdxl"),),
    asks_host=True,
)
def format_model_type(host: Host, model_type: Any) -> str:
    """The name of a model type as `--model-type` takes it."""
    name = str(getattr(model_type, "name", model_type)).lower().replace("_", "-").removeprefix("torch-")
    name = "sd" if name == "torch" else name
    legal = host.model_types()
    if legal and name not in legal:
        raise ValueError(f"no model type named {name!r}; {did_you_mean(name, legal) or 'see --help model-types'}")
    return name


@function(
    examples=(("{{ format_dtype('torch.float16') }}", "float16"),),
)
def format_dtype(dtype: Any) -> str:
    """The name of a dtype as `--dtype` takes it."""
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.").lower()


@function(examples=(("{{ len(gen_seeds(3)) }}", "3"),))
def gen_seeds(n: int) -> list[str]:
    """Random seeds, as texts."""
    import secrets

    from dgen.lang.limits import MAX_RANGE, LimitError

    if n < 0 or n > MAX_RANGE:
        raise LimitError(f"expected a number of seeds from 0 to {MAX_RANGE}, found {n}")
    return [str(secrets.randbelow(2**32)) for _ in range(n)]


@function()
def cwd() -> str:
    """The current working directory."""
    import os

    return os.getcwd()


@function(
    asks_host=True,
)
def download(host: Host, url: str, output: str | None = None, overwrite: bool = False, text: bool = False) -> str:
    """Where a URL lies after it was fetched into the web cache, or to a path."""
    return host.download(url, output, overwrite=overwrite, text=text)


@function(help="Whether an optional library is installed: " + ", ".join(sorted(FEATURES)) + ".")
def have_feature(feature: str) -> bool:
    """Say whether an optional library is installed."""
    from importlib.util import find_spec

    name = feature.lower().replace("_", "-")
    if name not in FEATURES:
        raise ValueError(f"no feature named {feature!r}; the features are {', '.join(sorted(FEATURES))}")
    return find_spec(FEATURES[name]) is not None


@function(asks_host=True)
def have_cuda(host: Host) -> bool:
    """Whether CUDA can be used."""
    return bool(host.device_fact("have_cuda"))


@function(asks_host=True)
def have_xpu(host: Host) -> bool:
    """Whether Intel XPUs can be used."""
    return bool(host.device_fact("have_xpu"))


@function(asks_host=True)
def have_mps(host: Host) -> bool:
    """Whether Apple's MPS can be used."""
    return bool(host.device_fact("have_mps"))


@function(asks_host=True)
def default_device(host: Host) -> str:
    """The device that is used unless a script says otherwise."""
    return str(host.device_fact("default_device"))


@function(asks_host=True)
def total_memory(host: Host, device: str | None = None, unit: str = "b") -> Any:
    """The memory of a device in a unit: b, kb, mb, gb, kib, mib or gib."""
    return host.device_fact("total_memory", device, unit)


@function()
def platform() -> str:
    """The operating system: Linux, Windows or Darwin."""
    import platform as machine

    return machine.system()
