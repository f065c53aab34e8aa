"""What is asked about: a class by its unnormalised score, or a unit of any blob."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array

from .error import ArgumentError, ModelError
from .goal import parse_spec
from .net import Net
from .objective import Goal, channel, l2, neuron, weighted
from .size import usual_size

NORMALISERS = ("Softmax", "LogSoftmax", "Sigmoid")
VEHICLES = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")  # values stay


class Target(NamedTuple):
    """A whole blob, a channel of it (CHANNEL,), or a neuron (CHANNEL, ROW, COLUMN)."""

    blob: str
    place: tuple[int, ...]
    title: str  # for captions: "espresso (967)", or "fire5/concat:12"

    def goal(self, weight: float = 1.0) -> Goal:
        """What climbs it: the sum of a channel, the value of a neuron, DeepDream's of a blob."""
        if not self.place:
            objective = l2
        elif len(self.place) == 1:
            objective = channel(self.place[0])
        else:
            objective = neuron(*self.place)
        return {self.blob: objective if weight == 1 else weighted([(weight, objective)])}


def unit_target(net: Net, text: str) -> Target:
    """The target that "BLOB", "BLOB:CHANNEL" or "BLOB:CHANNEL,ROW,COLUMN" names."""
    spec = parse_spec(net, text)
    if spec.weight != 1:
        raise ArgumentError(f"{text!r} has a weight: a target has none")
    place = f":{','.join(map(str, spec.place))}" if spec.place else ""
    return Target(spec.blob, spec.place, f"{spec.blob}{place}")


def class_target(net: Net, which: str | int) -> Target:
    """The unnormalised score of a class, called by its number or its name."""
    name, count = scores_of(net)
    number = numbered(net, which, count)
    return Target(name, (number,), class_title(net, number))


def best_target(net: Net, x: Array) -> Target:
    """The class with the highest score for the picture x (1, c, h, w)."""
    return class_target(net, int(class_scores(net, x)[0].argmax()))


def class_scores(net: Net, x: Array) -> Array:
    """The unnormalised scores (n, classes) of the pictures x (n, c, h, w), on the host.

    Scores that are maps, of a picture larger than the network was trained at, are averaged.
    """
    name = score_blob(net)
    scores = np.asarray(net.forward({net.input: x}, end=name)[name])
    return scores.reshape(*scores.shape[:2], -1).mean(2)


def score_blob(net: Net) -> str:
    """The blob of unnormalised class scores.

    It is what enters the Softmax, LogSoftmax or Sigmoid at the end, else the output itself; the
    first output counts that has a number for each of several classes. Raises ModelError for a
    network that does not classify.
    """
    return below_normaliser(net, class_output(net))


def scores_of(net: Net) -> tuple[str, int]:
    """The blob of unnormalised class scores, and of how many classes: both by one trace."""
    shapes = usual_shapes(net)
    name = below_normaliser(net, class_output(net, shapes))
    return name, int(shapes[name][1])


def below_normaliser(net: Net, output: str) -> str:
    """What enters the normaliser at the end, or the output itself where there is none."""
    makers = {top: node for node in net.nodes for top in node.tops}
    name = output
    while name in makers and makers[name].layer.kind in (*NORMALISERS, *VEHICLES):
        node = makers[name]
        below = node.bottoms[0]
        if below is None:
            break
        name = below
        if node.layer.kind in NORMALISERS:
            return name
    return output


def usual_shapes(net: Net) -> dict[str, tuple[int, ...]]:
    """The shapes of all blobs that can be had, for a picture as the network was trained with."""
    return net.reachable_shapes({net.input: (1, net.channels, *usual_size(net))})


def class_output(net: Net, shapes: dict[str, tuple[int, ...]] | None = None) -> str:
    """The first output that is a vector of classes, by the usual shapes where they are known."""
    shapes = usual_shapes(net) if shapes is None else shapes
    for name in net.outputs:
        shape = shapes.get(name, ())
        known = all(isinstance(n, int) for n in shape)
        if known and len(shape) > 1 and shape[1] > 1 and np.prod(shape) == shape[1]:
            return name
    found = ", ".join(f"{name} {shapes.get(name, 'unreachable')}" for name in net.outputs)
    raise ModelError(
        f"{net.model.name!r} does not classify (its outputs: {found}): name a unit of a blob"
    )


def class_number(net: Net, which: str | int) -> int:
    """The number of a class that is called by its number, its name, or a part of its name.

    A name may be one of the several that a label lists; a part must lie in one label alone. Raises
    ArgumentError, which names what is near.
    """
    return numbered(net, which, scores_of(net)[1])


def numbered(net: Net, which: str | int, count: int) -> int:
    """As class_number, for a network of so many classes."""
    text = str(which).strip()
    if text.lstrip("-").isdecimal():
        if not 0 <= int(text) < count:
            raise ArgumentError(f"class {text} is not one of 0..{count - 1}")
        return int(text)
    if not net.labels:
        raise ArgumentError(f"the names of {net.model.name!r}'s classes are not known: give labels")
    sought = text.lower()
    names = [[name.strip().lower() for name in label.split(",")] for label in net.labels]
    exact = [k for k, listed in enumerate(names) if sought in listed]
    partial = [k for k, label in enumerate(net.labels) if sought and sought in label.lower()]
    found = exact or partial
    if len(found) == 1 and found[0] < count:
        return found[0]
    if found:
        several = ", ".join(class_title(net, k) for k in found[:8])
        more = ", ..." if len(found) > 8 else ""
        raise ArgumentError(f"class {text!r} may be {several}{more}: give its number")
    near = difflib.get_close_matches(sought, [name for listed in names for name in listed], 3, 0.5)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise ArgumentError(f"no class is called {text!r}{hint}")


def class_title(net: Net, number: int) -> str:
    """A class as a caption calls it: its first name and its number."""
    if number >= len(net.labels):
        return f"class {number}"
    return f"{net.labels[number].split(',')[0].strip()} ({number})"
