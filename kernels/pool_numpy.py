"""Pools of maxima by NumPy: planes in few long rows, which the crew shares."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from . import crew
from .crew import part
from .dispatch import Array
from .symbol import Shape
from .window import Window, padded

BLOCK = 1 << 18  # elements that are compared at a time: threads need long calls, caches short ones
TAKEN = 7  # nanoseconds for a window, about


def max_pool(y: Array, where: Array, x: Array, window: Window) -> None:
    """Fill y and where, as `pool.max_pool` says."""
    if y.size == 0:
        return
    counts = y.shape[2:]
    planes = x.reshape(-1, *x.shape[2:])
    y, where = (array.reshape(-1, *counts) for array in (y, where))
    numbers = entries(window, counts)
    edges = [
        (*[slice(None)] * axis, slice(-(-before // stride)))  # windows that begin in the padding
        for axis, (before, stride) in enumerate(zip(window.before, window.strides, strict=True))
        if before
    ]
    pieces = blocks(planes, BLOCK * window.strides[-1], TAKEN * y.size)
    each = -(-len(planes) // pieces)  # as many as can be alike
    index = Index(x.shape[2:], window, counts)
    latest: dict[int, Largest] = {}  # of each thread

    def work(piece: int) -> None:
        some = slice(each * piece, min(each * (piece + 1), len(planes)))
        largest = latest.get(threading.get_ident())
        if largest is None or len(largest.value) != some.stop - some.start:
            largest = Largest(window, counts, planes[some])
            latest[threading.get_ident()] = largest
        value, place = largest(planes[some])
        np.copyto(y[some], value)
        if np.isnan(y[some].max()):
            place = in_order(planes[some], window)
        for edge in edges:
            np.maximum(place[:, *edge], numbers[edge], out=place[:, *edge])
        index(place, some, where[some])

    crew.share(work, -(-len(planes) // each), TAKEN * y.size)


def max_pool_backward(dx: Array, dy: Array, where: Array) -> None:
    """Fill dx, as `pool.max_pool_backward` says.

    Block by block in one thread, as NumPy keeps the interpreter's lock while it adds.
    """
    planes = math.prod(dx.shape[:2])
    dx, dy, where = (array.reshape(planes, math.prod(array.shape[2:])) for array in (dx, dy, where))
    pieces = blocks(dx, BLOCK)
    for piece in range(pieces):
        some = part(planes, pieces, piece)
        dx[some] = 0
        np.add.at(dx.reshape(-1), where[some].reshape(-1), dy[some].reshape(-1))


def blocks(planes: Array, size: int, taken: float = 0) -> int:
    """Into how many parts planes are cut, of `size` elements each; all take so many nanoseconds."""
    least = 2 if taken > 4 * crew.WAKING else 1
    return max(1, min(len(planes), max(least, -(-planes.size // size))))


class Largest:
    """The largest value of each window of some planes, and its number within the window.

    Phases of the strides lie apart, each with all planes behind one another, so that an element's
    neighbours are as far from it everywhere. Values are compared axis by axis, the last one first:
    so the first of equals wins. All steps are settled beforehand, as threads cannot run Python at
    a time. An object belongs to the thread that made it, and ends where that makes the next one.
    """

    def __init__(self, window: Window, counts: Shape, planes: Array) -> None:
        self.window = window
        self.number = number_type(window)
        self.steps: list[tuple[Any, Array, Any, Array]] = []  # a function, its operands and result
        axes = zip(counts, window.strides, window.span, strict=True)
        sizes = [((count - 1) * stride + span - 1) // stride + 1 for count, stride, span in axes]
        shape = (*window.strides, len(planes), *sizes)
        phases = crew.scratch("phases", shape, planes.dtype)
        self.copies = copies(phases, window, planes.shape[1:])
        values, numbers = phases.reshape(*window.strides, -1), None
        for axis in reversed(range(window.rank)):
            values, numbers = self.along(axis, values, numbers, math.prod(sizes[axis + 1 :]))
        if numbers is None:
            numbers = np.zeros(values.shape, self.number)
        inside = (slice(None), *map(slice, counts))
        self.value = values.reshape(-1, *sizes)[inside]
        self.place = numbers.reshape(-1, *sizes)[inside]

    def __call__(self, planes: Array) -> tuple[Array, Array]:
        for to, read in self.copies:
            np.copyto(to, planes[read])
        for function, a, b, out in self.steps:
            function(a, b, out=out)
        return self.value, self.place

    def along(
        self, axis: int, values: Array, numbers: Array | None, step: int
    ) -> tuple[Array, Array | None]:
        """The best of an axis whose neighbours lie a step apart; no numbers are zeros."""
        window = self.window
        taps = [
            divmod(k * window.dilations[axis], window.strides[axis])
            for k in range(window.kernel[axis])
        ]
        if len(taps) == 1:
            return values[..., 0, :], None if numbers is None else numbers[..., 0, :]
        length = values.shape[-1]
        left = length - taps[-1][0] * step
        first, *others = (
            (..., phase, slice(place * step, place * step + left)) for place, phase in taps
        )
        shape = (*values.shape[:-2], length)
        results = crew.scratch(f"values{axis % 2}", shape, values.dtype)
        winners = crew.scratch(f"winners{axis % 2}", shape, self.number)
        result, winner = results[..., :left], winners[..., :left]
        larger = crew.scratch("larger", shape, bool)[..., :left]
        number = crew.scratch("number", shape, self.number)[..., :left]
        best, before = values[first], None if numbers is None else numbers[first]
        for k, tap in enumerate(others, 1):
            weight = self.number.type(k * math.prod(window.kernel[axis + 1 :]))
            self.steps.append((np.greater, values[tap], best, larger))
            if numbers is None:
                to = winner if before is None else number
                self.steps.append((np.multiply, larger, weight, to))
            else:
                self.steps.append((np.add, numbers[tap], weight, number))
                self.steps.append((np.multiply, number, larger, number))
            if before is not None:  # numbers grow from tap to tap: the larger is the later winner's
                self.steps.append((np.maximum, before, number, winner))
            self.steps.append((np.maximum, best, values[tap], result))
            best, before = result, winner
        return results, winners


def in_order(planes: Array, window: Window) -> Array:
    """The numbers of the winners where nothing wins any more behind a NaN."""
    full = padded(planes[None], window, lowest(planes.dtype))
    first, *others = (sweep for _, sweep in window.offsets(window.sizes(planes.shape[1:])))
    best = full[first][0]
    place: Array = np.zeros(best.shape, number_type(window))
    for k, sweep in enumerate(others, 1):
        value = full[sweep][0]
        place[value > best] = k
        best = np.maximum(best, value)
    return place


def lowest(dtype: np.dtype[Any]) -> float:
    """What is nowhere the largest, unless all is."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def copies(phases: Array, window: Window, spatial: Shape) -> list[tuple[Array, Any]]:
    """Where each phase of the strides goes, and what of the planes that is; sets the borders."""
    found = []
    for phase in np.ndindex(*window.strides):
        to = phases[phase]
        read, written = [], []
        for k, stride, before, length, size in zip(
            phase, window.strides, window.before, spatial, to.shape[1:], strict=True
        ):
            first = (k - before) % stride  # of the plane, in this phase
            start = (first + before) // stride
            many = max(0, min(-(-(length - first) // stride), size - start))
            read.append(slice(first, first + stride * many, stride))
            written.append(slice(start, start + many))
        for axis, inside in enumerate(written):
            border = to.swapaxes(0, 1 + axis)
            border[: inside.start] = border[inside.stop :] = lowest(to.dtype)
        found.append((to[:, *written], (slice(None), *read)))
    return found


def number_type(window: Window) -> Any:
    """The integers that count the places of a window: small, as this is bound by memory."""
    return np.dtype(np.uint8 if math.prod(window.kernel) <= 256 else np.uint32)


def entries(window: Window, counts: Shape) -> Array:
    """The number of each window's first place inside the picture: before it there is padding."""
    numbers: Array = np.zeros((), int)
    for count, length, stride, dilation, before in zip(
        counts, window.kernel, window.strides, window.dilations, window.before, strict=True
    ):
        outside = np.maximum(before - np.arange(count) * stride, 0)
        numbers = np.add.outer(numbers * length, -(-outside // dilation))
    return numbers.astype(number_type(window))


class Index:
    """Numbers within windows as places in the whole array, whose planes are of size `spatial`."""

    def __init__(self, spatial: Shape, window: Window, counts: Shape) -> None:
        self.plane = math.prod(spatial)
        within: Array = np.zeros((), np.int64)
        self.starts: Array = np.zeros((), np.int64)  # of windows, which may begin in the padding
        for axis, windows in enumerate(counts):
            stride = math.prod(spatial[axis + 1 :])
            taps = np.arange(window.kernel[axis]) * window.dilations[axis]
            starts = np.arange(windows) * window.strides[axis] - window.before[axis]
            within = np.add.outer(within, taps * stride)
            self.starts = np.add.outer(self.starts, starts * stride)
        self.within = within.reshape(-1)

    def __call__(self, place: Array, planes: slice, out: Array) -> None:
        np.take(self.within, place, out=out, mode="clip")  # the mode that needs no buffer
        np.add(out, self.starts, out=out)
        firsts = np.arange(planes.start, planes.stop) * self.plane
        np.add(out, firsts.reshape(-1, *(1,) * self.starts.ndim), out=out)
