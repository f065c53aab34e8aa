"""Borders made of what an array holds: mirrored, repeated, or wrapped around."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .array import DeviceArray, dense, empty
from .dispatch import Array, Case, kernel
from .index import gather
from .line import lanes, launch, lines, resized
from .pointwise import C_TYPES
from .resample import resample, selection
from .source import Source
from .symbol import known, node

BORDER = Source("border.cu")

Widths = Sequence[tuple[int, int]]  # elements before and after each axis

# Where an element at place k, inside or outside of an axis, is read.
SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda k, size: size - 1 - np.abs(k % (2 * size - 2) - (size - 1)),
    "edge": lambda k, size: np.clip(k, 0, size - 1),
    "wrap": lambda k, size: k % size,
}


@kernel
def extend(x: Array, widths: Widths, mode: str) -> Array:
    """x with a border: mirrored at its ends (reflect), its ends (edge), or itself again (wrap)."""
    return np.pad(x, widths, mode)  # type: ignore[call-overload]


@kernel
def extend_backward(dy: Array, widths: Widths, mode: str) -> Array:
    """The adjoint: what the border holds goes back to where it was read."""
    for axis, (before, after) in enumerate(widths):
        lines = np.moveaxis(dy, axis, 0)
        stop = len(lines) - after
        outside = np.array([*range(before), *range(stop, len(lines))], int)
        dx = lines[before:stop].copy(order="K")
        for place, source in zip(outside, SOURCES[mode](outside - before, len(dx))):
            dx[source] += lines[place]
        dy = np.moveaxis(dx, 0, axis)
    return dy


@extend.onnx
def _(x: Array, widths: Widths, mode: str) -> Array:
    for axis, (before, after) in enumerate(widths):
        size = x.shape[axis]
        if not before and not after:
            continue
        if isinstance(size, int):
            x = gather(x, SOURCES[mode](np.arange(-before, size + after), size), axis)
        elif mode == "wrap":  # which ONNX's Pad learnt in opset 19
            head = [along(x, axis, -before, None)] if before else []
            tail = [along(x, axis, 0, after)] if after else []
            x = np.concatenate([*head, x, *tail], axis)
        else:
            ends = np.zeros((2, x.ndim), np.int64)
            ends[:, axis] = before, after
            x = node("Pad", x, ends.reshape(-1), mode=mode, dtype=x.dtype, dims=known(x.shape))
    return x


@extend_backward.onnx
def _(dy: Array, widths: Widths, mode: str) -> Array:
    for axis, (before, after) in enumerate(widths):
        size = dy.shape[axis]
        if isinstance(size, int):
            size -= before + after
            index = SOURCES[mode](np.arange(-before, size + after), size)
            dy = resample(dy, selection(index, size).T, axis) if before or after else dy
            continue
        # of an unknown size the border is known to be no wider
        dx = along(dy, axis, before, -after or None)
        if before:
            head = along(dy, axis, 0, before)
            match mode:
                case "reflect":
                    dx = added(dx, along(head, axis, None, None, -1), axis, 1, before + 1)
                case "edge":
                    dx = added(dx, head.sum(axis, keepdims=True), axis, 0, 1)
                case "wrap":
                    dx = added(dx, head, axis, -before, None)
        if after:
            tail = along(dy, axis, -after, None)
            match mode:
                case "reflect":
                    dx = added(dx, along(tail, axis, None, None, -1), axis, -after - 1, -1)
                case "edge":
                    dx = added(dx, tail.sum(axis, keepdims=True), axis, -1, None)
                case "wrap":
                    dx = added(dx, tail, axis, 0, after)
        dy = dx
    return dy


def along(x: Array, axis: int, start: int | None, stop: int | None, step: int = 1) -> Array:
    """x[start:stop:step] on an axis."""
    return x[(*[slice(None)] * axis, slice(start, stop, step))]


def added(x: Array, part: Array, axis: int, start: int, stop: int | None) -> Array:
    """x with a part added to x[start:stop] on an axis."""
    pieces = [along(x, axis, 0, start), along(x, axis, start, stop) + part]
    return np.concatenate(pieces if stop is None else [*pieces, along(x, axis, stop, None)], axis)


@extend.cuda
def _(x: Any, widths: Widths, mode: str) -> DeviceArray:
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = dense(x)
            outer, size, inner = lines(x.shape, axis)
            length = before + size + after
            y = empty(resized(x.shape, axis, length), x)
            wide = lanes(inner, x, y)
            defines = {"MODE": mode.upper(), "TYPE": C_TYPES[x.dtype.name], "LANES": wide}
            args = (y, x, outer, size, length, before, inner)
            launch(BORDER, "extend", y.size // wide, args, defines)
            x = y
    return x


@extend_backward.cuda
def _(dy: Any, widths: Widths, mode: str) -> DeviceArray:
    for axis, (before, after) in enumerate(widths):
        if before or after:
            dy = dense(dy)
            outer, length, inner = lines(dy.shape, axis)
            size = length - before - after
            dx = empty(resized(dy.shape, axis, size), dy)
            wide = lanes(inner, dx, dy)
            args = (dx, dy, outer, size, length, before, inner)
            defines = {"MODE": mode.upper(), "TYPE": "float", "LANES": wide}
            launch(BORDER, "extend_backward", dx.size // wide, args, defines)
            dy = dx
    return dy


@extend.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for mode in SOURCES:
        for widths in ([(0, 0), (1, 2), (4, 3), (0, 1)], [(0, 0), (0, 0), (2, 0), (5, 6)]):
            yield random.normal(size=(2, 4, 5, 7)), widths, mode
            yield random.normal(size=(5, 7)), widths[2:], mode


@extend_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    assert extend.draw
    for x, widths, mode in extend.draw(random):
        yield random.normal(size=extend(x, widths, mode).shape), widths, mode
