"""Arrays on devices as many kernels see them: lines along an axis, a thread for each element."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from .array import DeviceArray, house_order
from .dispatch import Array, Device, is_device
from .source import Defines, Source

THREADS = 256

COPIES: dict[tuple[int, Device], tuple[DeviceArray, ...]] = {}


def lines(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """The house's layout of an array as (outer, size, inner), `size` elements along the axis."""
    order = house_order(len(shape))
    sizes = [shape[a] for a in order]
    at = order.index(axis % len(shape))
    return math.prod(sizes[:at]), sizes[at], math.prod(sizes[at + 1 :])


def resized(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    """The shape with another size along the axis."""
    sizes = list(shape)
    sizes[axis] = size
    return tuple(sizes)


def lanes(inner: int, *arrays: DeviceArray) -> int:
    """How many neighbours a thread takes at once, see lanes.cuh; arrays may start anywhere."""
    fits = all(x.dtype.itemsize == 4 and x.address % 16 == 0 for x in arrays)
    return 4 if inner % 4 == 0 and fits else 1


def launch(
    source: Source, function: str, count: int, args: tuple[Any, ...], defines: Defines | None = None
) -> None:
    """A thread for each of `count` elements."""
    source.launch(function, -(-count // THREADS), THREADS, args, defines=defines)


def together(*values: Any) -> tuple[Any, ...]:
    """The values, some of which are on a device, all there."""
    device = next(value.device for value in values if is_device(value))
    return tuple(device.place(value) for value in values)


def kept(
    value: Any, device: Device, arrays: Callable[[Any], Sequence[Array]]
) -> tuple[DeviceArray, ...]:
    """The arrays that stand for a value, on the device: copied once, and kept as long as it lives.

    Nobody writes to the value: it is a map, see resample.py. So a program that runs again copies
    nothing, and may be captured as a CUDA graph: its Plan holds the values.
    """
    key = id(value), device
    if key not in COPIES:
        crossings = device.crossings
        COPIES[key] = tuple(device.place(array) for array in arrays(value))
        device.crossings = crossings  # what it counts is what each run waits for
        weakref.finalize(value, COPIES.pop, key, None).atexit = False
    return COPIES[key]
