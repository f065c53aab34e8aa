"""The way from a picture to a network's input, and back."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro.error import ArgumentError, PictureError
from oneiro.image import Picture
from oneiro.preprocess import PRESETS, Preprocess, combined, preset

WEIGHTS = np.array([0.299, 0.587, 0.114])  # luma


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_preprocess_by_hand() -> None:
    image = noise(5, 7, 3)
    mean, scale = (104.0, 117.0, 123.0), (0.5, 0.25, 2.0)
    x = Preprocess(mean, scale, "BGR").preprocess(image, 3)
    assert x.shape == (1, 3, 5, 7)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert type(x) is np.ndarray
    for channel, colour in enumerate((2, 1, 0)):
        expected = (image[..., colour] - mean[channel]) * scale[channel]
        np.testing.assert_allclose(x[0, channel], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("order", ["RGB", "BGR", "ANY"])
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_there_and_back(order: str, channels: int, dtype: type) -> None:
    image = Picture(np.random.default_rng(1).uniform(-20, 280, (5, 7, channels)))
    way = Preprocess(tuple(range(100, 100 + channels)), 1 / 58, order)
    x = way.preprocess(image, channels, dtype)
    assert x.dtype == dtype
    back = way.deprocess(x)
    assert isinstance(back, Picture)
    assert back.flags.c_contiguous
    np.testing.assert_allclose(back, image, atol=0.5 if dtype == np.float16 else 1e-4)


def test_four_channels_in_bgr_keep_the_fourth_last() -> None:
    image = noise(5, 7, 4)
    x = Preprocess(order="BGR").preprocess(image, 4)
    np.testing.assert_array_equal(x[0], image[..., [2, 1, 0, 3]].transpose(2, 0, 1))


def test_preprocess_converts_between_grey_and_colour() -> None:
    colour, grey = noise(5, 7, 3), noise(5, 7)
    x = Preprocess(order="GRAY").preprocess(colour, 1)
    np.testing.assert_allclose(x[0, 0], colour @ WEIGHTS, atol=1e-3)
    x = Preprocess(order="BGR").preprocess(grey, 3)
    np.testing.assert_array_equal(x[0], np.stack([grey] * 3))
    gray = Preprocess(mean=(33.0,), order="GRAY")
    np.testing.assert_array_equal(gray.deprocess(gray.preprocess(grey, 1))[..., 0], grey)


@pytest.mark.parametrize(
    ("order", "have", "want"),
    [("RGB", 3, 4), ("RGB", 4, 3), ("BGR", 5, 3), ("RGB", 1, 4), ("ANY", 3, 1), ("ANY", 1, 3)],
)
def test_channels_that_do_not_fit(order: str, have: int, want: int) -> None:
    with pytest.raises(PictureError, match=f"has {have} channels where {want} are"):
        Preprocess(order=order).preprocess(np.zeros((5, 7, have)), want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_and_unit_are_what_preprocess_makes(dtype: type, sign: int) -> None:
    way = Preprocess((104, 117, 123), (sign * 0.1, 0.2, sign * 0.3), "BGR")
    low, high = way.bounds(3, dtype)
    ends = [way.preprocess(np.full((5, 7, 3), value), 3, dtype) for value in (0, 255)]
    for got, wanted in ((low, np.minimum(*ends)), (high, np.maximum(*ends))):
        assert got.shape == (1, 3, 1, 1)
        assert got.dtype == dtype
        np.testing.assert_array_equal(np.broadcast_to(got, wanted.shape), wanted)
    unit = way.unit(3, dtype)
    assert unit.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(high - low, 255 * unit, rtol=1e-6)
    assert Preprocess(order="GRAY").bounds(1)[1].shape == (1, 1, 1, 1)
    assert Preprocess().bounds(5)[1].shape == (1, 5, 1, 1)


def test_preprocess_is_a_value() -> None:
    way = Preprocess([104, 117, 123], np.float32(0.5), "BGR")  # type: ignore[arg-type]
    assert way == Preprocess((104.0, 117.0, 123.0), 0.5, "BGR")
    assert len({way, Preprocess((104.0, 117.0, 123.0), 0.5, "BGR")}) == 1
    assert way.mean == (104.0, 117.0, 123.0)
    assert type(way.scale) is float
    with pytest.raises(AttributeError):
        way.mean = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"order": "RBG"}, "RBG"),
        ({"scale": 0}, "scale"),
        ({"scale": (1, 0, 1)}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"mean": float("nan")}, "mean"),
        ({"mean": ()}, "mean"),
        ({"mean": ((1, 2), (3, 4))}, "mean"),
        ({"mean": (1, 2, 3), "scale": (1, 2)}, "mean and scale"),
        ({"mean": "104,117,123"}, "mean"),
        ({"mean": (1, (2, 3))}, "mean"),
        ({"scale": True}, "scale"),
        ({"mean": 10**400}, "mean"),
    ],
)
def test_numbers_that_make_no_sense(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Preprocess(**arguments)


def test_numbers_for_other_channels() -> None:
    with pytest.raises(ArgumentError, match="mean has 3 numbers for 1 channels"):
        Preprocess((1, 2, 3)).preprocess(np.zeros((5, 7, 3)), 1)
    with pytest.raises(ArgumentError, match="scale has 2 numbers for 3 channels"):
        Preprocess(scale=(1, 2)).unit(3)
    with pytest.raises(ArgumentError, match=r"GRAY.* not 3"):
        Preprocess(order="GRAY").bounds(3)


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 5, 7), (7,), (1, 3, 0, 7), (3, 5, 7)])
def test_what_cannot_be_deprocessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="is no picture"):
        Preprocess().deprocess(np.zeros(shape))


# What 0 and 255 become, in red (the last channel of BGR): by each framework's own formula.
ENDS = {
    "caffe": (0 - 123, 255 - 123),
    "torch": ((0 - 0.485) / 0.229, (1 - 0.485) / 0.229),
    "tf": (-1, 1),
    "unit": (0, 1),
    "none": (0, 255),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_the_frameworks_do(name: str) -> None:
    red = np.zeros((2, 5, 7, 3))
    red[1, ..., 0] = 255
    way = preset(name)
    channel = 2 if way.order == "BGR" else 0
    ends = [way.preprocess(image, 3, np.float64)[0, channel, 0, 0] for image in red]
    np.testing.assert_allclose(ends, ENDS[name], rtol=1e-12)
    assert way.order == ("BGR" if name == "caffe" else "RGB")


def test_a_preset_that_there_is_not() -> None:
    with pytest.raises(ArgumentError, match=r"'keras'.*caffe, torch, tf, unit, none"):
        preset("keras")


def test_the_first_to_speak_is_heard() -> None:
    registry = {"mean": 1, "scale": 2, "order": "BGR"}
    way = combined({"given": {"mean": None}, "file": {"scale": 3}, "registry": registry})
    assert way == Preprocess(1, 3, "BGR")
    assert way.source == "file over registry"
    way = combined({"given": {"preprocess": "tf", "mean": 5}, "registry": registry})
    assert way == Preprocess(5, 1 / 127.5, "RGB")
    assert way.source == "given over preset tf (given)"
    assert combined({"given": {}, "file": {"preprocess": None}}) is None
    assert combined({"given": {"mean": 0}}) == Preprocess()


def test_where_it_is_from_does_not_make_it_another() -> None:
    assert Preprocess(1, 2) == Preprocess(1, 2, source="registry")
    assert Preprocess().source == "given"
