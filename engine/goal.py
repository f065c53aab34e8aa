"""Where to climb: blobs named in text, and the rule for a network that nobody has tried yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .error import ArgumentError, ModelError
from .layer import Rectifier
from .net import Net
from .objective import Goal, Objective, channel, l2, neuron, weighted
from .size import usual_size

JOINS = ("Concat", "Add", "Sum")
DEPTH = 0.6  # of the way from the picture to the last candidate, where dreams show whole things
FEWEST = 4  # joins that a network needs for them to be its stages


class Spec(NamedTuple):
    """One end: NAME, NAME:CHANNEL or NAME:CHANNEL,ROW,COLUMN, each perhaps with =WEIGHT."""

    blob: str
    place: tuple[int, ...]
    weight: float


def parse_spec(net: Net, text: str) -> Spec:
    """The end that a text such as "fire7/concat:12=0.5" names; raises ArgumentError.

    Names may hold colons and equals signs themselves: the longest name that exists wins.
    """
    prefixes = (text[:k] for k in range(len(text), 0, -1) if text[k : k + 1] in ("", ":", "="))
    unknown = text.rpartition("=")[0] or text
    name = next((prefix for prefix in prefixes if net.find(prefix)), unknown)
    blob = net.resolve(name)
    place, equals, weight = text[len(name) :].partition("=")
    return Spec(
        blob,
        parse_place(place, text) if place else (),
        parse_weight(weight, text) if equals else 1.0,
    )


def parse_place(place: str, text: str) -> tuple[int, ...]:
    """The numbers in ":CHANNEL" or ":CHANNEL,ROW,COLUMN"."""
    try:
        numbers = tuple(int(number) for number in place[1:].split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        form = "NAME:CHANNEL or NAME:CHANNEL,ROW,COLUMN"
        raise ArgumentError(f"{place[1:]!r} in {text!r} is no channel or neuron: write {form}")
    return numbers


def parse_weight(weight: str, text: str) -> float:
    """The number of "=WEIGHT"."""
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"{weight!r} in {text!r} is not a weight: write NAME=2.5")
    return number


def goal(net: Net, texts: Sequence[str], whole: Mapping[str, Objective] | None = None) -> Goal:
    """{blob: objective} for several ends; `whole` are objectives of blobs named as a whole.

    Half the sum of squares is the objective of a blob, the sum that of a channel, the value that
    of a neuron.
    """
    parts: dict[str, list[tuple[float, Objective]]] = {}
    for text in texts:
        spec = parse_spec(net, text)
        if not spec.place:
            objective = (whole or {}).get(spec.blob, l2)
        elif len(spec.place) == 1:
            objective = channel(spec.place[0])
        else:
            objective = neuron(*spec.place)
        parts.setdefault(spec.blob, []).append((spec.weight, objective))
    return {
        blob: pairs[0][1] if len(pairs) == 1 and pairs[0][0] == 1 else weighted(pairs)
        for blob, pairs in parts.items()
    }


def candidates(net: Net) -> list[str]:
    """The blobs worth dreaming, in order: where branches join, else what rectifiers make.

    A rectifier that alone reads a join stands for it. All are maps, (n, c, h, w) with h, w > 1.
    """
    shapes = net.reachable_shapes({net.input: (1, net.channels, *usual_size(net))})
    maps = {n for n, shape in shapes.items() if len(shape) == 4 and min(shape[2:]) > 1}
    joins, rectified = [], []
    for node in net.nodes:
        top = node.tops[0]
        if top not in maps:
            continue
        flows = [bottom for bottom in node.bottoms if bottom not in net.constants]
        if node.layer.kind in JOINS and len(flows) > 1:  # not a bias
            readers = [reader for reader in net.nodes if top in reader.bottoms]
            alone = len(readers) == 1 and isinstance(readers[0].layer, Rectifier)
            joins.append(readers[0].tops[0] if alone else top)
        elif isinstance(node.layer, Rectifier):
            rectified.append(top)
    found = joins if len(joins) >= FEWEST else rectified
    found = found or [name for name in net.blobs if name in maps and name != net.input]
    if not found:
        raise ModelError(f"{net.model.name!r} makes no maps: name a blob as end")
    return found


def usual_end(net: Net) -> str:
    """The candidate at DEPTH of the way: the end for a network without favourites."""
    found = candidates(net)
    return found[round(DEPTH * (len(found) - 1))]
