"""Winograd's convolution F(4x4, 3x3): a quarter of the multiplications, for the fast executor.

Filters and tiles of 6x6 pixels are evaluated as polynomials at 36 points; there a convolution is
a product, a sum over channels is one of 36 products of matrices, and what they give is turned into
4x4 elements of the result (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
2015). It rounds about twice as much as the specification: 1e-6 of a layer's result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from . import crew
from .conv import conv
from .dispatch import Array, Case, kernel
from .tail import NOTHING, Tail
from .window import Window, sliding_window

STRIPS = 8  # from so many groups of tiles on, a thread takes one from its pixels to its result
CACHED = 1 << 16  # elements of filters: no more than that, and it does so with any number of groups
BAND = 1 << 21  # elements of transformed pixels, at most, that threads make and use together
ENTERING = 1 << 12  # tiles times channels whose transform is a piece of work of about 100 us
LEAVING = 1 << 22  # multiplications that are one


def suits(shape: Sequence[int], filters: Sequence[int], window: Window, group: int) -> bool:
    """Is `convolve` clearly faster than a direct convolution of x of `shape` by `filters`?

    It counts multiplications: what the transforms and the threads cost was measured in those.
    """
    ones = (1,) * window.rank
    if window.kernel != (3, 3) or group > 1 or {window.strides, window.dilations} != {ones}:
        return False
    k, c = filters[:2]
    sizes = window.sizes(shape[2:])
    tiles = shape[0] * math.prod(-(-size // 4) for size in sizes)
    direct = shape[0] * math.prod(sizes) * 9 * k * c
    vectors = -(-tiles // 16) * 16
    return direct > 1.4 * (vectors * (36 * k * c + 1100 * c + 550 * k) + 12e6)


def convolve(
    out: Array,
    x: Array,
    u: Array,
    b: Array | None,
    pads: Sequence[int],
    tail: Tail = NOTHING,
) -> None:
    """Fill `out` (n, k, h', w') with x (n, c, h, w) convolved by filters (k, c, 3, 3).

    u is `plain.in_blocks` of them as (k, c * 9). They are transformed when they are used, a block
    at a time: kept, they would be four times as many numbers, which come from memory more slowly
    than they are worked out. b is (k,) or None, pads are (top, left, bottom, right). All arrays are
    float32 in C order.
    """
    if out.size:
        Convolution(out, x, u, b, pads, tail).run()


class Convolution:
    """A call of `convolve`. Tiles are numbered along rows, row after row, picture after picture."""

    def __init__(
        self, out: Array, x: Array, u: Array, b: Array | None, pads: Sequence[int], tail: Tail
    ) -> None:
        from . import winograd_numba
        from .tail_numba import parts
        from .vector_numba import LANES, ROWS

        self.code, self.lanes, self.rows = winograd_numba, LANES, ROWS
        self.x, self.out, self.u = x.reshape(-1), out.reshape(-1), u.reshape(-1)
        self.inputs, self.outputs = x.shape[1:], out.shape[1:]
        self.tiles = (-(-out.shape[2] // 4), -(-out.shape[3] // 4))
        self.total = out.shape[0] * math.prod(self.tiles)
        self.blocks = u.shape[0]
        self.corner = (pads[0], pads[1])
        self.bias = np.zeros(out.shape[1], np.float32)
        if b is not None:
            self.bias[:] = b
        self.tail = parts(tail)

    def run(self) -> None:
        groups = self.cut(0, self.total, self.code.GROUP)
        if len(groups) >= STRIPS or self.u.size <= CACHED:
            crew.share(lambda piece: self.strip(*groups[piece]), len(groups))
            return
        for first, count in self.cut(0, self.total, BAND // (36 * self.inputs[0])):
            self.band(first, count)

    def cut(self, first: int, count: int, most: int) -> list[tuple[int, int]]:
        """Tiles as about equal parts of whole vectors, the first and the number of each."""
        lanes = self.lanes
        vectors = -(-count // lanes)
        parts = -(-vectors // max(most // lanes, 1))
        edges = [vectors * i // parts * lanes for i in range(parts)]
        return [(first + a, b - a) for a, b in itertools.pairwise([*edges, count])]

    def strip(self, first: int, count: int) -> None:
        """The result at a group of tiles, by one thread."""
        values = self.values(count)
        self.enter(values, 0, (0, self.inputs[0]), first, count)
        self.leave(values, (0, self.blocks), first, count)

    def band(self, first: int, count: int) -> None:
        """The result at many tiles, by threads that share first channels and then filters."""
        values = self.values(count)
        groups = self.cut(first, count, self.code.GROUP)
        channels = steps(self.inputs[0], ENTERING // groups[0][1])
        blocks = steps(self.blocks, LEAVING // (36 * self.rows * self.inputs[0] * count))

        def enter(piece: int) -> None:
            start, size = groups[piece % len(groups)]
            self.enter(values, start - first, channels[piece // len(groups)], start, size)

        crew.share(enter, len(channels) * len(groups))
        crew.share(lambda piece: self.leave(values, blocks[piece], first, count), len(blocks))

    def values(self, count: int) -> Array:
        """Room for what tiles are at the 36 points.

        Each point has a plane of whole vectors, and one more vector: without that the planes would
        meet in the same few places of the cache.
        """
        lanes = self.lanes
        size = 36 * (-(-count // lanes) * lanes * self.inputs[0] + lanes)
        return crew.scratch("values", (size,), np.float32)

    def enter(
        self, values: Array, begin: int, channels: tuple[int, int], first: int, count: int
    ) -> None:
        """Compute them for some channels of a group, the tiles behind `begin` others."""
        self.code.enter(
            values, values.size // 36, begin, self.x, self.inputs, channels, first, count,
            self.tiles, self.corner, self.scratch(),
        )  # fmt: skip

    def scratch(self) -> Array:
        return crew.scratch("tiles", (self.code.SCRATCH,), np.float32)

    def leave(self, values: Array, blocks: tuple[int, int], first: int, count: int) -> None:
        """Compute from them the result of some blocks of filters."""
        self.code.leave(
            self.out, self.outputs, blocks, first, count, self.tiles, self.u, self.filters(),
            values, values.size // 36, self.inputs[0], self.bias, self.tail, self.scratch(),
        )  # fmt: skip

    def filters(self) -> Array:
        """Room for a block of transformed filters: planes apart as those of pixels are."""
        size = 36 * (self.inputs[0] * self.rows + self.lanes)
        return crew.scratch("filters", (size,), np.float32)


def steps(size: int, most: int) -> list[tuple[int, int]]:
    """[0, size) in steps of at most that many, or of one."""
    step = max(most, 1)
    return [(start, min(size, start + step)) for start in range(0, size, step)]


@kernel
def winograd(x: Array, w: Array, u: Array | None, b: Array | None, window: Window) -> Array:
    """conv of one group by 3x3 filters w, which u holds as `convolve` takes them."""
    return conv(x, w, b, window, 1)


@winograd.fast
def _(
    out: Array,
    x: Array,
    w: Array,
    u: Array,
    b: Array | None,
    window: Window,
    tail: Tail = NOTHING,
) -> None:
    convolve(out, x, u, b, window.pads, tail)


@winograd.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x, w = random.normal(size=(2, 5, 7, 10)), random.normal(size=(4, 5, 3, 3))
    yield x, w, None, random.normal(size=4), sliding_window((3, 3), (), (1, 0, 2, 1))
    yield x, w, None, None, sliding_window((3, 3))
