"""What moves elements on devices and computes nothing: shapes, joins, cuts, borders, repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .array import DeviceArray, contiguous, empty, on_device, run_on_host, strided


@on_device(np.shape)
def shape(x: DeviceArray) -> tuple[int, ...]:
    return x.shape


@on_device(np.ndim)
def ndim(x: DeviceArray) -> int:
    return x.ndim


@on_device(np.reshape)
def reshape(x: DeviceArray, shape: Sequence[int] | int) -> DeviceArray:
    return x.reshape(shape)


@on_device(np.ravel)
def ravel(x: DeviceArray) -> DeviceArray:
    return x.reshape(-1)


@on_device(np.transpose)
def transpose(x: DeviceArray, axes: Sequence[int] | None = None) -> DeviceArray:
    return x.transpose(tuple(axes) if axes is not None else None)


@on_device(np.moveaxis)
def moveaxis(x: DeviceArray, source: int, destination: int) -> DeviceArray:
    axes = list(range(x.ndim))
    axes.insert(normalize_axis_index(destination, x.ndim), axes.pop(source))
    return x.transpose(tuple(axes))


@on_device(np.squeeze)
def squeeze(x: DeviceArray, axis: Any = None) -> DeviceArray:
    if axis is None:
        axis = tuple(k for k, size in enumerate(x.shape) if size == 1)
    gone = normalize_axis_tuple(axis, x.ndim)
    if any(x.shape[k] != 1 for k in gone):
        raise ValueError(f"axes {gone} of {x.shape} hold more than one element")
    kept = [k for k in range(x.ndim) if k not in gone]
    return strided(x, [x.shape[k] for k in kept], [x.strides[k] for k in kept])


@on_device(np.expand_dims)
def expand_dims(x: DeviceArray, axis: Any) -> DeviceArray:
    axes = (axis,) if isinstance(axis, int) else axis
    new = normalize_axis_tuple(axes, x.ndim + len(axes))
    sizes, steps = iter(x.shape), iter(x.strides)
    ranks = range(x.ndim + len(axes))
    shape = [1 if k in new else next(sizes) for k in ranks]
    return strided(x, shape, [0 if k in new else next(steps) for k in ranks])


@on_device(np.broadcast_to)
def broadcast_to(x: DeviceArray, shape: Sequence[int]) -> DeviceArray:
    """A view in which repeated elements lie at one place."""
    sizes = tuple(int(n) for n in shape)
    np.broadcast_shapes(x.shape, sizes)
    lead = len(sizes) - x.ndim
    steps = [0 if old == 1 else step for old, step in zip(x.shape, x.strides, strict=True)]
    return strided(x, sizes, [0] * lead + steps)


@on_device(np.flip)
def flip(x: DeviceArray, axis: Any = None) -> DeviceArray:
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if k in axes else 1) for k in range(x.ndim))]


@on_device(np.zeros_like)
def zeros_like(x: DeviceArray, dtype: Any = None) -> DeviceArray:
    return filled(x.shape, 0, x, dtype)


@on_device(np.ones_like)
def ones_like(x: DeviceArray, dtype: Any = None) -> DeviceArray:
    return filled(x.shape, 1, x, dtype)


def filled(shape: Sequence[int], value: float, like: DeviceArray, dtype: Any = None) -> DeviceArray:
    """An array of one value, beside `like`."""
    y = empty(shape, like, dtype)
    y[...] = value
    return y


@on_device(np.copy)
def copy(x: DeviceArray) -> DeviceArray:
    return x.copy()


@on_device(np.ascontiguousarray)
def ascontiguousarray(x: DeviceArray) -> DeviceArray:
    return contiguous(x)


@on_device(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int = 0) -> DeviceArray:
    """Each array goes to its part of the result."""
    first = next(x for x in arrays if isinstance(x, DeviceArray))
    axis = normalize_axis_index(axis, first.ndim)
    shape = list(first.shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    y = empty(shape, first, np.result_type(*(x.dtype for x in arrays)))
    start = 0
    for x in arrays:
        lead = (slice(None),) * axis
        y[(*lead, slice(start, start + x.shape[axis]))] = x
        start += x.shape[axis]
    return y


@on_device(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> DeviceArray:
    return concatenate([np.expand_dims(x, (axis,)) for x in arrays], axis)


@on_device(np.pad)
def pad(x: DeviceArray, pairs: Any, mode: Any = "constant", **options: Any) -> Any:
    """A border of one value."""
    value = options.get("constant_values", 0)
    if mode != "constant" or np.ndim(value):
        return run_on_host(np.pad, x, pairs, mode, **options)
    ends = np.broadcast_to(pairs, (x.ndim, 2)).tolist()
    shape = [size + before + after for size, (before, after) in zip(x.shape, ends, strict=True)]
    y = filled(shape, value, x)
    inside = zip(x.shape, ends, strict=True)
    y[tuple(slice(before, before + size) for size, (before, _) in inside)] = x
    return y


@on_device(np.tile)
def tile(x: DeviceArray, repeats: Any) -> DeviceArray:
    """x again and again along each axis: a view with axes of stride 0, made whole."""
    counts = np.ravel(repeats).tolist()
    counts = [1] * (x.ndim - len(counts)) + counts
    shape = [1] * (len(counts) - x.ndim) + list(x.shape)
    single = x.reshape([n for size in shape for n in (1, size)])
    around = broadcast_to(single, [n for pair in zip(counts, shape) for n in pair])
    return around.reshape([count * size for count, size in zip(counts, shape, strict=True)])
