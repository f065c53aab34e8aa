"""Functions of each element that NumPy has no name for."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import scipy.special

from .dispatch import Array, Case, kernel
from .pointwise import pointwise
from .symbol import by_element, node


@pointwise("erf({0})")
@kernel
def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    return scipy.special.erf(x)


@pointwise("({0} > 0 ? {0} : 0) + log1p(exp(-fabs({0})))")
@kernel
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), the smooth max(x, 0), without overflow for any x."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@kernel
def truncated_divide(a: Array, b: Array) -> Array:
    """a / b of integers, rounded towards zero, as in C and ONNX."""
    return (a - np.fmod(a, b)) // b


@erf.onnx
def _(x: Array) -> Array:
    return node("Erf", x)


@softplus.onnx
def _(x: Array) -> Array:
    return node("Softplus", x)


@truncated_divide.onnx
def _(a: Array, b: Array) -> Array:
    return by_element(truncated_divide, functools.partial(node, "Div"), a, b)


@erf.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (2 * random.normal(size=(2, 3, 5, 7)),)


@softplus.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (50 * random.normal(size=(2, 3, 5, 7)),)


@truncated_divide.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.integers(-20, 20, (2, 3, 5, 7)), random.choice([-3, -2, 2, 7], (5, 7))
