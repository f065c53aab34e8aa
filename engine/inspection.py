"""What a network is made of, layer by layer, found without computing anything."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneiro.kernels.dispatch import is_symbol
from oneiro.kernels.symbol import Dims, Graph, known

from .error import ModelError
from .field import Field, fields
from .importer import Node
from .layer import Layer, Missing
from .layers.conv import Conv, ConvTranspose
from .layers.einsum import Einsum
from .layers.gemm import Gemm, MatMul
from .net import Net


@dataclass(frozen=True)
class Row:
    """A layer in its place.

    `shape` and `field` are those of its first top, None where they are not known: see Field.
    `parameters` counts the numbers that it reads from the file. `flops` counts two for each
    multiplication of a convolution or a product of matrices, which an addition follows, and one for
    each element that another layer makes. `backward` says whether a gradient comes through.
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    shape: Dims | None
    parameters: int
    flops: int | None
    field: Field | None
    backward: bool


@dataclass(frozen=True)
class Inspection:
    """The layers of a network for pictures of one size.

    `stops` are the layers that hold the gradient back, `missing` {operator: layers} those that
    have no implementation, `refusal` is why the layers without a shape have none.
    """

    input: Dims
    outputs: dict[str, Dims | None]
    rows: list[Row]
    parameters: int
    stops: dict[str, str]
    missing: dict[str, list[str]]
    refusal: str | None

    @property
    def classifies(self) -> bool:
        """Is there an output with one number for each of several classes?"""
        shapes = [
            shape for shape in self.outputs.values() if shape is not None and None not in shape
        ]
        return any(sum(n is not None and n > 1 for n in shape[1:]) == 1 for shape in shapes)

    @property
    def flops(self) -> int:
        """Of all layers whose shapes are known."""
        return sum(row.flops or 0 for row in self.rows)


def inspect(net: Net, height: int, width: int) -> Inspection:
    """Look at a network as it is for pictures of height x width."""
    shadow, refusal = run_on_symbols(net, height, width)
    seen = fields(shadow)
    alive = {shadow.input}  # what a gradient can come back from
    rows = []
    stops = {}
    missing: dict[str, list[str]] = {}
    for node in shadow.nodes:
        reason = held_back(shadow, node)
        if alive.intersection(node.bottoms):
            if reason is None:
                alive.update(node.tops)
            elif node.layer.reads_values:
                stops[node.name] = reason
        if isinstance(node.layer, Missing):
            missing.setdefault(node.layer.operator, []).append(node.name)
        rows.append(row(shadow, node, reason is None, seen))
    learnt = {name for node in shadow.nodes for name in learnt_by(node, net)}
    made = {name: blob.data for name, blob in shadow.blobs.items()}
    shapes = {name: None if data is None else known(data.shape) for name, data in made.items()}
    return Inspection(
        input=known(made[net.input].shape),
        outputs={name: shapes.get(name) for name in net.outputs},
        rows=rows,
        parameters=sum(net.constants[name].size for name in learnt),
        stops=stops,
        missing=missing,
        refusal=refusal,
    )


def run_on_symbols(net: Net, height: int, width: int) -> tuple[Net, str | None]:
    """The net with every blob that can be reached a symbol, and why others cannot."""
    shapes: dict[str, Sequence[int]] = {
        name: tuple(size or 1 for size in sizes)
        for name, (_, sizes) in net.model.inputs.items()
        if sizes
    }
    if len(net.model.inputs[net.input][1]) in (0, 4):
        shapes[net.input] = (1, net.channels, height, width)
    shadow = net.on_symbols(shapes)
    error = shadow.fill_reachable()
    return shadow, None if error is None else str(error)


def row(shadow: Net, node: Node, backward: bool, seen: dict[str, Field]) -> Row:
    """What a node looks like after the run."""
    top = shadow.blobs[node.tops[0]].data if node.tops else None
    bottoms = [None if shadow.is_empty(b) else shadow.value(b) for b in node.bottoms]
    learnt = learnt_by(node, shadow)
    return Row(
        name=node.name,
        kind=node.layer.kind,
        bottoms=tuple(name for name in node.bottoms if name is not None and name in shadow.blobs),
        tops=node.tops,
        shape=None if top is None else known(top.shape),
        parameters=sum(math.prod(shadow.constants[name].shape) for name in learnt),
        flops=None if top is None else flops(node.layer, bottoms, top),
        field=seen.get(node.tops[0]) if node.tops else None,
        backward=backward,
    )


def learnt_by(node: Node, net: Net) -> set[str]:
    """The constants that a layer reads, but for axes, bounds, sizes and their like."""
    return {
        name
        for k, name in enumerate(node.bottoms)
        if name is not None and name in net.constants and k not in node.layer.numbers
    }


def flops(layer: Layer, bottoms: list[Any], top: Any) -> int | None:
    """Additions and multiplications, as Row counts them; None where sizes are not known."""
    operands: list[Any] = [() if data is None else known(data.shape) for data in bottoms]
    made: Any = known(top.shape)
    if any(None in sizes for sizes in (made, *operands)):
        return None
    match layer:
        case Conv():
            return 2 * math.prod(made) * math.prod(operands[1][1:])
        case ConvTranspose():
            return 2 * math.prod(operands[0]) * math.prod(operands[1][1:])
        case Gemm():
            return 2 * math.prod(made) * int(operands[0][0 if layer.transA else 1])
        case MatMul():
            return 2 * math.prod(made) * int(operands[0][-1])
        case Einsum():
            axes: dict[str, int] = {}
            for term, sizes in zip(layer.terms, operands, strict=True):
                axes |= {
                    axis: max(n, axes.get(axis, 1)) for axis, n in zip(term, sizes, strict=True)
                }
            return 2 * math.prod(axes.values())
    return math.prod(made)


def held_back(shadow: Net, node: Node) -> str | None:
    """Why no gradient comes through a layer, told by trying; None if one does."""
    if isinstance(node.layer, Missing):
        return "an operator without a layer"
    if not node.layer.differentiable:
        return "no gradient"
    tops = [shadow.blobs[top].data for top in node.tops]
    if not all(is_symbol(top) for top in tops):  # sizes, or never reached
        return None
    if all(top.dtype.kind != "f" for top in tops):
        return "no gradient"
    graph: Graph = tops[0].graph
    diffs = [graph.input(f"diff_{k}", top.dtype, known(top.shape)) for k, top in enumerate(tops)]
    try:
        found = shadow.run(node, copy.copy(node.layer).backward, diffs)
    except ModelError as error:
        return str(error.__cause__ or error)
    return None if any(diff is not None for diff in found) else "no gradient"
