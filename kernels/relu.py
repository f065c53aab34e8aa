"""The rectifier and the gate that it is on the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import crew
from .crew import part
from .dispatch import Array, Case, kernel
from .pointwise import pointwise
from .symbol import node


@pointwise("{0} < 0 ? 0 : {0}")
@kernel
def relu(x: Array) -> Array:
    """max(x, 0)"""
    y = np.empty_like(x)
    by_blocks(lambda y, x: np.maximum(x, 0, out=y), y, x)
    return y


@pointwise("{1} ? {0} : 0")
@kernel
def gate(dy: Array, opened: Array) -> Array:
    """dy where `opened` is true, else 0. A product: several times faster than a choice."""
    return dy * opened


@pointwise("{1} > 0 ? {0} : 0")
@kernel
def relu_backward(dy: Array, y: Array) -> Array:
    """dy where the rectified y is positive (so was x), else 0; at 0 itself the slope is 0."""
    dx = np.empty_like(dy)

    def gated(dx: Array, dy: Array, y: Array) -> None:
        opened = np.greater(y, 0, out=crew.scratch("opened", y.shape, bool))
        np.multiply(dy, opened, out=dx)

    by_blocks(gated, dx, dy, y)
    return dx


BLOCK = 1 << 17


def by_blocks(work: Callable[..., object], *arrays: Array) -> None:
    """Have all elements of arrays of one shape worked at, which the crew shares."""
    size = arrays[0].size
    dense = all(array.flags.c_contiguous and array.size == size for array in arrays)
    if not dense:
        work(*arrays)
        return
    rows = [array.reshape(-1) for array in arrays]
    pieces = -(-size // BLOCK)

    def piece(number: int) -> None:
        some = part(size, pieces, number)
        work(*(row[some] for row in rows))

    crew.share(piece, pieces, size / 4)


@relu.onnx
def _(x: Array) -> Array:
    # the operator itself, which runtimes recognise and fuse, where NumPy would write Max
    return node("Relu", x)


@relu_backward.onnx
def _(dy: Array, y: Array) -> Array:
    return gate(dy, y > 0)


@gate.onnx
def _(dy: Array, opened: Array) -> Array:
    # a gate behind a gate is one by both masks: runtimes join them sooner than they choose again
    before = getattr(dy, "gated", ())
    if before:
        dy, opened = before[0], before[1] & opened
    dx: Any = np.where(opened, dy, np.zeros((), dy.dtype))
    dx.gated = dy, opened
    return dx


@relu.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (random.normal(size=(2, 3, 5, 7)),)


@relu_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), np.maximum(random.normal(size=(2, 3, 5, 7)), 0)


@gate.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), random.random((2, 3, 5, 7)) < 0.5
