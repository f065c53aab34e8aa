"""What is asked about: classes by number and name, their unnormalised scores, units of blobs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ArgumentError, ModelError, Net
from oneiro.ascent import image_gradient
from oneiro.target import (
    best_target,
    class_number,
    class_scores,
    class_target,
    class_title,
    score_blob,
    unit_target,
)
from oracle.small import Builder

Nets = Callable[..., Net]
LABELS = (
    "Egyptian cat",
    "tiger, Panthera tigris",
    "tiger cat",
    "cup",
    "coffee cup, mug",
)


def made(net_of: Nets, *above: tuple[str, dict[str, Any]], names: Sequence[str] = ()) -> Net:
    """Five means of filtered pictures, then other layers, each with the name of its top."""
    net = Builder("head", opset=18)
    x = net.node("Conv", "data", net.normal(5, 3, 1, 1))
    x = net.node("GlobalAveragePool", x, out="means")
    for (op, attributes), name in zip(above, names, strict=True):
        more = [net.ints(0, -1)] if op == "Reshape" else []
        x = net.node(op, x, *more, out=name, **attributes)
    return net_of(net.model(x))


FLAT = ("Flatten", {})
SOFT = ("Softmax", {"axis": 1})


@pytest.mark.parametrize(
    ("above", "names", "score"),
    [
        ([], [], "means"),
        ([FLAT], ["flat"], "flat"),
        ([FLAT, SOFT], ["flat", "prob"], "flat"),
        ([SOFT], ["prob"], "means"),
        ([SOFT, FLAT], ["prob", "flat"], "means"),
        ([FLAT, ("LogSoftmax", {"axis": -1})], ["flat", "log"], "flat"),
        ([("Sigmoid", {}), ("Reshape", {}), ("Identity", {})], ["s", "r", "i"], "means"),
        ([FLAT, ("Relu", {})], ["flat", "relu"], "relu"),
    ],
    ids=lambda value: "-".join(value) if value and isinstance(value[0], str) else None,
)
def test_the_score_is_what_enters_the_last_normaliser(
    net_of: Nets, above: list[tuple[str, dict[str, Any]]], names: list[str], score: str
) -> None:
    assert score_blob(made(net_of, *above, names=names)) == score


def test_a_score_s_gradient_is_not_the_probability_s(net_of: Nets) -> None:
    net = made(net_of, FLAT, SOFT, names=["flat", "prob"])
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 6)).astype(np.float32)
    value, g = image_gradient(net, x, class_target(net, 3).goal(2.0))
    weights = next(a for a in net.constants.values() if a.shape == (5, 3, 1, 1))[3]
    np.testing.assert_allclose(g, np.broadcast_to(2 * weights / 24, g.shape), rtol=1e-5)
    np.testing.assert_allclose(value, 2 * class_scores(net, x)[0, 3], rtol=1e-5)


def test_the_best_class(net_of: Nets) -> None:
    net = made(net_of, FLAT, SOFT, names=["flat", "prob"])
    x = np.random.default_rng(1).normal(size=(1, 3, 4, 6)).astype(np.float32)
    (best,) = best_target(net, x).place
    assert best == net.forward({net.input: x})["prob"].argmax()


def test_scores_of_a_larger_picture_are_averaged() -> None:
    net = oneiro.load("squeezenet1.1")
    x = np.zeros((2, 3, 227, 300), np.float32)
    assert class_scores(net, x).shape == (2, 1000)


def test_networks_that_do_not_classify(net_of: Nets) -> None:
    net = Builder("maps", opset=18)
    top = net.conv("data", 4, 3, 3, 3)
    with pytest.raises(ModelError, match=r"does not classify.*: name a unit"):
        score_blob(net_of(net.model(top)))


@pytest.mark.parametrize(
    ("which", "number"),
    [(3, 3), ("3", 3), ("cup", 3), ("Cup ", 3), ("mug", 4), ("tiger", 1), ("panthera", 1)],
)
def test_classes_by_number_and_name(net_of: Nets, which: str | int, number: int) -> None:
    net = made(net_of, FLAT, names=["flat"])
    net.labels = LABELS
    assert class_number(net, which) == number
    assert class_target(net, which).place == (number,)


@pytest.mark.parametrize(
    ("which", "complaint"),
    [
        (5, "class 5 is not one of 0..4"),
        (-1, "class -1 is not one of 0..4"),
        ("cat", r"may be Egyptian cat \(0\), tiger cat \(2\): give its number"),
        ("tigger", "no class is called 'tigger'; near it: tiger"),
        ("", "no class is called ''"),
    ],
)
def test_classes_that_are_not_there(net_of: Nets, which: str | int, complaint: str) -> None:
    net = made(net_of, FLAT, names=["flat"])
    net.labels = LABELS
    with pytest.raises(ArgumentError, match=complaint):
        class_number(net, which)


def test_a_network_without_labels(net_of: Nets) -> None:
    net = made(net_of, FLAT, names=["flat"])
    assert class_title(net, 2) == "class 2"
    with pytest.raises(ArgumentError, match=r"names of .* are not known"):
        class_number(net, "cup")


def test_units(net_of: Nets) -> None:
    net = made(net_of, FLAT, names=["flat"])
    blob = next(name for name in net.blobs if name.startswith("conv"))
    target = unit_target(net, f"{blob}:2,1,3")
    assert (target.blob, target.place, target.title) == (blob, (2, 1, 3), f"{blob}:2,1,3")
    x = np.random.default_rng(2).normal(size=(1, 3, 4, 6)).astype(np.float32)
    value, g = image_gradient(net, x, target.goal())
    assert np.argwhere(np.abs(g[0]).sum(0)).tolist() == [[1, 3]]
    np.testing.assert_allclose(value, net.blobs[blob].data[0, 2, 1, 3], rtol=1e-6)
    with pytest.raises(ArgumentError, match="has a weight"):
        unit_target(net, f"{blob}:2=3")
