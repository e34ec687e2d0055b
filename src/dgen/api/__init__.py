"""What a Python program sees of dgen; `import dgen` offers it under `dgen`."""

from dgen.api.engine import Engine
from dgen.api.pictures import Picture, Pictures
from dgen.api.scripts import Invocation, check, image_seed, plan
from dgen.api.session import Run, Session
from dgen.forecast import Plan

__all__ = ["Engine", "Invocation", "Picture", "Pictures", "Plan", "Run", "Session", "check", "image_seed", "plan"]
