"""One reading of a file, from its path to the Model."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from oneiro.kernels.dispatch import Array

from .. import layers as layers  # fills the registry
from ..error import ModelError
from ..layer import LAYERS, Layer, Missing
from .constant import UnknownError, evaluated, worked_out
from .layout import Declared, channels_first, check_layout, is_cast, is_channels_last
from .model import MAX_BYTES, Model, ModelWarning, Node
from .proto import (
    STANDARD,
    Draft,
    content_of,
    defined,
    draft,
    in_order,
    parsed,
    rename,
    wanted,
)
from .schema import check_form, optional_outputs, schema_of
from .size import size_free
from .tensor import Weights, is_floating
from .version import Align, today

TYPES = {"Cast": ("to",), "EyeLike": ("dtype",)}  # attributes that name a type


def read_model(
    path: str | os.PathLike[str],
    dtype: Any,
    layout: str | None = None,
    max_bytes: int | None = None,
    weights_dir: str | os.PathLike[str] | None = None,
) -> Model:
    """The model at `path`, its floats as `dtype`, its picture as (n, c, h, w).

    `layout` says how the file wants the picture, "NCHW" or "NHWC"; by default its own Transpose
    tells. `max_bytes` bounds the file, its constants, and each of its blobs later. Weights in
    files of their own are read when they are plain files inside the model's folder, or, links
    followed, inside `weights_dir`.

    Raises ModelError, naming the file and the node, for what is broken. A node that is whole, but
    has no layer, is kept as one that is missing.
    """
    path = Path(path)
    check_layout(layout)
    limit = MAX_BYTES if max_bytes is None else max_bytes
    try:
        content = content_of(path, limit)
        digest = hashlib.sha256(content)
        folder = None if weights_dir is None else Path(weights_dir)
        weights = Weights(path.parent, folder, limit, digest)
        return Reader(parsed(content), weights, np.dtype(dtype)).model(path.stem, layout)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Reader:
    """What is a constant so far, and which nodes there are so far."""

    def __init__(self, proto: onnx.ModelProto, weights: Weights, dtype: np.dtype[Any]) -> None:
        self.proto = proto
        self.weights = weights
        self.dtype = dtype
        self.opset = max([o.version for o in proto.opset_import if o.domain in STANDARD], default=1)
        if not 0 < self.opset < 1000:
            raise ModelError(f"speaks opset {self.opset}, which there is not")
        self.types: dict[str, str] = {}  # of constants and inputs, in ONNX's words
        self.constants: dict[str, Array] = {}
        self.inputs: dict[str, Declared] = {}
        self.turned: dict[str, str] = {}
        self.nodes: list[Node] = []
        self.wanted = set(wanted(proto.graph))
        self.names = {*self.wanted, *defined(proto.graph)}

    def model(self, name: str, layout: str | None) -> Model:
        graph = self.proto.graph
        self.add_tensors(graph)
        self.add_inputs(graph)
        steps = self.steps(graph)
        steps = self.pictures_turned(steps, layout)
        self.add_all(steps)
        outputs = [value.name for value in graph.output]
        made = {*self.inputs, *self.constants, *(top for node in self.nodes for top in node.tops)}
        absent = [output for output in outputs if output not in made]
        if absent:
            raise ModelError(f"the output {absent[0]!r} is made by no node")
        nodes = self.finished(outputs)
        return Model(
            name=name,
            sha256=self.weights.digest.hexdigest(),
            opset=self.opset,
            producer=f"{self.proto.producer_name} {self.proto.producer_version}".strip(),
            nodes=nodes,
            constants=self.constants,
            inputs=self.inputs,
            outputs=outputs,
            turned=self.turned,
            max_bytes=self.weights.max_bytes,
        )

    def add_tensors(self, graph: onnx.GraphProto) -> None:
        """Take in the initialisers of a graph."""
        if graph.sparse_initializer:
            raise ModelError("holds sparse tensors, which are not read")
        for tensor in graph.initializer:
            if tensor.name in self.constants:
                raise ModelError(f"tensor {tensor.name!r} is there a second time")
            array = self.weights.array(tensor)
            self.types[tensor.name] = f"tensor({type_name(tensor.data_type)})"
            constant = self.in_dtype(array)
            self.weights.count(max(constant.nbytes - array.nbytes, 0))
            # protobuf's own bytes may not be written to, but whoever looks at filters may want to
            self.constants[tensor.name] = constant if constant.flags.writeable else constant.copy()
            if constant.dtype == self.dtype and not np.isfinite(constant).all():
                text = f"tensor {tensor.name!r} holds values that are not finite"
                warnings.warn(text, ModelWarning, stacklevel=2)

    def add_inputs(self, graph: onnx.GraphProto) -> None:
        """What must be given: an initialiser that is listed too, as in old files, need not."""
        for value in graph.input:
            if value.name in self.constants:
                continue
            if value.name in self.inputs:
                raise ModelError(f"the input {value.name!r} is there a second time")
            if value.type.HasField("tensor_type"):
                self.inputs[value.name] = self.declared(value)
                self.types[value.name] = f"tensor({type_name(value.type.tensor_type.elem_type)})"
            else:
                kind = value.type.WhichOneof("value") or "nothing"
                layer = Missing(f"input of {kind}")
                self.nodes.append(Node(value.name, layer, (), (value.name,)))

    def declared(self, value: onnx.ValueInfoProto) -> Declared:
        tensor = value.type.tensor_type
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type or 1))
        except KeyError as error:
            raise ModelError(f"the input {value.name!r} has no known type") from error
        sizes = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
        return self.dtype if is_floating(dtype) else dtype, sizes

    def steps(self, graph: onnx.GraphProto) -> list[Draft]:
        """The nodes of a graph in order, as plain data."""
        drafts = []
        for proto in graph.node:
            try:
                drafts.append(draft(proto, self.weights))
            except (UnicodeDecodeError, ValueError) as error:
                raise ModelError(f"node {proto.name} ({proto.op_type}): {error}") from error
        return in_order(drafts, self.known())

    def known(self) -> set[str]:
        """What has a name so far."""
        made = (top for node in self.nodes for top in node.tops)
        return {*self.inputs, *self.constants, *made}

    def pictures_turned(self, steps: list[Draft], layout: str | None) -> list[Draft]:
        """The steps for a picture of (n, c, h, w), whatever the file wants."""
        pictures = [name for name, (_, sizes) in self.inputs.items() if len(sizes) == 4]
        for name in pictures[:1]:
            dtype, sizes = self.inputs[name]
            if is_cast(name, steps):
                dtype = self.dtype  # it stays a float from here on, and has a gradient
            if layout == "NHWC" or (layout is None and is_channels_last(name, sizes, steps)):
                n, h, w, c = sizes
                sizes = n, c, h, w
                self.turned[name] = self.fresh(f"{name}/nhwc")
                steps = channels_first(name, self.turned[name], steps)
            self.inputs[name] = dtype, sizes
        return steps

    def add_all(self, steps: list[Draft]) -> None:
        for step in steps:
            try:
                self.add(step)
            except (ArithmeticError, LookupError, TypeError, ValueError, NotImplementedError) as e:
                if isinstance(e, ModelError):
                    raise
                raise ModelError(f"node {step.name} ({step.operator}): {e}") from e

    def add(self, step: Draft) -> None:
        """Take a node in as its file's opset means it, or work it out if constants tell."""
        schema = schema_of(step, self.opset)
        if step.operator == "Constant":
            self.add_constant(step)
            return
        if schema is not None:
            check_form(step, schema, self.types)
            if step.operator == "If" and step.inputs[0] in self.constants:
                self.add_branch(step)
                return
            read = self.read_outputs(step, optional_outputs(schema))
            step = step._replace(outputs=read)
        for newer in today(step, self.opset, self):
            self.place(newer)

    def add_constant(self, step: Draft) -> None:
        check_form(step, defs.get_schema("Constant"), self.types)  # files run ahead of their opset
        if len(step.attributes) != 1:
            raise ValueError(f"holds {len(step.attributes)} values")
        ((name, value),) = step.attributes.items()
        if name == "sparse_value":
            raise ValueError("sparse tensors are not read")
        kind = {"value_float": np.float32, "value_floats": np.float32}.get(name)
        array = value if name == "value" else np.asarray(value, kind)
        self.keep(step.outputs[0], array)

    def add_branch(self, step: Draft) -> None:
        """Take in the nodes of the branch that the constant condition of an If chooses."""
        condition = self.constants[step.inputs[0]]
        if condition.size != 1:
            raise ValueError(f"the condition has {condition.size} values")
        graph = step.attributes["then_branch" if condition.item() else "else_branch"]
        if len(graph.output) != len(step.outputs):
            raise ValueError(f"the branch makes {len(graph.output)} of {len(step.outputs)} outputs")
        self.add_all(self.branch(graph, step))

    def branch(self, graph: onnx.GraphProto, step: Draft) -> list[Draft]:
        """The steps of an inner graph under names that nothing else has."""
        inner = onnx.GraphProto()
        inner.CopyFrom(graph)
        made = [t.name for t in inner.initializer] + [o for n in inner.node for o in n.output]
        names = {name: self.fresh(f"{step.name}/{name}") for name in made if name}
        handed = []  # what the branch only hands on: outer values, and one of its own again
        given: set[str] = set()
        for value, top in zip(inner.output, step.outputs, strict=True):
            if top and value.name in made and value.name not in given:
                names[value.name] = top
                given.add(value.name)
            elif top:
                handed.append((value.name, top))
        rename(inner, names)
        self.wanted.update(wanted(inner))
        self.add_tensors(inner)
        return self.steps(inner) + [
            Draft(top, "Identity", (names.get(name, name),), (top,), {}) for name, top in handed
        ]

    def read_outputs(self, step: Draft, optional: int) -> tuple[str, ...]:
        """The outputs but for those at the end that may be left out and that nobody reads."""
        outputs = list(step.outputs)
        while optional and len(outputs) > 1 and outputs[-1] not in self.wanted:
            outputs.pop()
            optional -= 1
        return tuple(name or self.fresh(f"{step.name}.{k}") for k, name in enumerate(outputs))

    def place(self, step: Draft) -> None:
        """Take in a node of today's form."""
        layer = self.layer(step)
        layer.asked = len(step.outputs)
        if step.inputs and all(name in self.constants for name in step.inputs if name):
            values = [self.constants[name] if name else None for name in step.inputs]
            if self.folded(step, layer, values):
                return
        bottoms = tuple(name or None for name in step.inputs) + step.captured
        self.nodes.append(Node(step.name, layer, bottoms, step.outputs))

    def folded(self, step: Draft, layer: Layer, values: list[Array | None]) -> bool:
        """Work out now what constants tell; False where that cannot be done."""
        limit = self.weights.max_bytes
        if not isinstance(layer, Missing):
            tops = worked_out(layer, values, limit)
        else:
            try:
                tops = tuple(evaluated(step, self.opset, values, limit))
            except UnknownError:
                return False
        for name, top in zip(step.outputs, tops, strict=False):
            self.weights.count(top.nbytes)
            self.keep(name, top)
        return True

    def keep(self, name: str, array: Array) -> None:
        """Store a constant that is worked out; weights may not be integers everywhere."""
        if array.dtype.kind in "biuf":
            data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            self.types[name] = f"tensor({type_name(data_type)})"
        self.constants[name] = self.in_dtype(array)

    def layer(self, step: Draft) -> Layer:
        """The layer of a node, or one that stands for what is missing."""
        if step.operator == "oneiro.Align":
            return Align(**step.attributes)
        kind = LAYERS.get(step.operator)
        if kind is None:
            return Missing(step.operator)
        attributes = dict(step.attributes)
        for name in TYPES.get(step.operator, ()):
            if name in attributes:
                target = np.dtype(helper.tensor_dtype_to_np_dtype(attributes[name]))
                attributes[name] = self.dtype if is_floating(target) else target
        if step.operator == "ConstantOfShape":
            value = attributes.get("value", np.zeros(1, np.float32))
            attributes["value"] = self.in_dtype(value)
        fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        unknown = sorted(attributes.keys() - fields)
        if unknown:
            return Missing(f"{step.operator} with {unknown[0]}")
        return kind(**attributes)

    def constant(self, name: str, array: Array) -> str:
        """Store a constant that an older form held otherwise, under about that name."""
        name = self.fresh(name)
        self.constants[name] = self.in_dtype(array)
        return name

    def fresh(self, name: str) -> str:
        """That name, or one like it that nothing else has."""
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name

    def in_dtype(self, array: Array) -> Array:
        with np.errstate(over="ignore"):  # what becomes infinite is named as such
            return array.astype(self.dtype, copy=False) if is_floating(array.dtype) else array

    def finished(self, outputs: list[str]) -> list[Node]:
        """The nodes for any size, told which bottoms want a diff, under names of their own.

        Constants that none of them reads are let go.
        """
        free = size_free(self.nodes, self.constants, self.inputs, outputs, self.fresh)
        read = {bottom for node in free for bottom in node.bottoms}.union(outputs)
        self.constants = {name: a for name, a in self.constants.items() if name in read}
        seen: Counter[str] = Counter(node.name for node in free)
        nodes = []
        for node in free:
            node.layer.needs = tuple(
                bottom is not None and bottom not in self.constants for bottom in node.bottoms
            )
            nodes.append(node._replace(name=node.tops[0]) if seen[node.name] > 1 else node)
        return nodes


def type_name(data_type: int) -> str:
    """An ONNX type as its tables write it: float, int64, bool."""
    return onnx.TensorProto.DataType.Name(data_type).lower()
