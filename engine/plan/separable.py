"""Depthwise convolutions, and the plain ones beside them, in kernels of the fast executor.

onnxruntime turns the maps between them into blocks of channels and back, wherever a gate or
another kernel reads them. These kernels leave them as they are, and do the gates on their way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.conv_numpy import is_plain
from oneiro.kernels.depthwise import depthwise, depthwise_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.plain import in_blocks, plain
from oneiro.kernels.symbol import Call, Symbol

CONVOLUTIONS = (conv, conv_backward)


def separated(
    calls: Sequence[Call], constants: dict[str, Array]
) -> tuple[list[Call], dict[str, Array]]:
    """The same calls, and the constants with filters in blocks among them.

    Which are chosen is a rule of shapes alone: all that can be, where one is depthwise.
    """
    held = dict(constants)
    if not any(is_depthwise(call) for call in calls):
        return list(calls), held
    found = []
    for call in calls:
        if call.function not in CONVOLUTIONS:
            found.append(call)
        elif is_depthwise(call):
            x, w, b, window, _ = call.args  # b is the shape on the way back
            kernel = depthwise if call.function is conv else depthwise_backward
            found.append(Call(kernel, (x, w, b, window), {}, call.results))
        else:
            found.append(as_product(call, held) or call)
    return found, held


def is_depthwise(call: Call) -> bool:
    """Is it a convolution of two axes that gives each channel a filter of its own?

    Its windows have no gaps between them: what a kernel lays out is of the size of the filter.
    """
    if call.function not in CONVOLUTIONS:
        return False
    x, w, _, window, group = call.args
    alike = x.dims[1] == group == w.dims[0] and w.dims[1] == 1
    near = all(stride <= side for stride, side in zip(window.strides, window.kernel, strict=True))
    return group > 1 and alike and window.rank == 2 and near and is_single(x, w, call.results[0])


def is_single(*values: Symbol) -> bool:
    return all(symbol.dtype == np.float32 for symbol in values)


def as_product(call: Call, held: dict[str, Array]) -> Call | None:
    """A convolution by constant filters of one element as a product; None for others."""
    x, w, b, window, group = call.args
    filters = held.get(w.name)
    if filters is None or group > 1 or not is_plain(window) or not is_single(x, w):
        return None
    matrix = filters.reshape(filters.shape[:2])
    name, bias = w.name, b
    if call.function is conv_backward:
        matrix, name, bias = np.ascontiguousarray(matrix.T), f"{w.name}/transposed", None
    if bias is not None and bias.name not in held:
        return None  # it is laid out beforehand, as filters are
    constants = {f"{name}/matrix": matrix, f"{name}/blocks": in_blocks(matrix)}
    held.update(constants)
    by: list[Any] = [Symbol(w.graph, name, w.dtype, made.shape) for name, made in constants.items()]
    return Call(plain, (x, *by, bias), {}, call.results)
