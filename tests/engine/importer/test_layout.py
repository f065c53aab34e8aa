"""Pictures of (n, h, w, c) are taken as (n, c, h, w)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from oneiro import ArgumentError, Net
from oracle.notation import network

X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(4, 3, 2, 1)).astype(np.float32)


def channels_last(net_of: Callable[..., Net], nodes: str) -> Net:
    sizes = (1, 224, 224, 3)
    return net_of(network(nodes, declared=sizes, w=W, k=np.float32([1, 2, 3])))


def test_a_picture_that_the_file_turns_round(net_of: Callable[..., Net]) -> None:
    """As TensorFlow's exporter writes it, with the mean still behind the channels."""
    net = channels_last(
        net_of, "a = Sub (x, k) b = Transpose <perm = [0, 3, 1, 2]> (a) y = Conv (b, w)"
    )
    assert net.channels == 3
    assert net.model.inputs["x"][1] == (1, 3, 224, 224)
    plain = net_of(
        network("b = Sub (x, k) y = Conv (b, w)", w=W, k=np.float32([[[1]], [[2]], [[3]]]))
    )
    np.testing.assert_array_equal(net.forward(x=X)["y"], plain.forward(x=X)["y"])
    for each in (net, plain):
        each.blobs["y"].diff = each.blobs["y"].data
        each.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, plain.blobs["x"].diff)


def test_a_branch_reads_the_picture_as_the_file_has_it(tmp_path: Path) -> None:
    model = network("y = Mul (p, k)", c=np.array(True), k=np.float32([1, 2, 3]))
    ends = [helper.make_empty_tensor_value_info("e")]
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "branch", [], ends)
    options = {"then_branch": branch, "else_branch": branch}
    model.graph.node.insert(0, helper.make_node("If", ["c"], ["p"], **options))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    y = Net(path, layout="NHWC").forward(x=X)["y"]
    np.testing.assert_array_equal(y, -X.transpose(0, 2, 3, 1) * np.float32([1, 2, 3]))


def test_a_layout_may_be_said(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(network("y = Mul (x, k)", k=np.float32([1, 2, 3])).SerializeToString())
    y = Net(path, layout="NHWC").forward(x=X)["y"]
    np.testing.assert_array_equal(y, X.transpose(0, 2, 3, 1) * np.float32([1, 2, 3]))
    with pytest.raises(ArgumentError, match="layout is 'HWC'; it must be one of NCHW, NHWC"):
        Net(path, layout="HWC")


def test_a_picture_of_integers_that_the_file_casts_is_one_of_floats(
    net_of: Callable[..., Net],
) -> None:
    """As TensorFlow's detectors take them: bytes, (n, h, w, c)."""
    nodes = "a = Cast <to = 1> (x) b = Transpose <perm = [0, 3, 1, 2]> (a) y = Conv (b, w)"
    model = network(nodes, w=W)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.Clear()
    net = net_of(model)
    x = np.abs(X) * 100
    net.forward(x=x)
    net.blobs["y"].diff = net.blobs["y"].data
    plain = net_of(network("y = Conv (x, w)", w=W))
    np.testing.assert_array_equal(plain.forward(x=x)["y"], net.blobs["y"].data)
    plain.blobs["y"].diff = plain.blobs["y"].data
    np.testing.assert_array_equal(plain.backward()["x"], net.backward()["x"])
