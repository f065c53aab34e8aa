"""What a file may look like, and the one line that says what is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from oneiro import ModelError, Net
from oneiro.models import registry
from oracle import small

OPSETS = (18, 11)  # as layers speak it, and one that is converted first
X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(4, 3, 2, 1)).astype(np.float16)


def network(nodes: str, opset: int = 18, **constants: Any) -> ModelProto:
    """A picture x to y by nodes in ONNX's own notation, `[name] y = Op <attribute = 1> (x)`."""
    header = f'<ir_version: 8, opset_import: ["": {opset}, "com.microsoft.nchwc": 1]>'
    ends = "(float[n, 3, h, w] x) => (float[n, c, p, q] y)"
    model = onnx.parser.parse_model(f"{header} network {ends} {{ {nodes} }}")
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()]
    model.graph.initializer.extend(tensors)
    return model


def refusal(tmp_path: Path, content: bytes | ModelProto) -> str:
    """The error of a file of this content without the file's name, which it starts with."""
    path = tmp_path / "bad.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(ModelError) as caught:
        Net(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


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


@pytest.mark.parametrize("opset", OPSETS)
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


@pytest.mark.parametrize("name", small.PLAIN)
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
def test_unknown_operators_are_all_counted(tmp_path: Path, opset: int) -> None:
    model = network("a = Tan (x) b = Det (a) c = Tan (b) y = Relu (c)", opset)
    assert "1 Det, 2 Tan; there are Add, " in refusal(tmp_path, model)


@pytest.mark.parametrize("opset", OPSETS)
def test_operators_of_another_domain_are_unknown(tmp_path: Path, opset: int) -> None:
    """onnxruntime saves its optimised models with Conv in a layout of its own."""
    model = network("y = com.microsoft.nchwc.Conv (x, w)", opset, w=W)
    assert "1 com.microsoft.nchwc.Conv;" in refusal(tmp_path, model)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("nodes", "culprit", "reason"),
    [
        ("[first] y = Add (x, nothing)", "first", "'nothing'"),
        ("[first] y = Relu (a) [second] a = Relu (x)", "first", "'a'"),
        ("[first] y = Relu (x) [second] y = Sigmoid (x)", "second", "'y'"),
        ("[first] x = Relu (x) [second] y = Relu (x)", "first", "'x'"),
        ("y = Add (x, nothing)", "y", "'nothing'"),
        ("[first] y = MaxPool (x)", "first", "'kernel_shape'"),
        ("[first] y = Relu <slope = 0.5> (x)", "first", "'slope'"),
    ],
)
def test_a_graph_that_does_not_hold_together(
    tmp_path: Path, nodes: str, culprit: str, reason: str, opset: int
) -> None:
    message = refusal(tmp_path, network(nodes, opset))
    assert f"node {culprit} " in message
    assert reason in message


@pytest.mark.parametrize("opset", OPSETS)
def test_an_output_that_nothing_makes(tmp_path: Path, opset: int) -> None:
    assert "'y' is made by no node" in refusal(tmp_path, network("z = Relu (x)", opset))


def negative(tensor: TensorProto) -> None:
    tensor.dims[0] = -4


def cut(tensor: TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-2]


def external(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (negative, "negative size: [-4, 3, 2, 1]"),
        (cut, "size"),
        (external, "another file"),
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
