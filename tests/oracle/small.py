"""Tiny seeded ONNX models that use every operator of the walker, in ugly geometries.

No two axes of an array have the same length, parameters are exaggerated so that every term counts,
and batch, height and width are dynamic. Older opsets carry the older forms of operators.
Weights and pictures come from `RandomState`, whose streams NumPy keeps for good: the stored
vectors stay true.
"""

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

SHAPE = (1, 3, 13, 18)  # of the picture


class Builder:
    """A graph written down node by node; every call returns the name of the new tensor."""

    def __init__(self, name: str, opset: int) -> None:
        self.name = name
        self.opset = opset
        self.random = np.random.RandomState(crc32(name.encode()))
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def node(
        self, op: str, *inputs: str, out: str = "", more: Sequence[str] = (), **attributes: Any
    ) -> str:
        """Append a node whose first output is `out`; `more` are the other outputs."""
        out = out or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out, *more], name=out, **attributes))
        return out

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def normal(self, *shape: int, dtype: type = np.float32) -> str:
        """He-normal: the scale of a blob stays what it was."""
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        return self.constant(self.random.standard_normal(shape) * deviation, dtype)

    def uniform(self, *shape: int, low: float = 0.5, high: float = 1.5) -> str:
        return self.constant(self.random.uniform(low, high, shape))

    def conv(self, x: str, *shape: int, out: str = "", **attributes: Any) -> str:
        """A convolution with weights of `shape` and a bias."""
        bias = self.uniform(shape[0], low=-0.4, high=0.4)
        return self.node("Conv", x, self.normal(*shape), bias, out=out, **attributes)

    def norm(self, x: str, channels: int) -> str:
        scale, variance = self.uniform(channels), self.uniform(channels)
        bias, mean = (self.uniform(channels, low=-0.5, high=0.5) for _ in range(2))
        return self.node("BatchNormalization", x, scale, bias, mean, variance, epsilon=0.1)

    def model(self, *ends: str) -> ModelProto:
        picture = helper.make_tensor_value_info(
            "data", TensorProto.FLOAT, ["N", SHAPE[1], "H", "W"]
        )
        outputs = [helper.make_empty_tensor_value_info(end) for end in ends]
        graph = helper.make_graph(self.nodes, self.name, [picture], outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
        return shape_inference.infer_shapes(model, strict_mode=True)


def caffe() -> ModelProto:
    """A classic trunk: LRN, groups, pools that round up, and attributes where inputs are now."""
    net = Builder("caffe", opset=10)
    x = net.conv("data", 8, 3, 5, 4, strides=[2, 1], pads=[2, 1, 1, 2], out="conv1_pre")
    x = net.node("Relu", x, out="conv1")
    x = net.node("LRN", x, size=5, alpha=0.7, beta=0.6, bias=1.3)
    x = net.node("MaxPool", x, kernel_shape=[3, 4], strides=[2, 3], pads=[1, 0, 0, 1], ceil_mode=1)
    x = net.conv(x, 10, 4, 2, 3, group=2, pads=[1, 2, 0, 1], out="conv2_pre")
    x = net.node("LeakyRelu", x, alpha=0.2, out="conv2")
    x = net.node("Dropout", x, ratio=0.4, more=["mask"])
    x = net.node(
        "AveragePool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 0, 0], ceil_mode=1
    )
    x = net.node("Pad", x, pads=[0, 0, 1, 2, 0, 0, 0, -1], value=0.5)
    x = net.conv(x, 7, 10, 2, 3, out="conv3_pre")
    x = net.node("Clip", x, min=0.0, max=1.5, out="conv3")
    return net.model(net.node("Sigmoid", x, out="end"))


def branches() -> ModelProto:
    """An inception with a residual sum: one ReLU read five times, and a second output."""
    net = Builder("branches", opset=17)
    x = net.conv("data", 6, 3, 4, 2, strides=[1, 2], pads=[0, 1, 1, 0])
    stem = net.node("Relu", x, out="stem")
    one = net.node("Relu", net.conv(stem, 4, 6, 1, 1))
    dilated = net.conv(stem, 5, 6, 2, 3, dilations=[3, 2], pads=[1, 3, 2, 1])
    dilated = net.node("Relu", dilated)
    same = net.conv(stem, 8, 6, 4, 2, auto_pad="SAME_UPPER")
    pool = net.node("MaxPool", stem, kernel_shape=[3, 5], pads=[1, 2, 1, 2])
    pool = net.node("Relu", net.conv(pool, 3, 6, 1, 1))
    mixed = net.node("Concat", one, dilated, same, pool, axis=1, out="mixed")
    back = net.conv(mixed, 6, 20, 2, 4, auto_pad="SAME_LOWER")
    total = net.node("Add", back, stem)
    end = net.node("Relu", total, out="end")
    side = net.node(
        "AveragePool", mixed, kernel_shape=[4, 3], strides=[3, 2], auto_pad="SAME_UPPER"
    )
    side = net.node("GlobalAveragePool", side, out="side")
    return net.model(end, side)


def mobile() -> ModelProto:
    """Depthwise filters stored in 16 bits, normalisation, ReLU6, a gate, a residual sum."""
    net = Builder("mobile", opset=13)
    zero, top = net.constant(0.0), net.constant(1.2)
    x = net.conv("data", 9, 3, 2, 4, strides=[1, 2], auto_pad="VALID")
    x = net.node("Clip", net.norm(x, 9), zero, top, out="stem")
    stored = net.normal(9, 1, 4, 3, dtype=np.float16)
    depthwise = net.node("Cast", stored, to=TensorProto.FLOAT)
    x = net.node("Conv", x, depthwise, group=9, strides=[2, 1], auto_pad="SAME_LOWER")
    x = net.node("Clip", net.norm(x, 9), zero)
    narrow = net.norm(net.conv(x, 5, 9, 1, 1), 5)
    wide = net.node(
        "PRelu", net.conv(narrow, 11, 5, 1, 1), net.uniform(11, 1, 1, low=0.1, high=0.6)
    )
    pooled = net.node("GlobalAveragePool", wide)
    gate = net.node("Relu", net.conv(pooled, 7, 11, 1, 1))
    gate = net.node("Sigmoid", net.conv(gate, 11, 7, 1, 1))
    wide = net.node("Mul", wide, gate)
    x = net.node("Add", net.norm(net.conv(wide, 5, 11, 1, 1), 5), narrow)
    x = net.node("AveragePool", x, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_LOWER")
    return net.model(net.node("Clip", x, net.constant(-0.8), net.constant(0.9), out="end"))


def head() -> ModelProto:
    """A classifier with the old forms: axes as attributes, a softmax that flattens."""
    net = Builder("head", opset=12)
    x = net.node("Relu", net.conv("data", 7, 3, 4, 5, strides=[2, 4]))
    mean = net.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    peak = net.node("GlobalMaxPool", x)
    peak = net.node("Squeeze", peak, axes=[2, 3])
    seven = numpy_helper.from_array(net.random.uniform(0.5, 1.5, 7).astype(np.float32))
    spread = net.node("Div", net.node("Sub", peak, mean), net.node("Constant", value=seven))
    flat = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    both = net.node("Concat", spread, flat, axis=-1)
    bias = net.uniform(1, 5)
    scores = net.node(
        "Gemm", both, net.normal(5, 14), bias, transB=1, alpha=1.5, beta=0.4, out="scores"
    )
    grid = net.node("MatMul", net.node("Unsqueeze", scores, axes=[2]), net.uniform(1, 6))
    return net.model(net.node("Softmax", grid, axis=1, out="end"))


def shapes() -> ModelProto:
    """A channel shuffle and its like, with sizes that the graph works out; the new forms."""
    net = Builder("shapes", opset=18)
    x = net.node("Relu", net.conv("data", 10, 3, 2, 4, strides=[1, 2]))
    size = net.node("Shape", x)
    batch = net.node("Gather", size, net.ints(0))
    height = net.node("Gather", size, net.constant(2, np.int64))
    height = net.node("Unsqueeze", height, net.ints(0))
    width = net.node("Gather", size, net.ints(-1))
    split = net.node("Concat", batch, net.ints(2, 5), height, width, axis=0)
    x = net.node("Transpose", net.node("Reshape", x, split), perm=[0, 2, 1, 3, 4])
    x = net.node("Reshape", x, size, out="shuffled")
    x = net.conv(x, 4, 10, 3, 2, strides=[2, 1])
    quarter = numpy_helper.from_array(np.float32([0.25]))
    x = net.node("Sub", x, net.node("ConstantOfShape", net.node("Shape", x), value=quarter))
    rows = net.node("Reshape", x, net.ints(0, 0, -1))
    mean = net.node("ReduceMean", rows, net.ints(-1))
    rows = net.node("Mul", net.node("Sub", rows, mean), net.node("Constant", value_float=1.5))
    share = net.node("Softmax", rows, axis=1)
    share = net.node("Squeeze", net.node("Unsqueeze", share, net.ints(2)), net.ints(-2))
    return net.model(net.node("Transpose", net.node("Mul", share, rows), out="end"))


def resize() -> ModelProto:
    """Every border of Pad and the two kinds of Resize, back to the size of the picture."""
    net = Builder("resize", opset=18)
    x = net.node("Pad", "data", net.ints(0, 0, 2, 1, 0, 0, 1, 3), mode="reflect")
    x = net.node("Relu", net.conv(x, 8, 3, 4, 2, strides=[2, 2]), out="small")
    twice = net.constant([1, 1, 2, 3])
    x = net.node(
        "Resize", x, "", twice, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    x = net.node("Pad", x, net.ints(1, 2, 0, 1), "", net.ints(2, -1), mode="edge")
    x = net.conv(x, 5, 8, 4, 3)
    x = net.node("Resize", x, "", net.constant([1, 1, 0.75, 1.6]), mode="linear", out="linear")
    x = net.node("Resize", x, "", net.constant([1, 1, 1.6, 0.72]), mode="nearest", out="nearest")
    x = net.node("Pad", x, net.ints(0, 0, 1, 0, 0, 0, -1, 2), net.constant(0.3))
    channels = net.node("Gather", net.node("Shape", x), net.ints(0, 1))
    plane = net.node("Gather", net.node("Shape", "data"), net.ints(2, 3))
    size = net.node("Concat", channels, plane, axis=0)
    return net.model(
        net.node(
            "Resize",
            *(x, "", "", size),
            mode="linear",
            coordinate_transformation_mode="align_corners",
            out="end",
        )
    )


def pools() -> ModelProto:
    """Dilated, padded and rounded-up windows, some of which would start in the padding."""
    net = Builder("pools", opset=19)
    x = net.conv("data", 7, 3, 2, 1)
    x = net.node(
        "MaxPool", x, kernel_shape=[3, 2], dilations=[2, 3], strides=[1, 2], pads=[1, 1, 2, 1]
    )
    x = net.node(
        "AveragePool",
        x,
        kernel_shape=[2, 4],
        strides=[1, 2],
        pads=[1, 1, 0, 2],
        ceil_mode=1,
        count_include_pad=1,
    )
    x = net.node("Relu", net.conv(x, 9, 7, 1, 1))
    # (11, 5): rounding up gives 7x4 windows, the last row and column would start in the padding.
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
    x = net.node("AveragePool", x, kernel_shape=[3, 2], dilations=[1, 2], pads=[0, 1, 1, 0])
    return net.model(net.conv(x, 4, 9, 1, 1, out="end"))


def lrn() -> ModelProto:
    """Windows of even and of odd size; onnxruntime has only the odd ones."""
    net = Builder("lrn", opset=13)
    x = net.conv("data", 6, 3, 2, 4, strides=[1, 2])
    x = net.node("LRN", x, size=4, alpha=2.0, beta=0.9, bias=0.7, out="even")
    x = net.node("Relu", net.conv(x, 7, 6, 2, 1))
    x = net.node("LRN", x, size=3, alpha=3.0, beta=0.4, bias=0.2, out="odd")
    return net.model(net.conv(x, 5, 7, 3, 2, out="end"))


def chain() -> ModelProto:
    """What Caffe would do in place, with every stage read again, and products of two live blobs."""
    net = Builder("chain", opset=17)
    pre = net.conv("data", 7, 3, 2, 4, strides=[2, 3], out="pre")
    once = net.node("Relu", pre, out="once")
    twice = net.node("Relu", net.node("Identity", once), out="twice")
    dropped = net.node("Dropout", twice)
    total = net.node("Sum", once, dropped, net.node("Sigmoid", pre), pre, out="total")
    leak = net.node("LeakyRelu", total, alpha=0.3)
    product = net.node("Mul", leak, net.conv("data", 7, 3, 4, 6, strides=[2, 3], pads=[1, 1, 0, 0]))
    ratio = net.node(
        "Div", net.node("Sub", product, pre), net.node("Add", twice, net.constant(0.8))
    )
    return net.model(net.node("PRelu", ratio, net.uniform(7, 1, 1, low=0.2, high=0.7), out="end"))


def vit() -> ModelProto:
    """A vision transformer as PyTorch exports it: patches, a class token, one block, its token."""
    net = Builder("vit", opset=17)
    width, heads = 10, 2
    x = net.conv("data", width, 3, 4, 5, strides=[2, 4])
    x = net.node("Relu", x, out="patches")
    x = net.node("Reshape", x, net.ints(0, width, -1))
    x = net.node("Transpose", x, perm=[0, 2, 1], out="tokens")
    batch = net.node("Gather", net.node("Shape", x), net.ints(0), axis=0)
    shape = net.node("Concat", batch, net.ints(1, width), axis=0)
    token = net.node("Expand", net.uniform(1, 1, width, low=-0.5), shape)
    x = net.node("Concat", token, x, axis=1, out="sequence")

    def norm(x: str) -> str:
        bias = net.uniform(width, low=-0.5, high=0.5)
        return net.node("LayerNormalization", x, net.uniform(width), bias, epsilon=0.1)

    triple = net.node("MatMul", norm(x), net.uniform(width, 3 * width, low=-0.6, high=0.6))
    triple = net.node("Add", triple, net.uniform(3 * width, low=-0.5, high=0.5))
    parts = ["query", "key", "value"]
    net.node("Split", triple, net.ints(*[width] * 3), axis=-1, out=parts[0], more=parts[1:])
    shape = net.ints(0, -1, heads, width // heads)
    q, k, v = (net.node("Reshape", part, shape) for part in parts)
    q, v = (net.node("Transpose", part, perm=[0, 2, 1, 3]) for part in (q, v))
    k = net.node("Transpose", k, perm=[0, 2, 3, 1])
    scale = net.node("Sqrt", net.constant(width / heads))
    scores = net.node("Div", net.node("MatMul", q, k), scale)
    seen = net.node("MatMul", net.node("Softmax", scores, axis=-1, out="attention"), v)
    seen = net.node("Transpose", seen, perm=[0, 2, 1, 3])
    seen = net.node("Reshape", seen, net.ints(0, -1, width))
    x = net.node("Add", x, net.node("MatMul", seen, net.uniform(width, width, low=-0.6)))

    wide = net.node("MatMul", norm(x), net.uniform(width, 17, low=-0.5, high=0.5))
    half = net.node("Erf", net.node("Div", wide, net.constant(1.4142135)))
    gelu = net.node("Mul", wide, net.node("Add", half, net.constant(1.0)))
    x = net.node("Add", x, net.node("MatMul", gelu, net.uniform(17, width, low=-0.3, high=0.3)))
    return net.model(net.node("Gather", norm(x), net.constant(0, np.int64), axis=1, out="end"))


def unet() -> ModelProto:
    """Down twice and up again, by ConvTranspose and by Resize, with what was there beside it."""
    net = Builder("unet", opset=13)

    def level(x: str, *shape: int, out: str) -> str:
        return net.node("Relu", net.conv(x, *shape, 5, 7, pads=[2, 3, 2, 3]), out=out)

    one = level("data", 4, 3, out="one")
    pooled = net.node("MaxPool", one, kernel_shape=[2, 2], strides=[2, 2])
    two = level(pooled, 11, 4, out="two")
    low = net.node("AveragePool", two, kernel_shape=[2, 4], strides=[2, 4])
    bottom = net.node("LeakyRelu", net.conv(low, 6, 11, 1, 2, pads=[0, 0, 0, 1]), alpha=0.2)
    filters, bias = net.normal(6, 4, 2, 5), net.uniform(4, low=-0.4, high=0.4)
    up = net.node("ConvTranspose", bottom, filters, bias, strides=[2, 4])
    both = net.node("Concat", up, two, axis=1)
    mixed = level(both, 10, 15, out="mixed")
    up = net.node("Resize", mixed, "", net.constant([1, 1, 2, 2]), mode="linear")
    inside = net.node("Slice", one, net.ints(0, 0), net.ints(12, 18), net.ints(2, 3))
    both = net.node("Concat", up, inside, axis=1)
    return net.model(net.node("Sigmoid", net.conv(both, 2, 14, 1, 1), out="end"))


def trunk(named: bool = True) -> ModelProto:
    """VGG's first stages, small: as the embedded network's blobs are called, or as nobody's."""
    net = Builder("trunk", opset=17)
    x, channels = "data", 3
    for stage, filters in enumerate((5, 6, 7), 1):
        for k in (1, 2):
            name = f"conv{stage}_{k}" if named else f"blob{stage}{k}"
            pads = {"pads": [1, 1, 1, 1]}
            x = net.conv(x, filters, channels, 3, 3, out=f"{name}_pre", **pads)
            x = net.node("Relu", x, out=name)
            channels = filters
        x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return net.model(x)


def classifier() -> ModelProto:
    """Maps and a class of the picture, after a pool that overlaps and rounds up, and an LRN."""
    net = Builder("classifier", opset=17)
    x = net.conv("data", 6, 3, 3, 4, strides=[1, 2], pads=[1, 1, 1, 2])
    x = net.node("MaxPool", net.node("Relu", x), kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    x = net.node("LRN", x, size=3, alpha=0.7, beta=0.6, bias=1.3)
    x = net.norm(net.conv(x, 7, 6, 2, 3, pads=[1, 1, 0, 1]), 7)
    x = net.node("GlobalAveragePool", net.node("Relu", x, out="maps"))
    x = net.node("Gemm", net.node("Flatten", x), net.normal(5, 7), net.uniform(5), transB=1)
    return net.model(net.node("Softmax", x, out="end"))


# name → (builder, the blob that gradients start from)
MODELS: dict[str, tuple[Callable[[], ModelProto], str]] = {
    builder.__name__: (builder, "end")
    for builder in (caffe, branches, mobile, head, shapes, resize, pools, lrn, chain, vit, unet)
}


def picture(name: str) -> np.ndarray:
    """A noise picture of `SHAPE` for the model `name`, always the same."""
    random = np.random.RandomState(crc32(b"picture of " + name.encode()))
    return random.standard_normal(SHAPE).astype(np.float32)
