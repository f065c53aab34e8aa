"""What each NumPy function that layers and programs use becomes on symbols: the ONNX nodes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .symbol import TRANSLATIONS, Symbol, broadcast, cast, cut, known, node, vector, zeros


def translates(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate the same function on symbols, with the same arguments."""

    def register(translation: Callable[..., Any]) -> Callable[..., Any]:
        TRANSLATIONS[function] = translation
        return translation

    return register


def elementwise(operator: str, dtype: Any, *inputs: Any) -> Any:
    """An operator on each element; sizes that meet floats, as in x / (h * w), become floats."""
    floats = [x.dtype for x in inputs if isinstance(x, Symbol) and x.dtype.kind == "f"]
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
    np.exp: "Exp",
    np.sqrt: "Sqrt",
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
}
for ufunc, name in ARITHMETIC.items():
    TRANSLATIONS[ufunc] = functools.partial(elementwise, name, None)
for ufunc, name in LOGIC.items():
    TRANSLATIONS[ufunc] = functools.partial(elementwise, name, np.dtype(bool))


@translates(np.matmul)
def matmul(a: Any, b: Any) -> Any:
    left, right = known(a.shape), known(b.shape)
    if None not in (left[-1], right[-2]) and left[-1] != right[-2]:
        raise ValueError(f"matrices of {left[-1]} columns and {right[-2]} rows do not multiply")
    batch = broadcast(left[:-2], right[:-2])
    return node("MatMul", a, b, dims=(*batch, left[-2], right[-1]))


def reduce(operator: str, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [a % x.ndim for a in axes]
    dims = [1 if a in axes else size for a, size in enumerate(x.dims)]
    if not keepdims:
        dims = [size for a, size in enumerate(x.dims) if a not in axes]
    return node(operator, x, np.array(axes, np.int64), keepdims=int(keepdims), dims=tuple(dims))


for function, name in ((np.sum, "ReduceSum"), (np.mean, "ReduceMean"), (np.max, "ReduceMax")):
    TRANSLATIONS[function] = functools.partial(reduce, name)


@translates(np.argmax)
def argmax(x: Any, axis: int, keepdims: bool = False) -> Any:
    dims = list(x.dims)
    dims[axis] = 1
    if not keepdims:
        del dims[axis]
    return node(
        "ArgMax", x, axis=axis, keepdims=int(keepdims), dtype=np.dtype(np.int64), dims=tuple(dims)
    )


@translates(np.reshape)
def reshape(x: Any, shape: Any) -> Any:
    if isinstance(shape, Symbol):
        return node("Reshape", x, shape, dtype=x.dtype, dims=(None,) * len(shape))
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dims = [None if size == -1 else size for size in known(shape)]
    if None not in x.dims and (-1 in shape or None not in dims):
        count = math.prod(x.dims)
        rest = math.prod(size for size in dims if size is not None)
        if -1 in shape and rest and count % rest == 0:
            dims[dims.index(None)] = count // rest
        elif count != rest:
            raise ValueError(f"{x.dims} cannot be reshaped to {shape}")
    return node("Reshape", x, vector(x.graph, shape), dims=tuple(dims))


@translates(np.transpose)
def transpose(x: Any, axes: Any = None) -> Any:
    axes = list(axes) if axes else list(range(x.ndim))[::-1]
    return node("Transpose", x, perm=axes, dims=tuple(x.dims[a] for a in axes))


@translates(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Any:
    return node("Expand", x, vector(x.graph, shape), dims=known(shape))


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
    return node("Concat", *arrays, axis=axis, dims=tuple(dims))


@translates(np.split)
def split(x: Any, cuts: Any, axis: int = 0) -> Any:
    axis %= x.ndim
    sizes = [int(size) for size in np.diff([0, *cuts, x.dims[axis]])]
    dims = [(*x.dims[:axis], size, *x.dims[axis + 1 :]) for size in sizes]
    return node("Split", x, np.array(sizes, np.int64), axis=axis, dims=dims)


@translates(np.where)
def where(condition: Any, a: Any, b: Any) -> Any:
    return node("Where", condition, a, b)


@translates(np.clip)
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
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
