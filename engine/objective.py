"""What to climb: a function of a blob's data that returns its value and its derivative.

Everything is ascent. An objective maps data (n, c, h, w) to (value, diff): a number, and an array
of the data's shape that becomes the blob's diff. Objectives run on arrays and on symbols.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels import variation
from oneiro.kernels.dispatch import Array
from oneiro.kernels.gram import gram as gram_matrix, gram_backward
from oneiro.kernels.match import best_match

from .error import ArgumentError

Objective = Callable[[Array], tuple[Any, Array]]
Goal = Mapping[str, Objective]  # blob name -> what to climb there; the values add up


class Formula:
    """An objective that can be reckoned with: a + b, a - b, 2 * a, -a; b may be any objective."""

    def __init__(self, *parts: tuple[float, Objective]) -> None:
        self.parts = parts

    def __call__(self, data: Array) -> tuple[Any, Array]:
        weight, first = self.parts[0]
        value, diff = first(data)
        if weight != 1:
            value, diff = weight * value, weight * diff
        for weight, part in self.parts[1:]:
            more, more_diff = part(data)
            value, diff = value + weight * more, diff + weight * more_diff
        return value, diff

    def __add__(self, other: Objective) -> Formula:
        return Formula(*self.parts, *terms(other))

    def __sub__(self, other: Objective) -> Formula:
        return Formula(*self.parts, *((-weight, part) for weight, part in terms(other)))

    def __mul__(self, factor: float) -> Formula:
        return Formula(*((factor * weight, part) for weight, part in self.parts))

    __rmul__ = __mul__

    def __neg__(self) -> Formula:
        return self * -1.0


def terms(objective: Objective) -> tuple[tuple[float, Objective], ...]:
    """What an objective is the sum of."""
    return objective.parts if isinstance(objective, Formula) else ((1.0, objective),)


def formula(objective: Objective) -> Formula:
    """Decorate an objective that can be reckoned with."""
    made = Formula((1.0, objective))
    functools.update_wrapper(made, objective)
    return made


@formula
def l2(data: Array) -> tuple[Any, Array]:
    """DeepDream's: half the sum of squares, so what is there becomes more. The diff is the data."""
    return 0.5 * (data * data).sum(), data


def linear(data: Array, weights: Array) -> tuple[Any, Array]:
    """The sum of weights * data; `weights` are constants that broadcast to the data."""
    return (data * weights).sum(), weights + np.zeros_like(data)


def channel(index: int) -> Formula:
    """The sum of one channel."""

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        channels = data.shape[1]
        if not 0 <= index < channels:
            raise ArgumentError(f"channel {index} is not one of the blob's 0..{channels - 1}")
        one = np.zeros((channels, *(1,) * (data.ndim - 2)), data.dtype)
        one[index] = 1
        return linear(data, one)

    return objective


def neuron(index: int, row: int | None = None, column: int | None = None) -> Formula:
    """One value of one channel, in the middle of the picture by default."""

    @formula
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


def guide(features: Array) -> Formula:
    """What a guide picture shows: each place climbs the dot product with its best match there.

    `features` is the same blob's data for the guide, (1, c, h, w) of any size. With x a place of
    the data, and y the feature with the largest x . y, the diff is y.
    """
    _, channels, *_ = features.shape
    rows = np.ascontiguousarray(features.reshape(channels, -1).T)

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        n, c, h, w = data.shape
        places = data.transpose(0, 2, 3, 1).reshape(n * h * w, c)
        diff = best_match(places, rows).reshape(n, h, w, c).transpose(0, 3, 1, 2)
        return (data * diff).sum(), diff

    return objective


def feature(features: Array, mask: Array | None = None) -> Formula:
    """How far the data are from `features`: the sum of mask * (data - features)**2.

    `features` are the same blob's data for another picture, `mask` what counts of them; both
    broadcast to the data. It is a distance: weigh it below 0 to come nearer.
    """

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        apart = data - features
        counted = apart if mask is None else apart * mask
        return (apart * counted).sum(), 2 * counted

    return objective


def gram(target: Array, mask: Array | None = None) -> Formula:
    """How far the Gram matrix of the data is from `target` (1, c, c): the sum of squares.

    With a `mask` (h, w) the places count by its squares, as in Gatys' guided matrices (2017). It is
    a distance, as `feature` is.
    """
    shape = None if mask is None else mask / np.sqrt((mask * mask).mean())

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        counted = data if shape is None else data * shape
        apart = gram_matrix(counted) - target
        diff = 2 * gram_backward(apart, counted)
        return (apart * apart).sum(), diff if shape is None else diff * shape

    return objective


def total_variation(beta: float = 2.0, least: float = 1e-6) -> Formula:
    """The sum of (d_row**2 + d_column**2) ** (beta / 2): how much neighbouring pixels differ.

    Mahendran and Vedaldi 2015 and 2016; `least` bounds the gradient of flat places below beta = 2.
    """
    if not 0 < beta < math.inf:
        raise ArgumentError(f"beta is {beta}: it must be above 0")

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        value, diff = variation.total_variation(data, beta, least)
        return value, diff

    return objective


def alpha_norm(alpha: float = 6.0, joint: bool = True) -> Formula:
    """The sum of |x|**alpha over pixels, |x| the length of a pixel's channels (IJCV 2016).

    Unless `joint` over all values, each channel for itself (CVPR 2015). Mahendran and Vedaldi.
    """
    if not 1 <= alpha < math.inf:
        raise ArgumentError(f"alpha is {alpha}: it starts at 1")

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        squares = data * data
        n = squares.sum(1, keepdims=True) if joint else squares
        steep = n if alpha >= 2 else np.maximum(n, np.finfo(data.dtype).tiny)
        return (n ** (alpha / 2)).sum(), alpha * data * steep ** (alpha / 2 - 1)

    return objective


def weighted(parts: Sequence[tuple[float, Objective]]) -> Formula:
    """Several objectives on one blob, each times its weight, added up."""
    return Formula(*parts)


def direction(vector: Array) -> Formula:
    """The sum over all places of the dot product of their channels with `vector` (c,)."""
    weights = np.asarray(vector)
    if weights.ndim != 1:
        raise ArgumentError(f"a direction is a number for each channel, not {weights.shape}")

    @formula
    def objective(data: Array) -> tuple[Any, Array]:
        channels = data.shape[1]
        if len(weights) != channels:
            raise ArgumentError(f"a direction of {len(weights)} numbers; channels: {channels}")
        return linear(data, weights.astype(data.dtype).reshape(-1, *(1,) * (data.ndim - 2)))

    return objective


def each(objectives: Sequence[Objective | None]) -> Objective:
    """An objective for each picture of a batch, None for nothing to climb; the value is (n,)."""

    def objective(data: Array) -> tuple[Any, Array]:
        values, diffs = [], []
        for k, part in enumerate(objectives):
            one = data[k : k + 1]
            value, diff = part(one) if part else (zero(one), np.zeros_like(one))
            values.append(value.reshape(1))
            diffs.append(diff)
        return np.concatenate(values), np.concatenate(diffs)

    return objective


def zero(data: Array) -> Array:
    """The value of an objective where nothing is climbed."""
    return np.zeros_like(data).sum()
