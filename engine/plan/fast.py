"""The fast executor of the CPU: each step of a Plan bound to its place in one piece of memory.

Convolutions run in onnxruntime, pools, normalisations and functions of each element in kernels
that Numba compiles, and what has neither runs its specification.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels import crew
from oneiro.kernels.dispatch import Array, Kernel
from oneiro.kernels.symbol import Call, Symbol
from oneiro.kernels.tail import Tail

from . import session
from .arena import Span, offsets
from .call import arguments, filled, made, symbols
from .fusion import Joined, expression, parts
from .schedule import Segment
from .tail import Tailed

VIEWS = (operator.getitem, np.reshape, np.expand_dims, np.squeeze)

Step = Call | Segment


class Fast:
    """Steps bound to memory, ready to run; one run at a time."""

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, Array],
        results: Mapping[str, Symbol],
        inputs: Mapping[str, Symbol],
        sessions: session.Sessions,
    ) -> None:
        self.results = results
        self.lock = threading.Lock()
        memory = Memory(steps, constants, results, inputs)
        self.arrays = memory.arrays
        self.inputs = {name: self.arrays[symbol.name] for name, symbol in inputs.items()}
        self.calls: list[Callable[[], Any]] = []
        for step in steps:
            self.calls += bound(step, memory, constants, sessions)

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock, crew.alone(), np.errstate(all="ignore"):
            for name, array in self.inputs.items():
                array[...] = inputs[name]
            for call in self.calls:
                call()
            return {name: self.arrays[s.name].copy() for name, s in self.results.items()}


class Memory:
    """Where each value lies: `arrays` are views of one piece of memory, or constants."""

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, Array],
        results: Mapping[str, Symbol],
        inputs: Mapping[str, Symbol],
    ) -> None:
        self.steps = steps
        self.arrays: dict[str, Array] = dict(constants)
        self.made = {s.name: s for s in inputs.values()}
        self.bases: dict[str, tuple[str, int]] = {}  # value -> where it lies in, and at which byte
        self.views: dict[str, Call] = {}
        firsts = dict.fromkeys(self.made, -1)
        lasts = dict.fromkeys(self.made, -1)
        for k, step in enumerate(steps):
            for symbol in written(step):
                self.made[symbol.name] = symbol
                firsts[symbol.name] = lasts[symbol.name] = k
            for symbol in read(step):
                lasts[symbol.name] = k
        for symbol in results.values():
            lasts[symbol.name] = len(steps)
        for step in steps:
            if isinstance(step, Call) and self.is_view(step):
                self.views[step.results[0].name] = step
        self.join(steps, results, inputs)
        self.reuse(steps, results, inputs, lasts)
        spans: dict[str, Span] = {}
        for name in self.made:
            base = self.base(name)
            if base not in self.made:
                continue  # a view of a constant
            size = nbytes(self.made[base])
            first, last = firsts[name], lasts[name]
            if base in spans:
                first, last = min(first, spans[base].first), max(last, spans[base].last)
            spans[base] = Span(size, first, last)
        starts, size = offsets(list(spans.values()))
        self.block = np.empty(size + 64, np.uint8)
        skip = -self.block.ctypes.data % 64
        at = {name: skip + start for name, start in zip(spans, starts, strict=True)}
        for name, symbol in self.made.items():
            if name not in self.views:
                base, offset = self.bases.get(name, (name, 0))
                while base in self.bases:
                    base, more = self.bases[base]
                    offset += more
                self.arrays[name] = np.ndarray(
                    symbol.dims, symbol.dtype, self.block, at[base] + offset
                )
        for name, call in self.views.items():
            (self.arrays[name],) = made(call, self.arrays)

    def is_view(self, call: Call) -> bool:
        """Does the call only see another value otherwise?"""
        if call.function not in VIEWS or not isinstance(call.args[0], Symbol):
            return False
        rest = [*call.args[1:], *call.options.values()]
        if any(symbols(rest)):
            return False
        whole = np.empty(call.args[0].dims, np.uint8)
        (seen,) = made(call._replace(args=(whole, *call.args[1:])), {})
        return isinstance(seen, np.ndarray) and np.may_share_memory(seen, whole)

    def base(self, name: str) -> str:
        """What a value lies in."""
        while name in self.views or name in self.bases:
            name = self.views[name].args[0].name if name in self.views else self.bases[name][0]
        return name

    def join(
        self, steps: Sequence[Step], results: Mapping[str, Symbol], inputs: Mapping[str, Symbol]
    ) -> None:
        """Let what is put together along the channels be made where it is wanted."""
        fixed = {s.name for s in (*results.values(), *inputs.values())}
        for step in steps:
            if not isinstance(step, Call) or not is_join(step):
                continue
            offset = 0
            for part in step.args[0]:
                free = part.name in self.made and part.name not in fixed
                if free and part.name not in self.views and part.name not in self.bases:
                    self.bases[part.name] = step.results[0].name, offset
                offset += nbytes(part)

    def reuse(
        self,
        steps: Sequence[Step],
        results: Mapping[str, Symbol],
        inputs: Mapping[str, Symbol],
        lasts: Mapping[str, int],
    ) -> None:
        """Let functions of each element write over what they read, where nobody reads it again."""
        fixed = {s.name for s in (*results.values(), *inputs.values())}
        alive: dict[str, int] = {}
        for name in self.made:
            base = self.base(name)
            alive[base] = max(alive.get(base, -1), lasts[name])
        for k, step in enumerate(steps):
            if not isinstance(step, Call) or not is_expression(step):
                continue
            result = step.results[0]
            if result.name in fixed or result.name in self.bases:
                continue
            sources = [self.base(symbol.name) for symbol in read(step)]
            for symbol in read(step):
                whole = symbol.name in self.made and sources.count(symbol.name) == 1
                like = symbol.dims == result.dims and symbol.dtype == result.dtype
                if whole and like and symbol.name not in fixed and alive[symbol.name] == k:
                    self.bases[result.name] = symbol.name, 0
                    alive[symbol.name] = alive[result.name]
                    break


def written(step: Step) -> Iterable[Symbol]:
    results = step.outputs if isinstance(step, Segment) else step.results
    return (s for s in results if isinstance(s, Symbol))


def read(step: Step) -> Iterable[Symbol]:
    return step.inputs if isinstance(step, Segment) else symbols(arguments(step))


def nbytes(symbol: Symbol) -> int:
    return int(np.prod(symbol.dims, dtype=np.int64)) * symbol.dtype.itemsize


def is_join(call: Call) -> bool:
    """Is it a Concat of the channels of one picture, whose parts lie behind each other?"""
    if call.function is not np.concatenate or call.args[1:] != (1,) or call.options:
        return False
    parts = call.args[0]
    return call.results[0].dims[0] == 1 and all(isinstance(part, Symbol) for part in parts)


def is_expression(call: Call) -> bool:
    return isinstance(call.function, Joined) or parts(call) is not None


def bound(
    step: Step,
    memory: Memory,
    constants: Mapping[str, Array],
    sessions: session.Sessions,
) -> list[Callable[[], Any]]:
    """The calls that do a step, on the arrays of the memory."""
    arrays = memory.arrays
    copies: list[Callable[[], Any]] = []
    dense: dict[str, Array] = {}
    for symbol in read(step):
        array = arrays[symbol.name]
        if not array.flags.c_contiguous:
            whole = np.empty(array.shape, array.dtype)
            copies.append(functools.partial(np.copyto, whole, array))
            array = whole
        dense[symbol.name] = array
    if isinstance(step, Segment):
        return [*copies, session.bound(step, constants, {**arrays, **dense}, sessions)]
    if step.results[0].name in memory.views:
        return []
    if is_join(step):
        return [
            functools.partial(np.copyto, part, arrays[symbol.name])
            for symbol, part in join_parts(step, arrays[step.results[0].name])
            if memory.bases.get(symbol.name, ("",))[0] != step.results[0].name
        ]
    loop = expression_loop(step, arrays, dense)
    if loop is not None:
        return [*copies, loop]
    out = [arrays[s.name] for s in step.results if isinstance(s, Symbol)]
    twin = twin_of(step, dense, out)
    if twin is not None:
        return [*copies, twin]
    return [specified(step, arrays)]


def join_parts(call: Call, whole: Array) -> Iterable[tuple[Symbol, Array]]:
    start = 0
    for symbol in call.args[0]:
        yield symbol, whole[:, start : start + symbol.dims[1]]
        start += symbol.dims[1]


def expression_loop(
    call: Call, arrays: Mapping[str, Array], dense: Mapping[str, Array]
) -> Callable[[], Any] | None:
    """A function of each element as a compiled loop."""
    from oneiro.kernels import pointwise_numba

    if isinstance(call.function, Joined):
        steps, operands = call.function.behind, call.args[2]
    elif parts(call) is not None:
        steps, operands = expression([call], {0}, None)
    else:
        return None
    if not pointwise_numba.can(steps):
        return None
    values = filled(operands, {**arrays, **dense})
    return pointwise_numba.evaluator(steps, arrays[call.results[0].name], values)


def twin_of(
    call: Call, dense: Mapping[str, Array], out: Sequence[Array]
) -> Callable[[], Any] | None:
    """A call of the kernel's fast twin."""
    kernel: Any = call.function
    args, tail = call.args, None
    if isinstance(kernel, Tailed):
        args, add, gate = filled(call.args, dense)
        tail = Tail(add, gate, kernel.rectify)
        kernel = kernel.kernel
    if not isinstance(kernel, Kernel) or "fast" not in kernel.twins or call.options:
        return None
    filling = out[0] if len(out) == 1 else tuple(out)
    bound = functools.partial(kernel.twins["fast"], filling, *filled(args, dense))
    return bound if tail is None else functools.partial(bound, tail=tail)


def specified(call: Call, arrays: Mapping[str, Array]) -> Callable[[], Any]:
    """The call as it stands; its results are copied to their places."""
    names = [s.name if isinstance(s, Symbol) else None for s in call.results]

    def run() -> None:
        for name, result in zip(names, made(call, arrays), strict=True):
            if name is not None:
                arrays[name][...] = result

    return run
