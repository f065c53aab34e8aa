"""Filters that a layer makes itself, such as the ones of a sum over windows, as named constants."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Call, Symbol


def named(
    calls: Iterable[Call], constants: dict[str, Array]
) -> tuple[list[Call], dict[str, Array]]:
    """The same calls, whose filters are all symbols, and the constants with those filters."""
    held = dict(constants)
    found = []
    for call in calls:
        if call.function in (conv, conv_backward) and not isinstance(call.args[1], Symbol):
            x, filters, *rest = call.args
            array = np.asarray(filters)
            name = f"{call.results[0].name}/filters"
            held[name] = array
            call = call._replace(args=(x, Symbol(x.graph, name, array.dtype, array.shape), *rest))
        found.append(call)
    return found, held
