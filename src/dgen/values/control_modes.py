"""What a control image shows, as union ControlNets are told it: names, and the numbers that models know them by."""

from __future__ import annotations

from collections.abc import Mapping

Modes = Mapping[str, int]

SDXL_MODES: Modes = {"openpose": 0, "depth": 1, "hed": 2, "canny": 3, "normal": 4, "segment": 5}
FLUX_MODES: Modes = {"canny": 0, "tile": 1, "depth": 2, "blur": 3, "pose": 4, "gray": 5, "lq": 6}

NAMES = tuple(dict.fromkeys((*SDXL_MODES, *FLUX_MODES)))
NUMBERS = tuple(str(number) for number in range(7))

ALIASES = {
    "pidi": "hed", "scribble": "hed", "ted": "hed", "lineart": "canny", "anime_lineart": "canny", "mlsd": "canny",
}  # fmt: skip
"""Names of processors, and what their pictures show."""

_SAME = {"openpose": "pose", "pose": "openpose"}


def number_of(said: str, modes: Modes) -> int | None:
    """Return the number of a mode, which may be said as a number; None when these are other modes."""
    if said in NUMBERS:
        return int(said) if int(said) in modes.values() else None
    return modes.get(said, modes.get(_SAME.get(said, "")))
