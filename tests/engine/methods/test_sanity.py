"""Sanity checks: a map that hangs on nothing is seen, and curves are what they say."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import oneiro
from oneiro import (
    ArgumentError,
    Map,
    ModelError,
    Net,
    Picture,
    Preprocess,
    grad_cam,
    saliency,
    sanity,
)
from oneiro.methods.sanity import (
    area,
    belief,
    deletion,
    filters_below,
    insertion,
    rank_correlation,
    strongest_first,
)
from oneiro.probe import Probe
from oracle.notation import network

ROOT = Path(__file__).parents[3]
IMG = np.random.RandomState(5).uniform(0, 255, (29, 37, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture(scope="module")
def cat() -> Picture:
    return Picture(oneiro.load_image(ROOT / "examples" / "chelsea_cat.png")[60:171, 100:227])


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    """Two convolutions, each with a rectifier, and the classes that their maps are the means of."""
    nodes = """
        [one] a = Conv (x, v, b)
        r = Relu (a)
        [two] c = Conv (r, w)
        maps = Relu (c)
        pooled = GlobalAveragePool (maps)
        scores = Flatten (pooled)
        y = Softmax <axis = 1> (scores)
    """
    random = np.random.RandomState(3)
    shapes = {"v": (6, 3, 3, 3), "b": (6,), "w": (4, 6, 3, 2)}
    weights = {name: np.float32(random.normal(size=shape)) for name, shape in shapes.items()}
    net = net_of(network(nodes, **weights), np.float64)
    net.preprocessing = Preprocess(120, 0.02)
    return net


def photo_itself(net: Net, img: Any, target: Any) -> Map:
    """What no network can change."""
    return Map(np.asarray(img)[..., 0])


def test_a_map_that_does_not_hang_on_the_network_is_seen(net: Net) -> None:
    found = sanity(net, IMG, photo_itself, 2, steps=3)
    assert found.layers == ["two", "one"]
    np.testing.assert_allclose(found.signed, 1)
    np.testing.assert_allclose(found.absolute, 1)


def test_what_is_no_seed_is_refused_before_a_map_is_drawn(net: Net) -> None:
    def method(net: Net, img: Any, target: Any) -> Map:
        raise AssertionError

    with pytest.raises(ArgumentError, match="seed is -1: it must lie in"):
        sanity(net, IMG, method, 2, seed=-1)


def test_layers_are_shuffled_from_the_last_one_down(net: Net) -> None:
    seen = []

    def method(altered: Net, img: Any, target: Any) -> Map:
        seen.append({name: np.asarray(values) for name, values in altered.constants.items()})
        return saliency(altered, img, target)

    before = {name: values.copy() for name, values in net.constants.items()}
    sanity(net, IMG, method, 2, steps=2, seed=3)
    trained, last, both = seen
    for name in "vbw":
        np.testing.assert_array_equal(trained[name], before[name])
        np.testing.assert_array_equal(net.constants[name], before[name])  # it is unharmed
    np.testing.assert_array_equal(last["v"], before["v"])
    np.testing.assert_array_equal(both["w"], last["w"])
    np.testing.assert_array_equal(both["b"], before["b"])  # no filter
    for shuffled, name in ((last, "w"), (both, "v")):
        assert (shuffled[name] != before[name]).any()
        np.testing.assert_array_equal(np.sort(shuffled[name], None), np.sort(before[name], None))


def test_guided_backprop_fails_where_grad_cam_passes(squeezenet: Net, cat: Picture) -> None:
    """Adebayo et al. 2018: the upper layers shuffled, it draws the same edges."""
    few = {"stages": 2, "steps": 2}
    guided = sanity(squeezenet, cat, functools.partial(saliency, rule="guided"), 285, **few)
    cam = sanity(squeezenet, cat, grad_cam, 285, **few)
    assert guided.layers == cam.layers
    assert guided.layers[0] == "conv10"
    assert guided.absolute[0] > 0.8
    assert abs(cam.absolute[0]) < 0.5
    assert guided.recipe is not None
    assert guided.recipe["method"] == "sanity"
    assert guided.recipe["parameters"]["checked"] == "saliency"


def test_the_sheet_shows_every_stage_and_the_curves(net: Net) -> None:
    told: list[Any] = []
    found = sanity(net, IMG, saliency, 2, stages=1, steps=2, on_step=lambda *d: told.append(d))
    assert told == [(1, 1)]
    assert len(found.maps) == 2
    page = found.picture()
    assert page.recipe == found.recipe
    assert page.shape[1] > 3 * IMG.shape[1]
    assert found._repr_png_() is not None


def test_ranks_agree_as_spearman_said() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 11, 13, 3))
    b[2:5] = 0  # ties
    expected = scipy.stats.spearmanr(a.ravel(), b.ravel()).statistic
    assert rank_correlation(a, b) == pytest.approx(expected)
    assert rank_correlation(a, a) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.zeros_like(a)) == 0


def test_the_strongest_come_first() -> None:
    one = np.array([[[3.0], [-5.0]], [[0.0], [4.0]]])
    assert strongest_first(one).tolist() == [3, 0, 2, 1]  # what speaks for it, with its sign
    three = np.array([[[3.0, 0, 0], [-5.0, 1, 0]], [[0.0, 0, 1], [4.0, 2, 2]]])
    assert strongest_first(three).tolist() == [1, 3, 0, 2]


def test_pixels_are_deleted_and_inserted_in_order(net: Net) -> None:
    probe = Probe(net, IMG, 2)
    order = np.random.default_rng(1).permutation(IMG[..., 0].size)
    steps = 4
    x = np.asarray(net.preprocess(IMG))
    expected = []
    for k in range(steps + 1):
        part = x.copy().reshape(3, -1)
        part[:, order[: round(k * len(order) / steps)]] = 0
        expected.append(np.asarray(net.forward({"x": part.reshape(x.shape)})["y"])[0, 2])
    np.testing.assert_allclose(deletion(probe, order, steps), expected, rtol=1e-9)
    brought = insertion(probe, order, steps)
    assert brought[-1] == pytest.approx(expected[0])
    assert brought[0] != pytest.approx(expected[0], rel=1e-3)
    unit = Probe(net, IMG, "maps:1")
    curve = belief(unit, unit.x, np.zeros_like(unit.x), order, 2)
    assert curve[0] == pytest.approx(1)  # of what it is on the whole picture


def test_an_area_is_that_below_the_curve() -> None:
    assert area(np.array([1.0, 1.0])) == 1
    assert area(np.linspace(0, 1, 7)) == pytest.approx(0.5)
    assert area(np.array([1.0, 0.0, 0.0])) == pytest.approx(0.25)


def test_the_layers_with_filters(net: Net, squeezenet: Net, cat: Picture) -> None:
    assert filters_below(Probe(net, IMG, 1)) == ["two", "one"]
    assert filters_below(Probe(net, IMG, "r:1")) == ["one"]
    assert len(filters_below(Probe(squeezenet, cat, 1))) == 26


def test_arguments_that_make_no_sense(net: Net, net_of: Callable[..., Net]) -> None:
    with pytest.raises(ArgumentError, match="stages is 0"):
        sanity(net, IMG, saliency, stages=0)
    with pytest.raises(ArgumentError, match="steps is 0"):
        sanity(net, IMG, saliency, steps=0)
    with pytest.raises(ArgumentError, match="crop=False"):
        sanity(net, IMG, saliency, "maps:1,2,3")
    bare = net_of(network("y = Relu (x)"))
    bare.preprocessing = Preprocess(0, 1)
    with pytest.raises(ModelError, match="no filters"):
        sanity(bare, IMG, saliency, "y:1")
