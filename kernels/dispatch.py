"""One function, several implementations, chosen by the home of its arrays.

The NumPy half of a kernel is its specification: readable, any float type, checked by its adjoint.
Twins are proven by parity with it: on symbols, where the twin writes ONNX nodes (without one the
specification runs, as symbols understand the NumPy functions it is written in), and on devices,
where it launches CUDA (without one the specification runs on the host).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import statistics
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

Run = Callable[[dict[str, Any]], dict[str, Any]]
Array = npt.NDArray[Any]  # also stands for a Symbol or a DeviceArray, which behave like one
Case = tuple[Any, ...]

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Kernel[..., Any]] = {}  # parity tests and benchmarks walk this


class Kernel(Generic[P, R]):
    """A specification and its twins; call it as you would call the specification."""

    def __init__(self, specification: Callable[P, R]) -> None:
        functools.update_wrapper(self, specification)
        self.name = specification.__name__
        self.specification = specification
        self.twins: dict[str, Callable[..., R]] = {}
        self.draw: Callable[[np.random.Generator], Iterator[Case]] | None = None
        KERNELS[self.name] = self

    def __repr__(self) -> str:
        return self.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        values: tuple[Any, ...] = (*args, *kwargs.values())
        where = home(values)
        implementation = self.twins.get(where, self.specification)
        if where == "symbol":
            graph = next(arg.graph for arg in args if is_symbol(arg))  # type: ignore[attr-defined]
            result: R = graph.call(self, implementation, args, kwargs)
            return result
        # twins read float32: a float64 comes of means of integers, and seldom of anything else
        wide = any(is_device(value) and value.dtype == np.float64 for value in values)
        if where == "device" and (wide or where not in self.twins):
            return self.on_host(*args, **kwargs)
        return implementation(*args, **kwargs)

    def onnx(self, twin: Callable[P, R]) -> Callable[P, R]:
        """Decorate the twin on symbols: the same function as ONNX nodes."""
        self.twins["symbol"] = twin
        return twin

    def cuda(self, twin: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate the twin on devices: what it launches runs on a GPU and in the emulator.

        It may take an `epilogue` and a `prologue` besides, see pointwise.py.
        """
        self.twins["device"] = twin
        return twin

    def fast(self, twin: Callable[..., None]) -> Callable[..., None]:
        """Decorate the twin of the CPU's fast executor, twin(out, *args), which fills `out`.

        `out` is an array in C order, or a tuple of them, of the shapes that the specification
        returns; the arrays among `args` are in C order, too, and float32. It may take a `tail`
        besides, see tail.py. Only a Plan calls it, see engine/plan.
        """
        self.twins["fast"] = twin  # type: ignore[assignment]
        return twin

    def linked(self, twin: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a fast twin that does nothing yet, but returns a Link (link.py) that will.

        A Plan makes chains of those that follow each other.
        """

        @functools.wraps(twin)
        def alone(*args: Any, **options: Any) -> None:
            from .chain_numba import Chain

            Chain([twin(*args, **options)])()

        self.twins["link"] = twin
        return self.fast(alone)

    def on_host(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the specification on copies in the host's memory: for what is rare on devices."""
        values: tuple[Any, ...] = (*args, *kwargs.values())
        device = next(value.device for value in values if is_device(value))
        log.debug("%s has no kernel for these arguments on %s: it runs on the host", self, device)
        named = {name: fetched(value) for name, value in kwargs.items()}
        result: Any = self.specification(*map(fetched, args), **named)
        if isinstance(result, tuple):
            return tuple(device.place(value) for value in result)  # type: ignore[return-value]
        return device.place(result)

    def placed(self, args: Sequence[Any], device: Device) -> tuple[Any, ...]:
        """The arguments with NumPy arrays on the device, where the CUDA twin wants them there.

        Those are what the specification calls an Array; shapes and other numbers stay.
        """
        if "device" not in self.twins:
            return tuple(args)
        kinds = self.specification.__annotations__.values()
        return tuple(
            device.place(arg) if kind in ("Array", Array) and isinstance(arg, np.ndarray) else arg
            for arg, kind in zip(args, kinds, strict=False)
        )

    def cases(self, draw: Callable[[np.random.Generator], Iterator[Case]]) -> None:
        """Decorate draw(random), which yields the arguments of calls that every twin must pass."""
        self.draw = draw


kernel = Kernel


def home(values: Iterable[Any]) -> str:
    """Where arrays live: "symbol" or "device" if one of `values` does, "numpy" otherwise.

    Other arrays beside a symbol are constants of its graph; NumPy arrays beside one on a device
    are copied to it by kernels that read them there.
    """
    homes = {getattr(type(value), "home", None) for value in values}
    return "symbol" if "symbol" in homes else "device" if "device" in homes else "numpy"


def is_symbol(value: Any) -> bool:
    """Has the value no numbers yet? See symbol.py."""
    return getattr(type(value), "home", None) == "symbol"


def is_device(value: Any) -> bool:
    """Are the value's numbers in the memory of a device? See array.py."""
    return getattr(type(value), "home", None) == "device"


def fetched(value: Any) -> Any:
    """The value, or its copy in the host's memory if it is on a device."""
    return np.asarray(value) if is_device(value) else value


def alike(value: Any, model: Any) -> Any:
    """`value` in the type of `model`, and at its home: an array beside a symbol becomes one."""
    if value.dtype != model.dtype:
        value = value.astype(model.dtype)
    if is_symbol(model) and not is_symbol(value):
        return value + np.zeros_like(model)
    return model.device.place(value) if is_device(model) else fetched(value)


def own(array: Array) -> Array:
    """An array that may be written to without changing another; a symbol is a value as it is."""
    return array if is_symbol(array) else array.copy()


DEVICES = ("auto", "cpu", "cuda", "emulator")
PRECISIONS = ("exact", "tf32", "half")  # how devices multiply in convolutions


class DeviceError(Exception):
    """A device cannot be had, or cannot do what was asked of it."""


class Launch(NamedTuple):
    """A function of a CUDA text, and how it is run."""

    name: str  # of the file that the text stands in
    code: str
    function: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int  # dynamic shared memory, in bytes

    def __str__(self) -> str:
        return f"{self.name}:{self.function}({self.defines})"

    @property
    def defines(self) -> str:
        """What was defined in front of the text, in one line: "TAPS=9, TILE=64"."""
        head = self.code.partition("#line ")[0]
        pairs = (line.removeprefix("#define ").split(" ", 1) for line in head.splitlines())
        return ", ".join("=".join(pair) for pair in pairs)


class Device(Protocol):
    """Memory, and kernels that run on it. Two devices of one kind are interchangeable."""

    precision: str
    processors: int  # blocks that can run at a time, at least
    capability: tuple[int, int]  # what its tensor cores can, as CUDA counts
    crossings: int  # how often arrays went to the device or came from it

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """What decides which kernel is fast; nothing where times mean nothing."""

    def allocate(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
        """Memory for a dense array; strides in bytes."""

    def upload(self, array: Array) -> Any:
        """A copy of a dense array in C order."""

    def download(self, raw: Any) -> Array:
        """The same in the host's memory."""

    def view(self, raw: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        """The same memory from its first element on, seen otherwise; strides in bytes."""

    def address(self, raw: Any) -> int:
        """Where its first element is."""

    def place(self, value: Any) -> Any:
        """A NumPy array as a DeviceArray of here."""

    def launch(self, what: Launch, args: Sequence[Any]) -> None:
        """Run a function of a CUDA text on these arguments."""

    def captured(self, run: Run) -> Run:
        """The same function of arrays by name, for shapes that never change, in fewer launches."""

    def seconds(self, run: Callable[[], Any]) -> float:
        """How long a call takes: a median, once it is warm."""


class Memory:
    """What both devices have in common."""

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.crossings = 0

    def place(self, value: Any) -> Any:
        """A NumPy array as a DeviceArray of here; what is in this memory stays there."""
        from .array import place

        return place(value, self)  # type: ignore[arg-type]

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Emulator(Memory):
    """The CPU in place of a GPU: it runs the same CUDA text, slowly, and sees its mistakes.

    `mode` "check" finds accesses out of bounds, races, and what was never written; "fast" runs
    whole networks. `schedule` is the order of the threads: "order", "reverse", or "random".
    """

    processors = 4
    capability = (9, 0)
    fingerprint = ()

    def __init__(
        self,
        precision: str = "exact",
        mode: str = "fast",
        schedule: str = "order",
        seed: int = 1,
    ) -> None:
        super().__init__(precision)
        self.mode = mode
        self.schedule = schedule
        self.seed = seed

    def __str__(self) -> str:
        return "emulator"

    def allocate(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
        """Memory that is full of NaN, so that what is not written shows."""
        size = int(np.prod(shape, dtype=np.int64))
        memory = np.full(size, np.nan if dtype.kind == "f" else 77, dtype)
        return np.ndarray(shape, dtype, memory, 0, strides)

    def upload(self, array: Array) -> Any:
        self.crossings += 1
        return array.copy()

    def download(self, raw: Any) -> Array:
        self.crossings += 1
        return raw.copy()

    def address(self, raw: Any) -> int:
        return raw.ctypes.data

    def view(self, raw: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        whole = raw
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        return np.ndarray(shape, raw.dtype, whole, raw.ctypes.data - whole.ctypes.data, strides)

    def launch(self, what: Launch, args: Sequence[Any]) -> None:
        run = emulated(what.code, self.mode).function(what.function)
        how = {"schedule": self.schedule, "seed": self.seed}
        run(what.grid, what.block, args, what.shared, **how)

    def captured(self, run: Run) -> Run:
        return run

    def seconds(self, run: Callable[[], Any]) -> float:
        raise DeviceError("the emulator's times say nothing of a GPU's")


@functools.lru_cache(1024)
def emulated(code: str, mode: str) -> Any:
    """The text, compiled for this machine's CPU."""
    from .emulator import Module

    return Module(code, mode)


class Cuda(Memory):
    """A GPU: CuPy's memory, streams and launches, and cubins of our own compiler call."""

    def __init__(self, precision: str = "exact") -> None:
        super().__init__(precision)
        self.cupy = imported_cupy()
        from . import nvrtc

        properties = self.cupy.cuda.runtime.getDeviceProperties(self.cupy.cuda.Device().id)
        self.title = properties["name"].decode()
        self.processors = properties["multiProcessorCount"]
        self.capability = (properties["major"], properties["minor"])
        # a GPU that nothing can be compiled for is refused now, not at the first launch
        self.architecture = nvrtc.architecture(*self.capability)
        self.functions: dict[tuple[str, str], Any] = {}
        self.granted: dict[Any, int] = {}  # dynamic shared memory that functions have asked for
        self.compiling = threading.Lock()

    def __str__(self) -> str:
        return f"cuda ({self.title})"

    def __reduce__(self) -> Any:
        return type(self), (self.precision,)

    def allocate(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = self.cupy.cuda.alloc(size)
        return self.cupy.ndarray(shape, dtype, memory, strides)

    def upload(self, array: Array) -> Any:
        self.crossings += 1
        # what is kept may outlive the memory of the graph that asked for it
        with self.cupy.cuda.using_allocator(self.cupy.get_default_memory_pool().malloc):
            return self.cupy.asarray(array)

    def download(self, raw: Any) -> Array:
        """In C order before it is copied: CuPy would compile a kernel of its own for that."""
        from .array import DeviceArray, contiguous

        self.crossings += 1
        return self.cupy.asnumpy(contiguous(DeviceArray(raw, self)).raw)

    def address(self, raw: Any) -> int:
        return raw.data.ptr

    def view(self, raw: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        return self.cupy.ndarray(shape, raw.dtype, raw.data, strides)

    def copy(self, to: Any, value: Any) -> None:
        """Write an array to where one of its shape and type lies; quickly where they lie alike."""
        from .array import is_dense

        if is_device(value) and to.raw.strides == value.raw.strides and is_dense(to):
            to.raw.data.copy_from_device_async(value.raw.data, value.raw.nbytes)
        else:
            to[...] = value

    def launch(self, what: Launch, args: Sequence[Any]) -> None:
        run = self.functions.get((what.code, what.function)) or self.loaded(what)
        if what.shared > self.granted.get(run.ptr, UNASKED):
            self.cupy.cuda.driver.funcSetAttribute(run.ptr, LARGER_SHARED, what.shared)
            self.granted[run.ptr] = what.shared
        values = tuple(NULL if arg is None else arg for arg in args)
        run(what.grid, what.block, values, shared_mem=what.shared)

    def loaded(self, what: Launch) -> Any:
        """The kernel on the GPU, compiled for it."""
        from . import nvrtc

        with self.compiling:
            module = self.cupy.cuda.function.Module()
            module.load(nvrtc.cubin(what.code, what.name, self.architecture))
            run = self.functions[what.code, what.function] = module.get_function(what.function)
        return run

    @functools.cached_property
    def fingerprint(self) -> tuple[str, ...]:
        from . import nvrtc

        driver = self.cupy.cuda.runtime.driverGetVersion()
        return self.title, str(self.capability), str(driver), str(nvrtc.version())

    def captured(self, run: Run) -> Run:
        return CudaGraph(self, run)

    def seconds(self, run: Callable[[], Any]) -> float:
        """The median of ROUNDS, each of REPEATS calls as one CUDA graph."""
        cuda = self.cupy.cuda
        pool = cuda.MemoryPool()

        def repeated() -> None:
            for _ in range(REPEATS):
                run()

        try:
            with cuda.Stream() as stream, cuda.using_allocator(pool.malloc):
                run()
                cuda.Device().synchronize()
                graph, _ = capture(stream, repeated)
                graph.launch(stream)
                times = []
                for _ in range(ROUNDS):
                    start, end = cuda.Event(), cuda.Event()
                    start.record(stream)
                    graph.launch(stream)
                    end.record(stream)
                    end.synchronize()
                    times.append(cuda.get_elapsed_time(start, end))
        finally:
            release(pool, {})
        return statistics.median(times) / 1e3 / REPEATS


def capture(stream: Any, run: Callable[[], R]) -> tuple[Any, R]:
    """The CUDA graph of what a call launches on the stream, which it does not run, and its result.

    Meanwhile nothing is collected: old graphs would free their memory, and be captured doing so.
    """
    collected = gc.isenabled()
    gc.disable()
    stream.begin_capture()
    try:
        result = run()
    except BaseException:
        with contextlib.suppress(Exception):
            stream.end_capture()  # or nothing could run there ever again
        raise
    finally:
        if collected:
            gc.enable()
    return stream.end_capture(), result


class CudaGraph:
    """A function of arrays by name as one CUDA graph: captured at the first call, then replayed.

    Its memory is its own: inputs are copied to where the graph reads them, results to where the
    caller may keep them. A function that waits for the host cannot be captured, and runs as it is.
    """

    def __init__(self, device: Cuda, run: Run) -> None:
        cuda = device.cupy.cuda
        self.device = device
        self.run = run
        self.pool = cuda.MemoryPool()
        self.stream = cuda.Stream(non_blocking=True)  # what others do is not captured
        self.event = cuda.Event(disable_timing=True)
        self.graph: Any = None
        self.inputs: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.waits = False
        weakref.finalize(self, release, self.pool, self.results).atexit = False

    def __call__(self, inputs: dict[str, Any]) -> dict[str, Any]:
        if self.waits:
            return self.run(inputs)
        caller = self.device.cupy.cuda.get_current_stream()
        self.stream.wait_event(caller.record(self.event))
        with self.stream:
            results = self.replayed(inputs) if self.graph else self.recorded(inputs)
        caller.wait_event(self.stream.record(self.event))
        return results

    def replayed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        for name, value in inputs.items():
            self.device.copy(self.inputs[name], value)
        self.graph.launch(self.stream)
        return {name: self.copied(value) for name, value in self.results.items()}

    def recorded(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run once as it is, which compiles and takes memory, and once more to be captured."""
        self.inputs = {name: value.copy() for name, value in inputs.items()}
        before = self.device.crossings
        results = {name: self.copied(value) for name, value in self.from_pool().items()}
        self.waits = self.device.crossings > before
        if self.waits:
            log.info("a program waits for the host: it does not run as a CUDA graph")
        else:
            try:
                self.graph, made = capture(self.stream, self.from_pool)
                self.results.update(made)
            except Exception as error:
                log.warning("a program cannot be a CUDA graph, and runs slower: %r", error)
                self.waits = True
        if self.waits:
            release(self.pool, self.inputs)
        return results

    def from_pool(self) -> dict[str, Any]:
        """Run on memory that nobody else gets, even when it is free: the graph writes there."""
        with self.device.cupy.cuda.using_allocator(self.pool.malloc):
            return self.run(dict(self.inputs))

    def copied(self, value: Any) -> Any:
        """A result where the caller may keep it."""
        from .array import laid_out, memory_order

        if not is_device(value):
            return value.copy()
        copy = laid_out(value.shape, value, None, memory_order(value))
        self.device.copy(copy, value)
        return copy


def release(pool: Any, arrays: dict[str, Any]) -> None:
    """Free a pool's memory, which it would keep even from the end of its life on."""
    arrays.clear()
    pool.free_all_blocks()


def device_named(name: str, precision: str) -> Device:
    """The device "emulator", or "cuda" (also called "auto"); raises DeviceError without one."""
    return Emulator(precision) if name == "emulator" else Cuda(precision)


REPEATS, ROUNDS = 20, 5  # of a call that is measured
LARGER_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
# bytes of dynamic shared memory that need not be asked for: with static memory 48 KiB are the most
UNASKED = 32 << 10
NULL = np.uint64(0)  # a pointer; of None not every CuPy makes one


def imported_cupy() -> Any:
    """CuPy, once it is known to find a GPU; raises DeviceError, which says what to install."""
    extras = "pip install 'oneiro[cuda13]' (or 'oneiro[cuda12]' for a driver below 580)"
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(f"device 'cuda' needs CuPy: {extras}") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        text = f"CuPy finds no GPU: {error}; is its driver installed, and new enough?"
        raise DeviceError(f"{text} {extras}") from error
    if not count:
        raise DeviceError("CuPy finds no GPU")
    return cupy
