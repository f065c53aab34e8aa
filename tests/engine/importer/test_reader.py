"""What a file may look like, and the one line that says what is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from oneiro import ModelError, Net
from oneiro.models import registry
from oracle import small
from oracle.notation import network, refusal

OPSETS = (18, 11)  # as layers speak it, and one that is converted first
X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(4, 3, 2, 1)).astype(np.float16)


# What files may look like.


def test_weights_stored_in_16_bits_are_folded(net_of: Callable[..., Net]) -> None:
    model = network("w = Cast <to = 1> (stored) y = Conv (x, w)", stored=W)
    for dtype in (np.float32, np.float64):
        net = net_of(model, dtype)
        assert [node.name for node in net.nodes] == ["y"]
        ((weights,),) = net.params.values()
        assert weights.dtype == dtype
        np.testing.assert_array_equal(weights, W)
        assert net.forward(x=X)["y"].dtype == dtype


def test_constants_are_worked_out(net_of: Callable[..., Net]) -> None:
    nodes = "k = Constant <value_float = 2.0> () m = Mul (k, k) y = Mul (x, m)"
    net = net_of(network(nodes))
    assert list(net.blobs) == ["x", "y"]
    np.testing.assert_array_equal(net.forward(x=X)["y"], 4 * X)


@pytest.mark.parametrize("opset", [18, 12])
@pytest.mark.parametrize(
    "attribute",
    [
        {"value": numpy_helper.from_array(np.float32([2]))},
        {"value": numpy_helper.from_array(np.float16([2]))},
        {"value_float": 2.0},
        {"value_floats": [2.0]},
    ],
    ids=lambda attribute: next(iter(attribute)),
)
def test_constant_nodes(net_of: Callable[..., Net], attribute: dict[str, Any], opset: int) -> None:
    model = network("y = Mul (x, k)", opset)
    model.graph.node.insert(0, helper.make_node("Constant", [], ["k"], **attribute))
    net = net_of(model)
    np.testing.assert_array_equal(net.forward(x=X)["y"], 2 * X)
    assert net.blobs["y"].data.dtype == np.float32


def test_constants_listed_as_inputs_are_not_asked_for(net_of: Callable[..., Net]) -> None:
    model = network("y = Conv (x, w)", w=W.astype(np.float32))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    net = net_of(model)
    assert net.inputs == ["x"]
    assert net.forward(x=X)["y"].shape == (1, 4, 4, 7)


def test_layers_without_a_name_of_their_own_are_called_like_their_blob(
    net_of: Callable[..., Net],
) -> None:
    nodes = "a = Relu (x) [same] b = Sigmoid (a) [same] c = Relu (b) [own] y = Add (a, c)"
    net = net_of(network(nodes))
    assert [node.name for node in net.nodes] == ["a", "b", "c", "own"]
    assert net.outputs == ["y"]


@pytest.mark.parametrize("name", small.MODELS)
def test_blobs_keep_their_names_through_conversion(net_of: Callable[..., Net], name: str) -> None:
    model = small.MODELS[name][0]()
    net = net_of(model)
    made = [node.output[0] for node in model.graph.node]
    names = [*net.blobs, *net.constants]
    assert [blob for blob in made if blob not in names] == []
    assert net.outputs == [output.name for output in model.graph.output]


def test_old_forms_mean_what_they_meant(net_of: Callable[..., Net]) -> None:
    """Attributes that became inputs, and a Softmax over all axes from the first one named."""
    nodes = """
        a = Clip <min = -0.5, max = 0.5> (x)
        b = Pad <pads = [0, 0, 1, 0, 0, 0, 0, 2], value = 0.25> (a)
        c = Dropout <ratio = 0.5> (b)
        y = Softmax <axis = 1> (c)
    """
    expected = np.clip(X, -0.5, 0.5)
    expected = np.pad(expected, ((0, 0), (0, 0), (1, 0), (0, 2)), constant_values=0.25)
    expected = np.exp(expected) / np.exp(expected).sum()
    result = net_of(network(nodes, opset=10)).forward(x=X)["y"]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_names_of_the_file_come_first(net_of: Callable[..., Net]) -> None:
    """What an old form makes inside is called otherwise, and two nodes may have one name."""
    nodes = "[s] a = Softmax <axis = 1> (x) [s] b = Softmax <axis = 2> (x) c = Neg (x)"
    model = network(f"{nodes} d = Add (b, c) [q] e = Clip <min = 0.0> (x) y = Add (d, e)", opset=10)
    for node in model.graph.node:
        for group in (node.input, node.output):
            group[:] = [{"a": "s/flat", "c": "q/min"}.get(name, name) for name in group]
    net = net_of(model)
    tops = [top for node in net.nodes for top in node.tops]
    assert len(set(tops)) == len(tops)
    b = np.exp(X) / np.exp(X).sum((2, 3), keepdims=True)
    np.testing.assert_allclose(net.forward(x=X)["y"], b - X + np.maximum(X, 0), rtol=1e-5)


@pytest.mark.parametrize(
    ("scales", "rows", "columns"),
    [([1, 1, 0.6, 0.6], [0, 2, 4], [0, 2, 4, 5]), ([1, 1, 0.6, 2], [0, 2, 4], [*range(7)] * 2)],
)
def test_up_to_opset_10_smaller_pictures_are_rounded_up(
    net_of: Callable[..., Net], scales: list[float], rows: list[int], columns: list[int]
) -> None:
    net = net_of(network("y = Resize (x, s)", opset=10, s=np.float32(scales)))
    np.testing.assert_array_equal(net.forward(x=X)["y"], X[:, :, rows][..., sorted(columns)])


def test_group_normalization_as_it_was_at_first(net_of: Callable[..., Net]) -> None:
    model = network("y = GroupNormalization <num_groups = 1> (x, k, k)", k=np.float32([2]))
    y = net_of(model).forward(x=X)["y"]
    np.testing.assert_allclose(y, 2 * (X - X.mean()) / X.std() + 2, rtol=1e-3, atol=1e-4)


# What is refused when it is read.


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing.onnx"
    with pytest.raises(ModelError, match=f"^{re.escape(str(path))}: .*[Nn]o such file"):
        Net(path)


@pytest.mark.parametrize("kind", ["PNG", "empty", "text", "half"])
def test_a_file_that_is_no_model(tmp_path: Path, kind: str) -> None:
    model = (registry.FOLDER / "squeezenet1.1.onnx").read_bytes()
    contents = {
        "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01",
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n",
        "half": model[: len(model) // 2],
    }
    assert "not an ONNX model" in refusal(tmp_path, contents[kind])


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("nodes", "culprit", "reason"),
    [
        ("[first] y = Add (x, nothing)", "first", "'nothing'"),
        ("[first] y = Relu (a) [second] a = Relu (y)", "first", "depends on what it makes itself"),
        ("[first] y = Relu (y)", "first", "depends on what it makes itself"),
        ("[first] y = Relu (x) [second] y = Sigmoid (x)", "second", "'y'"),
        ("[first] x = Relu (x) [second] y = Relu (x)", "first", "'x'"),
        ("y = Add (x, nothing)", "y", "'nothing'"),
        ("[first] y = MaxPool (x)", "first", "'kernel_shape'"),
        ("[first] y = Relu <slope = 0.5> (x)", "first", "'slope'"),
        ("[first] y = MaxPool <kernel_shape = 3> (x)", "first", "must be of type INTS, not 3"),
        ("[first] y = Relu (x, x)", "first", "has 2 inputs, not 1 to 1"),
        ("[first] y = Add (x, k)", "first", "'k' is a tensor(int64) beside a tensor(float)"),
        ("k2 = Identity (k) [first] y = Conv (x, k2)", "first", "which 'W' cannot be"),
        ("[first] y = Conv (x, k)", "first", "'k' is a tensor(int64), which 'W' cannot be"),
        (
            "j = Constant <value = int64[1, 1, 1, 1] {3}> () [first] y = Conv (x, j)",
            "first",
            "'j' is a tensor(int64), which 'W' cannot be",
        ),
        ("[first] y, z = Relu (x)", "first", "has 2 outputs, not 1 to 1"),
        ('[first] y = Add (x, "")', "first", "the input 'B' is missing"),
    ],
)
def test_a_graph_that_does_not_hold_together(
    tmp_path: Path, nodes: str, culprit: str, reason: str, opset: int
) -> None:
    constants = {"k": np.ones((4, 3, 2, 1), np.int64)} if " k)" in nodes or "(k)" in nodes else {}
    message = refusal(tmp_path, network(nodes, opset, **constants))
    assert f"node {culprit} " in message
    assert reason in message


def field(number: int, content: bytes) -> bytes:
    """A message inside a message, as protobuf writes it."""
    size = len(content)
    length = b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_a_graph_within_graphs_without_end(tmp_path: Path) -> None:
    """Sixty branches deep: written by hand, since protobuf itself gives up before that."""
    graph = network("y = Relu (x)").graph.SerializeToString()
    for _ in range(60):
        attribute = field(1, b"then_branch") + field(6, graph)
        graph = field(1, field(4, b"If") + field(5, attribute))
    assert "not an ONNX model" in refusal(tmp_path, field(7, graph))


@pytest.mark.parametrize("opset", OPSETS)
def test_an_output_that_nothing_makes(tmp_path: Path, opset: int) -> None:
    assert "'y' is made by no node" in refusal(tmp_path, network("z = Relu (x)", opset))


def negative(tensor: TensorProto) -> None:
    tensor.dims[0] = -4


def cut(tensor: TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-2]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (negative, "negative size: [-4, 3, 2, 1]"),
        (cut, "46 bytes do not make [4, 3, 2, 1]"),
    ],
)
def test_a_tensor_that_cannot_be_read(
    tmp_path: Path, change: Callable[[TensorProto], None], reason: str, opset: int
) -> None:
    model = network("w = Cast <to = 1> (stored) y = Conv (x, w)", opset, stored=W)
    change(model.graph.initializer[0])
    message = refusal(tmp_path, model)
    assert "tensor 'stored'" in message
    assert reason in message


# What is refused when the net meets a picture, before any kernel runs.


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("Conv (a, v)", "5 channels"),
        ("Conv <group = 0> (a, w)", "0 groups"),
        ("Conv <group = 3> (a, w)", "3 groups"),
        ("Conv <strides = [0, 1]> (a, w)", "strides"),
        ("Conv <kernel_shape = [3, 3]> (a, w)", "kernel_shape"),
        ("MaxPool <kernel_shape = [2, 2], strides = [1, 0]> (a)", "strides"),
        ("MaxPool <kernel_shape = [6, 2]> (a)", "does not fit"),
        ("MaxPool <kernel_shape = [2]> (a)", "1 axes"),
        ("Add (a, v)", "do not match"),
        ("Concat <axis = 2> (a, w)", "side by side"),
        ("Concat <axis = 4> (a, a)", "axis"),
    ],
)
def test_a_layer_that_does_not_fit(
    net_of: Callable[..., Net], node: str, reason: str, opset: int
) -> None:
    constants = {"w": W.astype(np.float32), "v": np.ones((4, 5, 1, 1), np.float32)}
    model = network(f"a = Relu (x) [bad] y = {node}", opset, **constants)
    net = net_of(model)
    for attempt in (lambda: net.forward(x=X), lambda: net.reshape(x=X.shape)):
        with pytest.raises(ModelError, match=r"^model: layer 'bad' ") as caught:
            attempt()
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)
        assert net.blobs["a"].data is None
