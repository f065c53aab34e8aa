"""Operators where engines part, in networks of a few: ties, windows that overlap, borders."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from oneiro import Net, Preprocess, export, export_program
from oneiro.ascent import dream_step, image_gradient
from oneiro.objective import l2
from oracle.measure import difference
from oracle.notation import network
from oracle.runtime import by_evaluator, by_openvino, session

RULES = ("gradient", "guided", "deconv")
SIZE = (13, 18)
LIMIT = 1e-6  # a tie that breaks otherwise makes a thousandfold of it

# Pictures and filters are whole numbers, whose sums are exact: all engines meet the same ties.
random = np.random.default_rng(0)
PICTURES = random.integers(-3, 4, (2, 3, *SIZE)).astype(np.float32)
STEM = """
    c = Conv <pads = [1, 0, 1, 1]> (x, stem, bias)
    r = Relu (c)
"""
CONSTANTS = {
    "stem": random.integers(-3, 4, (6, 3, 3, 2)).astype(np.float32),
    "bias": random.integers(-3, 4, 6).astype(np.float32),
    "depthwise": random.integers(-3, 4, (12, 1, 2, 3)).astype(np.float32),
    "grouped": random.integers(-3, 4, (9, 2, 3, 4)).astype(np.float32),
    "narrow": random.integers(-3, 4, (4, 6, 1, 1)).astype(np.float32),
    "upwards": random.integers(-3, 4, (6, 4, 3, 2)).astype(np.float32),
    "upwards_grouped": random.integers(-3, 4, (6, 2, 2, 3)).astype(np.float32),
    "matrix": random.normal(size=(5, 6)).astype(np.float32),
    "scale": random.uniform(0.3, 1.7, 6).astype(np.float32),
    "variance": random.uniform(0.3, 1.7, 6).astype(np.float32),
    "slopes": random.uniform(0.1, 0.6, (6, 1, 1)).astype(np.float32),
    "zero": np.float32(0),
    "six": np.float32(6),
    "parts": np.array([2, 1, 3]),
    "twice": np.float32([1, 1, 2, 3]),
    "factors": np.float32([1, 1, 0.6, 1.7]),
}
NETWORKS = {  # from r, and what it is made from, to y
    "overlapping maxima": """
        m = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r)
        y = MaxPool <kernel_shape = [3, 2], pads = [1, 0, 1, 1]> (m)
    """,
    "maxima below the padding's zero": """
        n = Neg (r)
        y = MaxPool <kernel_shape = [3, 4], strides = [2, 3], pads = [2, 1, 1, 3]> (n)
    """,
    "maxima rounded up": """
        m = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (r)
        y = MaxPool <kernel_shape = [2, 3], strides = [3, 2], pads = [1, 0, 0, 1], ceil_mode = 1>
            (m)
    """,
    "dilated maxima": """
        m = MaxPool <kernel_shape = [3, 2], dilations = [2, 3], strides = [1, 2]> (r)
        y = MaxPool <kernel_shape = [2, 2], dilations = [3, 4], strides = [3, 3], ceil_mode = 1>
            (m)
    """,
    "maxima in branches": """
        m = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (r)
        n = MaxPool <kernel_shape = [5, 1], pads = [2, 0, 2, 0]> (r)
        k = Conv (m, narrow)
        o = Concat <axis = 1> (k, r, n)
        v = Relu (o)
        y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (v)
    """,
    "averages": """
        m = AveragePool <kernel_shape = [3, 4], strides = [2, 3], pads = [1, 2, 0, 1]> (r)
        y = AveragePool <kernel_shape = [2, 3], pads = [1, 1, 0, 1], count_include_pad = 1> (m)
    """,
    "averages rounded up": """
        m = AveragePool <kernel_shape = [2, 3], strides = [2, 2], ceil_mode = 1> (r)
        y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 0, 1, 1],
                         ceil_mode = 1, count_include_pad = 1> (m)
    """,
    "whole planes": """
        m = GlobalMaxPool (r)
        n = GlobalAveragePool (c)
        s = Add (m, n)
        y = Mul (c, s)
    """,
    "LRN": """
        m = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r)
        n = LRN <size = 5, alpha = 0.7, beta = 0.6, bias = 1.3> (m)
        k = Conv (n, narrow)
        y = LRN <size = 3, alpha = 0.02, beta = 0.75, bias = 0.8> (k)
    """,
    "LRN of even size": """
        n = LRN <size = 4, alpha = 0.7, beta = 0.6, bias = 1.3> (r)
        y = LRN <size = 2, alpha = 0.2, beta = 0.75, bias = 0.8> (n)
    """,
    "depthwise": """
        k = Conv <group = 6, strides = [2, 1], pads = [0, 2, 1, 0]> (r, depthwise)
        y = Relu (k)
    """,
    "groups, strides, dilations": """
        k = Conv <group = 3, strides = [3, 2], dilations = [2, 1], pads = [3, 1, 0, 2]>
            (r, grouped)
        y = Relu (k)
    """,
    "SAME": """
        k = Conv <group = 3, strides = [2, 3], auto_pad = "SAME_UPPER"> (r, grouped)
        l = Relu (k)
        y = MaxPool <kernel_shape = [2, 4], strides = [2, 2], auto_pad = "SAME_LOWER"> (l)
    """,
    "transposed": """
        k = ConvTranspose <strides = [2, 3], pads = [1, 0, 2, 1], output_padding = [1, 2]>
            (r, upwards)
        y = Relu (k)
    """,
    "transposed in groups": """
        k = ConvTranspose <group = 3, dilations = [3, 2], strides = [1, 2], pads = [0, 1, 2, 0]>
            (r, upwards_grouped)
        y = Relu (k)
    """,
    "nearest, by whole factors": """
        k = Resize <coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
            (r, "", twice)
        y = MaxPool <kernel_shape = [3, 2], strides = [1, 2]> (k)
    """,
    "nearest": """y = Resize (r, "", factors)""",
    "linear": """y = Resize <mode = "linear"> (r, "", factors)""",
    "linear, corner to corner": """
        k = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
        plane = Constant <value_ints = [11, 4]> ()
        y = Resize <mode = "linear", coordinate_transformation_mode = "align_corners",
                    axes = [2, 3]> (k, "", "", plane)
    """,
    "cubic": """y = Resize <mode = "cubic"> (r, "", factors)""",
    "normalised": """
        n = BatchNormalization <epsilon = 0.1> (c, scale, bias, bias, variance)
        y = PRelu (n, slopes)
    """,
    "kinks": """
        k = Clip (c, zero, six)
        l = LeakyRelu <alpha = 0.25> (c)
        m = Abs (c)
        n = HardSigmoid <alpha = 0.25> (c)
        y = Sum (k, l, m, n)
    """,
    "gates": """
        k = HardSwish (r)
        l = Sigmoid (c)
        y = Mul (k, l)
    """,
    "parts": """
        k, l, m = Split <axis = 1> (r, parts)
        n = Concat <axis = 1> (m, l, k, l)
        o = Mul (k, l)
        p = Concat <axis = 1> (o, m, k)
        q = Sub (n, p)
        y = Relu (q)
    """,
    "scores": """
        m = GlobalMaxPool (r)
        f = Flatten (m)
        s = Gemm <transB = 1, alpha = 0.03, beta = 0.5> (f, matrix)
        y = Softmax (s)
    """,
}
UNEVALUATED = {  # by ONNX's evaluator
    "overlapping maxima": "its pools of stride 1 break ties otherwise",
    "maxima in branches": "its pools of stride 1 break ties otherwise",
    "depthwise": "it has no ConvTranspose in groups of several filters",
    "groups, strides, dilations": "it has no ConvTranspose in groups of several filters",
    "SAME": "it has no ConvTranspose in groups of several filters",
    "transposed in groups": "it has no ConvTranspose in groups of several filters",
}
ONE_SIZE = ("SAME", "nearest", "linear", "linear, corner to corner", "cubic")


@pytest.fixture
def net(request: pytest.FixtureRequest, net_of: Callable[..., Net]) -> Net:
    nodes = STEM + NETWORKS[request.param]
    read = {name: array for name, array in CONSTANTS.items() if name in nodes}
    net = net_of(network(nodes, **read))
    net.preprocessing = Preprocess(mean=1.5, scale=0.25)
    return net


def of_each(names: Iterable[str] = NETWORKS) -> Any:
    return pytest.mark.parametrize("net", [*names], indirect=True)


def by_rules(net: Net, x: Any) -> dict[str, Any]:
    """The gradient at the pictures x by each rule: a program."""
    return {rule: image_gradient(net, x, {"y": l2}, rule)[1] for rule in RULES}


def check_onnxruntime(net: Net, size: tuple[int, int] | None) -> None:
    """The gradients of two pictures, and a step from one."""
    wanted = by_rules(net, PICTURES)
    for rule in RULES:
        found = session(export(net, rule, {"y": l2}, input="net", size=size))(data=PICTURES)
        assert difference(found["gradient"], wanted[rule]) < LIMIT, rule
    x, shift = PICTURES[:1], np.array([3, -5])
    step = np.array(0.5, np.float32)
    found = session(export(net, "step", {"y": l2}, input="net", size=size))(
        data=x, shift=shift, step=step
    )
    bounds = net.known_preprocessing().bounds(3)
    made = dream_step(net, x, shift, 0.25 * step, {"y": l2}, bounds)
    assert difference(found["dream"] - x, made["x"] - x) < LIMIT
    assert found["value"] == pytest.approx(made["value"], rel=1e-6)


@of_each()
def test_for_one_size(net: Net) -> None:
    check_onnxruntime(net, SIZE)


@of_each(name for name in NETWORKS if name not in ONE_SIZE)
def test_for_any_size(net: Net) -> None:
    check_onnxruntime(net, None)


def check_rules(net: Net, judge: Callable[..., dict[str, np.ndarray]]) -> None:
    """The gradients of two pictures by all rules, in one model."""
    model = export_program(net, by_rules, x=(np.float32, PICTURES.shape))
    found = judge(model, {"x": PICTURES})
    for rule, wanted in by_rules(net, PICTURES).items():
        assert difference(found[rule], wanted) < LIMIT, rule


@of_each(name for name in NETWORKS if name not in UNEVALUATED)
def test_by_the_reference_evaluator(net: Net) -> None:
    check_rules(net, by_evaluator)


@of_each()
def test_by_openvino(net: Net) -> None:
    check_rules(net, by_openvino)


@of_each(name for name in NETWORKS if "rounded up" in name or name == "dilated maxima")
def test_rounding_up_is_padding_where_the_size_is_known(net: Net) -> None:
    """WebGPU has no ceil_mode."""
    model = export(net, "gradient", {"y": l2}, input="net", size=SIZE)
    attributes = (attribute for node in model.graph.node for attribute in node.attribute)
    assert not any(attribute.i for attribute in attributes if attribute.name == "ceil_mode")


def test_a_resize_to_the_sizes_of_one_picture(net_of: Callable[..., Net]) -> None:
    """As PyTorch writes it when it is shown one: the batch of 1 is among them."""
    nodes = """
        r = Relu (x)
        sizes = Constant <value_ints = [1, 3, 11, 25]> ()
        y = Resize <mode = "linear"> (r, "", "", sizes)
    """
    net = net_of(network(nodes))
    x = PICTURES[:1]
    found = session(export(net, "gradient", {"y": l2}, input="net", size=SIZE))(data=x)
    _, wanted = image_gradient(net, x, {"y": l2})
    assert difference(found["gradient"], wanted) < LIMIT
