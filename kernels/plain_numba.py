"""Convolutions by filters of one element, as products of matrices in vectors of the machine.

Pixels of a strip are laid out once, a panel of LANES of them for all channels. Then every ROWS
filters go over all panels, and what they give is finished while it is in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .dispatch import Array
from .jit import compiled
from .link import PIECE, PLAIN, Link
from .tail import Tail
from .tail_numba import CEILING, FLOOR, GATE, LID, Parts, finish, flat, parts
from .vector_numba import (
    INDEX,
    LANES,
    ROWS,
    Lanes,
    Place,
    everywhere,
    give,
    multiply,
    sums,
    written,
)

STRIP = 1 << 15  # elements of a strip, about: it stays in the cache
LONGEST = 512  # pixels of it

INFINITY = np.float32(np.inf)

# what is done to products while they are in registers, by the parts of a tail
GATED, HELD, OTHER = 0, 1, 2
WAYS = {GATE: GATED, GATE | CEILING: GATED, 0: HELD, FLOOR: HELD, LID: HELD, FLOOR | LID: HELD}


def link(out: Array, x: Array, u: Array, b: Array | None, tail: Tail) -> Link:
    """out (n, o, ...) becomes b (o,) and the sums over channels of x (n, c, ...) by filters.

    u is (blocks, c, ROWS), as plain.in_blocks makes it.
    """
    n, channels = x.shape[:2]
    outputs, plane = out.shape[1], math.prod(x.shape[2:])
    panels = -(-plane // LANES)
    most = max(1, min(LONGEST, STRIP // max(channels, 1)) // LANES)
    each = -(-panels // max(1, -(-panels // most)))  # panels of a strip
    strips, length = -(-panels // max(each, 1)), each * LANES
    taken = n * plane * outputs * (channels + 20) / 45
    # threads share strips, and where there are few of them filters
    pieces = max(1, min(n * strips, round(taken / PIECE)))
    shares = max(1, min(len(u), round(taken / PIECE / pieces)))
    bias = np.zeros(len(u) * ROWS, np.float32)
    if b is not None:
        bias[:outputs] = b
    what, *behind = parts(tail)
    arrays = (*map(flat, (out, x, u, bias)), *behind)
    size = (strips, length, plane, channels, outputs)
    numbers = (what, WAYS.get(what, OTHER), *size, n * strips, len(u), shares)
    scratch = channels * length + ROWS * LANES
    return Link(PLAIN, pieces * shares, arrays, numbers, scratch, taken)


def product(finished: Callable[..., Lanes]) -> Any:
    """A function for compiled code: products of ROWS filters and LANES pixels, and the tail.

    `finished` does it to a vector, beside what another array has there. Rows that are too many go
    `nowhere`.
    """

    @written
    def write(
        code: Any,
        out: Place,
        other: Place,
        row: Any,
        rows: Any,
        nowhere: Place,
        filters: Place,
        values: Place,
        depth: Any,
        bias: Place,
        low: Any,
        high: Any,
    ) -> None:
        start = [bias.number(k) for k in range(ROWS)]
        bounds = everywhere(code, low), everywhere(code, high)
        for k, total in enumerate(sums(code, start, filters, values, depth)):
            is_row = code.icmp_signed(">", rows, ir.Constant(INDEX, k))
            at = code.select(is_row, code.mul(row, ir.Constant(INDEX, k)), ir.Constant(INDEX, 0))
            to = Place(code, code.select(is_row, out.start, nowhere.start))
            to.put(at, finished(total, other.lanes(at), *bounds))

    return write


def gated(x: Lanes, other: Lanes, low: Lanes, high: Lanes) -> Lanes:
    return x.where(other, ">", low).where(other, "<", high)


def held(x: Lanes, _: Lanes, low: Lanes, high: Lanes) -> Lanes:
    return x.unless("<", low).unless(">", high)


multiply_gated, multiply_held = product(gated), product(held)


@compiled
def multiplied(
    out: Array,
    x: Array,
    filters: Array,
    bias: Array,
    size: tuple[int, int, int, int, int],
    bounds: tuple[int, int, int, int],
    way: int,
    tail: Parts,
    scratch: Array,
) -> None:
    """Some strips of all images, from the first to the one behind the last, by some filters."""
    strips, length, plane, channels, outputs = size
    nowhere, values = scratch[: ROWS * LANES], scratch[ROWS * LANES :]
    low, high = -INFINITY, INFINITY
    if way == GATED:
        low, high = tail.limits[0], tail.limits[1]
    elif way == HELD:
        low, high = tail.limits[2], tail.limits[3]
    for strip in range(bounds[0], bounds[1]):
        image, first = strip // strips, strip % strips * length
        count = min(length, plane - first)
        whole = count // LANES * LANES
        enter(values, x, image * channels * plane + first, count, plane, channels)
        for block in range(bounds[2], bounds[3]):
            b = block * ROWS
            rows, by = min(ROWS, outputs - b), b * channels
            begins = (image * outputs + b) * plane + first
            for panel in range(0, whole, LANES):
                at, v = begins + panel, panel * channels
                if way == GATED:
                    multiply_gated(
                        out, at, tail.gate, at, plane, rows, nowhere, 0,
                        filters, by, values, v, channels, bias, b, low, high,
                    )  # fmt: skip
                else:
                    multiply_held(
                        out, at, out, at, plane, rows, nowhere, 0,
                        filters, by, values, v, channels, bias, b, low, high,
                    )  # fmt: skip
            if whole < count:
                multiply(nowhere, 0, LANES, filters, by, values, whole * channels, channels)
            ready = whole if way != OTHER else 0
            for k in range(rows if ready < count else 0):
                at = begins + k * plane
                for i in range(whole, count):
                    out[at + i] = nowhere[k * LANES + i - whole] + bias[b + k]
                finish(out[at + ready : at + count], at + ready, tail)


@compiled
def enter(values: Array, x: Array, start: int, count: int, plane: int, channels: int) -> None:
    """Lay out pixels as panels (channels, LANES); those behind the last one are anything."""
    whole = count // LANES * LANES
    for channel in range(channels):
        at = start + channel * plane
        for panel in range(0, whole, LANES):
            give(values, panel * channels + channel * LANES, x, at + panel)
        to = values[whole * channels + channel * LANES :]
        for i in range(count - whole):
            to[i] = x[at + whole + i]
