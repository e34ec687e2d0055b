"""Puts motion adapters into UNets: layers between those of a picture model, which look along the frames.

Guo et al. 2023, "AnimateDiff", section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dgen.engine.failures import first_line
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part


def with_motion(load: Callable[[], Any], load_motion: Callable[[], Any], part: Part) -> Any:
    """Load a UNet and a motion adapter, and return a UNet that has both; of one that has layers for motion, others.

    Raises:
        EngineError: `bad-weights`: they do not fit one another; and what the loaders raise.
    """
    from diffusers.models.unets.unet_motion_model import UNetMotionModel

    unet, motion = load(), load_motion()
    try:
        if not isinstance(unet, UNetMotionModel):
            made: Any = UNetMotionModel.from_unet2d(unet, motion)
            if getattr(unet, "add_embedding", None) is not None:  # of SDXL, which diffusers 0.42 leaves at random
                made.add_embedding.load_state_dict(unet.add_embedding.state_dict())
            return made.to(unet.dtype).eval()
        unet.load_motion_modules(motion.to(unet.dtype))
    except (ValueError, RuntimeError) as error:
        name = part.source.name
        message = f"the motion adapter does not fit the UNet of `{name}`: {first_line(error)}"
        raise EngineError("bad-weights", message, "motion_adapter") from error
    return unet.eval()
