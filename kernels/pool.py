"""Pooling over windows and its adjoints.

What max_pool notes for its way back belongs to the pair: callers only carry it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import pool_numpy
from .array import DeviceArray, dense, empty
from .conv import conv, conv_backward
from .dispatch import Array, Case, kernel
from .layout import filled
from .line import lanes, launch, together
from .pointwise import NONE, Epilogue
from .source import Source
from .symbol import Shape, Symbol, known, node, vector, zeros
from .tail import NOTHING, Tail
from .window import Window, padded, padded_shape, sliding_window, unpadded

POOL = Source("pool.cu")
UNPOOL = Source("unpool.cu")
AXES = 3  # that pool.cu pools over


@kernel
def max_pool(x: Array, window: Window) -> tuple[Array, Array]:
    """The largest value of each window, and where it was: a flat index into x.

    x is (n, c, ...); the first of equal values wins, in the order of memory.
    """
    shape = (*x.shape[:2], *window.sizes(x.shape[2:]))
    y, where = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    pool_numpy.max_pool(y, where, x, window)
    return y, where


@kernel
def max_pool_backward(dy: Array, where: Array, shape: Shape, window: Window) -> Array:
    """The adjoint: an output goes to the input it came from; overlapping windows add up.

    `where` says it all. The window is for who asks the other way round: which outputs, of the few
    that saw it, an input went to.
    """
    dx = np.empty(shape, dy.dtype)
    pool_numpy.max_pool_backward(dx, dy, where)
    return dx


@kernel
def max_pool_gradient(dy: Array, x: Array, window: Window) -> Array:
    """The gradient of max_pool at x, with nothing kept in between."""
    return max_pool_backward(dy, max_pool(x, window)[1], x.shape, window)


@kernel
def unpool(x: Array, where: Array, shape: Shape) -> Array:
    """Zeros of `shape` with x at the flat places `where`; a later value replaces an earlier one."""
    y = np.zeros(math.prod(shape), x.dtype)
    y[where.reshape(-1)] = x.reshape(-1)
    return y.reshape(shape)


@kernel
def unpool_backward(dy: Array, where: Array) -> Array:
    """The adjoint, if no place comes twice."""
    return dy.reshape(-1)[where]


@kernel
def average_pool(x: Array, window: Window, include_pad: bool) -> Array:
    """The mean of each window of x (n, c, ...), over the padding too if `include_pad`."""
    spatial = x.shape[2:]
    full = padded(x, window, 0)
    y = np.zeros((*x.shape[:2], *window.sizes(spatial)), x.dtype)
    for _, sweep in window.offsets(window.sizes(spatial)):
        y += full[sweep]
    return y / multiplied(counted(spatial, window, include_pad), x.dtype)


@kernel
def average_pool_backward(dy: Array, shape: Shape, window: Window, include_pad: bool) -> Array:
    """The adjoint for an input of `shape`: a window's elements share its diff equally."""
    spatial = shape[2:]
    dx = np.zeros(padded_shape(shape, window), dy.dtype)
    share = dy / multiplied(counted(spatial, window, include_pad), dy.dtype)
    for _, sweep in window.offsets(dy.shape[2:]):
        dx[sweep] += share
    return unpadded(dx, window, spatial)


def counted(spatial: tuple[int, ...], window: Window, include_pad: bool) -> list[Array]:
    """How many elements each window averages over: what ceil mode adds never counts.

    A factor for each axis, which are broadcast to the whole: (h, 1) and (w,).
    """
    factors = []
    for axis, (size, count, length, stride, dilation, before, after) in enumerate(zip(
        spatial, window.sizes(spatial), window.kernel, window.strides, window.dilations,
        window.before, window.after, strict=True,
    )):  # fmt: skip
        starts = np.arange(count) * stride - before
        low, high = (-before, size + after) if include_pad else (0, size)
        # the numbers of the first place at or behind each bound
        first, last = (np.clip(-((starts - end) // dilation), 0, length) for end in (low, high))
        factors.append((last - first).reshape(-1, *(1,) * (window.rank - 1 - axis)))
    return factors


def multiplied(factors: list[Array], dtype: Any) -> Array:
    """The product of factors that are broadcast, in this type."""
    return functools.reduce(np.multiply, factors).astype(dtype)


@kernel
def global_max_pool(x: Array) -> tuple[Array, Array]:
    """The largest value of each plane of x (n, c, ...), and where it was: the first of equals."""
    flat = x.reshape(x.shape[0], x.shape[1], -1)
    where = flat.argmax(2, keepdims=True)
    y = np.take_along_axis(flat, where, 2)
    return y.reshape(*x.shape[:2], *(1,) * (x.ndim - 2)), where


@kernel
def global_max_pool_backward(dy: Array, where: Array, shape: Shape) -> Array:
    """The adjoint: each plane's diff goes to its largest value."""
    dx = np.zeros((shape[0], shape[1], math.prod(shape[2:])), dy.dtype)
    np.put_along_axis(dx, where, dy.reshape(where.shape), 2)
    return dx.reshape(shape)


@max_pool.onnx
def _(x: Array, window: Window) -> tuple[Array, Array]:
    dims = (*known(x.shape)[:2], *window.dims(x.shape))
    window = without_ceil(window, x.shape[2:])
    ceil = int(window.ceil)
    y, where = node("MaxPool", x, ceil_mode=ceil, **window.attributes(), dims=[dims, dims])
    where.dtype = np.dtype(np.int64)  # ONNX defines the same flat index into x
    return y, where


def without_ceil(window: Window, spatial: Shape) -> Window:
    """Rounding up written as padding where the size is known: not all runtimes round alike."""
    return window.exact(spatial) if window.ceil and None not in known(spatial) else window


@max_pool_backward.onnx
def _(dy: Array, where: Array, shape: Shape, window: Window) -> Array:
    flat = zeros(dy.graph, (math.prod(shape),), dy.dtype)  # type: ignore[attr-defined]
    ones = (where.reshape(-1), dy.reshape(-1))
    flat = node("ScatterElements", flat, *ones, axis=0, reduction="add", dims=flat.dims)
    return flat.reshape(shape)


@unpool.onnx
def _(x: Array, where: Array, shape: Shape) -> Array:
    flat = zeros(x.graph, (math.prod(shape),), x.dtype)  # type: ignore[attr-defined]
    places = (where.reshape(-1), x.reshape(-1))
    return node("ScatterElements", flat, *places, axis=0, dims=flat.dims).reshape(shape)


@unpool_backward.onnx
def _(dy: Array, where: Array) -> Array:
    return node("Gather", dy.reshape(-1), where, axis=0, dtype=dy.dtype, dims=known(where.shape))


@average_pool.onnx
def _(x: Array, window: Window, include_pad: bool) -> Array:
    plain = without_ceil(window, x.shape[2:])
    # AveragePool learnt dilations in opset 19, and would count the padding that stands for ceil
    if set(window.dilations) != {1} or (include_pad and plain != window):
        if plain.ceil:
            raise NotImplementedError("an average over dilated windows has no ceil mode in ONNX")
        ones = np.ones((x.shape[1], 1, *window.kernel), x.dtype)
        total = conv(x, ones, None, plain, x.shape[1])
        return shared(total, x.shape[2:], window, include_pad)
    attributes = plain.attributes() | {"count_include_pad": int(include_pad)}
    del attributes["dilations"]
    dims = (*known(x.shape)[:2], *window.dims(x.shape))
    return node("AveragePool", x, ceil_mode=int(plain.ceil), **attributes, dims=dims)


@average_pool_backward.onnx
def _(dy: Array, shape: Shape, window: Window, include_pad: bool) -> Array:
    # what a convolution by ones does on its way back
    share = shared(dy, shape[2:], window, include_pad)
    ones = np.ones((shape[1], 1, *window.kernel), dy.dtype)
    return conv_backward(share, ones, shape, window, shape[1])


def shared(total: Array, spatial: Shape, window: Window, include_pad: bool) -> Array:
    """A total divided by how many elements its window averages over."""
    if None in known(spatial):
        ones = counted_ones(spatial, window, include_pad, total.dtype)
        # what starts in the padding at the end is counted there, but is no window
        windows = (slice(size) for size in total.shape[2:])
        return total / ones[(slice(None), slice(None), *windows)]
    for count in counted(spatial, window, include_pad):  # never their product: it is a plane
        total = total / count.astype(total.dtype)
    return total


def counted_ones(spatial: Shape, window: Window, include_pad: bool, dtype: Any) -> Array:
    """What `counted` says, for sizes that only a run will tell: a convolution of ones by ones."""
    graph = next(size.graph for size in spatial if isinstance(size, Symbol))
    one = graph.constant(np.ones((), dtype))
    plane = node("Expand", one, vector(graph, (1, 1, *spatial)), dims=(1, 1, *known(spatial)))
    if include_pad:
        ends = list(zip(window.before, window.after, strict=True))
        plane = np.pad(plane, ((0, 0), (0, 0), *ends), constant_values=1)
        window = window._replace(pads=(0,) * 2 * window.rank)
    if window.ceil:
        beyond = [stride - 1 for stride in window.strides]
        after = [pad + more for pad, more in zip(window.after, beyond, strict=True)]
        window = window._replace(pads=(*window.before, *after))
    ones = np.ones((1, 1, *window.kernel), dtype)
    return node("Conv", plane, ones, **window.attributes(), dims=(1, 1, *[None] * window.rank))


@global_max_pool.onnx
def _(x: Array) -> tuple[Array, Array]:
    flat = x.reshape(*x.shape[:2], -1)
    where = np.argmax(flat, axis=2, keepdims=True)
    y = node("GlobalMaxPool", x, dims=(*known(x.shape)[:2], *(1,) * (x.ndim - 2)))
    return y, where


@global_max_pool_backward.onnx
def _(dy: Array, where: Array, shape: Shape) -> Array:
    plane = math.prod(shape[2:])
    flat = zeros(dy.graph, (*shape[:2], plane), dy.dtype)  # type: ignore[attr-defined]
    ones = dy.reshape(*shape[:2], 1)
    flat = node("ScatterElements", flat, where, ones, axis=2, dims=flat.dims)
    return flat.reshape(shape)


@max_pool.cuda
def _(x: Any, window: Window) -> tuple[Any, Any]:
    if window.rank > AXES or x.dtype != np.float32:
        return max_pool.on_host(x, window)
    x = dense(x)
    shape = (*x.shape[:2], *window.sizes(x.shape[2:]))
    y, where = empty(shape, x), empty(shape, x, np.int32)
    over_windows("max_pool", (y, where, x), y.size, x.shape, window)
    return y, where


@max_pool_backward.cuda
def _(dy: Any, where: Any, shape: Shape, window: Window, epilogue: Epilogue = NONE) -> Any:
    if window.rank > AXES:
        return epilogue.of(max_pool_backward.on_host(dy, where, shape, window))
    dy, where = (dense(array) for array in together(dy, where))
    dx = empty(shape, dy)
    arrays = (dx, dy, where.astype(np.int32, copy=False))
    over_windows("max_pool_backward", arrays, dx.size, shape, window, epilogue=epilogue)
    return dx


@average_pool.cuda
def _(x: Any, window: Window, include_pad: bool, epilogue: Epilogue = NONE) -> Any:
    if window.rank > AXES or x.dtype != np.float32:
        return epilogue.of(average_pool.on_host(x, window, include_pad))
    x = dense(x)
    y = empty((*x.shape[:2], *window.sizes(x.shape[2:])), x)
    over_windows("average_pool", (y, x), y.size, x.shape, window, include_pad, epilogue=epilogue)
    return y


@average_pool_backward.cuda
def _(dy: Any, shape: Shape, window: Window, include_pad: bool, epilogue: Epilogue = NONE) -> Any:
    if window.rank > AXES:
        return epilogue.of(average_pool_backward.on_host(dy, shape, window, include_pad))
    dy = dense(dy)
    dx = empty(shape, dy)
    arrays = (dx, dy)
    over_windows(
        "average_pool_backward", arrays, dx.size, shape, window, include_pad, epilogue=epilogue
    )
    return dx


def over_windows(
    function: str,
    arrays: tuple[DeviceArray, ...],
    count: int,
    shape: Shape,
    window: Window,
    *numbers: int,
    epilogue: Epilogue = NONE,
) -> None:
    """Launch a function of pool.cu for `count` elements; `shape` is that of the unpooled array."""
    plane, channels = planes(shape)
    axes = zip(
        shape[2:], window.sizes(shape[2:]), window.kernel, window.strides, window.dilations,
        window.before, window.after, strict=True,
    )  # fmt: skip
    missing = ((1, 1, 1, 1, 1, 0, 0),) * (AXES - window.rank)
    images = math.prod(shape) // max(plane * channels, 1)
    wide = lanes(channels, *arrays)
    args = (*arrays, images, channels, *missing, *axes, *numbers, epilogue.args)
    launch(POOL, function, count // wide, args, {"LANES": wide, **epilogue.defines})


def planes(shape: Shape) -> tuple[int, int]:
    """The house's layout of an array as (images, plane, channels): the sizes of the last two.

    With fewer than four axes each channel is an image of its own.
    """
    return math.prod(shape[2:]), shape[1] if len(shape) > 3 else 1


@unpool.cuda
def _(x: Any, where: Any, shape: Shape) -> DeviceArray:
    x, where = (dense(array) for array in together(x, where))
    where = where.astype(np.int32, copy=False)
    y = empty(shape, x)
    found = filled((y.size,), -1, x, np.int32)
    args = (found, where, where.size, *planes(x.shape), y.size)
    launch(UNPOOL, "latest", where.size, args)
    launch(UNPOOL, "unpool", y.size, (y, found, x, y.size, *planes(shape), *planes(x.shape)))
    return y


@unpool_backward.cuda
def _(dy: Any, where: Any) -> DeviceArray:
    dy, where = (dense(array) for array in together(dy, where))
    dx = empty(where.shape, dy)
    args = (dx, dy, where.astype(np.int32, copy=False), dx.size, *planes(dy.shape), dy.size)
    launch(UNPOOL, "unpool_backward", dx.size, args)
    return dx


@global_max_pool.cuda
def _(x: Any) -> tuple[DeviceArray, DeviceArray]:
    where = np.argmax(x.reshape(*x.shape[:2], -1), 2, keepdims=True)
    return np.max(x, tuple(range(2, x.ndim)), keepdims=True), where


@global_max_pool_backward.cuda
def _(dy: Any, where: Any, shape: Shape) -> DeviceArray:
    dy, where = (dense(array) for array in together(dy, where))
    dx = empty(shape, dy)
    args = (dx, dy, where.astype(np.int64, copy=False), dx.size, *planes(shape))
    launch(UNPOOL, "global_max_pool_backward", dx.size, args)
    return dx


@max_pool_gradient.fast
def _(out: Array, dy: Array, x: Array, window: Window, tail: Tail = NOTHING) -> None:
    if window.rank != 2:
        out[...] = tail.of(max_pool_gradient.specification(dy, x, window))
        return
    from . import pool_numba

    pool_numba.max_pool_gradient(out, dy, x, window, tail)


@average_pool_backward.fast
def _(
    out: Array, dy: Array, shape: Shape, window: Window, include_pad: bool, tail: Tail = NOTHING
) -> None:
    if window.rank != 2:
        out[...] = tail.of(average_pool_backward.specification(dy, shape, window, include_pad))
        return
    from . import pool_numba

    counts = counted(shape[2:], window, include_pad)
    pool_numba.average_pool_backward(out, dy, counts, window, tail)


WINDOWS = [
    sliding_window((3, 2), (2, 2), (1, 0, 0, 1)),  # asymmetric padding, overlapping
    sliding_window((2, 3), (3, 2), (0, 1, 1, 1)),
    sliding_window((3, 3), (2, 2), ceil=True),
    sliding_window((3, 3), (2, 3), (1, 1, 1, 1), ceil=True),
    # a last window would start in the padding
    sliding_window((2, 2), (2, 3), (1, 0, 1, 1), ceil=True),
    sliding_window((2, 3), (1, 1), dilations=(3, 2)),
]


# along one axis and three, and channels that are taken four at a time
OTHERS = [
    ((2, 3, 17), sliding_window((4,), (3,), (1, 2))),
    ((2, 4, 6, 9, 8), sliding_window((2, 3, 2), (1, 2, 3), (1, 0, 0, 0, 1, 1))),
    ((2, 8, 9, 11), sliding_window((3, 3), (2, 2), (0, 0, 1, 1))),
]
POOLED = [*(((2, 3, 10, 13), case) for case in WINDOWS), *OTHERS]


@max_pool.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, case in POOLED:
        yield random.normal(size=shape), case
    yield random.integers(3, size=(1, 4, 10, 13)).astype(float), WINDOWS[0]  # equals


@max_pool_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, case in POOLED:
        _, where = max_pool(random.normal(size=shape), case)
        yield random.normal(size=where.shape), where, shape, case


@max_pool_gradient.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, case in POOLED:
        dy = random.normal(size=(*shape[:2], *case.sizes(shape[2:])))
        yield dy, random.normal(size=shape), case


@unpool.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, smaller in (((2, 3, 5, 7), (2, 3, 2, 4)), ((2, 3, 7), (2, 3, 3))):
        where = random.permutation(math.prod(shape))[: math.prod(smaller)].reshape(smaller)
        yield random.normal(size=smaller), where, shape


@unpool_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), random.permutation(210)[:48].reshape(2, 3, 2, 4)
    yield random.normal(size=(2, 3, 7)), random.permutation(42)[:18].reshape(2, 3, 3)


@average_pool.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, case in POOLED:
        for include_pad in (False, True):
            yield random.normal(size=shape), case, include_pad


@average_pool_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, case in POOLED:
        for include_pad in (False, True):
            dy = random.normal(size=(*shape[:2], *case.sizes(shape[2:])))
            yield dy, shape, case, include_pad


@global_max_pool.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (random.normal(size=(2, 3, 5, 7)),)
    yield (random.normal(size=(2, 3, 7)),)


@global_max_pool_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    where = random.integers(35, size=(2, 3, 1))
    yield random.normal(size=(2, 3, 1, 1)), where, (2, 3, 5, 7)
    yield random.normal(size=(2, 3, 1)), random.integers(7, size=(2, 3, 1)), (2, 3, 7)
