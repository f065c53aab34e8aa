"""Sums and means over everything, in one pass with the functions of each element below them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneiro.kernels.pointwise import Step
from oneiro.kernels.symbol import Call, Symbol

from ..call import makers, readers
from .fusion import Joined, expression, parts


@dataclass(frozen=True)
class Total:
    """The sum, or the mean, of all that an expression makes, as a function of its operands."""

    steps: tuple[Step, ...]
    mean: bool

    @property
    def __name__(self) -> str:
        return f"{'mean' if self.mean else 'sum'} of {len(self.steps)} steps"

    def __call__(self, operands: tuple[Any, ...]) -> Any:
        """Nothing by itself: the fast executor compiles the steps."""
        raise NotImplementedError(self.__name__)


def totalled(
    calls: Sequence[Call], results: Iterable[str], can: Callable[[Call], bool]
) -> list[Call]:
    """The same calls with expressions that `can` be compiled put into sums of all they make."""
    making, reading = makers(calls), readers(calls)
    kept = set(results)
    gone: set[int] = set()
    found = []
    for call in calls:
        symbol = call.args[0] if is_total(call) else None
        k = making.get(symbol.name) if symbol is not None else None
        if symbol is None or k is None or symbol.name in kept or len(reading[symbol.name]) > 1:
            found.append(call)
            continue
        steps, operands = taken_apart(calls[k]) if can(calls[k]) else ((), ())
        sizes = {np.shape(x) if not isinstance(x, Symbol) else x.dims for x in operands}
        if not steps or sizes - {()} != {symbol.dims}:
            found.append(call)
            continue
        gone.add(k)
        one = Total(steps, call.function is np.mean)
        found.append(Call(one, (operands,), {}, call.results))
    dropped = {calls[k].results[0].name for k in gone}
    return [call for call in found if call.results[0].name not in dropped]


def is_total(call: Call) -> bool:
    """Is it a sum or a mean of single precision that leaves one value?"""
    if call.function not in (np.sum, np.mean) or not isinstance(call.args[0], Symbol):
        return False
    (result,) = call.results
    single = result.dtype == np.float32 and call.args[0].dtype == np.float32
    return single and all(size == 1 for size in result.dims)


def taken_apart(call: Call) -> tuple[tuple[Step, ...], tuple[Any, ...]]:
    """An expression's steps and operands."""
    if isinstance(call.function, Joined):
        return call.function.behind, call.args[2]
    return expression([call], {0}, None) if parts(call) is not None else ((), ())
