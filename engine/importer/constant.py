"""What depends on constants alone, worked out when a file is read, within limits."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.symbol import Graph, NoValueError

from ..layer import Layer, as_tuple
from .proto import Draft

# their results are parts of what they read, though how much of it only the data tell
SELECTIONS = {"Compress", "NonZero", "Unique"}
# what onnx's reference implementation may work out: no more work than the result is large
EVALUATED = SELECTIONS | {
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Cosh", "DynamicQuantizeLinear", "ReverseSequence", "Sinh", "Tan",
}  # fmt: skip


class UnknownError(Exception):
    """A node on constants cannot be worked out here."""


def worked_out(layer: Layer, values: Sequence[Array | None], max_bytes: int) -> tuple[Array, ...]:
    """What a layer makes of constants; ValueError where that would be too large."""
    with np.errstate(all="ignore"):
        check_size(foreseen(layer, values), max_bytes)
        tops = as_tuple(copy.copy(layer).forward(*values))
    check_size(sum(top.nbytes for top in tops), max_bytes)
    return tops


def foreseen(layer: Layer, values: Sequence[Array | None]) -> int:
    """The bytes of what a layer will make, found on symbols; 0 where they cannot tell."""
    graph = Graph()
    operands = [
        value if value is None or k in layer.numbers else graph.constant(value)
        for k, value in enumerate(values)
    ]
    try:
        tops = as_tuple(copy.copy(layer).forward(*operands))
    except (AttributeError, NotImplementedError, NoValueError):
        return 0
    return sum(bytes_of(top) for top in tops if is_symbol(top) and None not in top.dims)


def bytes_of(symbol: Any) -> int:
    return math.prod(symbol.dims) * int(symbol.dtype.itemsize)


def check_size(size: int, max_bytes: int) -> None:
    """Refuse what would take too many bytes."""
    if size > max_bytes:
        raise ValueError(f"would make {size:,} bytes, more than max_bytes={max_bytes:,}")


def evaluated(
    step: Draft, opset: int, values: Sequence[Array | None], max_bytes: int
) -> list[Array]:
    """What onnx's reference implementation makes of constants where there is no layer.

    Raises UnknownError where that is none of EVALUATED, or the result's size cannot be told
    beforehand.
    """
    if step.operator not in EVALUATED:
        raise UnknownError
    from onnx.reference import ReferenceEvaluator  # rarely needed, and slow to import

    model = single_node(step, opset, values)
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True, strict_mode=True)
    except shape_inference.InferenceError as error:
        raise UnknownError from error
    outputs = inferred.graph.output
    check_size(sum(declared_bytes(output, step, values) for output in outputs), max_bytes)
    try:
        return [np.asarray(top) for top in ReferenceEvaluator(model).run(None, {})]
    except Exception as error:  # whatever it stumbles on, the node is not worked out
        raise UnknownError from error


def single_node(step: Draft, opset: int, values: Sequence[Array | None]) -> onnx.ModelProto:
    """A model of nothing but the node, its inputs stored in it."""
    attributes = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in step.attributes.items()
    }
    tensors = {
        name: numpy_helper.from_array(np.asarray(value), name)
        for name, value in zip(step.inputs, values, strict=True)
        if value is not None
    }
    proto = helper.make_node(step.operator, step.inputs, step.outputs, **attributes)
    outputs = [onnx.ValueInfoProto(name=name) for name in step.outputs if name]
    graph = helper.make_graph([proto], "constant", [], outputs, list(tensors.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def declared_bytes(output: onnx.ValueInfoProto, step: Draft, values: Sequence[Array | None]) -> int:
    """What an output will take, as shape inference says."""
    if step.operator in SELECTIONS:
        return 8 * sum(value.size * max(value.ndim, 1) for value in values if value is not None)
    tensor = output.type.tensor_type
    if not tensor.HasField("shape") or any(not d.HasField("dim_value") for d in tensor.shape.dim):
        raise UnknownError("the size of its result cannot be told beforehand")
    itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).itemsize
    return itemsize * math.prod(d.dim_value for d in tensor.shape.dim)
