"""Attributions beside their formulas: by torch on the embedded network, by hand on a small one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

import oneiro
from oneiro import (
    ArgumentError,
    Map,
    Net,
    Picture,
    Preprocess,
    gradient_input,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from oneiro.probe import Probe
from oracle import small
from oracle.measure import distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models" / "squeezenet1.1.onnx"
IMG = np.random.RandomState(5).uniform(0, 255, (13, 18, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture(scope="module")
def cat() -> Picture:
    return Picture(oneiro.load_image(ROOT / "examples" / "chelsea_cat.png")[90:180, 120:220])


@pytest.fixture
def head(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.head(), np.float64)
    net.preprocessing = Preprocess((100.0, 120.0, 90.0), 0.02, "BGR")
    return net


def test_integrated_gradients_beside_torch(
    squeezenet: Net, cat: Picture, walker: ModuleType
) -> None:
    """As captum: x times the gradients at Legendre's points of 0..1, weighted by Gauss."""
    steps = 7
    probe = Probe(squeezenet, cat, 285)
    x = squeezenet.preprocess(cat).astype(np.float64)
    places, weights = np.polynomial.legendre.leggauss(steps)
    points = np.concatenate([(1 + place) / 2 * x for place in places])
    seed = np.zeros((steps, *squeezenet.shapes({"data": x.shape})[probe.target.blob][1:]))
    seed[:, 285] = (weights / 2).reshape(-1, *(1,) * (seed.ndim - 2))
    g = walker.gradient(onnx.load(FILE), points, probe.target.blob, seed)
    expected = (g.sum(0) * x[0]).sum(0)
    found = integrated_gradients(squeezenet, cat, 285, steps=steps)
    assert isinstance(found, Map)
    assert found.signed
    assert distance(found, expected) < 1e-4


def test_what_is_integrated_adds_up(squeezenet: Net, cat: Picture) -> None:
    found = integrated_gradients(squeezenet, cat, 285, steps=40)
    told = found.recipe["parameters"]
    total = told["value"] - told["at_baseline"]
    assert told["error"] < 0.02
    assert np.asarray(found).sum() == pytest.approx(total, rel=told["error"] + 1e-4)
    assert f"{told['error']:.2%} missed" in found.caption
    rough = integrated_gradients(squeezenet, cat, 285, steps=1)
    assert rough.recipe["parameters"]["error"] > told["error"]


def test_a_linear_network_misses_nothing(net_of: Callable[..., Net]) -> None:
    w = np.random.RandomState(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    net = net_of(network("y = Conv (x, w)", w=w), np.float64)
    net.preprocessing = Preprocess(50, 0.1)
    for baseline in (None, 200, 255 - IMG):
        found = integrated_gradients(net, IMG, "y:1", steps=1, baseline=baseline)
        assert found.recipe["parameters"]["error"] < 1e-9
    black = integrated_gradients(net, IMG, "y:1", steps=3, baseline=50)
    assert distance(black, gradient_input(net, IMG, "y:1")) < 1e-6  # 50 is the network's zero
    assert black.recipe["parameters"]["baseline"] == 50


def test_the_gradient_times_the_picture(head: Net) -> None:
    x = head.preprocess(IMG)
    _, g = Probe(head, IMG, "scores:3").gradient()
    planes = (g / 0.02 * x)[0].transpose(1, 2, 0)
    assert distance(gradient_input(head, IMG, "scores:3"), planes.sum(2)) < 1e-6
    largest = gradient_input(head, IMG, "scores:3", reduce="max")
    assert distance(largest, np.abs(planes).max(2)) < 1e-6


def test_smooth_grad_is_the_mean_over_noisy_copies(head: Net) -> None:
    found = smooth_grad(head, IMG, "scores:3", level=0.15, samples=11, seed=4)
    probe = Probe(head, IMG, "scores:3")
    random = np.random.default_rng(4)
    sigma = 0.15 * (probe.x.max() - probe.x.min())
    copies = [probe.x + sigma * random.standard_normal(probe.x.shape) for _ in range(11)]
    g = np.mean([probe.gradients(x)[1] for x in copies], axis=0)
    assert distance(found, np.abs(g[0]).max(0)) < 1e-6
    assert found.recipe["parameters"]["sigma"] == pytest.approx(sigma)


def test_one_seed_one_map(head: Net) -> None:
    maps = [np.asarray(smooth_grad(head, IMG, "scores:3", samples=5, seed=k)) for k in (1, 1, 2)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert distance(maps[2], maps[0]) > 0.01


def test_what_is_no_seed(head: Net) -> None:
    with pytest.raises(ArgumentError, match="seed is -1: it must lie in"):
        smooth_grad(head, IMG, "scores:3", seed=-1)


def test_without_noise_it_is_saliency(head: Net) -> None:
    found = smooth_grad(head, IMG, "scores:1", level=0, samples=3)
    assert distance(found, saliency(head, IMG, "scores:1")) < 1e-6


def test_what_is_done_is_told(head: Net) -> None:
    told: list[Any] = []
    smooth_grad(head, IMG, "scores:1", samples=19, on_step=lambda *done: told.append(done))
    integrated_gradients(head, IMG, "scores:1", steps=2, on_step=lambda *done: told.append(done))
    assert told == [(8, 19), (16, 19), (19, 19), (2, 2)]  # a batch at a time


def test_a_neuron_is_cropped(head: Net) -> None:
    unit = f"{head.nodes[1].tops[0]}:2,1,1"
    for method in (smooth_grad, integrated_gradients, gradient_input):
        part = method(head, IMG, unit)
        assert part.shape == (4, 5)
        assert method(head, IMG, unit, crop=False).shape == IMG.shape[:2]


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        (smooth_grad, {"samples": 0}, "samples is 0"),
        (smooth_grad, {"level": -0.1}, "level is -0.1"),
        (smooth_grad, {"level": float("nan")}, "level is nan"),
        (integrated_gradients, {"steps": 0}, "steps is 0"),
        (integrated_gradients, {"baseline": 256}, "0..255"),
        (integrated_gradients, {"baseline": np.zeros((3, 4, 3))}, "baseline is"),
    ],
)
def test_arguments_that_make_no_sense(head: Net, method: Any, arguments: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        method(head, IMG, "scores:1", **arguments)
