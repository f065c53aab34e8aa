"""Pictures of any size: what files say for one size, said for all."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.symbol import Dims, Graph

from ..layer import as_tuple
from ..layers.concat import Concat
from ..layers.resize import Resize
from ..layers.shape import Shape
from .constant import foreseen
from .layout import Declared
from .model import Node

SMALL = 1 << 16  # bytes: what is worked out here are sizes


def size_free(
    nodes: list[Node],
    constants: dict[str, Array],
    inputs: Mapping[str, Declared],
    outputs: list[str],
    fresh: Callable[[str], str],
) -> list[Node]:
    """The nodes with sizes taken from blobs where they were written for the declared size alone.

    At that size nothing changes. `fresh` makes names that the file does not have.

    A Resize to constant rows and columns goes to those of the last blob that had them before: in a
    decoder that is the encoder's, beside which the top will stand. A size that no blob had stays.

    A channel shuffle is Reshape (n, c, h, w) to (n, g, c/g, h, w), Transpose, Reshape back; batch
    and sizes are taken from what comes in.
    """
    makers = {top: node for node in nodes for top in node.tops}
    planes = {node.tops[0]: fixed_plane(node, makers, constants) for node in nodes}
    shuffles = list(channel_shuffles(nodes, makers, constants, outputs))
    if not shuffles and not any(planes.values()):
        return nodes
    shapes = declared_shapes(nodes, constants, inputs)
    free: dict[str, list[Node]] = {}
    for first, last in shuffles:
        channels = math.prod(target_of(first, constants)[1:-2])
        dims = shapes.get(first.bottoms[0] or "", (None, channels, None, None))
        if len(dims) == 4 and dims[1] in (channels, None):  # else a generator: vectors to pictures
            for node in (first, last):
                free[node.tops[0]] = reshaped(node, target_of(node, constants), constants, fresh)
    latest = {dims[2:]: name for name in inputs if len(dims := shapes.get(name, ())) == 4}
    for node in nodes:
        model = latest.get(planes[node.tops[0]] or ())
        if model is not None:
            free[node.tops[0]] = resized_like(node, model, fresh)
        latest |= {dims[2:]: top for top in node.tops if len(dims := shapes.get(top, ())) == 4}
    return [new for node in nodes for new in (free.get(node.tops[0]) or [node])]


def fixed_plane(
    node: Node, makers: Mapping[str, Node], constants: Mapping[str, Array]
) -> tuple[int, ...] | None:
    """The rows and columns of a Resize of a picture where these are constants."""
    if not isinstance(node.layer, Resize) or len(node.bottoms) < 4 or node.layer.axes:
        return None
    parts = [node.bottoms[3]]
    maker = makers.get(parts[0] or "")
    if maker is not None and isinstance(maker.layer, Concat):
        parts = list(maker.bottoms)
    tail: list[int] = []
    while parts and parts[-1] in constants:
        tail = constants[parts.pop() or ""].reshape(-1).tolist() + tail
    return tuple(tail[-2:]) if len(tail) >= 2 else None


def declared_shapes(
    nodes: list[Node], constants: Mapping[str, Array], inputs: Mapping[str, Declared]
) -> dict[str, Dims]:
    """The shapes of blobs at the sizes that the file declares, as far as layers go on symbols."""
    graph = Graph()
    values = {name: graph.input(name, dtype, sizes) for name, (dtype, sizes) in inputs.items()}
    shapes = {name: value.dims for name, value in values.items()}
    known: dict[str, Any] = {**constants, **values}
    for node in nodes:
        if any(bottom is not None and bottom not in known for bottom in node.bottoms):
            continue
        operands = [None if bottom is None else known[bottom] for bottom in node.bottoms]
        try:
            if not any(map(is_symbol, operands)) and foreseen(node.layer, operands) > SMALL:
                continue
            tops = as_tuple(copy.copy(node.layer).forward(*operands))
        except Exception:  # what does not run at this size is not this file's business
            continue
        known |= dict(zip(node.tops, tops, strict=False))
        shapes |= {name: top.dims for name, top in zip(node.tops, tops) if is_symbol(top)}
    return shapes


def resized_like(node: Node, model: str, fresh: Callable[[str], str]) -> list[Node]:
    """A Resize whose top has rows and columns like the blob `model`."""
    front, plane, size = (fresh(f"{node.tops[0]}/{part}") for part in ("front", "plane", "size"))
    bottom = node.bottoms[0]
    return [
        Node(front, Shape(end=2), (bottom,), (front,)),
        Node(plane, Shape(start=2), (model,), (plane,)),
        Node(size, Concat(axis=0), (front, plane), (size,)),
        node._replace(bottoms=(bottom, node.bottoms[1], None, size)),
    ]


def channel_shuffles(
    nodes: list[Node],
    makers: Mapping[str, Node],
    constants: Mapping[str, Array],
    outputs: list[str],
) -> Iterator[tuple[Node, Node]]:
    """The two Reshapes of each channel shuffle that nobody looks into."""
    readers = Counter(bottom for node in nodes for bottom in node.bottoms)
    readers.update(outputs)
    for last in nodes:
        turn = makers.get(last.bottoms[0] or "") if last.bottoms else None
        first = makers.get(turn.bottoms[0] or "") if turn and turn.bottoms else None
        if first is None or turn is None or any(readers[n.tops[0]] > 1 for n in (first, turn)):
            continue
        if is_shuffle(first, turn, last, constants):
            yield first, last


def is_shuffle(first: Node, turn: Node, last: Node, constants: Mapping[str, Array]) -> bool:
    """Do the three exchange channels between groups, and nothing else?"""
    kinds = [type(node.layer).__name__ for node in (first, turn, last)]
    reshapes = [node for node in (first, last) if node.bottoms[1:] and node.bottoms[1] in constants]
    if kinds != ["Reshape", "Transpose", "Reshape"] or len(reshapes) < 2:
        return False
    apart, together = (target_of(node, constants) for node in reshapes)
    order = list(getattr(turn.layer, "perm", ()))
    rank = len(apart)
    return (
        rank > len(together) == 4
        and order[:1] == [0]
        and order[-2:] == [rank - 2, rank - 1]
        and apart[0] == together[0]
        and apart[-2:] == together[-2:]
        and min(apart[1:-2]) > 0
        and math.prod(apart[1:-2]) == together[1]
    )


def target_of(node: Node, constants: Mapping[str, Array]) -> list[int]:
    """The constant shape that a Reshape makes."""
    return [int(size) for size in constants[str(node.bottoms[1])]]


def reshaped(
    node: Node, target: list[int], constants: dict[str, Array], fresh: Callable[[str], str]
) -> list[Node]:
    """A Reshape that keeps the batch and the last two axes, whatever they are."""
    names = (fresh(f"{node.tops[0]}/{part}") for part in ("size", "shape", "channels"))
    size, shape, channels = names
    constants[channels] = np.array([0, *target[1:-2]], np.int64)
    bottom = node.bottoms[0]
    return [
        Node(size, Shape(start=-2), (bottom,), (size,)),
        Node(shape, Concat(axis=0), (channels, size), (shape,)),
        node._replace(bottoms=(bottom, shape)),
    ]
