"""Winograd's convolution in vectors of the machine, a lane for each of 16 tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from .dispatch import Array
from .jit import compiled
from .tail_numba import Parts, finish
from .vector_numba import (
    INDEX,
    LANES,
    ROWS,
    VECTOR,
    Lanes,
    Place,
    everywhere,
    give,
    multiply,
    written,
)

# The transforms evaluate polynomials at 0, ±A, ±B and infinity. These points have exact powers,
# and half the error of the usual 1 and 2 (Barabasz et al., "Error analysis and improving the
# accuracy of Winograd convolution", 2020).
A, B = 0.625, 1.5

GROUP = 64  # tiles of a channel, and of ROWS filters, that are in the cache together
# Distances between the planes of a group. One more vector than there is keeps planes from
# meeting in the same few places of the cache, which costs more than half the speed.
PIXELS = 4 * GROUP + LANES
PRODUCTS = ROWS * GROUP + LANES
SCRATCH = 36 * PRODUCTS + 12 * PIXELS  # elements


def into(d: Sequence[Lanes]) -> list[Lanes]:
    """B^T d: six pixels of a line of a tile as values at the six points."""
    both, product = A * A + B * B, A * A * B * B
    even_a, odd_a = d[4] - B * B * d[2], A * (d[3] - B * B * d[1])
    even_b, odd_b = d[4] - A * A * d[2], B * (d[3] - A * A * d[1])
    return [
        product * d[0] - both * d[2] + d[4],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        product * d[1] - both * d[3] + d[5],
    ]


def out_of(m: Sequence[Lanes]) -> list[Lanes]:
    """A^T m: four elements of a line of the result from values at the six points."""
    even_a, odd_a = m[1] + m[2], m[1] - m[2]
    even_b, odd_b = m[3] + m[4], m[3] - m[4]
    return [
        m[0] + even_a + even_b,
        A * odd_a + B * odd_b,
        A**2 * even_a + B**2 * even_b,
        A**3 * odd_a + B**3 * odd_b + m[5],
    ]


def over(g: Sequence[Lanes]) -> list[Lanes]:
    """G g: three taps of a line of a filter as values at the six points."""
    near, far = 1 / (2 * A * A * (A * A - B * B)), 1 / (2 * B * B * (B * B - A * A))
    even_a, odd_a = near * (g[0] + A * A * g[2]), near * A * g[1]
    even_b, odd_b = far * (g[0] + B * B * g[2]), far * B * g[1]
    first = 1 / (A * A * B * B) * g[0]
    return [first, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[2]]


@written
def enter_filters(code: Any, u: Place, filters: Place, plane: Any) -> None:
    """G g G^T of ROWS filters at a channel, whose taps lie one behind the other."""
    columns = [over([filters.lanes((3 * i + j) * ROWS, ROWS) for i in range(3)]) for j in range(3)]
    for a in range(6):
        for b, lanes in enumerate(over([column[a] for column in columns])):
            u.put(code.mul(plane, ir.Constant(INDEX, 6 * a + b)), lanes)


@written
def take(code: Any, pixels: Place, x: Place, low: Any, high: Any) -> None:
    """Copy the lanes [low, high), and make the others 0."""
    lanes = ir.Constant(ir.VectorType(INDEX, LANES), list(range(LANES)))
    inside = code.and_(
        code.icmp_signed(">=", lanes, everywhere(code, low).value),
        code.icmp_signed("<", lanes, everywhere(code, high).value),
    )
    zeros = ir.Constant(VECTOR, [0.0] * LANES)
    pixels.put(0, Lanes(code, code.select(inside, x.lanes(0).value, zeros)))


@written
def enter_panel(code: Any, values: Place, pixels: Place, plane: Any) -> None:
    """B^T d B of LANES tiles of a channel, whose pixels `read_pixels` has laid out."""
    lines = []
    for i in range(6):
        four = pixels.lanes(2 * i * PIXELS, 4 * LANES)
        two = pixels.lanes((2 * i + 1) * PIXELS, 4 * LANES)
        line = [four.shuffled(range(j, 4 * LANES, 4)) for j in range(4)]
        line += [two.shuffled(range(j, 4 * LANES, 4)) for j in range(2)]
        lines.append(into(line))
    for j in range(6):
        for i, lanes in enumerate(into([line[j] for line in lines])):
            values.put(code.mul(plane, ir.Constant(INDEX, 6 * i + j)), lanes)


@written
def leave_panel(code: Any, pixels: Place, products: Place, bias: Any) -> None:
    """A^T m A of LANES tiles of a filter, and its bias, as four rows of the result."""
    more = everywhere(code, bias)
    columns = [out_of([products.lanes((6 * i + j) * PRODUCTS) for i in range(6)]) for j in range(6)]
    for i in range(4):
        a, b, c, d = (lanes + more for lanes in out_of([column[i] for column in columns]))
        halves = [pair[0].shuffled(range(2 * LANES), pair[1]) for pair in ((a, b), (c, d))]
        order = [j * LANES + lane for lane in range(LANES) for j in range(4)]
        pixels.put(i * PIXELS, halves[0].shuffled(order, halves[1]))


@compiled
def take_slowly(pixels: Array, to: int, x: Array, at: int, low: int, high: int) -> None:
    """What `take` does, where x ends."""
    pixels[to : to + LANES] = np.float32(0)
    for lane in range(max(low, 0), min(high, LANES)):
        pixels[to + lane] = x[at + lane]


@compiled
def read_pixels(
    pixels: Array,
    x: Array,
    shape: tuple[int, int, int],
    channel: int,
    first: int,
    count: int,
    tiles: tuple[int, int],
    corner: tuple[int, int],
) -> None:
    """Lay out the pixels of a channel that tiles [first, first + count) see.

    For each row of a tile that is a row with the first four of its pixels for one tile after the
    other, and a row with the last two, each time with two behind them that nobody reads.
    """
    channels, h, w = shape
    down, across = tiles
    last = x.size - LANES - 4
    done = 0
    while done < count:
        line, column = divmod(first + done, across)
        image, row = divmod(line, down)
        run = min(across - column, count - done)
        x0 = 4 * column - corner[1]
        for i in range(6):
            y = 4 * row + i - corner[0]
            high = w - x0 if 0 <= y < h else 0
            at = ((image * channels + channel) * h + y) * w + x0
            to = 2 * i * PIXELS + 4 * done
            for q in range(0, 4 * run, LANES):
                if 0 <= at + q <= last:
                    take(pixels, to + q, x, at + q, -x0 - q, high - q)
                    take(pixels, to + PIXELS + q, x, at + q + 4, -x0 - q - 4, high - q - 4)
                else:
                    take_slowly(pixels, to + q, x, at + q, -x0 - q, high - q)
                    take_slowly(pixels, to + PIXELS + q, x, at + q + 4, -x0 - q - 4, high - q - 4)
        done += run


@compiled
def write_pixels(
    out: Array,
    shape: tuple[int, int, int],
    channel: int,
    first: int,
    count: int,
    tiles: tuple[int, int],
    pixels: Array,
    tail: Parts,
) -> None:
    """Put the four rows of tiles [first, first + count) where they belong in a channel."""
    channels, h, w = shape
    down, across = tiles
    done = 0
    while done < count:
        line, column = divmod(first + done, across)
        image, row = divmod(line, down)
        run = min(across - column, count - done)
        height, width = min(4, h - 4 * row), min(4 * run, w - 4 * column)
        begin = ((image * channels + channel) * h + 4 * row) * w + 4 * column
        for i in range(height):
            at, ready = begin + i * w, i * PIXELS + 4 * done
            if width < LANES:
                for q in range(width):
                    out[at + q] = pixels[ready + q]
            else:
                for step in range(0, width, LANES):
                    q = min(step, width - LANES)  # the last vector may overlap the one before it
                    give(out, at + q, pixels, ready + q)
        if tail.what:
            # complete rows follow each other without a gap
            runs, length = (1, height * w) if width == w else (height, width)
            for i in range(runs):
                at = begin + i * w
                finish(out[at : at + length], at, tail)
        done += run


@compiled
def enter(
    values: Array,
    plane: int,
    begin: int,
    x: Array,
    shape: tuple[int, int, int],
    channels: tuple[int, int],
    first: int,
    count: int,
    tiles: tuple[int, int],
    corner: tuple[int, int],
    scratch: Array,
) -> None:
    """Transform some channels of a group of tiles [first, first + count) into values[begin]."""
    for channel in range(channels[0], channels[1]):
        read_pixels(scratch, x, shape, channel, first, count, tiles, corner)
        for panel in range(0, count, LANES):
            at = (begin + panel) * shape[0] + channel * LANES
            enter_panel(values, at, scratch, 4 * panel, plane)


@compiled
def leave(
    out: Array,
    shape: tuple[int, int, int],
    blocks: tuple[int, int],
    first: int,
    count: int,
    tiles: tuple[int, int],
    filters: Array,
    u: Array,
    values: Array,
    plane: int,
    depth: int,
    bias: Array,
    tail: Parts,
    scratch: Array,
) -> None:
    """The result of some blocks of ROWS filters at tiles [first, first + count), from values."""
    pixels = scratch[36 * PRODUCTS :]
    for block in range(blocks[0], blocks[1]):
        apart = depth * ROWS + LANES
        for c in range(depth):
            enter_filters(u, c * ROWS, filters, (block * depth + c) * 9 * ROWS, apart)
        for start in range(0, count, GROUP):
            here = min(GROUP, count - start)
            for p in range(36):
                for panel in range(0, here, LANES):
                    at = p * plane + (start + panel) * depth
                    to = p * PRODUCTS + panel
                    multiply(scratch, to, GROUP, u, p * apart, values, at, depth)
            for channel in range(block * ROWS, min(shape[0], (block + 1) * ROWS)):
                at = (channel - block * ROWS) * GROUP
                for panel in range(0, here, LANES):
                    leave_panel(pixels, 4 * panel, scratch, at + panel, bias[channel])
                write_pixels(out, shape, channel, first + start, here, tiles, pixels, tail)
