"""Winograd's convolution against the specification of conv, in float64."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs numba (pip install 'oneiro[cpu]')")

from oneiro.kernels import crew, winograd, winograd_numba
from oneiro.kernels.conv import conv, conv_backward, mirrored
from oneiro.kernels.dispatch import Array
from oneiro.kernels.plain import in_blocks
from oneiro.kernels.tail import NOTHING, RECTIFIER, Tail
from oneiro.kernels.window import Window, sliding_window

Shape = tuple[int, int, int, int]

CASES: list[tuple[Shape, int, tuple[int, int, int, int]]] = [
    ((1, 1, 1, 1), 1, (1, 1, 1, 1)),
    ((1, 2, 3, 4), 5, (0, 0, 0, 0)),
    ((2, 5, 7, 9), 3, (1, 1, 1, 1)),
    ((2, 17, 30, 13), 19, (0, 2, 1, 3)),
    ((3, 4, 5, 6), 7, (5, 6, 7, 8)),  # whole tiles see nothing but padding
    ((1, 3, 2, 141), 33, (3, 0, 2, 1)),  # rows of more tiles than a group
    ((1, 35, 29, 26), 18, (2, 1, 0, 1)),
    ((5, 6, 4, 4), 4, (1, 1, 1, 1)),  # a vector of tiles of several pictures
]


def window(pads: tuple[int, ...]) -> Window:
    return sliding_window((3, 3), pads=pads)


def drawn(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def wide(*values: Any) -> list[Any]:
    return [value if value is None else value.astype(np.float64) for value in values]


def convolved(
    x: Array, w: Array, b: Array | None, pads: tuple[int, ...], tail: Tail = NOTHING
) -> Array:
    n, _, height, width = x.shape
    sizes = window(pads).sizes((height, width))
    out = np.full((n, w.shape[0], *sizes), np.nan, np.float32)
    winograd.convolve(out, x, in_blocks(w.reshape(len(w), -1)), b, pads, tail)
    return out


def assert_close(actual: Array, expected: Array) -> None:
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= 2e-6 * np.linalg.norm(expected)


@pytest.fixture(params=["strips", "bands"])
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which threads share a call, the second with several bands and pieces."""
    strips = request.param == "strips"
    monkeypatch.setattr(winograd, "STRIPS", 1 if strips else 10**9)
    monkeypatch.setattr(winograd, "CACHED", 0)
    monkeypatch.setattr(winograd, "BAND", 1 << 14)
    monkeypatch.setattr(winograd, "ENTERING", 1 << 6)
    monkeypatch.setattr(winograd, "LEAVING", 1)


@pytest.mark.parametrize(("shape", "filters", "pads"), CASES)
@pytest.mark.usefixtures("sharing")
def test_it_is_conv(shape: Shape, filters: int, pads: tuple[int, int, int, int]) -> None:
    x, w, b = drawn(shape), drawn((filters, shape[1], 3, 3), 1), drawn((filters,), 2)
    for bias in (b, None):
        expected = conv.specification(*wide(x, w, bias), window(pads), 1)
        assert_close(convolved(x, w, bias, pads), expected)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("added", [False, True])
def test_tail(added: bool, gated: bool, rectify: bool) -> None:
    x, w, b = drawn((2, 6, 9, 23)), drawn((5, 6, 3, 3), 1), drawn((5,), 2)
    add = drawn((2, 5, 10, 22), 3) if added else None
    gate = drawn((2, 5, 10, 22), 4) if gated else None
    tail = Tail(add, gate, bounds=RECTIFIER if rectify else None)
    expected = tail.of(conv.specification(*wide(x, w, b), window((1, 0, 2, 1)), 1))
    assert_close(convolved(x, w, b, (1, 0, 2, 1), tail), expected)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 1, 2)])
def test_mirrored_filters_are_the_adjoint(pads: tuple[int, int, int, int]) -> None:
    w = drawn((9, 6, 3, 3), 1)
    shape = (2, 6, 11, 14)
    dy = drawn((2, 9, *window(pads).sizes(shape[2:])))
    expected = conv_backward.specification(*wide(dy, w), shape, window(pads), 1)
    back = tuple(2 - pad for pad in pads)
    assert_close(convolved(dy, mirrored(w, 1), None, back), expected)


def test_any_sharing_by_any_number_of_threads_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, w, b = drawn((1, 20, 50, 43)), drawn((37, 20, 3, 3), 1), drawn((37,), 2)
    monkeypatch.setattr(winograd, "CACHED", 0)
    monkeypatch.setattr(winograd, "BAND", 1 << 16)
    results = []
    for strips in (1, 10**9):
        monkeypatch.setattr(winograd, "STRIPS", strips)
        for threads in (1, 3):
            crew.use(threads)
            results.append(convolved(x, w, b, (1, 1, 1, 1)).tobytes())
    crew.use(None)
    assert len(set(results)) == 1


def test_what_no_tile_sees_does_not_matter() -> None:
    x, w = drawn((1, 3, 6, 7)), drawn((4, 3, 3, 3), 1)
    expected = convolved(x, w, None, (1, 1, 1, 1))
    for name in ("values", "tiles"):
        crew.scratch(name, (winograd_numba.SCRATCH,), np.float32)[:] = np.nan
    np.testing.assert_array_equal(convolved(x, w, None, (1, 1, 1, 1)), expected)


def test_constant_pictures_stay_constant() -> None:
    """Equal windows give equal bits, wherever they lie in a vector: ties stay ties."""
    x, w = np.full((1, 8, 90, 90), 0.3, np.float32), drawn((20, 8, 3, 3), 1)
    y = convolved(x, w, None, (0, 0, 0, 0))
    tiles = y.reshape(20, 22, 4, 22, 4).transpose(1, 3, 0, 2, 4)
    assert (tiles == tiles[0, 0]).all()


@pytest.mark.parametrize(
    ("shape", "filters", "suited"),
    [
        ((1, 64, 224, 224), 64, True),
        ((1, 512, 28, 28), 512, True),
        ((1, 96, 28, 28), 128, True),
        ((4, 512, 7, 7), 512, True),  # tiles of several pictures share a vector
        ((1, 512, 7, 7), 512, False),
        ((1, 3, 224, 224), 64, False),
        ((1, 64, 14, 14), 64, False),
    ],
)
def test_suits(shape: Shape, filters: int, suited: bool) -> None:
    weights = (filters, shape[1], 3, 3)
    assert winograd.suits(shape, weights, window((1, 1, 1, 1)), 1) == suited


@pytest.mark.parametrize(
    ("case", "group"),
    [
        (sliding_window((3, 3), (2, 2)), 1),
        (sliding_window((3, 3), dilations=(1, 2)), 1),
        (sliding_window((5, 3)), 1),
        (sliding_window((3,)), 1),
        (sliding_window((3, 3)), 2),
    ],
)
def test_other_windows_do_not_suit(case: Window, group: int) -> None:
    shape = (1, 128, *(96,) * case.rank)
    assert not winograd.suits(shape, (128, 128 // group, *case.kernel), case, group)
