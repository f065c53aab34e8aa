"""The gradient check finds what is wrong, and lets pass what is right."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ArgumentError, Net, Preprocess
from oneiro.check import TRIALS, culprits, gradient_errors, noise, passed
from oneiro.layer import Activation
from oracle import small
from oracle.small import Builder

Nets = Callable[..., Net]
SIDES = (13, 18)


@pytest.mark.parametrize("name", small.MODELS)
def test_right_gradients_pass(net_of: Nets, name: str) -> None:
    make, end = small.MODELS[name]
    net = net_of(make(), np.float64)
    errors = list(gradient_errors(net, end, *SIDES))
    assert len(errors) == TRIALS
    assert passed(errors), errors
    assert culprits(net, end, noise(net, *SIDES, 0)) == {}


def test_the_embedded_network_passes() -> None:
    net = oneiro.load("squeezenet1.1", dtype=np.float64)
    errors = list(gradient_errors(net, "fire3/concat", 67, 70))
    assert passed(errors), errors


def wrong(layer: Any, factor: float) -> Any:
    """A layer whose way back is off by a factor."""

    class Wrong(type(layer)):  # type: ignore[misc]
        def backward(self, *diffs: Any) -> Any:
            found = super().backward(*diffs)
            if isinstance(found, tuple):
                return (found[0] * factor, *found[1:])
            return found * factor

    values = {f.name: getattr(layer, f.name) for f in dataclasses.fields(layer)}
    made = Wrong(**values)
    made.needs = layer.needs
    return made


@pytest.mark.parametrize("which", ["conv1", "conv2_pre", "averagepool_7", "conv3"])
@pytest.mark.parametrize("factor", [1.001, -1, 0])
def test_a_wrong_layer_is_named(net_of: Nets, which: str, factor: float) -> None:
    net = net_of(small.caffe(), np.float64)
    (place,) = [k for k, node in enumerate(net.nodes) if node.name == which]
    node = net.nodes[place]
    net.nodes[place] = node._replace(layer=wrong(node.layer, factor))
    assert not passed(list(gradient_errors(net, "end", *SIDES)))
    found = culprits(net, "end", noise(net, *SIDES, 0))
    assert list(found) == [which] if factor != 1.001 else found.keys() <= {which}


def test_layers_above_the_end_do_not_matter(net_of: Nets) -> None:
    net = net_of(small.caffe(), np.float64)
    last = net.nodes[-1]
    assert isinstance(last.layer, Activation)
    net.nodes[-1] = last._replace(layer=wrong(last.layer, 3))
    assert passed(list(gradient_errors(net, "conv3", *SIDES)))
    assert culprits(net, "conv3", noise(net, *SIDES, 0)) == {}


def test_what_nothing_comes_back_from_is_zero_on_both_sides(net_of: Nets) -> None:
    net = Builder("steps", opset=18)
    x = net.node("Floor", net.conv("data", 7, 3, 2, 4))
    errors = list(gradient_errors(net_of(net.model(x), np.float64), x, *SIDES))
    assert errors == [0] * TRIALS


def test_integers_have_no_gradient(net_of: Nets) -> None:
    net = Builder("place", opset=18)
    x = net.node("ArgMax", net.conv("data", 7, 3, 2, 4), axis=1, out="place")
    with pytest.raises(ArgumentError, match=r"'place' holds int64"):
        list(gradient_errors(net_of(net.model(x), np.float64), "place", *SIDES))


def test_noise_is_fed_as_pictures_are(net_of: Nets) -> None:
    net = net_of(small.caffe(), np.float64)
    assert noise(net, *SIDES, 0).shape == (1, 3, 13, 18)
    assert abs(noise(net, *SIDES, 0).std() - 1) < 0.1
    net.preprocessing = Preprocess((10, 20, 30), 2, "BGR")
    x = noise(net, *SIDES, 3)
    assert x.dtype == np.float64
    assert set(np.unique(x / 2 % 1)) == {0}
    assert x.max() > 2 * 200
    assert not np.array_equal(x, noise(net, *SIDES, 4))
