"""Convolution by filters of one element, a product of matrices, for the fast executor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .conv import conv
from .dispatch import Array, Case, kernel
from .link import Link
from .tail import NOTHING, Tail
from .window import sliding_window


@kernel
def plain(x: Array, w: Array, u: Array | None, b: Array | None) -> Array:
    """y[n, o] = b[o] + the sum over channels of x[n] * w[o], of which u is `in_blocks(w)`.

    x is (n, c, ...), w is (o, c), b is (o,) or None.
    """
    rank = x.ndim - 2
    return conv(x, w.reshape(*w.shape, *(1,) * rank), b, sliding_window((1,) * rank), 1)


def in_blocks(w: Array) -> Array:
    """Filters (o, c) as products take them: (blocks, c, filters of a block)."""
    from .vector_numba import ROWS

    outputs, channels = w.shape
    blocks = np.zeros((-(-outputs // ROWS), ROWS, channels), np.float32)
    blocks.reshape(-1, channels)[:outputs] = w
    return np.ascontiguousarray(blocks.swapaxes(1, 2))


@plain.linked
def _(
    out: Array, x: Array, w: Array, u: Array | None, b: Array | None, tail: Tail = NOTHING
) -> Link:
    from . import plain_numba

    return plain_numba.link(out, x, in_blocks(w) if u is None else u, b, tail)


@plain.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    w, b = random.normal(size=(9, 5)), random.normal(size=9)
    yield random.normal(size=(2, 5, 4, 7)), w, None, b
    yield random.normal(size=(3, 5, 4)), w, None, None
