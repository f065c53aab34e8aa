"""What a model of a Net can be asked: programs whose class, channel and position are inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.index import gather
from oneiro.kernels.repeat import repeat
from oneiro.kernels.roll import unroll
from oneiro.kernels.shape import arange

from ..ascent import dream_step, image_gradient
from ..error import ArgumentError
from ..feature import maps_below, weighted
from ..goal import goal, parse_spec
from ..net import Net
from ..objective import Goal, Objective
from ..size import accepted_size, usual_size
from ..target import Target, score_blob
from ..trace import Input
from ..transform import edge_cropped, edge_padded, octaves, zoomed
from .face import Face

UNIT = {
    "channel": "which channel of {end}, from 0; -1: all",
    "row": "which row of it, from 0; -1: all",
    "column": "which column of it, from 0; -1: all",
}
CLASS = {"class": "which class, from 0; -1: the one with the highest score"}
OCTAVES, SCALE = 4, 1.4  # of a dream, as in the notebook
RULES = {"gradient": "gradient", "guided": "guided backprop", "deconv": "the deconvnet"}


class Question(NamedTuple):
    """A program over a Net, program(net, **inputs) -> {name: result}, and what is said of it."""

    program: Callable[..., Any]
    inputs: dict[str, Input]
    docs: dict[str, str]  # of inputs and results


Ends = Sequence[str] | Goal


def question(net: Net, what: str, ends: Ends, face: Face, smooth: float = 0.0) -> Question:
    """One of WHATS about the blobs `ends`; raises ArgumentError for a wrong number of them."""
    if what not in WHATS:
        raise ArgumentError(f"what is {what!r}; it must be one of {', '.join(WHATS)}")
    ask, least, most = WHATS[what]
    if len(ends) < least:
        raise ArgumentError(f"{what} is about a blob: name one as end")
    if len(ends) > most:
        raise ArgumentError(f"{what} takes {'no end' if most == 0 else 'one end at most'}")
    if isinstance(ends, Mapping) and ask not in (gradient, step, dream):
        raise ArgumentError(f"{what} climbs no objective: name blobs")
    if what not in MOVING and smooth:
        raise ArgumentError(f"{what} makes no steps whose gradients could be smoothed")
    if not 0 <= smooth < math.inf:
        raise ArgumentError(f"smooth is {smooth}: it must be at least 0")
    return ask(net, what, ends, face, **({"smooth": smooth} if what in MOVING else {}))


def activations(net: Net, what: str, ends: Ends, face: Face) -> Question:
    """The data of blobs."""
    names = [net.resolve(end) for end in ends]

    def program(net: Net, **given: Array) -> dict[str, Any]:
        return net.forward({net.input: face.enter(net, given[face.name])}, end=names)

    docs = {name: f"what {name} holds" for name in names}
    return Question(program, {face.name: face.input}, {**docs, face.name: face.doc})


def gradient(net: Net, what: str, ends: Ends, face: Face) -> Question:
    """The derivative of an objective in the picture, under a rule."""
    climb = climbing(net, ends)

    def program(net: Net, **given: Array) -> dict[str, Any]:
        x = face.enter(net, given[face.name])
        value, g = image_gradient(net, x, climb.goal(given), what)
        data = {f"activations{k or ''}": net.blobs[end].data for k, end in enumerate(climb.ends)}
        return {"value": value, **data, "gradient": face.derivative(net, g)}

    docs = climb.docs | {
        face.name: face.doc,
        **{f"activations{k or ''}": f"what {end} holds" for k, end in enumerate(climb.ends)},
        "gradient": f"of the value, by {RULES[what]}, in each number of {face.name}",
    }
    return Question(program, {face.name: face.input, **climb.inputs}, docs)


def saliency(net: Net, what: str, ends: Ends, face: Face) -> Question:
    """How much each pixel moves a class's score: the largest |derivative| of its colours."""
    name = score_blob(net)

    def program(net: Net, **given: Array) -> dict[str, Any]:
        x = face.enter(net, given[face.name])
        scores, which = climbed(net, x, name, given["class"])
        g = face.derivative(net, net.blobs[net.input].diff)
        return {"map": np.abs(g).max(face.colours), "scores": scores, "chosen": which}

    docs = {"map": f"of {face.name}: how much each pixel moves the score of the class"}
    return of_class(program, name, docs, face)


def grad_cam(net: Net, what: str, ends: Ends, face: Face) -> Question:
    """The maps of a blob, weighted by how much a class gains from them (Selvaraju et al. 2017)."""
    name = score_blob(net)
    shape = (1, net.channels, *usual_size(net))
    found = maps_below(net, Target(name, (0,), ""), net.shapes({net.input: shape}, end=name))
    if not ends and not found:
        raise ArgumentError(f"{net.model.name!r} makes no maps before {name}: name a blob as end")
    maps = net.resolve(next(iter(ends))) if ends else found[-1]

    def program(net: Net, **given: Array) -> dict[str, Any]:
        x = face.enter(net, given[face.name])
        scores, which = climbed(net, x, name, given["class"])
        cam = np.squeeze(weighted(net.blobs[maps]), (1,))
        return {"cam": cam, "scores": scores, "chosen": which}

    docs = {"cam": f"where {maps} saw what speaks for the class, (n, h, w) of that blob"}
    return of_class(program, name, docs, face)


def of_class(program: Callable[..., Any], name: str, docs: dict[str, str], face: Face) -> Question:
    """A question about a class, by its scores in the blob `name`."""
    docs |= {
        face.name: face.doc,
        **CLASS,
        "scores": f"of each class, before any softmax: {name}",
        "chosen": "the class that was asked about, or the top one",
    }
    inputs = {face.name: face.input, "class": (np.int64, ())}
    return Question(program, inputs, docs)


def step(net: Net, what: str, ends: Ends, face: Face, smooth: float) -> Question:
    """A step of DeepDream up an objective."""
    climb = climbing(net, ends)

    def program(net: Net, shift: Array, step: Array, **given: Array) -> dict[str, Any]:
        x = face.enter(net, given[face.name])
        grey = net.known_preprocessing().unit(net.channels, net.dtype)
        goal, bounds = climb.goal(given), face.bounds(net)
        found = dream_step(net, x, shift, step * grey, goal, bounds, smooth=smooth)
        g = unroll(net.blobs[net.input].diff, shift, (2, 3))
        return {
            "dream": face.leave(net, found["x"]),
            "value": found["value"],
            "gradient": face.derivative(net, g),
        }

    docs = climb.docs | {
        face.name: face.doc,
        "shift": "by how many rows and columns the net sees the picture turned: the jitter",
        "step": "how far to go on the average, in grey values of 0..255",
        "dream": f"{face.name} a step further",
        "gradient": f"of the value, before that step, in each number of {face.name}",
    }
    inputs = {
        face.name: (face.input[0], (1, *face.input[1][1:])),
        "shift": (np.int64, (2,)),
        "step": (net.dtype, ()),
        **climb.inputs,
    }
    return Question(program, inputs, docs)


def dream(net: Net, what: str, ends: Ends, face: Face, smooth: float) -> Question:
    """A whole dream: OCTAVES sizes of the picture, from the smallest on, and steps in each."""
    climb = climbing(net, ends)
    loaded = net  # on which sizes can be tried: the program runs on another, on symbols

    def program(net: Net, steps: Array, step: Array, shifts: Array, **given: Array) -> Any:
        x = face.enter(net, given[face.name])
        way = net.known_preprocessing()
        goal, bounds = climb.goal(given), way.bounds(net.channels, net.dtype)
        size = step * way.unit(net.channels, net.dtype)

        def moved(x: Array, shift: Array) -> Array:
            made: Array = dream_step(net, x, shift, size, goal, bounds, smooth=smooth)["x"]
            return made

        def dreamt(x: Array, turns: Array) -> Array:
            sides = x.shape[2:]
            if any(map(is_symbol, sides)):
                return repeat(x, moved, steps, turns)
            # as deepdream does it, a picture that would vanish on the way gets a border
            x = edge_padded(x, *accepted_size(loaded, climb.ends, *sides))
            return edge_cropped(repeat(x, moved, steps, turns), *sides)

        def smaller(x: Array, _: Array) -> Array:
            return octaves(x, 2, SCALE)[1]

        def octave(detail: Array, k: Array) -> Array:
            base = repeat(x, smaller, OCTAVES - 1 - k, numbers, resized=(2, 3))
            start = base + zoomed(detail, *base.shape[2:])
            return dreamt(start, gather(shifts, k, 0)) - base

        numbers = np.arange(OCTAVES)
        detail = repeat(np.zeros_like(x), octave, OCTAVES, numbers, resized=(2, 3))
        return {"dream": face.leave(net, x + detail)}

    docs = climb.docs | {
        face.name: face.doc,
        "steps": f"how many, in each of {OCTAVES} octaves",
        "step": "how far one goes on the average, in grey values of 0..255",
        "shifts": "the jitter: for each octave and step, the smallest octave first, by how many "
        "rows and columns the net sees the picture turned",
        "dream": f"{face.name}, dreamt",
    }
    inputs = {
        face.name: (face.input[0], (1, *face.input[1][1:])),
        "steps": (np.int64, ()),
        "step": (net.dtype, ()),
        "shifts": (np.int64, (OCTAVES, "steps", 2)),
        **climb.inputs,
    }
    return Question(program, inputs, docs)


class Climb(NamedTuple):
    """What is climbed: an objective, or one of the unit that three of the inputs name."""

    ends: list[str]
    goal: Callable[[Mapping[str, Array]], Goal]
    inputs: dict[str, Input]
    docs: dict[str, str]


def climbing(net: Net, ends: Ends) -> Climb:
    """A plain name leaves the unit to the inputs; parts, weights and objectives are settled."""
    if isinstance(ends, Mapping):
        settled: Goal = {net.resolve(name): objective for name, objective in ends.items()}
    else:
        specs = [parse_spec(net, end) for end in ends]
        if len(specs) == 1 and specs[0][1:] == ((), 1.0):
            (end,) = (spec.blob for spec in specs)
            docs = {name: text.format(end=end) for name, text in UNIT.items()}
            docs["value"] = f"of {end} as a whole half the sum of squares, of a part the sum"
            inputs: dict[str, Input] = dict.fromkeys(UNIT, (np.int64, ()))

            def chosen(given: Mapping[str, Array]) -> Goal:
                return {end: unit(*(given[name] for name in UNIT))}

            return Climb([end], chosen, inputs, docs)
        settled = goal(net, ends)
    docs = {"value": f"the objective in {', '.join(settled)}"}
    return Climb([*settled], lambda given: settled, {}, docs)


MANY = 10**6
WHATS: dict[str, tuple[Callable[..., Question], int, int]] = {  # and how many ends they take
    "activations": (activations, 1, MANY),
    "gradient": (gradient, 1, MANY),
    "guided": (gradient, 1, MANY),
    "deconv": (gradient, 1, MANY),
    "saliency": (saliency, 0, 0),
    "gradcam": (grad_cam, 0, 1),
    "step": (step, 1, MANY),
    "dream": (dream, 1, MANY),
}


MOVING = ("step", "dream")  # which need to know black and white


def unit(channel: Array, row: Array, column: Array) -> Objective:
    """The objective of what three integers name in a blob (n, c) or (n, c, h, w).

    Of the whole blob it is half the sum of squares, as DeepDream climbs it; of a part the sum.
    """

    def objective(data: Array) -> tuple[Any, Array]:
        part = among(data.shape[1], channel)
        whole = channel < 0
        for axis, place in zip(range(2, data.ndim), (row, column), strict=False):
            part = np.expand_dims(part, (-1,)) & among(data.shape[axis], place)
            whole = whole & (place < 0)
        weights = part.astype(data.dtype)
        value = np.where(whole, 0.5 * (data * data).sum(), (weights * data).sum())
        return value, np.where(whole, data, weights)

    return objective


def among(size: Any, place: Array) -> Any:
    """Which of `size` places are meant: one of them, or all."""
    return (line(size) == place) | (place < 0)


def line(size: Any) -> Any:
    """0, 1, 2, ... before a size, which may be a symbol."""
    if isinstance(size, int):
        return np.arange(size)
    return arange(np.array(0), np.reshape(size, ()), np.array(1))


def climbed(net: Net, x: Array, name: str, which: Array) -> tuple[Any, Any]:
    """Climb a class of each picture; returns the scores (n, classes), and the classes (n,)."""
    found: list[Any] = []

    def objective(data: Array) -> tuple[Any, Array]:
        # scores that are maps, of a picture larger than the net was trained at, are averaged
        scores = data if data.ndim == 2 else data.mean(tuple(range(2, data.ndim)))
        chosen = np.where(which < 0, np.argmax(scores, 1), which)
        weights = (line(data.shape[1]) == np.expand_dims(chosen, (1,))).astype(data.dtype)
        weights = np.reshape(weights, (*weights.shape, *(1,) * (data.ndim - 2)))
        found.extend((scores, chosen))
        return (weights * data).sum(), weights + np.zeros((), data.dtype) * data

    goal: Goal = {name: objective}
    image_gradient(net, x, goal)
    return found[0], found[1]
