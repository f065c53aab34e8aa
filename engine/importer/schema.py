"""What ONNX's own tables allow a node to say: attributes, operands, and their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import defs

from .proto import Draft

Schema = defs.OpSchema
FLOATS = {f"tensor({name})" for name in ("float", "double", "float16", "bfloat16")}
Kind = defs.OpSchema.AttrType
Option = defs.OpSchema.FormalParameterOption

# what an attribute of a kind is called, and what it is as plain data
KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    Kind.INT: ("INT", (int,)),
    Kind.FLOAT: ("FLOAT", (float,)),
    Kind.STRING: ("STRING", (str,)),
    Kind.INTS: ("INTS", (list,)),
    Kind.FLOATS: ("FLOATS", (list,)),
    Kind.STRINGS: ("STRINGS", (list,)),
    Kind.TENSOR: ("TENSOR", (np.ndarray, np.generic)),
    Kind.GRAPH: ("GRAPH", (onnx.GraphProto,)),
}


def schema_of(step: Draft, opset: int) -> Schema | None:
    """ONNX's entry for the operator in that opset; None if it is none of ONNX's.

    Raises ValueError where it came with a later opset.
    """
    try:
        return defs.get_schema(step.operator, opset, "")
    except defs.SchemaError:
        if defs.has(step.operator):
            raise ValueError(f"is no operator of opset {opset}") from None
        return None


def check_form(step: Draft, schema: Schema, types: Mapping[str, str]) -> None:
    """Raise ValueError where the node says what ONNX does not allow.

    `types` are those of constants and inputs, such as "tensor(float)".
    """
    for name, value in step.attributes.items():
        if name not in schema.attributes:
            raise ValueError(f"the attribute {name!r} is not known to this operator")
        kind, plain = KINDS.get(schema.attributes[name].type, ("", (object,)))
        if not isinstance(value, plain):
            raise ValueError(f"the attribute {name!r} must be of type {kind}, not {value!r:.40}")
    for name, attribute in schema.attributes.items():
        if attribute.required and name not in step.attributes:
            raise ValueError(f"the attribute {name!r} is missing")
    for what, found, least, most in (
        ("inputs", step.inputs, schema.min_input, schema.max_input),
        ("outputs", step.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(found) <= most:
            raise ValueError(f"has {len(found)} {what}, not {least} to {most}")
    bound: dict[str, str] = {}
    for k, name in enumerate(step.inputs):
        formal = schema.inputs[min(k, len(schema.inputs) - 1)]
        if not name and formal.option != Option.Optional:
            raise ValueError(f"the input {formal.name!r} is missing")
        if name in types and types[name] not in formal.types:
            raise ValueError(f"{name!r} is a {types[name]}, which {formal.name!r} cannot be")
        if name in types and formal.is_homogeneous:
            other = bound.setdefault(formal.type_str, types[name])
            # floats may differ: all of them live in the net's one type
            if other != types[name] and not {other, types[name]} <= FLOATS:
                raise ValueError(f"{name!r} is a {types[name]} beside a {other}")


def optional_outputs(schema: Schema) -> int:
    """How many outputs at the end need not be asked for."""
    return sum(formal.option == Option.Optional for formal in schema.outputs)
