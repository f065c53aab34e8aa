"""The fast executor of the CPU: each step of a Plan bound to where its values lie.

Convolutions run in onnxruntime, or beside depthwise ones in chains of compiled kernels. Pools,
normalisations and functions of each element are in kernels that Numba compiles, too, and what has
neither runs its specification.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels import crew
from oneiro.kernels.dispatch import Array, Kernel
from oneiro.kernels.link import Link
from oneiro.kernels.symbol import Call, Symbol
from oneiro.kernels.tail import Tail

from ..call import arguments, filled, made, symbols
from . import session
from .fusion import is_expression
from .memory import Memory, Step, is_join, read
from .schedule import Segment
from .tail import Tailed
from .total import Total, taken_apart

Run = Callable[[], Any]


class Fast:
    """Steps that are ready to run, on memory of their own: one run at a time."""

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, Array],
        results: Mapping[str, Symbol],
        inputs: Sequence[Symbol],
        sessions: session.Sessions,
    ) -> None:
        memory = Memory(steps, constants, results.values(), inputs)
        self.block = memory.block
        self.inputs = {symbol.name: memory.arrays[symbol.name] for symbol in inputs}
        self.results = {name: memory.arrays[s.name] for name, s in results.items()}
        self.runs = chained(run for step in steps for run in bound(step, memory, sessions))
        self.lock = threading.Lock()
        give_back()

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock, crew.alone(), np.errstate(all="ignore"):
            for name, array in self.inputs.items():
                array[...] = inputs[name]
            for run in self.runs:
                run()
            return {name: array.copy() for name, array in self.results.items()}


def give_back() -> None:
    """Return freed memory to the system, where C's library can: opening sessions leaves much."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def chained(runs: Iterable[Run | Link]) -> list[Run]:
    """The same with links that follow each other in one chain."""
    found: list[Run] = []
    links: list[Link] = []
    for run in (*runs, None):
        if isinstance(run, Link):
            links.append(run)
            continue
        if links:
            from oneiro.kernels.chain_numba import Chain

            found.append(Chain(links))
            links = []
        if run:
            found.append(run)
    return found


def bound(step: Step, memory: Memory, sessions: session.Sessions) -> Sequence[Run | Link]:
    """What does a step, on the arrays of the memory."""
    if isinstance(step, Call) and step.results[0].name in memory.views:
        return []
    if isinstance(step, Call) and is_join(step):
        return joins(step, memory)
    arrays, copies = dense(step, memory.arrays)
    if isinstance(step, Segment):
        return [*copies, session.bound(step, arrays, sessions)]
    fast: Run | Link | None = loop(step, arrays) or twin(step, arrays)
    return [*copies, fast] if fast else [specified(step, memory.arrays)]


def dense(step: Step, arrays: dict[str, Array]) -> tuple[dict[str, Array], list[Run]]:
    """The arrays, those that the step reads in C order, and what copies them there."""
    copies: list[Run] = []
    changed = {}
    for symbol in read(step):
        array = arrays[symbol.name]
        if not array.flags.c_contiguous and symbol.name not in changed:
            changed[symbol.name] = np.empty(array.shape, array.dtype)
            copies.append(functools.partial(np.copyto, changed[symbol.name], array))
    return (arrays | changed if changed else arrays), copies


def joins(call: Call, memory: Memory) -> list[Run]:
    """Copies of the parts that could not be made in their place."""
    (whole,) = call.results
    copies: list[Run] = []
    start = 0
    for part in call.args[0]:
        stop = start + part.dims[1]
        if memory.inside.get(part.name, ("", 0))[0] != whole.name:
            place = memory.arrays[whole.name][:, start:stop]
            copies.append(functools.partial(np.copyto, place, memory.arrays[part.name]))
        start = stop
    return copies


def loop(call: Call, arrays: Mapping[str, Array]) -> Run | None:
    """Functions of each element as a compiled loop; None where there is none."""
    from oneiro.kernels import pointwise_numba

    out = arrays[call.results[0].name]
    if isinstance(call.function, Total):
        values = filled(call.args[0], arrays)
        return pointwise_numba.total(call.function.steps, out, values, call.function.mean)
    if not is_expression(call):
        return None
    steps, operands = taken_apart(call)
    if not pointwise_numba.can(steps):
        return None
    return pointwise_numba.evaluator(steps, out, filled(operands, arrays))


def twin(call: Call, arrays: Mapping[str, Array]) -> Run | Link | None:
    """A kernel's fast twin, or its link; None where it has none."""
    kernel: Any = call.function
    args, options = call.args, {}
    if isinstance(kernel, Tailed):
        args, add, gate = filled(call.args, arrays)
        options = {"tail": Tail(add, gate, kernel.opened, kernel.bounds)}
        kernel = kernel.kernel
    if not isinstance(kernel, Kernel) or "fast" not in kernel.twins or call.options:
        return None
    out = [arrays[s.name] for s in call.results if isinstance(s, Symbol)]
    filling = out[0] if len(out) == 1 else tuple(out)
    if "link" in kernel.twins:
        link: Link = kernel.twins["link"](filling, *filled(args, arrays), **options)
        return link
    return functools.partial(kernel.twins["fast"], filling, *filled(args, arrays), **options)


def specified(call: Call, arrays: Mapping[str, Array]) -> Run:
    """The call as it stands; its results are copied to their places."""
    names = {symbol.name for symbol in (*symbols(arguments(call)), *symbols(call.results))}
    values = {name: arrays[name] for name in names}  # and not what others work with

    def run() -> None:
        for symbol, result in zip(call.results, made(call, values), strict=True):
            if isinstance(symbol, Symbol):
                values[symbol.name][...] = result

    return run
