"""A case as an ONNX model of one node, and what others say that it makes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from oneiro.layer import Layer

from .case import Case
from .runtime import blobs

Arrays = Mapping[str, np.ndarray]

# The newest that onnxruntime 1.24 reads, and one from before operators outgrew its kernels.
OPSETS = (24, 21)


def by_torch(model: ModelProto, feeds: Arrays) -> list[np.ndarray]:
    """The tops by tests/oracle/walker.py."""
    torch = pytest.importorskip("torch", reason="torch is the judge")
    from .walker import run

    tops = [output.name for output in model.graph.output]
    values = run(model, feeds, tops, torch.float32)
    return [values[top].numpy() for top in tops]


def by_reference(model: ModelProto, feeds: Arrays) -> list[np.ndarray]:
    """The tops by onnx's own evaluator, which is slow and not always right."""
    return [np.asarray(top) for top in ReferenceEvaluator(model).run(None, dict(feeds))]


# Who judges where onnxruntime cannot, and why.
REFUSED = {
    "Conv": (by_reference, "auto_pad with dilations"),
    "Einsum": (by_reference, "ellipses of different lengths"),
    "EyeLike": (by_reference, "float32 to int64"),
    "LRN": (by_torch, "even sizes"),
    "Mod": (by_reference, "fmod=0 of floats"),
    "PRelu": (by_reference, "integers"),
    "Resize": (by_reference, "one axis by the cubic filter"),
}
WRONG = {
    "MaxUnpool": (by_reference, "indices are not those of output_shape, but of the plane within"),
}


def model_of(
    case: Case, constant: Sequence[int] = (), opset: int = OPSETS[0]
) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """A model of one node and what to feed it, all floats as float32.

    The operands `constant` are stored in the model, the others are its inputs.
    """
    operands = {
        f"x{k}": in_float32(np.asarray(bottom))
        for k, bottom in enumerate(case.bottoms)
        if bottom is not None
    }
    feeds = {name: array for name, array in operands.items() if int(name[1:]) not in constant}
    read = [f"x{k}" if bottom is not None else "" for k, bottom in enumerate(case.bottoms)]
    tops = [f"y{k}" for k in range(case.layer.asked)]
    node = helper.make_node(type(case.layer).__name__, read, tops)
    node.attribute.extend(attributes(case.layer))
    graph = helper.make_graph(
        [node],
        "case",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in feeds.items()
        ],
        [onnx.ValueInfoProto(name=top) for top in tops],
        [numpy_helper.from_array(operands[name], name) for name in operands if name not in feeds],
    )
    versions = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10), feeds


def attributes(layer: Layer) -> list[AttributeProto]:
    """The fields of the layer that are not at their defaults."""
    fields = dataclasses.fields(layer)  # type: ignore[arg-type]
    given = {field.name: getattr(layer, field.name) for field in fields}
    return [
        helper.make_attribute(field.name, as_attribute(given[field.name]))
        for field in fields
        if not np.array_equal(given[field.name], field.default)
    ]


def as_attribute(value: Any) -> Any:
    """Types by their number in ONNX, arrays as tensors."""
    if isinstance(value, np.dtype):
        return helper.np_dtype_to_tensor_dtype(in_float32(np.empty(0, value)).dtype)
    return numpy_helper.from_array(in_float32(value)) if isinstance(value, np.ndarray) else value


def in_float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def judged(case: Case) -> list[np.ndarray]:
    """What others make of a case in float32: onnxruntime, or whom the tables above name."""
    for opset in OPSETS:
        model, feeds = model_of(case, case.layer.numbers, opset)
        operator = model.graph.node[0].op_type
        if operator in WRONG:
            return WRONG[operator][0](model, feeds)
        try:
            return list(blobs(model, feeds, [top.name for top in model.graph.output]).values())
        except Exception as error:  # onnxruntime's errors have no class in common
            refusal = error
    if operator not in REFUSED:
        raise refusal
    return REFUSED[operator][0](model, feeds)
