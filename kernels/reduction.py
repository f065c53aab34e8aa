"""Sums, means, products and extremes over axes of arrays on devices, and where extremes are.

They are NumPy's functions, with its types, except that a mean of integers is a float32. An array
of any strides is read where it is. The order in which elements are joined depends on its shape and
strides alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .array import DeviceArray, dense, empty, house_order, in_order, on_device
from .pointwise import AS_IT_IS, C_TYPES, Prologue, merged
from .source import Source

REDUCTION = Source("reduction.cu")
SEARCH = Source("search.cu")

# blocks by their threads, and how many elements of a result each thread may have: the first that
# fits is taken
BLOCKS = ((256, 8), (1024, 32))
SHARE = 16  # elements of a thread where several blocks work for a result,
MOST = 4096  # of which a launch has no more than this
COLUMNS = 32  # results side by side in a block, when they are neighbours in memory
RANK = 4  # axes of results and of their elements, as reduction.cuh has them


class Axes(NamedTuple):
    """Axes to walk along, outermost first; strides in elements. None is one element."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.sizes)

    @property
    def rank(self) -> int:
        return max(len(self.sizes), 1)

    @property
    def inmost(self) -> int:
        """From an element to the next."""
        return abs(self.strides[-1]) if self.strides else 0

    @property
    def args(self) -> tuple[int, ...]:
        """AXES, as kernels take them: the innermost first, and the outermost without a size."""
        rest = RANK - len(self.sizes)
        return (*(*self.sizes[::-1], *[1] * rest)[:-1], *self.strides[::-1], *[0] * rest)


class Walk(NamedTuple):
    """An array as results, and the elements of each."""

    kept: Axes
    reduced: Axes

    @property
    def results(self) -> int:
        return self.kept.size

    @property
    def elements(self) -> int:
        return self.reduced.size

    @property
    def defines(self) -> dict[str, int]:
        return {"KEPT": self.kept.rank, "REDUCED": self.reduced.rank}

    @property
    def args(self) -> tuple[int, ...]:
        """What kernels take behind their arrays."""
        return (self.results, *self.kept.args, self.elements, *self.reduced.args)


def walked(x: DeviceArray, axes: Sequence[int], kept: Sequence[int]) -> tuple[DeviceArray, Walk]:
    """How to go over `axes` of x for each place along the `kept` ones; outermost first, both.

    x is copied where it falls into too many pieces.
    """
    walk = Walk(along(x, kept), along(x, axes))
    if max(walk.kept.rank, walk.reduced.rank) <= RANK:
        return x, walk
    return walked(in_order(x, (*kept, *axes)), axes, kept)


def along(x: DeviceArray, axes: Sequence[int]) -> Axes:
    """Axes of x, joined where they follow each other in memory."""
    sizes, (strides,) = merged([x.shape[a] for a in axes], [[x.strides[a] for a in axes]])
    return Axes(tuple(sizes), tuple(strides))


def inmost_last(x: DeviceArray, axes: Sequence[int]) -> list[int]:
    """Axes in the order of x's memory, for whoever may take them in any."""
    return sorted(axes, key=lambda axis: -abs(x.strides[axis]))


def remaining(rank: int, axes: Sequence[int], keepdims: bool) -> list[int]:
    """The axes that a reduction over `axes` keeps, as they lie in the memory of its result."""
    kept = [axis for axis in range(rank) if axis not in axes]
    if keepdims:
        return [axis for axis in house_order(rank) if axis in kept]
    return [kept[k] for k in house_order(len(kept))]


class Block(NamedTuple):
    """How the threads of a block share the work: `lanes` for each result, see reduction.cuh."""

    threads: int
    lanes: int
    step: int

    def blocks(self, results: int) -> int:
        return -(-results // (self.threads // self.lanes))


def block(walk: Walk) -> Block:
    """The smallest block in which no thread takes more than its share, else the largest."""
    for threads, share in BLOCKS:
        found = block_of(threads, walk)
        if walk.elements <= share * found.lanes:
            break
    return found


def block_of(threads: int, walk: Walk) -> Block:
    """The lanes of a result are neighbours if its elements are, else the results are."""
    by_element = walk.results == 1 or walk.reduced.inmost <= walk.kept.inmost
    columns = 1 if by_element else min(COLUMNS, power_below(2 * walk.results - 1))
    lanes = min(power_below(walk.elements), threads // columns)
    return Block(threads, lanes, 1 if by_element else threads // lanes)


def segmented(walk: Walk) -> tuple[Block, int, int]:
    """A block, how many of them work for the same result, and the elements that each takes of it.

    One, unless its threads would take more than their share.
    """
    found = block(walk)
    if walk.elements <= BLOCKS[-1][1] * found.lanes:
        return found, 1, walk.elements
    found = block_of(BLOCKS[0][0], walk)
    most = max(MOST // found.blocks(walk.results), 1)
    segment = max(SHARE * found.lanes, -(-walk.elements // most))
    return found, -(-walk.elements // segment), segment


def power_below(count: int) -> int:
    """The largest power of two that is no larger than count; 1 if there is none."""
    return 1 << max(count, 1).bit_length() - 1


class Reduction(NamedTuple):
    """What reduction.cu is told: pieces of C, and the type in which elements are joined."""

    operation: str  # Sum, Product, Largest or Smallest
    start: str  # the value of no elements
    total: Any
    finished: str = "v"  # the result, of the total v and the number of elements, `whole`
    prologue: Prologue = AS_IT_IS


def reduced(
    reduction: Reduction, x: DeviceArray, axis: Any, keepdims: bool, dtype: Any
) -> DeviceArray:
    """x reduced over some axes, as an array of `dtype`."""
    axes = normalized(axis, x.ndim)
    y = empty(shape_without(x.shape, axes, keepdims), x, dtype)
    if y.size:
        if reduction.prologue.steps:
            x = dense(x)  # as a prologue counts
        kept = remaining(x.ndim, axes, keepdims)
        moved, walk = walked(x, inmost_last(x, axes), kept)
        if moved is not x and reduction.prologue.steps:
            moved, walk = walked(reduction.prologue.of(x), inmost_last(x, axes), kept)
            reduction = reduction._replace(prologue=AS_IT_IS)
        launch(reduction, y, moved, walk, walk.elements)
    return y


def launch(reduction: Reduction, y: DeviceArray, x: DeviceArray, walk: Walk, whole: int) -> None:
    """Launch it: once, or first for segments of each result and then for these."""
    shared, segments, segment = segmented(walk)
    if segments > 1:
        parts = empty((segments, walk.results), x, reduction.total)
        run(reduction._replace(finished="v"), parts, x, walk, shared, segment, whole)
        _, rest = walked(parts, (0,), (1,))
        launch(reduction._replace(prologue=AS_IT_IS), y, parts, rest, whole)
    else:
        run(reduction, y, x, walk, shared, segment, whole)


def run(
    reduction: Reduction,
    y: DeviceArray,
    x: DeviceArray,
    walk: Walk,
    shared: Block,
    segment: int,
    whole: int,
) -> None:
    defines = {
        "IN": C_TYPES[x.dtype.name],
        "TOTAL": C_TYPES[np.dtype(reduction.total).name],
        "OUT": C_TYPES[y.dtype.name],
        "OPERATION": reduction.operation,
        "START": reduction.start,
        "FINISH(v)": f"({reduction.finished})",
        **walk.defines,
        **reduction.prologue.defines,
    }
    channels = x.shape[house_order(x.ndim)[-1]] if x.ndim else 1
    work = (shared.lanes, shared.step, segment, whole, channels)
    grid = (shared.blocks(walk.results), y.size // walk.results)
    args = (y, x, walk.args, work, reduction.prologue.args)
    REDUCTION.launch("reduce", grid, shared.threads, args, defines=defines)


def normalized(axis: Any, rank: int) -> tuple[int, ...]:
    """Axes as NumPy's reductions take them: None is all."""
    return tuple(range(rank)) if axis is None else normalize_axis_tuple(axis, rank)


def shape_without(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> list[int]:
    if keepdims:
        return [1 if axis in axes else size for axis, size in enumerate(shape)]
    return [size for axis, size in enumerate(shape) if axis not in axes]


def summed_type(dtype: Any) -> Any:
    """What NumPy adds and multiplies in: the larger integers, and floats as they are."""
    return dtype if dtype.kind == "f" else np.dtype(np.uint64 if dtype.kind == "u" else np.int64)


def total(
    operation: str,
    start: str,
    x: DeviceArray,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    prologue: Prologue = AS_IT_IS,
) -> DeviceArray:
    """The sum or the product of the elements."""
    made = summed_type(np.dtype(dtype or x.dtype))
    reduction = Reduction(operation, start, made, prologue=prologue)
    return reduced(reduction, x, axis, keepdims, dtype or made)


on_device(np.sum)(functools.partial(total, "Sum", "0"))
on_device(np.prod)(functools.partial(total, "Product", "1"))


@on_device(np.mean)
def _(
    x: DeviceArray, axis: Any = None, *, keepdims: bool = False, prologue: Prologue = AS_IT_IS
) -> DeviceArray:
    dtype = x.dtype if x.dtype.kind == "f" else np.float32
    mean = Reduction("Sum", "0", summed_type(x.dtype), "(OUT)v / (OUT)whole", prologue)
    return reduced(mean, x, axis, keepdims, dtype)


def extremum(
    largest: bool,
    x: DeviceArray,
    axis: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    prologue: Prologue = AS_IT_IS,
) -> DeviceArray:
    """The largest or smallest of the elements, and of `initial` if it is given."""
    if initial is None:
        check_any(x, axis)
    lowest, highest = bounds(x.dtype)
    start = lowest if largest else highest
    operation = "Largest" if largest else "Smallest"
    reduction = Reduction(operation, literal(start, x.dtype), x.dtype, prologue=prologue)
    y = reduced(reduction, x, axis, keepdims, x.dtype)
    if initial is None or initial == start:
        return y
    return np.maximum(y, initial) if largest else np.minimum(y, initial)


on_device(np.max)(functools.partial(extremum, True))
on_device(np.min)(functools.partial(extremum, False))


def check_any(x: DeviceArray, axis: Any) -> None:
    """Raise ValueError, as NumPy does, where none of the elements can be the largest."""
    if 0 in (x.shape[a] for a in normalized(axis, x.ndim)):
        raise ValueError(f"an array {x.shape} has no elements to choose from along axis {axis}")


def bounds(dtype: Any) -> tuple[Any, Any]:
    """What no element of a type is below and above."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def literal(value: Any, dtype: Any) -> str:
    """A bound of a type in C."""
    if dtype.kind == "f":
        return f"{'-' if value < 0 else ''}__int_as_float(0x7f800000)"
    # the lowest integer is no literal
    return f"{value}ULL" if value >= 0 else f"({value + 1}LL - 1)"


def found(
    beyond: str, x: DeviceArray, axis: int | None = None, *, keepdims: bool = False
) -> DeviceArray:
    """Where along an axis, or in the array as one row, the first element beyond the others is."""
    check_any(x, axis)
    axes = normalized(axis, x.ndim)
    y = empty(shape_without(x.shape, axes, keepdims), x, np.int64)
    if y.size:
        x, walk = walked(x, axes, remaining(x.ndim, axes, keepdims))
        shared = block(walk)
        defines = {"IN": C_TYPES[x.dtype.name], "BEYOND(a, b)": beyond, **walk.defines}
        args = (y, x, walk.args, shared.lanes, shared.step)
        grid = shared.blocks(walk.results)
        SEARCH.launch("find", grid, shared.threads, args, defines=defines)
    return y


on_device(np.argmax)(functools.partial(found, "((a) > (b))"))
on_device(np.argmin)(functools.partial(found, "((a) < (b))"))
