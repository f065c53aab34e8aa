"""Convolutions of each channel by a filter of its own, and their way back.

A plane is copied with its padding, its rows and columns sorted by their remainders modulo the
strides; what has the same remainders, its phase, lies in one line. There windows are one apart, so
that a pass along the line meets the k-th places of all windows. The way back is the same: each
phase of the picture is a sum of what some places of the filter make of the padded diffs.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from .dispatch import Array
from .jit import compiled
from .link import DEPTHWISE, PIECE, Link
from .symbol import Shape
from .tail import Tail
from .tail_numba import Parts, finish, flat, parts
from .vector_numba import INDEX, LANES, VECTOR, Lanes, Place, everywhere, give, written
from .window import Window

LINE = 1 << 11  # elements of a plane at a time, about: all that is made of them stays in the cache
ROUND = 64  # passes go over a multiple of that: the compiler's loops have no remainder then

ZERO = np.float32(0)


class Side(NamedTuple):
    """Planes that are read or written, as compiled code takes them: rows, then columns."""

    size: tuple[int, int]
    stride: tuple[int, int]  # of the phases that they are sorted into
    before: tuple[int, int]  # padding in front; less than none where the first are left out
    phase: int  # elements from one phase to the next


class Geometry(NamedTuple):
    """How planes are gone through; a group is a row of each phase."""

    read: Side
    written: Side
    planes: int  # at a time
    groups: int  # of a written plane
    lines: int  # of those at a time
    reach: int  # groups that are read beyond those
    pitch: int  # elements from one group to the next


@functools.lru_cache(256)
def geometry(spatial: Shape, window: Window, back: bool) -> tuple[Geometry, Array, Array, Array]:
    """The numbers for pictures of this size, and the taps of all written phases, one by one.

    Those are where a tap begins to read, and its place in the filter; last comes where each phase
    begins in these lists, and where the last one ends.
    """
    counts, strides = window.sizes(spatial), window.strides
    reach, across = ((span - 1) // s for span, s in zip(window.span, strides, strict=True))
    ones, nothing = (1, 1), (0, 0)
    if back:
        # places are counted in strides; in front of the first are diffs of windows before it
        skipped = [before // s for before, s in zip(window.before, strides, strict=True)]
        shift = tuple(before % s for before, s in zip(window.before, strides, strict=True))
        groups, columns = (
            -(-(size + more) // s) for size, more, s in zip(spatial, shift, strides, strict=True)
        )
        front = (reach - skipped[0], across - skipped[1])
        sides: Any = (counts, ones, front), (spatial, strides, shift)
    else:
        groups, columns = counts
        sides = (spatial, strides, window.before), (counts, ones, nothing)
    pitch = columns + across
    planes = max(1, LINE // max(1, groups * pitch))
    lines = max(1, min(groups, LINE // pitch))
    read, written = (
        Side(side[0], side[1], side[2], -(-(lines + more) * pitch // ROUND) * ROUND + ROUND)
        for side, more in zip(sides, (reach + 1, 0), strict=True)
    )
    starts, places, ends = [], [], [0]
    for phase in itertools.product(*(range(s) for s in written.stride)):
        for place in np.ndindex(*window.kernel):
            at = [k * dilation for k, dilation in zip(place, window.dilations, strict=True)]
            if back and any((a - p) % s for a, p, s in zip(at, phase, strides, strict=True)):
                continue
            rows, right = (a // s for a, s in zip(at, strides, strict=True))
            start = rows * pitch + right
            if back:
                start = (reach - rows) * pitch + across - right
            else:
                start += (at[0] % strides[0] * strides[1] + at[1] % strides[1]) * read.phase
            starts.append(start)
            places.append(place[0] * window.kernel[1] + place[1])
        ends.append(len(starts))
    numbers = Geometry(read, written, planes, groups, lines, reach, pitch)
    return numbers, np.array(starts, np.int64), np.array(places, np.int64), np.array(ends)


def convolve(y: Array, x: Array, w: Array, b: Array | None, window: Window, tail: Tail) -> Link:
    """y (n, c, ...) becomes the convolution of x (n, c, h, w) by filters (c, 1, *kernel)."""
    bias = np.zeros(x.shape[1], np.float32) if b is None else b
    return link(y, x, w, bias, geometry(x.shape[2:], window, False), tail)


def give_back(dx: Array, dy: Array, w: Array, window: Window, tail: Tail) -> Link:
    """dx (n, c, h, w) becomes the adjoint's of dy (n, c, ...)."""
    bias = np.zeros(dx.shape[1], np.float32)
    return link(dx, dy, w, bias, geometry(dx.shape[2:], window, True), tail)


def link(
    out: Array,
    x: Array,
    w: Array,
    bias: Array,
    how: tuple[Geometry, Array, Array, Array],
    tail: Tail,
) -> Link:
    """All planes of `out` from those of x."""
    numbers, *lists = how
    planes = out.shape[0] * out.shape[1]
    taken = 0.7 * max(out.size, x.size)
    what, *behind = parts(tail)
    sides = [
        (*side.size, *side.stride, *side.before, side.phase)
        for side in (numbers.read, numbers.written)
    ]
    words = (what, planes, len(lists[2]) - 1, len(lists[0]), *sides[0], *sides[1], *numbers[2:])
    return Link(
        DEPTHWISE,
        max(1, min(planes, round(taken / PIECE))),
        (*map(flat, (out, x, w, bias)), *behind),
        tuple(map(int, itertools.chain(words, *lists))),
        numbers.planes * sum(math.prod(s.stride) * s.phase + ROUND for s in numbers[:2]),
        taken,
    )


@compiled
def sweep(
    start: int,
    stop: int,
    out: Array,
    x: Array,
    w: Array,
    bias: Array,
    numbers: Geometry,
    starts: Array,
    places: Array,
    ends: Array,
    tail: Parts,
    scratch: Array,
) -> None:
    """Planes start ... stop - 1.

    Some of them at a time: what was written just now, and otherwise aligned, is slow to read.
    """
    read, written = numbers.read, numbers.written
    taps = w.size // bias.size
    (height, width), down = written.size, written.stride[0]
    from_picture = read.stride[0] * read.stride[1] * read.phase
    from_result = down * written.stride[1] * written.phase
    end = stop * height * width
    picture, result = scratch, scratch[numbers.planes * from_picture + ROUND :]
    for plane in range(start, stop, numbers.planes):
        planes = min(numbers.planes, stop - plane)
        for begin in range(0, numbers.groups, numbers.lines):
            here = min(numbers.lines, numbers.groups - begin)
            for k in range(planes):
                groups = here + numbers.reach
                enter(picture, k * from_picture, x, plane + k, begin, groups, read, numbers.pitch)
            for k in range(planes):
                channel = (plane + k) % bias.size
                for phase in range(ends.size - 1):
                    tap, count = ends[phase], ends[phase + 1] - ends[phase]
                    to, at = k * from_result + phase * written.phase, k * from_picture
                    for q in range(0, here * numbers.pitch, ROUND):
                        if count:
                            correlate(
                                result, to + q, picture, at + q, starts, tap, places, tap,
                                w, channel * taps, count, bias[channel],
                            )  # fmt: skip
                        else:
                            result[to + q : to + q + ROUND] = bias[channel]
            first = max(0, begin * down - written.before[0])
            last = min(height, (begin + here) * down - written.before[0])
            for k in range(planes):
                leave(
                    out, result, k * from_result, plane + k, begin, here, written, numbers.pitch,
                    end,
                )  # fmt: skip
            if tail.what:
                at = (plane * height + first) * width
                count = ((planes - 1) * height + last - first) * width
                finish(out[at : at + count], at, tail)


@written
def correlate(
    code: Any,
    to: Place,
    picture: Place,
    starts: Place,
    places: Place,
    filters: Place,
    taps: Any,
    bias: Any,
) -> None:
    """ROUND elements of a phase: the bias, and what its taps make of the picture."""
    before = code.block
    first = everywhere(code, bias).value
    loop, after = code.append_basic_block("loop"), code.append_basic_block("after")
    code.branch(loop)
    code.position_at_end(loop)
    tap = code.phi(INDEX)
    held = [code.phi(VECTOR) for _ in range(ROUND // LANES)]
    start, place = (code.load(code.gep(array.start, [tap])) for array in (starts, places))
    factor = filters.number(place)
    sums = [
        Lanes(code, total) + factor * picture.lanes(code.add(start, ir.Constant(INDEX, k * LANES)))
        for k, total in enumerate(held)
    ]
    following = code.add(tap, ir.Constant(INDEX, 1))
    tap.add_incoming(ir.Constant(INDEX, 0), before)
    tap.add_incoming(following, loop)
    for total, more in zip(held, sums, strict=True):
        total.add_incoming(first, before)
        total.add_incoming(more.value, loop)
    code.cbranch(code.icmp_signed("<", following, taps), loop, after)
    code.position_at_end(after)
    for k, total in enumerate(sums):
        to.put(k * LANES, total)


def first_lanes(code: Any, x: Lanes, count: Any) -> Lanes:
    """The first `count` lanes, 0 in the others."""
    width = x.value.type.count
    kind = ir.VectorType(INDEX, width)
    single = code.insert_element(ir.Constant(kind, ir.Undefined), count, INDEX(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    most = code.shuffle_vector(single, single, zeros)
    inside = code.icmp_signed("<", ir.Constant(kind, list(range(width))), most)
    nothing = ir.Constant(x.value.type, [0.0] * width)
    return Lanes(code, code.select(inside, x.value, nothing))


@written
def take(code: Any, to: Place, x: Place, count: Any) -> None:
    """A vector, of which the first `count` elements count."""
    to.put(0, first_lanes(code, x.lanes(0), count))


@written
def apart(code: Any, even: Place, odd: Place, x: Place, count: Any) -> None:
    """Two vectors, each other element to another place."""
    both = first_lanes(code, x.lanes(0, 2 * LANES), count)
    even.put(0, both.shuffled(range(0, 2 * LANES, 2)))
    odd.put(0, both.shuffled(range(1, 2 * LANES, 2)))


@written
def join(code: Any, x: Place, even: Place, odd: Place) -> None:
    """The same back."""
    order = [k for pair in zip(range(LANES), range(LANES, 2 * LANES)) for k in pair]
    x.put(0, even.lanes(0).shuffled(order, odd.lanes(0)))


@compiled
def enter(
    picture: Array,
    start: int,
    x: Array,
    plane: int,
    begin: int,
    groups: int,
    side: Side,
    pitch: int,
) -> None:
    """Groups of a plane from `begin` on, in the phases of their columns.

    Rows are written in their order, and with each what is empty up to the next one.
    """
    (height, width), (down, across), (above, left) = side.size, side.stride, side.before
    skipped, left = max(0, -left), max(0, left)
    even = left % 2 * side.phase + left // 2
    odd = (left + 1) % 2 * side.phase + (left + 1) // 2
    for phase in range(down * across):
        for j in range(left):
            picture[start + phase * side.phase + j] = ZERO
    for group in range(groups):
        for s in range(down):
            y = (begin + group) * down + s - above
            at = start + s * across * side.phase + group * pitch
            row = (plane * height + y) * width + skipped
            count = min(width - skipped, across * pitch - left)  # no more is read
            if not 0 <= y < height:
                row = count = 0
            if across == 1 and row + pitch + LANES <= x.size:
                for j in range(0, pitch, LANES):
                    take(picture, at + left + j, x, row + j, count - j)
            elif across == 2 and row + 2 * pitch + 2 * LANES <= x.size:
                for j in range(0, 2 * pitch, 2 * LANES):
                    to = at + j // 2
                    apart(picture, to + even, picture, to + odd, x, row + j, count - j)
            else:
                for t in range(across):
                    for j in range(at + t * side.phase, at + t * side.phase + pitch + left):
                        picture[j] = ZERO
                for j in range(count):
                    place, t = divmod(j + left, across)
                    picture[at + t * side.phase + place] = x[row + j]


@compiled
def leave(
    out: Array,
    result: Array,
    start: int,
    plane: int,
    begin: int,
    groups: int,
    side: Side,
    pitch: int,
    end: int,
) -> None:
    """Groups of a plane from `begin` on out of their phases.

    Nothing is written from `end` on; before it, what is too much is written over.
    """
    (height, width), (down, across), (above, left) = side.size, side.stride, side.before
    even = left * side.phase
    odd = (1 - left) * side.phase + left
    for group in range(groups):
        for s in range(down):
            y = (begin + group) * down + s - above
            if not 0 <= y < height:
                continue
            at = start + s * across * side.phase + group * pitch
            row = (plane * height + y) * width
            if across == 1 and row + width + LANES <= end:
                for j in range(0, width, LANES):
                    give(out, row + j, result, at + left + j)
            elif across == 2 and row + width + 2 * LANES <= end:
                for j in range(0, width, 2 * LANES):
                    join(out, row + j, result, at + even + j // 2, result, at + odd + j // 2)
            else:
                for j in range(width):
                    place, t = divmod(j + left, across)
                    out[row + j] = result[at + t * side.phase + place]
