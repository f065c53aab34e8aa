"""An .onnx file as layers and constants: the only file that reads ONNX."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper, version_converter

from oneiro.kernels.dispatch import Array

from . import layers as layers  # fills the registry
from .error import ModelError
from .layer import LAYERS, Layer

STANDARD = ("", "ai.onnx")  # the two names of ONNX's own operators
OPSET = 18  # layers speak this version; older files are converted, later ones only add attributes


class Node(NamedTuple):
    """A layer in its place: the names of what it reads (None where left out) and makes."""

    name: str
    layer: Layer
    bottoms: tuple[str | None, ...]
    tops: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Model:
    """What an .onnx file says, with everything that depends on constants alone worked out."""

    name: str
    sha256: str
    nodes: list[Node]
    constants: dict[str, Array]
    inputs: dict[str, tuple[np.dtype[Any], tuple[int | None, ...]]]  # type and declared sizes
    outputs: list[str]


def read_model(path: str | os.PathLike[str], dtype: Any) -> Model:
    """The model at `path`, its floats as `dtype`.

    Raises ModelError, naming the file and the node, for a file that is no ONNX model, for
    operators that have no layer, and for graphs that do not hold together.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    try:
        return Reader(content, np.dtype(dtype)).model(path.stem)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Reader:
    """One reading of a file: what is a constant so far, what has been made so far."""

    def __init__(self, content: bytes, dtype: np.dtype[Any]) -> None:
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.dtype = dtype
        self.graph = parsed(content).graph
        self.constants = {
            tensor.name: self.in_dtype(as_array(tensor)) for tensor in self.graph.initializer
        }
        # an initialiser that is listed as an input, as old files do, is not asked of the user
        self.inputs = {
            value.name: self.declared(value)
            for value in self.graph.input
            if value.name not in self.constants
        }
        self.nodes: list[Node] = []

    def model(self, name: str) -> Model:
        for proto in self.graph.node:
            try:
                self.add(proto)
            except (LookupError, NotImplementedError, TypeError, ValueError) as error:
                raise ModelError(f"node {label(proto)} ({proto.op_type}): {error}") from error
        outputs = [value.name for value in self.graph.output]
        nodes = self.with_needs()
        return Model(name, self.sha256, nodes, self.constants, self.inputs, outputs)

    def add(self, proto: onnx.NodeProto) -> None:
        """Take a node in, or work it out now if it reads constants alone."""
        top = proto.output[0]  # masks, indices and statistics are no blobs
        if proto.op_type == "Constant":
            self.constants[top] = self.in_dtype(constant_of(proto))
            return
        layer = LAYERS[proto.op_type](**self.attributes(proto))
        if all(bottom in self.constants for bottom in proto.input if bottom):
            values = [self.constants[bottom] if bottom else None for bottom in proto.input]
            self.constants[top] = layer.forward(*values)
            return
        bottoms = tuple(bottom or None for bottom in proto.input)
        self.nodes.append(Node(label(proto), layer, bottoms, (top,)))

    def with_needs(self) -> list[Node]:
        """The nodes, their layers told which bottoms want a diff, their names made unique."""
        seen: Counter[str] = Counter(node.name for node in self.nodes)
        nodes = []
        for node in self.nodes:
            node.layer.needs = tuple(
                bottom is not None and bottom not in self.constants for bottom in node.bottoms
            )
            nodes.append(node._replace(name=node.tops[0]) if seen[node.name] > 1 else node)
        return nodes

    def attributes(self, proto: onnx.NodeProto) -> dict[str, Any]:
        """As the layer's fields take them: text as str, types as NumPy's."""
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            value = helper.get_attribute_value(attribute)
            attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
        if proto.op_type == "Cast":
            target = np.dtype(helper.tensor_dtype_to_np_dtype(attributes.pop("to")))
            attributes = {"to": self.dtype if is_floating(target) else target}
        fields = dataclasses.fields(LAYERS[proto.op_type])  # type: ignore[arg-type]
        unknown = sorted(attributes.keys() - {field.name for field in fields})
        if unknown:
            raise ValueError(f"the attribute {unknown[0]!r} is not known to this operator")
        for field in fields:
            if field.default is dataclasses.MISSING and field.name not in attributes:
                raise ValueError(f"the attribute {field.name!r} is missing")
        return attributes

    def in_dtype(self, array: Array) -> Array:
        return array.astype(self.dtype) if is_floating(array.dtype) else array

    def declared(self, value: onnx.ValueInfoProto) -> tuple[np.dtype[Any], tuple[int | None, ...]]:
        tensor = value.type.tensor_type
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type or 1))
        sizes = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
        return self.dtype if is_floating(dtype) else dtype, sizes


def parsed(content: bytes) -> onnx.ModelProto:
    """The file as protobuf, converted to OPSET if it is older."""
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelError("not an ONNX model, or only a part of one") from error
    if not model.graph.node:
        raise ModelError("holds no network: not an ONNX model, or an empty one")
    check_operators(model)
    check_graph(model.graph)
    version = next((o.version for o in model.opset_import if o.domain in STANDARD), 1)
    if version >= OPSET:
        return model
    try:
        converted = version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter raises what its C++ side feels like
        text = f"cannot be brought from opset {version} to {OPSET}: {error}"
        raise ModelError(text) from error
    check_operators(converted)  # the converter writes some of its own
    return converted


def label(proto: onnx.NodeProto) -> str:
    """What a node is called: by its name, else by what it makes first."""
    return proto.name or next(filter(None, proto.output), proto.op_type)


def check_operators(model: onnx.ModelProto) -> None:
    """Raise ModelError that lists all operators without a layer."""
    known = {*LAYERS, "Constant"}
    named = (
        node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"
        for node in model.graph.node
    )
    missing = Counter(name for name in named if name not in known)
    if missing:
        texts = ", ".join(f"{count} {name}" for name, count in sorted(missing.items()))
        there = ", ".join(sorted(known))
        raise ModelError(f"operators without a layer: {texts}; there are {there}")


def check_graph(graph: onnx.GraphProto) -> None:
    """Raise ModelError where a node reads what is not there yet, or makes what is there already.

    Only the first output of a node counts: masks, indices and statistics are not kept.
    """
    made = {"", *(value.name for value in graph.input), *(t.name for t in graph.initializer)}
    for proto in graph.node:
        missing = [bottom for bottom in proto.input if bottom not in made]
        if missing:
            text = f"reads {missing[0]!r}, which nothing before it made"
            raise ModelError(f"node {label(proto)} {text}")
        if not proto.output or not proto.output[0]:
            raise ModelError(f"node {label(proto)} makes nothing")
        if proto.output[0] in made:
            raise ModelError(f"node {label(proto)} makes {proto.output[0]!r} a second time")
        made.add(proto.output[0])
    absent = [value.name for value in graph.output if value.name not in made]
    if absent:
        raise ModelError(f"the output {absent[0]!r} is made by no node")


def as_array(tensor: onnx.TensorProto) -> Array:
    """The values of an initialiser."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ModelError(f"tensor {tensor.name!r} lies in another file: only whole models are read")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"tensor {tensor.name!r} has a negative size: {list(tensor.dims)}")
    try:
        return numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise ModelError(f"tensor {tensor.name!r}: {error}") from error


def constant_of(proto: onnx.NodeProto) -> Array:
    """The value of a Constant node, whichever attribute holds it."""
    (attribute,) = proto.attribute
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return as_array(value)
    floating = attribute.name in ("value_float", "value_floats")
    return np.asarray(value, np.float32 if floating else None)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """float16, float32, float64, and bfloat16, which is not NumPy's own."""
    return dtype.kind == "f" or dtype.name == "bfloat16"
