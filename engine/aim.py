"""What a picture is to show: goals with titles, from text or Python, that can be reckoned with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from .crop import Box, box
from .error import ArgumentError
from .field import Field, fields
from .goal import parse_spec, parse_weight
from .layer import Rectifier
from .net import Net
from .objective import Formula, Goal, Objective, neuron, terms
from .size import refused, usual_size
from .target import Target, class_target, unit_target

PLUS = " + "  # between the parts of an aim
CLASS = "class:"
NEURON = "neuron:"


class Aim(dict[str, Objective]):
    """A goal, {blob: objective}, with a title; a + b, a - b, 2 * a and -a are aims too.

    `text` is what `aim` makes it of again, and empty where only Python can say it. `target` is the
    class or unit whose own aim it is.
    """

    def __init__(
        self, goal: Goal, title: str, text: str = "", target: Target | None = None
    ) -> None:
        super().__init__(goal)
        self.title = title
        self.text = text
        self.target = target

    def __add__(self, other: Goal) -> Aim:
        more = other if isinstance(other, Aim) else Aim(other, " + ".join(other))
        goal = {
            name: Formula(*(term for part in (self, more) for term in terms_of(part, name)))
            for name in (*self, *(name for name in more if name not in self))
        }
        text = PLUS.join((self.text, more.text)) if self.text and more.text else ""
        return Aim(goal, f"{self.title} + {more.title}", text)

    def __mul__(self, factor: float) -> Aim:
        goal = {name: factor * Formula(*terms(objective)) for name, objective in self.items()}
        return Aim(goal, f"{factor:g} {self.title}")

    __rmul__ = __mul__

    def __neg__(self) -> Aim:
        return -1.0 * self

    def __sub__(self, other: Goal) -> Aim:
        return self + -1.0 * (other if isinstance(other, Aim) else Aim(other, " + ".join(other)))


def terms_of(goal: Goal, name: str) -> tuple[tuple[float, Objective], ...]:
    """What a goal asks of a blob."""
    return terms(goal[name]) if name in goal else ()


def aim(net: Net, which: str | int | Target | Goal) -> Aim:
    """What `which` names, as an aim.

    A class by its number or its name ("goose", "class:99"); a unit, "BLOB", "BLOB:CHANNEL" or
    "BLOB:CHANNEL,ROW,COLUMN"; "neuron:BLOB:CHANNEL", the unit in the middle; each perhaps with
    =WEIGHT, and several of them with " + " between. A name is a blob's if there is one. In Python
    also a Target, or a goal, {blob: objective}. Raises ArgumentError.
    """
    if isinstance(which, Aim):
        return which
    if isinstance(which, Target):
        place = f":{','.join(map(str, which.place))}" if which.place else ""
        return Aim(which.goal(), which.title, f"{which.blob}{place}", which)
    if isinstance(which, Mapping):
        goal = {net.resolve(name): objective for name, objective in which.items()}
        return Aim(goal, " + ".join(goal))
    first, *more = (part_of(net, text.strip()) for text in str(which).split(PLUS))
    for part in more:
        first = first + part
    return first


def part_of(net: Net, text: str) -> Aim:
    """One part of an aim in text."""
    if not text.startswith((CLASS, NEURON)) and not names_blob(net, text):
        text = CLASS + text
    if text.startswith(CLASS):
        name, equals, weight = text.removeprefix(CLASS).partition("=")
        target = class_target(net, name)
        own = Aim(target.goal(), target.title, f"{CLASS}{target.place[0]}", target)
        return weighed(own, parse_weight(weight, text) if equals else 1.0)
    spec = parse_spec(net, text.removeprefix(NEURON))
    if text.startswith(NEURON) and len(spec.place) != 1:
        raise ArgumentError(f"{text!r} is no neuron in the middle: write {NEURON}BLOB:CHANNEL")
    place = f":{','.join(map(str, spec.place))}" if spec.place else ""
    target = unit_target(net, f"{spec.blob}{place}")
    own = Aim(target.goal(), target.title, target.title, target)
    if text.startswith(NEURON) or len(spec.place) == 3:
        blob, channel = unrectified(net, spec.blob, spec.place[0])
        objective = neuron(channel, *spec.place[1:])
        mark = NEURON if text.startswith(NEURON) else ""
        own = Aim({blob: objective}, target.title, f"{mark}{target.title}", target)
    return weighed(own, spec.weight)


def unrectified(net: Net, blob: str, channel: int) -> tuple[str, int]:
    """The unit that a rectifier makes this one of, also behind a Concat; else itself.

    A neuron is climbed there: what the rectifier made zero, nothing could move.
    """
    shapes = net.reachable_shapes({net.input: (1, net.channels, *usual_size(net))})
    makers = {top: node for node in net.nodes for top in node.tops}
    name, k = blob, channel
    while name in makers:
        node = makers[name]
        below = [bottom for bottom in node.bottoms if bottom is not None]
        if isinstance(node.layer, Rectifier):
            return below[0], k
        if node.layer.kind != "Concat":
            break
        counts = [shapes[bottom][1] for bottom in below]
        ends = list(accumulate(counts))
        if len(shapes[name]) != 4 or sum(counts) != shapes[name][1] or not 0 <= k < ends[-1]:
            break
        part = bisect_right(ends, k)
        name, k = below[part], k - ends[part] + counts[part]
    return blob, channel


def weighed(part: Aim, weight: float) -> Aim:
    """The aim times a weight that can be written."""
    if weight == 1:
        return part
    times = weight * part
    times.text = f"{part.text}={weight!r}"
    return times


def names_blob(net: Net, text: str) -> bool:
    """Does the text begin with the name of a blob, as a whole?"""
    ends = (k for k in range(len(text), 0, -1) if text[k : k + 1] in ("", ":", "="))
    return any(net.find(text[:k]) for k in ends)


def is_middle(one: Aim) -> bool:
    """Is it the value of the unit in the middle?"""
    return one.text.startswith(NEURON) and one.target is not None


def seen(net: Net, one: Aim, h: int, w: int) -> Box | None:
    """What a neuron sees of a picture of h x w; None for what sees, or may see, all of it."""
    if one.target is None or not (is_middle(one) or len(one.target.place) == 3):
        return None
    field, sizes = view(net, one.target.blob, h, w)
    if field is None:
        return None
    row, column = one.target.place[1:] or (size // 2 for size in sizes)
    return box(field, row, column)


def view(net: Net, blob: str, h: int, w: int) -> tuple[Field | None, Sequence[int]]:
    """The receptive field of a blob's units, if it is a piece of the picture; rows and columns."""
    shadow = net.on_symbols({net.input: (1, net.channels, h, w)})
    shadow.forward(end=blob)
    return fields(shadow).get(blob), shadow.blobs[blob].data.shape[2:]


def smallest_size(net: Net, blob: str) -> tuple[int, int]:
    """Of the square pictures the smallest whose middle unit of `blob` sees no border of it.

    The usual size where that is no smaller, and where units see everything.
    """
    usual = usual_size(net)
    field, _ = view(net, blob, *usual)
    if field is None:
        return usual
    for side in range(max(field.size), min(usual)):
        if refused(net, [blob], side, side) is not None:
            continue
        field, sizes = view(net, blob, side, side)
        if field is None:
            break
        place = box(field, *(size // 2 for size in sizes))
        if (
            min(place.top, place.left) >= 0
            and max(place.top + place.height, place.left + place.width) <= side
        ):
            return side, side
    return usual
