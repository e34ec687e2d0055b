"""Which model runs, and where."""

from __future__ import annotations

from dgen.schema import Stage, opt, options
from dgen.values.scalars import Choice, FilePath, ModelSource, Text

DTYPES = ("auto", "bfloat16", "float16", "float32")


@options("model")
class ModelOptions:
    """The main model."""

    model: str = opt(
        "", positional=True, stage=Stage.LOAD, value=ModelSource(),
        help="The model: a hub repository, a folder in diffusers layout, a checkpoint file, a URL, or `builtin:NAME`.",
    )  # fmt: skip
    model_type: str | None = opt(
        None, flag="--model-type", short="-mt", stage=Stage.LOAD, value=Text(metavar="TYPE"),
        help="The model's family, such as `sd` or `sdxl`; normally found by looking into the model.",
    )  # fmt: skip
    revision: str | None = opt(
        None, flag="--revision", short="-rev", stage=Stage.LOAD, value=Text(metavar="NAME"),
        help="A branch, tag or commit of the hub repository.",
    )  # fmt: skip
    variant: str | None = opt(
        None, flag="--variant", short="-var", stage=Stage.LOAD, value=Text(metavar="NAME"),
        help="A variant of the weights files, such as `fp16`.",
    )  # fmt: skip
    subfolder: str | None = opt(
        None, flag="--subfolder", short="-sbf", stage=Stage.LOAD, value=Text(metavar="FOLDER"),
        help="A folder inside the hub repository or folder that holds the model.",
    )  # fmt: skip
    original_config: str | None = opt(
        None, flag="--original-config", short="-olc", stage=Stage.LOAD, value=FilePath("FILE"),
        help="The `.yaml` that a checkpoint file was trained with.",
    )  # fmt: skip
    model_config: str | None = opt(
        None, flag="--model-config", stage=Stage.LOAD, value=ModelSource("FOLDER"),
        help="A diffusers folder or hub repository whose configuration and tokenizer a checkpoint file uses.",
    )  # fmt: skip
    dtype: str = opt(
        "auto", flag="--dtype", short="-t", stage=Stage.LOAD, value=Choice(DTYPES, {"half": "float16"}, "TYPE"),
        help="The precision the model runs in; `auto` is float32 on a CPU and the family's own elsewhere.",
    )  # fmt: skip
    safety_checker: bool = opt(
        False, flag="--safety-checker", short="-sc", stage=Stage.LOAD, parts=("safety_checker",),
        help="Load the model's safety checker; pictures that it flags come out black.",
    )  # fmt: skip
    device: str | None = opt(
        None, flag="--device", short="-d", value=Text(metavar="DEVICE"),
        help="Where to run: `cpu`, `cuda`, `cuda:N`, `xpu`, `xpu:N` or `mps`; by default the fastest there is.",
    )  # fmt: skip
    offline_mode: bool = opt(
        False, flag="--offline-mode", short="-ofm",
        help="Use no network: models and files come from this machine alone.",
    )  # fmt: skip
    auth_token: str | None = opt(
        None, flag="--auth-token", short="-atk", value=Text(metavar="TOKEN"),
        help="The token for the model hub; it is never written anywhere.",
    )  # fmt: skip
