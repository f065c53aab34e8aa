"""Convolution on tensor cores: as exact as its precision says, in every tile, split or not."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from oneiro.kernels import conv_mma
from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.conv_mma import TILES, Configuration, Layer, candidates, cycles
from oneiro.kernels.dispatch import PRECISIONS, Device, Emulator
from oneiro.kernels.pointwise import NONE, Epilogue, Value, step
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.window import Window, sliding_window

# relative, in the Euclidean norm: what a precision promises, and what it cannot reach
BOUNDS = {"exact": (0.0, 1e-6), "tf32": (1e-5, 1e-3), "half": (1e-5, 1e-3)}
FLOAT = np.dtype(np.float32)
SIZES = {"exact": 4, "tf32": 4, "half": 2}


class Case(NamedTuple):
    """A convolution, forward and backward."""

    shape: tuple[int, ...]  # of x
    outputs: int
    window: Window
    group: int


def case(shape: tuple[int, ...], outputs: int, *window: Any, group: int = 1) -> Case:
    """A case whose window has this kernel, strides, pads, dilations and ceil."""
    return Case(shape, outputs, sliding_window(*window), group)


CASES = {
    "1x1": case((2, 20, 5, 7), 36, (1, 1)),
    "1x1 with a stride": case((1, 20, 7, 8), 16, (1, 1), (2, 3)),
    "one pixel": case((1, 36, 1, 1), 40, (1, 1)),
    "one pixel in padding": case((3, 16, 1, 1), 20, (3, 3), (1, 1), (1, 1, 1, 1)),
    "primes": case((1, 44, 13, 11), 28, (3, 3), (1, 1), (1, 1, 1, 1)),
    "odd padding": case((2, 24, 7, 6), 20, (3, 2), (1, 1), (1, 0, 2, 1)),
    "more padding than kernel": case((1, 16, 3, 4), 20, (2, 2), (1, 2), (4, 3, 5, 4)),
    "stride 2": case((1, 28, 10, 9), 36, (3, 3), (2, 2), (1, 1, 1, 1)),
    "stride 4": case((1, 16, 13, 18), 20, (5, 3), (4, 4), (2, 1, 2, 1)),
    "strides that leave rows unread": case((2, 16, 11, 9), 20, (2, 1), (3, 2)),
    "ceil": case((1, 16, 8, 9), 24, (3, 3), (2, 2), (0, 1, 0, 0), (), True),
    "dilated": case((1, 20, 9, 11), 16, (3, 3), (1, 1), (2, 3, 2, 3), (2, 3)),
    "dilated by the stride": case((1, 16, 10, 9), 24, (3, 2), (2, 3), (2, 0, 1, 3), (2, 3)),
    "dilated, and strides": case((1, 16, 13, 10), 20, (3, 3), (4, 2), (3, 2, 3, 2), (6, 3)),
    "two groups": case((1, 40, 6, 8), 56, (3, 3), (1, 1), (1, 1, 1, 1), group=2),
    "groups of a stride": case((2, 48, 5, 7), 60, (3, 1), (2, 1), (1, 0, 1, 0), group=3),
}


class Numbers:
    """Random arrays for a case, and what the specification makes of them in float64."""

    def __init__(self, case: Case) -> None:
        random = np.random.default_rng(1)
        self.shape, outputs, self.window, self.group = case
        counts = self.window.sizes(self.shape[2:])
        filters = (outputs, self.shape[1] // self.group, *self.window.kernel)
        self.x, self.w, self.b, self.dy = (
            random.normal(size=size).astype(np.float32)
            for size in (self.shape, filters, outputs, (self.shape[0], outputs, *counts))
        )
        x, w, b, dy = (a.astype(np.float64) for a in (self.x, self.w, self.b, self.dy))
        self.y = conv.specification(x, w, b, self.window, self.group)
        self.dx = conv_backward.specification(dy, w, self.shape, self.window, self.group)

    def forward(self, device: Device, *how: Any, epilogue: Epilogue = NONE) -> np.ndarray:
        x, w, b = (device.place(a) for a in (self.x, self.w, self.b))
        made = conv_mma.conv_mma(x, w, b, self.window, self.group, epilogue, *how)
        return np.asarray(made)

    def backward(self, device: Device, *how: Any, epilogue: Epilogue = NONE) -> np.ndarray:
        dy, w = device.place(self.dy), device.place(self.w)
        shape, window, group = self.shape, self.window, self.group
        return np.asarray(conv_mma.conv_backward_mma(dy, w, shape, window, group, epilogue, *how))


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Relative, in the Euclidean norm; infinite if anything was not written."""
    norm = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    return norm if math.isfinite(norm) else math.inf


def smallest(precision: str, splits: int = 1) -> Configuration:
    """The smallest of the tiles."""
    return Configuration(32, 32, 32, 16, 32, 2 if precision == "half" else 4, splits)


def check(numbers: Numbers, device: Device, precision: str, chosen: Configuration) -> None:
    """Forward and backward err as much as the precision does."""
    low, high = BOUNDS[precision]
    assert low <= error(numbers.forward(device, precision, chosen), numbers.y) < high
    assert low <= error(numbers.backward(device, precision, chosen), numbers.dx) < high


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASES)
def test_every_geometry(device: Device, name: str, precision: str) -> None:
    check(Numbers(CASES[name]), device, precision, smallest(precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_tile(device: Device, tile: tuple[int, int, int, int], precision: str) -> None:
    """In tf32 16 channels deep, else 32, so that each tile meets both depths."""
    bm, bn, wm, wn = tile
    bk, stages = {"exact": (32, 3), "tf32": (16, 4), "half": (32, 2)}[precision]
    numbers = Numbers(case((3, 36, 9, 7), 44, (2, 3), (2, 1), (1, 0, 2, 1)))
    chosen = Configuration(bm, bn, bk, wm, wn, stages)
    check(numbers, device, precision, chosen)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("splits", [2, 3, 16])
def test_split_sums(device: Device, precision: str, splits: int) -> None:
    """Also into more parts than there are steps, and phases of no step at all."""
    for name in ("stride 2", "strides that leave rows unread", "groups of a stride"):
        numbers = Numbers(CASES[name])
        check(numbers, device, precision, smallest(precision, splits))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_schedule_matters(devices: list[Device], precision: str) -> None:
    numbers = Numbers(CASES["stride 2"])
    how = (precision, smallest(precision, 3))
    for run in (numbers.forward, numbers.backward):
        first, *others = (run(device, *how) for device in devices)
        assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("splits", [1, 3])
def test_results_whose_channels_are_not_in_fours(device: Device, splits: int) -> None:
    """Only what is read has to be."""
    numbers = Numbers(case((2, 24, 5, 6), 37, (3, 3), (1, 1), (1, 1, 1, 1)))
    found = numbers.forward(device, "exact", smallest("exact", splits))
    assert error(found, numbers.y) < 1e-6


@pytest.mark.parametrize("splits", [1, 3])
def test_an_epilogue_ends_each_element_once(device: Device, splits: int) -> None:
    """(v * scale[c] + other)[i]: neither may meet a part of a sum."""
    numbers = Numbers(CASES["two groups"])
    random = np.random.default_rng(2)
    for run, wanted in ((numbers.forward, numbers.y), (numbers.backward, numbers.dx)):
        other = random.normal(size=wanted.shape).astype(np.float32)
        scale = random.normal(size=(1, wanted.shape[1], 1, 1)).astype(np.float32)
        names = [Value("v0", FLOAT), Value("v1", FLOAT)]
        scaled = step(np.multiply, names)
        added = step(np.add, [Value("t0", FLOAT), Value("v2", FLOAT)])
        assert scaled
        assert added
        values = [device.place(scale), device.place(other)]
        epilogue = Epilogue((scaled, added), values, wanted.shape)
        found = run(device, "exact", smallest("exact", splits), epilogue=epilogue)
        assert error(found, wanted * scale + other) < 1e-6


def test_long_sums_stay_exact(device: Device) -> None:
    """In one accumulator each they would not; and tf32 rounds its operands, cutting nothing off."""
    random = np.random.default_rng(0)
    x = random.random((1, 516, 3, 4)).astype(np.float32)
    w = random.random((32, 516, 3, 3)).astype(np.float32)
    window = sliding_window((3, 3), (1, 1), (1, 1, 1, 1))
    wanted = conv.specification(x.astype(np.float64), w.astype(np.float64), None, window, 1)
    for precision, bound in (("exact", 1e-6), ("tf32", 1e-4), ("half", 1e-4)):
        args = (window, 1, NONE, precision, smallest(precision))
        found = np.asarray(conv_mma.conv_mma(device.place(x), device.place(w), None, *args))
        assert error(found, wanted) < bound


@pytest.mark.emulator
@pytest.mark.parametrize("removed", ["cp_async_wait(STAGES - 2);", "__syncthreads();  // the tile"])
def test_the_emulator_sees_a_missing_wait(removed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = conv_mma.SOURCE.text

    def damaged(defines: Any = None) -> str:
        whole = text(defines)
        assert whole.count(removed) == 1
        return whole.replace(removed, "//" if "//" in removed else "")

    numbers = Numbers(CASES["1x1"])
    monkeypatch.setattr(conv_mma.SOURCE, "text", damaged)
    from oneiro.kernels.emulator import EmulatorError

    with pytest.raises(EmulatorError):
        numbers.forward(Emulator(mode="check"), "tf32", smallest("tf32"))


def test_a_slice_of_channels_is_aligned_first(device: Device) -> None:
    numbers = Numbers(CASES["one pixel"])
    wide = np.zeros((1, 38, 1, 1), np.float32)
    wide[:, 1:37] = numbers.x
    x = device.place(wide)[:, 1:37]
    args = (numbers.window, 1, NONE, "exact", smallest("exact"))
    found = conv_mma.conv_mma(x, device.place(numbers.w), device.place(numbers.b), *args)
    assert error(np.asarray(found), numbers.y) < 1e-6


@pytest.mark.parametrize("images", [0, 2])
def test_what_is_launched(images: int) -> None:
    """One kernel for a whole sum, a second one for parts, none for no pictures."""
    device = Recorder((8, 0))
    x, w = (device.place(np.zeros(n, np.float32)) for n in ((images, 32, 5, 6), (40, 32, 3, 3)))
    window = sliding_window((3, 3))
    for splits in (1, 4):
        args = (None, window, 1, NONE, "tf32", smallest("tf32", splits))
        assert conv_mma.conv_mma(x, w, *args).shape == (images, 40, 3, 4)
    assert conv_mma.conv_mma(x, w, None, window, 1, NONE, "tf32").shape == (images, 40, 3, 4)
    names = [launch.function for launch in device.launches[:3]]
    assert names == ["conv_mma", "conv_mma", "sum_splits"][: 3 * images]


def suited(
    shape: tuple[int, ...],
    filters: tuple[int, ...],
    precision: str = "tf32",
    capability: tuple[int, int] = (9, 0),
    backward: bool = False,
) -> bool:
    device = Recorder(capability)
    x, w = (device.place(np.zeros(size, np.float32)) for size in (shape, filters))
    group = 1 if backward else shape[1] // filters[1]
    window = sliding_window(filters[2:])
    return conv_mma.suits(x, w, window, group, precision, backward)


def test_suits() -> None:
    assert suited((1, 32, 5, 6), (24, 32, 3, 3))
    assert suited((1, 64, 5, 6), (48, 32, 3, 3))  # two groups
    assert not suited((1, 3, 5, 6), (24, 3, 3, 3))  # a picture
    assert not suited((1, 32, 5, 6), (32, 1, 3, 3))  # depthwise
    assert not suited((1, 33, 5, 6), (24, 33, 3, 3))  # not in fours
    assert suited((1, 32, 5, 6), (37, 32, 3, 3))
    assert not suited((1, 37, 5, 6), (37, 32, 3, 3), backward=True)
    assert not suited((1, 32, 5), (24, 32, 3))  # one axis
    assert not suited((1, 32, 5, 6), (24, 32, 3, 3), capability=(7, 5))
    assert suited((1, 32, 5, 6), (24, 32, 3, 3), "half", (7, 5))
    assert not suited((1, 32, 5, 6), (24, 32, 3, 3), "half", (7, 0))


LAYERS = {
    "VGG's second, 1024 px": Layer(1 << 20, 64, 64, 9, 1, 1),
    "VGG's fifth, 512 px": Layer(128 * 128, 256, 256, 9, 1, 1),
    "GoogLeNet's 4c 3x3": Layer(14 * 14, 256, 128, 9, 1, 1),
    "its 5x5": Layer(14 * 14, 64, 24, 25, 1, 1),
    "SqueezeNet's squeeze": Layer(55 * 55, 16, 128, 1, 1, 1),
    "a stride, backward": Layer(28 * 28, 256, 128, 2.25, 1, 4),
    "groups": Layer(56 * 56, 32, 32, 9, 8, 1),
    "one pixel": Layer(1, 1000, 1024, 1, 1, 1),
    "no picture": Layer(0, 64, 64, 9, 1, 1),
}


@pytest.mark.parametrize("processors", [4, 46, 132])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_candidates_can_be_launched(name: str, precision: str, processors: int) -> None:
    """On any GPU: 99 KiB of shared memory, with the places of a tile's pixels, is the least."""
    found = candidates(LAYERS[name], precision, processors)
    assert 1 < len(set(found)) == len(found) <= 8
    for one in found:
        shared = one.stages * (one.bm + one.bn) * one.bk * SIZES[precision]
        assert one.shared(precision) == shared
        assert shared + 4 * one.bm <= 99 << 10
        assert one.threads <= 256
        assert one.bm * one.bk % (4 * one.threads) == 0
        assert one.splits == 1 or LAYERS[name].steps(one.bk) >= one.splits


def ruled(layer: Layer, precision: str, processors: int) -> Configuration:
    """What is taken where nothing was measured."""
    return candidates(layer, precision, processors)[0]


def test_large_layers_get_large_tiles_and_small_ones_are_split() -> None:
    large = ruled(LAYERS["VGG's fifth, 512 px"], "tf32", 132)
    assert (large.bm, large.bn, large.splits) == (128, 128, 1)
    assert ruled(LAYERS["VGG's second, 1024 px"], "tf32", 132).bn == 64
    small = ruled(LAYERS["GoogLeNet's 4c 3x3"], "tf32", 132)
    assert small.splits > 1
    assert ruled(LAYERS["GoogLeNet's 4c 3x3"], "tf32", 1).splits == 1
    assert ruled(LAYERS["SqueezeNet's squeeze"], "tf32", 132).bn == 32


def test_few_channels_get_shallow_tiles() -> None:
    depths = {n: ruled(Layer(900, 64, n, 9, 1, 1), "tf32", 132).bk for n in (16, 32, 48, 60)}
    assert depths == {16: 16, 32: 32, 48: 16, 60: 32}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_more_work_is_never_thought_to_be_faster(precision: str) -> None:
    layer = LAYERS["GoogLeNet's 4c 3x3"]
    for one in candidates(layer, precision, 132):
        for field in ("pixels", "results", "sources", "taps", "group"):
            more = layer._replace(**{field: 3 * getattr(layer, field)})
            assert cycles(more, one, precision, 132) >= cycles(layer, one, precision, 132)


def test_exact_costs_most() -> None:
    layer = LAYERS["VGG's fifth, 512 px"]
    exact, tf32 = (
        cycles(layer, ruled(layer, precision, 132), precision, 132)
        for precision in ("exact", "tf32")
    )
    assert 1.5 * tf32 < exact <= 3 * tf32
