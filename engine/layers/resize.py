"""Another size of the picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer

ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@layer
class Resize(Layer):
    """Rows and columns resampled: y = R x C', with a matrix for each of the two axes."""

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
        if self.mode not in ("nearest", "linear") or self.antialias:
            kind = f"{self.mode}{' with antialias' if self.antialias else ''}"
            raise ValueError(f"Resize has no mode {kind} yet, only nearest and linear")
        factors, targets = self.wanted(x, scales, sizes)
        rows, columns = (
            self.matrix(x.shape[axis], targets[axis], factors[axis]).astype(x.dtype)
            for axis in (2, 3)
        )
        self.rows, self.columns = rows, columns
        return rows @ x @ columns.T

    def backward(self, dy: Array) -> tuple[Array, None, None, None]:
        return self.rows.T @ dy @ self.columns, None, None, None

    def wanted(self, x: Array, scales: Any, sizes: Any) -> tuple[list[float], list[int]]:
        """For each axis of x its factor and its new size."""
        if x.ndim != 4 or not all(isinstance(size, int) for size in x.shape[2:]):
            raise ValueError("Resize works on (n, c, h, w), and its trace needs a fixed size")
        axes = [*self.axes] or [0, 1, 2, 3]
        factors, targets = [1.0] * 4, [*x.shape]
        if sizes is not None and len(sizes):
            if self.keep_aspect_ratio_policy != "stretch":
                raise ValueError(f"Resize cannot {self.keep_aspect_ratio_policy} yet, only stretch")
            for axis, size in zip(axes, sizes, strict=True):
                if size != targets[axis]:
                    factors[axis], targets[axis] = int(size) / x.shape[axis], int(size)
        elif scales is not None and len(scales):
            for axis, scale in zip(axes, scales, strict=True):
                if scale != 1:
                    factors[axis] = float(scale)
                    targets[axis] = math.floor(x.shape[axis] * float(scale))
        else:
            raise ValueError("Resize got neither scales nor sizes")
        if factors[:2] != [1, 1] or min(targets[2:]) < 1:
            raise ValueError(f"Resize from {x.shape} to {targets}: only rows and columns change")
        return factors, targets

    def matrix(self, old: int, new: int, factor: float) -> Array:
        """The map of one axis, (new, old)."""
        places = np.clip(self.coordinates(old, new, factor), -1, old)
        weights = np.zeros((new, old))
        out = np.arange(new)
        if self.mode == "nearest":
            nearest = ROUNDINGS[self.nearest_mode](places).astype(int)
            weights[out, np.clip(nearest, 0, old - 1)] = 1
            return weights
        low = np.floor(places).astype(int)
        for index, weight in ((low, low + 1 - places), (low + 1, places - low)):
            np.add.at(weights, (out, np.clip(index, 0, old - 1)), weight)
        return weights

    def coordinates(self, old: int, new: int, factor: float) -> Array:
        """Where each new element lies among the old ones."""
        k = np.arange(new)
        match self.coordinate_transformation_mode:
            case "half_pixel":
                return (k + 0.5) / factor - 0.5
            case "pytorch_half_pixel":
                return (k + 0.5) / factor - 0.5 if new > 1 else np.zeros(1)
            case "asymmetric":
                return k / factor
            case "align_corners":
                return k * (old - 1) / max(new - 1, 1)
        raise ValueError(f"Resize has no {self.coordinate_transformation_mode!r} coordinates yet")
