"""Local response normalisation by NumPy: some channels at a time, which the crew shares."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import crew
from .crew import part
from .dispatch import Array

BLOCK = 1 << 18  # elements: threads need long calls, caches short ones
CHANNELS = 4  # of a block at least, as the squares of their neighbours are worked out once more
TAKEN = 3  # nanoseconds for an element, about


def lrn(
    y: Array, scale: Array, shrink: Array, x: Array, reach: tuple[int, int],
    alpha: float, beta: float, bias: float,
) -> None:  # fmt: skip
    """Fill y, scale and shrink, as `lrn.lrn` says; alpha is that of each channel."""

    def work(some: Channels) -> None:
        np.square(x[some.around], out=some.terms)
        sums = some.added(scale[some.own])
        np.multiply(sums, alpha, out=sums)
        np.add(sums, bias, out=sums)
        powers = np.power(sums, -beta, out=shrink[some.own])
        np.multiply(x[some.own], powers, out=y[some.own])

    over_channels(work, x, reach)


def lrn_backward(
    dx: Array, dy: Array, x: Array, scale: Array, shrink: Array, reach: tuple[int, int], gain: float
) -> None:
    """Fill dx, as `lrn.lrn_backward` says; sums reach as far as those of the way back."""

    def work(some: Channels) -> None:
        np.multiply(dy[some.around], x[some.around], out=some.terms)
        np.multiply(some.terms, shrink[some.around], out=some.terms)
        np.divide(some.terms, scale[some.around], out=some.terms)
        sums = some.added(crew.scratch("sums", dx[some.own].shape, dx.dtype))
        np.multiply(sums, x[some.own], out=sums)
        np.multiply(sums, gain, out=sums)
        result = np.multiply(dy[some.own], shrink[some.own], out=dx[some.own])
        np.subtract(result, sums, out=result)

    over_channels(work, x, reach)


class Channels:
    """Some channels of a picture, and what is added up over them and their neighbours."""

    def __init__(self, x: Array, image: int, some: slice, reach: tuple[int, int]) -> None:
        first, last = some.start - reach[0], some.stop + reach[1]
        low, high = max(first, 0), min(last, x.shape[1])
        self.own = image, some
        self.around = image, slice(low, high)
        self.padded = crew.scratch("terms", (last - first, *x.shape[2:]), x.dtype)
        self.padded[: low - first] = 0
        self.padded[high - first :] = 0
        self.terms = self.padded[low - first : high - first]  # of the channels `around`

    def added(self, sums: Array) -> Array:
        """Each channel's own term and its neighbours'."""
        count = len(sums)
        np.copyto(sums, self.padded[:count])
        for k in range(1, len(self.padded) - count + 1):
            np.add(sums, self.padded[k : k + count], out=sums)
        return sums


def over_channels(work: Callable[[Channels], None], x: Array, reach: tuple[int, int]) -> None:
    """Have all channels of x worked at."""
    n, channels = x.shape[:2]
    taken = TAKEN * x.size
    least = 2 if n == 1 and taken > 2 * crew.WAKING else 1
    blocks = max(least, -(-math.prod(x.shape[1:]) // BLOCK))
    blocks = max(1, min(blocks, channels // CHANNELS))

    def piece(number: int) -> None:
        image, block = divmod(number, blocks)
        work(Channels(x, image, part(channels, blocks, block), reach))

    crew.share(piece, n * blocks, taken)
