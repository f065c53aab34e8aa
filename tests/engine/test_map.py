"""Maps: what they are, and what is seen of them."""

import io

import numpy as np
import pytest
from PIL import Image

from oneiro import ArgumentError, Map, Picture
from oneiro.colour import diverging, sequential
from oneiro.map import resized

HILL = np.exp(-((np.mgrid[-2:2:19j, -2:2:31j]) ** 2).sum(0)).astype(np.float32)


def test_a_map_is_an_array_that_knows_what_it_shows() -> None:
    found = Map(HILL, "a hill", recipe={"method": "hill"})
    assert found.dtype == np.float32
    assert (found.caption, found.signed, found.recipe) == ("a hill", False, {"method": "hill"})
    assert isinstance(found.max(), np.float32)
    part = found[2:9, 3:11]
    assert isinstance(part, Map)
    assert (part.caption, part.recipe) == ("a hill", None)
    assert (found * 2).recipe is None


def test_what_is_no_map() -> None:
    for shape in ((3,), (0, 4), (2, 3, 4)):
        with pytest.raises(ArgumentError, match="no map"):
            Map(np.zeros(shape))


def test_a_few_outliers_do_not_darken_the_rest() -> None:
    values = HILL.copy()
    values[0, 0] = 1e6
    low, high = Map(values).limits()
    assert low == 0
    assert high == pytest.approx(HILL.max(), rel=0.05)
    assert Map(-values, signed=True).limits() == (-high, high)
    assert Map(np.zeros((3, 4))).limits() == (0, 0)


def test_colours() -> None:
    found = Map(HILL)
    np.testing.assert_array_equal(found.colours(), sequential(HILL, *found.limits()))
    both = Map(HILL - 0.4, signed=True)
    np.testing.assert_array_equal(both.colours(), diverging(HILL - 0.4, both.limits()[1]))


def test_the_picture_below_shows_through_in_grey_where_there_is_nothing() -> None:
    values = np.zeros((19, 31), np.float32)
    values[5:9, 10:20] = 1
    photo = Picture(np.full((38, 62, 3), (200, 100, 60)))
    drawn = Map(values).bare(photo)
    assert drawn.shape == (38, 62, 3)
    np.testing.assert_array_equal(drawn[0, 0], drawn[-1, -1, 0])  # grey
    assert drawn[14, 30, 0] > drawn[0, 0, 0] + 50


def test_the_page_has_legend_and_caption_and_keeps_the_recipe() -> None:
    found = Map(HILL, "a hill of no great height", recipe={"method": "hill"})
    page = found.picture(np.zeros((190, 310, 3)))
    assert page.shape[0] > 220
    assert page.shape[1] == 310
    assert page.recipe == {"method": "hill"}
    plain = Map(HILL).picture()
    assert plain.shape[1] == 160  # room for the legend
    shown = found._repr_png_()
    assert shown is not None
    with Image.open(io.BytesIO(shown)) as image:
        assert image.size[0] == 160
    assert Map([[np.nan]])._repr_png_() is None


def test_another_size_keeps_borders_on_borders() -> None:
    steps = np.repeat(np.arange(4.0)[:, None], 3, axis=1)
    larger = np.asarray(Map(steps).resized(8, 3))
    np.testing.assert_allclose(larger[:, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    colours = np.random.default_rng(0).normal(size=(5, 7, 3))
    assert resized(colours, 11, 9).shape == (11, 9, 3)
    np.testing.assert_array_equal(Map(steps).resized(4, 3), steps)
