"""Filters as they are drawn, and the principal components of patches beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ArgumentError, ModelError, Net, Picture, Preprocess, filters
from oneiro.colour import diverging
from oneiro.methods.filter import block, found, patches
from oneiro.principal import principal
from oracle import small
from oracle.notation import network

EXAMPLES = Path(__file__).parents[3] / "examples"
SHARED = Path(__file__).parents[3].parent / "shared" / "models"
TWO = """[a] a = Conv(x, v) [b] b = Relu(a) [c] c = MaxPool <kernel_shape = [2, 2]> (b)
[y] y = Conv(c, w)"""


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.fixture
def two(net_of: Callable[..., Net]) -> Net:
    """Two convolutions: 5 filters of 4x3 on the picture, 6 of 2x3 on them."""
    net = net_of(network(TWO, v=normal(5, 3, 4, 3), w=normal(6, 5, 2, 3)))
    net.preprocessing = Preprocess(120.0, 0.01, "BGR")
    return net


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1")


def holds(page: Any, tile: Any) -> bool:
    """Is this tile somewhere on the page?"""
    page, tile = (np.rint(np.asarray(picture, np.float32)) for picture in (page, tile))
    h, w = tile.shape[:2]
    corners = (page[: -h + 1 or None, : -w + 1 or None] == tile[0, 0]).all(axis=2)
    places = np.argwhere(corners)
    return any((page[t : t + h, left : left + w] == tile).all() for t, left in places)


# The first layer.


@pytest.mark.parametrize("contrast", ["own", "shared"])
def test_filters_of_the_picture_are_in_its_colours_round_grey(two: Net, contrast: str) -> None:
    page = filters(two, contrast=contrast)
    weights = np.asarray(two.constants["v"], np.float64)
    for one in weights:
        limit = np.abs(one).max() if contrast == "own" else np.abs(weights).max()
        rgb = 127.5 + 127.5 * one[::-1].transpose(1, 2, 0) / limit  # BGR turned to RGB
        assert holds(page, np.repeat(np.repeat(rgb.astype(np.float32), 16, 0), 16, 1))


def test_a_network_of_one_channel_has_grey_filters(net_of: Any) -> None:
    declared = ("n", 1, "h", "w")
    net = net_of(network("y = Conv(x, w)", declared=declared, w=normal(5, 1, 3, 4)))
    net.preprocessing = Preprocess(0.0, 1.0, "GRAY")
    page = np.asarray(filters(net))
    assert np.ptp(page[:60], axis=2).max() <= 6  # captions and background apart


# Deeper ones.


@pytest.mark.parametrize("contrast", ["own", "shared"])
def test_a_deeper_filter_is_a_framed_block_of_its_slices(two: Net, contrast: str) -> None:
    page = filters(two, "y", contrast=contrast)
    weights = np.asarray(two.constants["w"], np.float64)
    for one in weights:
        limit = float(np.abs(one if contrast == "own" else weights).max())
        assert holds(page, block(one, limit))


def test_a_block_has_its_slices_in_rows_within_a_frame() -> None:
    slices = normal(5, 2, 3).astype(np.float64)
    page = block(slices, 2.0)
    frame = page[0, 0]
    for edge in (page[:2], page[-2:], page[:, :2], page[:, -2:]):
        assert (edge == frame).all()
    colours = diverging(slices.reshape(-1, 3), 2.0).reshape(5, 2, 3, 3)
    for one in colours:
        assert holds(page, np.repeat(np.repeat(one, 12, 0), 12, 1))


def test_what_is_left_out_is_said(two: Net) -> None:
    every, some = filters(two, "y"), filters(two, "y", count=2, inputs=3)
    assert some.shape != every.shape
    weights = np.asarray(two.constants["w"], np.float64)[:, :3]
    shown = [holds(some, block(one, float(np.abs(one).max()))) for one in weights]
    assert shown == [True, True, False, False, False, False]


def test_a_sheet_has_an_end(squeezenet: Net) -> None:
    page = filters(squeezenet, "conv10")  # 1000 filters of 512 slices
    assert page.shape[0] * page.shape[1] < 4_000_000


# Which.


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(None, "conv1"), ("conv1", "conv1"), ("conv1_pre", "conv1"), ("pool1", "conv1"),
     ("fire2/squeeze1x1", "fire2/squeeze1x1"), ("prob", "conv10")],
)  # fmt: skip
def test_a_convolution_answers_to_its_name_and_to_what_it_makes(
    squeezenet: Net, layer: str | None, expected: str
) -> None:
    assert found(squeezenet, layer).name == expected


def test_filters_that_are_stored_in_other_types_are_found(net_of: Any) -> None:
    net = net_of(small.mobile())
    net.preprocessing = Preprocess()
    depthwise = [node.name for node in net.nodes if node.layer.kind == "Conv"][1]
    assert filters(net, depthwise).shape[2] == 3


@pytest.mark.parametrize("layer", ["fire2/concat", "fire2/squeeze1x2", "data"])
def test_what_is_no_convolution_names_what_is_near(squeezenet: Net, layer: str) -> None:
    with pytest.raises(ArgumentError, match=r"no convolution; near it: \w+"):
        filters(squeezenet, layer)


def test_a_network_without_convolutions(net_of: Any) -> None:
    with pytest.raises(ModelError, match="no convolution"):
        filters(net_of(network("y = Relu(x)")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"contrast": "loud"}, "contrast"),
        ({"count": 0}, "count"),
        ({"inputs": -1}, "inputs"),
        ({"compare": "ica"}, "compare"),
        ({"compare": "pca"}, "photos"),
        ({"compare": "pca", "layer": "y", "photos": [np.ones((9, 9, 3))]}, "colours"),
        ({"compare": "pca", "photos": [np.full((3, 9, 3), 200.0)]}, "3x4"),
        ({"compare": "pca", "photos": [np.ones((9, 9, 3))], "seed": -1}, "seed is -1"),
    ],
)
def test_arguments_that_make_no_sense(two: Net, options: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        filters(two, **options)


# Principal components.


def test_patches_are_pieces_of_the_photos_as_the_net_takes_them(two: Net) -> None:
    photos = [Picture(np.arange(3.0 * h * w).reshape(h, w, 3)) / 2 for h, w in ((5, 4), (6, 7))]
    rows = patches(two, photos, 4, 3, seed=0)
    assert rows.shape == (20_000, 3 * 4 * 3)
    pieces = set()
    for photo in photos:
        x = np.asarray(two.preprocess(photo), np.float64)[0]
        for top in range(x.shape[1] - 3):
            for left in range(x.shape[2] - 2):
                pieces.add(x[:, top : top + 4, left : left + 3].tobytes())
    assert {row.tobytes() for row in rows} == pieces  # all of them, nothing else


def test_one_seed_one_picture(two: Net) -> None:
    photos = [np.random.default_rng(4).uniform(0, 255, (30, 41, 3))]
    one, same, other = (filters(two, compare="pca", photos=photos, seed=k) for k in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != other).any()
    assert one.recipe is not None
    assert one.recipe["parameters"]["seed"] == 1
    assert list(one.recipe["pictures"]) == ["photo 1"]


def test_the_first_component_of_photos_is_brightness(squeezenet: Net) -> None:
    names = ("chelsea_cat.png", "mountains.jpg")
    photos = [oneiro.load_image(EXAMPLES / name) for name in names]
    components, shares = principal(patches(squeezenet, photos, 3, 3, seed=0))
    assert shares[0] > 0.5
    assert components[0].min() > 0
    assert components[0].std() < 0.3 * components[0].mean()


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is absent")
def test_googlenet_beside_the_components() -> None:
    net = oneiro.load(SHARED / "googlenet.onnx")
    page = filters(net, compare="pca", photos=[oneiro.load_image(EXAMPLES / "chelsea_cat.png")])
    assert page.shape[1] > 2 * 700  # both 64, side by side
