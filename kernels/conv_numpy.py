"""Convolution by NumPy: matrix products over strips of pictures, which the crew shares.

Forward, what windows see is copied into a matrix that stays in the cache. Backward, a product says
what each output tells each place that it saw, which is then summed up for each place: nothing is
scattered, so no two strips write to one place. The borders of strips follow from shapes alone, and
a product runs in one thread: the same call always rounds alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import crew
from .crew import part
from .dispatch import Array
from .window import Window

PATCHES = 1 << 18  # elements that a product reads and writes on the way forward
COLUMNS = 96  # of its matrix at least, or filters are packed too often
MESSAGES = 1 << 19  # elements that a product writes on the way back
CHANNELS = 16  # that those are about, where a picture has more
LARGEST = 1 << 23  # elements of either, if it can be helped
STRIP = 150e3  # nanoseconds of one at least: in Python, threads get into each other's way


def product(y: Array, x: Array, filters: Array, b: Array | None, window: Window) -> None:
    """Fill y with b (outputs,) and what filters make of the windows of x.

    Filters are (groups, outputs of a group, channels of a group * kernel).
    """
    group, outputs, depth = filters.shape
    n, channels = x.shape[:2]
    spatial, counts = x.shape[2:], y.shape[2:]
    patches = None
    if is_plain(window):
        spatial = counts = (math.prod(counts),)
    else:
        patches = Patches(window, spatial, counts)
    x = x.reshape(n, group, channels // group, *spatial)
    y = y.reshape(n, group, outputs, math.prod(counts))
    biases = None if b is None else b.reshape(group, outputs, 1)
    row = math.prod(counts[1:])
    places = n * group * math.prod(counts)
    taken = places * depth * (outputs / 48 + 0.2)  # nanoseconds, about
    blocks, strips = cut(n, group, counts[0], row, depth + outputs, taken)

    def work(piece: int) -> None:
        image, block, strip = digits(piece, blocks, strips)
        groups, rows = part(group, blocks, block), part(counts[0], strips, strip)
        seen = x[image, groups]
        matrix = patches(seen, rows) if patches else seen[:, :, rows]
        result = y[image, groups, :, rows.start * row : rows.stop * row]
        np.matmul(filters[groups], matrix, out=result)
        if biases is not None:
            np.add(result, biases[groups], out=result)

    with crew.alone():
        crew.share(work, n * blocks * strips, taken)


def is_plain(window: Window) -> bool:
    """Does each window see the element under it, and no other?"""
    return max(*window.kernel, *window.strides) == 1 and not any(window.pads)


def cut(n: int, group: int, rows: int, row: int, deep: int, taken: float) -> tuple[int, int]:
    """Into how many blocks of groups, and strips of rows, what is made of a picture is cut.

    Products read and write `deep` elements for each place.
    """
    places = group * rows * row
    pieces = min(places * deep // PATCHES, places // COLUMNS, int(taken / STRIP) // max(n, 1))
    pieces = max(pieces, 2 if n == 1 and taken > crew.WAKING else 1, places * deep // LARGEST)
    if pieces > 2:
        pieces = max(4, 4 * round(pieces / 4))  # threads should come to the end together
    blocks = min(group, pieces)
    return blocks, min(rows, -(-pieces // blocks))


def digits(number: int, *bases: int) -> list[int]:
    """The digits of a number; all but the first stay below a base of their own."""
    found = []
    for base in reversed(bases):
        number, digit = divmod(number, base)
        found.append(digit)
    return [number, *reversed(found)]


def overlap(first: int, count: int, size: int) -> slice:
    """Which of `count` places from `first` on lie within `size`."""
    low = min(max(first, 0), size)
    return slice(low, max(low, min(first + count, size)))


def moved(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by)


class Patches:
    """What windows see of pictures (groups, channels, ...), as matrices of a column for each."""

    def __init__(self, window: Window, spatial: Sequence[int], counts: Sequence[int]) -> None:
        self.window = window
        self.height = spatial[0]
        self.counts = counts[1:]
        # along the other axes: how much all windows see, what of it is there, and where that lies
        self.sizes = [
            (count - 1) * stride + span
            for count, stride, span in zip(counts, window.strides, window.span, strict=True)
        ][1:]
        axes = list(zip(window.before[1:], self.sizes, spatial[1:], strict=True))
        self.read = [overlap(-before, size, there) for before, size, there in axes]
        self.written = [moved(read, axis[0]) for read, axis in zip(self.read, axes, strict=True)]
        self.bordered = self.written != [slice(size) for size in self.sizes]

    def __call__(self, images: Array, rows: slice) -> Array:
        window, dtype = self.window, images.dtype
        count = rows.stop - rows.start
        first = window.strides[0] * rows.start - window.before[0]
        height = window.strides[0] * (count - 1) + window.span[0]
        read = overlap(first, height, self.height)
        section = crew.scratch("section", (*images.shape[:2], height, *self.sizes), dtype)
        if self.bordered or read.stop - read.start < height:
            section.fill(0)
        inside = section[:, :, moved(read, -first), *self.written]
        np.copyto(inside, images[:, :, read, *self.read])

        shape = (*images.shape[:2], *window.kernel, count, *self.counts)
        *outer, steps = *section.strides[:2], section.strides[2:]
        taps = [step * dilation for step, dilation in zip(steps, window.dilations, strict=True)]
        moves = [step * stride for step, stride in zip(steps, window.strides, strict=True)]
        patches = crew.scratch("patches", shape, dtype)
        np.copyto(patches, np.ndarray(shape, dtype, section, 0, (*outer, *taps, *moves)))
        return patches.reshape(shape[0], shape[1] * math.prod(window.kernel), -1)


def product_backward(dx: Array, dy: Array, filters: Array, window: Window) -> None:
    """Fill dx with the adjoint.

    Filters are (groups, outputs of a group, channels of a group, *kernel).
    """
    group, outputs, channels = filters.shape[:3]
    if is_plain(window):
        by = filters.reshape(group, outputs, channels).transpose(0, 2, 1)
        product(dx, dy, by, None, window)
        return
    if window.rank == 1:  # strips are rows: let there be one
        by = filters[:, :, :, None]
        product_backward(dx[:, :, None], dy[:, :, None], by, as_row(window))
        return
    n, _, *spatial = dx.shape
    counts = dy.shape[2:]
    filters = filters.reshape(group, outputs, channels, -1)
    dx = dx.reshape(n, group, channels, *spatial)
    dy = dy.reshape(n, group, outputs, *counts)
    sums = Sums(window, spatial, counts)
    # nanoseconds, about
    taken = n * group * channels * sums.taps * math.prod(counts) * (outputs / 48 + 0.3)
    blocks, shares, strips = sums.cut(n, group, channels, taken)

    def work(piece: int) -> None:
        image, block, share, strip = digits(piece, blocks, shares, strips)
        groups, some = part(group, blocks, block), part(channels, shares, share)
        rows = part(sums.axes[0].places, strips, strip)
        sums(dx[image, groups, some], dy[image, groups], filters[groups, :, some], rows)

    with crew.alone():
        crew.share(work, n * blocks * shares * strips, taken)


def as_row(window: Window) -> Window:
    """A window along one axis as a window of one row."""
    sides = ((1, *side) for side in (window.kernel, window.strides, window.dilations))
    kernel, strides, dilations = sides
    before, after = window.pads
    return Window(kernel, strides, (0, before, 0, after), dilations, window.ceil)


class Phase(NamedTuple):
    """The places of a picture in one phase of the stride, along an axis."""

    tap: int  # the first of the window that reads them
    taps: int
    start: int  # of what it is told, among the messages
    places: slice


class Axis:
    """An axis of a picture that windows slid over. Its places are counted in strides."""

    def __init__(
        self, size: int, count: int, length: int, stride: int, dilation: int, before: int
    ) -> None:
        self.size, self.count, self.length = size, count, length
        self.stride, self.dilation, self.before = stride, dilation, before
        self.reach = (length - 1) * dilation // stride  # from an output to the last that it saw
        self.first = before // stride
        last = (before + size - 1) // stride
        self.places = last + 1 - self.first
        # how far places lie before the first output, and behind the last one
        self.lead = max(0, self.reach - self.first)
        self.behind = max(0, last + 1 - count)
        # from one tap that reads a phase to the next
        common = math.gcd(stride, dilation)
        self.over, self.back = stride // common, dilation // common

    def phases(self, first: int, count: int, origin: int) -> list[Phase]:
        """Of `count` places from `first` on; messages begin with what the output `origin` tells."""
        found = []
        # a stride may be longer than the picture, which then has places in few of its phases
        begun = range(self.before, self.before + min(self.size, self.stride))
        for phase in sorted({place % self.stride for place in begun}):
            taps = [k for k in range(self.length) if k * self.dilation % self.stride == phase]
            tap = taps[0] if taps else 0
            place = self.stride * first + phase - self.before
            skipped = max(0, -(place // self.stride))
            many = max(0, min(count, -((place - self.size) // self.stride)) - skipped)
            place += self.stride * skipped
            start = first + skipped - tap * self.dilation // self.stride - origin
            places = slice(place, place + self.stride * many, self.stride)
            found.append(Phase(tap, len(taps), start, places))
        return found


class Sums:
    """Sums for each place over the outputs that saw it, in rows of pictures."""

    def __init__(self, window: Window, spatial: Sequence[int], counts: Sequence[int]) -> None:
        self.kernel = window.kernel
        self.taps = math.prod(window.kernel)
        sides = window.kernel, window.strides, window.dilations, window.before
        self.axes = [Axis(*axis) for axis in zip(spatial, counts, *sides, strict=True)]
        *inner, last = self.axes[1:]
        # where there are no outputs nothing is told; rows have the zeros between them in common
        self.written = [slice(axis.lead, axis.lead + axis.count) for axis in inner]
        self.sizes = [axis.lead + axis.count + axis.behind for axis in inner]
        self.sizes.append(last.count + max(last.lead, last.behind))
        self.row = math.prod(self.sizes)
        self.lead = last.lead
        self.phases = [axis.phases(axis.first, axis.places, -axis.lead) for axis in self.axes[1:]]

    def cut(self, n: int, group: int, channels: int, taken: float) -> tuple[int, int, int]:
        """Into how many blocks of groups, shares of their channels, and strips of rows."""
        axis = self.axes[0]
        every = group * channels
        message = self.taps * self.row  # elements for a row of a channel
        rows = max(1, 4 * axis.reach, MESSAGES // (message * min(every, CHANNELS)))
        strips = -(-axis.places // rows)
        rows = -(-axis.places // strips) + axis.reach
        blocks = max(1, round(every * rows * message / MESSAGES))
        if n == blocks == strips == 1 and taken > crew.WAKING:
            blocks = 2
        return min(group, blocks), min(channels, -(-blocks // group)), strips

    def __call__(self, dx: Array, dy: Array, filters: Array, rows: slice) -> None:
        """Fill rows of dx (groups, channels, ...) by filters (groups, outputs, channels, taps)."""
        axis = self.axes[0]
        groups, channels = dx.shape[:2]
        count = rows.stop - rows.start
        first = axis.first + rows.start
        origin = first - axis.reach
        there = overlap(origin, count + axis.reach, axis.count)
        begin, end = (self.lead + self.row * (row - origin) for row in (there.start, there.stop))
        width = self.lead + self.row * (count + axis.reach)
        messages = crew.scratch("messages", (groups, channels * self.taps, width), dx.dtype)
        messages[..., :begin] = 0
        messages[..., end:] = 0
        by = filters.reshape(groups, filters.shape[1], -1).transpose(0, 2, 1)
        np.matmul(by, self.outputs(dy[:, :, there]), out=messages[..., begin:end])

        rank = len(self.axes)
        item = messages.itemsize
        steps = [item * math.prod(self.sizes[k:]) for k in range(rank)]
        taps = [item * width * math.prod(self.kernel[k + 1 :]) for k in range(rank)]
        moves = [a.over * tap - a.back * step for a, tap, step in zip(self.axes, taps, steps)]
        strides = (messages.strides[0], item * width * self.taps, *moves, *steps)
        for phases in itertools.product(axis.phases(first, count, origin), *self.phases):
            to = dx[:, :, *(phase.places for phase in phases)]
            shape = (groups, channels, *(phase.taps for phase in phases), *to.shape[2:])
            if 0 in shape:
                to[...] = 0
                continue
            start = sum(p.tap * tap + p.start * step for p, tap, step in zip(phases, taps, steps))
            told = np.ndarray(shape, dx.dtype, messages, start, strides)
            np.add.reduce(told, tuple(range(2, 2 + rank)), out=to)

    def outputs(self, dy: Array) -> Array:
        """Rows of dy as matrices (groups, outputs, places), with zeros where there is no output."""
        section = crew.scratch("section", (*dy.shape[:3], *self.sizes), dy.dtype)
        if self.written:
            section.fill(0)
        else:
            section[..., dy.shape[-1] :] = 0
        np.copyto(section[:, :, :, *self.written, : dy.shape[-1]], dy)
        return section.reshape(*dy.shape[:2], -1)
