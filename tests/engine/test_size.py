"""Which sizes of picture a network takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import oneiro
from oneiro import ModelError, Net
from oneiro.size import accepted_size, usual_size
from oracle.notation import network


def test_a_network_for_one_size_says_which(net_of: Callable[..., Net]) -> None:
    model = network("a = Reshape (x, k) y = Softmax (a)", k=np.array([3, 20, 60]))
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 40, 30)):
        dim.dim_value = size
    net = net_of(model)
    assert accepted_size(net, ["y"], 40, 30) == (40, 30)
    with pytest.raises(ModelError, match="its file is for 30x40 px: give a picture of that size"):
        accepted_size(net, ["y"], 33, 33)


@pytest.mark.parametrize(
    ("declared", "size"),
    [([1, 3, 33, 44], (33, 44)), ([1, 3, None, 44], (224, 44)), ([1, 3, None, None], (224, 224))],
)
def test_the_usual_size(tmp_path: Any, declared: list[Any], size: tuple[int, int]) -> None:
    node = helper.make_node("Relu", ["data"], ["end"])
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, declared)
    graph = helper.make_graph([node], "g", [picture], [helper.make_empty_tensor_value_info("end")])
    path = tmp_path / "g.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(made.SerializeToString())
    assert usual_size(oneiro.load(path)) == size
    assert usual_size(oneiro.load(path, size=55)) == (55, 55)
