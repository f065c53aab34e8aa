"""Seeds: what makes chance repeatable."""

from __future__ import annotations

import numpy as np

from .error import ArgumentError

LIMIT = 2**32  # of the seeds that every generator of NumPy takes


def check_seed(seed: int) -> None:
    """Raise ArgumentError for a number that is no seed."""
    if not 0 <= seed < LIMIT:
        raise ArgumentError(f"seed is {seed}: it must lie in 0..{LIMIT - 1}")


def seeded(seed: int) -> np.random.Generator:
    """A generator whose numbers the seed decides; ArgumentError for one that is none."""
    check_seed(seed)
    return np.random.default_rng(seed)
