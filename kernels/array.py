"""Arrays in the memory of a device: a GPU, or the emulator that stands in for one.

NumPy hands each of its functions that meets a foreign array over to that array. A DeviceArray
answers with kernels of ours, so code that is written over NumPy functions runs on it as it stands.
Shapes mean the same everywhere; memory has the channels innermost (n, h, w, c under the shape
n, c, h, w), which is what the kernels are written for.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .dispatch import Array, Device, fetched
from .foreign import ForeignArray

log = logging.getLogger(__name__)

FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # NumPy function -> what it is on devices

# what writes to its first argument, and would write to a copy in the host's memory
WRITERS = {np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask}


def on_device(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what a NumPy function does on devices."""

    def note(implementation: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[function] = implementation
        return implementation

    return note


class DeviceArray(ForeignArray):
    """An array of numbers on a device.

    `raw` is what holds them: a CuPy array on a GPU, a NumPy array in the emulator. Slices,
    transposes and most reshapes are views of the same memory, as in NumPy. NumPy arrays that meet
    it are copied to the device; a function without a kernel, or with options that its kernel does
    not know, runs on the host, and what it makes comes back. `np.asarray` copies it to the host,
    DLPack and `__cuda_array_interface__` share its memory.
    """

    home = "device"

    def __init__(self, raw: Any, device: Device) -> None:
        self.raw = raw
        self.device = device

    def __repr__(self) -> str:
        return f"DeviceArray({np.asarray(self)}, device={str(self.device)!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements, not in bytes as NumPy's are."""
        return tuple(step // self.raw.itemsize for step in self.raw.strides)

    @property
    def dtype(self) -> Any:
        return self.raw.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def address(self) -> int:
        """Where the first element is in the device's memory."""
        return self.device.address(self.raw)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            raise ValueError("an array on a device is copied to become a NumPy array")
        return np.array(self.device.download(self.raw), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.raw.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.raw.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        return self.raw.__cuda_array_interface__

    def item(self) -> Any:
        """The only element, as a Python number."""
        return np.asarray(self).item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __reduce__(self) -> Any:
        return place, (np.asarray(self), self.device)

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return self.copy()

    def transpose(self, *axes: Any) -> DeviceArray:
        return DeviceArray(self.raw.transpose(*axes), self.device)

    def reshape(self, *shape: Any) -> DeviceArray:
        """A view where the memory allows one, else of a copy in the order of the shape."""
        sizes = shape[0] if isinstance(shape[0], tuple | list) else shape
        sizes = resolved(self.size, sizes)
        steps = reshaped(self.shape, self.strides, sizes)
        if steps is not None:
            return strided(self, sizes, steps)
        whole = contiguous(self)
        return strided(whole, sizes, c_strides(sizes))

    def ravel(self) -> DeviceArray:
        return self.reshape(-1)

    def astype(self, dtype: Any, copy: bool = True) -> DeviceArray:
        dtype = np.dtype(dtype)
        return (
            self if dtype == self.dtype and not copy else FUNCTIONS[np.ndarray.astype](self, dtype)
        )

    def copy(self) -> DeviceArray:
        return self.astype(self.dtype)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.min(self, axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.argmax(self, axis, keepdims=keepdims)

    def any(self) -> Any:
        return np.asarray(self).any()

    def all(self) -> Any:
        return np.asarray(self).all()

    def __getitem__(self, key: Any) -> DeviceArray:
        """A view, by slices and numbers."""
        return DeviceArray(self.raw[as_key(key)], self.device)

    def __setitem__(self, key: Any, value: Any) -> None:
        FUNCTIONS[np.copyto](self[key], value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "at":
            raise TypeError(refusal(f"np.{ufunc.__name__}.at"))
        (out,) = options.pop("out", None) or (None,)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return stored(answer(function, inputs, options), out)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        out = options.pop("out", None)
        return stored(answer(function, args, options), out)


def answer(function: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a NumPy function makes of arrays on a device: by our kernel, if it takes all of this."""
    if function in FUNCTIONS and fits(function, args, options):
        return FUNCTIONS[function](*args, **options)
    if function in WRITERS and isinstance(args[0], DeviceArray):
        raise TypeError(refusal(f"np.{function.__name__}"))
    return run_on_host(function, *args, **options)


def fits(function: Any, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Has what the function is on devices all of these options?"""
    if isinstance(function, np.ufunc):
        return not options
    try:
        signature(FUNCTIONS[function]).bind(*args, **options)
    except TypeError:
        return False
    return True


signature = functools.cache(inspect.signature)


def stored(result: Any, out: Any) -> Any:
    """The result, in `out` if that is asked for."""
    if out is None:
        return result
    out[...] = result
    return out


def refusal(name: str) -> str:
    return f"{name} does not write to an array on a device: x[slices] = values does"


def run_on_host(function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
    """What a function that has no kernel for these arguments makes of copies in the host's memory.

    Arrays go back to the device.
    """
    device = next(devices_of((*args, *options.values())))
    log.debug("%s has no kernel on %s: it runs on the host", function.__name__, device)
    named = zip(options, on_host(options.values()), strict=True)
    result = function(*on_host(args), **dict(named))
    results = result if isinstance(result, tuple | list) else [result]
    back = [device.place(r) if isinstance(r, np.ndarray | np.generic) else r for r in results]
    if not isinstance(result, tuple | list):
        return back[0]
    return getattr(result, "_make", type(result))(back)


def devices_of(args: Iterable[Any]) -> Iterator[Device]:
    """Where arrays among arguments are, also those in tuples and lists."""
    for arg in args:
        if isinstance(arg, DeviceArray):
            yield arg.device
        elif isinstance(arg, tuple | list):
            yield from devices_of(arg)


def on_host(args: Iterable[Any]) -> list[Any]:
    """Arguments with copies in place of arrays on devices."""
    return [type(arg)(on_host(arg)) if type(arg) in (tuple, list) else fetched(arg) for arg in args]


def as_key(key: Any) -> tuple[Any, ...]:
    """Slices and numbers, with what stands for the other axes: so views of no axes are views."""
    parts = key if isinstance(key, tuple) else (key,)
    rest = () if any(part is ... for part in parts) else (...,)
    return (*map(as_part, parts), *rest)


def as_part(part: Any) -> Any:
    """A part of a key: a slice, None, ..., or a number as an int."""
    if part is None or isinstance(part, slice | type(...)):
        return part
    try:
        if not isinstance(part, bool) and getattr(part, "ndim", 0) == 0:
            return operator.index(part)
    except TypeError:
        pass
    raise TypeError("an array on a device is cut by slices and numbers; np.take gathers")


def empty(shape: Sequence[int], like: DeviceArray, dtype: Any = None) -> DeviceArray:
    """A dense array for results beside `like`, of its type by default.

    From four axes on the second, the channels, is innermost; else it is in C order.
    """
    return laid_out(shape, like, dtype, house_order(len(shape)))


def laid_out(
    shape: Sequence[int], like: DeviceArray, dtype: Any, order: Sequence[int]
) -> DeviceArray:
    """A dense array whose axes lie in memory in this order, the innermost last."""
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    dtype = np.dtype(dtype or like.dtype)
    raw = like.device.allocate(tuple(shape), dtype, tuple(n * dtype.itemsize for n in strides))
    return DeviceArray(raw, like.device)


def house_order(rank: int) -> tuple[int, ...]:
    """The axes of an array as they lie in memory: channels innermost, from four axes on."""
    return (0, *range(2, rank), 1) if rank > 3 else tuple(range(rank))


def memory_order(x: DeviceArray) -> tuple[int, ...]:
    """The axes of an array as they lie in memory, the innermost last."""
    # axes of one element may stand anywhere: they stay where the house has them
    long = [axis for axis in house_order(x.ndim) if x.shape[axis] > 1]
    inward = iter(sorted(long, key=lambda axis: -abs(x.strides[axis])))
    return tuple(next(inward) if x.shape[axis] > 1 else axis for axis in house_order(x.ndim))


def is_dense(x: DeviceArray) -> bool:
    """Are the elements one behind the other, in whatever order of the axes?"""
    return is_laid_out(x, memory_order(x))


def may_overlap(a: DeviceArray, b: DeviceArray) -> bool:
    """Do the stretches of memory that two arrays lie in meet?"""
    (first, end), (start, last) = extent(a), extent(b)
    return first < last and start < end


def extent(x: DeviceArray) -> tuple[int, int]:
    """The addresses of an array's first byte and behind its last."""
    reaches = [step * (size - 1) for size, step in zip(x.shape, x.strides, strict=True)]
    low = sum(min(reach, 0) for reach in reaches)
    high = sum(max(reach, 0) for reach in reaches) + 1
    return x.address + low * x.dtype.itemsize, x.address + high * x.dtype.itemsize


def is_laid_out(x: DeviceArray, order: Sequence[int]) -> bool:
    """Is the array dense, with its axes in memory in this order?"""
    step = 1
    for axis in reversed(order):
        if x.shape[axis] > 1 and x.strides[axis] != step:
            return False
        step *= x.shape[axis]
    return True


def in_order(x: DeviceArray, order: Sequence[int]) -> DeviceArray:
    """x dense with its axes in memory in this order: itself, or a copy."""
    if is_laid_out(x, order):
        return x
    result = laid_out(x.shape, x, x.dtype, order)
    FUNCTIONS[np.copyto](result, x)
    return result


def dense(x: DeviceArray) -> DeviceArray:
    """x dense in the house's layout: itself, or a copy."""
    return in_order(x, house_order(x.ndim))


def compact(x: DeviceArray) -> DeviceArray:
    """x dense in whatever order of the axes: itself, or a copy in the house's layout."""
    return x if is_dense(x) else dense(x)


def channels_last(x: DeviceArray) -> DeviceArray:
    """x (n, c, ...) dense with the channels innermost: itself, or a copy."""
    return in_order(x, (0, *range(2, x.ndim), 1))


def contiguous(x: DeviceArray) -> DeviceArray:
    """x dense in C order: itself, or a copy."""
    return in_order(x, range(x.ndim))


def strided(x: DeviceArray, shape: Sequence[int], strides: Sequence[int]) -> DeviceArray:
    """The memory from x's first element on, seen with another shape; strides in elements."""
    steps = tuple(step * x.dtype.itemsize for step in strides)
    return DeviceArray(x.device.view(x.raw, tuple(shape), steps), x.device)


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a dense array in C order, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def resolved(size: int, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape for `size` elements in which -1 stands for what is left."""
    sizes = [int(n) for n in shape]
    if -1 in sizes:
        rest = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = size // rest if rest else 0
    if math.prod(sizes) != size:
        raise ValueError(f"cannot reshape {size} elements into {tuple(shape)}")
    return tuple(sizes)


def reshaped(
    shape: Sequence[int], strides: Sequence[int], wanted: Sequence[int]
) -> tuple[int, ...] | None:
    """The strides that show the same elements in another shape; None where a copy is needed."""
    if 0 in wanted:
        return c_strides(wanted)
    olds = [(n, step) for n, step in zip(shape, strides, strict=True) if n > 1]
    news = [n for n in wanted if n > 1]
    steps: list[int] = []
    while news:
        # the fewest axes, old and new, that hold the same elements
        taken, made = [olds.pop(0)], [news.pop(0)]
        while math.prod(n for n, _ in taken) != math.prod(made):
            if math.prod(n for n, _ in taken) < math.prod(made):
                taken.append(olds.pop(0))
            else:
                made.append(news.pop(0))
        if any(a[1] != b[1] * b[0] for a, b in itertools.pairwise(taken)):
            return None
        steps += [step * taken[-1][1] for step in c_strides(made)]
    rest = iter(steps)
    return tuple(next(rest) if n > 1 else 0 for n in wanted)


def place(value: Array, device: Device) -> DeviceArray:
    """A NumPy array on the device, in the house's layout; what is in its memory stays there."""
    if isinstance(value, DeviceArray) and type(value.device) is type(device):
        return value if value.device is device else DeviceArray(value.raw, device)
    array = np.asarray(value)
    order = house_order(array.ndim)
    inverse = np.argsort(order)
    raw = device.upload(np.asarray(array.transpose(order), order="C"))
    return DeviceArray(raw.transpose(*inverse) if array.ndim else raw, device)
