"""What SADA is told."""

from __future__ import annotations

from dataclasses import dataclass

SADA = "sada"
"""What a model family has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sada:
    """The numbers of SADA (Jiang et al. 2025, arXiv 2507.17135); steps count from 0."""

    max_downsample: int  # layers whose maps are so many times smaller than the latents prune tokens; 0 for none
    sx: int  # of so many tokens in a row, and
    sy: int  # of so many rows, one is always computed; 0 for none
    acc_range: tuple[int, int] = (
        10,
        47,
    )  # after which steps, the second excluded, the next may be skipped
    lagrange_term: int  # how many predictions are extrapolated; 0 for none
    lagrange_int: int = 4  # from which step on one in how many is computed,
    lagrange_step: int  # and which that is
    max_fix: int  # how many cells are computed at most when tokens are pruned
    max_interval: int = 4  # how many steps in a row are not computed, or not wholly
