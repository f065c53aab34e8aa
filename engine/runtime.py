"""A user's own file, run by onnxruntime: the judge of what a Net makes of it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from oneiro.kernels.dispatch import Array

from .error import ModelError
from .net import Net

TOLERANCE = 1e-3  # of the relative error of a blob in float32
SMALL = 1e-3  # onnxruntime's Sigmoid is 1e-7 off: far, beside values that are all smaller than this


def is_installed() -> bool:
    """Is onnxruntime installed?"""
    return importlib.util.find_spec("onnxruntime") is not None


def blob_errors(net: Net, path: str | os.PathLike[str], end: str, x: Array) -> dict[str, float]:
    """{blob: how far it is off}, of those up to `end` that the file names, at the picture x.

    The judge is onnxruntime with the file as it stands; what that computes in half precision is
    left out. An error is the largest of a blob, relative to the blob's largest value. Raises
    ModelError where onnxruntime does not run the file.
    """
    end = net.resolve(end)
    net.forward({net.input: x}, end=end)
    try:
        model = onnx.load(os.fspath(path))
    except onnx.checker.ValidationError as error:  # it follows no links to weights
        raise ModelError(f"onnx does not read the file's weights: {error}") from error
    made = {top for node in model.graph.node for top in node.output}
    nodes = net.between((net.input,), (end,))
    names = [top for node in nodes for top in node.tops if top in made]
    held = {name: net.blobs[name].data for name in net.inputs}
    feeds = {name: np.asarray(data) for name, data in held.items() if data is not None}
    for name, turned in net.model.turned.items():
        feeds[name] = np.asarray(net.blobs[turned].data)
    rights = run_by_runtime(model, names, feeds) if names else {}
    return {
        name: relative(np.asarray(net.blobs[name].data), right)
        for name, right in rights.items()
        if right.dtype.itemsize != 2
    }


def relative(found: Array, right: Array) -> float:
    """The largest difference over the largest value, at least SMALL; infinite where shapes differ.

    What is not finite must be the same in both.
    """
    if found.shape != right.shape:
        return float("inf")
    found, right = found.astype(float), right.astype(float)
    off = ~((found == right) | (np.isnan(found) & np.isnan(right)))
    most = np.abs(found[off] - right[off]).max(initial=0)
    size = np.abs(right[np.isfinite(right)]).max(initial=SMALL)
    return float("inf") if np.isnan(most) else float(most / size)


def run_by_runtime(
    model: onnx.ModelProto, names: Sequence[str], feeds: Mapping[str, Array]
) -> dict[str, Array]:
    """What onnxruntime makes of the blobs `names`, at any size of picture."""
    import onnxruntime

    only(model.graph, names)
    given = {}
    for value in model.graph.input:
        if value.name in feeds:
            kind = value.type.tensor_type
            kind.ClearField("shape")
            given[value.name] = feeds[value.name].astype(
                helper.tensor_dtype_to_np_dtype(kind.elem_type)
            )
    options = onnxruntime.SessionOptions()
    # fused nodes would hide the tensors between them
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        given = {value.name: given[value.name] for value in session.get_inputs()}
        return dict(zip(names, session.run(list(names), given), strict=True))
    except Exception as error:  # its own classes have no common one
        reason = str(error).splitlines()[0]
        raise ModelError(f"onnxruntime does not run the file: {reason}") from error


def only(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Leave in a graph what makes the blobs `names`, which become its outputs."""
    wanted = set(names)
    nodes = []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            nodes.append(node)
            wanted.update(read_by(node))
    inputs = [value for value in graph.input if value.name in wanted]
    outputs = [onnx.ValueInfoProto(name=name) for name in names]
    nodes.reverse()
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.output.extend(outputs)


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, the graphs inside it too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner_node in graph.node:
                yield from read_by(inner_node)
            yield from (value.name for value in graph.output)
