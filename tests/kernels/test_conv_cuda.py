"""Every CUDA version of convolution: exact, and the same to the bit where sums have one order."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from oneiro.kernels.conv import conv, conv_backward, filters_backward
from oneiro.kernels.conv_cuda import (
    TILES,
    VERSIONS,
    Problem,
    Tile,
    suiting,
    tile_for,
)
from oneiro.kernels.dispatch import Device
from oneiro.kernels.pointwise import Epilogue, Value, step
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.window import Window, sliding_window


class Layer(NamedTuple):
    """A convolution, forward and backward."""

    shape: tuple[int, ...]  # of x
    outputs: int
    window: Window
    group: int


def layer(shape: tuple[int, ...], outputs: int, *window: Any, group: int = 1) -> Layer:
    """A layer whose window has this kernel, strides, pads, dilations and ceil."""
    return Layer(shape, outputs, sliding_window(*window), group)


CASES = {
    "prime sizes": layer((2, 7, 13, 11), 5, (3, 5), (1, 1), (1, 2, 0, 3)),
    "one pixel": layer((1, 12, 1, 1), 7, (1, 1)),
    "one pixel in padding": layer((3, 4, 1, 1), 6, (3, 3), (1, 1), (1, 1, 1, 1)),
    "one channel": layer((1, 1, 9, 8), 1, (2, 3), (1, 1), (1, 1, 0, 1)),
    "below every tile": layer((1, 5, 3, 4), 3, (2, 2)),
    "1x1": layer((2, 20, 9, 7), 36, (1, 1)),
    "1x1 of odd channels": layer((1, 19, 6, 7), 13, (1, 1)),
    "1x1 with a stride": layer((1, 12, 9, 8), 20, (1, 1), (2, 2)),
    "more channels than a tile": layer((1, 24, 7, 6), 68, (3, 3), (1, 1), (1, 1, 1, 1)),
    "stride 2": layer((1, 16, 14, 11), 12, (3, 3), (2, 2), (1, 1, 1, 1)),
    "stride 4": layer((2, 4, 19, 22), 10, (5, 7), (4, 4), (2, 3, 2, 3)),
    "stride beyond the kernel": layer((1, 6, 13, 16), 8, (2, 1), (3, 4)),
    "different strides": layer((1, 8, 12, 17), 4, (3, 4), (1, 3), (0, 2, 1, 1)),
    "dilated": layer((1, 8, 15, 13), 8, (3, 3), (1, 1), (2, 3, 2, 3), (2, 3)),
    "dilated by the stride": layer((1, 4, 16, 15), 8, (3, 2), (2, 3), (2, 0, 1, 3), (2, 3)),
    "dilated, and strides": layer((1, 4, 17, 16), 4, (3, 3), (4, 2), (3, 2, 3, 2), (6, 3)),
    "more padding than kernel": layer((1, 4, 5, 6), 4, (2, 2), (1, 2), (4, 3, 5, 4)),
    "ceil": layer((1, 4, 8, 9), 8, (3, 3), (2, 2), (0, 1, 0, 0), (), True),
    "two groups": layer((1, 24, 8, 9), 40, (3, 3), (1, 1), (1, 1, 1, 1), group=2),
    "odd groups": layer((2, 27, 7, 8), 33, (3, 1), (2, 1), (1, 0, 1, 0), group=3),
    "small groups": layer((1, 24, 9, 8), 12, (3, 3), (2, 1), (1, 1, 1, 1), group=6),
    "depthwise": layer((2, 20, 9, 14), 20, (3, 3), (1, 1), (1, 1, 1, 1), group=20),
    "depthwise, wide": layer((1, 136, 4, 5), 136, (3, 3), (2, 2), (0, 0, 1, 1), group=136),
    "depthwise, odd": layer((1, 7, 10, 9), 7, (5, 5), (2, 3), (2, 2, 2, 2), group=7),
    "depthwise, dilated": layer((1, 12, 11, 9), 12, (3, 3), (2, 1), (2,) * 4, (2, 2), group=12),
    "depthwise, thrice": layer((1, 6, 9, 10), 18, (3, 3), (2, 2), (1, 1, 1, 1), group=6),
    "first of GoogLeNet": layer((1, 3, 35, 41), 40, (7, 7), (2, 2), (3, 3, 3, 3)),
    "first of VGG": layer((2, 3, 9, 37), 33, (3, 3), (1, 1), (1, 1, 1, 1)),
    "first of AlexNet": layer((1, 3, 29, 31), 16, (11, 11), (4, 4), (2, 2, 2, 2)),
    "first of SqueezeNet": layer((1, 3, 22, 21), 64, (3, 3), (2, 2)),
    "first in patches": layer((1, 3, 16, 24), 36, (8, 8), (8, 8)),
    "first, one colour": layer((1, 1, 12, 19), 10, (5, 5), (1, 1), (2, 2, 2, 2)),
    "last, to a picture": layer((1, 37, 8, 21), 3, (9, 9), (1, 1), (4, 4, 4, 4)),
    "one axis": layer((2, 6, 23), 8, (5,), (2,), (2, 1), group=2),
    "three axes": layer((2, 4, 5, 6, 7), 6, (3, 2, 3), (2, 1, 3), (1, 0, 2, 1, 1, 1), group=2),
}


class Numbers:
    """Random arrays for a case, and what the specification makes of them in float64."""

    def __init__(self, name: str) -> None:
        random = np.random.default_rng(1)
        self.shape, outputs, self.window, self.group = CASES[name]
        counts = self.window.sizes(self.shape[2:])
        filters = (outputs, self.shape[1] // self.group, *self.window.kernel)
        self.x, self.w, self.b, self.dy = (
            random.normal(size=size).astype(np.float32)
            for size in (self.shape, filters, outputs, (self.shape[0], outputs, *counts))
        )
        x, w, b, dy = (a.astype(np.float64) for a in (self.x, self.w, self.b, self.dy))
        self.y = conv.specification(x, w, b, self.window, self.group)
        self.dx = conv_backward.specification(dy, w, self.shape, self.window, self.group)

    def forward(self, device: Device, run: Callable[..., Any]) -> np.ndarray:
        x, w, b = (device.place(a) for a in (self.x, self.w, self.b))
        return np.asarray(run(x, w, b, self.window, self.group))

    def backward(self, device: Device, run: Callable[..., Any]) -> np.ndarray:
        dy, w = device.place(self.dy), device.place(self.w)
        return np.asarray(run(dy, w, self.shape, self.window, self.group))

    def suiting(self, device: Device) -> tuple[list[str], list[str]]:
        """The versions that can compute this case forward and backward, slowest first."""
        x, dy, w = (device.place(a) for a in (self.x, self.dy, self.w))
        there = suiting("conv", x, w, None, self.window, self.group)
        return there, suiting("conv_backward", dy, w, self.shape, self.window, self.group)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Relative, in the Euclidean norm; infinite if anything was not written."""
    norm = float(np.linalg.norm(found - wanted) / max(float(np.linalg.norm(wanted)), 1e-30))
    return norm if math.isfinite(norm) else math.inf


@pytest.fixture(scope="module", params=CASES)
def numbers(request: pytest.FixtureRequest) -> Numbers:
    return Numbers(request.param)


def test_every_version_is_exact(numbers: Numbers, any_device: Device) -> None:
    there, back = numbers.suiting(any_device)
    for name in there:
        y = numbers.forward(any_device, VERSIONS["conv"][name])
        assert error(y, numbers.y) < 1e-6, name
    for name in back:
        dx = numbers.backward(any_device, VERSIONS["conv_backward"][name])
        assert error(dx, numbers.dx) < 1e-6, name


def test_versions_agree_to_the_bit(device: Device, numbers: Numbers) -> None:
    """One sums in the order of the other, whatever the tile; and the sum of no tap is 0."""
    there, back = numbers.suiting(device)
    y = numbers.forward(device, VERSIONS["conv"]["simple"])
    dx = numbers.backward(device, VERSIONS["conv_backward"]["simple"])
    for name in {"tiled", "depthwise"} & set(there):
        assert np.array_equal(numbers.forward(device, VERSIONS["conv"][name]), y), name
    for name in {"tiled", "depthwise"} & set(back):
        found = numbers.backward(device, VERSIONS["conv_backward"][name])
        assert np.array_equal(found, dx), name


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: f"{tile.pixels}x{tile.channels}")
def test_tiles_agree_to_the_bit(
    tile: Tile, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oneiro.kernels.conv_cuda.tile_for", lambda *_: tile)
    for name in ("1x1 of odd channels", "stride 2", "more channels than a tile", "odd groups"):
        numbers = Numbers(name)
        y, dx = (
            (numbers.forward, VERSIONS["conv"]),
            (numbers.backward, VERSIONS["conv_backward"]),
        )
        for go, versions in (y, dx):
            found = go(device, versions["tiled"])
            assert np.array_equal(found, go(device, versions["simple"])), name


def leaky_sum(v: Any, branch: Any, by_channel: Any) -> Any:
    """What the epilogues of these tests compute."""
    total = v * by_channel + branch
    return np.where(total > 0.0, total, total * 0.25)


def as_epilogue(branch: Any, by_channel: Any) -> Epilogue:
    """leaky_sum as steps."""
    float32 = np.dtype(np.float32)
    v, scale, other = (Value(f"v{k}", float32) for k in range(3))
    steps = (
        step(np.multiply, [v, scale]),
        step(np.add, [Value("t0", float32), other]),
        step(np.greater, [Value("t1", float32), Value("0.0f", float32)]),
        step(np.multiply, [Value("t1", float32), Value("0.25f", float32)]),
        step(np.where, [Value("t2", np.dtype(bool)), Value("t1", float32), Value("t3", float32)]),
    )
    return Epilogue(steps, (by_channel, branch), branch.shape)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["stride 2", "two groups", "depthwise", "first of SqueezeNet", "small groups", "one axis",
     "last, to a picture", "three axes", "1x1 of odd channels"],
)  # fmt: skip
def test_every_version_ends_with_an_epilogue(device: Device, name: str) -> None:
    numbers = Numbers(name)
    random = np.random.default_rng(2)
    for kernel, go, names, result in (
        ("conv", numbers.forward, numbers.suiting(device)[0], numbers.y),
        ("conv_backward", numbers.backward, numbers.suiting(device)[1], numbers.dx),
    ):
        branch = random.normal(size=result.shape).astype(np.float32)
        size = (result.shape[1], *(1,) * (result.ndim - 2))
        if result.ndim == 3:
            size = result.shape[2:]  # the column takes the channel's place
        by_channel = random.normal(size=size).astype(np.float32)
        wanted = leaky_sum(result, branch.astype(np.float64), by_channel.astype(np.float64))
        for version in names:
            epilogue = as_epilogue(device.place(branch), device.place(by_channel))
            found = go(device, functools.partial(VERSIONS[kernel][version], epilogue=epilogue))
            assert error(found, wanted) < 1e-6, (kernel, version)


def test_views_are_read_as_they_are_seen(device: Device) -> None:
    """Slices of channels, of pictures and of filters, and transposes."""
    random = np.random.default_rng(3)
    x = random.normal(size=(3, 12, 9, 8)).astype(np.float32)
    w = random.normal(size=(11, 8, 3, 3)).astype(np.float32)
    window = sliding_window((3, 3), (2, 1))
    on_device, filters = device.place(x), device.place(w)
    for key in ((slice(1, 3), slice(3, 11)), (slice(None), slice(None, None, -1))):
        seen = x[key][:, :8]
        wanted = conv(seen.astype(np.float64), w[3:].astype(np.float64), None, window, 1)
        found = conv(on_device[key][:, :8], filters[3:], None, window, 1)
        assert error(np.asarray(found), wanted) < 1e-6
    turned = x.transpose(0, 1, 3, 2)
    wanted = conv(turned[:, :8].astype(np.float64), w.astype(np.float64), None, window, 1)
    found = conv(on_device.transpose(0, 1, 3, 2)[:, :8], filters, None, window, 1)
    assert error(np.asarray(found), wanted) < 1e-6
    pixel = x[:1, :, :1, :1]  # all its slices are dense, wherever they begin
    ones = np.ones((5, 4, 1, 1), np.float32)
    found = conv(device.place(pixel)[:, 3:7], ones, None, sliding_window((1, 1)), 1)
    np.testing.assert_allclose(np.asarray(found).ravel(), pixel[0, 3:7].sum(), rtol=1e-5)


def test_numpy_filters_meet_an_array_on_the_device(device: Device) -> None:
    numbers = Numbers("stride 2")
    y = conv(device.place(numbers.x), numbers.w, numbers.b, numbers.window, numbers.group)
    assert error(np.asarray(y), numbers.y) < 1e-6
    dx = conv_backward(numbers.dy, device.place(numbers.w), numbers.shape, numbers.window, 1)
    assert error(np.asarray(dx), numbers.dx) < 1e-6


def test_what_no_kernel_can_do_runs_on_the_host(device: Device) -> None:
    random = np.random.default_rng(4)
    x, w = random.normal(size=(1, 2, 3, 4, 3, 5)), random.normal(size=(3, 2, 2, 1, 2, 3))
    window = sliding_window((2, 1, 2, 3))
    places = [device.place(a.astype(np.float32)) for a in (x, w)]
    y = conv(*places, None, window, 1)
    assert error(np.asarray(y), conv(x, w, None, window, 1)) < 1e-6
    exact = conv(
        device.place(x[:, :, 0]), device.place(w[:, :, 0]), None, sliding_window((1, 2, 3)), 1
    )
    assert exact.dtype == np.float64


@pytest.mark.parametrize("name", ["stride 2", "two groups", "depthwise, odd", "one axis"])
def test_filters_backward_is_a_convolution_there_too(device: Device, name: str) -> None:
    numbers = Numbers(name)
    arguments = (numbers.w.shape, numbers.window, numbers.group)
    arrays = (numbers.dy, numbers.x)
    wanted = filters_backward(*(a.astype(np.float64) for a in arrays), *arguments)
    found = filters_backward(*(device.place(a) for a in arrays), *arguments)
    assert error(np.asarray(found), wanted) < 1e-6


def test_no_pictures_give_none(device: Device) -> None:
    x, w = device.place(np.zeros((0, 3, 5, 6), np.float32)), np.ones((4, 3, 2, 3), np.float32)
    y = conv(x, w, None, sliding_window((2, 3)), 1)
    assert y.shape == (0, 4, 4, 4)
    assert conv_backward(y, w, x.shape, sliding_window((2, 3)), 1).shape == x.shape


@pytest.mark.parametrize(
    ("name", "there", "back"),
    [
        ("first of GoogLeNet", "conv_tiled", "conv_few"),
        ("last, to a picture", "conv_few", "conv_tiled"),
        ("depthwise", "conv_depthwise", "conv_depthwise"),
        ("small groups", "conv_depthwise", "conv_depthwise"),
        ("odd groups", "conv_tiled", "conv_tiled"),
        ("two groups", "conv_tiled", "conv_tiled"),
        ("three axes", "conv_simple", "conv_simple_backward"),
    ],
)
def test_layers_run_by_the_kernel_that_is_made_for_them(name: str, there: str, back: str) -> None:
    numbers = Numbers(name)
    device = Recorder(capability=(7, 5))  # without tensor cores for float32
    numbers.forward(device, conv)
    numbers.backward(device, conv_backward)
    assert [launch.function for launch in device.launches] == [there, back]


def test_tensor_cores_are_used_where_they_are_faster() -> None:
    numbers = Numbers("two groups")
    random = np.random.default_rng(5)
    w = random.normal(size=(48, 32, 3, 3)).astype(np.float32)
    x = random.normal(size=(1, 32, 9, 8)).astype(np.float32)
    for capability, precision, function in (
        ((7, 5), "exact", "conv_tiled"),
        ((8, 0), "exact", "conv_mma"),
        ((8, 6), "exact", "conv_tiled"),
        ((8, 6), "tf32", "conv_mma"),
        ((9, 0), "exact", "conv_mma"),
        ((12, 0), "exact", "conv_tiled"),
    ):
        device = Recorder(capability, precision)
        conv(device.place(x), device.place(w), None, numbers.window, 1)
        assert device.launches[0].function == function, (capability, precision)


def test_a_layer_with_few_pixels_gets_small_tiles() -> None:
    """A large layer reads least by large tiles; a small one would leave processors idle."""
    window = sliding_window((3, 3), (), (1, 1, 1, 1))
    large = Problem(False, 1, 1, 64, 128, (256, 256), (256, 256), window)
    small = large._replace(size=(14, 14), counts=(14, 14))
    narrow = large._replace(outputs=16)
    assert tile_for(large, 132) == TILES[0]
    assert tile_for(small, 132) == TILES[-1]
    assert tile_for(narrow, 132).channels == 32
