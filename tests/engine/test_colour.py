"""Colours of values: even steps, ends, the middle, and what has no colour."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import ArgumentError
from oneiro.colour import diverging, mid_grey, sequential

RAMP = np.linspace(-1, 1, 511)[None]  # (1, 511)


def oklab(colours: NDArray[np.float32]) -> NDArray[np.float64]:
    """SRGB of 0..255 in OKLab, (..., 3), by Ottosson's other matrices."""
    shares = colours.astype(np.float64) / 255
    linear = np.where(shares > 0.04045, ((shares + 0.055) / 1.055) ** 2.4, shares / 12.92)
    to_lms = np.array([
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ])  # fmt: skip
    to_lab = np.array([
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ])  # fmt: skip
    return np.asarray(np.cbrt(linear @ to_lms.T) @ to_lab.T)


@pytest.mark.parametrize("colours", [sequential, diverging])
def test_steps_look_even(colours: Callable[..., NDArray[np.float32]]) -> None:
    drawn = colours(RAMP)
    assert drawn.shape == (1, 511, 3)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 255
    steps = np.linalg.norm(np.diff(oklab(drawn[0]), axis=0), axis=1)
    assert steps.max() < 1.1 * steps.min()


def test_sequential_grows_ever_lighter() -> None:
    lightness = oklab(sequential(RAMP)[0])[:, 0]
    assert (np.diff(lightness) > 0).all()
    assert lightness[0] < 0.2
    assert lightness[-1] > 0.9


def test_diverging_is_blue_below_zero_and_red_above_and_as_dark_on_both_sides() -> None:
    drawn = diverging(RAMP)[0]
    lightness = oklab(drawn)[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=0.02)
    assert lightness.argmax() == 255
    assert drawn[255].min() > 240
    assert (drawn[:200, 2] > drawn[:200, 0] + 30).all()
    assert (drawn[311:, 0] > drawn[311:, 2] + 30).all()


def test_ends_are_the_values_own_or_given_and_hold_what_lies_beyond() -> None:
    values = np.array([[2.0, 3, 5], [7, 11, 13]])
    np.testing.assert_array_equal(sequential(values), sequential((values - 2) / 11, 0, 1))
    np.testing.assert_array_equal(sequential(values, 3, 7)[0, 0], sequential(values, 3, 7)[0, 1])
    np.testing.assert_array_equal(sequential(values, 3, 7)[1, 0], sequential(values, 3, 7)[1, 2])
    np.testing.assert_array_equal(diverging(values), diverging(values / 13, 1))
    np.testing.assert_array_equal(diverging([[-9, 0, 9]], 3), diverging([[-3, 0, 3]]))


@pytest.mark.parametrize("value", [0, 5, -5])
def test_a_flat_map_is_of_one_colour(value: float) -> None:
    flat = np.full((2, 3), value)
    np.testing.assert_array_equal(sequential(flat), np.tile(sequential([[0, 1]])[0, 0], (2, 3, 1)))
    assert np.ptp(diverging(flat), axis=(0, 1)).max() == 0
    np.testing.assert_array_equal(diverging(0 * flat)[0, 0], diverging([[-1, 0, 1]])[0, 1])


def test_mid_grey_is_the_values_round_grey() -> None:
    values = np.array([[[-2.0, 0, 1]], [[2, 4, -8]]])
    drawn = mid_grey(values, 4)
    np.testing.assert_allclose(drawn, [[[63.75, 127.5, 159.375]], [[191.25, 255, 0]]])
    assert (mid_grey(np.zeros((2, 3, 1))) == 127.5).all()


def test_a_lone_peak_does_not_pale_the_rest() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (41, 43, 3))
    values[7, 5, 1] = 1000
    drawn = mid_grey(values)
    assert drawn.std() > 70
    assert drawn[7, 5, 1] == 255
    assert mid_grey(np.eye(40)[..., None]).max() == 255  # more zeros than the quantile passes over


@pytest.mark.parametrize("colours", [sequential, diverging])
@pytest.mark.parametrize(
    "values", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 3, 1)), np.array([[1, np.nan]])]
)
def test_what_has_no_colour(
    colours: Callable[..., NDArray[np.float32]], values: NDArray[np.float64]
) -> None:
    with pytest.raises(ArgumentError, match="values"):
        colours(values)


def test_what_is_no_signed_picture() -> None:
    with pytest.raises(ArgumentError, match=r"\(2, 3\).*\(h, w, c\)"):
        mid_grey(np.zeros((2, 3)))
