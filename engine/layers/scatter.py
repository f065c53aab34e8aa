"""Elements written to the places that an array of indices names."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import (
    REDUCTIONS,
    gather_elements,
    gather_nd,
    scatter_elements,
    scatter_nd,
)
from oneiro.kernels.symbol import known

from ..layer import Layer, layer
from .gather import check_elements, check_rows


@layer
class ScatterElements(Layer):
    """x, but for the places that GatherElements reads: `updates`, or what they make of x."""

    axis: int = 0
    reduction: str = "none"

    def forward(self, x: Array, indices: Array, updates: Array) -> Array:
        self.indices = indices
        self.along = normalize_axis_index(self.axis, x.ndim)
        check_reduction(self.reduction)
        check_elements(x.shape, indices, self.along)
        check_updates(updates, indices.shape)
        return scatter_elements(x, indices, updates, self.along, self.reduction)

    def backward(self, dy: Array) -> tuple[Array, None, Array]:
        check_linear(self.reduction)
        dupdates = gather_elements(dy, self.indices, self.along)
        if self.reduction == "add":
            return dy, None, dupdates
        nothing = np.zeros_like(dupdates)
        return scatter_elements(dy, self.indices, nothing, self.along, "none"), None, dupdates


@layer
class ScatterND(Layer):
    """x, but for the places that GatherND reads: `updates`, or what they make of x."""

    reduction: str = "none"

    def forward(self, x: Array, indices: Array, updates: Array) -> Array:
        self.indices = indices
        check_reduction(self.reduction)
        check_rows(x.shape, indices, 0)
        check_updates(updates, (*indices.shape[:-1], *x.shape[indices.shape[-1] :]))
        return scatter_nd(x, indices, updates, self.reduction)

    def backward(self, dy: Array) -> tuple[Array, None, Array]:
        check_linear(self.reduction)
        dupdates = gather_nd(dy, self.indices, 0)
        if self.reduction == "add":
            return dy, None, dupdates
        return scatter_nd(dy, self.indices, np.zeros_like(dupdates), "none"), None, dupdates


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", *REDUCTIONS):
        raise ValueError(f"reduction {reduction!r} is not one of none, {', '.join(REDUCTIONS)}")


def check_linear(reduction: str) -> None:
    if reduction not in ("none", "add"):
        raise ValueError(f"a scatter with reduction {reduction!r} has no gradient here")


def check_updates(updates: Array, shape: tuple[object, ...]) -> None:
    """Raise ValueError where updates do not have the shape of the places."""
    sizes, wanted = known(updates.shape), known(shape)
    pairs = zip(sizes, wanted)
    if len(sizes) != len(wanted) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
        raise ValueError(f"updates of {sizes} do not fit places of {wanted}")
