"""Quantisation: what goes back passes straight through."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto

from oneiro import Net, Plan, export
from oneiro.ascent import image_gradient
from oneiro.layers.quantize import DequantizeLinear, QuantizeLinear
from oneiro.objective import l2
from oracle.adjoint import check_adjoint
from oracle.notation import network

random = np.random.default_rng(0)
X = 40 * random.normal(size=(2, 6, 5, 7))
SCALES = {  # granularity → attributes and scale of X
    "one": ({}, np.array(0.4)),
    "axis": ({"axis": -3}, 0.1 + random.random(6)),
    "block": ({"axis": 1, "block_size": 4}, 0.1 + random.random((2, 2, 5, 7))),
}


@pytest.mark.parametrize(("attributes", "scale"), SCALES.values(), ids=SCALES)
def test_dequantising_goes_back_by_its_derivative(
    attributes: dict[str, int], scale: np.ndarray
) -> None:
    """On a grid that is held as floats, and so can be moved a little."""
    layer = DequantizeLinear(**attributes)
    check_adjoint(layer.forward, layer.backward, [X, scale, 3 * scale], [0], random)


@pytest.mark.parametrize(("attributes", "scale"), SCALES.values(), ids=SCALES)
def test_both_together_hand_on_what_they_get(attributes: dict[str, int], scale: np.ndarray) -> None:
    """Also what was beyond the range of the integers."""
    quantise, dequantise = QuantizeLinear(**attributes), DequantizeLinear(**attributes)
    zero = np.full(scale.shape, 7, np.int8)
    steps = quantise.forward(X, scale, zero)
    assert steps.min() == -128
    assert steps.max() == 127
    inside = (steps > -128) & (steps < 127)
    y = dequantise.forward(steps, scale, zero)
    np.testing.assert_allclose(y[inside], X[inside], atol=scale.max() / 2)
    dy = random.normal(size=X.shape)
    dx, *_ = quantise.backward(dequantise.backward(dy)[0])
    np.testing.assert_allclose(dx, dy, 1e-12)


@pytest.fixture
def net(net_of: Callable[[ModelProto], Net]) -> Net:
    nodes = "q = QuantizeLinear(x, scale, zero) y = DequantizeLinear(q, scale, zero)"
    model = network(nodes, scale=np.float32([0.3, 0.1, 2]), zero=np.uint8([3, 100, 0]))
    return net_of(model)


def test_a_net_sends_diffs_along_integers(net: Net) -> None:
    x = 40 * random.normal(size=(1, 3, 5, 7)).astype(np.float32)
    net.forward(x=x)
    assert net.blobs["q"].data.dtype == np.uint8
    net.blobs["y"].diff[...] = dy = random.normal(size=x.shape)
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, dy, 1e-6)


def test_a_plan_and_an_export_do_the_same(net: Net) -> None:
    x = 40 * random.normal(size=(1, 3, 5, 7)).astype(np.float32)

    def program(net: Net, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"gradient": image_gradient(net, x, {"y": l2})[1]}

    plan = Plan(net, program, x=(np.float32, x.shape))
    gradient = plan(x=x)["gradient"]
    np.testing.assert_array_equal(gradient, program(net, x)["gradient"])

    onnxruntime = pytest.importorskip("onnxruntime", reason="runs the exported model")
    model = export(net, "gradient", {"y": l2}, input="net").SerializeToString()
    exported = onnxruntime.InferenceSession(model).run(["gradient"], {"data": x})[0]
    np.testing.assert_allclose(exported, gradient, 1e-5)


def test_what_cannot_be_quantised() -> None:
    with pytest.raises(ValueError, match="no quantising to type 17"):
        QuantizeLinear(output_dtype=17).forward(X, np.array(0.4))
    with pytest.raises(ValueError, match="no quantising to int32"):
        QuantizeLinear().forward(X, np.array(0.4), np.array(0, np.int32))
    with pytest.raises(ValueError, match=r"shape \(5,\), not \(6,\)"):
        QuantizeLinear().forward(X, np.ones(5))
    with pytest.raises(ValueError, match=r"not \(2, 1, 5, 7\)"):
        DequantizeLinear(block_size=10**12).forward(X, np.ones((2, 2, 5, 7)))
    with pytest.raises(ValueError, match="block of -1"):
        DequantizeLinear(block_size=-1).forward(X, np.ones(6))
