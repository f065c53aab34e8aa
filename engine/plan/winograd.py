"""Convolutions by 3x3 filters that Winograd's way is faster for, on the fast executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneiro.kernels.conv import conv, conv_backward, mirrored
from oneiro.kernels.dispatch import Array
from oneiro.kernels.plain import in_blocks
from oneiro.kernels.symbol import Call, Symbol
from oneiro.kernels.winograd import suits, winograd


def by_winograd(
    calls: Sequence[Call], constants: dict[str, Array]
) -> tuple[list[Call], dict[str, Array]]:
    """The same calls, and the constants with filters in blocks among them.

    Which are chosen is a rule of shapes alone. The way back is the convolution by the mirrored
    filters.
    """
    held = dict(constants)
    found = []
    for call in calls:
        made = None
        if call.function is conv:
            x, w, b, window, group = call.args
            made = replaced(call, x, w, b, window, group, held)
        elif call.function is conv_backward and max(call.args[3].pads) <= 2:
            dy, w, _, window, group = call.args
            if w.name in constants and group == 1 and window.kernel == (3, 3):
                back = window._replace(pads=tuple(2 - pad for pad in window.pads))
                turned = Symbol(w.graph, f"{w.name}/mirrored", w.dtype, swapped(w.dims))
                held.setdefault(turned.name, mirrored(constants[w.name], group))
                made = replaced(call, dy, turned, None, back, group, held)
        found.append(made or call)
    return found, held


def swapped(dims: Sequence[Any]) -> tuple[Any, ...]:
    return (dims[1], dims[0], *dims[2:])


def replaced(
    call: Call, x: Any, w: Any, b: Any, window: Any, group: int, held: dict[str, Array]
) -> Call | None:
    filters = held.get(w.name)
    if filters is None or filters.dtype != np.float32 or x.dtype != np.float32:
        return None
    if (b is not None and b.name not in held) or not suits(x.dims, filters.shape, window, group):
        return None
    u = Symbol(w.graph, f"{w.name}/blocks", w.dtype, ())
    if u.name not in held:
        held[u.name] = in_blocks(filters.reshape(len(filters), -1))
    return Call(winograd, (x, w, u, b, window), {}, call.results)
