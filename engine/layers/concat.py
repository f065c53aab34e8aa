"""Arrays joined, and cut apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import as_sizes, known

from ..layer import Layer, layer


@layer
class Concat(Layer):
    """Arrays side by side along one axis."""

    axis: int

    def forward(self, *xs: Array) -> Array:
        ranks = sorted({x.ndim for x in xs})
        if len(ranks) > 1:
            raise ValueError(f"arrays of {' and '.join(map(str, ranks))} axes cannot be joined")
        self.along = normalize_axis_index(self.axis, xs[0].ndim)
        self.sizes = [x.shape[self.along] for x in xs]
        return np.concatenate(xs, self.along)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(pieces(dy, self.sizes, self.along))


@layer
class Split(Layer):
    """Pieces of x along one axis: of the sizes in `split`, or equal but for a smaller last one."""

    numbers = (1,)
    axis: int = 0
    num_outputs: int | None = None

    def forward(self, x: Array, split: Any = None) -> tuple[Array, ...]:
        self.along = normalize_axis_index(self.axis, x.ndim)
        size = x.shape[self.along]
        sizes = self.equal(size) if split is None else as_sizes(split)
        if None not in known((size, *sizes)) and (sum(sizes) != size or min(sizes) < 0):
            raise ValueError(f"an axis of {size} cannot be split into {sizes}")
        self.tops = tuple(pieces(x, sizes, self.along))
        return self.tops

    def backward(self, *dys: Array | None) -> tuple[Array, None]:
        parts = [np.zeros_like(y) if dy is None else dy for y, dy in zip(self.tops, dys)]
        return np.concatenate(parts, self.along), None

    def equal(self, size: Any) -> list[int]:
        """The sizes of num_outputs pieces."""
        if not isinstance(size, int):
            raise NotImplementedError("Split of an axis of unknown size: trace it for one size")
        count = self.num_outputs or 0
        largest = -(-size // max(count, 1))
        rest = size - largest * (count - 1)
        if count < 1 or rest < 0 or count > size + 1:
            raise ValueError(f"an axis of {size} cannot be split into {count} pieces")
        return [largest] * (count - 1) + [rest]


def pieces(x: Array, sizes: Sequence[Any], axis: int) -> Iterator[Array]:
    """What lies one after another along `axis`; sizes may be symbols."""
    stop = 0
    for size in sizes:
        start, stop = stop, stop + size
        yield x[(*[slice(None)] * axis, slice(start, stop))]
