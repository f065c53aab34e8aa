"""Convolution on devices: several kernels, and which of them suits which sizes.

All of them sum over the taps and channels of a source: forward that is x and the result y, backward
dy and dx. Memory has the channels innermost. An axis of length 1 changes nothing, so a picture of
one axis is one of two.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .array import DeviceArray, channels_last, contiguous, empty
from .conv_mma import aligned, conv_backward_mma, conv_mma, suits
from .dispatch import Array, is_device
from .pointwise import NONE, Epilogue
from .source import Source
from .symbol import Shape
from .window import Window

SIMPLE = Source("conv_simple.cu")
TILED = Source("conv.cu")
DEPTHWISE = Source("conv_depthwise.cu")
FEW = Source("conv_few.cu")

THREADS = 256
DEPTHWISE_STRIP = 4  # neighbours in a row that a thread makes
FEW_STRIP = 16  # that a warp makes
LANES = 32  # threads of a warp
SHARED = 48 << 10  # bytes of shared memory that any GPU gives a block
# where tensor cores multiply tf32 at most twice as fast as others multiply float32
SLOW_TF32 = [(8, 6), (8, 7), (8, 9), (12, 0), (12, 1)]


class Problem(NamedTuple):
    """The sizes of a convolution y = conv(x, w) and which way it goes. Channels are a group's."""

    backward: bool
    images: int
    group: int
    inputs: int
    outputs: int
    size: tuple[int, ...]  # of x
    counts: tuple[int, ...]  # of y
    window: Window

    @property
    def sources(self) -> int:
        """Channels that an element of the result is a sum of."""
        return self.outputs if self.backward else self.inputs

    @property
    def results(self) -> int:
        return self.inputs if self.backward else self.outputs

    @property
    def plane(self) -> tuple[int, ...]:
        """The size of the result."""
        return self.size if self.backward else self.counts

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return (self.images, self.group * self.results, *self.plane)

    @property
    def phases(self) -> tuple[int, ...]:
        """Into how many parts the result falls along each axis: see backward_axis in conv.cuh."""
        return self.window.strides if self.backward else (1,) * self.window.rank

    @property
    def part(self) -> tuple[int, ...]:
        """The size of the largest part."""
        return ceil_divided(self.plane, self.phases)

    @property
    def taps(self) -> tuple[int, ...]:
        """The most taps that a part has along each axis, without dilation."""
        return ceil_divided(self.window.kernel, self.phases)

    @property
    def geometry(self) -> tuple[int, ...]:
        """The sizes in the order in which kernels take them."""
        window = self.window
        return (
            *(self.images, self.group, self.inputs, self.outputs, *self.size, *self.counts),
            *(*window.kernel, *window.strides, *window.before, *window.dilations),
        )

    def over(self, rank: int) -> Problem:
        """The same over `rank` axes: those in front have length 1."""
        ones = (1,) * (rank - self.window.rank)
        zeros = (0,) * len(ones)
        kernel, strides, _, dilations, ceil = self.window
        pads = (*zeros, *self.window.before, *zeros, *self.window.after)
        return self._replace(
            size=(*ones, *self.size),
            counts=(*ones, *self.counts),
            window=Window((*ones, *kernel), (*ones, *strides), pads, (*ones, *dilations), ceil),
        )


def ceil_divided(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-n // by) for n, by in zip(a, b, strict=True))


def simple(
    problem: Problem,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    epilogue: Epilogue,
) -> DeviceArray:
    """Any window over up to three axes."""
    result = empty(problem.shape, source)
    blocks = -(-result.size // THREADS)
    function = "conv_simple_backward" if problem.backward else "conv_simple"
    arrays = (result, source, w) if problem.backward else (result, source, w, b)
    args = (arrays, problem.over(3).geometry, epilogue.args)
    SIMPLE.launch(function, blocks, THREADS, args, defines=epilogue.defines)
    return result


class Tile(NamedTuple):
    """What a block of conv_tiled makes, pixels by channels, and a thread of it."""

    pixels: int
    channels: int
    depth: int  # of the sum at a time
    thread_pixels: int
    thread_channels: int

    @property
    def threads(self) -> int:
        return self.pixels // self.thread_pixels * (self.channels // self.thread_channels)

    @property
    def defines(self) -> dict[str, int]:
        return dict(zip(("BM", "BN", "BK", "TM", "TN"), self, strict=True))

    def blocks(self, problem: Problem) -> tuple[int, int, int]:
        """Along the pixels of the largest phase, the channels, and groups and phases."""
        pixels = problem.images * math.prod(problem.part)
        parts = problem.group * math.prod(problem.phases)
        return -(-pixels // self.pixels), -(-problem.results // self.channels), parts


# A larger tile reads less, a smaller one leaves fewer processors without work. The results are the
# same to the bit: all of them sum in the same order.
TILES = [
    Tile(128, 64, 16, 8, 4),
    Tile(64, 64, 16, 8, 4),
    Tile(128, 32, 16, 8, 4),
    Tile(32, 32, 16, 4, 4),
]


def tile_for(problem: Problem, processors: int) -> Tile:
    """The largest tile that is not half empty and has work for every processor."""
    for tile in TILES:
        fits = tile.channels < 2 * problem.results
        if fits and math.prod(tile.blocks(problem)) >= processors:
            return tile
    return TILES[-1]


def tiled(
    problem: Problem,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    epilogue: Epilogue,
) -> DeviceArray:
    """Any window over two axes."""
    result = empty(problem.shape, source)
    tile = tile_for(problem, source.device.processors)
    read = (problem.inputs, problem.outputs) if problem.backward else (problem.inputs,)
    in_runs = not problem.backward and problem.group == 1 and problem.window.dilations[1] == 1
    run = problem.window.kernel[1] if in_runs else 1
    defines = {
        **tile.defines,
        "VECTOR": 1 if any(channels % 4 for channels in read) else 4,
        "BACKWARD": int(problem.backward),
        **epilogue.defines,
    }
    args = (result, source, w, b, problem.geometry, run, epilogue.args)
    TILED.launch("conv_tiled", tile.blocks(problem), tile.threads, args, defines=defines)
    return result


def depthwise(
    problem: Problem,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    epilogue: Epilogue,
) -> DeviceArray:
    """Results that read few channels, over two axes."""
    result = empty(problem.shape, source)
    vector, lanes, shared = depthwise_block(problem)
    block = (lanes, THREADS // lanes)
    down, along = problem.part
    strips = problem.images * down * -(-along // DEPTHWISE_STRIP)
    channels = problem.group * problem.results
    blocks = (-(-strips // block[1]), -(-channels // (lanes * vector)), math.prod(problem.phases))
    defines = {
        "VECTOR": vector,
        "STRIP": DEPTHWISE_STRIP,
        "BACKWARD": int(problem.backward),
        **epilogue.defines,
    }
    args = (result, source, w, b, problem.geometry, epilogue.args)
    DEPTHWISE.launch("conv_depthwise", blocks, block, args, defines=defines, shared=shared)
    return result


def depthwise_block(problem: Problem) -> tuple[int, int, int]:
    """Channels a thread, threads along the channels, and bytes of shared memory for the filters."""
    vector = 4 if problem.inputs == problem.outputs == 1 and problem.group % 4 == 0 else 1
    channels = problem.group * problem.results
    lanes = LANES
    while lanes > 1 and lanes * vector >= 2 * channels:
        lanes //= 2
    taps = math.prod(problem.window.kernel)
    return vector, lanes, 4 * problem.sources * taps * (lanes * vector + 4)


def suits_depthwise(problem: Problem) -> bool:
    """Would a tile of conv_tiled be mostly empty, and do the filters fit into shared memory?"""
    if problem.group > 1:
        small = min(problem.results, 32) * min(problem.sources, 16) < 96
    else:
        small = problem.results <= 4 and problem.sources <= 8
    return problem.window.rank == 2 and small and depthwise_block(problem)[2] <= SHARED


def few(
    problem: Problem,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    epilogue: Epilogue,
) -> DeviceArray:
    """Results of at most four channels, over two axes, of many channels: a picture."""
    result = empty(problem.shape, source)
    down, along = problem.part
    strips = problem.images * down * -(-along // FEW_STRIP)
    blocks = (-(-strips // (THREADS // LANES)), 1, math.prod(problem.phases))
    defines = {
        "CHANNELS": problem.results,
        "TAPS_W": problem.taps[1],
        "STRIP": FEW_STRIP,
        "BACKWARD": int(problem.backward),
        **epilogue.defines,
    }
    args = (result, source, w, b, problem.geometry, epilogue.args)
    shared = few_shared(problem)
    FEW.launch("conv_few", blocks, THREADS, args, defines=defines, shared=shared)
    return result


def few_shared(problem: Problem) -> int:
    """Bytes of shared memory for the filters of 32 channels."""
    return 4 * math.prod(problem.taps) * problem.results * (LANES + 1)


def suits_few(problem: Problem) -> bool:
    """Is the result a picture, and do the filters fit into registers and shared memory?"""
    window = problem.window
    if window.dilations != (1, 1) or problem.group > 1 or problem.results > 4:
        return False
    fits = problem.taps[1] * problem.results <= 64 and few_shared(problem) <= SHARED
    return fits and (problem.backward or window.strides[1] == 1)


def mma(
    problem: Problem,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    epilogue: Epilogue,
) -> DeviceArray:
    """Two axes, on tensor cores, in the device's precision."""
    window, group, precision = problem.window, problem.group, source.device.precision
    if problem.backward:
        return conv_backward_mma(source, w, problem.shape, window, group, epilogue, precision)
    return conv_mma(source, w, b, window, group, epilogue, precision)


def suits_mma(problem: Problem, source: DeviceArray, w: DeviceArray) -> bool:
    """Exactness takes three products in tf32: then tensor cores have to be that much faster."""
    precision = source.device.precision
    if precision == "exact" and source.device.capability in SLOW_TF32:
        return False
    return suits(source, w, problem.window, problem.group, precision, problem.backward)


class Version(NamedTuple):
    """A kernel: run(problem, source, w, b, epilogue), of dense arrays, where it suits."""

    suits: Callable[[Problem, DeviceArray, DeviceArray], bool]
    run: Callable[..., DeviceArray]


BY_NAME = {  # slowest first, where they suit
    "simple": Version(lambda problem, *_: problem.window.rank <= 3, simple),
    "tiled": Version(lambda problem, *_: problem.window.rank == 2, tiled),
    "mma": Version(suits_mma, mma),
    "few": Version(lambda problem, *_: suits_few(problem), few),
    "depthwise": Version(lambda problem, *_: suits_depthwise(problem), depthwise),
}


def fitting(problem: Problem, source: DeviceArray, w: DeviceArray) -> list[str]:
    """The versions that suit, slowest first."""
    return [name for name, version in BY_NAME.items() if version.suits(problem, source, w)]


def solve(
    problem: Problem, source: Any, w: Any, b: Any, epilogue: Epilogue, version: str | None
) -> DeviceArray:
    """The result, by the version of this name or else the fastest."""
    device = source.device if is_device(source) else w.device
    source, w = device.place(source), device.place(w)
    if problem.window.rank == 1:
        source, w = (array.reshape(*array.shape[:2], 1, -1) for array in (source, w))
        return as_line(solve(problem.over(2), source, w, b, NONE, version), epilogue)
    source, w = aligned(channels_last(source)), aligned(channels_last(w))
    b = b if b is None else contiguous(device.place(b))
    name = version or fitting(problem, source, w)[-1]
    return BY_NAME[name].run(problem, source, w, b, epilogue)


def as_line(x: DeviceArray, epilogue: Epilogue) -> DeviceArray:
    """x (n, c, 1, width) as (n, c, width), which the house has in C order."""
    n, channels, _, width = x.shape
    y = empty((n, channels, width), x)
    args = (y, x, channels, width, y.size, epilogue.args)
    SIMPLE.launch("as_line", -(-y.size // THREADS), THREADS, args, defines=epilogue.defines)
    return y


def can(x: Array, w: Array) -> bool:
    """Is there a kernel for arrays like these?"""
    return x.dtype == w.dtype == np.float32 and x.ndim <= 5


def conv(
    x: Array,
    w: Array,
    b: Array | None,
    window: Window,
    group: int,
    epilogue: Epilogue = NONE,
    version: str | None = None,
) -> DeviceArray:
    """conv of conv.py on a device."""
    problem = conv_problem(x, w, b, window, group)
    return solve(problem, x, w, b, epilogue, version)


def conv_backward(
    dy: Array,
    w: Array,
    shape: Shape,
    window: Window,
    group: int,
    epilogue: Epilogue = NONE,
    version: str | None = None,
) -> DeviceArray:
    """conv_backward of conv.py on a device."""
    problem = conv_backward_problem(dy, w, shape, window, group)
    return solve(problem, dy, w, None, epilogue, version)


def conv_problem(x: Array, w: Array, b: Array | None, window: Window, group: int) -> Problem:
    """The problem that the arguments of conv pose."""
    outputs, inputs = w.shape[0] // group, w.shape[1]
    count = window.sizes(x.shape[2:])
    return Problem(False, x.shape[0], group, inputs, outputs, x.shape[2:], count, window)


def conv_backward_problem(dy: Array, w: Array, shape: Shape, window: Window, group: int) -> Problem:
    """The problem that the arguments of conv_backward pose."""
    outputs, inputs = w.shape[0] // group, w.shape[1]
    size = tuple(int(n) for n in shape[2:])
    return Problem(True, dy.shape[0], group, inputs, outputs, size, dy.shape[2:], window)


# For tests and benchmarks: every version takes the arguments of the kernel.
VERSIONS: dict[str, dict[str, Callable[..., DeviceArray]]] = {
    "conv": {name: functools.partial(conv, version=name) for name in BY_NAME},
    "conv_backward": {name: functools.partial(conv_backward, version=name) for name in BY_NAME},
}
POSED: dict[str, Callable[..., Problem]] = {
    "conv": conv_problem,
    "conv_backward": conv_backward_problem,
}


def suiting(kernel: str, *args: Any) -> list[str]:
    """The versions of "conv" or "conv_backward" that suit these arguments, slowest first."""
    problem = POSED[kernel](*args)
    return fitting(problem.over(max(problem.window.rank, 2)), args[0], args[1])
