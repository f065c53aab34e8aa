"""Receptive fields: what is claimed, against what gradients reach and what papers say."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from oneiro import Net
from oneiro.field import Field, Span, Step, fields, seen
from oneiro.inspection import run_on_symbols
from oneiro.layer import Layer
from oneiro.layers.pad import Pad
from oracle import small
from oracle.case import Case, every
from oracle.light import light
from oracle.small import SHAPE, Builder

SIDES = (41, 58)
Nets = Callable[..., Net]


def claims(net: Net, sides: tuple[int, int] = SIDES) -> dict[str, Field]:
    shadow, refusal = run_on_symbols(net, *sides)
    assert refusal is None
    return fields(shadow)


def filled(net: Net, blob: str, seed: int = 0) -> NDArray[Any]:
    """A blob for a picture of noise."""
    x = np.random.default_rng(seed).uniform(0.1, 1, net.blobs[net.input].shape)
    y: NDArray[Any] = net.forward({net.input: x}, end=blob)[blob]
    return y


def reached(net: Net, blob: str, row: int, column: int) -> tuple[range, range]:
    """The rows and the columns from the first to the last pixel that a unit's gradient reaches."""
    random = np.random.default_rng(0)
    hit: NDArray[np.bool_] = np.zeros(net.blobs[net.input].shape[2:], bool)
    for seed in range(12):
        y = filled(net, blob, seed)
        diff = np.zeros_like(y)
        diff[:, :, row, column] = random.normal(size=y.shape[:2])
        net.blobs[blob].diff = diff
        hit |= (net.backward(start=blob)[net.input] != 0).any((0, 1))
    rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
    return range(rows[0], rows[-1] + 1), range(columns[0], columns[-1] + 1)


def claimed(net: Net, field: Field, *unit: int) -> list[range]:
    """The pixels that a field claims for a unit, those outside the picture left out."""
    spans = []
    sides = net.blobs[net.input].shape[2:]
    for index, size, stride, offset, side in zip(
        unit, field.size, field.stride, field.offset, sides, strict=True
    ):
        begin = math.ceil(offset + index * stride)
        spans.append(range(max(begin, 0), min(begin + size, side)))
    return spans


def some_units(net: Net, blob: str) -> list[tuple[int, int]]:
    """Corners and insides of a blob."""
    h, w = net.blobs[blob].shape[2:]
    return [(0, 0), (h // 2, w // 2), (h // 3, w - 1), (h - 1, w // 4)]


def windows() -> ModelProto:
    net = Builder("windows", opset=18)
    x = net.conv("data", 7, 3, 5, 4, strides=[2, 1], pads=[2, 1, 0, 2])
    x = net.node("AveragePool", x, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 0, 1])
    x = net.node("Sigmoid", x, out="pooled")
    x = net.conv(x, 5, 7, 2, 3, dilations=[2, 1], pads=[0, 1, 2, 0])
    x = net.node("LRN", x, size=3)
    x = net.node("LpPool", x, kernel_shape=[2, 3], ceil_mode=1, strides=[2, 2])
    return net.model(net.norm(x, 5), "pooled")


def moved() -> ModelProto:
    net = Builder("moved", opset=18)
    starts, ends, axes, steps = net.ints(1, 2), net.ints(40, 60), net.ints(2, 3), net.ints(2, 3)
    x = net.node("Slice", "data", starts, ends, axes, steps)
    x = net.node("Pad", x, net.ints(0, 0, 2, 1, 0, 0, -1, 3))
    x = net.conv(x, 6, 3, 1, 2)
    x = net.node("Reshape", x, net.ints(0, 2, 3, 21, -1))
    x = net.node("Transpose", x, perm=[0, 2, 1, 3, 4])
    x = net.node("Reshape", x, net.ints(0, 6, 21, -1))
    x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    x = net.node("MatMul", x, net.normal(6, 4))
    x = net.node("Softmax", x, axis=-1)
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    return net.model(net.conv(x, 5, 4, 3, 2))


@pytest.mark.parametrize("make", [windows, moved])
def test_a_field_is_what_gradients_reach(net_of: Nets, make: Callable[[], ModelProto]) -> None:
    net = net_of(make(), np.float64)
    net.reshape({net.input: (1, SHAPE[1], *SIDES)})
    found = claims(net)
    for blob in net.outputs:
        for unit in some_units(net, blob) if make is windows else [(7, 9), (12, 5)]:
            assert list(reached(net, blob, *unit)) == claimed(net, found[blob], *unit), (blob, unit)


def pairs(case: Case) -> Iterator[tuple[Step, int, int, int]]:
    """Each way from a top to a bottom with a diff, along each axis of the bottom."""
    layer = copy.copy(case.layer)
    made = layer.forward(*case.bottoms)
    step = Step(layer, list(case.bottoms), list(made) if isinstance(made, tuple) else [made])
    for t, top in enumerate(step.tops):
        if top.dtype.kind == "f" and top.size and not is_mirror(layer):
            for b in case.towards:
                for axis in range(case.bottoms[b].ndim):
                    yield step, b, t, axis


def is_mirror(layer: Layer) -> bool:
    """A border that mirrors the picture counts as outside of it all the same."""
    return isinstance(layer, Pad) and layer.mode != "constant"


@pytest.mark.parametrize("name", every())
def test_no_diff_leaves_what_a_layer_sees(name: str) -> None:
    random = np.random.default_rng(0)
    for step, b, t, axis in pairs(every()[name]):
        span = seen(step, b, t, Span(axis))
        if span is None:
            continue
        count = step.tops[t].shape[span.axis]
        for unit in {0, count // 2, count - 1}:
            vs = [np.zeros(top.shape) for top in step.tops]
            place = (slice(None),) * span.axis + (unit,)
            vs[t][place] = random.normal(size=vs[t][place].shape)
            diffs = step.layer.backward(*vs)
            diff = diffs[b] if isinstance(diffs, tuple) else diffs
            hit = np.flatnonzero(np.moveaxis(diff, axis, 0).reshape(diff.shape[axis], -1).any(1))
            first, last = (unit * span.stride + end for end in (span.first, span.last))
            assert all(first <= k <= last for k in hit), (b, t, axis, unit)


def upwards() -> ModelProto:
    """Pools and what makes maps larger again, with a way past them."""
    net = Builder("upwards", opset=18)
    x = net.node("AveragePool", "data", kernel_shape=[2, 3], strides=[2, 3], out="low")
    x = net.node("ConvTranspose", x, net.normal(3, 4, 3, 5), strides=[2, 3], pads=[1, 2, 0, 1])
    x = net.node("Sigmoid", x, out="spread")
    x = net.node("Resize", x, "", net.constant([1, 1, 2, 1.5]), mode="linear", out="resized")
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 1])
    return net.model(net.conv(x, 5, 4, 3, 2, pads=[1, 0, 1, 0], out="end"), "spread", "resized")


@pytest.mark.parametrize("blob", ["low", "spread", "resized", "end"])
def test_behind_larger_maps_a_field_holds_what_gradients_reach(net_of: Nets, blob: str) -> None:
    net = net_of(upwards(), np.float64)
    field = claims(net)[blob]
    net.reshape({net.input: (1, SHAPE[1], *SIDES)})
    h, w = net.blobs[blob].shape[2:]
    widest = [0, 0]
    for unit in [(h // 2 + k, w // 2 + k) for k in range(6)]:
        for axis, (hit, allowed) in enumerate(
            zip(reached(net, blob, *unit), claimed(net, field, *unit), strict=True)
        ):
            assert {*hit} <= {*allowed}, unit
            widest[axis] = max(widest[axis], len(hit))
    # neighbours see unlike pieces: a field is longer than the longest by what they are shifted
    assert all(most <= size <= most + 3 for most, size in zip(widest, field.size, strict=True))


def test_fields_by_hand(net_of: Nets) -> None:
    net = Builder("hand", opset=18)
    half = net.node("AveragePool", "data", kernel_shape=[2, 2], strides=[2, 2], out="half")
    twice = net.node("Resize", half, "", net.constant([1, 1, 2, 2]), out="twice")
    gate = net.node("GlobalAveragePool", "data", out="gate")
    net.node("Concat", twice, "data", axis=1, out="joined")
    net.node("Mul", half, gate, out="gated")
    net.node("Softmax", half, axis=3, out="mixed")
    net.node("ReduceMean", half, net.ints(1), keepdims=0, out="grey")
    net.node("Flatten", half, out="flat")
    found = claims(net_of(net.model("joined", "gated", "mixed", "grey", "flat")), (8, 12))
    assert found["data"] == Field((1, 1), (1, 1), (0, 0))
    assert found["half"] == Field((2, 2), (2, 2), (0, 0))
    # unit i sees the pixels i - 1 and i, or i and i + 1
    assert found["twice"] == Field((3, 3), (1, 1), (-1, -1)) == found["joined"]
    assert found["grey"] == found["half"]
    for blob in ("gate", "gated", "mixed", "flat"):
        assert blob not in found


@pytest.mark.parametrize("name", small.MODELS)
def test_no_gradient_leaves_a_field(net_of: Nets, name: str) -> None:
    make, _ = small.MODELS[name]
    net = net_of(make(), np.float64)
    net.reshape({net.input: SHAPE})
    shapes = {name: blob.shape for name, blob in net.blobs.items()}
    for blob, field in claims(net, SHAPE[2:]).items():
        shape = shapes[blob]
        if len(shape) != 4 or min(shape[2:]) < 2:
            continue
        unit = shape[2] // 2, shape[3] // 2
        for hit, allowed in zip(reached(net, blob, *unit), claimed(net, field, *unit), strict=True):
            assert {*hit} <= {*allowed}, (blob, unit)


def chain(*windows: tuple[int, int, int]) -> ModelProto:
    """Convolutions of one channel, as (kernel, stride, padding)."""
    net = Builder("chain", opset=18)
    x = net.conv("data", 1, 3, 1, 1)
    for k, stride, pad in windows:
        x = net.conv(x, 1, 1, k, k, strides=[stride] * 2, pads=[pad] * 4)
    return net.model(net.node("Relu", x, out="end"))


CONV, POOL = (3, 1, 1), (2, 2, 0)
VGG19 = [c for n in (2, 2, 4, 4, 4) for c in (*[CONV] * n, POOL)]
MOBILENET = [(3, s, 1) for s in (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)]


@pytest.mark.parametrize(
    ("windows", "size", "stride"),
    [(VGG19[:-1], 252, 16), (VGG19, 268, 32), (MOBILENET, 315, 32)],
)
def test_fields_from_the_papers(
    net_of: Nets, windows: list[tuple[int, int, int]], size: int, stride: int
) -> None:
    field = claims(net_of(chain(*windows)), (224, 320))["end"]
    assert (field.size, field.stride) == ((size, size), (stride, stride))


def test_the_fields_of_alexnet(net_of: Nets) -> None:
    net = net_of(light("bvlc_alexnet"))
    found = claims(net, (227, 259))
    sizes = [found[node.tops[0]].size[0] for node in net.nodes if node.layer.reads_values]
    assert sizes == [11, 11, 11, 19, 51, 51, 51, 67, 99, 99, 131, 131, 163, 163, 195]
    assert found["r14"].stride == (32, 32)
