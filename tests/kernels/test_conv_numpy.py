"""Convolution in strips, shared by threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import conv_numpy, crew
from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.window import Window, padded, padded_shape, sliding_window, unpadded


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    crew.use(3)
    yield
    crew.use(None)


def cut_small(monkeypatch: pytest.MonkeyPatch, elements: int = 200) -> None:
    monkeypatch.setattr(crew, "WAKING", 0)
    monkeypatch.setattr(conv_numpy, "STRIP", 1)
    monkeypatch.setattr(conv_numpy, "COLUMNS", 1)
    monkeypatch.setattr(conv_numpy, "CHANNELS", 2)
    monkeypatch.setattr(conv_numpy, "PATCHES", elements)
    monkeypatch.setattr(conv_numpy, "MESSAGES", elements)


def directly(x: Any, w: Any, window: Window, group: int) -> Any:
    """The convolution by its definition, a tap at a time."""
    counts = window.sizes(x.shape[2:])
    full = padded(x, window, 0)
    w = w.reshape(group, -1, *w.shape[1:])
    y = np.zeros((len(x), group, w.shape[1], *counts))
    for place, sweep in window.offsets(counts):
        seen = full[sweep].reshape(len(x), group, w.shape[2], *counts)
        y += np.einsum("ngc...,goc->ngo...", seen, w[(..., *place)])
    return y.reshape(len(x), group * w.shape[1], *counts)


def back_directly(dy: Any, w: Any, shape: Any, window: Window, group: int) -> Any:
    """Its adjoint: each output goes to all that it was made of."""
    counts = dy.shape[2:]
    w = w.reshape(group, -1, *w.shape[1:])
    dx = np.zeros(padded_shape(shape, window))
    dy = dy.reshape(len(dy), group, w.shape[1], *counts)
    for place, sweep in window.offsets(counts):
        told = np.einsum("ngo...,goc->ngc...", dy, w[(..., *place)])
        dx[sweep] += told.reshape(dx[sweep].shape)
    return unpadded(dx, window, shape[2:])


def some_windows() -> Iterator[tuple[Window, tuple[int, ...]]]:
    """Windows of all kinds, and pictures that they fit into."""
    random = np.random.default_rng(0)
    for k in range(150):
        rank = (1, 2, 2, 3)[k % 4]
        spatial = tuple(random.integers(1, 9, rank).tolist())
        sides = (random.integers(1, 4, rank).tolist() for _ in range(3))
        kernel, strides, dilations = sides
        pads = random.integers(0, 4, 2 * rank).tolist()
        window = sliding_window(kernel, strides, pads, dilations, ceil=k % 5 == 0)
        reach = zip(spatial, window.before, window.after, window.span, strict=True)
        if all(size + before + after >= span for size, before, after, span in reach):
            yield window, spatial


@pytest.mark.parametrize("elements", [20, 1 << 18])
def test_any_window(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    cut_small(monkeypatch, elements)
    random = np.random.default_rng(1)
    for k, (window, spatial) in enumerate(some_windows()):
        group = (1, 1, 2, 3)[k % 4]
        x = random.normal(size=(k % 3, 2 * group, *spatial))
        w = random.normal(size=(3 * group, 2, *window.kernel))
        y = conv(x, w, None, window, group)
        np.testing.assert_allclose(y, directly(x, w, window, group), atol=1e-12)
        dy = random.normal(size=y.shape)
        found = conv_backward(dy, w, x.shape, window, group)
        wanted = back_directly(dy, w, x.shape, window, group)
        np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (3, 5, 1, 2)])
def test_strides_far_longer_than_the_picture(pads: tuple[int, ...]) -> None:
    """As a hostile file may have them: the time they take is that of the picture."""
    random = np.random.default_rng(0)
    window = sliding_window((2, 3), (1 << 40, 1 << 50), pads)
    x = random.normal(size=(1, 4, 5, 7))
    w = random.normal(size=(6, 2, 2, 3))
    y = conv(x, w, None, window, 2)
    assert y.shape == (1, 6, 1, 1)
    found = conv_backward(y, w, x.shape, window, 2)
    np.testing.assert_allclose(found, back_directly(y, w, x.shape, window, 2), atol=1e-12)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small(monkeypatch)
    random = np.random.default_rng(0)
    window = sliding_window((3, 2), (1, 2), (1, 1, 1, 0))
    for shape, group in (((1, 6, 23, 14), 1), ((3, 6, 11, 14), 3)):
        x = random.normal(size=shape).astype(np.float32)
        w = random.normal(size=(9, 6 // group, 3, 2)).astype(np.float32)
        found = []
        for count in (1, 2, 5):
            crew.use(count)
            y = conv(x, w, w[:, 0, 0, 0], window, group)
            found.append((y, conv_backward(y, w, shape, window, group)))
        for y, dx in found[1:]:
            np.testing.assert_array_equal(y, found[0][0])
            np.testing.assert_array_equal(dx, found[0][1])


def test_arrays_may_lie_anyhow() -> None:
    random = np.random.default_rng(0)
    window = sliding_window((3, 3), (1, 1), (1, 1, 1, 1))
    x = random.normal(size=(2, 9, 4, 11)).transpose(0, 2, 3, 1)[:, ::-1]
    w = random.normal(size=(3, 3, 4, 5)).transpose(3, 2, 0, 1)
    for filters in (w, w[:, :, :1, :1]):
        sees = window if filters is w else sliding_window((1, 1))
        y = conv(x, filters, None, sees, 1)
        np.testing.assert_allclose(y, directly(x, filters, sees, 1), atol=1e-12)
        dy = y[:, :, ::-1]
        dx = conv_backward(dy, filters, x.shape, sees, 1)
        np.testing.assert_allclose(dx, back_directly(dy, filters, x.shape, sees, 1), atol=1e-12)


def test_what_a_product_reads_stays_small() -> None:
    """Filters as large as a picture, as those of the way back in filters are."""
    blocks, strips = conv_numpy.cut(1, 1, 9, 7, 1 << 24, 1e9)
    assert blocks == 1
    assert strips == 9
