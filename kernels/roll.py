"""Axes turned as rings: the jitter of a picture."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .array import DeviceArray, contiguous, dense, empty, house_order, on_device
from .dispatch import Array, Case, is_device, kernel
from .line import launch
from .pointwise import AS_IT_IS, C_TYPES, NONE, Epilogue, Prologue
from .source import Source

ROLL = Source("roll.cu")


@kernel
def roll(x: Array, shift: Any, axis: int | Sequence[int]) -> Array:
    """x with its last `shift` elements along each axis in front of the others.

    It is np.roll, which does the same everywhere. On devices a shift that is there itself is read
    there: a captured graph turns otherwise each time.
    """
    return np.roll(x, shift, axis)


@kernel
def unroll(x: Array, shift: Any, axis: int | Sequence[int]) -> Array:
    """The way back, and the adjoint."""
    return np.roll(x, np.negative(shift), axis)


@roll.fast
def _(out: Array, x: Array, shift: Any, axis: int | Sequence[int]) -> None:
    turn(out, x, shift, axis)


@unroll.fast
def _(out: Array, x: Array, shift: Any, axis: int | Sequence[int]) -> None:
    turn(out, x, np.negative(shift), axis)


def turn(out: Array, x: Array, shift: Any, axis: int | Sequence[int]) -> None:
    """`out` becomes np.roll(x, shift, axis): along each axis the two parts change places."""
    axes = normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    moved = dict.fromkeys(axes, 0)
    for a, count in zip(axes, np.broadcast_to(shift, len(axes)).tolist(), strict=True):
        moved[a] = (moved[a] + count) % max(x.shape[a], 1)
    halves = [
        [(slice(count, None), slice(None, x.shape[a] - count)),
         (slice(None, count), slice(x.shape[a] - count, None))]
        for a, count in moved.items()
    ]  # fmt: skip
    for parts in itertools.product(*halves):
        to, source = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        for a, (here, there) in zip(moved, parts, strict=True):
            to[a], source[a] = here, there
        out[tuple(to)] = x[tuple(source)]


def turned(
    sign: int,
    x: Any,
    shift: Any,
    axis: int | Sequence[int],
    epilogue: Epilogue = NONE,
    prologue: Prologue = AS_IT_IS,
) -> DeviceArray:
    """x turned by sign * shift, two axes in one launch where they are in memory's order."""
    axes = normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    if not axes:
        return epilogue.of(prologue.of(x))
    if is_device(shift):
        shifts = contiguous(shift.astype(np.int64, copy=False).reshape(-1))
    else:
        shifts = np.broadcast_to(shift, len(axes)).tolist()
    x = dense(x)
    order = house_order(x.ndim)
    places = [order.index(a) for a in axes]
    at = 0
    while at < len(axes):
        pair = places[at : at + 2]
        end = at + (2 if pair[0] < pair[-1] else 1)
        ends = epilogue if end >= len(axes) else NONE
        starts = prologue if at == 0 else AS_IT_IS
        x = turned_once(x, shifts[at:end], places[at:end], sign, ends, starts)
        at = end
    return x


def turned_once(
    x: DeviceArray,
    shift: Any,
    places: Sequence[int],
    sign: int,
    epilogue: Epilogue,
    prologue: Prologue,
) -> DeviceArray:
    """x turned along one axis or two, which stand at these places of its memory."""
    sizes = [x.shape[a] for a in house_order(x.ndim)]
    first, last = places[0], places[-1]
    y = empty(x.shape, x)
    middle, columns = (1, 1) if first == last else (math.prod(sizes[first + 1 : last]), sizes[last])
    walk = (math.prod(sizes[:first]), sizes[first], middle, columns, math.prod(sizes[last + 1 :]))
    turns = (shift, 0, 0) if is_device(shift) else (None, *(*shift, 0)[:2])
    args = (y, x, walk, sizes[-1], turns, sign, prologue.args, epilogue.args)
    defines = {"TYPE": C_TYPES[x.dtype.name], **prologue.defines, **epilogue.defines}
    launch(ROLL, "roll", x.size, args, defines)
    return y


roll.cuda(on_device(np.roll)(functools.partial(turned, 1)))
unroll.cuda(functools.partial(turned, -1))


@roll.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 5, 7))
    for shift in ((3, -2), (-11, 0), (5, 16)):
        yield x, np.array(shift), (2, 3)
    yield x, np.array((2, 1)), (3, 1)


@unroll.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 5, 7))
    yield x, np.array((3, -2)), (2, 3)
    yield x, np.array((-9, 1)), (3, 1)
