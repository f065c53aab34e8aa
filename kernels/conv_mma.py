"""Convolution on tensor cores: which tiles suit a layer, and the launch of conv_mma.cu."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

from .array import DeviceArray, channels_last, empty
from .pointwise import Epilogue
from .source import Source
from .tuning import Choice, fastest
from .window import Window

SOURCE = Source("conv_mma.cu")
FEWEST = 16  # channels of a group: with fewer, most of a tile would be empty


class Layer(NamedTuple):
    """A convolution as the matrix product it is: pixels of the result by its channels."""

    pixels: int  # of one phase, the largest
    results: int  # channels of the result, of one group
    sources: int  # channels that are summed over, of one group
    taps: float  # that are summed over, on average over the phases
    group: int
    phases: int  # parts of the result that are read by different taps: 1 going forward

    @property
    def size(self) -> int:
        """Elements of the result, as if all phases were as large as the largest."""
        return self.pixels * self.phases * self.results * self.group

    def steps(self, bk: int) -> int:
        """Tiles that the sum goes over."""
        return max(1, math.ceil(self.taps * -(-self.sources // bk)))


class Configuration(NamedTuple):
    """How conv_mma.cu is compiled for a layer and launched.

    A block makes bm pixels x bn channels of the result from tiles that are bk channels of the
    source deep, in warps that make wm x wn. It fetches stages - 1 tiles ahead. `splits` blocks
    share in the sum of each result.
    """

    bm: int
    bn: int
    bk: int
    wm: int
    wn: int
    stages: int
    splits: int = 1

    @property
    def threads(self) -> int:
        return self.bm // self.wm * (self.bn // self.wn) * 32

    def resident(self, precision: str) -> int:
        """Blocks that a processor holds at a time, if their shared memory fits."""
        return max(1, RESIDENT_THREADS[precision] // self.threads)

    def shared(self, precision: str) -> int:
        """Bytes of dynamic shared memory."""
        return self.stages * (self.bm + self.bn) * self.bk * WIDTH[precision]

    def defines(self, precision: str, backward: bool) -> dict[str, Any]:
        """What conv_mma.cu wants defined."""
        tile = {"BM": self.bm, "BN": self.bn, "BK": self.bk, "WM": self.wm, "WN": self.wn}
        kind = {"PRECISION": precision.upper(), "BACKWARD": int(backward)}
        return tile | {"STAGES": self.stages, "RESIDENT": self.resident(precision)} | kind


def forward_layer(
    shape: tuple[int, ...], filters: tuple[int, ...], window: Window, group: int
) -> Layer:
    """conv of x of `shape` by w of shape `filters`."""
    pixels = shape[0] * math.prod(window.sizes(shape[2:]))
    taps = math.prod(window.kernel)
    return Layer(pixels, filters[0] // group, filters[1], taps, group, 1)


def backward_layer(
    shape: tuple[int, ...], filters: tuple[int, ...], window: Window, group: int
) -> Layer:
    """conv_backward to x of `shape` by w of shape `filters`."""
    sizes = zip(shape[2:], window.strides, strict=True)
    pixels = shape[0] * math.prod(-(-size // stride) for size, stride in sizes)
    phases = math.prod(window.strides)
    taps = math.prod(window.kernel) / phases
    return Layer(pixels, filters[1], filters[0] // group, taps, group, phases)


# (bm, bn, wm, wn), the largest first
TILES = [
    (128, 128, 64, 32),
    (128, 64, 64, 32),
    (64, 64, 32, 32),
    (128, 32, 32, 32),
    (64, 32, 16, 32),
    (32, 64, 16, 32),
    (32, 32, 16, 32),
]
SPLITS = (1, 2, 4, 8, 16)
FEWEST_STEPS = 4  # of a part of a sum that is split
WORKSPACE = 1 << 26  # elements that the parts may take together
WIDTH = {"exact": 4, "tf32": 4, "half": 2}  # bytes of an operand in shared memory
RESIDENT_THREADS = {"exact": 256, "tf32": 384, "half": 256}  # for which the registers suffice

# What a processor (SM) does in a cycle, and how many cycles or instructions what else takes, in
# round figures for the generations from Ampere on. They only have to rank configurations.
MULTIPLICATIONS = {"exact": 512 / 3, "tf32": 512, "half": 1024}  # on its tensor cores
INSTRUCTIONS = 4
L2_BYTES = 32
SHARED_BYTES = 128
SHARED_SIZE = 160 << 10  # bytes, for all blocks of a processor
CONVERSION = {"exact": 3, "tf32": 1, "half": 0}  # instructions for an operand in registers
LOAD = 14  # instructions for four floats on their way to shared memory
LOOP = 30  # instructions for a step, whatever is in it
LATENCY = 600  # cycles from L2
PREPARATION = 1500  # cycles of a block: places of its pixels, first tiles, the epilogue
LAUNCH = 3000  # cycles of one more kernel


@functools.lru_cache(4096)
def candidates(
    layer: Layer, precision: str, processors: int, most: int = 8
) -> tuple[Configuration, ...]:
    """The configurations that should be fastest for a layer, the best first: for measuring.

    Large tiles read least, but a layer has few of them: small ones keep all processors busy, and
    where even those are too few, the sum is split. `cycles` weighs that up. A tile is 32 channels
    deep if that leaves no more of the last one empty than 16 do, and always in half, where it is
    only 16 words. Two or three tiles are fetched ahead, whatever fits into 96 KiB of shared memory.
    """
    deep = precision == "half" or -(-layer.sources // 32) * 2 == -(-layer.sources // 16)
    found = []
    for (bm, bn, wm, wn), splits in itertools.product(TILES, SPLITS):
        bk = 32 if deep else 16
        stages = 2 if precision == "half" else 3 if bm + bn > 96 and deep else 4
        whole = splits == 1
        worth = layer.steps(bk) >= FEWEST_STEPS * splits and layer.size * splits <= WORKSPACE
        if whole or worth:
            found.append(Configuration(bm, bn, bk, wm, wn, stages, splits))

    def rank(one: Configuration) -> tuple[float, int]:
        return cycles(layer, one, precision, processors), one.bm * one.bn * one.splits

    return tuple(sorted(found, key=rank)[:most])


def cycles(layer: Layer, chosen: Configuration, precision: str, processors: int) -> float:
    """About how many cycles a layer takes: a model, to rank configurations by.

    A step (one tile) of a block costs what the busiest of tensor cores, instructions, L2 and shared
    memory needs, and the blocks of a processor share those; but a block alone never takes a step in
    less than the latency of its loads, spread over the tiles that it fetches ahead.
    """
    bm, bn, bk, wm, wn, stages, splits = chosen
    steps = -(-layer.steps(bk) // splits)
    tiles = -(-layer.pixels // bm) * -(-layer.results // bn) * layer.group * layer.phases
    warps = chosen.threads // 32
    multiplications = bm * bn * bk / MULTIPLICATIONS[precision]
    fetched = (bm + bn) * bk * 4 / L2_BYTES
    shared = (warps * (wm + wn) + bm + bn) * bk * WIDTH[precision] / SHARED_BYTES
    # a warp's instructions for 8 words of the sum: mma, conversions, additions, ldmatrix, addresses
    products = wm * wn / 128
    inner = (7 if precision == "exact" else 1) * products
    inner += (wm + wn) / 4 * CONVERSION[precision] + (wm + wn) / 16 + 8
    loads = (bm + bn) * bk / 4 / chosen.threads
    warp = inner * bk * WIDTH[precision] / 32 + LOAD * loads + LOOP
    step = max(multiplications, fetched, shared, warps * warp / INSTRUCTIONS)
    blocks = -(-tiles * splits // processors)  # of one processor
    fitting = min(chosen.resident(precision), SHARED_SIZE // chosen.shared(precision))
    waves = -(-blocks // max(1, min(blocks, fitting)))
    total = steps * max(blocks * step, waves * LATENCY / (stages - 1)) + waves * PREPARATION
    if splits > 1:
        total += LAUNCH + 2 * splits * layer.size * 4 / (processors * L2_BYTES)
    return total


def suits(
    source: DeviceArray,
    w: DeviceArray,
    window: Window,
    group: int,
    precision: str,
    backward: bool = False,
) -> bool:
    """Can these kernels convolve x, or go back from dy, by w, and is it worth while?

    Loads of four floats want channels in fours; tf32 and asynchronous copies came with 8.0.
    """
    fits = window.rank == 2 and source.dtype == w.dtype == "float32"
    inputs, outputs = w.shape[1], w.shape[0] // group
    aligned = inputs % 4 == 0 and (outputs % 4 == 0 or not backward)
    capable = source.device.capability >= ((7, 5) if precision == "half" else (8, 0))
    return fits and aligned and capable and min(inputs, outputs) >= FEWEST


def conv_mma(
    x: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    window: Window,
    group: int,
    epilogue: Epilogue,
    precision: str,
    chosen: Configuration | None = None,
) -> DeviceArray:
    """conv of conv.py; as `chosen` says, or as was measured or else is ruled."""
    layer = forward_layer(x.shape, w.shape, window, group)
    y = empty((x.shape[0], w.shape[0], *window.sizes(x.shape[2:])), x)
    sizes = geometry(x.shape, w.shape, y.shape, window, group)
    launch(y, x, w, b, sizes, layer, epilogue, precision, False, chosen)
    return y


def conv_backward_mma(
    dy: DeviceArray,
    w: DeviceArray,
    shape: tuple[int, ...],
    window: Window,
    group: int,
    epilogue: Epilogue,
    precision: str,
    chosen: Configuration | None = None,
) -> DeviceArray:
    """conv_backward of conv.py; as `chosen` says, or as was measured or else is ruled."""
    layer = backward_layer(shape, w.shape, window, group)
    dx = empty(shape, dy)
    sizes = geometry(shape, w.shape, dy.shape, window, group)
    launch(dx, dy, w, None, sizes, layer, epilogue, precision, True, chosen)
    return dx


def geometry(
    x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], window: Window, group: int
) -> tuple[int, ...]:
    """The sizes that conv.cuh lists, from the shapes of x, w and y."""
    channels = (x[0], group, w[1], w[0] // group)
    return (
        *channels, *x[2:], *y[2:], *window.kernel, *window.strides, *window.before,
        *window.dilations,
    )  # fmt: skip


def launch(
    result: DeviceArray,
    source: DeviceArray,
    w: DeviceArray,
    b: DeviceArray | None,
    sizes: tuple[int, ...],
    layer: Layer,
    epilogue: Epilogue,
    precision: str,
    backward: bool,
    chosen: Configuration | None,
) -> None:
    """Fill the result, as `chosen` says or else as was measured to be fastest here."""
    source, w = aligned(channels_last(source)), aligned(channels_last(w))

    def run(choice: Choice) -> None:
        one = Configuration(*choice)
        defines = one.defines(precision, backward) | epilogue.defines
        sums = result if one.splits == 1 else empty((one.splits, result.size), result)
        tiles = -(-layer.pixels // one.bm) * -(-layer.results // one.bn) * layer.group
        SOURCE.launch(
            "conv_mma",
            (tiles, one.splits, layer.phases),
            one.threads,
            (sums, source, w, b, *sizes, one.splits, epilogue.args),
            defines=defines,
            shared=one.shared(precision),
        )
        if one.splits > 1:
            blocks = -(-result.size // 256)
            parts = (result, sums, b, result.size, result.shape[1], one.splits, epilogue.args)
            SOURCE.launch("sum_splits", blocks, 256, parts, defines=defines)

    if chosen is None:
        key = f"{'conv_backward' if backward else 'conv'} {precision} {' '.join(map(str, layer))}"
        choices = candidates(layer, precision, source.device.processors)
        run(fastest(source.device, key, choices, run))
    else:
        run(chosen)


def aligned(x: DeviceArray) -> DeviceArray:
    """x at a multiple of 16 bytes: itself, or a copy; a slice of channels may begin elsewhere."""
    return x if x.address % 16 == 0 else x.copy()
