"""Ends written as text, the rule for unknown networks, and sizes that reach an end."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import oneiro
from oneiro import ArgumentError, ModelError, Net
from oneiro.goal import candidates, goal, parse_spec, usual_end
from oneiro.size import accepted_size
from oracle import light, small

Maker = Callable[..., Net]


def model(nodes: list[Any], size: int | None = None, **constants: Any) -> ModelProto:
    """A model from "data" (n, 3, size, size) to the last node's output."""
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, size, size])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [picture],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def chain(*names: str, op: str = "Relu") -> ModelProto:
    """Layers of one kind in a row, their outputs called `names`."""
    bottoms = ("data", *names)
    return model(
        [helper.make_node(op, [bottom], [top]) for bottom, top in zip(bottoms, names, strict=False)]
    )


# Text.


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mixed", ("mixed", (), 1)),
        ("mixed=2.5", ("mixed", (), 2.5)),
        ("mixed=-1e-3", ("mixed", (), -0.001)),
        ("mixed:12", ("mixed", (12,), 1)),
        ("mixed:12=0.5", ("mixed", (12,), 0.5)),
        ("mixed:12,3,4", ("mixed", (12, 3, 4), 1)),
        ("mixed:12,3,4=7", ("mixed", (12, 3, 4), 7)),
    ],
)
def test_an_end_as_text(net_of: Maker, text: str, spec: tuple[Any, ...]) -> None:
    assert parse_spec(net_of(small.branches()), text) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("a:0", ("a:0", (), 1)),
        ("a:0:2", ("a:0", (2,), 1)),
        ("a:0=2", ("a:0", (), 2)),
        ("a:0:2=3", ("a:0", (2,), 3)),
        ("b=1", ("b=1", (), 1)),
        ("b=1=2", ("b=1", (), 2)),
        ("b=1:2", ("b=1", (2,), 1)),
        ("b=1:2,3,4=5", ("b=1", (2, 3, 4), 5)),
        ("c:1=2", ("c:1=2", (), 1)),
        ("c:1=3", ("c", (1,), 3)),
        ("c:1=2=3", ("c:1=2", (), 3)),
        ("c:1=2:3", ("c:1=2", (3,), 1)),
        ("c:1", ("c", (1,), 1)),
    ],
)
def test_names_may_hold_colons_and_equals_signs(
    net_of: Maker, text: str, spec: tuple[Any, ...]
) -> None:
    assert parse_spec(net_of(chain("a:0", "b=1", "c", "c:1=2")), text) == spec


def test_an_alias_and_a_layer_name_a_blob(net_of: Maker) -> None:
    net = net_of(model([helper.make_node("Relu", ["data"], ["top"], name="layer")]))
    net.aliases = {"also": "top"}
    assert parse_spec(net, "also:1=2") == ("top", (1,), 2)
    assert parse_spec(net, "layer") == ("top", (), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mixd", "mixd.*mixed"),
        ("mixd:3", "mixd.*mixed"),
        ("mixd=2", "mixd.*mixed"),
        ("mixed=", "weight"),
        ("mixed=heavy", "'heavy'.*weight"),
        ("mixed=nan", "nan"),
        ("mixed=inf", "inf"),
        ("mixed:", "channel"),
        ("mixed:a", "'a'.*channel"),
        ("mixed:1.5", "'1.5'.*channel"),
        ("mixed:1,2", "'1,2'.*channel"),
        ("mixed:1,2,3,4", "'1,2,3,4'.*channel"),
        ("", "no blob"),
    ],
)
def test_text_that_is_no_end(net_of: Maker, text: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as caught:
        parse_spec(net_of(small.branches()), text)
    assert "\n" not in str(caught.value)


# From text to objectives.


@pytest.mark.parametrize(
    ("texts", "value", "diff"),
    [
        (["end"], lambda a: (a**2).sum() / 2, lambda a: a),
        (["end=3"], lambda a: 1.5 * (a**2).sum(), lambda a: 3 * a),
        (["end:1=3"], lambda a: 3 * a[:, 1].sum(), lambda a: 3 * hot(a, 1)),
        (["end:1,2,4"], lambda a: a[0, 1, 2, 4], lambda a: hot(a, 1, 2, 4)),
        (
            ["end:1", "end=2", "end:0=-1"],
            lambda a: a[:, 1].sum() + (a**2).sum() - a[:, 0].sum(),
            lambda a: hot(a, 1) + 2 * a - hot(a, 0),
        ),
    ],
    ids=["blob", "weighted", "channel", "neuron", "several"],
)
def test_ends_of_one_blob_add_up(
    net_of: Maker, texts: list[str], value: Callable[..., Any], diff: Callable[..., Any]
) -> None:
    data = np.random.default_rng(0).normal(size=(1, 3, 5, 7))
    climbed = goal(net_of(chain("end")), texts)
    assert list(climbed) == ["end"]
    found, slope = climbed["end"](data)
    assert found == pytest.approx(value(data))
    np.testing.assert_allclose(slope, diff(data))


def hot(data: Any, *place: int) -> Any:
    one = np.zeros_like(data)
    one[(0, *place)] = 1
    return one


def test_every_blob_has_its_objective(net_of: Maker) -> None:
    def own(data: Any) -> tuple[Any, Any]:
        return data.sum(), data * 0 + 1

    net = net_of(chain("a", "b", "c"))
    climbed = goal(net, ["b=2", "a", "c:1"], {"b": own})
    data = np.random.default_rng(0).normal(size=(1, 3, 5, 7))
    assert set(climbed) == {"a", "b", "c"}
    assert climbed["b"](data)[0] == pytest.approx(2 * data.sum())
    assert climbed["a"](data)[0] == pytest.approx((data**2).sum() / 2)
    assert climbed["c"](data)[0] == pytest.approx(data[:, 1].sum())


# A network that nobody has tried yet.


@pytest.mark.parametrize(
    ("name", "op", "count"),
    [
        ("bvlc_alexnet", "Relu", 5),
        ("densenet121", "Concat", 58),
        ("inception_v1", "Concat", 9),
        ("inception_v2", "Concat", 10),
        ("resnet50", "Relu", 16),  # each alone reads a residual sum
        ("squeezenet", "Concat", 8),
    ],
)
def test_candidates_are_the_stages_of_real_topologies(
    net_of: Maker, name: str, op: str, count: int
) -> None:
    net = net_of(light.light(name))
    found = candidates(net)
    makers = {node.tops[0]: type(node.layer).__name__ for node in net.nodes}
    assert {makers[blob] for blob in found} == {op}
    assert len(found) == count
    in_order = [blob for blob in net.blobs if blob in found]
    assert found == in_order
    assert usual_end(net) in found[1:-1]


def test_candidates_of_a_plain_chain_are_what_its_rectifiers_make(net_of: Maker) -> None:
    assert candidates(net_of(chain("c", "a", "b"))) == ["c", "a", "b"]


def test_candidates_without_rectifiers_are_all_maps_in_order(net_of: Maker) -> None:
    names = [f"conv{k}" for k in range(1, 13)]
    net = net_of(chain(*names, op="Sigmoid"))
    assert candidates(net) == names


def test_a_bias_is_no_join(net_of: Maker) -> None:
    nodes = []
    for k in range(6):
        nodes.append(
            helper.make_node("Add", [f"relu{k - 1}" if k else "data", "bias"], [f"add{k}"])
        )
        nodes.append(helper.make_node("Identity", [f"add{k}"], [f"same{k}"]))  # not read alone
        nodes.append(helper.make_node("Relu", [f"add{k}"], [f"relu{k}"]))
    net = net_of(model(nodes, bias=np.ones((3, 1, 1), np.float32)))
    assert candidates(net) == [f"relu{k}" for k in range(6)]


def test_candidates_stop_where_maps_end(net_of: Maker) -> None:
    nodes = [
        helper.make_node("Relu", ["data"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
        helper.make_node("Relu", ["mean"], ["end"]),
    ]
    assert candidates(net_of(model(nodes))) == ["map"]


def test_a_tail_without_a_layer_hides_no_candidate(net_of: Maker) -> None:
    made = chain("a", "b", "c")
    made.graph.node.append(helper.make_node("Strange", ["c"], ["tail"], domain="far.away"))
    made.opset_import.append(helper.make_opsetid("far.away", 1))
    made.graph.output[0].name = "tail"
    assert candidates(net_of(made)) == ["a", "b", "c"]


def test_a_network_without_maps_asks_for_an_end(net_of: Maker) -> None:
    nodes = [helper.make_node("GlobalAveragePool", ["data"], ["end"])]
    with pytest.raises(ModelError, match="end"):
        candidates(net_of(model(nodes)))


# Sizes.


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (64, 31)])
def test_a_size_that_reaches_the_end_stays(net_of: Maker, size: tuple[int, int]) -> None:
    assert accepted_size(net_of(chain("a", "b")), ["a", "b"], *size) == size


def test_a_small_picture_grows_until_the_end_is_reached() -> None:
    net = oneiro.load("squeezenet1.1")
    h, w = accepted_size(net, ["fire7/concat"], 5, 70)
    assert (h, w) == (17, 70)
    assert net.shapes({"data": (1, 3, h, w)}, end="fire7/concat")["fire7/concat"][2] == 1
    with pytest.raises(ModelError):
        net.shapes({"data": (1, 3, h - 1, w)}, end="fire7/concat")


@pytest.mark.parametrize(
    ("size", "accepted"), [((96, 128), (96, 128)), ((33, 200), (33, 223)), ((1, 71), (31, 95))]
)
def test_branches_that_disagree(
    net_of: Maker, size: tuple[int, int], accepted: tuple[int, int]
) -> None:
    # Inception v2 halves its maps by pools and by convolutions, which round each in their way.
    net = net_of(light.light("inception_v2"))
    assert accepted_size(net, [light.NETWORKS["inception_v2"].end], *size) == accepted


def test_a_fixed_size_is_reached_from_below_and_refused_from_above(net_of: Maker) -> None:
    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["end"], name="scores"),
    ]
    net = net_of(model(nodes, w=np.ones((3 * 8 * 8, 5), np.float32)))
    assert accepted_size(net, ["end"], 8, 8) == (8, 8)
    assert accepted_size(net, ["end"], 3, 7) == (8, 8)
    with pytest.raises(ModelError, match=re.compile("end.*9x8.*scores")) as caught:
        accepted_size(net, ["end"], 8, 9)
    assert "\n" not in str(caught.value)
