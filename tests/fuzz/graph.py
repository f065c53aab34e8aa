"""Small graphs of any operators that there is a layer for, as hypothesis draws and shrinks them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import AttributeProto, ModelProto, TensorProto, ValueInfoProto, defs, helper, numpy_helper

from fuzz.mutation import WORDS
from oneiro.layer import LAYERS

OPSET = defs.onnx_opset_version()
OPERATORS = [name for name in sorted(LAYERS) if defs.has(name)]
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}

Kind = defs.OpSchema.AttrType
VALUES = {
    Kind.INT: st.integers(-3, 6),
    Kind.INTS: st.lists(st.integers(-3, 6), max_size=5),
    Kind.FLOAT: st.floats(width=32),
    Kind.FLOATS: st.lists(st.floats(width=32), max_size=5),
    Kind.STRING: st.sampled_from(WORDS),
}


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    """One to four nodes on arrays of any rank, some of them stored."""
    graph = helper.make_graph([], "drawn", [], [])
    names: dict[str, list[str]] = {kind: [] for kind in TYPES}  # of what there is to read
    for number in range(draw(st.integers(1, 4))):
        schema = defs.get_schema(draw(st.sampled_from(OPERATORS)), OPSET)
        most = min(schema.max_input, max(schema.min_input, len(schema.inputs)) + 1)
        operands = []
        for place in range(draw(st.integers(schema.min_input, most))):
            formal = schema.inputs[min(place, len(schema.inputs) - 1)]
            operands.append(operand(draw, graph, names, formal.types))
        tops = [f"{number}.{k}" for k in range(draw(st.integers(1, min(schema.max_output, 3))))]
        node = helper.make_node(schema.name, operands, tops, f"node{number}")
        node.attribute.extend(attributes(draw, schema))
        graph.node.append(node)
        names["tensor(float)"] += tops  # or of another type: then that is what is tried
        graph.output.extend(ValueInfoProto(name=top) for top in tops)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def operand(draw: st.DrawFn, graph: Any, names: dict[str, list[str]], types: set[str]) -> str:
    """Something there already, or a new input or constant of a type that fits."""
    kinds = [kind for kind in TYPES if kind in types]
    kind = draw(st.sampled_from(kinds or list(TYPES)))
    if names[kind] and draw(st.booleans()):
        return draw(st.sampled_from(names[kind]))
    shape = draw(st.lists(st.integers(0, 4), max_size=2 if kind == "tensor(int64)" else 5))
    name = f"{kind}{len(graph.input)}.{len(graph.initializer)}"
    if kind == "tensor(float)" and draw(st.booleans()):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    else:
        numbers = st.booleans() if kind == "tensor(bool)" else st.integers(-3, 6)
        array = draw(arrays.arrays(TYPES[kind], tuple(shape), elements=numbers))
        graph.initializer.append(numpy_helper.from_array(array, name))
    names[kind].append(name)
    return name


def attributes(draw: st.DrawFn, schema: defs.OpSchema) -> list[AttributeProto]:
    """Some of the operator's attributes, and those that it must have."""
    found = []
    for name, attribute in sorted(schema.attributes.items()):
        values = VALUES.get(attribute.type)
        if values is not None and (attribute.required or draw(st.booleans())):
            kind = int(attribute.type.value)
            found.append(helper.make_attribute(name, draw(values), attr_type=kind))
    return found
