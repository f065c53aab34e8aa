"""Canvases: their bounds, their way back, and what waves and colours are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import Net, Preprocess
from oneiro.canvas import COLOURS, Pixels, Waves, natural, pixels, ring, waves
from oracle import small
from oracle.adjoint import check_adjoint

WAYS = {
    "caffe": Preprocess((104, 117, 123), 1.0, "BGR"),
    "torch": Preprocess((124, 116, 104), (0.017, 0.0175, 0.0174)),
    "unit": Preprocess(0.0, 1 / 255),
    "negative": Preprocess(255.0, -1 / 255),
}


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = WAYS["torch"]
    return net


def normal(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "make", [pixels, lambda net: waves(net, 6, 9), lambda net: waves(net, 6, 9, False)]
)
def test_the_way_back_is_the_derivative(
    net: Net, way: str, make: Callable[[Net], Pixels | Waves]
) -> None:
    net.preprocessing = WAYS[way]
    canvas = make(net)
    backs: list[Any] = []

    def forward(z: Any) -> Any:
        x, back = canvas.apply(z)
        backs[:] = [back]
        return x

    random = np.random.default_rng(0)
    check_adjoint(forward, lambda dx: backs[0](dx), [0.1 * normal(2, 3, 6, 9)], [0], random)


@pytest.mark.parametrize("way", WAYS)
def test_waves_stay_between_black_and_white(net: Net, way: str) -> None:
    net.preprocessing = WAYS[way]
    x, _ = waves(net, 6, 9).apply(3 * normal(1, 3, 6, 9))
    values = np.asarray(net.deprocess(x))
    assert values.min() >= -1e-3
    assert values.max() <= 255 + 1e-3
    assert np.ptp(values) > 100


@pytest.mark.parametrize("way", WAYS)
def test_no_waves_are_middle_grey(net: Net, way: str) -> None:
    net.preprocessing = WAYS[way]
    x, _ = waves(net, 6, 9).apply(np.zeros((1, 3, 6, 9)))
    np.testing.assert_allclose(net.deprocess(x), 127.5, rtol=1e-5)


def test_a_colour_is_the_same_in_each_net(net: Net) -> None:
    z = 0.2 * normal(1, 3, 6, 9)
    found = []
    for way in WAYS.values():
        net.preprocessing = way
        found.append(np.asarray(net.deprocess(waves(net, 6, 9).apply(z)[0])))
    for picture in found[1:]:
        np.testing.assert_allclose(picture, found[0], atol=1e-3)


def test_colours_vary_as_those_of_photos_do(net: Net) -> None:
    """Of many draws of small waves, the covariance is COLOURS times its transpose."""
    z = np.random.default_rng(0).normal(size=(300, 3, 6, 9)) / natural(6, 9, 1.0)
    net.preprocessing = Preprocess(0.0, 1.0, "BGR")
    x, _ = waves(net, 6, 9).apply(1e-3 * z)
    shades = x.transpose(1, 0, 2, 3).reshape(3, -1)[::-1]  # of blue, green, red
    expected = COLOURS @ COLOURS.T
    assert np.corrcoef(shades)[0, 1] == pytest.approx(
        expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1]), abs=0.01
    )


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_a_ring_is_fourier_s_transform_in_real_numbers(n: int) -> None:
    x = normal(n)
    spectrum = np.fft.fft(x)
    np.testing.assert_allclose(ring(n) @ x, (spectrum.real - spectrum.imag) / np.sqrt(n), atol=1e-9)
    np.testing.assert_allclose(ring(n) @ ring(n), np.eye(n), atol=1e-9)
    np.testing.assert_array_equal(ring(n), ring(n).T)


def test_amplitudes_fall_with_frequency() -> None:
    plain, steep = natural(8, 12, 1.0), natural(8, 12, 2.0)
    assert plain[0, 0] == plain[0, 1] == steep[0, 0] == 3.0  # 1 / (4 / 12)
    assert plain[0, 6] == pytest.approx(0.5)
    assert plain[0, 2] / steep[0, 2] == pytest.approx(2)
    np.testing.assert_allclose(plain[1:, 1:], plain[1:, 1:][::-1, ::-1])  # both signs alike


def test_pixels_are_grey_values_from_the_mean(net: Net) -> None:
    net.preprocessing = WAYS["caffe"]
    x, _ = pixels(net).apply(np.full((1, 3, 2, 2), 7.0))
    np.testing.assert_allclose(net.deprocess(x)[0, 0], [130, 124, 111])
    net.preprocessing = WAYS["unit"]  # takes off no mean
    x, _ = pixels(net).apply(np.full((1, 3, 2, 2), 7.0))
    np.testing.assert_allclose(net.deprocess(x)[0, 0], 134.5, rtol=1e-5)
