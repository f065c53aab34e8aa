"""A traced program as a short list of calls for one size of picture.

No derivative is written here, and no operator is known here: both are in the trace. A Plan drops
what nobody reads, works out what depends on constants alone, and frees each value after its last
use. Calls run as they stand, so a Plan can run whatever a Net can, to the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Device, Kernel, is_device, own
from oneiro.kernels.symbol import Call, Symbol

from .error import ArgumentError
from .fusion import joined
from .net import Net
from .trace import Input, Program, trace


class Plan:
    """program(net, **inputs) -> {name: result}, compiled; `inputs` are name=(dtype, shape).

    The net's constants are those of the moment: make a new Plan after changing params.
    """

    def __init__(self, net: Net, program: Program, **inputs: Input) -> None:
        graph, self.results, _ = trace(net, program, inputs)
        results = self.results.values()
        calls = needed(graph.calls, results)
        constants, self.calls = worked_out(calls, graph.constants)
        self.device = net.device
        if self.device:
            self.calls = joined(placed(self.calls, self.device), reads(results))
        used = {*reads(results), *(name for call in self.calls for name in reads(arguments(call)))}
        self.constants = {name: value for name, value in constants.items() if name in used}
        self.inputs = {
            name: (np.dtype(dtype), tuple(shape)) for name, (dtype, shape) in inputs.items()
        }
        self.dead = last_uses(self.calls, {*reads(results), *self.constants})
        # by parts, not by the plan: what is captured would hold it, and memory on a GPU, in a ring
        compute = functools.partial(computed, self.calls, self.dead, self.constants, self.results)
        self.run = self.device.captured(compute) if self.device else compute

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run the program; raises ArgumentError for inputs that it was not made for."""
        return self.run(self.checked(inputs))

    def checked(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs in their types, when they are those that the plan was made for."""
        if inputs.keys() != self.inputs.keys():
            raise ArgumentError(f"the plan takes {', '.join(self.inputs)}, not {', '.join(inputs)}")
        arrays = {
            name: self.placed(inputs[name], dtype) for name, (dtype, _) in self.inputs.items()
        }
        for name, (_, shape) in self.inputs.items():
            if arrays[name].shape != shape:
                found = arrays[name].shape
                raise ArgumentError(f"the plan takes {name!r} of shape {shape}, not {found}")
        return arrays

    def placed(self, value: Any, dtype: Any) -> Any:
        """An input where the plan computes."""
        if self.device and is_device(value):
            return self.device.place(value).astype(dtype, copy=False)
        array = np.asarray(value, dtype)
        return self.device.place(array) if self.device else array


def computed(
    calls: Sequence[Call],
    dead: Sequence[list[str]],
    constants: Mapping[str, Any],
    results: Mapping[str, Symbol],
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """The results, call by call; `dead` names what nobody reads after each of them."""
    values = {**constants, **inputs}
    for call, names in zip(calls, dead, strict=True):
        run(call, values)
        for name in names:
            del values[name]
    return {
        # a constant of the net is handed out as a copy
        name: own(values[s.name]) if s.name in constants else values[s.name]
        for name, s in results.items()
    }


def placed(calls: list[Call], device: Device) -> list[Call]:
    """The calls with the arrays that they hold, not only read, on the device.

    Integers may be sizes and the like: they go there where a kernel wants an array.
    """
    return [call._replace(args=on(device, call)) for call in calls]


def on(device: Device, call: Call) -> tuple[Any, ...]:
    args = tuple(
        device.place(arg) if isinstance(arg, np.ndarray) and arg.dtype.kind in "fb" else arg
        for arg in call.args
    )
    return call.function.placed(args, device) if isinstance(call.function, Kernel) else args


def run(call: Call, values: dict[str, Any]) -> None:
    """Make a call on values, and keep its results among them."""
    args = filled(call.args, values)
    options = dict(zip(call.options, filled(call.options.values(), values), strict=True))
    with np.errstate(all="ignore"):  # as in a Net
        result = call.function(*args, **options)
    results = result if isinstance(result, tuple | list) else (result,)
    values.update(zip((symbol.name for symbol in call.results), results, strict=True))


def filled(args: Iterable[Any], values: dict[str, Any]) -> list[Any]:
    """`args` with the symbols in them, also inside tuples, replaced by their values."""
    return [
        values[arg.name]
        if isinstance(arg, Symbol)
        else tuple(filled(arg, values))
        if type(arg) in (tuple, list)
        else arg
        for arg in args
    ]


def reads(args: Iterable[Any]) -> Iterator[str]:
    """The names of the symbols in `args`, once for each time they are read."""
    for arg in args:
        if isinstance(arg, Symbol):
            yield arg.name
        elif isinstance(arg, tuple | list):
            yield from reads(arg)


def arguments(call: Call) -> list[Any]:
    return [*call.args, *call.options.values()]


def needed(calls: list[Call], results: Iterable[Any]) -> list[Call]:
    """The calls that lead to the results."""
    used = set(reads(results))
    kept = []
    for call in reversed(calls):
        if used.intersection(reads(call.results)):
            used.update(reads(arguments(call)))
            kept.append(call)
    return kept[::-1]


def worked_out(calls: list[Call], constants: dict[str, Any]) -> tuple[dict[str, Any], list[Call]]:
    """Run now what depends on constants alone: gains of batch normalisation, transposed weights."""
    values = dict(constants)
    rest = []
    for call in calls:
        if values.keys() >= set(reads(arguments(call))):
            run(call, values)
        else:
            rest.append(call)
    return values, rest


def last_uses(calls: list[Call], kept: set[str]) -> list[list[str]]:
    """For each call, the names that nobody reads after it and that are not `kept`."""
    alive = set(kept)
    dead = []
    for call in reversed(calls):
        names = {*reads(arguments(call)), *reads(call.results)}
        dead.append(sorted(names - alive))
        alive |= names
    return dead[::-1]
