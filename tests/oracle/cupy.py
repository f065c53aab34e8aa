"""CuPy as far as `dispatch.Cuda` uses it, with the emulator in place of a GPU.

It is as strict as a GPU, or more: what is launched waits in its stream until somebody waits for
that, so an order that nobody asked for is missing; memory that is free is handed out again; what is
captured does not run; a kernel that wants much shared memory has to ask for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from oneiro.kernels.emulator import Module as Emulated

LIMIT = 48 << 10  # bytes of shared memory without asking
STATIC = 1 << 10  # of which a kernel may have declared so many itself

Operation = Callable[[], None]


class Event:
    """A place in a stream's queue."""

    def __init__(self, disable_timing: bool = False) -> None:
        self.stream = Stream.null
        self.place = 0

    def record(self, stream: Stream) -> None:
        self.stream, self.place = stream, stream.enqueued

    def synchronize(self) -> None:
        self.stream.run_until(self.place)


class Stream:
    """A queue of operations. It waits for no other unless it is told to, whatever its kind."""

    null: Stream
    current: Stream
    every: ClassVar[list[Stream]] = []

    def __init__(self, non_blocking: bool = False) -> None:
        Stream.every.append(self)
        self.waiting: list[Operation] = []
        self.enqueued = 0
        self.done = 0
        self.captured: list[Operation] | None = None
        self.before: list[Stream] = []
        self.ptr = id(self)

    def __enter__(self) -> Stream:
        self.before.append(Stream.current)
        Stream.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Stream.current = self.before.pop()

    def enqueue(self, operation: Operation) -> None:
        if self.captured is not None:
            self.captured.append(operation)
        else:
            self.waiting.append(operation)
            self.enqueued += 1

    def run_until(self, place: int) -> None:
        assert self.captured is None, "to wait for a stream that is captured"
        while self.done < place:
            self.done += 1
            self.waiting.pop(0)()

    def synchronize(self) -> None:
        self.run_until(self.enqueued)

    def record(self, event: Event) -> Event:
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        stream, place = event.stream, event.place
        self.enqueue(lambda: stream.run_until(place))

    def begin_capture(self) -> None:
        assert self.captured is None
        self.captured = []

    def end_capture(self) -> Graph:
        assert self.captured is not None
        graph, self.captured = Graph(self.captured), None
        return graph


Stream.null = Stream.current = Stream()


def synchronize_device() -> None:
    for stream in Stream.every:
        stream.synchronize()


class Graph:
    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations

    def launch(self, stream: Stream) -> None:
        for operation in self.operations:
            stream.enqueue(operation)


class Pool:
    """Memory, used again when it is free, by the stream that had it; a dead pool frees nothing."""

    def __init__(self) -> None:
        self.free: dict[tuple[int, int], list[Buffer]] = {}

    def malloc(self, size: int) -> Pointer:
        key = Stream.current.ptr, -(-size // 512)
        found = self.free.setdefault(key, [])
        buffer = found.pop() if found else Buffer(512 * key[1])
        return Pointer(Memory(buffer, found), 0)

    def free_all_blocks(self) -> None:
        for buffers in self.free.values():
            for buffer in buffers:
                buffer.freed = True
            buffers.clear()


class Buffer:
    """What cudaMalloc gives; full of NaN."""

    held: ClassVar[set[Buffer]] = set()

    def __init__(self, size: int) -> None:
        room = np.full(size + 256, 0xFF, np.uint8)
        start = -room.ctypes.data % 256
        self.bytes = room[start : start + size]
        self.freed = False
        Buffer.held.add(self)


def held_bytes() -> int:
    """What was allocated and is not freed."""
    Buffer.held = {buffer for buffer in Buffer.held if not buffer.freed}
    return sum(buffer.bytes.size for buffer in Buffer.held)


class Memory:
    def __init__(self, buffer: Buffer, home: list[Buffer]) -> None:
        self.buffer = buffer
        self.home = home

    def __del__(self) -> None:
        self.home.append(self.buffer)


class Pointer:
    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem = mem
        self.offset = offset

    @property
    def ptr(self) -> int:
        return int(self.mem.buffer.bytes.ctypes.data) + self.offset

    def copy_from_device_async(self, source: Pointer, size: int) -> None:
        to, made = self.part(size), source.part(size)
        Stream.current.enqueue(lambda: np.copyto(to, made))

    def part(self, size: int) -> np.ndarray:
        return self.mem.buffer.bytes[self.offset : self.offset + size]


class NDArray:
    """cupy.ndarray without any arithmetic."""

    def __init__(
        self, shape: Sequence[int], dtype: Any, memptr: Pointer, strides: Sequence[int]
    ) -> None:
        self.data = memptr
        self.base: NDArray | None = None
        assert not memptr.mem.buffer.freed
        whole = memptr.mem.buffer.bytes
        self.host = np.ndarray(tuple(shape), dtype, whole, memptr.offset, tuple(strides))
        self.shape, self.strides = self.host.shape, self.host.strides
        self.dtype, self.itemsize = self.host.dtype, self.host.itemsize
        self.ndim, self.size, self.nbytes = self.host.ndim, self.host.size, self.host.nbytes

    def viewed(self, host: np.ndarray) -> NDArray:
        offset = self.data.offset + host.ctypes.data - self.host.ctypes.data
        pointer = Pointer(self.data.mem, offset if host.size else 0)
        made = NDArray(host.shape, host.dtype, pointer, host.strides)
        made.base = self.base or self
        return made

    def transpose(self, *axes: Any) -> NDArray:
        return self.viewed(self.host.transpose(*axes))

    def __getitem__(self, key: Any) -> NDArray:
        parts = key if isinstance(key, tuple) else (key,)
        return self.viewed(self.host[parts if ... in parts else (*parts, ...)])


class Function:
    def __init__(self, module: Emulated, name: str) -> None:
        self.module = module
        self.name = name
        self.ptr = id(self)
        self.granted = LIMIT - STATIC

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Any, shared_mem: int = 0
    ) -> None:
        assert shared_mem <= self.granted, f"{self.name} did not ask for {shared_mem} bytes"
        assert all(isinstance(arg, NDArray | np.generic) for arg in args), args
        parameters = self.module.parameters[self.name]
        values = [
            arg.host if isinstance(arg, NDArray) else None if "*" in parameter else arg
            for arg, parameter in zip(args, parameters, strict=True)
        ]
        run = self.module.function(self.name)
        Stream.current.enqueue(lambda: run(grid, block, values, shared_mem))


FUNCTIONS: dict[int, Function] = {}


class Module:
    def load(self, cubin: bytes) -> None:
        assert Stream.current.captured is None
        self.emulated = Emulated(cubin.decode(), "fast")

    def get_function(self, name: str) -> Function:
        found = Function(self.emulated, name)
        FUNCTIONS[found.ptr] = found
        return found


def ask_for_shared(function: int, attribute: int, value: int) -> None:
    assert attribute == 8
    FUNCTIONS[function].granted = value


class FakeCupy:
    """The module."""

    ndarray = NDArray

    def __init__(self) -> None:
        self.pool = Pool()
        self.allocator = self.pool.malloc
        properties = {"name": b"a stand-in", "multiProcessorCount": 4, "major": 9, "minor": 0}
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(getDeviceProperties=lambda _: properties),
            driver=SimpleNamespace(funcSetAttribute=ask_for_shared),
            function=SimpleNamespace(Module=Module),
            Device=lambda: SimpleNamespace(id=0, synchronize=synchronize_device),
            Stream=Stream,
            Event=Event,
            MemoryPool=Pool,
            alloc=lambda size: self.allocator(size),
            using_allocator=self.using_allocator,
            get_current_stream=lambda: Stream.current,
            get_elapsed_time=lambda start, end: float(end.place - start.place),
        )

    def get_default_memory_pool(self) -> Pool:
        return self.pool

    @contextlib.contextmanager
    def using_allocator(self, allocator: Callable[[int], Pointer]) -> Iterator[None]:
        before, self.allocator = self.allocator, allocator
        try:
            yield
        finally:
            self.allocator = before

    def asarray(self, array: np.ndarray) -> NDArray:
        assert Stream.current.captured is None, "to bring something to a stream that is captured"
        assert array.flags.c_contiguous
        memory = self.allocator(array.nbytes)
        made = NDArray(array.shape, array.dtype, memory, array.strides)
        copy = array.copy()
        Stream.current.enqueue(lambda: np.copyto(made.host, copy))
        return made

    def asnumpy(self, array: NDArray) -> np.ndarray:
        assert array.host.flags.c_contiguous, "CuPy would have to compile a kernel"
        Stream.current.synchronize()
        return array.host.copy()
