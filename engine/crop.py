"""Pieces of pictures: what a unit sees, and the smallest picture that shows it the same."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .field import Field


class Box(NamedTuple):
    """A piece of a picture in pixels; it may begin before the picture, and end behind it."""

    top: int
    left: int
    height: int
    width: int


def box(field: Field, row: int, column: int) -> Box:
    """What a unit at this place sees."""
    top, left = (
        math.ceil(offset + place * stride)
        for place, stride, offset in zip((row, column), field.stride, field.offset, strict=True)
    )
    return Box(top, left, *field.size)


def clipped(seen: Box, h: int, w: int) -> Box:
    """The part of a box that lies in the picture, along an axis on which the box is larger."""
    spans = []
    for first, size, side in zip(seen[:2], seen[2:], (h, w), strict=True):
        low, high = max(first, 0), min(first + size, side)
        spans.append((low, high - low) if size > side else (first, size))
    return Box(spans[0][0], spans[1][0], spans[0][1], spans[1][1])


def cut(values: ArrayLike, box: Box, fill: ArrayLike = 0) -> NDArray[Any]:
    """That piece of an array (h, w, c), with `fill`, (c,), where it is outside."""
    values = np.asarray(values)
    h, w, c = values.shape
    piece = np.empty((box.height, box.width, c), values.dtype)
    piece[...] = fill
    top, left = max(box.top, 0), max(box.left, 0)
    bottom, right = min(box.top + box.height, h), min(box.left + box.width, w)
    if top < bottom and left < right:
        rows, columns = slice(top, bottom), slice(left, right)
        place = slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left)
        piece[place] = values[rows, columns]
    return piece


class Window(NamedTuple):
    """Pieces of a picture, all of one size, that begin at multiples of `step` pixels."""

    height: int
    width: int
    step: int

    def corner(self, seen: Box, h: int, w: int) -> tuple[int, int]:
        """Where in a picture (h, w) the piece begins that holds what is seen."""
        top, left = (
            min(max(first // self.step * self.step, 0), side - length)
            for first, side, length in zip(seen[:2], (h, w), self[:2], strict=True)
        )
        return top, left


def window(field: Field, below: Iterable[Field | None], h: int, w: int) -> Window:
    """Pieces of a picture (h, w) in which units come out the same, with all that they see.

    `below` are the receptive fields of the blobs on the way to the units. Each unit on the way sees
    a part of what the last one sees. It is the same unit in a piece that begins at a multiple of
    all strides, and is as long as the picture but for such a multiple; and where a unit sees beyond
    the border, the piece ends there too, so that padding is where it was.

    The whole picture where strides are broken, or where something on the way sees all of it.
    """
    strides = [stride for f in (field, *below) for stride in (f.stride if f else (0.5,))]
    step = math.lcm(*(int(stride) for stride in strides))
    if any(stride != int(stride) or stride < 1 for stride in strides):
        return Window(h, w, 1)
    sides = []
    for size, side in zip(field.size, (h, w), strict=True):
        length = size + step - 1
        sides.append(min(length + (side - length) % step, side))
    return Window(sides[0], sides[1], step)
