"""Calls of a Plan joined where one launch on a device can do what several would.

Functions of each element are joined with each other, and with the convolution, the matrix product
or the roll that makes what they start from: bias, activation, sums of branches, the gates of the
rules. Nothing is known here of operators: kernels/pointwise.py says which functions have a formula,
and a kernel whose twin takes an `epilogue` can end with one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneiro.kernels.array import FUNCTIONS
from oneiro.kernels.dispatch import Kernel
from oneiro.kernels.pointwise import (
    Epilogue,
    Operands,
    Step,
    Value,
    dtype_of,
    evaluate,
    fits_epilogue,
    step,
)
from oneiro.kernels.symbol import Call, Symbol, cast


@dataclass(frozen=True)
class Joined:
    """Calls as one: the steps of an expression, behind `producer` if there is one."""

    steps: tuple[Step, ...]
    producer: Call | None
    shape: tuple[int, ...]

    @property
    def __name__(self) -> str:
        names = [str(self.producer.function)] if self.producer else []
        return " + ".join([*names, f"{len(self.steps)} steps"])

    def __call__(self, args: tuple[Any, ...], operands: tuple[Any, ...]) -> Any:
        """`args` are those of the producer, `operands` what the expression reads besides."""
        if self.producer is None:
            device = next(value.device for value in operands if hasattr(value, "device"))
            return evaluate(self.steps, Operands.of(operands, device))
        epilogue = Epilogue(self.steps, operands, self.shape)
        return twin(self.producer.function)(*args, **self.producer.options, epilogue=epilogue)


def twin(function: Any) -> Any:
    """What a kernel or a NumPy function is on devices; None if it has nothing there."""
    return function.twins.get("device") if isinstance(function, Kernel) else FUNCTIONS.get(function)


def takes_epilogue(call: Call) -> bool:
    """Can the kernel end with an expression?"""
    found = twin(call.function)
    return found is not None and "epilogue" in inspect.signature(found).parameters


def parts(call: Call) -> list[tuple[Any, list[Any], Any]] | None:
    """A call as functions of each element, their arguments and the type asked for.

    Where one works on what the one before it made, its argument is None. None for other calls.
    """
    function, args = call.function, list(call.args)
    if call.options:
        return None
    if function is cast:
        return [(np.ndarray.astype, args[:1], args[1])]
    if function is np.clip:
        x, low, high = (*args, None, None)[:3]
        found: list[tuple[Any, list[Any], Any]] = []
        if low is not None:
            found.append((np.maximum, [x, low], None))
        if high is not None:
            found.append((np.minimum, [None if found else x, high], None))
        return found or None
    values = [Value("", dtype_of(arg)) for arg in args if not isinstance(arg, tuple | list)]
    if len(values) < len(args) or step(function, values) is None:
        return None
    return [(function, args, None)]


def joined(calls: Sequence[Call], results: Iterable[str]) -> list[Call]:
    """The same calls with as few launches as expressions and epilogues allow."""
    makers = {s.name: k for k, call in enumerate(calls) for s in symbols(call.results)}
    readers: dict[str, set[int]] = {}
    for k, call in enumerate(calls):
        for symbol in symbols([*call.args, *call.options.values()]):
            readers.setdefault(symbol.name, set()).add(k)
    for name in results:
        readers.setdefault(name, set()).add(len(calls))
    gone: set[int] = set()
    made: dict[int, Call] = {}
    for k in reversed(range(len(calls))):
        if k not in gone and parts(calls[k]) is not None:
            members, producer = group(calls, k, makers, readers, gone)
            gone.update(members - {k})
            if len(members) > 1 or len(parts(calls[k]) or ()) > 1:
                made[k] = as_one(calls, sorted(members), producer)
    return [made.get(k, call) for k, call in enumerate(calls) if k not in gone]


def group(
    calls: Sequence[Call],
    last: int,
    makers: dict[str, int],
    readers: dict[str, set[int]],
    gone: set[int],
) -> tuple[set[int], int | None]:
    """The calls that can run together with the one at `last`, and which of them leads.

    A call joins when nobody but the group reads what it makes.
    """
    shape: tuple[Any, ...] = calls[last].results[0].dims
    members = {last}
    producer: int | None = None
    waiting = [last]
    while waiting:
        reading = calls[waiting.pop()]
        for symbol in symbols(reading.args):
            k = makers.get(symbol.name)
            if k is None or k in members or k in gone or len(calls[k].results) != 1:
                continue
            dims: tuple[Any, ...] = symbol.dims
            if not readers[symbol.name] <= members or None in dims:
                continue
            alike = dims == shape
            if parts(calls[k]) is not None and (alike or math.prod(dims) == 1):
                members.add(k)
                waiting.append(k)
            elif (
                producer is None
                and alike
                and takes_epilogue(calls[k])
                and can_lead(calls, members | {k}, k, shape)
            ):
                members.add(k)
                producer = k
        if producer is not None and not can_lead(calls, members, producer, shape):
            members.discard(producer)
            producer = None
    return members, producer


def can_lead(calls: Sequence[Call], members: set[int], producer: int, shape: Any) -> bool:
    """Can the others of the group be the epilogue of this one?"""
    inside = {s.name for k in members for s in symbols(calls[k].results)}
    others = [calls[k] for k in members if k != producer]
    outside = [s for call in others for s in symbols(call.args) if s.name not in inside]
    sizes: list[Any] = [symbol.dims for symbol in outside]
    result = calls[max(members)].results[0]
    return result.dtype == np.float32 and all(fits_epilogue(dims, shape) for dims in sizes)


def as_one(calls: Sequence[Call], members: Sequence[int], producer: int | None) -> Call:
    """The call that does what these do, in their order."""
    names: dict[str, Value] = {}  # symbol -> what it is called in the expression
    operands: list[Any] = []
    steps: list[Step] = []
    first = 0
    if producer is not None:
        (symbol,) = calls[producer].results
        names[symbol.name] = Value("v0", symbol.dtype)
        first = 1

    def value(arg: Any) -> Value:
        if arg is None:
            return Value(f"t{len(steps) - 1}", np.dtype(steps[-1].dtype))
        if isinstance(arg, Symbol) and arg.name in names:
            return names[arg.name]
        operands.append(arg)
        found = Value(f"v{first + len(operands) - 1}", dtype_of(arg))
        if isinstance(arg, Symbol):
            names[arg.name] = found
        return found

    for k in members:
        if k == producer:
            continue
        for function, args, dtype in parts(calls[k]) or ():
            made = step(function, [value(arg) for arg in args], dtype)
            assert made
            steps.append(made)
        (symbol,) = calls[k].results
        names[symbol.name] = Value(f"t{len(steps) - 1}", symbol.dtype)
    last = calls[members[-1]]
    leading = None if producer is None else calls[producer]
    one = Joined(tuple(steps), leading, last.results[0].dims)
    led = tuple(leading.args) if leading else ()
    return Call(one, (led, tuple(operands)), {}, last.results)


def symbols(args: Iterable[Any]) -> list[Symbol]:
    """The symbols among arguments, also inside tuples."""
    found: list[Symbol] = []
    for arg in args:
        if isinstance(arg, Symbol):
            found.append(arg)
        elif isinstance(arg, tuple | list):
            found += symbols(arg)
    return found
