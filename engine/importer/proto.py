"""The file as protobuf, checked before anything is made of it."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, helper, inliner

from ..error import ModelError
from .model import MAX_NODES, ModelWarning
from .tensor import Weights

STANDARD = ("", "ai.onnx")  # the two names of ONNX's own operators


class Draft(NamedTuple):
    """A node as plain data, before there is a layer."""

    name: str
    operator: str  # with its domain before it where that is not ONNX's own
    inputs: tuple[str, ...]  # "" where left out
    outputs: tuple[str, ...]
    attributes: dict[str, Any]  # text as str, tensors as arrays, inner graphs as GraphProto
    captured: tuple[str, ...] = ()  # what inner graphs read from outside


def content_of(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most that many."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError("is no regular file")
            if status.st_size > max_bytes:
                raise ModelError(
                    f"has {status.st_size:,} bytes, more than max_bytes={max_bytes:,}: "
                    "give a larger max_bytes if you trust it"
                )
            return file.read()
    except OSError as error:
        raise ModelError(error.strerror or str(error)) from error


def parsed(content: bytes) -> onnx.ModelProto:
    """The file as protobuf, with its local functions written out."""
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelError("not an ONNX model, or only a part of one") from error
    if not model.graph.node:
        raise ModelError("holds no network: not an ONNX model, or an empty one")
    if model.functions:
        check_functions(model)
        try:
            model = inliner.inline_local_functions(model)
        except Exception as error:  # the inliner raises what its C++ side feels like
            raise ModelError(f"its functions cannot be written out: {error}") from error
    count = sum(1 for _ in within(model.graph.node))
    if count > MAX_NODES:
        raise ModelError(f"holds {count:,} nodes, more than {MAX_NODES:,}")
    for text in texts(model.graph):
        if not isinstance(text, str):  # protobuf hands it out as bytes
            raise ModelError(f"holds a name that is not UTF-8: {text!r:.60}")
    return model


def texts(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    """The names in a graph and in those inside it."""
    for named in (*graph.input, *graph.output, *graph.initializer):
        yield named.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        for inner in inner_graphs(node):
            yield from texts(inner)


def check_functions(model: onnx.ModelProto) -> None:
    """Refuse functions that call each other in circles, or that grow beyond MAX_NODES."""
    bodies = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[Any, int] = {}
    open_calls: set[Any] = set()

    def size(nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(size_of(node) for node in within(nodes))

    def size_of(node: onnx.NodeProto) -> int:
        key = (node.domain, node.op_type, node.overload)
        if key not in bodies:
            return 1
        if key in open_calls:
            raise ModelError(f"function {node.op_type} calls itself")
        if len(open_calls) > 100:
            raise ModelError("functions call each other more than 100 deep")
        if key not in sizes:
            open_calls.add(key)
            sizes[key] = size(bodies[key].node)
            open_calls.remove(key)
        return sizes[key]

    total = max(size(model.graph.node), max(size(f.node) for f in model.functions))
    if total > MAX_NODES:
        raise ModelError(f"its functions write out as {total:,} nodes, more than {MAX_NODES:,}")


def within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, and those of the graphs inside them; protobuf itself bounds the depth."""
    for node in nodes:
        yield node
        for graph in inner_graphs(node):
            yield from within(graph.node)


def inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that the attributes of a node hold; empty ones change nothing."""
    return [graph for a in node.attribute for graph in (a.g, *a.graphs)]


def wanted(graph: onnx.GraphProto) -> Iterator[str]:
    """The names that a graph, and those inside it, read or hand out."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for inner in inner_graphs(node):
            yield from wanted(inner)


def defined(graph: onnx.GraphProto) -> Iterator[str]:
    """The names that a graph, and those inside it, give."""
    yield from (named.name for named in (*graph.input, *graph.initializer))
    for node in graph.node:
        yield from node.output
        for inner in inner_graphs(node):
            yield from defined(inner)


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors of a graph, and of the graphs inside it, other names."""
    for named in (*graph.initializer, *graph.output):
        named.name = names.get(named.name, named.name)
    for node in graph.node:
        for group in (node.input, node.output):
            group[:] = [names.get(name, name) for name in group]
        for inner in inner_graphs(node):
            rename(inner, names)


def label(proto: onnx.NodeProto) -> str:
    """What a node is called: by its name, else by what it makes first."""
    return proto.name or next(filter(None, proto.output), proto.op_type)


def draft(proto: onnx.NodeProto, weights: Weights) -> Draft:
    """The node as plain data."""
    standard = proto.domain in STANDARD
    operator = proto.op_type if standard else f"{proto.domain}.{proto.op_type}"
    attributes = {a.name: value_of(a, weights) for a in proto.attribute}
    captured = tuple(dict.fromkeys(outer_names(proto)))
    return Draft(
        label(proto), operator, tuple(proto.input), tuple(proto.output), attributes, captured
    )


def renamed(step: Draft, names: Mapping[str, str]) -> Draft:
    """The draft, and the graphs inside it, reading what has other names now."""
    if any(name in names for name in step.captured):
        for value in step.attributes.values():
            for graph in value if isinstance(value, list) else [value]:
                if isinstance(graph, onnx.GraphProto):
                    rename(graph, names)
    inputs, captured = (
        tuple(names.get(name, name) for name in group) for group in (step.inputs, step.captured)
    )
    return step._replace(inputs=inputs, captured=captured)


def value_of(attribute: AttributeProto, weights: Weights) -> Any:
    """An attribute's value: numbers, text as str, tensors as arrays."""
    if attribute.ref_attr_name:
        raise ValueError(f"the attribute {attribute.name!r} refers to a function's, outside of one")
    value = helper.get_attribute_value(attribute)
    match attribute.type:
        case AttributeProto.TENSOR:
            return weights.array(value)
        case AttributeProto.STRING:
            return value.decode()
        case AttributeProto.STRINGS:
            return [text.decode() for text in value]
        case AttributeProto.INTS | AttributeProto.FLOATS:
            return list(value)
    return value


def outer_names(proto: onnx.NodeProto) -> Iterator[str]:
    """What the graphs inside a node read from outside."""
    for graph in inner_graphs(proto):
        made = {v.name for v in graph.input} | {t.name for t in graph.initializer}
        for node in graph.node:
            yield from (n for n in [*node.input, *outer_names(node)] if n and n not in made)
            made.update(node.output)
        yield from (v.name for v in graph.output if v.name not in made)


def in_order(drafts: list[Draft], available: Collection[str]) -> list[Draft]:
    """The drafts so that each reads what is there before it.

    Files that hold them in another order are taken, with a warning. Raises ModelError where
    something is made twice, by nobody, or out of itself.
    """
    makers: dict[str, Draft] = {}
    for step in drafts:
        if not any(step.outputs):
            raise ModelError(f"node {step.name} ({step.operator}): makes nothing")
        for name in filter(None, step.outputs):
            if name in makers or name in available:
                text = f"makes {name!r} a second time"
                raise ModelError(f"node {step.name} ({step.operator}): {text}")
            makers[name] = step
    for step in drafts:
        missing = [n for n in reads(step) if n not in makers and n not in available]
        if missing:
            text = f"reads {missing[0]!r}, which nothing makes"
            raise ModelError(f"node {step.name} ({step.operator}): {text}")
    ordered = sorted_by_need(drafts, makers)
    if ordered != drafts:
        late = next(a for a, b in zip(drafts, ordered, strict=True) if a is not b)
        text = f"node {late.name} ({late.operator}) stands before what it reads: sorted"
        warnings.warn(text, ModelWarning, stacklevel=2)
    return ordered


def sorted_by_need(drafts: list[Draft], makers: dict[str, Draft]) -> list[Draft]:
    """The drafts, each behind those that it reads from; as they stood where they may."""
    waits = {id(step): {id(makers[n]) for n in reads(step) if n in makers} for step in drafts}
    if is_ordered(drafts, waits):
        return drafts
    readers: dict[int, list[int]] = {}
    for k, step in enumerate(drafts):
        for maker in waits[id(step)]:
            readers.setdefault(maker, []).append(k)
    free = [k for k, step in enumerate(drafts) if not waits[id(step)]][::-1]
    ordered = []
    while free:
        step = drafts[free.pop()]
        ordered.append(step)
        for k in reversed(readers.get(id(step), [])):
            waits[id(drafts[k])].discard(id(step))
            if not waits[id(drafts[k])]:
                free.append(k)
    if len(ordered) < len(drafts):
        step = next(step for step in drafts if waits[id(step)])
        raise ModelError(f"node {step.name} ({step.operator}): depends on what it makes itself")
    return ordered


def is_ordered(drafts: list[Draft], waits: dict[int, set[int]]) -> bool:
    """Does every draft stand behind those that it waits for?"""
    seen: set[int] = set()
    for step in drafts:
        if not waits[id(step)] <= seen:
            return False
        seen.add(id(step))
    return True


def reads(step: Draft) -> Iterator[str]:
    """The names that a draft needs, those of its inner graphs included."""
    yield from filter(None, step.inputs)
    yield from step.captured
