"""Local response normalisation, and sums over neighbouring channels, which are its heart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import lrn_numpy
from .array import DeviceArray, channels_last, laid_out
from .dispatch import Array, Case, kernel
from .line import THREADS
from .pointwise import NONE, Epilogue
from .source import Source
from .symbol import known, node
from .tail import NOTHING, Tail

LRN = Source("lrn.cu")

LARGEST = 4096  # channels of an exported sum, which is a matrix of channels x channels


@kernel
def channel_sum(x: Array, before: int, after: int) -> Array:
    """Each channel plus the `before` channels below it and the `after` channels above it.

    x is (n, c, ...). The adjoint is the same sum with `before` and `after` exchanged.
    """
    y = x.copy()
    farthest = x.shape[1] - 1
    for k in range(1, min(before, farthest) + 1):
        y[:, k:] += x[:, :-k]
    for k in range(1, min(after, farthest) + 1):
        y[:, :-k] += x[:, k:]
    return y


@kernel
def lrn(x: Array, size: int, alpha: float, beta: float, bias: float) -> tuple[Array, Array, Array]:
    """x divided by a power of the squares in the neighbouring channels (AlexNet).

    y = x * scale ** -beta, scale = bias + alpha / size * (sum of x**2 over `size` channels), all
    (n, c, ...). Returns y, scale, and scale ** -beta; the last two for the way back.
    """
    y, scale, shrink = (np.empty(x.shape, x.dtype) for _ in range(3))
    lrn_numpy.lrn(y, scale, shrink, x, reach(size), alpha / size, beta, bias)
    return y, scale, shrink


@kernel
def lrn_backward(
    dy: Array, x: Array, scale: Array, shrink: Array, size: int, alpha: float, beta: float
) -> Array:
    """The gradient in x, of which lrn made `scale` and `shrink`."""
    dx = np.empty(x.shape, dy.dtype)
    gain = 2 * alpha * beta / size
    lrn_numpy.lrn_backward(dx, dy, x, scale, shrink, reach(size)[::-1], gain)
    return dx


@kernel
def lrn_forward(x: Array, size: int, alpha: float, beta: float, bias: float) -> Array:
    """The first of lrn's results, with nothing kept for the way back."""
    return lrn(x, size, alpha, beta, bias)[0]


@kernel
def lrn_gradient(dy: Array, x: Array, size: int, alpha: float, beta: float, bias: float) -> Array:
    """The gradient of lrn at x, with nothing kept in between."""
    _, scale, shrink = lrn(x, size, alpha, beta, bias)
    return lrn_backward(dy, x, scale, shrink, size, alpha, beta)


def reach(size: int) -> tuple[int, int]:
    """Channels before and after the middle one; even sizes reach one further up."""
    return (size - 1) // 2, size // 2


@channel_sum.onnx
def _(x: Array, before: int, after: int) -> Array:
    # a 1x1 convolution by a banded matrix: runtimes have no faster way to add channels
    channels = x.shape[1]
    if channels > LARGEST:
        raise ValueError(f"sums over {channels} channels: {LARGEST} are the most")
    distance = np.subtract.outer(np.arange(channels), np.arange(channels))
    band = ((distance <= before) & (distance >= -after)).astype(x.dtype)
    filters = band.reshape(channels, channels, *(1,) * (x.ndim - 2))
    return node("Conv", x, filters, dims=known(x.shape))


@lrn.onnx
def _(x: Array, size: int, alpha: float, beta: float, bias: float) -> tuple[Array, Array, Array]:
    scale = bias + alpha / size * channel_sum(x * x, *reach(size))
    shrink = scale**-beta
    return x * shrink, scale, shrink


@lrn_backward.onnx
def _(
    dy: Array, x: Array, scale: Array, shrink: Array, size: int, alpha: float, beta: float
) -> Array:
    before, after = reach(size)
    shared = channel_sum(dy * x * shrink / scale, after, before)
    return dy * shrink - (2 * alpha * beta / size) * x * shared


@channel_sum.cuda
def _(x: Any, before: int, after: int) -> DeviceArray:
    return over_neighbours("channel_sum", 1, (x,), before, after)[0]


@lrn.cuda
def _(x: Any, size: int, alpha: float, beta: float, bias: float) -> tuple[DeviceArray, ...]:
    numbers = (float(alpha / size), float(beta), float(bias))
    return over_neighbours("lrn", 3, (x,), *reach(size), *numbers)


@lrn_backward.cuda
def _(
    dy: Any,
    x: Any,
    scale: Any,
    shrink: Any,
    size: int,
    alpha: float,
    beta: float,
    epilogue: Epilogue = NONE,
) -> DeviceArray:
    arrays = (dy, x, scale, shrink)
    before, after = reach(size)
    gain = 2 * alpha * beta / size
    if dy.ndim == 3:  # the house has these in another order than this kernel
        return epilogue.of(over_neighbours("lrn_backward", 1, arrays, after, before, gain)[0])
    return over_neighbours("lrn_backward", 1, arrays, after, before, gain, epilogue=epilogue)[0]


def over_neighbours(
    function: str,
    results: int,
    arrays: tuple[DeviceArray, ...],
    below: int,
    above: int,
    *numbers: float,
    epilogue: Epilogue = NONE,
) -> tuple[DeviceArray, ...]:
    """Launch a function of lrn.cu; all arrays have one shape, and so have its results."""
    arrays = tuple(channels_last(array) for array in arrays)
    x = arrays[0]
    order = (0, *range(2, x.ndim), 1)
    made = tuple(laid_out(x.shape, x, x.dtype, order) for _ in range(results))
    farthest = x.shape[1] - 1
    below, above = min(below, farthest), min(above, farthest)
    args = (*made, *arrays, x.size, x.shape[1], below, above, *numbers, epilogue.args)
    shared = 4 * (below + THREADS + above)
    grid = -(-x.size // THREADS)
    LRN.launch(function, grid, THREADS, args, defines=epilogue.defines, shared=shared)
    return made


@lrn_forward.fast
def _(out: Array, x: Array, size: int, alpha: float, beta: float, bias: float) -> None:
    from . import lrn_numba

    lrn_numba.lrn_forward(out, x, reach(size), alpha / size, beta, bias)


@lrn_gradient.fast
def _(
    out: Array,
    dy: Array,
    x: Array,
    size: int,
    alpha: float,
    beta: float,
    bias: float,
    tail: Tail = NOTHING,
) -> None:
    from . import lrn_numba

    lrn_numba.lrn_gradient(out, dy, x, reach(size), alpha / size, beta, bias, tail)


@channel_sum.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 7, 3, 5)), 1, 2
    yield random.normal(size=(1, 6, 5, 4)), 2, 2
    yield random.normal(size=(1, 2, 5, 4)), 3, 2  # fewer channels than the sum reaches


@lrn.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, size in SIZES:
        yield random.normal(size=shape), size, 2.0, 0.8, 1.5


@lrn_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, size in SIZES:
        x, dy = random.normal(size=(2, *shape))
        _, scale, shrink = lrn.specification(x, size, 2.0, 0.8, 1.5)
        yield dy, x, scale, shrink, size, 2.0, 0.8


@lrn_forward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, size in SIZES:
        yield random.normal(size=shape), size, 2.0, 0.75, 1.5


@lrn_gradient.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, size in SIZES:
        x, dy = random.normal(size=(2, *shape))
        yield dy, x, size, 2.0, 0.75, 1.5


# more than a block of one picture, an even size, one beyond the channels, other numbers of axes
SIZES = [((2, 7, 6, 5), 3), ((1, 6, 5, 4), 4), ((1, 3, 5, 4), 9), ((2, 7, 3), 5)]
