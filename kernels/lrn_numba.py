"""Local response normalisation in Numba, on blocks of places with all their channels.

With sums over the neighbours of a channel: scale = bias + share * the sum of x * x, and
y = x * scale ** -beta. Sums are made anew for each channel, so that errors do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import crew
from .dispatch import Array
from .jit import compiled, inlined
from .tail import Tail
from .tail_numba import Parts, finish, parts

BLOCK = 1 << 15  # elements, about: they stay in the cache
NARROWEST, WIDEST = 16, 256  # places of a block
PIECE = 3 << 14  # elements that are worth a thread

U: Any = np.uint64  # of an index: Numba need not ask whether it counts from the end
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
USUAL = np.float32(0.75)  # a power that two roots make: they are fast


def lrn_forward(
    y: Array, x: Array, reach: tuple[int, int], share: float, beta: float, bias: float
) -> None:
    """x divided by a power of its neighbours; `reach` counts those before and after."""
    in_blocks(forward, (y, x), reach, (share, beta, bias))


def lrn_gradient(
    dx: Array,
    dy: Array,
    x: Array,
    reach: tuple[int, int],
    share: float,
    beta: float,
    bias: float,
    tail: Tail,
) -> None:
    """The gradient at x."""
    in_blocks(gradient, (dx, dy, x), reach, (share, beta, bias), parts(tail))


def in_blocks(
    kernel: Callable[..., None],
    arrays: tuple[Array, ...],
    reach: tuple[int, int],
    numbers: tuple[float, ...],
    *more: Any,
) -> None:
    """Let the crew do this to blocks; all arrays have one shape."""
    images, channels, *spatial = arrays[0].shape
    plane = math.prod(spatial)
    width = min(max(NARROWEST, BLOCK // max(channels, 1) // 16 * 16), WIDEST)
    blocks = images * -(-plane // width)
    each = -(-blocks // max(1, arrays[0].size // PIECE))
    flat = [array.reshape(-1) for array in arrays]
    args = (channels, plane, width, *reach, *map(np.float32, numbers), *more)

    def work(piece: int) -> None:
        kernel(piece * each, min((piece + 1) * each, blocks), *flat, *args)

    crew.share(work, -(-blocks // max(each, 1)))


@compiled
def forward(
    start: int,
    stop: int,
    y: Array,
    x: Array,
    channels: int,
    plane: int,
    width: int,
    below: int,
    above: int,
    share: float,
    beta: float,
    bias: float,
) -> None:
    """y of blocks start ... stop - 1."""
    blocks = -(-plane // width)
    total = np.empty(width, np.float32)
    for block in range(start, stop):
        first = block % blocks * width
        count = U(min(width, plane - first))
        begins = block // blocks * channels * plane + first
        for c in range(channels):
            squares(total, x, begins, plane, max(0, c - below), min(channels, c + above + 1), count)
            at = U(begins + c * plane)
            if beta == USUAL:
                for i in range(count):
                    root = ONE / np.sqrt(bias + share * total[i])
                    y[at + i] = x[at + i] * (root * np.sqrt(root))
            else:
                for i in range(count):
                    y[at + i] = x[at + i] * (bias + share * total[i]) ** -beta


@compiled
def gradient(
    start: int,
    stop: int,
    dx: Array,
    dy: Array,
    x: Array,
    channels: int,
    plane: int,
    width: int,
    below: int,
    above: int,
    share: float,
    beta: float,
    bias: float,
    tail: Parts,
) -> None:
    """dx of blocks start ... stop - 1: dy * scale ** -beta less x * what the neighbours share."""
    blocks = -(-plane // width)
    total = np.empty(width, np.float32)
    shares = np.empty(channels * width, np.float32)
    gain = TWO * share * beta
    for block in range(start, stop):
        first = block % blocks * width
        count = U(min(width, plane - first))
        begins = block // blocks * channels * plane + first
        for c in range(channels):
            squares(total, x, begins, plane, max(0, c - below), min(channels, c + above + 1), count)
            at, own = U(begins + c * plane), U(c * width)
            if beta == USUAL:
                for i in range(count):
                    root = ONE / np.sqrt(bias + share * total[i])
                    dx[at + i] = dy[at + i] * (root * np.sqrt(root))
                    shares[own + i] = gain * dx[at + i] * x[at + i] * (root * root)
            else:
                for i in range(count):
                    scale = bias + share * total[i]
                    dx[at + i] = dy[at + i] * scale**-beta
                    shares[own + i] = gain * dx[at + i] * x[at + i] / scale
        for c in range(channels):
            at = begins + c * plane
            for i in range(count):
                total[i] = ZERO
            for k in range(max(0, c - above), min(channels, c + below + 1)):
                for i in range(count):
                    total[i] += shares[U(k * width) + i]
            for i in range(count):
                dx[U(at) + i] -= x[U(at) + i] * total[i]
            if tail.what:
                finish(dx[at : at + np.int64(count)], at, tail)


@inlined
def squares(
    total: Array, x: Array, begins: int, plane: int, low: int, high: int, count: int
) -> None:
    """The sums over channels low ... high - 1 of x * x."""
    for i in range(count):
        total[i] = ZERO
    for k in range(low, high):
        for i in range(count):
            total[i] += x[U(begins + k * plane) + i] * x[U(begins + k * plane) + i]
