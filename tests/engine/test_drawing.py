"""Contact sheets, overlays, legends, captions: where everything is."""

from typing import Any

import numpy as np
import pytest

from oneiro.colour import diverging, sequential
from oneiro.drawing import (
    bars,
    captioned,
    enlarged,
    key,
    legend,
    overlay,
    readable,
    sheet,
    stacked,
    written,
)
from oneiro.error import ArgumentError, PictureError
from oneiro.image import Picture

DARK = (24, 24, 27)
RED = (200, 10, 10)


def flat(height: int, width: int, colour: tuple[int, int, int] = RED) -> np.ndarray:
    return np.full((height, width, 3), colour, np.float32)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the pixels of one colour."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(axis=2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_a_sheet_is_a_picture_and_holds_its_tile_unchanged() -> None:
    tile = np.random.default_rng(1).integers(30, 256, (37, 53, 3))
    page = sheet([tile], ["noise"])
    assert isinstance(page, Picture)
    assert page.dtype == np.float32
    margin = np.argmax((page != DARK).any(axis=(1, 2)))
    np.testing.assert_array_equal(page[margin : margin + 37, margin : margin + 53], tile)


def test_tiles_of_different_sizes_are_centred() -> None:
    page = sheet([flat(90, 120, (0, 90, 0)), flat(31, 41)], ["large", "small"], columns=1)
    large = where(page, (0, 90, 0))
    small = where(page, RED)
    assert large[1] - large[0] == 90
    assert large[3] - large[2] == 120
    assert small[1] - small[0] == 31
    assert small[3] - small[2] == 41
    assert abs(sum(large[2:]) - sum(small[2:])) <= 1
    assert small[0] > large[1]


@pytest.mark.parametrize(
    ("count", "columns", "across"), [(6, 3, 3), (6, 9, 6), (1, None, 1), (12, None, 4)]
)
def test_columns(count: int, columns: int | None, across: int) -> None:
    page = sheet([flat(150, 150)] * count, ["tile"] * count, columns)
    row = (np.asarray(page) == RED).all(axis=2).any(axis=0)
    assert np.count_nonzero(np.diff(row.astype(int)) == 1) == across


def test_captions_stand_below_their_tiles_and_within_their_width() -> None:
    long = "inception_4c/a_very_long_name_of_a_layer/that_goes_on/output_reduce:0"
    page = np.asarray(sheet([flat(60, 140), flat(60, 140)], [long, ""], columns=2))
    _, bottom, left, _ = where(page, RED)
    below = (page[bottom:] != DARK).any(axis=(0, 2)).nonzero()[0]
    assert below.size
    assert below.min() >= left
    assert below.max() <= left + 140
    assert below.size > 80  # shortened no more than it must be


def test_captions_are_shortened_in_the_middle() -> None:
    tile = flat(20, 100)
    pages = [sheet([tile], [f"{head}{'m' * 40}{tail}"]) for head in "ax" for tail in "ax"]
    different = {page.tobytes() for page in pages}
    assert len(different) == 4  # both ends are still to be read


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (250, 240, 230)])
def test_captions_can_be_read_on_any_background(background: tuple[int, int, int]) -> None:
    page = np.asarray(sheet([flat(20, 100)], ["readable"], background=background))
    bottom = where(page, RED)[1]
    assert np.abs(page[bottom:] - background).max() > 150


def test_grey_and_transparent_pictures_are_shown_as_they_look() -> None:
    clear = np.zeros((30, 40, 4), np.uint8)
    page = np.asarray(sheet([np.full((30, 40), 77.0), clear], ["grey", "clear"], columns=2))
    assert where(page, (77, 77, 77))[1] - where(page, (77, 77, 77))[0] == 30
    assert where(page, (255, 255, 255))[1] - where(page, (255, 255, 255))[0] == 30


def test_one_pixel() -> None:
    assert sheet([flat(1, 1)], ["a single pixel"]).ndim == 3


@pytest.mark.parametrize(
    ("pictures", "captions", "columns"),
    [([], [], None), ([flat(3, 4)], [], None), ([flat(3, 4)], ["one"], 0)],
)
def test_arguments_that_make_no_sheet(
    pictures: list[np.ndarray], captions: list[str], columns: int | None
) -> None:
    with pytest.raises(ArgumentError, match=r"pictures|columns"):
        sheet(pictures, captions, columns)


def test_what_is_no_picture() -> None:
    with pytest.raises(PictureError, match="5 channels"):
        sheet([np.zeros((3, 4, 5))], ["five"])


# Overlays.


def test_an_overlay_is_the_grey_photo_mixed_with_the_colours() -> None:
    photo = np.random.default_rng(2).uniform(0, 255, (3, 5, 3)).astype(np.float32)
    colours = flat(3, 5)
    grey = np.rint(photo) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(overlay(photo, colours, 1), colours)
    np.testing.assert_allclose(overlay(photo, colours, 0), np.dstack([grey] * 3), rtol=1e-5)
    share = np.linspace(0, 1, 15).reshape(3, 5)
    mixed = share[..., None] * colours + (1 - share[..., None]) * grey[..., None]
    np.testing.assert_allclose(overlay(photo, colours, share), mixed, rtol=1e-5)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.zeros((2, 2)), np.nan])
def test_alpha_is_a_share(alpha: Any) -> None:
    with pytest.raises(ArgumentError, match="alpha"):
        overlay(flat(3, 5), flat(3, 5), alpha)


def test_colours_are_as_large_as_the_picture() -> None:
    with pytest.raises(ArgumentError, match=r"colours are \(3, 4, 3\)"):
        overlay(flat(3, 5), flat(3, 4))


# Legends, captions, bars.


def test_a_legend_is_a_bar_from_low_to_high_with_its_ends_below() -> None:
    page = np.asarray(legend(sequential, 0, 12.5, 200))
    assert page.shape[1] == 200
    row = page[(page != DARK).any(axis=2).sum(axis=1).argmax()]
    inside = (row != DARK).any(axis=1)
    left, right = inside.argmax(), 200 - inside[::-1].argmax()
    expected = sequential(np.linspace(0, 12.5, right - left)[None])[0]
    np.testing.assert_allclose(row[left:right], expected, atol=0.51)


def test_a_legend_of_signed_values_marks_zero_where_there_is_room() -> None:
    marked, unmarked = (np.asarray(legend(diverging, -2, high, 200)) for high in (2, 0.01))
    middle = slice(95, 105)
    assert (marked[-20:, middle] != DARK).any()
    assert not (unmarked[-20:, middle] != DARK).any()


def test_a_title_stands_above_the_bar_in_as_many_lines_as_it_takes() -> None:
    plain = legend(sequential, 0, 1, 200)
    short = legend(sequential, 0, 1, 200, "brightness")
    long = legend(sequential, 0, 1, 200, "how the probability of the class espresso changes here")
    assert plain.shape[0] < short.shape[0] < long.shape[0]
    assert {page.shape[1] for page in (plain, short, long)} == {200}


def test_a_caption_stands_below_the_picture_and_breaks_into_lines() -> None:
    picture = Picture(flat(40, 200), recipe={"method": "none"})
    short, long = captioned(picture, "short"), captioned(picture, "much longer words " * 9)
    np.testing.assert_array_equal(short[:40], picture)
    assert short.shape[1] == long.shape[1] == 200
    assert long.shape[0] > short.shape[0] > 40
    assert (np.asarray(long[40:, :5]) == DARK).all()  # a margin
    assert (np.asarray(long[40:, -5:]) == DARK).all()
    assert short.recipe == {"method": "none"}


def test_no_caption_no_room() -> None:
    np.testing.assert_array_equal(captioned(flat(40, 200), " "), flat(40, 200))
    assert written("", 100) is None


def test_a_narrow_picture_gets_room_for_words() -> None:
    assert captioned(flat(40, 9), "some words").shape[1] >= 100


def test_pictures_below_and_beside_each_other() -> None:
    one, two = flat(3, 5), flat(2, 7, (0, 90, 0))
    below = stacked([one, two], gap=4)
    assert below.shape == (3 + 4 + 2, 7, 3)
    assert where(below, RED) == (0, 3, 0, 5)
    assert where(below, (0, 90, 0)) == (7, 9, 0, 7)
    beside = stacked([one, two], beside=True)
    assert beside.shape == (3, 12, 3)
    assert where(beside, (0, 90, 0)) == (0, 2, 5, 12)


def test_enlarged_repeats_every_pixel() -> None:
    picture = np.arange(2 * 3).reshape(2, 3)
    np.testing.assert_array_equal(enlarged(picture, 2)[::2, 1::2], picture)
    assert enlarged(picture[..., None], 4).shape == (8, 12, 1)


def test_bars_are_as_long_as_their_values() -> None:
    page = np.asarray(bars([4, 1, 0.5], ["first", "second", "third"]))
    coloured = (page[..., 0] - page[..., 2] > 60).sum(axis=1)
    lengths = [n for n, before in zip(coloured[1:], coloured, strict=False) if n > before == 0]
    assert lengths == pytest.approx([lengths[0], lengths[0] / 4, lengths[0] / 8], abs=2)


def test_bars_of_negative_values_go_the_other_way() -> None:
    page = np.asarray(bars([2, -1], ["up", "down"]))
    red = (page[..., 0] - page[..., 2] > 60).any(axis=0).nonzero()[0]
    blue = (page[..., 2] - page[..., 0] > 60).any(axis=0).nonzero()[0]
    assert abs(int(blue.max()) - int(red.min())) <= 1
    assert len(red) == pytest.approx(2 * len(blue), abs=3)


def test_a_key_shows_every_colour_in_its_width() -> None:
    blue = (20, 40, 220)
    for width in (160, 900):
        page = key({RED: "dog", blue: "a name that is far too long for a narrow key " * 3}, width)
        assert page.shape[1] == width
        places = [where(page, colour) for colour in (RED, blue)]
        assert all(bottom - top == right - left for top, bottom, left, right in places)
        assert places[0] != places[1]
    assert key({}, 160).shape[1] == 160


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1720.4, "-1,720"),
        (0.25449, "0.254"),
        (-0.0, "0"),
        (11605, "11,600"),
        (1.234e-7, "1.23e-07"),
    ],
)
def test_numbers_are_readable(value: float, text: str) -> None:
    assert readable(value) == text
