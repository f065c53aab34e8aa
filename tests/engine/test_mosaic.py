"""Points on a grid: each its own cell, as near as can be, and their pictures there."""

import itertools

import numpy as np
import pytest

from oneiro import ArgumentError, Picture, mosaic
from oneiro.mosaic import grid_shape, snapped


def clusters(n: int, seed: int = 0) -> np.ndarray:
    """Points in a dozen heaps, as t-SNE makes them: a hard case for a grid."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(12, 2)) * 4
    return centres[random.integers(0, 12, n)] + random.normal(size=(n, 2))


def ways(points: np.ndarray, cells: np.ndarray, rows: int, columns: int) -> float:
    """The mean of the squared ways from the points, stretched over the grid, to their cells."""
    share = (points - points.min(0)) / np.ptp(points, axis=0)
    wished = np.stack([(1 - share[:, 1]) * (rows - 1), share[:, 0] * (columns - 1)], axis=1)
    return float(((wished - cells) ** 2).sum(1).mean())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 11, 17, 50, 97, 1000, 1797, 9973])
def test_a_grid_is_a_landscape_with_few_empty_cells(count: int) -> None:
    rows, columns = grid_shape(count)
    assert rows * columns >= count
    assert columns / 2 <= rows <= columns
    assert rows * columns - count <= max(4, 0.02 * count)


def test_y_goes_upwards() -> None:
    points = np.array([[0, 0], [9, 0], [0, 5], [9, 5], [4.4, 5]])
    expected = [[1, 0], [1, 2], [0, 0], [0, 2], [0, 1]]
    np.testing.assert_array_equal(snapped(points, 2, 3), expected)


def test_a_small_grid_is_the_best_of_all() -> None:
    points = clusters(6)
    cells = list(itertools.product(range(2), range(3)))
    best = min(ways(points, np.array(p), 2, 3) for p in itertools.permutations(cells))
    assert ways(points, snapped(points, 2, 3), 2, 3) == pytest.approx(best)


@pytest.mark.parametrize("count", [1000, 985])
def test_a_grid_in_parts_is_nearly_the_best(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    points = clusters(count)
    whole = snapped(points, 25, 40)
    monkeypatch.setattr(mosaic, "EXACT", 500)
    monkeypatch.setattr(mosaic, "WINDOW", 14)
    parts = snapped(points, 25, 40)
    for cells in (whole, parts):
        assert len({*map(tuple, cells)}) == count
        assert cells.min(0).tolist() >= [0, 0]
        assert (cells < [25, 40]).all()
    best = ways(points, whole, 25, 40)
    assert best <= ways(points, parts, 25, 40) < 1.1 * best


def test_points_in_one_place_and_in_a_line() -> None:
    assert len({*map(tuple, snapped(np.ones((12, 2)), 3, 4))}) == 12
    line = np.stack([np.arange(12), np.zeros(12)], axis=1)
    assert (np.diff(snapped(line, 3, 4)[:, 1]) >= 0).all()


def test_pictures_lie_where_their_points_do() -> None:
    shades = {k: Picture(np.full((20, 30, 3), 40.0 * k)) for k in range(6)}
    points = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])
    image = mosaic.mosaic(points, shades.__getitem__, side=10)
    assert image.shape == (2 * 12 + 2, 3 * 12 + 2, 3)
    centres = image[[[7], [19]], [7, 19, 31], 0]
    np.testing.assert_array_equal(centres, [[120, 160, 200], [0, 40, 80]])


def test_what_makes_no_sense() -> None:
    with pytest.raises(ArgumentError, match="5 points do not fit into 2 x 2"):
        snapped(clusters(5), 2, 2)
    with pytest.raises(ArgumentError, match=r"points are \(3, 3\)"):
        snapped(np.zeros((3, 3)), 2, 2)
    with pytest.raises(ArgumentError, match="at most 64 million"):
        mosaic.mosaic(clusters(9), lambda k: Picture(np.zeros((1, 1, 3))), side=4000)
