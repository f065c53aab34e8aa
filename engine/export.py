"""A program over a Net as one plain ONNX model: the only file that writes ONNX."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Graph, Operation, Symbol

from .ascent import dream_step, image_gradient
from .error import ArgumentError, ModelError
from .goal import goal
from .net import Net
from .objective import Goal, l2
from .trace import Input, Program, Trace, trace

OPSET = 18
IR_VERSION = 10  # what runtimes of the last years read


def export_gradient(
    net: Net, end: str, rule: str = "gradient", size: tuple[int, int] | None = None
) -> onnx.ModelProto:
    """A model of any picture's gradient of half the sum of squares of the blob `end`.

    Input `data` (n, c, h, w), as the net takes it; outputs `activations`, the data of `end`, and
    `gradient`, of the shape of `data`. With `size` (h, w) the model takes pictures of that size
    alone, which some layers need (Resize, auto_pad SAME with strides).
    """

    def program(net: Net, data: Array) -> dict[str, Any]:
        _, gradient = image_gradient(net, data, {end: l2}, rule)
        return {"activations": net.blobs[net.resolve(end)].data, "gradient": gradient}

    return export(net, program, data=(net.dtype, ("n", net.channels, *(size or ("h", "w")))))


def export_step(net: Net, end: str | Goal, size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """A model that takes one picture one DeepDream step further.

    `end` is what deepdream takes, "NAME[:CHANNEL[,ROW,COLUMN]][=WEIGHT]", or {blob: objective}.
    Inputs: `data` (1, c, h, w), as the net takes it; `shift`, the jitter as two int64 (rows,
    columns); `step`, a number in 0..255. Outputs: `dream`, and `value`, the objective before the
    step. `size` is as in export_gradient.
    """
    climbed = goal(net, [end]) if isinstance(end, str) else end
    preprocessing = net.known_preprocessing()
    bounds = preprocessing.bounds(net.channels, net.dtype)
    unit = preprocessing.unit(net.channels, net.dtype)

    def program(net: Net, data: Array, shift: Array, step: Array) -> dict[str, Any]:
        result = dream_step(net, data, shift, step * unit, climbed, bounds)
        return {"dream": result["x"], "value": result["value"]}

    return export(
        net,
        program,
        data=(net.dtype, (1, net.channels, *(size or ("h", "w")))),
        shift=(np.int64, (2,)),
        step=(net.dtype, ()),
    )


def export(net: Net, program: Program, **inputs: Input) -> onnx.ModelProto:
    """The model of program(net, **inputs) -> {name: result}, in standard operators.

    `inputs` are name=(dtype, shape), where a size that is a string may vary from run to run.
    Blobs keep their names, and their diffs are called `<blob>/diff`. Weights are stored once for
    the way forward and back, as float16 where that loses nothing.
    """
    plain = copy.copy(net)
    plain.device = None  # what a device does for its own sake is not in the file
    traced = trace(plain, program, inputs)
    for name, result in traced.results.items():
        if name in inputs and result.name != name:
            raise ArgumentError(f"{name!r} is both an input and a result: call them differently")
    return as_model(traced, {name: shape for name, (_, shape) in inputs.items()})


def as_model(traced: Trace, shapes: Mapping[str, Sequence[int | str]]) -> onnx.ModelProto:
    graph, results, _ = traced
    names = readable_names(traced)
    nodes, used = alive(graph.nodes, {symbol.name for symbol in results.values()})
    protos = [as_proto(node, names) for node in nodes]
    # a result that another name already stands for, such as an input handed through
    protos += [
        helper.make_node("Identity", [names.get(symbol.name, symbol.name)], [name])
        for name, symbol in results.items()
        if names.get(symbol.name) != name
    ]
    casts: list[onnx.NodeProto] = []
    tensors: list[TensorProto] = []
    for name, array in graph.constants.items():
        if name in used:
            store(names.get(name, name), np.asarray(array), casts, tensors)
    model = helper.make_model(
        helper.make_graph(
            casts + protos,
            "oneiro",
            [value_info(symbol.name, symbol, shapes[symbol.name]) for symbol in graph.inputs],
            [value_info(name, symbol, symbol.dims) for name, symbol in results.items()],
            tensors,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="oneiro",
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"what was traced is no valid ONNX: {error}") from error
    return model


def segment_bytes(graph: Graph, results: Sequence[Symbol]) -> bytes:
    """A part of a program as a model for any sizes of its inputs; weights as they stand.

    The same part of a program for another size is the same bytes, unless a size is in them.
    """
    nodes, used = alive(graph.nodes, {symbol.name for symbol in results})
    model = helper.make_model(
        helper.make_graph(
            [as_proto(node, {}) for node in nodes],
            "segment",
            [free_info(symbol) for symbol in graph.inputs],
            [free_info(symbol) for symbol in results],
            [
                numpy_helper.from_array(np.ascontiguousarray(array), name)
                for name, array in graph.constants.items()
                if name in used
            ],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return model.SerializeToString(deterministic=True)


def free_info(symbol: Symbol) -> onnx.ValueInfoProto:
    """A tensor of any number and size of pictures."""
    names = [f"{symbol.name}_{axis}" for axis in range(len(symbol.dims))]
    return value_info(symbol.name, symbol, [names[0], *symbol.dims[1:2], *names[2:]])


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
    for name in [*traced.graph.constants, *(o for n in traced.graph.nodes for o in n.outputs)]:
        if name in taken and name not in names:  # the file had that name first
            names[name] = next(
                new for k in itertools.count() if (new := f"{name}_{k}") not in taken
            )
            taken.add(names[name])
    return names


def as_proto(node: Operation, names: Mapping[str, str]) -> onnx.NodeProto:
    inputs = [names.get(name, name) for name in node.inputs]
    outputs = [names.get(name, name) for name in node.outputs]
    attributes: dict[str, Any] = {
        key: helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value
        for key, value in node.attributes.items()
    }
    return helper.make_node(node.operator, inputs, outputs, **attributes)


def alive(nodes: Iterable[Operation], results: set[str]) -> tuple[list[Operation], set[str]]:
    """The nodes that the results need, and every name that they use.

    A trailing output that nobody reads is not asked for: runtimes then have faster operators.
    """
    used = set(results)
    kept = []
    for node in reversed(list(nodes)):
        outputs = node.outputs
        while outputs and outputs[-1] not in used:
            outputs = outputs[:-1]
        if outputs:
            used.update(node.inputs)
            kept.append(node._replace(outputs=outputs))
    return kept[::-1], used


def store(name: str, array: Array, casts: list[onnx.NodeProto], tensors: list[TensorProto]) -> None:
    """As float16 and a Cast where that loses nothing: runtimes fold it when they load the model."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if array.dtype != np.float32 or array.size < 64 or (half.astype(np.float32) != array).any():
        tensors.append(numpy_helper.from_array(array, name))
        return
    tensors.append(numpy_helper.from_array(half, f"{name}_f16"))
    casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))


def value_info(name: str, symbol: Symbol, shape: Sequence[Any]) -> onnx.ValueInfoProto:
    dtype = helper.np_dtype_to_tensor_dtype(symbol.dtype)
    return helper.make_tensor_value_info(name, dtype, list(shape))
