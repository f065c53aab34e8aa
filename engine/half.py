"""Gradients kept where float16 is precise, for devices that multiply in half precision."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

LARGEST = 4  # the exponent that the largest value gets: 2**11 below overflow, 2**18 above loss
FARTHEST = 120  # exponents of float32 that leave its scale finite


def scale_of(seeds: Iterable[Array]) -> Any:
    """The power of two that brings the largest value of the seeds to about 16.

    Layers go back linearly in what they get, the rules for positive factors too: so this may be
    multiplied in at the top and divided out below. A gradient that grows 2000fold on its way
    overflows all the same, and is not finite then.
    """
    largest = functools.reduce(np.maximum, (np.abs(seed).max() for seed in seeds))
    exponent = np.floor(np.log(largest) * (1 / math.log(2)))
    within = np.clip(LARGEST - exponent, -FARTHEST, FARTHEST)
    return np.where(largest > 0, 2.0**within, np.ones((), largest.dtype))
