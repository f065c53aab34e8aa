"""Elements read from the places that an array of indices names, and written there.

Negative indices count from the end. What is read from one place twice comes back as a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import DeviceArray, contiguous, dense, empty, laid_out
from .dispatch import Array, Case, kernel
from .layout import filled
from .line import THREADS, lanes, launch, lines, resized, together
from .pointwise import C_TYPES
from .shape import arange
from .source import Source
from .symbol import Shape, Symbol, bounded, known, node, picked, vector, zeros

INDEX = Source("index.cu")

REDUCTIONS: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}

# what index.cu makes of an element and an update of it
JOINS = {
    "none": "(update)",
    "add": "((old) + (update))",
    "mul": "((old) * (update))",
    "max": "((old) > (update) || (old) != (old) ? (old) : (update))",
    "min": "((old) < (update) || (old) != (old) ? (old) : (update))",
}

Places = tuple[Any, ...]  # an index array for each axis, for NumPy's own indexing


@kernel
def gather(x: Array, indices: Array, axis: int) -> Array:
    """x[..., indices, ...], on `axis`, which gives way to the axes of `indices`."""
    return np.take(x, indices, axis)


@kernel
def gather_backward(dy: Array, indices: Array, shape: Shape, axis: int) -> Array:
    """The adjoint for an x of `shape`."""
    before: Places = (slice(None),) * axis
    return written(np.zeros(shape, dy.dtype), (*before, indices), dy, "add")


@kernel
def gather_elements(x: Array, indices: Array, axis: int) -> Array:
    """For each element of `indices` the x that stands there, but for the index along `axis`."""
    return x[beside(indices, axis)]


@kernel
def gather_elements_backward(dy: Array, indices: Array, shape: Shape, axis: int) -> Array:
    """The adjoint for an x of `shape`."""
    return written(np.zeros(shape, dy.dtype), beside(indices, axis), dy, "add")


@kernel
def scatter_elements(x: Array, indices: Array, updates: Array, axis: int, reduction: str) -> Array:
    """x, but for the places that gather_elements reads: `updates`, or what they make of x."""
    return written(x.copy(), beside(indices, axis), updates, reduction)


@kernel
def gather_nd(x: Array, indices: Array, batch_dims: int) -> Array:
    """x[i, j, ...] for each row (i, j, ...) of `indices`, within each of the leading batch axes."""
    return x[within(indices, batch_dims)]


@kernel
def gather_nd_backward(dy: Array, indices: Array, shape: Shape, batch_dims: int) -> Array:
    """The adjoint for an x of `shape`."""
    return written(np.zeros(shape, dy.dtype), within(indices, batch_dims), dy, "add")


@kernel
def scatter_nd(x: Array, indices: Array, updates: Array, reduction: str) -> Array:
    """x, but for the places that gather_nd reads: `updates`, or what they make of x."""
    return written(x.copy(), within(indices, 0), updates, reduction)


@kernel
def slice_backward(dy: Array, key: tuple[slice, ...], shape: Shape) -> Array:
    """The adjoint of x[key] for an x of `shape`: dy there, 0 elsewhere."""
    dx = np.zeros(shape, dy.dtype)
    dx[key] = dy
    return dx


def beside(indices: Array, axis: int) -> Places:
    """The place of each index among its neighbours, but along `axis` the index itself."""
    places: list[Any] = [*np.indices(indices.shape, sparse=True)]
    places[axis] = indices
    return tuple(places)


def within(indices: Array, batch_dims: int) -> Places:
    """The columns of `indices`, behind the places of the batch axes."""
    batch = np.indices(indices.shape[:-1], sparse=True)[:batch_dims]
    return (*batch, *np.moveaxis(indices, -1, 0))


def written(y: Array, places: Places, updates: Array, reduction: str) -> Array:
    """y, which is written to: `updates` at `places`, or what the reduction makes of both."""
    if reduction == "none":
        y[places] = updates
    else:
        REDUCTIONS[reduction].at(y, places, updates)
    return y


@gather.onnx
def _(x: Array, indices: Array, axis: int) -> Array:
    if getattr(x, "parts", ()) and not isinstance(indices, Symbol) and indices.ndim < 2:
        return picked(x, np.arange(len(x))[indices])  # type: ignore[arg-type]
    sizes = known(x.shape)
    dims = (*sizes[:axis], *known(indices.shape), *sizes[axis + 1 :])
    return node("Gather", x, indices, axis=axis, dtype=x.dtype, dims=dims)


@gather_backward.onnx
def _(dy: Array, indices: Array, shape: Shape, axis: int) -> Array:
    before, after = dy.shape[:axis], dy.shape[axis + indices.ndim :]
    if indices.ndim != 1:
        dy = dy.reshape(*before, math.prod(indices.shape), *after)
    column = np.reshape(indices, (-1, *(1,) * len(after)))
    sizes = vector(dy.graph, dy.shape)  # type: ignore[attr-defined]
    full = node("Expand", column, sizes, dtype=indices.dtype, dims=known(dy.shape))
    return added_elements(dy, full, shape, axis)


def added_elements(dy: Any, indices: Any, shape: Shape, axis: int) -> Any:
    """Zeros of `shape` with dy added at the places that gather_elements reads."""
    dx = zeros(dy.graph, shape, dy.dtype)
    return node("ScatterElements", dx, indices, dy, axis=axis, reduction="add", dims=dx.dims)


gather_elements_backward.onnx(added_elements)


@gather_elements.onnx
def _(x: Array, indices: Array, axis: int) -> Array:
    return node("GatherElements", x, indices, axis=axis, dtype=x.dtype, dims=known(indices.shape))


@scatter_elements.onnx
def _(x: Array, indices: Array, updates: Array, axis: int, reduction: str) -> Array:
    options = {"axis": axis, "reduction": reduction}
    return node(
        "ScatterElements", x, indices, updates, **options, dtype=x.dtype, dims=known(x.shape)
    )


@gather_nd.onnx
def _(x: Array, indices: Array, batch_dims: int) -> Array:
    rest = known(x.shape)[batch_dims + indices.shape[-1] :]
    dims = (*known(indices.shape)[:-1], *rest)
    return node("GatherND", x, indices, batch_dims=batch_dims, dtype=x.dtype, dims=dims)


@gather_nd_backward.onnx
def _(dy: Array, indices: Array, shape: Shape, batch_dims: int) -> Array:
    # ScatterND has no batch axes: their places become columns of the indices
    sizes = indices.shape[:-1]
    if batch_dims and None in known(sizes):
        raise NotImplementedError("GatherND with a batch of unknown size: trace it for one size")
    if batch_dims:
        batch = np.moveaxis(np.indices(sizes)[:batch_dims], 0, -1)
        indices = np.concatenate([batch, indices], -1)
    dx = zeros(dy.graph, shape, dy.dtype)  # type: ignore[attr-defined]
    return node("ScatterND", dx, indices, dy, reduction="add", dims=dx.dims)


@scatter_nd.onnx
def _(x: Array, indices: Array, updates: Array, reduction: str) -> Array:
    dims = known(x.shape)
    return node("ScatterND", x, indices, updates, reduction=reduction, dtype=x.dtype, dims=dims)


@slice_backward.onnx
def _(dy: Array, key: tuple[slice, ...], shape: Shape) -> Array:
    for axis, part in bounded(key).items():
        size = shape[axis]
        if isinstance(size, Symbol) or (part.step or 1) != 1:
            line = arange(np.array(0), np.reshape(size, ()), np.array(1))
            sizes = (*dy.shape[:axis], size, *dy.shape[axis + 1 :])
            dy = gather_backward(dy, line[part], sizes, axis)
        else:
            start, stop, _ = part.indices(size)
            ends = [(0, 0)] * len(shape)
            ends[axis] = start, size - max(start, stop)
            dy = np.pad(dy, ends)
    return dy


@gather.cuda
def _(x: Any, indices: Any, axis: int) -> DeviceArray:
    x, indices = together(x, indices)
    x = dense(x)
    outer, size, inner = lines(x.shape, axis)
    y = empty(resized(x.shape, axis, indices.size), x)
    read_rows(y, x, indices, (outer, indices.size, size, inner))
    return y.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


@gather_backward.cuda
def _(dy: Any, indices: Any, shape: Shape, axis: int) -> DeviceArray:
    dy, indices = together(dy, indices)
    rows = dense(dy.reshape(resized(shape, axis, indices.size)))
    dx = empty(shape, dy)
    outer, size, inner = lines(shape, axis)
    write_rows(dx, None, rows, indices, (outer, indices.size, size, inner))
    return dx


@gather_elements.cuda
def _(x: Any, indices: Any, axis: int) -> DeviceArray:
    x, indices = together(x, indices)
    x, indices = axis_last(beside_only(x, indices.shape, axis), axis), axis_last(indices, axis)
    y = in_c_order(indices.shape, x)
    sizes = (math.prod(x.shape[:-1]), indices.shape[-1], x.shape[-1], 1)
    read_rows(y, x, indices, sizes, own=True)
    return np.moveaxis(y, -1, axis)


@scatter_elements.cuda
def _(x: Any, indices: Any, updates: Any, axis: int, reduction: str) -> DeviceArray:
    x, indices, updates = together(x, indices, updates)
    part = axis_last(beside_only(x, indices.shape, axis), axis)
    indices, updates = axis_last(indices, axis), axis_last(updates, axis)
    made = in_c_order(part.shape, x)
    sizes = (math.prod(part.shape[:-1]), indices.shape[-1], part.shape[-1], 1)
    write_rows(made, part, updates, indices, sizes, own=True, reduction=reduction)
    made = np.moveaxis(made, -1, axis)
    if made.shape == x.shape:
        return made
    y = x.copy()
    y[tuple(slice(n) for n in made.shape)] = made
    return y


@gather_elements_backward.cuda
def _(dy: Any, indices: Any, shape: Shape, axis: int) -> Any:
    dy, indices = together(dy, indices)
    zeros: Any = filled(shape, 0, dy)
    return scatter_elements(zeros, indices, dy, axis, "add")


@gather_nd.cuda
def _(x: Any, indices: Any, batch_dims: int) -> DeviceArray:
    x, indices = together(x, indices)
    y = in_c_order((*indices.shape[:-1], *x.shape[batch_dims + indices.shape[-1] :]), x)
    rows, sizes = numbered(indices, x.shape, batch_dims)
    read_rows(y, contiguous(x), rows, sizes, own=True)
    return y


@gather_nd_backward.cuda
def _(dy: Any, indices: Any, shape: Shape, batch_dims: int) -> DeviceArray:
    dy, indices = together(dy, indices)
    dx = in_c_order(shape, dy)
    rows, sizes = numbered(indices, shape, batch_dims)
    write_rows(dx, None, contiguous(dy), rows, sizes, own=True)
    return dx


@scatter_nd.cuda
def _(x: Any, indices: Any, updates: Any, reduction: str) -> DeviceArray:
    x, indices, updates = together(x, indices, updates)
    y = in_c_order(x.shape, x)
    rows, sizes = numbered(indices, x.shape, 0)
    write_rows(y, contiguous(x), contiguous(updates), rows, sizes, reduction=reduction)
    return y


@slice_backward.cuda
def _(dy: Any, key: tuple[slice, ...], shape: Shape) -> DeviceArray:
    for axis, part in bounded(key).items():
        dy = dense(dy)
        dx = empty(resized(dy.shape, axis, shape[axis]), dy)
        outer, count, inner = lines(dy.shape, axis)
        start, _, step = part.indices(shape[axis])
        wide = lanes(inner, dx, dy)
        args = (dx, dy, outer, count, shape[axis], inner, start, step)
        defines = {"LANES": wide, "TYPE": C_TYPES[dy.dtype.name]}
        launch(INDEX, "spread", dx.size // wide, args, defines)
        dy = dx
    return dy


def read_rows(
    y: DeviceArray,
    x: DeviceArray,
    indices: DeviceArray,
    sizes: tuple[int, int, int, int],
    own: bool = False,
) -> None:
    """Fill y (outer, count, inner) with rows of x (outer, size, inner).

    `sizes` are outer, count, size and inner; `indices` are (count,), or (outer, count) where each
    of the outer ones has its `own`.
    """
    wide = lanes(sizes[3], y, x)
    indices, types = as_index(indices, x)
    args = (y, x, indices, *sizes, own)
    launch(INDEX, "gather", y.size // wide, args, {"LANES": wide, **types})


def write_rows(
    y: DeviceArray,
    x: DeviceArray | None,
    updates: DeviceArray,
    indices: DeviceArray,
    sizes: tuple[int, int, int, int],
    own: bool = False,
    reduction: str = "add",
) -> None:
    """Fill y with x (outer, size, inner), or zeros, joined with `updates` (outer, count, inner).

    The rest is as in `read_rows`.
    """
    outer, count, size, inner = sizes
    indices, types = as_index(indices, updates)
    wide = min(1 << max(inner - 1, 0).bit_length(), THREADS)
    block = (wide, THREADS // wide)
    tiles = -(-size // block[1])
    grid = outer * tiles * -(-inner // wide)
    args = (y, x, updates, indices, tiles, count, size, inner, own)
    defines = {**types, "JOIN(old, update)": JOINS[reduction]}
    INDEX.launch("scatter", grid, block, args, defines=defines)


def as_index(indices: DeviceArray, values: DeviceArray) -> tuple[DeviceArray, dict[str, str]]:
    """The indices as index.cu reads them, and what they and the values are called in C."""
    if indices.dtype not in (np.int32, np.int64):
        indices = indices.astype(np.int64)
    names = {"INDEX": C_TYPES[indices.dtype.name], "TYPE": C_TYPES[values.dtype.name]}
    return contiguous(indices), names


def in_c_order(shape: Shape, like: DeviceArray) -> Any:
    """A dense array for results whose last axis is innermost."""
    return laid_out(shape, like, like.dtype, range(len(shape)))


def axis_last(x: Any, axis: int) -> DeviceArray:
    """x with this axis behind the others, in C order."""
    return contiguous(np.moveaxis(x, axis, -1))


def beside_only(x: DeviceArray, shape: Shape, axis: int) -> DeviceArray:
    """x without what has no neighbour in an array of `shape`, along all axes but one."""
    return x[tuple(slice(None if a == axis % x.ndim else n) for a, n in enumerate(shape))]


def numbered(
    indices: DeviceArray, shape: Shape, batch_dims: int
) -> tuple[Any, tuple[int, int, int, int]]:
    """Each row of `indices` as a number, among all places that such rows name, and `sizes`."""
    columns = indices.shape[-1]
    named = shape[batch_dims : batch_dims + columns]
    rows: Any = None
    for column, size in enumerate(named):
        index: Any = indices[..., column]
        index = np.where(index < 0, index + size, index)
        rows = index if rows is None else rows * size + index
    outer = math.prod(shape[:batch_dims])
    count = math.prod(indices.shape[batch_dims:-1])
    return rows, (outer, count, math.prod(named), math.prod(shape[batch_dims + columns :]))


@gather.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 5, 7))
    yield x, np.array([2, -1, 0, 2, -3]), 1
    yield random.normal(size=(2, 4, 5, 7)), np.array([6, -1, 0]), 3
    yield x, np.array([[1, -6, 3], [0, 0, -1]]), 3
    yield x, np.array(-2), 2


@gather_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    shape = (2, 3, 5, 7)
    yield random.normal(size=(2, 5, 5, 7)), np.array([2, -1, 0, 2, -3]), shape, 1
    yield random.normal(size=(2, 3, 5, 2, 4)), np.array([[1, -6, 3, 1], [0, 0, -1, 5]]), shape, 3
    yield random.normal(size=(2, 3, 7)), np.array(-2), shape, 2
    yield random.normal(size=(3, 19, 17)), np.array([1, 0, 1]), (2, 19, 17), 0  # long rows


@gather_elements.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 6, 5, 7))
    yield x, random.integers(-6, 6, (2, 4, 5, 7)), 1
    yield x, random.integers(-7, 7, (2, 3, 4, 9)), 3  # fewer along the other axes


@gather_elements_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    shape = (2, 6, 5, 7)
    for sizes, axis in (((2, 4, 5, 7), 1), ((2, 3, 4, 9), 3)):
        size = shape[axis]
        yield random.normal(size=sizes), random.integers(-size, size, sizes), shape, axis


@scatter_elements.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for reduction in ("none", *REDUCTIONS):
        x, updates = random.normal(size=(2, 6, 5, 7)), random.normal(size=(2, 4, 3, 7))
        # many places are written twice, but where the last one would win
        twice = random.integers(-6, 6, (2, 4, 3, 7))
        once = random.permuted(np.broadcast_to(np.arange(6), (2, 3, 7, 6)), axis=-1)
        once = np.moveaxis(once, -1, 1)[:, :4]
        yield x, once if reduction == "none" else twice, updates, 1, reduction
    whole = random.integers(9, size=(2, 5))
    yield whole, np.array([[4, 1]]), np.array([[11, 12]]), 1, "none"


@gather_nd.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 5, 7))
    yield x, np.array([[1, -2], [0, 0], [-1, 2]]), 0
    yield x, random.integers(-3, 3, (2, 4, 1)), 1
    yield x, random.integers(-5, 5, (2, 3, 1)), 2


@gather_nd_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    shape = (2, 3, 5, 7)
    yield random.normal(size=(3, 5, 7)), np.array([[1, -2], [0, 0], [-1, 1]]), shape, 0
    yield random.normal(size=(2, 4, 5, 7)), random.integers(-3, 3, (2, 4, 1)), shape, 1
    yield random.normal(size=(2, 3, 7)), random.integers(-5, 5, (2, 3, 1)), shape, 2


@scatter_nd.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(4, 3, 5, 7))
    for reduction in ("none", *REDUCTIONS):
        indices = np.array([[3, -1], [0, 0], [-2, 1], [1, 2] if reduction == "none" else [0, -3]])
        yield x, indices, random.normal(size=(4, 5, 7)), reduction


@slice_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for key in (
        np.s_[:, 1:2],
        np.s_[:, :, -4:-1, 2:],
        np.s_[:, :, ::-2, -2::-3],
        np.s_[:, :, 1:100:3, 5:1:-1],
        np.s_[:1, :, :, 3:3],
    ):
        x = random.normal(size=(2, 3, 10, 13))
        yield random.normal(size=x[key].shape), key, x.shape
