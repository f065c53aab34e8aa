"""Calls of a Plan joined where one launch on a device can do what several would.

Functions of each element are joined with each other, with the convolution, the pooling or another
kernel that makes what they start from (bias, activation, sums of branches, the gates of the rules),
and with the sum or the roll that reads what they make. Nothing is known here of operators:
kernels/pointwise.py says which functions have a formula, and a kernel whose twin takes an
`epilogue` or a `prologue` can have one behind itself or in front.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.array import FUNCTIONS
from oneiro.kernels.dispatch import Kernel, is_device
from oneiro.kernels.pointwise import (
    Epilogue,
    Operands,
    Prologue,
    Step,
    Value,
    dtype_of,
    evaluate,
    fits_epilogue,
    step,
)
from oneiro.kernels.symbol import Call, Symbol, cast

from ..call import symbols


@dataclass(frozen=True)
class Joined:
    """Calls as one: an expression in front of `producer` and one behind it, or an expression."""

    before: tuple[Step, ...]
    producer: Call | None
    behind: tuple[Step, ...]
    shape: tuple[int, ...]

    @property
    def __name__(self) -> str:
        kernel = [self.producer.function.__name__] if self.producer else []
        before, behind = ([f"{len(s)} steps"] if s else [] for s in (self.before, self.behind))
        return " + ".join([*before, *kernel, *behind])

    def __call__(
        self, args: tuple[Any, ...], before: tuple[Any, ...], behind: tuple[Any, ...]
    ) -> Any:
        """`args` are those of the producer, the others what the expressions read besides."""
        device = next(value.device for value in (*args, *before, *behind) if is_device(value))
        operands = Operands.of(behind, device)
        if self.producer is None:
            return evaluate(self.behind, operands)
        hooks: dict[str, Epilogue] = {}
        if self.before:
            read = Operands.of(before, device).values
            hooks["prologue"] = Prologue(self.before, read, args[0].shape)
        if self.behind:
            hooks["epilogue"] = Epilogue(self.behind, operands.values, self.shape)
        return twin(self.producer.function)(*args, **self.producer.options, **hooks)


def twin(function: Any) -> Any:
    """What a kernel or a NumPy function is on devices; None if it has nothing there."""
    return function.twins.get("device") if isinstance(function, Kernel) else FUNCTIONS.get(function)


def takes(call: Call, hook: str) -> bool:
    """Can an expression stand in the kernel, as its "prologue" or "epilogue"?"""
    found = twin(call.function)
    return (
        found is not None
        and hook in inspect.signature(found).parameters
        and not any(symbols(call.options.values()))
    )


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


def is_expression(call: Call) -> bool:
    """Does the call work on each element on its own, and nothing else?"""
    if isinstance(call.function, Joined):
        return call.function.producer is None
    return parts(call) is not None


class Joining(NamedTuple):
    """What can be joined: `parts` and `takes`, or stricter ones."""

    parts: Callable[[Call], list[tuple[Any, list[Any], Any]] | None]
    takes: Callable[[Call, str], bool]


ON_DEVICES = Joining(parts, takes)


def joined(calls: Sequence[Call], results: Iterable[str], how: Joining = ON_DEVICES) -> list[Call]:
    """The same calls with as few launches as expressions and epilogues allow."""
    parts = how.parts
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
        if k in gone:
            continue
        members: set[int] = {k}
        producer: int | None = k
        if parts(calls[k]) is not None:
            members, producer = group(calls, k, makers, readers, gone, how)
        feeding = (
            set() if producer is None else feeders(calls, producer, makers, readers, gone, how)
        )
        joining = members | feeding
        gone |= joining - {k}
        if len(joining) > 1 or len(parts(calls[k]) or ()) > 1:
            made[k] = as_one(calls, members, producer, feeding)
    return [made.get(k, call) for k, call in enumerate(calls) if k not in gone]


def group(
    calls: Sequence[Call],
    last: int,
    makers: dict[str, int],
    readers: dict[str, set[int]],
    gone: set[int],
    how: Joining,
) -> tuple[set[int], int | None]:
    """The calls that can run together with the one at `last`, and which of them leads.

    A call joins when none but functions of the group read what it makes. What has one value, or
    one for each channel, is worked out again for each element.
    """
    shape: tuple[Any, ...] = calls[last].results[0].dims
    members = {last}
    producer: int | None = None
    waiting = [last]
    while waiting:
        for symbol in symbols(calls[waiting.pop()].args):
            k = makers.get(symbol.name)
            if k is None or k in members or k in gone or len(calls[k].results) != 1:
                continue
            dims: tuple[Any, ...] = symbol.dims
            if None in dims or not readers[symbol.name] <= members:
                continue
            if how.parts(calls[k]) is not None and fits_epilogue(dims, shape):
                members.add(k)
                waiting.append(k)
            elif producer is None and how.takes(calls[k], "epilogue") and is_like(symbol, shape):
                producer = k
    if producer is None or not can_stand_inside(calls, members):
        return members, None
    return members | {producer}, producer


def feeders(
    calls: Sequence[Call],
    leader: int,
    makers: dict[str, int],
    readers: dict[str, set[int]],
    gone: set[int],
    how: Joining,
) -> set[int]:
    """The calls that make what `leader` reads first, where they can stand in front of it."""
    first: Any = next(iter(calls[leader].args), None)
    k = makers.get(first.name) if isinstance(first, Symbol) else None
    if k is None or k in gone or not how.takes(calls[leader], "prologue"):
        return set()
    if how.parts(calls[k]) is None:
        return set()
    members, producer = group(calls, k, makers, readers, gone, how)
    alone = producer is None and readers[first.name] == {leader}
    fits = can_stand_inside(calls, members) and start(calls, members) is not None
    return members if alone and fits else set()


def can_stand_inside(calls: Sequence[Call], members: set[int]) -> bool:
    """Can these calls be an expression inside a kernel?"""
    (result,) = calls[max(members)].results
    shape: tuple[Any, ...] = result.dims
    sizes: list[Any] = [symbol.dims for symbol in outside(calls, members)]
    sizes += [arg.shape for k in members for arg in calls[k].args if is_array(arg)]
    fits = (None not in dims and fits_epilogue(dims, shape) for dims in sizes)
    return result.dtype == np.float32 and all(fits)


def is_array(arg: Any) -> bool:
    return isinstance(arg, np.ndarray) or is_device(arg)


def outside(calls: Sequence[Call], members: set[int]) -> list[Symbol]:
    """What these calls read of others."""
    made = {symbol.name for k in members for symbol in calls[k].results}
    return [s for k in sorted(members) for s in symbols(calls[k].args) if s.name not in made]


def start(calls: Sequence[Call], members: set[int]) -> Symbol | None:
    """What a kernel can read in place of what these calls make, with them in front of it."""
    (result,) = calls[max(members)].results
    return next((s for s in outside(calls, members) if is_like(s, result.dims)), None)


def is_like(symbol: Symbol, dims: Any) -> bool:
    """Is it the float that a kernel has for each element of such sizes?"""
    return symbol.dims == dims and symbol.dtype == np.float32


def as_one(
    calls: Sequence[Call], members: set[int], producer: int | None, feeding: set[int]
) -> Call:
    """The call that does what these do, in their order."""
    last = calls[max(members)]
    if producer is None:
        behind, operands = expression(calls, members, None)
        one = Joined((), None, behind, last.results[0].dims)
        return Call(one, ((), (), operands), {}, last.results)
    leading = calls[producer]
    first = start(calls, feeding) if feeding else None
    before, read = expression(calls, feeding, first)
    led = (first, *leading.args[1:]) if feeding else leading.args
    behind, operands = expression(calls, members - {producer}, leading.results[0])
    one = Joined(before, leading, behind, last.results[0].dims)
    return Call(one, (led, read, operands), {}, last.results)


def expression(
    calls: Sequence[Call], members: set[int], first: Symbol | None
) -> tuple[tuple[Step, ...], tuple[Any, ...]]:
    """What these calls do as steps, and the operands v0, v1, ... of these, but for the `first`."""
    names: dict[str, Value] = {}  # symbol -> what it is called in the expression
    operands: list[Any] = []
    steps: list[Step] = []
    if first is not None:
        names[first.name] = Value("v0", first.dtype)

    def value(arg: Any) -> Value:
        if arg is None:
            return Value(f"t{len(steps) - 1}", np.dtype(steps[-1].dtype))
        if isinstance(arg, Symbol) and arg.name in names:
            return names[arg.name]
        found = Value(f"v{len(operands) + (first is not None)}", dtype_of(arg))
        operands.append(arg)
        if isinstance(arg, Symbol):
            names[arg.name] = found
        return found

    for k in sorted(members):
        for function, args, dtype in parts(calls[k]) or ():
            made = step(function, [value(arg) for arg in args], dtype)
            assert made
            steps.append(made)
        (symbol,) = calls[k].results
        names[symbol.name] = Value(f"t{len(steps) - 1}", symbol.dtype)
    return tuple(steps), tuple(operands)
