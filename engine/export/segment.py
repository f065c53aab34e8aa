"""A part of a program as a model of its own, for a runtime to make inside a Plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from oneiro.kernels.symbol import Graph, Symbol

from .version import OPSET
from .writer import IR_VERSION, alive, as_proto, value_info


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
