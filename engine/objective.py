"""What to climb: a function of a blob's data that returns its value and its derivative.

Everything is ascent. An objective maps data (n, c, h, w) to (value, diff): a number, and an array
of the data's shape that becomes the blob's diff. Objectives run on arrays and on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.match import best_match

from .error import ArgumentError

Objective = Callable[[Array], tuple[Any, Array]]
Goal = Mapping[str, Objective]  # blob name -> what to climb there; the values add up


def l2(data: Array) -> tuple[Any, Array]:
    """DeepDream's: half the sum of squares, so what is there becomes more. The diff is the data."""
    return 0.5 * (data * data).sum(), data


def linear(data: Array, weights: Array) -> tuple[Any, Array]:
    """The sum of weights * data; `weights` are constants that broadcast to the data."""
    return (data * weights).sum(), weights + np.zeros_like(data)


def channel(index: int) -> Objective:
    """The sum of one channel."""

    def objective(data: Array) -> tuple[Any, Array]:
        channels = data.shape[1]
        if not 0 <= index < channels:
            raise ArgumentError(f"channel {index} is not one of the blob's 0..{channels - 1}")
        one = np.zeros((channels, *(1,) * (data.ndim - 2)), data.dtype)
        one[index] = 1
        return linear(data, one)

    return objective


def neuron(index: int, row: int | None = None, column: int | None = None) -> Objective:
    """One value of one channel, in the middle of the picture by default."""

    def objective(data: Array) -> tuple[Any, Array]:
        sizes = data.shape[1:]
        if not all(isinstance(size, int) for size in sizes):
            raise ArgumentError("a neuron has its place in a picture of one size: name the size")
        asked = (index, row, column)[: len(sizes)]
        place = tuple(n // 2 if k is None else k for k, n in zip(asked, sizes, strict=True))
        if not all(0 <= k < n for k, n in zip(place, sizes, strict=True)):
            raise ArgumentError(f"neuron {place} lies outside the blob's {sizes}")
        one = np.zeros(sizes, data.dtype)
        one[place] = 1
        return linear(data, one)

    return objective


def guide(features: Array) -> Objective:
    """What a guide picture shows: each place climbs the dot product with its best match there.

    `features` is the same blob's data for the guide, (1, c, h, w) of any size. With x a place of
    the data, and y the feature with the largest x . y, the diff is y.
    """
    _, channels, *_ = features.shape
    rows = np.ascontiguousarray(features.reshape(channels, -1).T)

    def objective(data: Array) -> tuple[Any, Array]:
        n, c, h, w = data.shape
        places = data.transpose(0, 2, 3, 1).reshape(n * h * w, c)
        diff = best_match(places, rows).reshape(n, h, w, c).transpose(0, 3, 1, 2)
        return (data * diff).sum(), diff

    return objective


def weighted(parts: Sequence[tuple[float, Objective]]) -> Objective:
    """Several objectives on one blob, each times its weight, added up."""

    def objective(data: Array) -> tuple[Any, Array]:
        weight, first = parts[0]
        value, diff = first(data)
        value, diff = weight * value, weight * diff
        for weight, part in parts[1:]:
            more, more_diff = part(data)
            value, diff = value + weight * more, diff + weight * more_diff
        return value, diff

    return objective
