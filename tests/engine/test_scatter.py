"""Scatter pictures: dots where the points are, in the colours of the legend."""

import numpy as np
import pytest

from oneiro import ArgumentError, Picture
from oneiro.scatter import COLUMN, FEW, PLAIN, SIDE, label_colours, scatter

POINTS = np.array([[0.0, 0], [4, 0], [0, 3], [2, 1]])


def near(image: Picture, x: int, y: int, colour: np.ndarray) -> bool:
    """Is there a pixel of that colour within a few pixels of the place?"""
    part = np.asarray(image)[max(y - 9, 0) : y + 9, max(x - 9, 0) : x + 9]
    return bool((np.abs(part - np.rint(colour)).max(axis=-1) <= 2).any())


def test_dots_lie_where_the_points_do_with_y_upwards() -> None:
    image = scatter(POINTS, [0, 1, -1, 0], ["cat", "dog"])
    assert image.shape == (SIDE, SIDE + COLUMN, 3)
    cat, dog = label_colours(2)
    scale = (SIDE - 8 * 9.0) / 4
    places = SIDE / 2 + (POINTS - [2, 1.5]) * [1, -1] * scale
    for (x, y), colour in zip(places, [cat, dog, PLAIN, cat], strict=True):
        assert near(image, round(x), round(y), np.asarray(colour))
    assert near(image, SIDE + 15, 24 + 14, cat)
    assert near(image, SIDE + 15, 24 + 44, dog)
    assert near(image, SIDE + 15, 24 + 74, np.asarray(PLAIN))


def test_without_labels_there_is_no_legend() -> None:
    assert scatter(POINTS).shape == (SIDE, SIDE, 3)
    assert scatter(POINTS, title="four dots").shape[0] > SIDE


def test_of_many_labels_some_are_named() -> None:
    count = 5 * FEW
    points = np.random.default_rng(0).normal(size=(count, 2))
    many = scatter(points, range(count), [f"label {k}" for k in range(count)])
    assert many.shape == (SIDE, SIDE + COLUMN, 3)


def test_colours_of_a_few_labels_are_far_apart() -> None:
    for count in (2, 7, 10, FEW):
        colours = label_colours(count)
        apart = np.linalg.norm(colours[:, None] - colours, axis=2) + 1e3 * np.eye(count)
        assert apart.min() > 20
        assert (colours.max(1) > 120).all()


def test_one_point_and_equal_points() -> None:
    for points in (np.zeros((1, 2)), np.full((5, 2), 3.0)):
        middle = np.asarray(scatter(points))[SIDE // 2, SIDE // 2]
        np.testing.assert_allclose(middle, PLAIN, atol=1)


def test_what_makes_no_sense() -> None:
    with pytest.raises(ArgumentError, match=r"points are \(2, 3\)"):
        scatter(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="one for each of 4 points"):
        scatter(POINTS, [0, 0], ["a"])
