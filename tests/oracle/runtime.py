"""onnxruntime as the judge of every tensor of a graph, at any picture size; two more judges."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, ValueInfoProto


def picture_input(model: ModelProto) -> str:
    """The name of the one input that is no constant (old files list their weights as inputs)."""
    constants = {initializer.name for initializer in model.graph.initializer}
    (name,) = [given.name for given in model.graph.input if given.name not in constants]
    return name


def cut(model: ModelProto, *ends: str) -> ModelProto:
    """A copy of `model` that holds only what the blobs `ends` need, with them as its outputs.

    Declared inner shapes are dropped: they belong to one picture size.
    """
    wanted = set(ends)
    nodes = []
    for node in reversed(model.graph.node):
        if not wanted.isdisjoint(node.output):
            nodes.append(node)
            wanted.update(node.input)
    short = ModelProto()
    short.CopyFrom(model)
    graph = short.graph
    del graph.node[:], graph.initializer[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(i for i in model.graph.initializer if i.name in wanted)
    graph.input.extend(i for i in model.graph.input if i.name in wanted)
    graph.output.extend(ValueInfoProto(name=end) for end in ends)
    return short


def blobs(
    model: ModelProto, inputs: Mapping[str, np.ndarray], names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """What onnxruntime computes for `names`, or for every tensor that `model` makes and reads.

    Sizes declared in the file do not bind. Without `names`, a graph with a fixed-size tail must
    be `cut` below it first.
    """
    import onnxruntime  # here, so that `cut` works without it

    if names is None:
        read = {name for node in model.graph.node for name in node.input}
        read.update(output.name for output in model.graph.output)
        names = [name for node in model.graph.node for name in node.output if name in read]
    names = list(names)
    free = cut(model, *names)
    for given in free.graph.input:
        if given.name in inputs:
            given.type.tensor_type.ClearField("shape")

    options = onnxruntime.SessionOptions()
    # Fused nodes would hide the tensors between them.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin after a run slow down whoever computes next in this process.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        free.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    known = {given.name for given in session.get_inputs()}
    feeds = {name: value for name, value in inputs.items() if name in known}
    return dict(zip(names, session.run(names, feeds), strict=True))


def session(model: ModelProto) -> Callable[..., dict[str, np.ndarray]]:
    """onnxruntime's function of the model: inputs by name to outputs by name."""
    import pytest  # benchmarks use this module, and have none

    onnxruntime = pytest.importorskip("onnxruntime", reason="runs what is exported")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    loaded = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in model.graph.output]
    return lambda **inputs: dict(zip(names, loaded.run(names, inputs)))


def by_evaluator(model: ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator  # here, as benchmarks measure what is imported

    names = [output.name for output in model.graph.output]
    with np.errstate(all="ignore"):
        found = ReferenceEvaluator(model).run(names, dict(feeds))
    return dict(zip(names, map(np.asarray, found), strict=True))


def by_openvino(model: ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by OpenVINO on the CPU, which is never to compute in bfloat16."""
    core = openvino_core()
    read = core.read_model(model.SerializeToString(), b"")
    run = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    known = {name for port in run.inputs for name in port.names}
    found = run({name: array for name, array in feeds.items() if name in known})
    return {output.name: found[output.name] for output in model.graph.output}


@functools.cache
def openvino_core() -> Any:
    import pytest

    return pytest.importorskip("openvino", reason="it is a judge (pip install openvino)").Core()
