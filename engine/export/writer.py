"""What was traced as one plain ONNX model: names, constants, opset."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Body, Call, Graph, Operation, Symbol

from ..call import arguments, reads, run, symbols
from ..error import ModelError
from ..trace import Trace
from .version import OPSET, converted

IR_VERSION = 10  # what runtimes of the last years read
FOLDED = 4096  # elements of what is worked out beforehand, at most
LARGEST = 2**31 - 1  # bytes of a model in one piece
NOTHING: Mapping[str, Any] = {}


def as_model(
    traced: Trace,
    shapes: Mapping[str, Sequence[int | str]],
    docs: Mapping[str, str] = NOTHING,
    metadata: Mapping[str, str] = NOTHING,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """The model of a trace, whose inputs have these shapes.

    `docs` are texts for inputs and results.
    """
    graph, results, _ = traced
    names = readable_names(traced)
    values = folded((call for part in parts(graph) for call in part.calls), graph.constants)
    needed = {symbol.name for symbol in results.values()}
    nodes, used = alive(graph.nodes, needed, frozenset(values))
    constants = {name: np.asarray(values[name]) for name in values if name in used}
    names |= shared_names(constants, names)
    blobs = makers(traced)
    protos = [as_proto(node, names, blobs.get(node.outputs[0], "")) for node in nodes]
    # a result that another name already stands for, such as an input handed through
    protos += [
        helper.make_node("Identity", [names.get(symbol.name, symbol.name)], [name])
        for name, symbol in results.items()
        if names.get(symbol.name) != name
    ]
    casts: list[onnx.NodeProto] = []
    tensors: list[TensorProto] = []
    for name, array in {names.get(n, n): array for n, array in constants.items()}.items():
        store(name, array, casts, tensors)
    inputs = [value_info(symbol.name, symbol, shapes[symbol.name]) for symbol in graph.inputs]
    outputs = [value_info(name, symbol, symbol.dims) for name, symbol in results.items()]
    for info in (*inputs, *outputs):
        info.doc_string = docs.get(info.name, "")
    model = helper.make_model(
        helper.make_graph(casts + protos, "oneiro", inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="oneiro",
    )
    helper.set_model_props(model, dict(metadata))
    model = model if opset == OPSET else converted(model, opset)
    if model.ByteSize() <= LARGEST:
        check(model)
    return model


def parts(part: Graph | Body) -> Iterator[Graph | Body]:
    """The graph itself, then the bodies of its loops, which read what it makes."""
    yield part
    for node in part.nodes:
        for body in bodies(node).values():
            yield from parts(body)


def bodies(node: Operation) -> dict[str, Body]:
    return {key: value for key, value in node.attributes.items() if isinstance(value, Body)}


def folded(calls: Iterable[Call], constants: Mapping[str, Any]) -> dict[str, Any]:
    """The constants, and what little depends on them alone, such as gains of a normalisation.

    Filters that are turned for the way back are not: so they are in a file once.
    """
    values = dict(constants)
    for call in calls:
        known = values.keys() >= set(reads(arguments(call)))
        if known and all(elements(symbol) <= FOLDED for symbol in symbols(call.results)):
            run(call, values)
    return values


def elements(symbol: Symbol) -> float:
    """How many it has; infinitely many where a size is not known."""
    return math.prod(math.inf if size is None else size for size in symbol.dims)


def check(model: onnx.ModelProto | str) -> None:
    """Raise ModelError for what is no valid ONNX, a model or the path of a file."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"what was traced is no valid ONNX: {error}") from error


def readable_names(traced: Trace) -> dict[str, str]:
    """What tensors are called in the file: by input and result, constant, then blob."""
    names = {symbol.name: symbol.name for symbol in traced.graph.inputs}
    for name, result in traced.results.items():
        names.setdefault(result.name, name)
    for name, constant in traced.net.constants.items():
        if isinstance(constant, Symbol):
            names[constant.name] = name
    taken = {*names.values(), *traced.results}
    for blob in traced.net.blobs.values():
        for symbol, name in ((blob.data, blob.name), (blob.flowed, f"{blob.name}/diff")):
            # a program's input may be called like the blob that it fills after a roll
            if isinstance(symbol, Symbol) and name not in taken and symbol.name not in names:
                names[symbol.name] = name
                taken.add(name)
    made = (name for part in parts(traced.graph) for node in part.nodes for name in node.outputs)
    for name in (*traced.graph.constants, *made):
        if name in taken and name not in names:  # the file had that name first
            names[name] = next(
                new for k in itertools.count() if (new := f"{name}_{k}") not in taken
            )
            taken.add(names[name])
    return names


def makers(traced: Trace) -> dict[str, str]:
    """{symbol: the blob whose data it is}: what the nodes are called that make blobs."""
    found: dict[str, str] = {}
    for blob in traced.net.blobs.values():
        if isinstance(blob.data, Symbol):
            found.setdefault(blob.data.name, blob.name)
    return found


def shared_names(constants: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, str]:
    """One name for those of the constants that are equal and have none in the file."""
    first: dict[Any, str] = {}
    return {
        name: first.setdefault((array.dtype, array.shape, array.tobytes()), name)
        for name, array in constants.items()
        if name not in names
    }


def as_proto(node: Operation, names: Mapping[str, str], name: str = "") -> onnx.NodeProto:
    inputs = [names.get(name, name) for name in node.inputs]
    outputs = [names.get(name, name) for name in node.outputs]
    attributes = {key: as_attribute(value, names) for key, value in node.attributes.items()}
    return helper.make_node(node.operator, inputs, outputs, name or None, **attributes)


def as_attribute(value: Any, names: Mapping[str, str]) -> Any:
    """An attribute as onnx takes it."""
    if isinstance(value, np.dtype):
        return helper.np_dtype_to_tensor_dtype(value)
    if not isinstance(value, Body):
        return value
    inputs, outputs = (
        [value_info(names.get(symbol.name, symbol.name), symbol, symbol.dims) for symbol in group]
        for group in (value.inputs, value.outputs)
    )
    nodes = [as_proto(node, names) for node in value.nodes]
    return helper.make_graph(nodes, "body", inputs, outputs)


def alive(
    nodes: Iterable[Operation], results: set[str], known: frozenset[str] = frozenset()
) -> tuple[list[Operation], set[str]]:
    """The nodes that the results need, without those whose outputs are known, in loops, too.

    Also every name that they use. A trailing output that nobody reads is not asked for: runtimes
    then have faster operators.
    """
    used = set(results)
    kept = []
    for node in reversed(list(nodes)):
        outputs = node.outputs
        while outputs and outputs[-1] not in used:
            outputs = outputs[:-1]
        if not outputs or not known.isdisjoint(outputs):
            continue
        inner = {key: copy.copy(body) for key, body in bodies(node).items()}
        for body in inner.values():
            ends = {symbol.name for symbol in body.outputs}
            # what a body hands out it has to make
            body.nodes, within = alive(body.nodes, ends, known - ends)
            used.update(within)
        used.update(node.inputs)
        kept.append(node._replace(outputs=outputs, attributes={**node.attributes, **inner}))
    return kept[::-1], used


def store(name: str, array: Array, casts: list[onnx.NodeProto], tensors: list[TensorProto]) -> None:
    """A Cast makes float32 of what is stored as float16: runtimes fold it as they load a model."""
    kept = stored(array)
    if kept.dtype == array.dtype:
        tensors.append(numpy_helper.from_array(kept, name))
        return
    tensors.append(numpy_helper.from_array(kept, f"{name}_f16"))
    casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))


def stored(array: Array) -> Array:
    """As float16 where that loses nothing."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    few = array.dtype != np.float32 or array.size < 64
    return array if few or (half.astype(np.float32) != array).any() else half


def value_info(name: str, symbol: Symbol, shape: Sequence[Any]) -> onnx.ValueInfoProto:
    dtype = helper.np_dtype_to_tensor_dtype(symbol.dtype)
    return helper.make_tensor_value_info(name, dtype, list(shape))
