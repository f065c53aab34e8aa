"""Maps as they are drawn: which, where, how large, in what colours, and over which pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import oneiro
from oneiro import ArgumentError, Net, Picture, Plan, Preprocess, activation_pages, activations
from oneiro.colour import diverging, sequential
from oneiro.drawing import DARK
from oneiro.methods.activation import fields_of, fitted, limit_of, spread, worth_seeing
from oracle import small
from oracle.notation import network

EXAMPLES = Path(__file__).parents[3] / "examples"
SIZE = (24, 30)
NAMES = ("end", "mixed", "stem")


@pytest.fixture
def branches(net_of: Callable[..., Net]) -> Net:
    return ready(net_of(small.branches()))


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1")


@pytest.fixture(scope="module")
def coffee() -> Picture:
    return oneiro.load_image(EXAMPLES / "coffee.png")[::3, ::3]


def ready(net: Net) -> Net:
    net.preprocessing = Preprocess(120.0, 0.01)
    return net


def photo(height: int = SIZE[0], width: int = SIZE[1]) -> Picture:
    return Picture(np.random.default_rng(3).uniform(0, 255, (height, width, 3)))


def tiles(page: Any, height: int, width: int) -> list[tuple[int, int]]:
    """The places (top, left) of a page's tiles of this size, in reading order."""
    lit = (np.asarray(page) != DARK).any(axis=2)
    sums = np.pad(lit, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[height:, width:] - sums[:-height, width:]
    inside = inside - sums[height:, :-width] + sums[:-height, :-width]
    full = inside == height * width
    first = full & ~np.pad(full, ((1, 0), (0, 0)))[:-1] & ~np.pad(full, ((0, 0), (1, 0)))[:, :-1]
    return [(int(top), int(left)) for top, left in np.argwhere(first)]


# The grid.


def test_each_map_is_drawn_enlarged_by_a_whole_factor(branches: Net) -> None:
    page = activations(branches, photo(), "stem")
    maps = np.asarray(branches.blobs["stem"].data)[0]  # never negative
    count, h, w = maps.shape
    factor = 256 // max(h, w)
    places = tiles(page, h * factor, w * factor)
    assert len(places) == count
    for (top, left), values in zip(places, maps, strict=True):
        drawn = page[top : top + h * factor : factor, left : left + w * factor : factor]
        np.testing.assert_allclose(drawn, sequential(values, 0, limit_of(maps)), atol=0.51)


def test_signed_maps_are_blue_and_red_and_may_have_their_own_contrast(net_of: Any) -> None:
    w = np.array([[1, 0, 0], [0, -3, 0]], np.float32).reshape(2, 3, 1, 1)
    net = ready(net_of(network("y = Conv(x, w)", w=w)))
    page = activations(net, photo(5, 7), "y", contrast="own")
    maps = np.asarray(net.blobs["y"].data)[0]
    factor = 256 // 7
    for (top, left), values in zip(tiles(page, 5 * factor, 7 * factor), maps, strict=True):
        drawn = page[top : top + 5 * factor : factor, left : left + 7 * factor : factor]
        np.testing.assert_allclose(drawn, diverging(values, limit_of(values)), atol=0.51)


def test_the_strongest_are_kept_in_order_or_come_first(branches: Net) -> None:
    some, ranked = (
        activations(branches, photo(), "mixed", count=3, strongest=first) for first in (False, True)
    )
    maps = np.asarray(branches.blobs["mixed"].data)[0]
    best = np.argsort(-np.abs(maps).mean((1, 2)))[:3]
    assert sorted(best) != list(best)
    h, w = maps.shape[1:]
    factor = 256 // max(h, w)
    limit = limit_of(maps[best])
    for page, shown in ((some, sorted(best)), (ranked, best)):
        places = tiles(page, h * factor, w * factor)
        assert len(places) == 3
        for (top, left), k in zip(places, shown, strict=True):
            drawn = page[top : top + h * factor : factor, left : left + w * factor : factor]
            np.testing.assert_allclose(drawn, diverging(maps[k], limit), atol=0.51)


def test_a_large_layer_fits_on_a_sheet(squeezenet: Net, coffee: Picture) -> None:
    page = activations(squeezenet, coffee, "conv10")
    assert page.shape[0] * page.shape[1] < 4_000_000
    assert len(tiles(page, 40, 40)) <= 256


def test_maps_larger_than_their_tile_are_averaged_in_blocks() -> None:
    values = np.arange(5 * 7.0).reshape(5, 7)
    np.testing.assert_array_equal(fitted(values, 7), values)
    small_ = fitted(values, 4)
    assert small_.shape == (3, 4)
    assert small_[0, 0] == values[:2, :2].mean()
    assert small_[2, 3] == values[4, 6]  # the rest of a block is the border again


def test_a_few_outliers_do_not_darken_a_map() -> None:
    values = np.ones((30, 40))
    values[3, 4] = 1000
    assert limit_of(values) == 1
    assert limit_of(0 * values) == 1  # nothing to tell apart


def test_the_default_is_an_early_join(squeezenet: Net, coffee: Picture) -> None:
    page = activations(squeezenet, coffee, count=4)
    assert page.recipe is not None
    assert page.recipe["parameters"]["blob"] == "fire2/concat"
    assert page.recipe["method"] == "activations"


# One unit.


def test_one_unit_stands_between_the_photo_and_the_photo_with_it(branches: Net) -> None:
    page = activations(branches, photo(), "stem", unit=2)
    h, w = branches.blobs["stem"].shape[2:]
    factor = round(480 / max(h, w))
    top, left = next(iter(tiles(page, h * factor, w * factor)))
    values = np.asarray(branches.blobs["stem"].data)[0, 2]
    drawn = page[top : top + h * factor : factor, left : left + w * factor : factor]
    np.testing.assert_allclose(drawn, sequential(values, 0, values.max()), atol=0.51)
    assert len(tiles(page, *SIZE)) == 3


def test_a_value_lies_on_the_middle_of_what_it_sees(net_of: Any) -> None:
    # strides 3 and 4, windows 2x5: the value (1, 2) sees rows 3 ... 4 and columns 8 ... 12
    w = np.ones((1, 3, 2, 5), np.float32)
    net = ready(net_of(network("y = Conv <strides = [3, 4]> (x, w)", w=w)))
    field = fields_of(net, (20, 33))["y"]
    values = np.zeros((7, 8))
    values[1, 2] = 1
    over = spread(values, field, (20, 33), (20, 33))
    assert over.shape == (20, 33)
    np.testing.assert_allclose(over[3:5, 10], 1 - 0.5 / 3)  # 3.5 is the middle of the rows
    assert over.argmax() % 33 == 10
    rows, columns = over.nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 6, 7, 13)


def test_a_map_without_fields_is_stretched() -> None:
    values = np.array([[0.0, 1], [2, 3]])
    over = spread(values, None, (4, 8), (4, 8))
    np.testing.assert_allclose(over[0], np.interp(np.arange(8), [1.5, 5.5], [0, 1]))
    np.testing.assert_allclose(spread(values, None, (4, 8), (2, 4))[:, 0], [0, 2])


# Vectors.


def test_the_scores_of_known_classes_are_a_ranking(squeezenet: Net, coffee: Picture) -> None:
    pages = [activations(squeezenet, coffee, name) for name in ("logits", "prob")]
    for page in pages:
        assert page.shape[1] == 640
        starts = (page[..., 0] - page[..., 2] > 60).any(axis=1).astype(int)
        assert np.count_nonzero(np.diff(starts) == 1) == 20


@pytest.mark.parametrize(("count", "rows"), [(300, 2), (7, None)])
def test_a_vector_is_bars(net_of: Any, count: int, rows: int | None) -> None:
    w = np.random.default_rng(1).uniform(size=(count, 3, 1, 1)).astype(np.float32)
    nodes = "[a] a = Conv(x, w) [b] b = Relu(a) [y] y = GlobalAveragePool(b)"
    net = ready(net_of(network(nodes, w=w)))
    page = np.asarray(activations(net, np.full((5, 6, 3), 200.0), "y"))
    if rows is None:
        assert page.shape[1] == 640  # a bar in a row for each, numbered
    else:
        grey = (page == 40).all(axis=2).any(axis=1).astype(int)
        assert np.count_nonzero(np.diff(grey) == 1) == rows


# Pages.


def test_a_page_for_every_blob_of_its_own(branches: Net) -> None:
    pages = dict(activation_pages(branches, photo(), count=9))
    names = list(pages)
    assert names == sorted(names)
    assert len(names) == len(worth_seeing(branches, (1, 3, *SIZE))) == 16
    assert [name.split("-", 1)[1] for name in names if name[-8:-4] in NAMES] == ["stem.png"]
    assert all(page.recipe for page in pages.values())
    (stem,) = (name for name in names if "stem" in name)
    np.testing.assert_array_equal(pages[stem], activations(branches, photo(), "stem", count=9))


def test_what_only_renames_or_is_no_float_has_no_page(net_of: Any) -> None:
    nodes = """[a] a = Conv(x, w) [b] b = Identity(a) [c] c = ArgMax <axis = 1> (b)
    [s] s = Shape(a) [d] d = Relu(b) [e] e = Flatten(d) [y] y = Sigmoid(e)"""
    net = ready(net_of(network(nodes, w=np.ones((2, 3, 1, 1), np.float32))))
    assert worth_seeing(net, (1, 3, 4, 5)) == ["a", "d", "y"]


def test_tokens_are_one_map(net_of: Any) -> None:
    net = ready(net_of(small.vit()))
    assert activations(net, photo(18, 22), "tokens").shape[2] == 3


# Sizes, devices, refusals.


def test_a_photo_of_another_size_is_fed_by_its_middle(
    net_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = "[a] a = Flatten(x) [y] y = Gemm(a, w)"
    w = np.random.default_rng(0).normal(size=(3 * 6 * 8, 30)).astype(np.float32)
    net = ready(net_of(network(nodes, declared=("n", 3, 6, 8), w=w)))
    wide = photo(12, 32)
    activations(net, wide, "y")
    assert "its middle is fed at 8x6" in caplog.text
    assert net.blobs["x"].shape == (1, 3, 6, 8)


def test_what_is_drawn_is_the_plan_s_too(branches: Net) -> None:
    x = branches.preprocess(photo())

    def program(net: Net, x: Any) -> Any:
        return net.forward({net.input: x}, end=NAMES)

    found = Plan(branches, program, x=(np.float32, x.shape))(x=x)
    activations(branches, photo(), "mixed")
    np.testing.assert_array_equal(branches.blobs["mixed"].data, found["mixed"])


@pytest.mark.emulator
def test_it_runs_on_a_device(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(small.branches(), file)
    pages = [
        activations(ready(Net(file, device=device)), photo(), "mixed")
        for device in ("cpu", "emulator")
    ]
    assert np.abs(pages[0] - pages[1]).max() <= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"blob": "nothing"}, "nothing"),
        ({"blob": "stem", "unit": 6}, r"0\.\.5"),
        ({"blob": "stem", "unit": -1}, r"0\.\.5"),
        ({"blob": "side", "unit": 1}, "vector"),
        ({"contrast": "loud"}, "contrast"),
        ({"count": 0}, "count"),
    ],
)
def test_arguments_that_make_no_sense(branches: Net, options: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        activations(branches, photo(), **options)


def test_the_recipe_says_what_was_drawn(branches: Net) -> None:
    recipe = activations(branches, photo(), "stem", count=4).recipe
    assert recipe is not None
    expected = {"blob": "stem", "strongest": False, "contrast": "shared", "count": 4}
    assert recipe["parameters"] == expected
    assert activations(branches, photo(), "stem", unit=4).recipe["parameters"]["unit"] == 4  # type: ignore[index]
