"""One question about one picture: at whatever size, one at a time or several."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import ArgumentError, Net, Preprocess, class_target, unit_target
from oneiro.image import Picture, resampled
from oneiro.probe import BATCH, Probe, as_target, reduced, trained_size
from oracle import small
from oracle.measure import distance
from oracle.notation import network

Maker = Callable[..., Net]
IMG = np.random.RandomState(5).uniform(0, 255, (13, 18, 3)).astype(np.float32)
MEAN = (100.0, 120.0, 90.0)


def classes(declared: tuple[int | str, ...] = ("n", 3, "h", "w"), rows: Any = 0) -> Any:
    nodes = """
        pre = Conv <strides = [2, 2]> (x, w)
        maps = Relu (pre)
        pooled = GlobalAveragePool (maps)
        scores = Reshape (pooled, shape)
        y = Softmax <axis = 1> (scores)
    """
    filters = np.random.RandomState(3).normal(size=(4, 3, 3, 2)).astype(np.float32)
    return network(nodes, declared=declared, w=filters, shape=np.array([rows, 4]))


@pytest.fixture
def net(net_of: Maker) -> Net:
    net = net_of(classes(), np.float64)
    net.preprocessing = Preprocess(MEAN, (0.02, -0.03, 0.05), "BGR")
    net.labels = ("a cat", "a dog, hound", "a cup", "scores")
    return net


def quotient(probe: Probe, net: Net, img: NDArray[Any], place: tuple[int, ...]) -> float:
    """How fast the target moves with one value of the picture."""
    values = []
    for step in (1e-3, -1e-3):
        moved = img.astype(np.float64)
        moved[place] += step
        values.append(probe.values(np.asarray(net.preprocess(moved)))[0])
    return float((values[0] - values[1]) / 2e-3)


def test_derivatives_are_by_the_picture_s_own_values(net: Net) -> None:
    probe = Probe(net, IMG, 2)
    value, g = probe.gradient()
    assert value == pytest.approx(probe.value())
    planes = probe.planes(g)  # (h, w, c), in the picture's order of colours
    assert planes.shape == IMG.shape
    for place in ((3, 4, 0), (3, 4, 1), (8, 11, 2)):
        assert planes[place] == pytest.approx(quotient(probe, net, IMG, place), rel=1e-6)


def test_a_batch_is_many_pictures(net: Net) -> None:
    probe = Probe(net, IMG, "hound")
    assert probe.batch == BATCH
    xs = np.random.default_rng(1).normal(size=(3, *probe.x.shape[1:]))
    values, g = probe.gradients(xs)
    for k in range(3):
        value, alone = probe.gradients(xs[k : k + 1])
        assert values[k] == pytest.approx(value[0])
        assert distance(g[k], alone[0]) < 1e-12
    weights = (0.5, -2, 1.5)
    summed = probe.summed(zip(weights, np.split(xs, 3), strict=True), 3)
    assert distance(summed[0], np.tensordot(weights, g, 1)) < 1e-12


def test_a_network_of_one_size_and_one_picture_at_a_time(net_of: Maker) -> None:
    net = net_of(classes((1, 3, 9, 10), 1), np.float64)
    net.preprocessing = Preprocess(MEAN, 0.02)
    net.size = (9, 10)
    probe = Probe(net, IMG)
    assert probe.batch == 1
    # a global pool takes any size: what is declared does not bind
    assert probe.x.shape[2:] == (13, 18)
    assert trained_size(net, Picture(IMG)).shape[:2] == (9, 12)


def test_a_picture_is_resampled_where_the_file_is_for_one_size_alone(net_of: Maker) -> None:
    nodes = "flat = Reshape (x, shape) z = MatMul (flat, w) y = Reshape (z, four)"
    weights = np.random.RandomState(0).normal(size=(3 * 9 * 10, 4)).astype(np.float32)
    sizes = {"shape": np.array([0, 3 * 9 * 10]), "four": np.array([0, 4, 1, 1])}
    net = net_of(network(nodes, declared=("n", 3, 9, 10), w=weights, **sizes), np.float64)
    net.preprocessing = Preprocess(MEAN, 0.02)
    probe = Probe(net, IMG, 3)
    assert probe.x.shape[2:] == (9, 10)
    np.testing.assert_array_equal(probe.fed, resampled(Picture(IMG), 9, 10))
    _, g = probe.gradient()
    assert probe.planes(g).shape == IMG.shape
    places = np.arange(13 * 18).reshape(13, 18)
    assert probe.spread(places).shape == (1, 1, 9, 10)


def test_a_picture_too_small_is_padded(net_of: Maker) -> None:
    net = net_of(small.caffe(), np.float64)
    net.preprocessing = Preprocess(MEAN, 0.02)
    tiny = IMG[:5, :6]
    probe = Probe(net, tiny, unit_target(net, "end:1"))
    assert probe.x.shape[2] > 5
    _, g = probe.gradient()
    assert probe.planes(g).shape == tiny.shape


def test_targets_in_words(net: Net) -> None:
    assert as_target(net, None) is None
    assert as_target(net, 1) == class_target(net, 1)
    assert as_target(net, "a cup") == class_target(net, 2)
    assert as_target(net, "maps:2") == unit_target(net, "maps:2")
    assert as_target(net, unit_target(net, "maps:2,1,3")) == unit_target(net, "maps:2,1,3")
    with pytest.raises(ArgumentError, match="no class is called 'horse'"):
        Probe(net, IMG, "horse")
    best = int(np.asarray(net.forward({"x": net.preprocess(IMG)})["y"]).argmax())
    assert Probe(net, IMG).target == class_target(net, best)


def test_what_a_neuron_sees(net: Net) -> None:
    rows, columns = Probe(net, IMG, "maps:2,1,3").field()
    assert (rows, columns) == (slice(2, 5), slice(6, 8))
    whole = (slice(0, 13), slice(0, 18))
    assert Probe(net, IMG, "maps:2").field() == whole
    assert Probe(net, IMG, 2).field() == whole
    assert Probe(net, IMG, "pooled:2,0,0").field() == whole


def test_what_a_neuron_sees_behind_a_larger_map(net_of: Maker) -> None:
    nodes = """
        large = Resize <mode = "nearest"> (x, , scales)
        y = Conv (large, w)
    """
    filters = np.ones((2, 3, 3, 3), np.float32)
    scales = np.array([1, 1, 2, 2], np.float32)
    net = net_of(network(nodes, w=filters, scales=scales), np.float64)
    net.preprocessing = Preprocess(120, 0.02)
    for row, column in ((2, 5), (3, 4)):
        probe = Probe(net, IMG, f"y:1,{row},{column}")
        places = np.argwhere(probe.gradient()[1][0, 0])
        (top, left), (bottom, right) = places.min(0), places.max(0)
        assert probe.field() == (slice(top, bottom + 1), slice(left, right + 1))


def test_a_blob_s_own_target(net: Net) -> None:
    probe = Probe(net, IMG, "maps")
    data = probe.data(probe.x)
    assert probe.value() == pytest.approx(0.5 * (data**2).sum())
    assert Probe(net, IMG, "maps:1").value() == pytest.approx(data[0, 1].sum())
    assert Probe(net, IMG, "maps:1,2,3").value() == pytest.approx(data[0, 1, 2, 3])


def test_colours_become_one_number() -> None:
    values = np.array([[[3.0, -4.0, 0.0], [1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(reduced(values, "max", ""), [[4, 1]])
    np.testing.assert_allclose(reduced(values, "norm", ""), [[5, np.sqrt(3)]])
    found = reduced(values, "sum", "told")
    np.testing.assert_allclose(found, [[-1, 3]])
    assert (found.signed, found.caption) == (True, "told")
    colours = reduced(values, "colour", "")
    assert isinstance(colours, Picture)
    np.testing.assert_allclose(colours[0, 0, 2], 127.5)
    assert colours[0, 0, 0] > 127.5 > colours[0, 0, 1]
    with pytest.raises(ArgumentError, match="reduce"):
        reduced(values, "mean", "")
