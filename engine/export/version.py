"""Models in operators of another version of ONNX than they were written in."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper, version_converter

from ..error import ArgumentError

OPSET = 18  # of what is written
OLD_PADS = range(11, OPSET)  # opsets whose Pad has the same form, but for axes that none here has
ASIDE = "aside"
NOTHING: Mapping[str, TensorProto] = {}


def converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model in operators of another version."""
    bring_integers_inside(model.graph)
    if opset in OLD_PADS:
        move_pads(model.graph, ASIDE)
        model.opset_import.append(helper.make_opsetid(ASIDE, 1))
    try:
        model = version_converter.convert_version(model, opset)
    except (RuntimeError, version_converter.ConvertError) as error:
        raise ArgumentError(f"opset {opset} has no form for all of this model: {error}") from error
    if opset in OLD_PADS:
        move_pads(model.graph, "")
        del model.opset_import[1:]
    return model


def move_pads(graph: onnx.GraphProto, domain: str) -> None:
    """Move every Pad to a domain: the converter leaves alone what is not in ONNX's own."""
    for node in graph.node:
        if node.op_type == "Pad":
            node.domain = domain
    for body in bodies(graph):
        move_pads(body, domain)


def bring_integers_inside(
    graph: onnx.GraphProto, around: Mapping[str, TensorProto] = NOTHING, depth: int = 1
) -> None:
    """Copy the integers that bodies of Loops read into them: the converter looks for axes there."""
    own = {t.name: t for t in graph.initializer if t.data_type == TensorProto.INT64}
    known = {**around, **own}
    for body in bodies(graph):
        inside: dict[str, str] = {}
        for node in body.node:
            for k, name in enumerate(node.input):
                if name in known:
                    # not its own name: a body sees those around it
                    node.input[k] = inside[name] = f"{name}/{depth}"
        for name, copy in inside.items():
            body.initializer.add().CopyFrom(known[name])
            body.initializer[-1].name = copy
        bring_integers_inside(body, known, depth + 1)


def bodies(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """The graphs inside its nodes."""
    return [held.g for node in graph.node for held in node.attribute if held.HasField("g")]
