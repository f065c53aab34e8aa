"""How a model takes its picture: by as little as can be."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import numpy_helper

from oneiro import Net, Preprocess, export
from oracle import runtime, small
from oracle.measure import difference


@pytest.mark.parametrize(
    ("way", "operators"),
    [
        (Preprocess(128.0, 0.5), ["Transpose", "Sub", "Mul"]),
        (Preprocess((90.0, 90.0, 90.0), 0.5, "BGR"), ["Transpose", "Gather", "Sub", "Mul"]),
    ],
)
def test_what_is_alike_in_all_channels_is_one_number(
    net_of: Callable[..., Net], way: Preprocess, operators: list[str]
) -> None:
    net = net_of(small.branches())
    net.preprocessing = way
    model = export(net, "activations", "mixed")
    entering = [node for node in model.graph.node if node.op_type != "Cast"][: len(operators)]
    assert [node.op_type for node in entering] == operators
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert [arrays[node.input[1]].shape for node in entering[-2:]] == [(), ()]
    img = np.random.default_rng(0).integers(0, 256, (13, 18, 3)).astype(np.float32)
    found = runtime.session(model)(picture=img[None])
    wanted = net.forward({net.input: net.preprocess(img)}, end="mixed")
    assert difference(found["mixed"], wanted["mixed"]) < 1e-6
