"""Winograd's convolution in vectors of the machine, a lane for each of 16 tiles.

The functions marked `written` do not compute: they write the machine code that does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

from .dispatch import Array
from .jit import compiled
from .tail_numba import finish

# The transforms evaluate polynomials at 0, ±A, ±B and infinity. These points have exact powers,
# and half the error of the usual 1 and 2 (Barabasz et al., "Error analysis and improving the
# accuracy of Winograd convolution", 2020).
A, B = 0.625, 1.5

LANES = 16
# Filters whose sums `multiply` holds: they fill 16 of the 32 registers of AVX-512, 12 of the 16
# of AVX2 and 24 of the 32 of ARM, where a vector of 16 lanes takes one, two and four.
ROWS = 16 if get_host_cpu_features().get("avx512f") else 6

GROUP = 64  # tiles of a channel, and of ROWS filters, that are in the cache together
# Distances between the planes of a group. One more vector than there is keeps planes from
# meeting in the same few places of the cache, which costs more than half the speed.
PIXELS = 4 * GROUP + LANES
PRODUCTS = ROWS * GROUP + LANES
SCRATCH = 36 * PRODUCTS + 12 * PIXELS  # elements

FLOAT = ir.FloatType()
INDEX = ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ALIGNED = 4  # bytes: a vector may start at any element
FUSED = ("contract",)  # a product and a sum may become one instruction


class Lanes:
    """A vector that the code computes."""

    def __init__(self, code: Any, value: Any) -> None:
        self.code = code
        self.value = value

    def __add__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fadd(self.value, other.value, flags=FUSED))

    def __sub__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fsub(self.value, other.value, flags=FUSED))

    def __mul__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fmul(self.value, other.value, flags=FUSED))

    def __rmul__(self, factor: float) -> Lanes:
        return self * Lanes(self.code, ir.Constant(VECTOR, [factor] * LANES))

    def shuffled(self, lanes: Iterable[int], other: Lanes | None = None) -> Lanes:
        """These lanes of the vector, or of the vector and behind it the other."""
        places = list(lanes)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
        second = self if other is None else other
        return Lanes(self.code, self.code.shuffle_vector(self.value, second.value, mask))


class Place:
    """An element of an array and those behind it."""

    def __init__(self, code: Any, start: Any) -> None:
        self.code = code
        self.start = start

    def pointer(self, offset: Any, kind: Any) -> Any:
        index = ir.Constant(INDEX, offset) if isinstance(offset, int) else offset
        return self.code.bitcast(self.code.gep(self.start, [index]), kind.as_pointer())

    def lanes(self, offset: Any, count: int = LANES) -> Lanes:
        value = self.code.load(self.pointer(offset, ir.VectorType(FLOAT, count)))
        value.align = ALIGNED
        return Lanes(self.code, value)

    def number(self, offset: Any) -> Lanes:
        """One element in all lanes."""
        return everywhere(self.code, self.code.load(self.pointer(offset, FLOAT)))

    def put(self, offset: Any, lanes: Lanes) -> None:
        stored = self.code.store(lanes.value, self.pointer(offset, lanes.value.type))
        stored.align = ALIGNED


def everywhere(code: Any, number: Any) -> Lanes:
    """A number in all lanes."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = code.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return Lanes(code, first).shuffled([0] * LANES)


def written(write: Callable[..., None]) -> Any:
    """A function for compiled code, made of one that writes its instructions.

    An array and the index that follows it are one Place for `write`.
    """

    def typed(_: Any, *kinds: Any) -> Any:
        def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
            parts: list[Any] = []
            each = (code.extract_value(values[0], i) for i in range(len(kinds)))
            arguments = iter(zip(signature.args[0], each, strict=True))
            for kind, value in arguments:
                if isinstance(kind, types.Array):
                    data = context.make_array(kind)(context, code, value).data
                    parts.append(Place(code, code.gep(data, [next(arguments)[1]])))
                else:
                    parts.append(value)
            write(code, *parts)
            return context.get_dummy_value()

        together: Any = types.Tuple
        return types.void(together([*map(types.unliteral, kinds)])), generate

    return intrinsic(typed)


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


def filter_matrix() -> Array:
    """G, which takes three elements of a line of a filter to the six points."""
    points = [0.0, A, -A, B, -B]
    rows = [[0.0, 0.0, 1.0]]
    for point in reversed(points):
        scale = math.prod(point - other for other in points if other != point)
        rows.append([1 / scale, point / scale, point**2 / scale])
    return np.array(rows[::-1])


@written
def multiply(code: Any, products: Place, filters: Place, values: Place, depth: Any) -> None:
    """For ROWS filters and LANES tiles, the sum over `depth` channels of filter times value.

    Filters are (depth, ROWS), values (depth, LANES), and products have rows of GROUP elements.
    """
    before = code.block
    loop, after = code.append_basic_block("loop"), code.append_basic_block("after")
    code.branch(loop)
    code.position_at_end(loop)
    channel = code.phi(INDEX)
    held = [code.phi(VECTOR) for _ in range(ROWS)]
    value = values.lanes(code.mul(channel, ir.Constant(INDEX, LANES)))
    at = code.mul(channel, ir.Constant(INDEX, ROWS))
    sums = []
    for row, total in enumerate(held):
        factor = filters.number(code.add(at, ir.Constant(INDEX, row)))
        sums.append(Lanes(code, total) + factor * value)
    following = code.add(channel, ir.Constant(INDEX, 1))
    channel.add_incoming(ir.Constant(INDEX, 0), before)
    channel.add_incoming(following, loop)
    for total, more in zip(held, sums, strict=True):
        total.add_incoming(ir.Constant(VECTOR, [0.0] * LANES), before)
        total.add_incoming(more.value, loop)
    code.cbranch(code.icmp_signed("<", following, depth), loop, after)
    code.position_at_end(after)
    for row, total in enumerate(sums):
        products.put(row * GROUP, total)


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


@written
def give(code: Any, out: Place, pixels: Place) -> None:
    """Copy a vector."""
    out.put(0, pixels.lanes(0))


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
    what: int,
    add: Array,
    gate: Array,
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
        if what:
            # complete rows follow each other without a gap
            runs, length = (1, height * w) if width == w else (height, width)
            for i in range(runs):
                at = begin + i * w
                finish(out[at : at + length], at, what, add, gate)
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
    u: Array,
    values: Array,
    plane: int,
    begin: int,
    depth: int,
    bias: Array,
    what: int,
    add: Array,
    gate: Array,
    scratch: Array,
) -> None:
    """The result of some blocks of ROWS filters at a group of tiles, from values[begin]."""
    pixels = scratch[36 * PRODUCTS :]
    for block in range(blocks[0], blocks[1]):
        for p in range(36):
            u_at = (block * 36 + p) * depth * ROWS
            for panel in range(0, count, LANES):
                at = p * plane + (begin + panel) * depth
                multiply(scratch, p * PRODUCTS + panel, u, u_at, values, at, depth)
        for channel in range(block * ROWS, min(shape[0], (block + 1) * ROWS)):
            at = (channel - block * ROWS) * GROUP
            for panel in range(0, count, LANES):
                leave_panel(pixels, 4 * panel, scratch, at + panel, bias[channel])
            write_pixels(out, shape, channel, first, count, tiles, pixels, what, add, gate)
