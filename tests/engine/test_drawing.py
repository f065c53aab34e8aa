"""Contact sheets: where the tiles and captions are."""

import numpy as np
import pytest

from oneiro.drawing import sheet
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
