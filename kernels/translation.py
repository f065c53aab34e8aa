"""What each NumPy function that layers and programs use becomes on symbols: the ONNX nodes."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .symbol import (
    TRANSLATIONS,
    Dims,
    Shape,
    Symbol,
    as_sizes,
    broadcast,
    by_element,
    cast,
    cut,
    elements,
    joined,
    known,
    node,
    picked,
    vector,
    zeros,
)

MAX_RANK = 64  # of NumPy's arrays: no shape is longer


def translates(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate the same function on symbols, with the same arguments."""

    def register(translation: Callable[..., Any]) -> Callable[..., Any]:
        TRANSLATIONS[function] = translation
        return translation

    return register


def elementwise(operator: str, dtype: Any, *inputs: Any) -> Any:
    """An operator on each element; sizes that meet floats, as in x / (h * w), become floats."""
    typed = [x.dtype for x in inputs if isinstance(x, Symbol | np.ndarray)]
    floats = [dtype for dtype in typed if dtype.kind == "f"]
    if floats:
        inputs = tuple(
            cast(x, floats[0]) if isinstance(x, Symbol) and x.dtype == np.int64 else x
            for x in inputs
        )
    return node(operator, *inputs, dtype=dtype)


ARITHMETIC = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.divide: "Div",
    np.power: "Pow",
    np.negative: "Neg",
    np.absolute: "Abs",
    np.sign: "Sign",
    np.exp: "Exp",
    np.log: "Log",
    np.sqrt: "Sqrt",
    np.sin: "Sin",
    np.cos: "Cos",
    np.tanh: "Tanh",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.rint: "Round",
    np.maximum: "Max",
    np.minimum: "Min",
}
LOGIC = {
    np.greater: "Greater",
    np.less: "Less",
    np.greater_equal: "GreaterOrEqual",
    np.less_equal: "LessOrEqual",
    np.equal: "Equal",
    np.bitwise_and: "And",
    np.bitwise_or: "Or",
    np.bitwise_xor: "Xor",
    np.invert: "Not",
    np.isnan: "IsNaN",
}
for ufunc, name in ARITHMETIC.items():
    TRANSLATIONS[ufunc] = functools.partial(elementwise, name, None)
for ufunc, name in LOGIC.items():
    TRANSLATIONS[ufunc] = functools.partial(elementwise, name, np.dtype(bool))


@translates(np.fmod)
def fmod(a: Any, b: Any) -> Any:
    return node("Mod", a, b, fmod=1)


@translates(np.mod)
def mod(a: Any, b: Any) -> Any:
    # of floats ONNX has only the other remainder, whose sign is that of a
    return node("Mod", a, b) if a.dtype.kind != "f" else a - np.floor(a / b) * b


@translates(np.floor_divide)
def floor_divide(a: Any, b: Any) -> Any:
    # of integers ONNX rounds towards zero
    return np.floor(a / b) if a.dtype.kind == "f" else node("Div", a - a % b, b)


@translates(np.matmul)
def matmul(a: Any, b: Any) -> Any:
    left, right = known(a.shape), known(b.shape)
    columns, rows = left[-1], right[-2:][0]
    if None not in (columns, rows) and columns != rows:
        raise ValueError(f"matrices of {columns} columns and {rows} rows do not multiply")
    batch = broadcast(left[:-2], right[:-2])
    # a vector is a row on the left and a column on the right, whose other axis goes
    return node("MatMul", a, b, dims=(*batch, *left[-2:-1], *right[-2:][1:]))


def reduce(
    operator: str,
    x: Any,
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
    initial: Any = None,
) -> Any:
    """A reduction that keeps the type and starts from its identity.

    NumPy must be told to by `dtype` and `initial`, ONNX does nothing else.
    """
    if x.dtype == bool:  # which ONNX compares from opset 20 on
        return reduce(operator, x.astype(np.uint8), axis, keepdims).astype(bool)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [a % x.ndim for a in axes]
    if not axes:
        return node("Identity", x, dtype=x.dtype)
    dims = [1 if a in axes else size for a, size in enumerate(x.dims)]
    if not keepdims:
        dims = [size for a, size in enumerate(x.dims) if a not in axes]
    return node(operator, x, np.array(axes, np.int64), keepdims=int(keepdims), dims=tuple(dims))


def place(operator: str, x: Any, axis: int, keepdims: bool = False) -> Any:
    dims = list(x.dims)
    dims[axis] = 1
    if not keepdims:
        del dims[axis]
    return node(
        operator, x, axis=axis, keepdims=int(keepdims), dtype=np.dtype(np.int64), dims=tuple(dims)
    )


REDUCTIONS = {
    np.sum: "ReduceSum",
    np.mean: "ReduceMean",
    np.prod: "ReduceProd",
    np.max: "ReduceMax",
    np.min: "ReduceMin",
}
for function, name in REDUCTIONS.items():
    TRANSLATIONS[function] = functools.partial(reduce, name)
for function, name in ((np.argmax, "ArgMax"), (np.argmin, "ArgMin")):
    TRANSLATIONS[function] = functools.partial(place, name)


@translates(np.reshape)
def reshape(x: Any, shape: Any) -> Any:
    shape = as_sizes(shape) if isinstance(shape, Symbol) else shape
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    sizes = known(shape)
    if x.parts and len(sizes) < 2 and None not in sizes:
        return picked(x, np.arange(len(x.parts)).reshape(shape))
    dims = [None if size == -1 else size for size in sizes]
    if unknown(x.shape) == unknown(shape):  # then they cancel
        count, rest = (math.prod(n for n in fixed if n is not None) for fixed in (x.dims, dims))
        if -1 in sizes and rest and count % rest == 0:
            dims[sizes.index(-1)] = count // rest
        elif count != rest or -1 in sizes:
            raise ValueError(f"{x.dims} cannot be reshaped to {sizes}")
    return node("Reshape", x, vector(x.graph, shape), dtype=x.dtype, dims=tuple(dims))


def unknown(shape: Shape) -> Counter[str]:
    """The names of the sizes that only a run will tell."""
    return Counter(size.name for size in shape if isinstance(size, Symbol))


@translates(np.squeeze)
def squeeze(x: Any, axis: tuple[int, ...]) -> Any:
    axes = {a % x.ndim for a in axis}
    if any(x.dims[a] not in (1, None) for a in axes):
        raise ValueError(f"{x.dims} cannot be squeezed along the axes {axis}")
    dims = tuple(size for a, size in enumerate(x.dims) if a not in axes)
    return reaxed("Squeeze", x, axis, dims)


@translates(np.expand_dims)
def expand_dims(x: Any, axis: tuple[int, ...]) -> Any:
    rank = x.ndim + len(axis)
    axes = {a % rank for a in axis}
    sizes = iter(x.dims)
    return reaxed("Unsqueeze", x, axis, tuple(1 if a in axes else next(sizes) for a in range(rank)))


def reaxed(operator: str, x: Any, axis: tuple[int, ...], dims: Dims) -> Any:
    if x.parts and len(dims) < 2:
        return reshape(x, dims)
    return node(operator, x, np.array(axis, np.int64), dims=dims) if axis else node("Identity", x)


@translates(np.transpose)
def transpose(x: Any, axes: Any = None) -> Any:
    axes = list(axes) if axes else list(range(x.ndim))[::-1]
    return node("Transpose", x, perm=axes, dims=tuple(x.dims[a] for a in axes))


@translates(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Any:
    return node("Expand", x, vector(x.graph, shape), dtype=x.dtype, dims=known(shape))


@translates(np.zeros_like)
def zeros_like(x: Any) -> Any:
    return zeros(x.graph, x.shape, x.dtype)


@translates(np.concatenate)
def concatenate(arrays: Any, axis: int = 0) -> Any:
    shapes = [known(x.shape) for x in arrays]
    axis %= len(shapes[0])
    dims = list(shapes[0])
    for a, sizes in enumerate(zip(*shapes, strict=True)):
        fixed = {size for size in sizes if size is not None}
        if a == axis:
            dims[a] = None if None in sizes else sum(sizes)
        elif len(fixed) > 1:
            texts = " and ".join("x".join(map(str, shape)) for shape in shapes)
            raise ValueError(f"{texts} cannot stand side by side along axis {axis}")
        elif fixed:
            dims[a] = fixed.pop()
    if len(dims) == 1 and arrays[0].dtype.kind in "ib" and 0 < (dims[0] or 0) <= MAX_RANK:
        return joined([part for x in arrays for part in elements(x)])
    return node("Concat", *arrays, axis=axis, dims=tuple(dims))


@translates(np.einsum)
def einsum(equation: str, *arrays: Any, optimize: bool) -> Any:
    """`equation` names every axis: no dots, and the result behind an arrow."""
    left, _, top = equation.partition("->")
    terms = list(zip(left.split(","), (known(x.shape) for x in arrays), strict=True))
    sizes: dict[str, Any] = {}
    for term, shape in terms:
        for axis, size in zip(term, shape, strict=True):
            (sizes[axis],) = broadcast((sizes.get(axis, 1),), (size,))
    # ONNX broadcasts no axis that has a name: one that NumPy would is left out
    kept = [[n != 1 or sizes[axis] == 1 for axis, n in zip(*term)] for term in terms]
    left = ",".join("".join(itertools.compress(t, keep)) for (t, _), keep in zip(terms, kept))
    arrays = tuple(
        x if all(keep) else x.reshape(tuple(itertools.compress(x.shape, keep)))
        for x, keep in zip(arrays, kept)
    )
    dims = tuple(sizes[axis] for axis in top)
    return node("Einsum", *arrays, equation=f"{left}->{top}", dims=dims)


@translates(np.where)
def where(condition: Any, a: Any, b: Any) -> Any:
    symbols = [x for x in (a, b) if isinstance(x, Symbol)]
    dtype = symbols[0].dtype if symbols else np.result_type(a, b)
    a, b = (x if isinstance(x, Symbol) else np.asarray(x, dtype) for x in (a, b))
    return by_element(np.where, functools.partial(node, "Where", dtype=dtype), condition, a, b)


@translates(np.tile)
def tile(x: Any, repeats: Any) -> Any:
    pairs = zip(x.dims, known(repeats), strict=True)
    dims = tuple(None if None in pair else math.prod(pair) for pair in pairs)
    return node("Tile", x, vector(x.graph, repeats), dtype=x.dtype, dims=dims)


def triangle(upper: bool, x: Any, k: int = 0) -> Any:
    return node("Trilu", x, np.array(k, np.int64), upper=int(upper))


TRANSLATIONS[np.triu] = functools.partial(triangle, True)
TRANSLATIONS[np.tril] = functools.partial(triangle, False)


@translates(np.clip)
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if all(bound is not None and getattr(bound, "ndim", 0) == 0 for bound in (low, high)):
        return node("Clip", x, low, high)  # which runtimes put into a convolution
    # ONNX clips by scalars only
    x = x if low is None else node("Max", x, low)
    return x if high is None else node("Min", x, high)


@translates(np.pad)
def pad(x: Any, pairs: Any, constant_values: float = 0) -> Any:
    dims = tuple(
        None if size is None else size + sum(pair) for size, pair in zip(x.dims, pairs, strict=True)
    )
    ends = np.array(pairs, np.int64).T.reshape(-1)
    return node("Pad", x, ends, np.asarray(constant_values, x.dtype), dims=dims)


@translates(np.roll)
def roll(x: Any, shift: Any, axis: Any) -> Any:
    """The last `shift` rows come first: two slices, swapped; any shift wraps, as in NumPy."""
    for k, a in enumerate(axis):
        amount, size = -shift[k : k + 1], x.shape[a]
        fixed = not isinstance(amount, Symbol) and not isinstance(size, Symbol)
        middle = int(amount[0]) % size if fixed else node("Mod", amount, size)
        parts = cut(x, {a: slice(middle, None)}), cut(x, {a: slice(None, middle)})
        x = node("Concat", *parts, axis=a, dims=x.dims)
    return x
