"""Elements read from the places that an array of indices names."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.index import (
    gather,
    gather_backward,
    gather_elements,
    gather_elements_backward,
    gather_nd,
    gather_nd_backward,
)
from oneiro.kernels.symbol import known

from ..layer import Layer, layer


@layer
class Gather(Layer):
    """x[..., indices, ...], with the indices on one axis."""

    axis: int = 0

    def forward(self, x: Array, indices: Array) -> Array:
        self.shape, self.indices = x.shape, indices
        self.along = normalize_axis_index(self.axis, x.ndim)
        check_indices(indices, x.shape[self.along])
        return gather(x, indices, self.along)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return gather_backward(dy, self.indices, self.shape, self.along), None


@layer
class GatherElements(Layer):
    """For each element of `indices` the x that stands there, but for the index along `axis`."""

    axis: int = 0

    def forward(self, x: Array, indices: Array) -> Array:
        self.shape, self.indices = x.shape, indices
        self.along = normalize_axis_index(self.axis, x.ndim)
        check_elements(x.shape, indices, self.along)
        return gather_elements(x, indices, self.along)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return gather_elements_backward(dy, self.indices, self.shape, self.along), None


@layer
class GatherND(Layer):
    """x[i, j, ...] for each row (i, j, ...) of `indices`, within each of `batch_dims` axes."""

    batch_dims: int = 0

    def forward(self, x: Array, indices: Array) -> Array:
        self.shape, self.indices = x.shape, indices
        check_rows(x.shape, indices, self.batch_dims)
        return gather_nd(x, indices, self.batch_dims)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return gather_nd_backward(dy, self.indices, self.shape, self.batch_dims), None


def check_elements(shape: tuple[Any, ...], indices: Array, axis: int) -> None:
    """Raise ValueError where elements of `indices` have no neighbour in an array of `shape`."""
    sizes, wanted = known(shape), known(indices.shape)
    beyond = any(
        a != axis and None not in pair and pair[0] < pair[1]  # type: ignore[operator]
        for a, pair in enumerate(zip(sizes, wanted))
    )
    if beyond or len(sizes) != len(wanted):
        raise ValueError(f"indices of {wanted} do not fit into {sizes} along axis {axis}")
    check_indices(indices, shape[axis])


def check_rows(shape: tuple[Any, ...], indices: Array, batch_dims: int) -> None:
    """Raise ValueError where rows of `indices` are no places in an array of `shape`."""
    batch, named = known(shape)[:batch_dims], shape[batch_dims:]
    columns = indices.shape[-1] if 0 <= batch_dims < indices.ndim else 0
    differs = any(
        None not in pair and pair[0] != pair[1] for pair in zip(batch, known(indices.shape))
    )
    if not 0 < columns <= len(named) or differs:
        raise ValueError(f"indices of {known(indices.shape)} are no places in {known(shape)}")
    if not is_symbol(indices):
        for column, size in enumerate(named[:columns]):
            check_indices(indices[..., column], size)


def check_indices(indices: Any, size: Any) -> None:
    """Raise ValueError where indices that are known do not lie on an axis of a known size."""
    if is_symbol(indices) or is_symbol(size) or not indices.size:
        return
    least, most = indices.min(), indices.max()
    if not -size <= least <= most < size:
        raise ValueError(f"indices from {least} to {most} do not lie on an axis of {size}")
