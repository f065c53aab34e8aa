"""What a launch passes to the machine and hears of it; the same as in machine.h."""

from __future__ import annotations

import ctypes
import functools
import math
import mmap
from collections.abc import Sequence

SCHEDULES = {"order": 0, "reverse": 1, "random": 2}
LARGEST_GRID = (2**31 - 1, 2**16 - 1, 2**16 - 1)
LARGEST_BLOCK = (1024, 1024, 64)
MOST_THREADS = 1024  # of a block
MOST_SHARED = 227 << 10  # bytes of dynamic shared memory, on the largest GPUs
# a thread's; were it a power of two, all stacks would fight for the same lines of the cache
STACK_BYTES = (128 << 10) + 17 * 64


class Report(ctypes.Structure):
    """What went wrong."""

    _fields_ = (
        ("text", ctypes.c_char * 512),
        ("place", ctypes.c_uint64),
        ("buffer", ctypes.c_int32),
        ("in_thread", ctypes.c_int32),
        ("block", ctypes.c_uint32 * 3),
        ("thread", ctypes.c_uint32 * 3),
    )


class Buffer(ctypes.Structure):
    """The memory of an array."""

    _fields_ = (
        ("address", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("is_written", ctypes.c_int32),
    )


class Launch(ctypes.Structure):
    """What a launch asks for."""

    _fields_ = (
        ("grid_x", ctypes.c_uint32),
        ("grid_y", ctypes.c_uint32),
        ("grid_z", ctypes.c_uint32),
        ("block_x", ctypes.c_uint32),
        ("block_y", ctypes.c_uint32),
        ("block_z", ctypes.c_uint32),
        ("shared_bytes", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
        ("schedule", ctypes.c_int32),
        ("checking", ctypes.c_int32),
        ("slot_count", ctypes.c_int32),
        ("buffer_count", ctypes.c_int32),
        ("slots", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("slot_buffers", ctypes.c_void_p),
        ("report", ctypes.c_void_p),
        ("stacks", ctypes.c_void_p),
        ("stack_bytes", ctypes.c_uint64),
    )


@functools.cache
def stacks() -> mmap.mmap:
    """Memory for the stacks of a block's threads; a page of it is taken once it is used."""
    return mmap.mmap(-1, MOST_THREADS * STACK_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def sizes(
    grid: Sequence[int], block: Sequence[int], largest_block: int, shared: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Grid and block with three axes; ValueError if no GPU could run a kernel with such sizes."""
    grid = (*grid, 1, 1)[:3]
    block = (*block, 1, 1)[:3]
    if not all(1 <= size <= largest for size, largest in zip(grid, LARGEST_GRID)):
        raise ValueError(f"no GPU runs a grid of {grid} blocks")
    if not all(1 <= size <= largest for size, largest in zip(block, LARGEST_BLOCK)):
        raise ValueError(f"no GPU runs blocks of {block} threads")
    if math.prod(block) > largest_block:
        raise ValueError(f"blocks of {block} threads, and it runs {largest_block} at most")
    if not 0 <= shared <= MOST_SHARED:
        raise ValueError(f"no GPU has {shared:,} bytes of shared memory for a block")
    return grid, block
