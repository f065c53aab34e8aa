"""Pictures of any size and layout: what files say for one size, said for all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layers.concat import Concat
from ..layers.shape import Shape
from .model import Node
from .proto import Draft

Declared = tuple[np.dtype[Any], tuple[int | None, ...]]

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
# what may stand between a picture and the Transpose that TensorFlow's exporter puts behind it
ELEMENTWISE = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Sub"}


def is_channels_last(name: str, sizes: tuple[int | None, ...], drafts: list[Draft]) -> bool:
    """Is the input a picture of (n, h, w, c) that the file itself turns round?"""
    if len(sizes) != 4 or sizes[3] not in (None, 1, 3, 4) or sizes[1] in (1, 3):
        return False
    reached = {name}
    for step in drafts:
        if reached.isdisjoint(step.inputs):
            continue
        if step.operator == "Transpose" and step.attributes.get("perm") == TO_NCHW:
            return True
        if step.operator in ELEMENTWISE:
            reached.update(step.outputs)
    return False


def channels_first(name: str, turned: str, drafts: list[Draft]) -> list[Draft]:
    """The drafts with the input as (n, c, h, w), `turned` round for those that read it."""
    turn = Draft(turned, "Transpose", (name,), (turned,), {"perm": TO_NHWC})
    return [turn] + [
        step._replace(inputs=tuple(turned if i == name else i for i in step.inputs))
        for step in drafts
    ]


def size_free(nodes: list[Node], constants: dict[str, Array], outputs: list[str]) -> list[Node]:
    """Channel shuffles whose Reshapes are written for one size, as they are for any.

    Such a shuffle is Reshape (n, c, h, w) to (n, g, c/g, h, w), Transpose, Reshape back; sizes and
    batch are taken from what comes in.
    """
    makers = {node.tops[0]: node for node in nodes if node.tops}
    readers = Counter(bottom for node in nodes for bottom in node.bottoms)
    readers.update(outputs)
    free: dict[str, list[Node]] = {}
    for last in nodes:
        turn = makers.get(last.bottoms[0] or "") if last.bottoms else None
        first = makers.get(turn.bottoms[0] or "") if turn and turn.bottoms else None
        if first is None or turn is None or any(readers[n.tops[0]] > 1 for n in (first, turn)):
            continue
        if is_shuffle(first, turn, last, constants):
            for node in (first, last):
                target = [int(size) for size in constants[str(node.bottoms[1])]]
                free[node.tops[0]] = any_size(node, target, constants)
    return [new for node in nodes for new in (free.get(node.tops[0]) or [node])]


def is_shuffle(first: Node, turn: Node, last: Node, constants: Mapping[str, Array]) -> bool:
    """Do the three exchange channels between groups, and nothing else?"""
    kinds = [type(node.layer).__name__ for node in (first, turn, last)]
    reshapes = [node for node in (first, last) if node.bottoms[1:] and node.bottoms[1] in constants]
    if kinds != ["Reshape", "Transpose", "Reshape"] or len(reshapes) < 2:
        return False
    apart, together = ([int(s) for s in constants[str(n.bottoms[1])]] for n in reshapes)
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


def any_size(node: Node, target: list[int], constants: dict[str, Array]) -> list[Node]:
    """A Reshape that keeps the batch and the last two axes, whatever they are."""
    name = node.tops[0]
    sizes, shape, kept = f"{name}/size", f"{name}/shape", f"{name}/channels"
    constants[kept] = np.array([0, *target[1:-2]], np.int64)
    bottom = node.bottoms[0]
    size = Node(sizes, Shape(start=-2), (bottom,), (sizes,))
    join = Node(shape, Concat(axis=0), (kept, sizes), (shape,))
    return [size, join, node._replace(bottoms=(bottom, shape))]
