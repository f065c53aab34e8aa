"""The passes of the fast executor of the CPU, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Call

from ..call import arguments, reads
from .filter import named
from .fold import Folding
from .fusion import Joined, Joining, joined, parts
from .placement import placed_in_runtime, regrouped
from .remake import remade
from .schedule import Segment, scheduled
from .separable import separated
from .tail import tailed
from .total import totalled
from .winograd import by_winograd


def lowered(
    calls: Sequence[Call], constants: dict[str, Array], results: Iterable[str], precision: str
) -> tuple[list[Call | Segment], dict[str, Array]]:
    """Calls as steps of the fast executor, and the constants that those read."""
    from oneiro.kernels.pointwise_numba import TEXTS, TYPES

    names = list(results)
    folding = Folding(remade(calls, names), constants, names)
    calls, held = named(folding.remaining(), folding.constants)
    if precision != "exact":
        calls, held = by_winograd(calls, held)
    calls, held = separated(calls, held)
    calls = regrouped(calls, names, placed_in_runtime(calls, names))
    there = placed_in_runtime(calls, names)

    def loops(call: Call) -> list[tuple[Any, list[Any], Any]] | None:
        """The parts of a call that a compiled loop can do."""
        if any(s.name in there or s.dtype.name not in TYPES for s in call.results):
            return None
        found = parts(call)
        if found is None or any(function not in TEXTS for function, _, _ in found):
            return None
        return found

    calls = tailed(calls, names, there)
    calls = joined(calls, names, Joining(loops, lambda call, hook: False))
    calls = totalled(
        calls, names, lambda call: isinstance(call.function, Joined) or loops(call) is not None
    )
    steps = scheduled(calls, names, there, held)
    read = {*names, *(name for call in calls for name in reads(arguments(call)))}
    return steps, {name: value for name, value in held.items() if name in read}
