"""Charts: curves where their values are."""

import numpy as np

from oneiro.chart import INKS, PALE, chart


def rows(page: np.ndarray, colour: tuple[int, int, int], column: int) -> np.ndarray:
    """The rows of a column that a curve of that colour touches."""
    apart = np.abs(np.asarray(page)[:, column] - colour).max(1)
    return np.nonzero(apart < 40)[0]


def test_a_curve_goes_where_its_values_are() -> None:
    page = chart({"up": np.linspace(0, 1, 11), "flat": [0.5] * 4}, 300, 200, "of it", ["flat"])
    assert page.shape == (200, 300, 3)
    early, late = rows(page, INKS[0], 100), rows(page, INKS[0], 250)
    assert early.max() > late.max() + 40
    assert np.ptp(rows(page, PALE, 120)) <= 3


def test_values_that_are_all_the_same_have_a_chart() -> None:
    assert chart({"none": [0, 0, 0]}, 120, 90).shape == (90, 120, 3)
    assert chart({"below": [-1, -2]}, 120, 90).shape == (90, 120, 3)
