"""CUDA text whose kernels are called with NumPy arrays."""

from __future__ import annotations

import bisect
import ctypes
import json
import struct
import subprocess
import threading
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from .argument import Parameter, memory, merged
from .compiler import HEADERS, EmulatorError, library
from .launch import SCHEDULES, STACK_BYTES, Buffer, Launch, Report, sizes, stacks

LOCK = threading.Lock()  # one launch at a time: they have the stacks in common


class Module:
    """The kernels of a CUDA text.

    The text is complete: what it includes stands in it, its defines at the top. `#line` in it says
    what errors call the lines. In the mode "fast" kernels run as quickly as a CPU can, "check"
    watches every access to memory and is some twenty times slower.
    """

    def __init__(self, code: str, mode: str = "fast") -> None:
        if mode not in ("fast", "check"):
            raise ValueError(f"no mode {mode!r} of the emulator: fast and check exist")
        self.mode = mode
        self.path = library(code, mode)
        self.library = ctypes.CDLL(str(self.path))
        self.parameters: dict[str, list[str]] = json.loads(self.text("emulator_kernels"))
        self.functions: dict[str, Function] = {}

    def text(self, name: str) -> str:
        """What a function of the library says."""
        function = self.library[name]
        function.restype = ctypes.c_char_p
        said: bytes = function()
        return said.decode()

    def function(self, name: str) -> Function:
        """The kernel of this name."""
        if name not in self.functions:
            if name not in self.parameters:
                raise EmulatorError(f"no kernel {name!r}, but {', '.join(self.parameters)}")
            self.functions[name] = Function(self, name)
        return self.functions[name]


class Function:
    """A kernel, called as a GPU's is launched."""

    def __init__(self, module: Module, name: str) -> None:
        self.module = module
        self.name = name
        texts = module.parameters[name]
        codes = module.text(f"emulator_signature_{name}").split()
        self.parameters = [
            Parameter(name, number, text, code)
            for number, (text, code) in enumerate(zip(texts, codes, strict=True))
        ]
        self.largest_block: int = module.library[f"emulator_largest_block_{name}"]()
        self.entry = module.library[f"emulator_launch_{name}"]
        self.entry.argtypes = [ctypes.c_void_p]

        self.layout = struct.Struct("<" + "".join(p.slot for p in self.parameters))
        self.slots = ctypes.create_string_buffer(max(self.layout.size, 1))
        self.report = Report()
        self.request = Launch(
            checking=module.mode == "check",
            slot_count=len(self.parameters),
            slots=ctypes.addressof(self.slots),
            report=ctypes.addressof(self.report),
            stacks=ctypes.addressof(ctypes.c_char.from_buffer(stacks())),
            stack_bytes=STACK_BYTES,
        )
        self.request_address = ctypes.addressof(self.request)

    def __repr__(self) -> str:
        return self.name

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared: int = 0,
        schedule: str = "order",
        seed: int = 1,
    ) -> None:
        """Run `grid` blocks of `block` threads; both have up to three axes, x first.

        An array in `args` becomes a pointer to its first element, whatever its strides are; the
        kernel may use all of the memory that it is a view of. None is a null pointer. Numbers must
        have C's type: numpy.int32(3) for an int. `shared` is the dynamic shared memory in bytes.
        `schedule` is in which order threads and blocks run: "order", "reverse", or "random" as
        `seed` says.

        Raises EmulatorError if the kernel does what it must not do, TypeError if arguments do not
        fit its parameters, ValueError if no GPU could run it with such sizes.
        """
        if len(args) != len(self.parameters):
            wanted = ", ".join(self.module.parameters[self.name])
            raise TypeError(
                f"{self.name} takes {len(self.parameters)} arguments ({wanted}), got {len(args)}"
            )
        values = [p.value(given) for p, given in zip(self.parameters, args)]
        try:
            grid, block = sizes(grid, block, self.largest_block, shared)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        request = self.request
        with LOCK:
            self.layout.pack_into(self.slots, 0, *values)
            request.grid_x, request.grid_y, request.grid_z = grid
            request.block_x, request.block_y, request.block_z = block
            request.shared_bytes = shared
            request.schedule = SCHEDULES[schedule]
            request.seed = seed
            if request.checking:
                failed = self.launch_checked(args)
            else:
                failed = self.entry(self.request_address)
            if failed:
                raise EmulatorError(self.complaint(args))

    def launch_checked(self, args: Sequence[Any]) -> int:
        """Launch with the arrays' memory listed, for the machine to watch."""
        stretches = merged([memory(arg) for arg in args if isinstance(arg, np.ndarray)])
        buffers = (Buffer * len(stretches))(
            *(Buffer(begin, end - begin, 0) for begin, end in stretches)
        )
        slot_buffers = (ctypes.c_int32 * max(len(args), 1))(*self.owners(args, stretches))
        for parameter, owner in zip(self.parameters, slot_buffers):
            if owner >= 0 and not parameter.is_const:
                buffers[owner].is_written = 1
        self.request.buffer_count = len(buffers)
        self.request.buffers = ctypes.addressof(buffers)
        self.request.slot_buffers = ctypes.addressof(slot_buffers)
        failed: int = self.entry(self.request_address)
        return failed

    def owners(self, args: Sequence[Any], stretches: list[tuple[int, int]]) -> list[int]:
        """For every argument the stretch of memory that it points into, -1 for others."""
        begins = [begin for begin, _ in stretches]
        return [
            bisect.bisect_right(begins, memory(arg)[0]) - 1 if isinstance(arg, np.ndarray) else -1
            for arg in args
        ]

    def complaint(self, args: Sequence[Any]) -> str:
        """The report of the machine as a sentence."""
        report = self.report
        text = report.text.decode()
        if "<buffer>" in text:
            stretches = merged([memory(arg) for arg in args if isinstance(arg, np.ndarray)])
            pointing = [
                f"args[{number}] ({self.parameters[number].text}, {arg.dtype} {arg.shape})"
                for number, (arg, owner) in enumerate(zip(args, self.owners(args, stretches)))
                if owner == report.buffer
            ]
            text = text.replace("<buffer>", " = ".join(pointing))
        if report.place:
            text += f" at {self.lines(report.place)}"
        text += f", in block {tuple(report.block)}"
        if report.in_thread:
            text += f", thread {tuple(report.thread)}"
        return f"{self.name}: {text}"

    def lines(self, place: int) -> str:
        """File and line of a place in the library, and of the calls that led there."""
        command = ["addr2line", "-i", "-e", str(self.module.path), hex(place)]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except FileNotFoundError:
            return "a line that addr2line could tell: install binutils"
        frames = [str(PurePosixPath(line.split(" ")[0])) for line in found.splitlines()]
        return ", called at ".join(frame for frame in frames if not frame.startswith(HEADERS))
