"""Cutting out: the seeds, and what GrabCut makes of them."""

import sys
from typing import Any

import numpy as np
import pytest

from oneiro import ArgumentError, Map, Picture, segment
from oneiro.methods.segmentation import levels, seeded

pytest.importorskip("cv2", reason="the extra segment is not installed")


def scene() -> tuple[Any, Any]:
    """A red disc on green, with a little noise; and where it is."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:81, :121]
    disc = (rows - 40) ** 2 + (columns - 70) ** 2 < 24**2
    img = np.where(disc[..., None], (200, 40, 30), (40, 150, 60)) + random.normal(
        0, 9, (81, 121, 3)
    )
    return np.clip(img, 0, 255).astype(np.float32), disc


def pointing() -> Map:
    """A map with its peak somewhere on the disc, of another size than the picture."""
    rows, columns = np.mgrid[:40, :60]
    hill = np.exp(-((rows - 19) ** 2 + (columns - 36) ** 2) / 60)
    return Map(hill, "a hill", recipe={"method": "hill", "parameters": {"class": 3}})


def test_a_disc_is_cut_out() -> None:
    img, disc = scene()
    found = segment(img, pointing())
    assert found.mask.shape == disc.shape
    assert (found.mask & disc).sum() / (found.mask | disc).sum() > 0.95
    again = segment(img, pointing())
    np.testing.assert_array_equal(found.mask, again.mask)


def test_the_cut_out_is_transparent_around_it() -> None:
    img, _ = scene()
    found = segment(img, pointing())
    cut = found.cutout()
    assert cut.alpha is not None
    np.testing.assert_array_equal(cut.alpha == 255, found.mask)
    np.testing.assert_array_equal(cut.alpha == 0, ~found.mask)
    np.testing.assert_array_equal(cut, img)
    mask = found.mask_picture()
    np.testing.assert_array_equal(mask[..., 0], np.where(found.mask, 255, 0))
    for picture in (cut, mask):
        assert picture.recipe is not None
        assert picture.recipe["method"] == "segment"
        assert picture.recipe["parameters"]["foreground"] == 0.95
        assert picture.recipe["parameters"]["map"] == "hill"
    assert found._repr_png_() is not None


def test_what_was_transparent_stays_so() -> None:
    img, disc = scene()
    alpha = np.where(np.arange(121) < 75, 120, 0) * np.ones((81, 1), int)
    found = segment(Picture(img, alpha=alpha), pointing())
    cut = found.cutout()
    np.testing.assert_array_equal(cut.alpha, np.where(found.mask, alpha, 0))
    assert found.mask[disc].mean() > 0.9


def test_a_large_grey_picture_has_a_mask_of_its_size() -> None:
    img, _ = scene()
    grey = np.repeat(np.repeat(img[..., :1], 6, 0), 6, 1)
    found = segment(grey, pointing())
    assert found.mask.shape == (486, 726)
    assert 0.05 < found.mask.mean() < 0.5


def test_the_sizes_of_a_signed_map_count() -> None:
    img, _ = scene()
    signed = Map(-np.asarray(pointing()), signed=True)
    np.testing.assert_array_equal(segment(img, signed).mask, segment(img, pointing()).mask)


def test_levels_are_quantiles() -> None:
    values = np.arange(100.0).reshape(10, 10)
    np.testing.assert_allclose(levels(values, 0.3, 0.95), np.quantile(values, [0.3, 0.8, 0.95]))
    np.testing.assert_allclose(levels(values, 0.3, 0.6), np.quantile(values, [0.3, 0.6, 0.6]))


def test_parts_without_a_seed_are_dropped() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
    seeds = np.zeros_like(mask)
    seeds[1, 3] = seeds[2, 2] = True
    expected = [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(seeded(mask, seeds), expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"background": 0.96}, "quantiles"),
        ({"foreground": 1.0}, "quantiles"),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        segment(scene()[0], pointing(), **arguments)


def test_a_flat_map_points_at_nothing() -> None:
    with pytest.raises(ArgumentError, match="flat"):
        segment(scene()[0], Map(np.zeros((4, 5))))


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ArgumentError, match=r'pip install "oneiro\[segment\]"'):
        segment(scene()[0], pointing())
