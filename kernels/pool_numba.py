"""The way back through pools over two axes.

Windows of up to three neighbours along each axis, one or two apart, are met all at once. The rows
and columns of a padded plane are sorted by their remainders modulo the strides; what has the same
remainders, its phase, lies in one line. There windows are one apart, so that a pass along the line
meets the k-th places of all windows. Windows are taken apart as well: the first maximum in each
row of a window, then the first row that has the largest of them, is the first in the order of
memory. Diffs go the same way back, to that row, then to the place within it.

Other windows are gone through one by one, in the same two steps.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from . import crew
from .dispatch import Array
from .jit import compiled, inlined
from .symbol import Shape
from .tail import Tail
from .tail_numba import finish, parts
from .window import Window

LINE = 4096  # elements of planes at a time, about: all that is made of them stays in the cache
GROUPS = 8  # of rows at a time, at least: windows reach two beyond them
PIECE = 1 << 16  # elements that are worth a thread

U: Any = np.uint64  # of an index: Numba need not ask whether it counts from the end
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
PADDING = np.float32(-np.inf)
LOWEST: Any = np.finfo(np.float32).min


class Axis(NamedTuple):
    """An axis of planes, as compiled code takes it."""

    size: int
    windows: int
    length: int  # of a window
    stride: int
    dilation: int
    before: int
    # where phases are made: elements from window to window, from phase to phase, from a window's
    # first place to its second and third, and how many elements passes along this axis go over
    step: int
    phase: int
    second: int
    third: int
    line: int


class Geometry(NamedTuple):
    """How planes are gone through; a group is a row of each phase."""

    axes: tuple[Axis, Axis]  # from left to right, from top to bottom
    groups: int  # of a plane
    planes: int  # at a time
    lines: int  # groups at a time, of all these planes
    even: int  # where a row's first element goes, and with it every other one
    odd: int


@functools.lru_cache(256)
def geometry(spatial: Shape, window: Window) -> Geometry:
    """The numbers for planes of this size."""
    counts = window.sizes(spatial)
    groups, pitch = (
        max(-(-(size + before) // stride), count + (span - 1) // stride)
        for size, before, stride, count, span in zip(
            spatial, window.before, window.strides, counts, window.span, strict=True
        )
    )
    down, across = window.strides
    group = max(1, pitch * down * across)
    planes = max(1, LINE // (group * groups))
    lines = planes * groups if planes > 1 else min(groups, max(LINE // group, GROUPS))
    phase = (lines + 2) * pitch  # with what the last windows reach
    axes = []
    for axis, step, distance, line in (
        (1, 1, phase * down, phase * down),
        (0, pitch, phase, lines * pitch),
    ):
        length, stride = window.kernel[axis], window.strides[axis]
        places = (min(k, length - 1) for k in (1, 2))  # one place twice is no second maximum
        second, third = (k % stride * distance + k // stride * step for k in places)
        sizes = (spatial[axis], counts[axis], length, stride)
        more = (window.dilations[axis], window.before[axis])
        axes.append(Axis(*sizes, *more, step, distance, second, third, line))
    left = window.before[1]
    even, odd = (k % across * phase * down + k // across for k in (left, left + 1))
    return Geometry((axes[0], axes[1]), groups, planes, lines, even, odd)


def max_pool_gradient(dx: Array, dy: Array, x: Array, window: Window, tail: Tail) -> None:
    """The gradient of a pool of maxima at x."""
    give_back(dx, dy, x, [np.ones(count, np.float32) for count in dy.shape[2:]], window, tail)


def average_pool_backward(
    dx: Array, dy: Array, counts: list[Array], window: Window, tail: Tail
) -> None:
    """The adjoint of averages over this many elements: a factor for each axis."""
    weights = [1 / np.maximum(count, 1).reshape(-1).astype(np.float32) for count in counts]
    give_back(dx, dy, None, weights, window, tail)


def give_back(
    dx: Array, dy: Array, x: Array | None, weights: list[Array], window: Window, tail: Tail
) -> None:
    """Each window's diff times its weight to its maximum in x; without an x, to all in it."""
    planes, plane = dx.shape[0] * dx.shape[1], dx.shape[2] * dx.shape[3]
    numbers = geometry(dx.shape[2:], window)
    pieces = max(1, planes * plane // PIECE)
    each = -(-planes // (pieces * numbers.planes)) * numbers.planes
    flat = dx.reshape(-1)
    values = flat if x is None else x.reshape(-1)
    args: tuple[Any, ...] = (flat, dy.reshape(-1), values, x is not None, *weights, numbers)
    near = max(window.kernel) <= 3 and max(window.strides) <= 2 and max(window.dilations) == 1
    behind = parts(tail)

    def work(piece: int) -> None:
        start, stop = piece * each, min((piece + 1) * each, planes)
        if near:
            together(start, stop, *args, *scratch(numbers))
        else:
            one_by_one(start, stop, *args)
        if behind.what:
            finish(flat[start * plane : stop * plane], start * plane, behind)

    crew.share(work, -(-planes // max(each, 1)))


def scratch(numbers: Geometry) -> tuple[tuple[Array, ...], ...]:
    """What `together` works on: values, places of maxima, and diffs.

    There are those of a picture, of each row of windows, and of windows. In front are two more
    places or groups, for the windows before.
    """
    across, down = numbers.axes
    whole = across.phase * across.stride + 2
    rows, windows = across.line + 2, down.line + 2 * down.step
    picture, best, winner, column, row, row_diff, diff = (
        np.zeros(size, np.float32) for size in (whole, rows, windows, rows, windows, rows, windows)
    )
    return (picture, best, winner), (column, row), (picture, row_diff, diff)


@compiled
def together(
    start: int,
    stop: int,
    dx: Array,
    dy: Array,
    x: Array,
    is_maximum: bool,
    tall: Array,
    wide: Array,
    numbers: Geometry,
    values: tuple[Array, ...],
    places: tuple[Array, ...],
    diffs: tuple[Array, ...],
) -> None:
    """The diffs of planes start ... stop - 1."""
    across, down = numbers.axes
    groups, lines, pitch = numbers.groups, numbers.lines, down.step
    width = across.size
    front = 2 * pitch
    picture, row, diff = values[0], places[1], diffs[2]
    for first in range(start, stop, numbers.planes):
        planes = min(numbers.planes, stop - first)
        for begin in range(0, groups, lines):
            here = min(groups - begin, lines)
            if is_maximum:
                for i in range(picture.size):
                    picture[i] = PADDING
                for plane in range(planes):
                    for group in range(min(groups - begin, lines + 2)):
                        for s in range(down.stride):
                            y = (begin + group) * down.stride + s - down.before
                            if 0 <= y < down.size:
                                at = s * down.phase + (plane * groups + group) * pitch
                                begins = ((first + plane) * down.size + y) * width
                                split(picture, at, x, begins, width, numbers)
            kept = U(front if begin else 0)  # of the windows above
            for i in range(kept):
                row[i] = row[U(down.line) + i]
                diff[i] = diff[U(down.line) + i]
            for i in range(kept, U(diff.size)):
                diff[i] = ZERO
            for plane in range(planes):
                for group in range(min(here, down.windows - begin)):
                    y = begin + group
                    at = U(front + (plane * groups + group) * pitch)
                    begins = U(((first + plane) * down.windows + y) * across.windows)
                    for j in range(U(across.windows)):
                        diff[at + j] = dy[begins + j] * (tall[y] * wide[j])
            if is_maximum:
                for k in (0, 1):
                    first_maxima(values[k + 1], places[k], values[k], numbers.axes[k])
            for k in (1, 0):
                axis = numbers.axes[k]
                for t in range(axis.stride):
                    collect(diffs[k], 2 * k, places[k], diffs[k + 1], axis, t, is_maximum)
            for plane in range(planes):
                for group in range(here):
                    for s in range(down.stride):
                        y = (begin + group) * down.stride + s - down.before
                        if 0 <= y < down.size:
                            at = s * down.phase + (plane * groups + group) * pitch
                            begins = ((first + plane) * down.size + y) * width
                            join(dx, begins, picture, at, width, numbers)


@inlined
def split(to: Array, at: int, x: Array, begins: int, width: int, numbers: Any) -> None:
    """A row of a picture into its phases."""
    even, odd, begins = U(at + numbers.even), U(at + numbers.odd), U(begins)
    if numbers.axes[0].stride == 1:
        for j in range(U(width)):
            to[even + j] = above_padding(x[begins + j])
    else:
        half = U(width // 2)
        for j in range(half):
            to[even + j] = above_padding(x[begins + U(2) * j])
            to[odd + j] = above_padding(x[begins + U(2) * j + U(1)])
        if width % 2:
            to[even + half] = above_padding(x[begins + U(2) * half])


@inlined
def above_padding(value: float) -> float:
    """The value, or the lowest there is for NaN and -inf, as padding is never the maximum."""
    return value if value > LOWEST else LOWEST


@inlined
def join(x: Array, begins: int, phases: Array, at: int, width: int, numbers: Any) -> None:
    """A row of a picture out of its phases."""
    even, odd, begins = U(at + numbers.even), U(at + numbers.odd), U(begins)
    if numbers.axes[0].stride == 1:
        for j in range(U(width)):
            x[begins + j] = phases[even + j]
    else:
        half = U(width // 2)
        for j in range(half):
            x[begins + U(2) * j] = phases[even + j]
            x[begins + U(2) * j + U(1)] = phases[odd + j]
        if width % 2:
            x[begins + U(2) * half] = phases[even + half]


@inlined
def first_maxima(best: Array, place: Array, x: Array, axis: Any) -> None:
    """The largest value of each window along an axis, and which of the three it is."""
    front, second, third = U(2 * axis.step), U(axis.second), U(axis.third)
    for i in range(U(axis.line)):
        larger = x[second + i] > x[i]
        value = x[second + i] if larger else x[i]
        k = ONE if larger else ZERO
        larger = x[third + i] > value
        best[i] = x[third + i] if larger else value
        place[front + i] = TWO if larger else k


@inlined
def collect(
    to: Array, at: int, place: Array, diff: Array, axis: Any, t: int, is_maximum: bool
) -> None:
    """To phase t of an axis from the windows that it is in: their diffs, if it is the place."""
    second, third = t + axis.stride, t + 2 * axis.stride  # as it is counted in windows before
    # all that an average is of counts as 0, and beyond a window there is no place
    a = np.float32(t * is_maximum if t < axis.length else -1)
    b = np.float32(second * is_maximum if second < axis.length else -1)
    c = np.float32(third * is_maximum if third < axis.length else -1)
    at, this, before = U(at + t * axis.phase), U(2 * axis.step), U(axis.step)
    for i in range(U(axis.line)):
        total = diff[this + i] if place[this + i] == a else ZERO
        total += diff[before + i] if place[before + i] == b else ZERO
        to[at + i] = total + (diff[i] if place[i] == c else ZERO)


@compiled
def one_by_one(
    start: int,
    stop: int,
    dx: Array,
    dy: Array,
    x: Array,
    is_maximum: bool,
    tall: Array,
    wide: Array,
    numbers: Geometry,
) -> None:
    """The diffs of planes start ... stop - 1, whatever the windows."""
    across, down = numbers.axes
    best = np.empty((down.size, across.windows), np.float32)
    place = np.empty((down.size, across.windows), np.int64)
    diff = np.empty((down.size, across.windows), np.float32)
    for plane in range(start, stop):
        picture = x[plane * down.size * across.size :]
        diffs = dx[plane * down.size * across.size : (plane + 1) * down.size * across.size]
        if is_maximum:
            for y in range(down.size):
                for j in range(across.windows):
                    place[y, j] = -1
                    for k in range(across.length):
                        z = j * across.stride - across.before + k * across.dilation
                        if 0 <= z < across.size:
                            value = picture[y * across.size + z]
                            if place[y, j] < 0 or value > best[y, j]:
                                best[y, j] = value
                                place[y, j] = z
        diff[:] = 0
        for i in range(down.windows):
            for j in range(across.windows):
                share = dy[(plane * down.windows + i) * across.windows + j] * (tall[i] * wide[j])
                row = -1
                for k in range(down.length):
                    y = i * down.stride - down.before + k * down.dilation
                    if 0 <= y < down.size:
                        if not is_maximum:
                            diff[y, j] += share
                        elif row < 0 or best[y, j] > best[row, j]:
                            row = y
                if row >= 0:
                    diff[row, j] += share
        diffs[:] = 0
        for y in range(down.size):
            for j in range(across.windows):
                if is_maximum:
                    if place[y, j] >= 0:
                        diffs[y * across.size + place[y, j]] += diff[y, j]
                else:
                    for k in range(across.length):
                        z = j * across.stride - across.before + k * across.dilation
                        if 0 <= z < across.size:
                            diffs[y * across.size + z] += diff[y, j]
