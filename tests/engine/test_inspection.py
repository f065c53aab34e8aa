"""What is found out about a network: sizes, counts, and where gradients stop."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from onnx import TensorProto, helper

import oneiro
from oneiro import Net, listing
from oneiro.field import Field
from oneiro.inspection import Inspection, Row, inspect
from oneiro.size import usual_size
from oracle import small
from oracle.small import SHAPE, Builder

Nets = Callable[..., Net]


def rows(found: Inspection) -> dict[str, Row]:
    return {row.tops[0]: row for row in found.rows}


def test_a_network_by_hand(net_of: Nets) -> None:
    net = Builder("hand", opset=18)
    x = net.conv("data", 6, 3, 5, 4, group=1, strides=[2, 1], pads=[2, 0, 0, 1], out="grouped")
    x = net.conv(x, 8, 3, 2, 2, group=2, out="halves")
    x = net.node("ConvTranspose", x, net.normal(8, 2, 3, 2), group=4, out="wider")
    x = net.node("Clip", x, net.constant(0.0), net.constant(6.0), out="clipped")
    x = net.node("Flatten", net.node("GlobalMaxPool", x), out="flat")
    x = net.node("Gemm", x, net.normal(8, 7), out="scores")
    x = net.node("MatMul", x, net.normal(7, 9), out="end")
    found = inspect(net_of(net.model(x)), 13, 18)
    assert found.input == (1, 3, 13, 18)
    by = rows(found)
    assert {name: row.shape for name, row in by.items()} == {
        "grouped": (1, 6, 6, 16),
        "halves": (1, 8, 5, 15),
        "wider": (1, 8, 7, 16),
        "clipped": (1, 8, 7, 16),
        "globalmaxpool_4": (1, 8, 1, 1),
        "flat": (1, 8),
        "scores": (1, 7),
        "end": (1, 9),
    }
    assert by["grouped"].parameters == 6 * 3 * 5 * 4 + 6
    assert by["halves"].parameters == 8 * 3 * 2 * 2 + 8
    assert by["clipped"].parameters == 0  # its bounds are not learnt
    assert found.parameters == 366 + 104 + 8 * 2 * 6 + 56 + 63
    assert by["grouped"].flops == 2 * (6 * 6 * 16) * (3 * 5 * 4)
    assert by["halves"].flops == 2 * (8 * 5 * 15) * (3 * 2 * 2)
    assert by["wider"].flops == 2 * (8 * 5 * 15) * (2 * 3 * 2)  # each element is spread
    assert by["clipped"].flops == 8 * 7 * 16
    assert by["scores"].flops == 2 * 8 * 7
    assert by["end"].flops == 2 * 7 * 9
    assert found.flops == sum(row.flops or 0 for row in found.rows)
    assert by["grouped"].field == Field((5, 4), (2, 1), (-2, 0))
    assert by["scores"].field is None
    assert by["halves"].bottoms == ("grouped",)
    assert (found.stops, found.missing, found.refusal) == ({}, {}, None)
    assert all(row.backward for row in found.rows)


def test_constants_that_are_shared_count_once(net_of: Nets) -> None:
    net = Builder("shared", opset=18)
    filters = net.normal(3, 3, 2, 5)
    x = net.node("Conv", net.node("Conv", "data", filters), filters)
    found = inspect(net_of(net.model(x)), 13, 18)
    assert [row.parameters for row in found.rows] == [90, 90]
    assert found.parameters == 90


@pytest.mark.parametrize("name", small.MODELS)
def test_shapes_are_those_of_a_run(net_of: Nets, name: str) -> None:
    net = net_of(small.MODELS[name][0]())
    found = inspect(net, *SHAPE[2:])
    for row in found.rows:
        data = net.forward({net.input: small.picture(name)}, end=row.tops[0])[row.tops[0]]
        assert row.shape == data.shape, row.name
    assert found.stops == {}
    assert json.loads(json.dumps(listing.facts(net, found, {}, ())))


def test_where_the_gradient_stops(net_of: Nets) -> None:
    net = Builder("steps", opset=18)
    x = net.conv("data", 7, 3, 2, 4, out="before")
    stepped = net.node("Floor", x, out="stepped")
    net.node("Relu", stepped, out="after")
    size = net.node("Shape", x)
    found = inspect(net_of(net.model(net.node("Expand", "after", size, out="end"))), 13, 18)
    assert found.stops == {"stepped": "no gradient"}
    assert {row.name for row in found.rows if not row.backward} >= {"stepped"}
    assert rows(found)["after"].backward


def test_operators_without_a_layer(net_of: Nets) -> None:
    net = Builder("strange", opset=18)
    x = net.conv("data", 7, 3, 2, 4, out="trunk")
    odd = net.node("Strange", x, out="odd", domain="far.away")
    net.node("Strange", odd, out="odder", domain="far.away")
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, None, None])
    outputs = [helper.make_empty_tensor_value_info("odder")]
    graph = helper.make_graph(net.nodes, "strange", [picture], outputs, net.initializers)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("far.away", 1)]
    found = inspect(net_of(helper.make_model(graph, opset_imports=opsets)), 13, 18)
    ((operator, names),) = found.missing.items()
    assert "Strange" in operator
    assert names == ["odd", "odder"]
    assert rows(found)["trunk"].shape == (1, 7, 12, 15)
    assert rows(found)["odd"].shape is None
    assert list(found.stops) == ["odd"]


def test_a_size_that_a_layer_does_not_take(net_of: Nets) -> None:
    net = Builder("fixed", opset=18)
    x = net.conv("data", 7, 3, 2, 4, out="trunk")
    x = net.node("Reshape", x, net.ints(1, 7 * 12 * 15), out="flat")
    fixed = net_of(net.model(net.node("Relu", x, out="end")))
    assert inspect(fixed, 13, 18).refusal is None
    found = inspect(fixed, 14, 18)
    assert "flat" in (found.refusal or "")
    assert rows(found)["trunk"].shape == (1, 7, 13, 15)
    assert rows(found)["end"].shape is None
    assert rows(found)["end"].flops is None


def test_the_embedded_network() -> None:
    net = oneiro.load("squeezenet1.1")
    assert usual_size(net) == (227, 227)
    found = inspect(net, *usual_size(net))
    assert found.parameters == 1_235_496  # as torchvision counts
    assert found.parameters == sum(math.prod(c.shape) for p in net.params.values() for c in p)
    assert 2 * 340e6 < found.flops < 2 * 420e6  # the paper's family: 0.35 G multiplications
    assert rows(found)["fire9/concat"].field == Field((207, 207), (16, 16), (-88, -88))
    assert rows(found)["prob"].field is None


def test_pictures_of_other_axes(tmp_path: Any) -> None:
    net = Builder("sound", opset=18)
    x = net.node("Conv", "data", net.normal(5, 3, 4), strides=[2])
    sound = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 21])
    outputs = [helper.make_empty_tensor_value_info(x)]
    graph = helper.make_graph(net.nodes, "sound", [sound], outputs, net.initializers)
    path = tmp_path / "sound.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(made.SerializeToString())
    loaded = oneiro.load(path)
    (row,) = inspect(loaded, *usual_size(loaded)).rows
    assert row.shape == (1, 5, 9)
    assert row.field == Field((4,), (2,), (0,))


def test_long_numbers_are_short() -> None:
    assert [listing.short(n) for n in (7, 1234, 44_100_000, 3_170_000_000, 2 * 10**12)] == [
        "7", "1.23k", "44.1M", "3.17G", "2T",
    ]  # fmt: skip
    assert listing.along((3, 3)) == "3"
    assert listing.along((3, 4.5)) == "3x4.5"
    assert listing.sizes((1, None, 7)) == "1x?x7"
