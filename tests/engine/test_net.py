"""A Net is Caffe's: what forward fills, what backward overwrites, what names mean."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import oneiro
from oneiro import ArgumentError, ModelError, Net
from oracle.notation import network

NetOf = Callable[..., Net]
X = np.random.default_rng(0).normal(size=(1, 3, 9, 11)).astype(np.float32)


def branching() -> ModelProto:
    """data → conv → relu → (left, right) → join → head, and a second output `side`."""
    random = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["data", "w1", "b1"], ["conv_pre"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv_pre"], ["conv"], "relu_conv"),
        helper.make_node("Conv", ["conv", "w2"], ["left_pre"], "left", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["left_pre"], ["left_out"], "relu_left"),
        helper.make_node("Sigmoid", ["conv"], ["right_out"]),
        helper.make_node("Concat", ["left_out", "right_out"], ["join"], "join", axis=1),
        helper.make_node("GlobalAveragePool", ["join"], ["head"], "head"),
        helper.make_node("Sigmoid", ["left_pre"], ["side"], "side"),
    ]
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, "h", "w"])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("head", "side")]
    weight = [weights("w1", 4, 3, 3, 3), weights("b1", 4), weights("w2", 5, 4, 3, 3)]
    graph = helper.make_graph(nodes, "g", [picture], outputs, weight)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def net(net_of: NetOf) -> Net:
    return net_of(branching())


def test_blobs_are_in_order_and_params_by_layer(net: Net) -> None:
    assert list(net.blobs)[:4] == ["data", "conv_pre", "conv", "left_pre"]
    assert net.inputs == ["data"]
    assert net.outputs == ["head", "side"]
    assert [p.shape for p in net.params["conv"]] == [(4, 3, 3, 3), (4,)]
    assert "join" not in net.params


def test_forward_returns_the_outputs_or_the_end(net: Net) -> None:
    assert set(net.forward({"data": X})) == {"head", "side"}
    result = net.forward(data=X, end="join")
    assert list(result) == ["join"]
    assert result["join"].shape == (1, 9, 9, 11)
    np.testing.assert_array_equal(result["join"], net.blobs["join"].data)


def test_inputs_reshape_the_net(net: Net) -> None:
    net.forward(data=X, end="join")
    net.forward(data=X[:, :, :5, :7], end="join")
    assert net.blobs["join"].shape == (1, 9, 5, 7)


def test_reshape_tells_shapes_without_computing(net: Net) -> None:
    net.reshape(data=(2, 3, 8, 6))
    assert net.blobs["join"].shape == (2, 9, 8, 6)
    assert net.blobs["join"].data is None
    net.blobs["data"].data[...] = 1
    assert net.forward(end="conv")["conv"].shape == (2, 4, 8, 6)


def test_blobs_that_were_not_filled_are_empty(net: Net) -> None:
    net.forward(data=X)
    net.forward(data=2 * X, end="conv")
    assert net.blobs["conv"].data is not None
    assert net.blobs["join"].data is None
    with pytest.raises(ModelError, match="'join' is empty"):
        np.asarray(net.blobs["join"])


def test_forward_from_a_blob_takes_its_data_as_it_stands(net: Net) -> None:
    net.forward(data=X)
    side = net.blobs["side"].data.copy()
    net.blobs["right_out"].data[...] = 0
    net.forward(start="right_out", end="head")
    np.testing.assert_array_equal(net.blobs["join"].data[:, 5:], 0)
    np.testing.assert_array_equal(net.blobs["side"].data, side)


def test_one_top_of_a_layer_may_be_held(net_of: NetOf) -> None:
    net = net_of(network("a, b = Split <axis = 3, split = [4, 7]> (x) c = Neg (a) y = Neg (b)", 12))
    net.forward(x=X)
    held = np.ones_like(net.blobs["a"].data)
    net.blobs["a"].data = held
    net.forward({"x": 2 * X}, start=["x", "a"], end=["c", "y"])
    np.testing.assert_array_equal(net.blobs["c"].data, -held)
    np.testing.assert_array_equal(net.blobs["y"].data, -2 * X[..., 4:])


def test_diff_equals_data_is_the_objective_of_deepdream(net: Net) -> None:
    net.forward(data=X, end="join")
    dst = net.blobs["join"]
    dst.diff[...] = dst.data
    net.backward(start="join")
    value, gradient = oneiro.image_gradient(net, X, {"join": oneiro.objective.l2})
    np.testing.assert_array_equal(net.blobs["data"].diff, gradient)
    assert value == pytest.approx(0.5 * (dst.data**2).sum(), rel=1e-6)


def test_backward_overwrites_and_nothing_accumulates(net: Net) -> None:
    net.forward(data=X)
    net.blobs["join"].diff[...] = 1
    first = net.backward(start="join")["data"].copy()
    net.blobs["conv"].diff[...] = 77
    net.blobs["data"].diff[...] = 77
    np.testing.assert_array_equal(net.backward(start="join")["data"], first)


def test_several_starts_add_up_and_a_lower_one_keeps_its_seed(net: Net) -> None:
    net.forward(data=X)
    alone = {}
    for name in ("join", "conv"):
        net.blobs[name].diff[...] = net.blobs[name].data
        alone[name] = net.backward(start=name)["data"].copy()
        if name == "join":
            inflow = net.blobs["conv"].diff.copy()
    for name in ("join", "conv"):
        net.blobs[name].diff[...] = net.blobs[name].data
    both = net.backward(start=["join", "conv"])["data"]
    np.testing.assert_allclose(both, alone["join"] + alone["conv"], rtol=1e-4, atol=1e-5)
    seed = net.blobs["conv"].data
    np.testing.assert_allclose(net.blobs["conv"].diff, seed + inflow, rtol=1e-5)


def test_a_seed_written_after_a_backward_changes_no_other(net: Net) -> None:
    """The diffs that Concat hands down are views of its own: writing one must not reach it."""
    net.forward(data=X)
    net.blobs["join"].diff[...] = 1
    net.backward(start="join")
    net.blobs["left_out"].diff[...] = 5
    np.testing.assert_array_equal(net.blobs["join"].diff, 1)


def test_backward_stops_at_an_end(net: Net) -> None:
    net.forward(data=X)
    net.blobs["join"].diff[...] = 1
    assert list(net.backward(start="join", end="conv")) == ["conv"]
    np.testing.assert_array_equal(net.blobs["data"].diff, 0)


def test_backward_to_several_ends_one_below_another(net: Net) -> None:
    net.forward(data=X)
    net.blobs["join"].diff[...] = 1
    alone = net.backward(start="join")["data"].copy()
    both = net.backward(start="join", end=["data", "conv"])
    np.testing.assert_array_equal(both["data"], alone)
    assert np.abs(both["conv"]).max() > 0


def test_a_blob_that_became_empty_has_no_diff(net: Net) -> None:
    net.forward(data=X)
    net.blobs["join"].diff[...] = 1
    net.forward(start="conv", end="left")
    with pytest.raises(ModelError, match="'join' is empty"):
        net.backward(start="join")


def test_the_caller_s_array_stays_the_caller_s(net: Net) -> None:
    x = X.copy()
    x.setflags(write=False)
    net.forward(data=x, end="conv")
    net.blobs["data"].data[...] += 1
    np.testing.assert_array_equal(x, X)


def test_data_that_is_assigned_takes_the_net_s_type(net: Net) -> None:
    net.blobs["data"].data = X.astype(np.float64)
    assert net.forward(end="conv")["conv"].dtype == np.float32


def test_a_diff_that_is_held_goes_on_being_the_seed(net: Net) -> None:
    net.forward(data=X)
    held = net.blobs["join"].diff
    arrived = []
    for seed in (1, 2, 3):
        held[...] = seed
        arrived.append(net.backward(start="join")["data"].copy())
    np.testing.assert_allclose(arrived[1], 2 * arrived[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(arrived[2], 3 * arrived[0], rtol=1e-4, atol=1e-4)


def test_a_refused_input_changes_nothing(net: Net) -> None:
    net.forward(data=X)
    with pytest.raises(ModelError):
        net.forward(data=X[:, :2])
    assert net.forward()["head"].shape == (1, 9, 1, 1)


def test_an_input_that_end_does_not_need_may_be_left_out(net_of: NetOf) -> None:
    model = branching()
    more = helper.make_tensor_value_info("aux", TensorProto.FLOAT, [1, 9, 1, 1])
    model.graph.input.append(more)
    model.graph.node.append(helper.make_node("Add", ["head", "aux"], ["sum"], "sum"))
    model.graph.output[0].name = "sum"
    net = net_of(model)
    assert net.inputs == ["data", "aux"]
    assert net.forward(data=X, end="join")["join"].shape == (1, 9, 9, 11)
    net.blobs["join"].diff[...] = 1
    assert np.abs(net.backward(start="join")["data"]).max() > 0
    with pytest.raises(ModelError, match="'aux' is empty"):
        net.forward(data=X)
    total = net.forward(aux=np.ones((1, 9, 1, 1)))["sum"]
    np.testing.assert_allclose(total, net.blobs["head"].data + 1)


def test_rules_by_layer(net: Net) -> None:
    net.forward(data=X)

    def back(rule: Any) -> np.ndarray:
        net.blobs["join"].diff[...] = net.blobs["join"].data - 0.4
        return net.backward(start="join", rule=rule)["data"].copy()

    everywhere = back("guided")
    by_name = back({"relu_conv": "guided", "relu_left": "guided"})
    by_blob = back({"conv": "guided", "left_out": "guided"})
    one = back({"relu_left": "guided"})
    np.testing.assert_array_equal(by_name, everywhere)
    np.testing.assert_array_equal(by_blob, everywhere)
    assert np.abs(one - everywhere).max() > 0
    assert np.abs(one - back("gradient")).max() > 0


def test_a_rule_that_meets_no_rectifier_says_so(net: Net) -> None:
    net.forward(data=X)
    net.blobs["right_out"].diff[...] = 1
    with pytest.warns(oneiro.RuleWarning, match="acted on 0 of 1 activations: this is the plain"):
        net.backward(start="right_out", end="conv", rule="guided")


def test_names(net: Net) -> None:
    assert net.resolve("conv") == "conv"  # both a layer and a blob: the blob
    assert net.resolve("left") == "left_pre"  # a layer: its output
    assert net.resolve("right_out") == "right_out"  # an unnamed node is called by its output
    net.aliases = {"joined": "join"}
    assert list(net.forward({"data": X}, end="joined")) == ["join"]
    assert net.blobs["joined"] is net.blobs["join"]
    assert net.blobs["left"] is net.blobs["left_pre"]
    with pytest.raises(ArgumentError, match=r"no blob or layer 'joim'; near it: join"):
        net.blobs["joim"]
    with pytest.raises(ArgumentError, match=r"no blob or layer 'joim'; near it: join"):
        net.forward(data=X, end="joim")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.forward(end="join"), "'data' is empty"),
        (lambda net: net.forward(X), r"inputs are given by name: forward\({'data': x}\)"),
        (lambda net: net.forward(picture=X), "'picture' is no input of the net; inputs: data"),
        (lambda net: net.forward(data=X[0]), r"input 'data' takes \?x3x\?x\?, not an array"),
        (lambda net: net.forward(data=X[:, :2]), "layer 'conv' .* 3 channels .* the bottom has 2"),
        (lambda net: net.backward(start="join"), "'join' is empty"),
        (lambda net: net.backward(rule="guide"), "rule 'guide' is not one of gradient, guided"),
        (lambda net: net.backward(rule={"nothing": "guided"}), "no blob or layer 'nothing'"),
    ],
)
def test_wrong_calls_are_answered_in_one_line(
    net: Net, call: Callable[[Net], Any], message: str
) -> None:
    with pytest.raises(oneiro.OneiroError, match=message) as caught:
        call(net)
    assert "\n" not in str(caught.value)


def test_shapes_are_refused_before_anything_runs(net: Net) -> None:
    net.forward(data=X)
    before = net.blobs["conv_pre"].data
    with pytest.raises(ModelError, match="'conv'"):
        net.forward(data=X[:, :2])
    assert net.blobs["conv_pre"].data is before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device 'gpu' is not one of auto, cpu, cuda, emulator"),
        ({"device": "cuda", "dtype": np.float64}, "'cuda' computes in float32"),
        ({"device": "emulator", "dtype": np.float64}, "'emulator' computes in float32"),
        ({"precision": "double"}, "precision 'double' is not one of auto, exact, tf32, half"),
        ({"dtype": np.float16}, "float16 is neither float32 nor float64"),
    ],
)
def test_devices_and_types(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        oneiro.load("squeezenet1.1", **options)


def test_one_number_overruled_keeps_the_others() -> None:
    net = oneiro.load("squeezenet1.1", mean=110)
    assert net.preprocessing == oneiro.Preprocess(110.0, 1.0, "BGR")


def test_float64_stays_float64(net_of: NetOf) -> None:
    net = net_of(branching(), dtype=np.float64)
    assert net.forward(data=X)["head"].dtype == np.float64


def test_a_copy_shares_nothing_that_a_run_changes(net: Net) -> None:
    net.forward(data=X, end="join")
    data = net.blobs["join"].data
    other = net.to(lambda constant: 2 * constant)
    other.forward({"data": -X}, end="join")
    assert net.blobs["join"].data is data
    np.testing.assert_array_equal(other.params["conv"][0], 2 * net.params["conv"][0])


def test_blobs_speak_array_protocols(net: Net) -> None:
    net.forward(data=X, end="join")
    blob = net.blobs["join"]
    assert np.asarray(blob) is not None
    assert np.shares_memory(np.from_dlpack(blob), blob.data)
    assert np.shares_memory(np.asarray(blob), blob.data)


def test_a_diff_must_have_the_shape_of_its_data(net: Net) -> None:
    net.forward(data=X, end="join")
    with pytest.raises(ModelError, match="'join' got a diff of shape"):
        net.blobs["join"].diff = np.zeros((1, 2))


def test_weights_may_be_written_to(net: Net) -> None:
    before = net.forward(data=X)["head"]
    for arrays in net.params.values():
        for array in arrays:
            array *= 0
    assert not np.array_equal(net.forward(data=X)["head"], before)


def test_a_second_input_counts_as_a_constant_of_what_is_compiled(net_of: NetOf) -> None:
    model = network("a = Relu (x) y = Mul (a, z)")
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [3, 1, 1]))
    net = net_of(model)
    z = np.float32([2, -1, 0.5]).reshape(3, 1, 1)
    net.blobs["z"].data = z
    net.preprocessing = oneiro.Preprocess(mean=128)
    net.forward(x=X)
    _, expected = oneiro.image_gradient(net, X, {"y": oneiro.objective.l2})

    def gradient(net: Net, x: Any) -> dict[str, Any]:
        return {"g": oneiro.image_gradient(net, x, {"y": oneiro.objective.l2})[1]}

    plan = oneiro.Plan(net, gradient, x=(net.dtype, X.shape))
    np.testing.assert_array_equal(plan(x=X)["g"], expected)
    oneiro.export(net, "gradient", "y")
    dreamt = oneiro.deepdream(net, np.full((9, 11, 3), 200.0), end="y", octave_n=1, iter_n=1)
    assert dreamt.shape == (9, 11, 3)
