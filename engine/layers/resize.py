"""Another size of the picture."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.resample import LIMIT, as_map, resample
from oneiro.kernels.symbol import as_sizes

from ..layer import Layer, layer
from .pad import named_axes

ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
POLICIES: dict[str, Callable[[list[float]], float]] = {"not_larger": min, "not_smaller": max}

LARGEST = 64  # factor of elements that are repeated: the way back takes a step for each time

# Coordinates and roundings by which a whole factor repeats each element, whatever the size.
REPEATS = {("asymmetric", "floor"), ("asymmetric", "simple")} | {
    (coordinates, rounding)
    for coordinates in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
    for rounding in ("round_prefer_floor", "round_prefer_ceil")
}


class Change(NamedTuple):
    """What becomes of an axis; a size that only a run will tell is no int."""

    axis: int
    old: Any
    new: Any
    factor: float
    start: float  # what tf_crop_and_resize looks at: a part of the axis, which is 0 to 1
    end: float


@layer
class Resize(Layer):
    """The picture sampled at other places: y = R x C', with a sparse matrix for each axis.

    The coordinates say where a new element lies among the old ones, the mode what it is made of:
    the nearest of them, or a weighted sum of its neighbours. With antialias the weights of a
    smaller picture reach as far as its elements are apart.
    """

    numbers = (1, 2, 3)
    coordinate_transformation_mode: str = "half_pixel"
    mode: str = "nearest"
    nearest_mode: str = "round_prefer_floor"
    antialias: int = 0
    axes: Sequence[int] = ()
    cubic_coeff_a: float = -0.75
    exclude_outside: int = 0
    extrapolation_value: float = 0.0
    keep_aspect_ratio_policy: str = "stretch"

    def forward(self, x: Array, roi: Any = None, scales: Any = None, sizes: Any = None) -> Array:
        changes = self.changes(x.shape, roi, scales, sizes)
        self.maps: list[tuple[int, Any]] = []
        self.repeats = self.whole(changes, x.ndim)
        if self.repeats:
            return repeated(x, self.repeats)
        exact = x.dtype.kind == "f" or self.mode == "nearest"
        y = x if exact else x.astype(float)
        for change in changes:
            places = self.places(change)
            matrix = self.map(places, change)
            self.maps.append((change.axis, matrix))
            y = resample(y, matrix, change.axis)
            if self.crops:
                outside = is_outside(places, change.old)
                outside = outside.reshape(-1, *(1,) * (x.ndim - 1 - change.axis))
                y = np.where(outside, np.asarray(self.extrapolation_value, y.dtype), y)
        if exact:
            return y
        limits = np.iinfo(x.dtype)
        return np.clip(np.rint(y), limits.min, limits.max).astype(x.dtype)

    def backward(self, dy: Array) -> tuple[Array, None, None, None]:
        if self.repeats:
            return added_up(dy, self.repeats), None, None, None
        for axis, matrix in self.maps:
            dy = resample(dy, matrix.T, axis)
        return dy, None, None, None

    @property
    def crops(self) -> bool:
        return self.coordinate_transformation_mode == "tf_crop_and_resize"

    def changes(self, shape: Sequence[Any], roi: Any, scales: Any, sizes: Any) -> list[Change]:
        """The axes that do not stay as they are."""
        axes = named_axes(self.axes, len(shape))
        olds = [shape[axis] for axis in axes]
        factors, news = self.wanted(axes, olds, scales, sizes)
        parts = np.repeat([[0.0], [1.0]], len(axes), 1)
        if self.crops:
            if roi is None or len(roi) != parts.size or not np.isfinite(roi).all():
                raise ValueError(f"tf_crop_and_resize takes a roi of {parts.size} finite numbers")
            parts = np.reshape(roi, parts.shape)
        columns = (axes, olds, news, factors, *parts.tolist())
        changes = [Change(*row) for row in zip(*columns, strict=True)]
        return [change for change in changes if change[3:] != (1, 0, 1)]

    def wanted(
        self, axes: Sequence[int], olds: list[Any], scales: Any, sizes: Any
    ) -> tuple[list[float], list[int | None]]:
        """Of each axis its factor and its new size, None where only a run will tell."""
        given = [value for value in (scales, sizes) if value is not None and len(value)]
        if len(given) != 1 or len(given[0]) != len(olds):
            raise ValueError(f"Resize takes either scales or sizes, one for each of {len(olds)}")
        if given[0] is scales:
            factors = [float(scale) for scale in scales]
            if not all(0 < factor < 1 << 31 for factor in factors):
                raise ValueError(f"scales are positive numbers below 2**31, not {factors}")
            # rounded down from a product of float32, as ONNX says
            return factors, [
                int(np.float32(old) * np.float32(factor)) if isinstance(old, int) else None
                for old, factor in zip(olds, factors)
            ]
        news = list(as_sizes(sizes))
        if axes[0] == 0 and is_symbol(olds[0]) and (is_symbol(news[0]) or news[0] == 1):
            olds[0] = news[0] = 1  # a batch that is not known yet: nobody resizes that
        if any(map(is_symbol, (*olds, *news))):
            raise NotImplementedError("Resize to sizes that are given: trace it for one size")
        factors = [new / old if old else 0.0 for new, old in zip(news, olds)]
        if self.keep_aspect_ratio_policy == "stretch":
            return factors, news
        if self.keep_aspect_ratio_policy not in POLICIES:
            raise ValueError(f"Resize knows no policy {self.keep_aspect_ratio_policy!r}")
        factor = POLICIES[self.keep_aspect_ratio_policy](factors)
        return [factor] * len(olds), [math.floor(factor * old + 0.5) for old in olds]

    def whole(self, changes: list[Change], rank: int) -> list[int]:
        """How often the elements of each axis are repeated, if that is all that happens."""
        repeats = (self.coordinate_transformation_mode, self.nearest_mode) in REPEATS
        whole = all(1 <= c.factor <= LARGEST and c.factor.is_integer() for c in changes)
        if not changes or self.mode != "nearest" or not repeats or not whole:
            return []
        factors = [1] * rank
        for change in changes:
            factors[change.axis] = int(change.factor)
        return factors

    def places(self, change: Change) -> Array:
        """Where each new element lies among the old ones."""
        _, old, new, factor, start, end = change
        if not isinstance(old, int):
            raise NotImplementedError("Resize by other than whole factors: trace it for one size")
        if not (old > 0 and 0 < new <= LIMIT):
            raise ValueError(f"an axis of {old} cannot be resized to {new}")
        k = np.arange(new)
        width = new if factor == new / old else old * factor  # the new size before it was rounded
        match self.coordinate_transformation_mode:
            case "half_pixel":
                return (k + 0.5) / factor - 0.5
            case "half_pixel_symmetric":
                return old / 2 * (1 - new / width) + (k + 0.5) / factor - 0.5
            case "pytorch_half_pixel":
                return (k + 0.5) / factor - 0.5 if new > 1 else np.zeros(1)
            case "tf_half_pixel_for_nn":
                return (k + 0.5) / factor
            case "asymmetric":
                return k / factor
            case "align_corners":
                return k * (old - 1) / (width - 1) if new > 1 else np.zeros(1)
            case "tf_crop_and_resize" if new == 1:
                return np.array([(start + end) / 2 * (old - 1)])
            case "tf_crop_and_resize":
                return start * (old - 1) + k * (end - start) * (old - 1) / (width - 1)
        raise ValueError(f"Resize knows no {self.coordinate_transformation_mode!r} coordinates")

    def map(self, places: Array, change: Change) -> Any:
        """The matrix of an axis, (new, old); what is outside of a crop has none of the old."""
        outside = is_outside(places, change.old) & self.crops
        places = np.where(outside, 0, places)[:, None]
        if self.mode == "nearest":
            rounding = self.rounding(change)
            if rounding not in ROUNDINGS:
                raise ValueError(f"Resize knows no rounding {rounding!r}")
            index = ROUNDINGS[rounding](places)
            weight = np.ones_like(index)
        else:
            stretch = max(1, 1 / change.factor) if self.antialias else 1
            reach = math.ceil(2 * stretch if self.mode == "cubic" else stretch)
            index = np.floor(places) + np.arange(1 - reach, reach + 1)
            weight = self.weight((index - places) / stretch)
            if self.exclude_outside:
                weight = np.where((index >= 0) & (index < change.old), weight, 0)
            total = weight.sum(1, keepdims=True)
            weight = weight / np.where(total == 0, 1, total)
        index = np.clip(index, 0, change.old - 1).astype(int)
        return as_map(index, np.where(outside[:, None], 0, weight), change.old)

    def rounding(self, change: Change) -> str:
        """The nearest_mode; up to opset 10 ("simple") a smaller picture was rounded up."""
        if self.nearest_mode == "simple":
            return "ceil" if change.factor < 1 else "floor"
        return self.nearest_mode

    def weight(self, distance: Array) -> Array:
        """How much an element counts at this distance from the place."""
        if self.mode == "linear":
            return triangle(distance)
        if self.mode == "cubic":
            return cubic(distance, self.cubic_coeff_a)
        raise ValueError(f"Resize knows no mode {self.mode!r}")


def triangle(distance: Array) -> Array:
    """The filter of linear interpolation."""
    return np.maximum(1 - np.abs(distance), 0)


def cubic(distance: Array, a: float = -0.75) -> Array:
    """The filter of cubic convolution, Keys 1981, whose slope at a distance of 1 is a."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def is_outside(places: Array, old: int) -> Array:
    """Do places lie before the first or behind the last of the old elements?"""
    return (places < 0) | (places > old - 1)


def repeated(x: Array, factors: Sequence[int]) -> Array:
    """Each element of x so many times along each axis."""
    single = x.reshape([n for size in x.shape for n in (size, 1)])
    blocks = np.broadcast_to(single, [n for pair in zip(x.shape, factors) for n in pair])
    return blocks.reshape([size * factor for size, factor in zip(x.shape, factors)])


def added_up(dy: Array, factors: Sequence[int]) -> Array:
    """The adjoint: sums over what was one element."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            lead = [slice(None)] * axis
            parts = (dy[(*lead, slice(k, None, factor))] for k in range(factor))
            dy = functools.reduce(np.add, parts)
    return dy
