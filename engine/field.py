"""Receptive fields: which pixels a unit can see, composed layer by layer."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.symbol import known
from oneiro.kernels.window import Window

from .layer import LAYERS, Activation, Layer, as_tuple
from .layers.conv import Conv, ConvTranspose
from .layers.gemm import MatMul
from .layers.logic import Verdict
from .layers.lrn import LRN
from .layers.pad import Pad
from .layers.pool import Pool
from .layers.reduce import Reduction
from .layers.resize import Resize
from .net import Net

# Each value made of the values at its own place, operands perhaps broadcast.
POINTWISE = (
    "Abs", "Add", "BatchNormalization", "Cast", "CastLike", "Ceil", "Cos", "DequantizeLinear",
    "Div", "Erf", "Exp", "Floor", "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Pow",
    "QuantizeLinear", "Reciprocal", "Round", "Sign", "Sin", "Sqrt", "Sub", "Sum", "Where",
)  # fmt: skip
# Values taken from other places, as they are.
MOVES = (
    "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
# Values mixed along some axes, and along the others not.
MIXERS = (
    "ArgMax", "ArgMin", "Concat", "CumSum", "Hardmax", "LayerNormalization", "LogSoftmax",
    "LpNormalization", "RMSNormalization", "Softmax", "TopK",
)  # fmt: skip

LARGEST = 1 << 27  # elements of a blob whose places are numbered to see how they move


class Span(NamedTuple):
    """What units see along an axis: unit i the places i * stride + first ... i * stride + last.

    `axis` is the units' own. Behind layers that make larger maps neighbours see unlike pieces: the
    span is the shortest that holds for all of them, and may begin between two places.
    """

    axis: int
    stride: Fraction = Fraction(1)
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def over(self, below: Span) -> Span:
        """What is seen through this span over what its places see."""
        first = below.first + self.first * below.stride
        last = below.last + self.last * below.stride
        return Span(self.axis, self.stride * below.stride, first, last)


# For each axis of the picture (rows, columns) the span over it; None: all of it, or none to name.
View = tuple[Span | None, ...]


@dataclass(frozen=True)
class Field:
    """The receptive field of a blob's units, along each axis of the picture (rows, columns).

    Unit i sees `size` pixels from i * stride + offset on. Padding counts: an offset below 0 lies
    outside the picture.
    """

    size: tuple[int, ...]
    stride: tuple[float, ...]
    offset: tuple[float, ...]


def fields(shadow: Net) -> dict[str, Field]:
    """The receptive fields of a net's blobs after it ran on symbols.

    Where branches meet, the field holds those of all. A blob is left out when its units see the
    whole picture, whatever its size (behind global pools, products with matrices, attention), when
    it has lost the picture's axes, and when it depends on no pixel.
    """
    return {
        name: Field(
            tuple(math.floor(span.last - span.first) + 1 for span in spans),
            tuple(plain(span.stride) for span in spans),
            tuple(plain(span.first) for span in spans),
        )
        for name, view in views(shadow).items()
        if view and len(spans := [span for span in view if span is not None]) == len(view)
    }


def plain(number: Fraction) -> float:
    """As an int where it is whole."""
    return int(number) if number.denominator == 1 else float(number)


class Step(NamedTuple):
    """A layer that has been run, with what it read and what it made."""

    layer: Layer
    bottoms: list[Any]
    tops: list[Any]


def views(shadow: Net) -> dict[str, View]:
    """The view of every blob that the picture flows into and that has been made."""
    rank = len(shadow.value(shadow.input).shape)
    found: dict[str, View] = {shadow.input: tuple(Span(axis) for axis in range(2, rank))}
    for node in shadow.nodes:
        tops = [shadow.blobs[top].data for top in node.tops]
        if not node.layer.reads_values or any(data is None for data in tops):
            continue
        bottoms = [None if name is None else shadow.value(name) for name in node.bottoms]
        step = Step(node.layer, bottoms, tops)
        for t, top in enumerate(node.tops):
            through = [
                tuple(seen(step, b, t, span) for span in found[name])
                for b, name in enumerate(node.bottoms)
                if name in found
            ]
            if through:
                found[top] = functools.reduce(lambda x, y: joined(x, y, tops[t]), through)
    return found


def joined(a: View, b: View, data: Any) -> View:
    """What the units of `data` see in two ways together."""
    counts = known(data.shape)
    return tuple(union(*spans, counts) for spans in zip(a, b, strict=True))


def union(a: Span | None, b: Span | None, counts: Sequence[int | None]) -> Span | None:
    """The shortest span that holds both, for so many units along each axis."""
    if a is None or b is None or a.axis != b.axis:
        return None
    if a.stride < b.stride:
        a, b = b, a
    count = counts[a.axis]
    if a.stride != b.stride and count is None:
        return None
    drift = (b.stride - a.stride) * ((count or 1) - 1)  # of b against a, at the last unit
    first, last = min(a.first, b.first, b.first + drift), max(a.last, b.last, b.last + drift)
    return Span(a.axis, a.stride, first, last)


def seen(step: Step, b: int, t: int, span: Span | None) -> Span | None:
    """What the top `t` sees of the picture through the bottom `b`, which sees `span` of it."""
    empty = any(0 in known(data.shape) for data in (step.bottoms[b], step.tops[t]))
    if span is None or empty or b in step.layer.numbers:
        return None
    own = sight(step.layer, step, b, t, span.axis)
    return own.over(span) if own else None


@functools.singledispatch
def sight(layer: Layer, step: Step, b: int, t: int, axis: int) -> Span | None:
    """What units of the top `t` see of the bottom `b` along its `axis`.

    None if they see all of it, which is what layers do that nothing else is known of.
    """
    return None


@sight.register(Activation)
@sight.register(Verdict)
def aligned(layer: Layer, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Each unit sees its own place; all the same one where that is broadcast."""
    old, new = (known(data.shape) for data in (step.bottoms[b], step.tops[t]))
    place = axis + len(new) - len(old)
    if place < 0:  # more axes than the top: only the type is taken
        return None
    return Span(place) if old[axis] == new[place] else Span(place, Fraction(0))


@sight.register
def convolved(layer: Conv, step: Step, b: int, t: int, axis: int) -> Span | None:
    return slid(layer.window, axis) if b == 0 else None


@sight.register
def pooled(layer: Pool, step: Step, b: int, t: int, axis: int) -> Span | None:
    return slid(layer.geometry(step.bottoms[0]), axis)


def slid(window: Window, axis: int) -> Span | None:
    """A window that moves `stride` places from unit to unit."""
    k = axis - 2
    if k < 0:
        return None
    first = Fraction(-window.before[k])
    return Span(axis, Fraction(window.strides[k]), first, first + window.span[k] - 1)


@sight.register
def spread(layer: ConvTranspose, step: Step, b: int, t: int, axis: int) -> Span | None:
    """A window over the top, which moves `stride` places from unit to unit of the bottom."""
    k = axis - 2
    if b > 0 or k < 0:
        return None
    window = layer.window
    stride, before, span = window.strides[k], window.before[k], window.span[k]
    first, last = Fraction(before - span + 1, stride), Fraction(before, stride)
    return Span(axis, Fraction(1, stride), first, last)


@sight.register
def bordered(layer: Pad, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Places shifted by the border before them, which is outside whatever it holds."""
    start = Fraction(-layer.widths[axis][0])
    return Span(axis, first=start, last=start)


@sight.register
def resampled(layer: Resize, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Rows and columns made of others: the places with a weight."""
    if layer.repeats:
        return moved(layer, step, b, t, axis)
    matrix = dict(layer.maps).get(axis)
    if matrix is None:
        return Span(axis)
    weights = matrix.toarray() != 0
    size = weights.shape[1]
    low, high = weights.argmax(axis=1), size - 1 - weights[:, ::-1].argmax(axis=1)
    return fitted(axis, low, high, size)


def moved(layer: Layer, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Values from other places: told by moving the numbers of the places themselves."""
    shapes: list[Any] = [known(data.shape) for data in (step.bottoms[b], *step.tops)]
    others = [data for k, data in enumerate(step.bottoms) if k != b]
    if any(None in sizes for sizes in shapes) or any(is_symbol(data) for data in others):
        return None
    if not all(0 < math.prod(sizes) <= LARGEST for sizes in shapes):
        return None
    sizes = shapes[0]
    places = np.arange(sizes[axis], dtype=np.int32)
    places = places.reshape(-1, *(1,) * (len(sizes) - axis - 1))
    values = list(step.bottoms)
    values[b] = np.broadcast_to(places, sizes)
    top = as_tuple(copy.copy(layer).forward(*values))[t]
    is_place = top.ndim and top.dtype.kind != "b"  # a mask says nothing of places
    return located(top, axis, sizes[axis]) if is_place else None


def located(top: Array, axis: int, size: int) -> Span | None:
    """The span that fits an array of places of an axis of `size` best; None if that is all of it.

    The axis may have gone elsewhere in `top`.
    """
    found = []
    for there in range(top.ndim):
        rest = tuple(k for k in range(top.ndim) if k != there)
        span = fitted(there, top.min(rest), top.max(rest), size)
        found.append((span.last - span.first, there != axis, span))
    width, _, span = min(found)
    return span if width < size - 1 or size == 1 else None


def fitted(axis: int, low: Array, high: Array, size: int) -> Span:
    """The shortest span for units that see the places low[i] ... high[i] of `size`."""
    count = len(low)
    steps = {Fraction(size, count), Fraction(int(low[-1] - low[0]), max(count - 1, 1))}
    spans = []
    for stride in steps:
        along = np.arange(count) * stride.numerator
        first = Fraction(int((low * stride.denominator - along).min()), stride.denominator)
        last = Fraction(int((high * stride.denominator - along).max()), stride.denominator)
        spans.append(Span(axis, stride, first, last))
    return min(spans, key=lambda span: span.last - span.first)


def unmixed(layer: Any, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Each unit sees its own place along the axes that the layer does not mix."""
    rank = len(step.bottoms[b].shape)
    axes = {number % rank for number in getattr(layer, "axes", None) or (layer.axis,)}
    return None if axis in axes else beside(axes, step, b, t, axis)


@sight.register
def reduced(layer: Reduction, step: Step, b: int, t: int, axis: int) -> Span | None:
    return None if axis in layer.axes else beside({*layer.axes}, step, b, t, axis)


@sight.register
def multiplied(layer: MatMul, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Rows by columns: rows stay apart in the first operand, columns in the second."""
    ranks = [len(data.shape) for data in step.bottoms]
    summed = ranks[b] - (1 if b == 0 else 2)
    return None if axis == summed or min(ranks) < 2 else aligned(layer, step, b, t, axis)


@sight.register
def normalized(layer: LRN, step: Step, b: int, t: int, axis: int) -> Span | None:
    """Channels see their neighbours, rows and columns themselves."""
    return None if axis == 1 else aligned(layer, step, b, t, axis)


def beside(axes: set[int], step: Step, b: int, t: int, axis: int) -> Span | None:
    """Each unit sees its own place along an axis that stays where `axes` may have gone."""
    if len(step.tops[t].shape) == len(step.bottoms[b].shape):
        return aligned(step.layer, step, b, t, axis)
    return Span(axis - sum(gone < axis for gone in axes))


for names, rule in ((POINTWISE, aligned), (MOVES, moved), (MIXERS, unmixed)):
    for name in names:
        sight.register(LAYERS[name], rule)
