"""A net's nodes as Caffe would have written them: its names, blobs in place, splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ..importer import Node
from ..net import Net
from .blob import Shape

TYPES = {
    "AveragePool": "Pooling",
    "BatchNormalization": "BatchNorm",
    "Conv": "Convolution",
    "ConvTranspose": "Deconvolution",
    "Elu": "ELU",
    "Gemm": "InnerProduct",
    "GlobalAveragePool": "Pooling",
    "GlobalMaxPool": "Pooling",
    "LeakyRelu": "ReLU",
    "MaxPool": "Pooling",
    "PRelu": "PReLU",
    "Relu": "ReLU",
    "Sum": "Eltwise",
    "Tanh": "TanH",
}

VERSION = re.compile(r"_\d+$")  # what Caffe2 adds to a name each time that it is written to


class Step(NamedTuple):
    """A layer of the face: the node that it runs; without one it is an Input or a Split.

    Bottoms are blobs, constants, or None where left out.
    """

    name: str
    type: str
    node: Node | None
    bottoms: tuple[str | None, ...]
    tops: tuple[str, ...]
    tensors: tuple[str, ...] = ()  # what the file calls the tops; a Split's are not in it


class Names(NamedTuple):
    """What the layers and the tensors of a file are called here."""

    layers: dict[str, str]
    blobs: dict[str, str]  # a blob that is written in place holds several tensors


def caffe_names(net: Net, shapes: Mapping[str, Shape]) -> Names:
    """Caffe's names, and which tensors share a blob; `shapes` are those of the tensors."""
    short = without_versions(net)
    layers: dict[str, str] = {}
    for node in net.nodes:
        # a node without a name is called by what it makes
        name = short[node.name] if node.name == node.tops[0] else node.name
        layers[node.name] = node.name if name in layers.values() else name
    blobs = in_place(net, layers, short, shapes)
    used = {*blobs.values(), *net.constants}
    for tensor in net.blobs:
        if tensor not in blobs:
            blobs[tensor] = tensor if short[tensor] in used else short[tensor]
            used.add(blobs[tensor])
    if "data" not in {*used, *layers.values()}:
        blobs[net.input] = "data"
    return Names(layers, blobs)


def without_versions(net: Net) -> dict[str, str]:
    """{tensor: its name}, less Caffe2's numbers in a file where every name ends in one."""
    if not all(VERSION.search(name) for name in net.blobs):
        return {name: name for name in net.blobs}
    return {name: VERSION.sub("", name) for name in net.blobs}


def in_place(
    net: Net, layers: Mapping[str, str], short: Mapping[str, str], shapes: Mapping[str, Shape]
) -> dict[str, str]:
    """{tensor: blob} of those that Caffe wrote in place.

    They are made one from the other, nobody else reads them, they have one shape, and the last one
    is called as the layer that made the first.
    """
    readers = reader_counts(net)
    chains: dict[str, list[tuple[str, str]]] = {}  # of each tensor: the layers and what they make
    found: dict[str, str] = {}
    for node in net.nodes:
        top = node.tops[0]
        below = [b for b in node.bottoms if b is not None and b in net.blobs]
        chain = [(layers[node.name], top)]
        if len(below) == 1 and readers[below[0]] == 1 and below[0] in chains:
            bottom = below[0]
            if bottom not in net.outputs and bottom in shapes and shapes[bottom] == shapes.get(top):
                chain = [*chains[bottom], *chain]
        chains[top] = chain
        names = [name for name, _ in chain[:-1]]
        if short[top] in names:
            start = names.index(short[top])
            found.update((tensor, short[top]) for _, tensor in chain[start:])
    return found


def reader_counts(net: Net) -> Counter[str]:
    """How often each tensor is read."""
    return Counter(b for node in net.nodes for b in node.bottoms if b is not None)


def caffe_steps(net: Net, names: Names) -> list[Step]:
    """The layers in order: inputs, nodes, and a Split after each blob of several readers."""
    readers = reader_counts(net)
    branches: dict[str, list[str]] = {}  # of each tensor: the tops of its Split not yet read
    steps: list[Step] = []

    def add(step: Step) -> None:
        steps.append(step)
        for k, (tensor, top) in enumerate(zip(step.tensors, step.tops, strict=True)):
            if readers[tensor] > 1:
                stem = f"{top}_{step.name}_{k}_split"
                tops = tuple(f"{stem}_{n}" for n in range(readers[tensor]))
                steps.append(Step(stem, "Split", None, (top,), tops))
                branches[tensor] = list(tops)

    def read(tensor: str | None) -> str | None:
        if tensor in branches:
            return branches[tensor].pop(0)
        return names.blobs.get(tensor, tensor) if tensor is not None else None

    taken = set(names.layers.values())
    for name in net.inputs:
        blob = names.blobs[name]
        layer = f"{blob}_input" if blob in taken else blob
        add(Step(layer, "Input", None, (), (blob,), (name,)))
    for node in net.nodes:
        kind = node.layer.kind
        bottoms = tuple(read(bottom) for bottom in node.bottoms)
        tops = tuple(names.blobs[top] for top in node.tops)
        add(Step(names.layers[node.name], TYPES.get(kind, kind), node, bottoms, tops, node.tops))
    return steps
