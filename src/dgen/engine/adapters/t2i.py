"""Fits T2I adapters (Mou et al., 2023) to the model that they steer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.values.scalars import Size

_XL = "full_adapter_xl"


def check_t2i(source: Source, config: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    """Refuse what is no T2I adapter, or one whose configuration says that it was made for another model.

    Raises:
        EngineError: `bad-model`, `bad-weights`.
    """
    found = str(config.get("_class_name"))
    if found != "T2IAdapter":
        raise EngineError("bad-model", f"`{source.shown}` is no T2I adapter: its class is `{found}`", source.option)
    own, wanted = _widths(config), [int(n) for n in unet.get("block_out_channels", ())]
    is_xl = unet.get("addition_embed_type") == "text_time"
    if wanted and (is_xl != (config.get("adapter_type") == _XL) or own[: len(wanted)] != wanted):
        kind = config.get("adapter_type", "full_adapter")
        raise EngineError(
            "bad-weights", f"the T2I adapter `{source.name}` does not fit: it is a `{kind}` with channels {own}, "
            f"the model is {'an XL one' if is_xl else 'none of the XL family'} with {wanted}",
            source.option, help="it was made for another model, or for another family",
        )  # fmt: skip


def _widths(config: Mapping[str, Any]) -> list[int]:
    return [int(n) for n in config.get("channels", (320, 640, 1280, 1280))]


def check_size(source: Source, config: Mapping[str, Any], size: Size) -> None:
    """Refuse a size in pixels that a T2I adapter cannot divide.

    Raises:
        EngineError: `size-mismatch`.
    """
    factor = int(config.get("downscale_factor", 8))
    if size.width % factor or size.height % factor:
        raise EngineError(
            "size-mismatch", f"the T2I adapter `{source.name}` needs sizes that are multiples of {factor}, "
            f"found {size}", source.option, help="give one with `--output-size`, or in the image seed",
        )  # fmt: skip
