"""The rectifier and the gate that it is on the way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .dispatch import Array, Case, kernel
from .pointwise import pointwise
from .symbol import node


@pointwise("{0} < 0 ? 0 : {0}")
@kernel
def relu(x: Array) -> Array:
    """max(x, 0)"""
    return np.maximum(x, 0)


@pointwise("{1} ? {0} : 0")
@kernel
def gate(dy: Array, opened: Array) -> Array:
    """dy where `opened` is true, else 0. A product: several times faster than a choice."""
    return dy * opened


@pointwise("{1} > 0 ? {0} : 0")
@kernel
def relu_backward(dy: Array, y: Array) -> Array:
    """dy where the rectified y is positive (so was x), else 0; at 0 itself the slope is 0."""
    return gate(dy, y > 0)


@relu.onnx
def _(x: Array) -> Array:
    # the operator itself, which runtimes recognise and fuse, where NumPy would write Max
    return node("Relu", x)


@gate.onnx
def _(dy: Array, opened: Array) -> Array:
    return np.where(opened, dy, np.zeros((), dy.dtype))


@relu.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (random.normal(size=(2, 3, 5, 7)),)


@relu_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), np.maximum(random.normal(size=(2, 3, 5, 7)), 0)


@gate.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), random.random((2, 3, 5, 7)) < 0.5
