"""Gradients that keep nothing: what a forward kernel notes for its way back is found again there.

Noting where the maxima of a pool were, or the scale of a normalisation, costs passes over memory
and the memory itself. Where a kernel finds it again from the input in no time, nothing is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oneiro.kernels.lrn import lrn, lrn_backward, lrn_forward, lrn_gradient
from oneiro.kernels.pool import max_pool, max_pool_backward, max_pool_gradient
from oneiro.kernels.symbol import Call

from ..call import makers, readers


def remade(calls: Sequence[Call], results: Iterable[str]) -> list[Call]:
    """The same calls with the gradients of pools and normalisations that keep nothing."""
    making = makers(calls)
    found = [from_input(calls, call, making) for call in calls]
    read = {*readers(found), *results}
    return [
        call._replace(function=lrn_forward, results=call.results[:1])
        if call.function is lrn and read.isdisjoint(s.name for s in call.results[1:])
        else call
        for call in found
    ]


def from_input(calls: Sequence[Call], call: Call, making: dict[str, int]) -> Call:
    """A backward call that reads a note of its forward call, as one that reads the input."""
    if call.function is max_pool_backward:
        dy, where, shape, window = call.args
        forward = calls[making[where.name]] if where.name in making else None
        if forward and forward.function is max_pool and forward.args[1] == window:
            x = forward.args[0]
            if x.dims == tuple(shape):
                return Call(max_pool_gradient, (dy, x, window), {}, call.results)
    if call.function is lrn_backward:
        dy, x, scale, _, *numbers = call.args
        forward = calls[making[scale.name]] if scale.name in making else None
        if forward and forward.function is lrn and forward.args[0].name == x.name:
            return Call(lrn_gradient, (dy, x, *numbers, forward.args[4]), {}, call.results)
    return call
