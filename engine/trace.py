"""A program over a Net, written down: run it on symbols and keep what they noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.symbol import Graph, Symbol

from .net import Net

Program = Callable[..., Mapping[str, Any]]  # program(net, **inputs) -> {name: result}
Input = tuple[Any, Sequence[int | str]]  # type and sizes; a size that is a string may vary


class Trace(NamedTuple):
    """What a program did, what it returned, and the net that it ran, full of symbols."""

    graph: Graph
    results: dict[str, Symbol]
    net: Net


def trace(net: Net, program: Program, inputs: Mapping[str, Input]) -> Trace:
    """Run program(net, **symbols) on a copy of the net whose constants are symbols too."""
    graph = Graph()
    symbols = {
        name: graph.input(name, dtype, [None if isinstance(n, str) else n for n in shape])
        for name, (dtype, shape) in inputs.items()
    }
    shadow = net.to(graph.constant)
    results = {
        name: result if isinstance(result, Symbol) else graph.constant(np.asarray(result))
        for name, result in program(shadow, **symbols).items()
    }
    return Trace(graph, results, shadow)
