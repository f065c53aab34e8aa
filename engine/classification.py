"""What a network says is on a picture."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array

from .error import ArgumentError, ModelError
from .net import Net
from .preprocess import PRESETS, Preprocess

FEWEST = 2  # classes


class Guess(NamedTuple):
    """A class by its number, and the probability that the network gives it."""

    number: int
    confidence: float


def classify(net: Net, img: Array, way: Preprocess, count: int | None = 5) -> list[Guess]:
    """The most probable classes of a picture (h, w, c) of 0..255 that is fed in this way.

    Without `count` all of them. Scores become probabilities by a softmax; probabilities stay as
    they are. Raises ModelError for a network whose outputs are no vector of classes, ArgumentError
    for labels of another number.
    """
    tops = net.forward({net.input: way.preprocess(img, net.channels, net.dtype)})
    found = (np.asarray(data).squeeze() for data in tops.values())
    vectors = [data for data in found if is_vector(data)]
    if not vectors:
        shapes = ", ".join(f"{name} {np.shape(data)}" for name, data in tops.items())
        raise ModelError(f"{net.model.name!r} does not classify: its outputs are {shapes}")
    chances = probabilities(vectors[0])
    if net.labels and len(net.labels) != len(chances):
        text = f"{len(net.labels)} labels for {len(chances)} classes"
        raise ArgumentError(f"{net.model.name!r} has {text}: give the file of its own, --labels")
    best = np.argsort(-chances, kind="stable")[:count]
    return [Guess(int(k), float(chances[k])) for k in best]


def is_vector(data: Array) -> bool:
    """Is there one number for each of several classes?"""
    return data.ndim == 1 and data.size >= FEWEST and data.dtype.kind == "f"


def probabilities(scores: Array) -> Array:
    """A softmax of scores, unless they are probabilities already; 0 where they are no numbers."""
    scores = scores.astype(np.float64)
    if not np.isfinite(scores.max()):
        return np.zeros_like(scores)
    if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
        return scores
    chances = np.exp(scores - scores.max())
    result: Array = chances / chances.sum()
    return result


def under_presets(net: Net, img: Array, count: int = 5) -> dict[str, list[Guess]]:
    """{way: classes} for the usual ways of feeding a network, and for its own if it has one."""
    return {name: classify(net, img, way, count) for name, way in ways(net).items()}


def ways(net: Net) -> dict[str, Preprocess]:
    """The usual ways of feeding a network, and "as given" its own if that is none of them."""
    found = {}
    for name, way in PRESETS.items():
        if net.channels == 1:
            way = dataclasses.replace(way, order="GRAY")
        if np.size(way.mean) in (1, net.channels):
            found[name] = way
    if net.preprocessing and net.preprocessing not in found.values():
        found = {"as given": net.preprocessing} | found
    return found


def own_way(net: Net) -> str | None:
    """Which of its `ways` is the network's own, if anybody knows."""
    return next((name for name, way in ways(net).items() if way == net.preprocessing), None)
