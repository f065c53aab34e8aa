"""Graphs as strangers write them: out of order, with functions, branches, and unknown parts."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from oneiro import ModelError, Net
from oneiro.importer import ModelWarning
from oneiro.layer import Missing
from oracle.notation import network, refusal

X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)


def test_nodes_out_of_order_are_sorted(net_of: Callable[..., Net]) -> None:
    nodes = "[c] y = Add (b, a) [b] b = Neg (a) [x2] z = Neg (x) [a] a = Abs (x)"
    with pytest.warns(ModelWarning, match=r"node c \(Add\) stands before what it reads: sorted"):
        net = net_of(network(nodes))
    assert [node.name for node in net.nodes] == ["x2", "a", "b", "c"]
    np.testing.assert_array_equal(net.forward(x=X)["y"], 0 * X)


def test_what_lies_before_an_unknown_operator_works(net_of: Callable[..., Net]) -> None:
    nodes = """a = Relu (x) [odd] b = Det (a) [own] c = com.microsoft.nchwc.Conv (a)
        [odd2] d = Det (b) [sum] e = Add (c, d) y = Relu (a)"""
    model = network(nodes)
    model.graph.output.append(helper.make_empty_tensor_value_info("e"))
    net = net_of(model)
    np.testing.assert_array_equal(net.forward({"x": X}, end="y")["y"], np.maximum(X, 0))
    net.blobs["y"].diff = np.ones_like(X)
    net.backward(start="y")
    np.testing.assert_array_equal(net.blobs["x"].diff, X > 0)
    expected = (
        "model: depends on operators without a layer: 2 Det (odd, odd2); "
        "1 com.microsoft.nchwc.Conv (own); the last blobs without them: 'a'"
    )
    with pytest.raises(ModelError) as caught:
        net.forward({"x": X})
    assert str(caught.value) == expected
    with pytest.raises(ModelError, match=r"operators without a layer: 1 Det \(odd\);"):
        net.forward({"x": X}, end="b")


def test_a_blob_behind_an_unknown_operator_may_be_given(net_of: Callable[..., Net]) -> None:
    net = net_of(network("a = Relu (x) b = Det (a) y = Sigmoid (b)"))
    net.blobs["b"].data = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(net.forward(start="b")["y"], np.full((2, 3), 0.5))


def test_inputs_that_are_no_tensors_lock_what_reads_them_alone(net_of: Callable[..., Net]) -> None:
    model = network("y = Relu (x) z = SequenceAt (s, k)", k=np.int64(0))
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    model.graph.input.append(helper.make_value_info("s", kind))
    model.graph.output.append(helper.make_empty_tensor_value_info("z"))
    net = net_of(model)
    assert net.inputs == ["x"]
    net.forward({"x": X}, end="y")
    with pytest.raises(ModelError, match="1 input of sequence_type"):
        net.forward({"x": X}, end="z")


def branch(name: str, operator: str, *, weights: float) -> GraphProto:
    """A branch that works on `a` of the outer graph, with a constant of its own."""
    nodes = [
        helper.make_node("Mul", ["a", "k"], ["inner"]),
        helper.make_node(operator, ["inner"], ["end"]),
    ]
    k = numpy_helper.from_array(np.float32(weights), "k")
    return helper.make_graph(nodes, name, [], [helper.make_empty_tensor_value_info("end")], [k])


def conditional(**constants: np.ndarray) -> ModelProto:
    model = network("a = Abs (x) [if] b = Placeholder (a) y = Neg (b)", **constants)
    chosen = helper.make_node(
        "If", ["condition"], ["b"], name="if",
        then_branch=branch("then", "Neg", weights=3), else_branch=branch("else", "Abs", weights=5),
    )  # fmt: skip
    model.graph.node[1].CopyFrom(chosen)
    return model


@pytest.mark.parametrize(("condition", "expected"), [(True, 3 * abs(X)), (False, -5 * abs(X))])
def test_a_condition_that_is_constant_is_resolved(
    net_of: Callable[..., Net], condition: bool, expected: np.ndarray
) -> None:
    net = net_of(conditional(condition=np.array(condition)))
    assert not any(isinstance(node.layer, Missing) for node in net.nodes)
    np.testing.assert_allclose(net.forward(x=X)["y"], expected, rtol=1e-6)


def chosen(
    model: ModelProto, position: int, nodes: list[NodeProto], ends: list[str], tops: list[str]
) -> None:
    """An If of the name "if" on the constant c, whose branches are the same."""
    outputs = [helper.make_empty_tensor_value_info(end) for end in ends]
    graph = helper.make_graph(nodes, "branch", [], outputs)
    options = {"then_branch": graph, "else_branch": graph}
    model.graph.node.insert(position, helper.make_node("If", ["c"], tops, name="if", **options))


def test_branches_may_use_the_same_names(net_of: Callable[..., Net]) -> None:
    model = network("y = Add (p, q)", c=np.array(True))
    for k, operator in enumerate(("Abs", "Neg")):
        nodes = [
            helper.make_node(operator, ["x"], ["inner"]),
            helper.make_node("Neg", ["inner"], ["end"]),
        ]
        chosen(model, k, nodes, ["end"], ["pq"[k]])
    np.testing.assert_array_equal(net_of(model).forward(x=X)["y"], X - abs(X))


@pytest.mark.parametrize(
    ("ends", "tops", "expected"),
    [
        (["e", "e"], ["p", "q"], -2 * X),
        (["x", "x"], ["p", "q"], 2 * X),
        (["e", "f"], ["", "p"], -2 * abs(X)),
    ],
)
def test_what_a_branch_hands_out(
    net_of: Callable[..., Net], ends: list[str], tops: list[str], expected: np.ndarray
) -> None:
    model = network(f"z = Add ({tops[0] or tops[1]}, {tops[1]}) y = Identity (z)", c=np.array(True))
    nodes = [helper.make_node("Neg", ["x"], ["e"]), helper.make_node("Abs", ["e"], ["a"])]
    chosen(model, 0, [*nodes, helper.make_node("Neg", ["a"], ["f"])], ends, tops)
    np.testing.assert_array_equal(net_of(model).forward(x=X)["y"], expected)


def test_second_outputs_that_branches_read(net_of: Callable[..., Net]) -> None:
    pool = "v, i = MaxPool <kernel_shape = [2, 2]> (x)"
    model = network(f"{pool} f = Cast <to = 1> (p) y = Add (v, f)", c=np.array(True))
    chosen(model, 1, [], ["i"], ["p"])
    inside = network("y = Identity (p)", c=np.array(True))
    nodes = network(f"{pool} f = Cast <to = 1> (i) y = Add (v, f)").graph.node
    chosen(inside, 0, list(nodes), ["y"], ["p"])
    expected, found = (net_of(m).forward(x=X)["y"] for m in (model, inside))
    np.testing.assert_array_equal(found, expected)


def test_nodes_in_branches_count(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneiro.importer.proto.MAX_NODES", 5)
    model = network("y = Identity (p)", c=np.array(True))
    chosen(model, 0, [helper.make_node("Neg", ["x"], ["e"])] * 2, ["e"], ["p"])
    assert "holds 6 nodes, more than 5" in refusal(tmp_path, model)


def test_what_may_take_any_time_is_not_worked_out(net_of: Callable[..., Net]) -> None:
    """A pattern that Python would try on a constant for hours."""
    model = network("y = Where (m, x, x)", opset=20)
    model.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"a" * 60]))
    match = helper.make_node("RegexFullMatch", ["s"], ["m"], pattern="(a+)+b")
    model.graph.node.insert(0, match)
    with pytest.raises(ModelError, match="1 RegexFullMatch"):
        net_of(model).forward(x=X)


def test_a_condition_that_is_not_locks_what_depends_on_it(net_of: Callable[..., Net]) -> None:
    model = conditional()
    model.graph.input.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
    net = net_of(model)
    net.forward({"x": X, "condition": True}, end="a")
    with pytest.raises(ModelError, match=r"1 If \(if\)"):
        net.forward({"x": X, "condition": True})


def function(name: str, *calls: str) -> FunctionProto:
    """A function of one input and output that calls others in a row."""
    tensors = ["p", *(f"t{k}" for k in range(1, len(calls))), "q"]
    nodes = [
        helper.make_node(call, [tensors[k]], [tensors[k + 1]], domain="" if call == "Neg" else "my")
        for k, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    return helper.make_function("my", name, ["p"], ["q"], nodes, opsets)


def calling(*functions: FunctionProto) -> ModelProto:
    model = network("a = Relu (x) [call] y = Placeholder (a)")
    model.graph.node[1].CopyFrom(helper.make_node("F", ["a"], ["y"], domain="my"))
    model.opset_import.append(helper.make_opsetid("my", 1))
    model.functions.extend(functions)
    return model


def test_functions_are_written_out(net_of: Callable[..., Net]) -> None:
    net = net_of(calling(function("F", "G", "Neg", "G"), function("G", "Neg", "Neg")))
    assert [type(node.layer).__name__ for node in net.nodes] == ["Relu", *["Neg"] * 5]
    np.testing.assert_array_equal(net.forward(x=X)["y"], -np.maximum(X, 0))


def test_functions_that_never_end_are_refused(tmp_path) -> None:
    circle = calling(function("F", "G"), function("G", "F"))
    assert "calls itself" in refusal(tmp_path, circle)
    bomb = [function(f"F{k}", f"F{k + 1}", f"F{k + 1}") for k in range(40)]
    bomb += [function("F40", "Neg"), function("F", "F0")]
    assert "write out as 1,099,511,627,777 nodes" in refusal(tmp_path, calling(*bomb))


def test_constants_without_a_layer_are_worked_out(net_of: Callable[..., Net]) -> None:
    net = net_of(network("n = NonZero (k) f = Cast <to = 1> (n) y = Mul (x, f)", k=X[0, 0, 0] > 0))
    assert [type(node.layer).__name__ for node in net.nodes] == ["Mul"]
    np.testing.assert_array_equal(net.constants["f"][0], np.flatnonzero(X[0, 0, 0] > 0))


@pytest.mark.parametrize(
    "nodes",
    [
        "k = ConstantOfShape (size) y = Add (x, k)",
        "k = ConstantOfShape (size) j = Neg (k) y = Add (x, j)",
        "k = Expand (one, size) y = Add (x, k)",
        "k = Tile (ones, size) y = Add (x, k)",
        "k = Pad (ones, many) y = Add (x, k)",
        "k = OneHot (one, depth, pair) y = Add (x, k)",
        "k = Range (zero, size, one) y = Add (x, k)",
        "k = Resize (picture, '', '', sizes) y = Add (x, k)",
    ],
)
def test_constants_that_would_be_too_large_are_refused(tmp_path, nodes: str) -> None:
    """4 TiB from a hundred bytes (onnxruntime #28730)."""
    constants = {
        "size": np.array([1 << 40]),
        "many": np.array([0, 1 << 40]),
        "one": np.array([1]),
        "zero": np.array(0),
        "ones": np.ones(3, np.float32),
        "depth": np.array(1 << 40),
        "pair": np.float32([0, 1]),
        "picture": np.ones((1, 1, 2, 3), np.float32),
        "sizes": np.array([1, 1, 1 << 20, 1 << 20]),
    }
    nodes = nodes.replace("''", '""')
    used = {k: v for k, v in constants.items() if re.search(rf"\b{k}\b", nodes)}
    if "Range" in nodes:
        used |= {"size": np.array(1 << 40), "one": np.array(1)}
    message = refusal(tmp_path, network(nodes, **used))
    assert re.match(r"node k \(\w+\): ", message)
    assert re.search(r"max_bytes|67,?108,?864", message)


def test_blobs_are_bounded(net_of: Callable[..., Net], tmp_path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(
        network("[wide] y = Tile (x, k)", k=np.array([1, 9, 9, 9])).SerializeToString()
    )
    Net(path, max_bytes=1 << 20).forward(x=X)
    small = Net(path, max_bytes=1 << 10)
    with pytest.raises(ModelError, match=r"blob 'y' of \(1, 27, 45, 63\) would take 306,180 bytes"):
        small.forward(x=X)
    assert small.blobs["y"].data is None


@pytest.mark.parametrize(
    "nodes",
    [
        # sizes that the picture's own values tell
        """a = Mul (x, zero) s = ReduceSum <keepdims = 0> (a) t = Add (s, large)
        n = Cast <to = 7> (t) e = Expand (one, n) [big] y = Neg (e)""",
        # sizes that its shape tells
        """s = Shape (x) l = Cast <to = 7> (large) n = Mul (s, l) e = ConstantOfShape (n)
        [big] m = Neg (e) y = Add (x, m)""",
    ],
)
def test_blobs_of_sizes_that_a_run_tells_are_bounded(tmp_path, nodes: str) -> None:
    constants = {
        "zero": np.float32(0),
        "one": np.ones((1, 1, 1, 1), np.float32),
        "large": np.float32([1, 1, 5000, 5000]),
    }
    used = {k: v for k, v in constants.items() if re.search(rf"\b{k}\b", nodes)}
    path = tmp_path / "net.onnx"
    path.write_bytes(network(nodes, **used).SerializeToString())
    net = Net(path, max_bytes=1 << 20)
    with pytest.raises(ModelError, match=r"would take [\d,]+ bytes, more than max_bytes"):
        net.forward(x=X)


def test_a_blob_that_is_put_in_larger_is_bounded_too(tmp_path: Path) -> None:
    """What a whole run has told of sizes says nothing of a run from a blob in the middle."""
    path = tmp_path / "net.onnx"
    model = network("a = Relu (x) y = Tile (a, k)", k=np.array([1, 1, 2, 2]))
    path.write_bytes(model.SerializeToString())
    net = Net(path, max_bytes=10_000)
    net.forward(x=X, end="y")
    net.blobs["a"].data = np.zeros((1, 3, 20, 20), np.float32)
    with pytest.raises(ModelError, match="blob 'y' would take 19,200 bytes, more than max_bytes"):
        net.forward(start="a", end="y")
