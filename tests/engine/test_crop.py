"""Pieces of pictures: what gradients reach lies in them, and nets see the same in them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

import oneiro
from oneiro import Net
from oneiro.crop import Box, Window, box, clipped, cut, window
from oneiro.field import Field, fields
from oracle import small
from oracle.small import Builder

Nets = Callable[..., Net]


def trunk() -> ModelProto:
    """Windows of every kind, none of them square, with a branch beside them."""
    net = Builder("trunk", opset=18)
    x = net.node("Relu", net.conv("data", 5, 3, 3, 2, strides=[2, 1], pads=[1, 0, 1, 1]), out="one")
    x = net.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, out="two")
    x = net.node("LRN", x, size=3)
    a = net.conv(x, 4, 5, 1, 1)
    b = net.conv(x, 3, 5, 3, 3, pads=[1, 1, 1, 1])
    x = net.node("Relu", net.node("Concat", a, b, axis=1), out="three")
    x = net.node(
        "AveragePool", x, kernel_shape=[2, 3], strides=[1, 2], pads=[0, 1, 1, 0], out="four"
    )
    return net.model(net.conv(x, 6, 7, 3, 1, dilations=[2, 1], out="end"), "one", "three")


def seen_by(net: Net, h: int, w: int) -> dict[str, Field]:
    shadow = net.on_symbols({net.input: (1, net.channels, h, w)})
    shadow.fill_reachable()
    return fields(shadow)


def positive(net: Net) -> Net:
    """The net with every filter positive, so that nothing cancels and no rectifier is shut."""
    net = copy.copy(net)
    net.constants = {
        name: np.abs(array) if array.dtype.kind == "f" else array
        for name, array in net.constants.items()
    }
    return net


def reached(net: Net, x: NDArray[Any], blob: str, unit: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The pixels (h, w) with a gradient of one unit that is not zero."""
    y = net.forward({net.input: x}, end=blob)[blob]
    diff = np.zeros_like(y)
    diff[(0, *unit)] = 1
    net.blobs[blob].diff = diff
    found: NDArray[np.bool_] = (net.backward(start=blob)[net.input] != 0).any((0, 1))
    return found


def check_seen(net: Net, blob: str, field: Field, shape: tuple[int, int], tight: bool) -> None:
    """Units in corners and inside: no gradient leaves what they see; if tight, all is reached.

    A pool takes one value of its window: several pictures are needed to reach all sides.
    """
    units, rows, columns = net.shapes({net.input: (1, 3, *shape)}, end=blob)[blob][1:]
    for row, column in [(0, 0), (rows // 2, columns // 2), (rows - 1, columns // 3)]:
        seen = box(field, row, column)
        there = cut(np.ones((*shape, 1), bool), seen)[..., 0]
        ever = np.zeros_like(there)
        for seed in range(12):
            x = np.random.default_rng(seed).uniform(0.1, 1, (1, 3, *shape))
            hit = reached(net, x, blob, (units - 1, row, column))
            within = cut(hit[..., None], seen)[..., 0]
            assert within.sum() == hit.sum(), (blob, row, column)
            ever |= within
            if not tight or sides(ever) == sides(there):
                break
        assert not tight or sides(ever) == sides(there), (blob, row, column)


def sides(mask: NDArray[np.bool_]) -> list[list[int]]:
    """The first and the last row and column where there is something."""
    return [np.flatnonzero(mask.any(axis))[[0, -1]].tolist() for axis in (1, 0)]


@pytest.mark.parametrize("tight", [False, True])
def test_no_gradient_leaves_what_a_unit_sees(net_of: Nets, tight: bool) -> None:
    net = net_of(trunk(), np.float64)
    net = positive(net) if tight else net
    seen = seen_by(net, 43, 50)
    for blob in ("one", "three", "end"):
        check_seen(net, blob, seen[blob], (43, 50), tight)


@pytest.mark.parametrize("name", ["caffe", "branches", "mobile", "pools"])
def test_no_gradient_leaves_what_units_of_small_nets_see(net_of: Nets, name: str) -> None:
    net = net_of(small.MODELS[name][0](), np.float64)
    net.reshape({net.input: (1, 3, 31, 38)})
    for blob, field in seen_by(net, 31, 38).items():
        shape = net.blobs[blob].shape
        if blob != net.input and shape is not None and len(shape) == 4:
            check_seen(net, blob, field, (31, 38), tight=False)


@pytest.mark.parametrize("tight", [False, True])
def test_no_gradient_leaves_what_squeezenet_s_units_see(tight: bool) -> None:
    net = oneiro.load("squeezenet1.1")
    net = positive(net) if tight else net
    seen = seen_by(net, 99, 131)
    names = ("conv1", "fire2/squeeze1x1", "fire3/expand3x3", "fire5/concat", "fire8/squeeze1x1")
    for blob in map(net.resolve, names):
        # the last unit of a Concat is one of the branch that sees most
        check_seen(net, blob, seen[blob], (99, 131), tight)


@pytest.mark.parametrize("blob", ["one", "two", "three", "end"])
def test_units_are_the_same_in_a_window(net_of: Nets, blob: str) -> None:
    net = net_of(trunk(), np.float64)
    h, w = 83, 94
    x = np.random.default_rng(1).normal(size=(1, 3, h, w))
    seen = seen_by(net, h, w)
    field, below = seen[blob], seen.values()
    piece = window(field, below, h, w)
    assert piece.height < h
    assert piece.width < w
    whole = net.forward({net.input: x}, end=blob)[blob].copy()
    rows, columns = whole.shape[2:]
    for row in {0, 1, rows // 2, rows - 2, rows - 1}:
        for column in {0, columns // 3, columns - 1}:
            top, left = piece.corner(box(field, row, column), h, w)
            part = x[:, :, top : top + piece.height, left : left + piece.width]
            y = net.forward({net.input: part}, end=blob)[blob]
            place = row - int(top // field.stride[0]), column - int(left // field.stride[1])
            np.testing.assert_allclose(y[(0, slice(None), *place)], whole[0, :, row, column])


def test_the_window_is_the_picture_where_nothing_less_will_do() -> None:
    field = Field((5, 5), (2, 2), (-1, -1))
    whole = Window(40, 41, 1)
    assert window(field, [field, None], 40, 41) == whole
    assert window(Field((5, 5), (0.5, 1), (0, 0)), [field], 40, 41) == whole
    assert window(Field((90, 5), (2, 3), (-1, 0)), [field], 40, 41) == Window(40, 11, 6)


def test_a_piece_is_filled_where_it_leaves_the_picture() -> None:
    values = np.arange(2 * 3 * 2).reshape(2, 3, 2)
    piece = cut(values, Box(-1, 1, 2, 4), [7, 8])
    assert piece[..., 0].tolist() == [[7, 7, 7, 7], [2, 4, 7, 7]]
    assert piece[..., 1].tolist() == [[8, 8, 8, 8], [3, 5, 8, 8]]
    np.testing.assert_array_equal(cut(values, Box(0, 0, 2, 3)), values)
    assert not cut(values, Box(5, 5, 1, 2)).any()


def test_a_box_larger_than_the_picture_is_clipped() -> None:
    assert clipped(Box(-3, -2, 9, 5), 8, 6) == Box(0, -2, 6, 5)
    assert clipped(Box(-3, 4, 8, 7), 8, 6) == Box(-3, 4, 8, 2)
