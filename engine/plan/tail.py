"""Sums, gates and rectifiers put into the kernels that make what they work on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Kernel
from oneiro.kernels.relu import gate, relu, relu_backward
from oneiro.kernels.symbol import Call, Symbol
from oneiro.kernels.tail import RECTIFIER, Bounds, Tail

from ..call import makers, readers
from .placement import is_sum


@dataclass(frozen=True)
class Tailed:
    """A kernel with a Tail, as one function of the kernel's arguments and the tail's arrays."""

    kernel: Kernel[..., Any]
    opened: Bounds
    bounds: Bounds | None

    @property
    def __name__(self) -> str:
        return f"{self.kernel.name} + tail"

    def __call__(self, args: tuple[Any, ...], add: Any, gate: Any) -> Any:
        """The specification."""
        return Tail(add, gate, self.opened, self.bounds).of(self.kernel(*args))


def takes_tail(call: Call) -> bool:
    """Can the kernel's fast twin do more on its way out?"""
    if not isinstance(call.function, Kernel) or call.options or "fast" not in call.function.twins:
        return False
    return "tail" in inspect.signature(call.function.twins["fast"]).parameters


def tailed(calls: Sequence[Call], results: Iterable[str], elsewhere: set[str]) -> list[Call]:
    """The same calls with tails where kernels take them; values `elsewhere` are left alone."""
    reading, making = readers(calls), makers(calls)
    kept = {*results}
    gone: set[int] = set()
    masks: set[int] = set()
    merged: dict[int, Call] = {}
    for k, call in enumerate(calls):
        if k in gone or not takes_tail(call) or call.results[0].name in elsewhere:
            continue
        last, tail = k, Tail()
        while (here := calls[last].results[0]).name not in kept:
            readings = reading.get(here.name, [])
            if len(readings) != 1 or readings[0] in gone | merged.keys():
                break  # of the parts of a sum, one takes the others along
            if calls[readings[0]].results[0].name in elsewhere:
                break
            reader = calls[readings[0]]
            by = getattr(reader.args[1], "name", "") if is_gate(reader, here) else ""
            mask = making.get(by)
            longer = extended(tail, reader, here, None if mask is None else calls[mask])
            if longer is None:
                break
            if mask is not None:
                masks.add(mask)
            gone.add(last)
            last, tail = readings[0], longer
        if last != k:
            one = Tailed(call.function, tail.opened, tail.bounds)  # type: ignore[arg-type]
            args = (call.args, tail.add, tail.gate)
            merged[last] = Call(one, args, {}, calls[last].results)
    for mask in masks:
        (symbol,) = calls[mask].results
        if symbol.name not in kept and {*reading[symbol.name]} <= gone | merged.keys():
            gone.add(mask)
    return [merged.get(k, call) for k, call in enumerate(calls) if k not in gone]


def extended(tail: Tail, call: Call, here: Symbol, mask: Call | None) -> Tail | None:
    """The tail with this call, which reads `here`, at its end; None if it does not fit there.

    `mask` is what makes the mask of a gate.
    """
    if tail.bounds is not None:
        return None
    if is_sum(call) and tail.add is None and tail.gate is None:
        first, second = call.args
        return tail._replace(add=second if first.name == here.name else first)
    if call.function is relu_backward and tail.gate is None and call.args[0].name == here.name:
        return tail._replace(gate=call.args[1])
    if mask is not None:
        return gated(tail, mask)
    if call.function is np.clip and not call.options:
        low, high = (*call.args[1:], None, None)[:2]
        lowest, highest = number(low, -math.inf), number(high, math.inf)
        if lowest is None or highest is None:
            return None
        return tail._replace(bounds=(lowest, highest))
    return tail._replace(bounds=RECTIFIER) if call.function is relu else None


def is_gate(call: Call, here: Symbol) -> bool:
    return call.function is gate and getattr(call.args[0], "name", None) == here.name


def gated(tail: Tail, mask: Call) -> Tail | None:
    """The tail with a gate that opens where a value is above, or below, a number."""
    if mask.function not in (np.greater, np.less) or not isinstance(mask.args[0], Symbol):
        return None
    value: Any = mask.args[0]
    bound = number(mask.args[1])
    low, high = (-math.inf, math.inf) if tail.gate is None else tail.opened
    other: Any = value if tail.gate is None else tail.gate
    if bound is None or other.name != value.name or value.dims != mask.results[0].dims:
        return None
    if mask.function is np.greater:
        return tail._replace(gate=value, opened=(max(low, bound), high))
    return tail._replace(gate=value, opened=(low, min(high, bound)))


def number(arg: Any, missing: float | None = None) -> float | None:
    """A constant of one element; `missing` for None, and None for all else."""
    if arg is None:
        return missing
    is_one = isinstance(arg, int | float | np.generic | np.ndarray) and np.size(arg) == 1
    return float(np.reshape(arg, ())) if is_one else None
