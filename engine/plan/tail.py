"""Sums, gates and rectifiers put into the kernels that make what they work on."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from oneiro.kernels.dispatch import Kernel
from oneiro.kernels.relu import relu, relu_backward
from oneiro.kernels.symbol import Call, Symbol
from oneiro.kernels.tail import Tail

from .call import readers
from .placement import is_sum


@dataclass(frozen=True)
class Tailed:
    """A kernel with a Tail, as one function of the kernel's arguments and the tail's arrays."""

    kernel: Kernel[..., Any]
    rectify: bool

    @property
    def __name__(self) -> str:
        return f"{self.kernel.name} + tail"

    def __call__(self, args: tuple[Any, ...], add: Any, gate: Any) -> Any:
        """The specification."""
        return Tail(add, gate, self.rectify).of(self.kernel(*args))


def takes_tail(call: Call) -> bool:
    """Can the kernel's fast twin do more on its way out?"""
    if not isinstance(call.function, Kernel) or call.options or "fast" not in call.function.twins:
        return False
    return "tail" in inspect.signature(call.function.twins["fast"]).parameters


def tailed(calls: Sequence[Call], results: Iterable[str], elsewhere: set[str]) -> list[Call]:
    """The same calls with tails where kernels take them; values `elsewhere` are left alone."""
    reading = readers(calls)
    kept = {*results}
    gone: set[int] = set()
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
            longer = extended(tail, calls[readings[0]], here)
            if longer is None:
                break
            gone.add(last)
            last, tail = readings[0], longer
        if last != k:
            one = Tailed(call.function, tail.rectify)  # type: ignore[arg-type]
            args = (call.args, tail.add, tail.gate)
            merged[last] = Call(one, args, {}, calls[last].results)
    return [merged.get(k, call) for k, call in enumerate(calls) if k not in gone]


def extended(tail: Tail, call: Call, here: Symbol) -> Tail | None:
    """The tail with this call, which reads `here`, at its end; None if it does not fit there."""
    if tail.rectify:
        return None
    if is_sum(call) and tail.add is None and tail.gate is None:
        first, second = call.args
        return tail._replace(add=second if first.name == here.name else first)
    if call.function is relu_backward and tail.gate is None and call.args[0].name == here.name:
        return tail._replace(gate=call.args[1])
    return tail._replace(rectify=True) if call.function is relu else None
