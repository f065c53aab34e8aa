"""Linear maps along one axis of an array, which borders and other sizes of pictures are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

from .array import dense, empty, house_order
from .dispatch import Array, Case, kernel
from .index import gather
from .line import kept, lanes, launch, lines, resized
from .pointwise import NONE, Epilogue
from .source import Source

RESAMPLE = Source("resample.cu")

LIMIT = 1 << 22  # elements that such a map may make of an axis, for it takes memory for each

Map = Any  # a sparse matrix of scipy's, (new size, old size)


@kernel
def resample(x: Array, matrix: Map, axis: int) -> Array:
    """The matrix times each line of x along `axis`. The adjoint is the same with its transpose."""
    lines = np.moveaxis(x, axis, 0)
    made = matrix.astype(x.dtype) @ lines.reshape(len(lines), -1)
    made = np.moveaxis(made.reshape(-1, *lines.shape[1:]), 0, axis)
    return np.ascontiguousarray(made)


def as_map(index: Array, weight: Array, old: int) -> Map:
    """The map to elements that are sums of weight[k] * the old elements index[k]; both (new, n)."""
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    places = (rows, index.reshape(-1))
    matrix = scipy.sparse.csr_array((weight.reshape(-1), places), shape=(len(index), old))
    matrix.eliminate_zeros()  # what comes twice was added up
    return matrix


def selection(index: Array, old: int) -> Map:
    """The map to the old elements at these places, one for each new element."""
    return as_map(index[:, None], np.ones((len(index), 1)), old)


def as_rows(matrix: Map) -> tuple[Array, Array]:
    """The other way of `as_map`: indices and weights, (new, n), with zeros where rows are short."""
    matrix = scipy.sparse.csr_array(matrix)
    counts = np.diff(matrix.indptr)
    there = np.arange(max(counts.max(initial=0), 1)) < counts[:, None]
    index, weight = np.zeros(there.shape, int), np.zeros(there.shape)
    index[there], weight[there] = matrix.indices, matrix.data
    return index, weight


@resample.onnx
def _(x: Array, matrix: Map, axis: int) -> Array:
    index, weight = as_rows(matrix)
    axis %= x.ndim
    if index.shape[1] == 1 and (weight == 1).all():
        return gather(x, index[:, 0], axis)
    weight = weight.reshape(*weight.shape, *(1,) * (x.ndim - 1 - axis)).astype(x.dtype)
    return (gather(x, index, axis) * weight).sum(axis + 1)


@resample.cuda
def _(x: Any, matrix: Map, axis: int, epilogue: Epilogue = NONE) -> Any:
    if x.dtype != np.float32:
        return epilogue.of(resample.on_host(x, matrix, axis))
    x = dense(x)
    outer, old, inner = lines(x.shape, axis)
    rows = matrix.shape[0]
    y = empty(resized(x.shape, axis, rows), x)
    wide = lanes(inner, x, y)
    table = kept(matrix, x.device, as_table)
    channels = y.shape[house_order(y.ndim)[-1]]
    args = (y, x, table, outer, rows, old, inner, channels, epilogue.args)
    launch(RESAMPLE, "resample", y.size // wide, args, {"LANES": wide, **epilogue.defines})
    return y


def as_table(matrix: Map) -> tuple[Array, Array, Array]:
    """Where each row's entries begin, their columns and their values, as CSR has them."""
    rows = scipy.sparse.csr_array(matrix)
    starts, columns = rows.indptr.astype(np.int32), rows.indices.astype(np.int32)
    return starts, columns, rows.data.astype(np.float32)


@resample.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 4, 5, 7))
    for axis in (0, 1, 2, -1):
        old = x.shape[axis]
        index = random.integers(old, size=(4, 3))
        matrix = as_map(index, random.normal(size=index.shape), old)
        yield x, matrix, axis
        yield x, selection(random.integers(old, size=9), old), axis
        yield x, selection(random.integers(6, size=(old,)), 6).T, axis  # some rows are empty
