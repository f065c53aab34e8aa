"""A traced program as a short list of calls for one size of picture.

No derivative is written here, and no operator is known here: both are in the trace. A Plan drops
what nobody reads, works out what depends on constants alone, and frees each value after its last
use. What has no faster way runs as it stands, so a Plan can run whatever a Net can; on NumPy to
the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels import crew
from oneiro.kernels.dispatch import Device, Kernel, Run, is_device, own
from oneiro.kernels.symbol import Call, Symbol

from ..call import arguments, reads, run
from ..error import ArgumentError
from ..net import Net
from ..trace import Input, Program, trace
from .fast import Fast
from .fusion import joined
from .lowering import lowered
from .runtime import in_runtime
from .split import gated_whole
from .trim import is_sized, last_uses, trimmed


class Plan:
    """program(net, **inputs) -> {name: result}, compiled; `inputs` are name=(dtype, shape).

    It computes where the net does, on the CPU as `net.executor` says, or in onnxruntime. The net's
    constants are those of the moment: make a new Plan after changing params.
    """

    def __init__(self, net: Net, program: Program, **inputs: Input) -> None:
        self.inputs = {
            name: (np.dtype(dtype), tuple(shape)) for name, (dtype, shape) in inputs.items()
        }
        self.device = net.device
        self.run: Run
        if net.provider:
            self.run = in_runtime(net, program, inputs)
            return
        graph, self.results, _ = trace(net, program, inputs)
        names = list(reads(self.results.values()))
        calls, values = trimmed(graph.calls, graph.constants, self.results.values())
        calls = gated_whole(calls, names)
        if self.device:
            calls = joined(placed(calls, self.device), names)
        self.calls = calls
        used = {*names, *(name for call in calls for name in reads(arguments(call)))}
        self.constants = {name: value for name, value in values.items() if name in used}
        self.dead = last_uses(calls, {*names, *self.constants})
        if self.device is None and net.executor == "fast" and is_sized(calls):
            steps, constants = lowered(calls, self.constants, names, net.precision)
            self.run = Fast(steps, constants, self.results, graph.inputs, net.sessions)
            return
        # by parts, not by the plan: what is captured would hold it, and memory on a GPU, in a ring
        compute = functools.partial(computed, calls, self.dead, self.constants, self.results)
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
    with crew.alone():
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
