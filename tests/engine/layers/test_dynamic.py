"""Sizes that a file works out by itself, in one model for pictures of any number and size."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from oneiro import Net, export
from oneiro.ascent import image_gradient
from oneiro.objective import l2
from oracle import runtime
from oracle.measure import distance
from oracle.notation import network

# from x (n, 6, h, w) to y
BODIES = {
    "class token": """
        sizes = Shape (x)
        batch = Gather (sizes, zero)
        rows = Concat <axis = 0> (batch, six, last)
        flat = Reshape (x, rows)
        tokens = Transpose <perm = [0, 2, 1]> (flat)
        wanted = Concat <axis = 0> (batch, last, last)  # -1 keeps a size, as PyTorch writes it
        ones = ConstantOfShape <value = int64[1] {1}> (three)
        minus = Mul (ones, last)
        kept = Equal (wanted, minus)
        shape = Where (kept, ones, wanted)
        weights = Constant <value = float[1, 1, 6] {1, -2, 3, 0.5, 2, -1}> ()
        spread = Expand (weights, shape)
        mean = ReduceMean (tokens, one)
        token = Mul (spread, mean)
        sequence = Concat <axis = 1> (token, tokens)
        leading = Gather <axis = 1> (sequence, first)
        row = Unsqueeze (leading, one)
        y = Mul (sequence, row)
    """,
    "heads": """
        sizes = Shape (x)
        batch = Gather (sizes, zero)
        shape = Concat <axis = 0> (batch, two, three, last)
        q = Reshape (x, shape)
        k = Transpose <perm = [0, 1, 3, 2]> (q)
        scores = MatMul (k, q)
        share = Softmax <axis = -1> (scores)
        seen = MatMul (share, k)
        back = Transpose <perm = [0, 2, 1, 3]> (seen)
        turned = Shape (back)
        length = Gather (turned, one)
        joint = Concat <axis = 0> (batch, length, last)
        y = Reshape (back, joint)
    """,
    "channels that are still known": """
        sizes = Shape (x)
        times = Concat <axis = 0> (one, two, one, one)
        doubled = Mul (sizes, times)
        both = Concat <axis = 1> (x, x)
        same = Reshape (both, doubled)
        filters = Constant <value = float[1, 12, 1, 1] {1, 2, 3, 4, 5, 6, -1, -2, -3, -4, 0, 7}> ()
        y = Conv (same, filters)
    """,
    "crop": """
        sizes = Shape (x)
        height = Gather (sizes, second)
        half = Div (height, second)
        end = Unsqueeze (half, zero)
        y = Slice (x, zero, end, two)
    """,
    "crop by a factor": """
        plane = Shape <start = 2> (x)
        exact = Cast <to = 1> (plane)
        factor = Constant <value_float = 0.7> ()
        scaled = Mul (exact, factor)
        whole = Floor (scaled)
        ends = Cast <to = 7> (whole)
        starts = Sub (ends, three)
        axes = Concat <axis = 0> (two, three)
        y = Slice (x, starts, ends, axes)
    """,
    "mirrored rows, every third column": """
        starts = Concat <axis = 0> (last, one)
        ends = Constant <value_ints = [-9223372036854775807, 9223372036854775807]> ()
        steps = Concat <axis = 0> (last, three)
        axes = Concat <axis = 0> (two, three)
        y = Slice (x, starts, ends, axes, steps)
    """,
    "positions": """
        sizes = Shape (x)
        width = Gather (sizes, third)
        places = Range (first, width, second)
        floats = Cast <to = 1> (places)
        columns = Gather <axis = 3> (x, places)
        y = Mul (columns, floats)
    """,
    "joined along the height": """
        square = Mul (x, x)
        mean = ReduceMean (x, two)
        y = Concat <axis = 2> (square, mean, x)
    """,
    "where the maxima are": """
        places = ArgMax <axis = 3> (x)
        maxima = GatherElements <axis = 3> (x, places)
        mean = ReduceMean (x, three)
        swapped = ScatterElements <axis = 3> (x, places, mean)
        more = ScatterElements <axis = -1, reduction = "add"> (swapped, places, maxima)
        best = ArgMax <axis = 1, keepdims = 0> (x)
        values = Constant <value_floats = [0.5, 2.0]> ()
        depth = Squeeze (six)
        marks = OneHot <axis = 1> (best, depth, values)
        y = Mul (more, marks)
    """,
    "pictures by index": """
        places = Constant <value = int64[2, 2] {0, 1, 0, 5}> ()
        planes = GatherND (x, places)
        squares = Mul (planes, planes)
        y = ScatterND (x, places, squares)
    """,
    "parts": """
        lengths = Concat <axis = 0> (one, three, two)
        a, b, c = Split <axis = 1> (x, lengths)
        product = Mul (a, b)
        repeats = Concat <axis = 0> (one, two, three, two)
        y = Tile (product, repeats)
    """,
    "shares": """
        count = Size (x)
        total = Cast <to = 1> (count)
        shape = Shape (x)
        quarter = ConstantOfShape <value = float[1] {0.25}> (shape)
        positive = Greater (x, quarter)
        share = Div (x, total)
        chosen = Where (positive, share, x)
        lower = Trilu <upper = 0> (chosen, third)
        y = Flatten <axis = 2> (lower)
    """,
    "a vector": """
        last_channels = Transpose <perm = [0, 2, 3, 1]> (x)
        weights = Constant <value_floats = [1.0, -2.0, 3.0, 0.5, 2.0, -1.0]> ()
        scores = MatMul (last_channels, weights)
        y = Mul (scores, scores)
    """,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_one_model_for_all_sizes(body: str, net_of: Callable[[ModelProto], Net]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs what is exported")
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 18]>
        network (float[n, 6, h, w] x) => (float[] y)
        <int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] three = {{3}},
         int64[1] six = {{6}}, int64[1] last = {{-1}},
         int64 first = {{0}}, int64 second = {{2}}, int64 third = {{3}}>
        {{ {body} }}"""
    )
    net = net_of(model)
    exported = onnxruntime.InferenceSession(
        export(net, "gradient", {"y": l2}, input="net").SerializeToString()
    )
    for size in ((5, 7), (8, 6), (9, 13)):
        x = np.random.default_rng(0).normal(size=(2, 6, *size)).astype(np.float32)
        activations, gradient = exported.run(["activations", "gradient"], {"data": x})
        (y,) = runtime.blobs(model, {"x": x}, ["y"]).values()
        _, expected = image_gradient(net, x, {"y": l2})
        assert distance(net.value("y"), y) < 1e-6
        assert distance(activations, y) < 1e-6
        assert distance(gradient, expected) < 1e-5


def test_a_resize_to_the_size_of_another_blob_takes_any_batch(
    net_of: Callable[[ModelProto], Net],
) -> None:
    """As torch writes interpolate(y, size=x.shape[2:]): for one height and width, here (9, 11)."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs what is exported")
    nodes = """
        a = MaxPool <kernel_shape = [2, 3], strides = [2, 3]> (x)
        plane = Shape <start = 2> (x)
        front = Shape <end = 2> (a)
        wanted = Concat <axis = 0> (front, plane)
        y = Resize <mode = "linear"> (a, "", "", wanted)
    """
    net = net_of(network(nodes))
    model = export(net, "gradient", {"y": l2}, input="net", size=(9, 11))
    exported = onnxruntime.InferenceSession(model.SerializeToString())
    for batch in (1, 2):
        x = np.random.default_rng(batch).normal(size=(batch, 3, 9, 11)).astype(np.float32)
        activations, gradient = exported.run(["activations", "gradient"], {"data": x})
        _, expected = image_gradient(net, x, {"y": l2})
        assert distance(activations, net.value("y")) < 1e-6
        assert distance(gradient, expected) < 1e-5
