"""A user's file run by onnxruntime, blob by blob."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import oneiro
from oneiro import ModelError, Net
from oneiro.runtime import TOLERANCE, blob_errors, is_installed, relative
from oracle import small
from oracle.small import SHAPE, Builder

pytest.importorskip("onnxruntime", reason="onnxruntime is the judge")

Nets = Callable[..., Net]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[ModelProto], Path]:
    def write(model: ModelProto) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.mark.parametrize("name", ["caffe", "branches", "mobile", "chain"])
def test_blobs_are_those_of_the_file(file: Callable[..., Path], name: str) -> None:
    make, end = small.MODELS[name]
    path = file(make())
    net = Net(path)
    errors = blob_errors(net, path, end, small.picture(name))
    assert list(errors)[-1] == end
    assert len(errors) >= 9
    assert max(errors.values()) < 1e-5
    assert is_installed()


def test_a_blob_that_is_off_is_found(file: Callable[..., Path]) -> None:
    path = file(small.caffe())
    net = Net(path)
    (node,) = [node for node in net.nodes if node.name == "conv2_pre"]
    net.constants[str(node.bottoms[1])] = net.constants[str(node.bottoms[1])] * np.float32(1.01)
    errors = blob_errors(net, path, "conv3", small.picture("caffe"))
    off = [name for name, error in errors.items() if error > TOLERANCE]
    assert off[0] == "conv2_pre"
    assert errors["conv2_pre"] == pytest.approx(0.01, rel=0.5)


def test_a_tail_of_one_size_is_in_nobodys_way(file: Callable[..., Path]) -> None:
    net = Builder("fixed", opset=18)
    x = net.conv("data", 7, 3, 2, 4, out="trunk")
    model = net.model(net.node("Reshape", x, net.ints(1, 7 * 12 * 15), out="flat"))
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 13, 18])
    )
    path = file(model)
    x = np.random.default_rng(0).normal(size=(1, 3, 21, 24)).astype(np.float32)
    assert list(blob_errors(Net(path), path, "trunk", x)) == ["trunk"]


def test_a_file_with_channels_last(file: Callable[..., Path]) -> None:
    net = Builder("last", opset=18)
    x = net.node("Transpose", "data", perm=[0, 3, 1, 2])
    model = net.model(net.conv(x, 5, 3, 2, 4, out="end"))
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 13, 18, 3])
    )
    path = file(model)
    errors = blob_errors(oneiro.load(path), path, "end", small.picture("caffe"))
    assert SHAPE == (1, 3, 13, 18)
    assert errors["end"] < 1e-5


def test_what_is_made_in_half_precision_is_left_out(file: Callable[..., Path]) -> None:
    net = Builder("half", opset=18)
    x = net.node("Cast", net.node("Relu", "data", out="half"), to=TensorProto.FLOAT, out="full")
    model = net.model(net.node("Sigmoid", x, out="end"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    path = file(model)
    errors = blob_errors(Net(path), path, "end", small.picture("caffe"))
    assert errors.keys() == {"full", "end"}
    assert max(errors.values()) < TOLERANCE


def test_what_is_not_finite_must_be_so_in_both() -> None:
    right = np.float32([4, np.nan, np.inf, -2])
    assert relative(right.copy(), right) == 0
    assert relative(right + np.float32([0, 0, 0, 1]), right) == 0.25
    assert relative(np.float32([3e-6]), np.float32([2e-6])) < 2e-3  # rounding
    for k, value in ((0, np.nan), (1, 3), (2, 3), (2, -np.inf), (3, np.inf)):
        found = right.copy()
        found[k] = value
        assert relative(found, right) == np.inf


def test_the_input_itself_is_not_compared(file: Callable[..., Path]) -> None:
    path = file(small.caffe())
    assert blob_errors(Net(path), path, "data", small.picture("caffe")) == {}


def test_what_onnxruntime_does_not_run(file: Callable[..., Path]) -> None:
    net = Builder("even", opset=13)
    path = file(net.model(net.node("LRN", "data", size=4, out="end")))
    with pytest.raises(ModelError, match="onnxruntime does not run the file") as caught:
        blob_errors(Net(path), path, "end", small.picture("lrn"))
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not is_installed()


def test_an_input_that_the_end_does_not_need(file: Callable[..., Path]) -> None:
    net = Builder("masked", opset=18)
    model = net.model(net.node("Mul", net.conv("data", 7, 3, 2, 4, out="end"), "mask"))
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, []))
    path = file(model)
    assert blob_errors(Net(path), path, "end", small.picture("caffe"))["end"] < 1e-5


def test_graphs_inside_keep_what_they_read(file: Callable[..., Path]) -> None:
    shared = numpy_helper.from_array(np.float32([2]), "two")
    captured = helper.make_node("Mul", ["doubled", "two"], ["inner"])
    branch = helper.make_graph([captured], "b", [], [helper.make_empty_tensor_value_info("inner")])
    nodes = [
        helper.make_node("Mul", ["data", "two"], ["doubled"]),
        helper.make_node("If", ["yes"], ["end"], then_branch=branch, else_branch=branch),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_empty_tensor_value_info("end")],
        [shared, numpy_helper.from_array(np.array(True), "yes")],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    path = file(made)
    assert blob_errors(Net(path), path, "end", small.picture("caffe"))["end"] == 0
