"""Where each value of a Plan lies: views, joined parts and last uses in one piece of memory."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Call, Symbol

from ..call import arguments, made, symbols
from .arena import ALIGNMENT, Span, offsets
from .fusion import is_expression
from .schedule import Segment

Step = Call | Segment

VIEWS = (operator.getitem, np.reshape, np.expand_dims, np.squeeze)


class Memory:
    """An array for each value: `arrays` holds them and the constants, by name.

    What a call only sees otherwise is a view. The parts of a Concat are made where the whole
    is wanted. A function of each element may write over what it reads last. Everything else lies
    in `block`, where those share a place that are never alive together.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, Array],
        results: Iterable[Symbol],
        inputs: Iterable[Symbol],
    ) -> None:
        self.steps = steps
        self.inputs = {s.name: s for s in inputs}
        self.kept = {s.name for s in results}
        self.symbols = self.inputs | {s.name: s for step in steps for s in written(step)}
        self.views = {s.results[0].name: s for s in steps if isinstance(s, Call) and is_view(s)}
        self.inside: dict[str, tuple[str, int]] = {}  # value -> what it lies in, and at which byte
        self.put_together()
        self.spans = self.lifetimes()
        self.write_over()
        spans = self.in_block()
        starts, size = offsets(list(spans.values()))
        self.block = np.empty(size + ALIGNMENT, np.uint8)
        first = -self.block.ctypes.data % ALIGNMENT
        at = {name: first + start for name, start in zip(spans, starts, strict=True)}
        self.arrays = dict(constants)
        for name, symbol in self.symbols.items():
            if name not in self.views:
                whole, offset = self.place(name)
                begin = at[whole] + offset
                self.arrays[name] = np.ndarray(shape(symbol), symbol.dtype, self.block, begin)
        for name, call in self.views.items():
            (self.arrays[name],) = made(call, self.arrays)

    def is_free(self, name: str) -> bool:
        """May the value lie anywhere?"""
        fixed = name in self.inputs or name in self.kept
        return name in self.symbols and not fixed and name not in self.views | self.inside

    def place(self, name: str) -> tuple[str, int]:
        """What a value lies in, at last, and at which byte; views begin where they may."""
        offset = 0
        while name in self.views or name in self.inside:
            if name in self.views:
                name = self.views[name].args[0].name
            else:
                name, more = self.inside[name]
                offset += more
        return name, offset

    def put_together(self) -> None:
        """Let the parts of what is joined along the channels be made where that lies."""
        for step in self.steps:
            if not isinstance(step, Call) or not is_join(step):
                continue
            offset = 0
            for part in step.args[0]:
                if self.is_free(part.name):
                    self.inside[part.name] = step.results[0].name, offset
                offset += nbytes(part)

    def lifetimes(self) -> dict[str, Span]:
        """When each value is made and last read, whatever it lies in."""
        first = dict.fromkeys(self.inputs, 0)
        last = dict(first)
        for k, step in enumerate(self.steps):
            first.update((s.name, k) for s in written(step))
            last.update((s.name, k) for s in (*written(step), *read(step)))
        last.update(dict.fromkeys(self.kept, len(self.steps)))
        return {n: Span(nbytes(s), first[n], last[n]) for n, s in self.symbols.items()}

    def write_over(self) -> None:
        """Let functions of each element write over an operand that nobody reads any more."""
        last: dict[str, int] = {}
        for name, span in self.spans.items():
            whole, _ = self.place(name)
            last[whole] = max(last.get(whole, 0), span.last)
        for k, step in enumerate(self.steps):
            if not isinstance(step, Call) or not is_expression(step):
                continue
            (result,) = step.results
            operands = [s for s in read(step) if s.name in self.symbols]
            wholes = [self.place(s.name)[0] for s in operands]
            for symbol in operands:
                alike = symbol.dims == result.dims and symbol.dtype == result.dtype
                alone = wholes.count(symbol.name) == 1 and last[symbol.name] == k
                if alike and alone and self.is_free(symbol.name) and self.is_free(result.name):
                    self.inside[result.name] = symbol.name, 0
                    last[symbol.name] = last[result.name]
                    break

    def in_block(self) -> dict[str, Span]:
        """The values that others may lie in, with the lives of all of those."""
        spans: dict[str, Span] = {}
        for name, span in self.spans.items():
            whole, _ = self.place(name)
            if whole not in self.symbols:
                continue  # a view of a constant
            first, last = span.first, span.last
            if whole in spans:
                first, last = min(first, spans[whole].first), max(last, spans[whole].last)
            spans[whole] = Span(self.spans[whole].size, first, last)
        return spans


def written(step: Step) -> Iterator[Symbol]:
    results = step.outputs if isinstance(step, Segment) else step.results
    return (s for s in results if isinstance(s, Symbol))


def read(step: Step) -> Iterable[Symbol]:
    return step.inputs if isinstance(step, Segment) else symbols(arguments(step))


def shape(symbol: Symbol) -> tuple[int, ...]:
    """The sizes of a value, which are all known."""
    return tuple(size for size in symbol.dims if size is not None)


def nbytes(symbol: Symbol) -> int:
    return math.prod(shape(symbol)) * symbol.dtype.itemsize


def is_join(call: Call) -> bool:
    """Is it a Concat of the channels of one picture, whose parts lie one behind another?"""
    if call.function is not np.concatenate or call.args[1:] != (1,) or call.options:
        return False
    parts = call.args[0]
    return call.results[0].dims[0] == 1 and all(isinstance(part, Symbol) for part in parts)


def is_view(call: Call) -> bool:
    """Does the call only see another value otherwise?"""
    if call.function not in VIEWS or not isinstance(call.args[0], Symbol):
        return False
    if any(symbols([*call.args[1:], *call.options.values()])):
        return False
    whole = np.empty(shape(call.args[0]), np.uint8)
    (seen,) = made(call._replace(args=(whole, *call.args[1:])), {})
    return isinstance(seen, np.ndarray) and np.may_share_memory(seen, whole)
