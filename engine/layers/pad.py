"""Borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneiro.kernels.border import SOURCES, Widths, extend, extend_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.resample import LIMIT

from ..layer import Layer, layer


@layer
class Pad(Layer):
    """A border: of one value, or of what the picture holds; a negative width cuts.

    reflect mirrors the picture at its first and last elements, edge repeats those, wrap repeats
    the picture.
    """

    numbers = (1, 2, 3)
    mode: str = "constant"

    def forward(self, x: Array, pads: Any, value: Any = None, axes: Any = None) -> Array:
        self.widths = widths(x, pads, axes)
        if self.mode == "constant":
            return bordered(x, self.widths, 0 if value is None else np.asarray(value).item())
        if self.mode not in SOURCES:
            raise ValueError(f"mode {self.mode!r} is not one of constant, {', '.join(SOURCES)}")
        x = bordered(x, [(min(before, 0), min(after, 0)) for before, after in self.widths])
        for size, pair in zip(x.shape, self.grown()):
            if isinstance(size, int) and any(pair):
                self.check(size, pair)
        return extend(x, self.grown(), self.mode)

    def backward(self, dy: Array) -> tuple[Array, None, None, None]:
        back = [(-before, -after) for before, after in self.widths]
        if self.mode != "constant":
            dy = extend_backward(dy, self.grown(), self.mode)
            back = [(max(before, 0), max(after, 0)) for before, after in back]
        return bordered(dy, back), None, None, None

    def grown(self) -> Widths:
        """The widths that do not cut."""
        return [(max(before, 0), max(after, 0)) for before, after in self.widths]

    def check(self, size: int, pair: tuple[int, int]) -> None:
        """Can an axis have that border?"""
        if size < (2 if self.mode == "reflect" else 1):
            raise ValueError(f"an axis of {size} has nothing for a border by {self.mode}")
        if size + sum(pair) > LIMIT:
            raise ValueError(f"a border of {pair} elements is too wide")


@layer
class CenterCropPad(Layer):
    """The middle of x in another shape: zeros around it, or less of it, or both."""

    numbers = (1,)
    axes: Sequence[int] = ()

    def forward(self, x: Array, shape: Any) -> Array:
        axes = named_axes(self.axes, x.ndim)
        if len(shape) != len(axes):
            raise ValueError(f"{len(shape)} sizes for {len(axes)} axes")
        pads = []
        for axis, size in zip(axes, shape):
            if not isinstance(x.shape[axis], int):
                raise NotImplementedError("the middle of a picture: trace it for one size")
            more = int(size) - x.shape[axis]
            # an odd element is added, or taken away, behind
            before = more // 2 if more > 0 else -(-more // 2)
            pads.append((before, more - before))
        self.widths = widths(x, np.transpose(pads), axes)
        return bordered(x, self.widths)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return bordered(dy, [(-before, -after) for before, after in self.widths]), None


def named_axes(axes: Any, rank: int) -> list[int]:
    """The axes counted from the front, all of them where none are named."""
    if axes is None or not len(axes):
        return [*range(rank)]
    given = [int(axis) for axis in axes]
    if any(not -rank <= axis < rank for axis in given):
        raise ValueError(f"axes {given} are not all among {rank}")
    named = [axis % rank for axis in given]
    if len(set(named)) < len(named):
        raise ValueError(f"axes {given} name one twice")
    return named


def widths(x: Array, pads: Any, axes: Any) -> Widths:
    """For each axis of x what ONNX's pads, of these axes or of all, add before and after it."""
    named = named_axes(axes, x.ndim)
    if np.size(pads) != 2 * len(named):
        raise ValueError(f"{np.size(pads)} pads for {len(named)} axes, which take two each")
    result = [(0, 0)] * x.ndim
    for axis, before, after in zip(named, *np.reshape(pads, (2, -1)).tolist(), strict=True):
        size = x.shape[axis]
        if isinstance(size, int) and size + before + after < 0:
            raise ValueError(f"pads of {before} and {after} leave nothing of {size} elements")
        result[axis] = before, after
    return result


def bordered(x: Array, widths: Widths, value: Any = 0) -> Array:
    """x with a border of one value; where a width is negative, without what lies there."""
    if any(max(pair) > 0 for pair in widths):
        grown = [(max(before, 0), max(after, 0)) for before, after in widths]
        x = np.pad(x, grown, constant_values=value)
    inside = (slice(max(-before, 0) or None, min(after, 0) or None) for before, after in widths)
    return x[tuple(inside)]
