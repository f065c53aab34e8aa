"""One question about one picture: how a target's value changes with each pixel."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from .ascent import image_gradient, objective_value, unsound
from .colour import mid_grey
from .crop import box
from .error import ArgumentError
from .field import fields
from .goal import parse_spec
from .image import Picture, resampled
from .map import Map, resized
from .net import Net
from .plan import Plan
from .recipe import make_recipe
from .size import accepted_size, refused, takes_batch, usual_size
from .target import Target, best_target, class_target, unit_target
from .transform import edge_cropped, edge_padded

log = logging.getLogger(__name__)

OnStep = Callable[[int, int], None]  # gradients that are done, of how many

BATCH = 8  # pictures at a time

REDUCES = ("max", "norm", "sum", "colour")

TITLES = {  # of the rules, in captions
    "gradient": "gradient",
    "guided": "guided backprop",
    "deconv": "deconvnet",
    "deconv-overwrite": "deconvnet, overwriting",
}


class Probe:
    """A target, and its gradient at one picture and at others of that size.

    `x` (1, c, h, w) is the picture `img` (h, w, c) as the net takes it, on the host. Where the
    target cannot be reached at its size, the picture's edges are repeated as far as needed; where a
    net takes pictures of one size alone, the picture is resampled to that. `target` is a Target, a
    class by its number or name, a unit as "BLOB:CHANNEL[,ROW,COLUMN]", or None: the top class.
    Derivatives are by the picture's values of 0..255. Raises ArgumentError and ModelError.
    """

    def __init__(self, net: Net, img: Array, target: Target | str | int | None = None) -> None:
        self.net = net
        self.shape: tuple[int, int] = img.shape[:2]
        asked = as_target(net, target)
        ends = [asked.blob] if asked else list(net.outputs)
        self.fed = fitted(net, img, ends)  # of another size than img if that cannot be had
        x = np.asarray(net.preprocess(self.fed))
        self.x = edge_padded(x, *accepted_size(net, ends, *x.shape[2:]))
        self.target = asked or best_target(net, self.x)
        self.goal = self.target.goal()
        self.plans: dict[tuple[int, str | None], Plan] = {}
        several = takes_batch(net, [self.target.blob], (BATCH, *self.x.shape[1:]))
        self.batch = BATCH if several else 1

    @property
    def scale(self) -> Array:
        """What a grey value more is in the net's units, (1, c, 1, 1)."""
        way = self.net.known_preprocessing()
        return way.spread("scale", self.net.channels, self.net.dtype)

    def gradient(self, rule: str = "gradient") -> tuple[float, NDArray[np.float64]]:
        """The target's value at the picture, and its derivative (1, c, h, w) under a rule."""
        values, g = self.gradients(self.x, rule)
        if not g.any():
            log.warning("the gradient is zero: no pixel moves %s", self.target.title)
        return float(values[0]), g

    def gradients(
        self, xs: Array, rule: str = "gradient"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The target's values (n,) at pictures (n, c, h, w), and their derivatives."""
        found = self.plan(len(xs), rule)(x=xs)
        g = np.asarray(found["gradient"], np.float64) * self.scale
        if not np.isfinite(g).all():
            raise unsound(self.net, self.net.place(xs), self.goal)
        return self.measured(found["data"]), g

    def value(self) -> float:
        """The target's value at the picture."""
        return float(self.values(self.x)[0])

    def values(self, xs: Array) -> NDArray[np.float64]:
        """The target's values (n,) at pictures (n, c, h, w)."""
        return self.measured(self.data(xs))

    def data(self, xs: Array) -> Array:
        """What the target's blob holds for pictures (n, c, h, w)."""
        return np.asarray(self.plan(len(xs), None)(x=xs)["data"])

    def summed(
        self, points: Iterable[tuple[float, Array]], count: int, on_step: OnStep | None = None
    ) -> NDArray[np.float64]:
        """The sum of weight * gradient (1, c, h, w) over (weight, picture (1, c, h, w)).

        There are `count` points; on_step(done, count) is told.
        """
        total = np.zeros(self.x.shape)
        done = 0
        for weights, xs in batches(points, self.batch):
            _, g = self.gradients(xs)
            total += np.tensordot(weights, g, 1)
            done += len(xs)
            if on_step:
                on_step(done, count)
        return total

    def plan(self, count: int, rule: str | None) -> Plan:
        """The blob's data for so many pictures and, under a rule, the gradient; made once."""
        key = count, rule
        if key not in self.plans:
            shape = (count, *self.x.shape[1:])
            self.plans[key] = Plan(self.net, self.program(rule), x=(self.net.dtype, shape))
        return self.plans[key]

    def program(self, rule: str | None) -> Any:
        """A program over a Net, for Plan and export: x to the data of the target's blob."""

        def program(net: Net, x: Array) -> dict[str, Any]:
            if rule is None:
                objective_value(net, x, self.goal)
                return {"data": net.blobs[self.target.blob].data}
            _, g = image_gradient(net, x, self.goal, rule)
            return {"data": net.blobs[self.target.blob].data, "gradient": g}

        return program

    def measured(self, data: Array) -> NDArray[np.float64]:
        """The target's value for each picture, from its blob's data."""
        data = np.asarray(data, np.float64)
        place = self.target.place
        if not place:
            return 0.5 * (data.reshape(len(data), -1) ** 2).sum(1)
        where: tuple[Any, ...] = (slice(None), *place[: data.ndim - 1])
        part = data[where]
        return part.reshape(len(data), -1).sum(1)

    def planes(self, x: Array) -> NDArray[np.float64]:
        """An array (1, c, h, w) of the net's as (h, w, c), the picture's own size and colours."""
        h, w = self.fed.shape[:2]
        inside = np.asarray(edge_cropped(x, h, w), np.float64)[0].transpose(1, 2, 0)
        inside = self.net.known_preprocessing().turned(inside)
        return resized(inside, *self.shape)

    def spread(self, places: NDArray[Any]) -> NDArray[Any]:
        """The other way: an array (h, w) of the picture's size as (1, 1, h, w) of x's."""
        h, w = self.fed.shape[:2]
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(int)  # the nearest
            for new, old in zip((h, w), self.shape, strict=True)
        )
        inside = places[rows[:, None], columns]
        return np.asarray(edge_padded(inside[None, None], *self.x.shape[2:]))

    def finished(
        self,
        values: NDArray[Any],
        reduce: str,
        caption: str,
        crop: bool,
        method: str,
        parameters: Mapping[str, Any],
        pictures: Mapping[str, Array],
    ) -> Map | Picture:
        """What a method made of the picture, (h, w, c), reduced, with its recipe.

        With `crop` it is no more than what a single neuron sees.
        """
        made: dict[str, Any] = {
            "target": self.target.title,
            "blob": self.target.blob,
            "reduce": reduce,
            **parameters,
        }
        if crop and len(self.target.place) == 3:
            rows, columns = self.field()
            values = values[rows, columns]
            made["crop"] = [rows.start, columns.start, *values.shape[:2]]
        found = reduced(values, reduce, caption)
        found.recipe = make_recipe(self.net, method, made, pictures)
        return found

    def field(self) -> tuple[slice, slice]:
        """The rows and columns of the picture that the target sees, if it is one neuron; else all.

        All too where its receptive field is not known.
        """
        whole = (slice(0, self.shape[0]), slice(0, self.shape[1]))
        if len(self.target.place) < 3:
            return whole
        shadow = self.net.on_symbols({self.net.input: self.x.shape})
        shadow.fill_reachable()
        field = fields(shadow).get(self.target.blob)
        if field is None:
            return whole
        seen = box(field, *self.target.place[1:])
        spans = []
        for axis, side in enumerate(self.shape):
            padding = (self.x.shape[2 + axis] - self.fed.shape[axis]) // 2
            factor = side / self.fed.shape[axis]
            first = (seen[axis] - padding) * factor
            low = min(max(math.floor(first), 0), side - 1)
            high = math.ceil(first + seen[2 + axis] * factor)
            spans.append(slice(low, min(max(high, low + 1), side)))
        return spans[0], spans[1]


def batches(
    points: Iterable[tuple[float, Array]], size: int
) -> Iterator[tuple[NDArray[np.float64], Array]]:
    """Weights and pictures, `size` at a time."""
    held: list[tuple[float, Array]] = []
    for point in points:
        held.append(point)
        if len(held) == size:
            yield joined(held)
            held = []
    if held:
        yield joined(held)


def joined(points: list[tuple[float, Array]]) -> tuple[NDArray[np.float64], Array]:
    """Weights (n,) and pictures (n, c, h, w)."""
    return np.array([weight for weight, _ in points]), np.concatenate([x for _, x in points])


def as_target(net: Net, target: Target | str | int | None) -> Target | None:
    """What is asked about; None stands for the top class, whichever it will be."""
    if target is None or isinstance(target, Target):
        return target
    if isinstance(target, str) and names_unit(net, target):
        return unit_target(net, target)
    return class_target(net, target)


def names_unit(net: Net, text: str) -> bool:
    """Is this a blob of the net, or a part of one?"""
    try:
        parse_spec(net, text)
    except ArgumentError:
        return net.find(text.partition(":")[0]) is not None
    return True


def fitted(net: Net, img: Array, ends: list[str]) -> Array:
    """The picture, resampled to the one size that the net takes if that is another."""
    if refused(net, ends, *img.shape[:2]) is None:
        return img
    h, w = (net.model.inputs[net.input][1] + (None,) * 4)[2:4]
    if h is None or w is None or refused(net, ends, h, w) is not None:
        return img
    return resampled(Picture(img), h, w)


def trained_size(net: Net, img: Picture) -> Picture:
    """The picture with its shorter side as the net was trained at, if it is longer."""
    height, width = img.shape[:2]
    factor = min(usual_size(net)) / min(height, width)
    return img if factor >= 1 else resampled(img, round(height * factor), round(width * factor))


def reduced(values: NDArray[Any], reduce: str, caption: str) -> Map | Picture:
    """Values (h, w, c), one for each colour of a pixel, as a Map or as a picture.

    "max" is the largest |value| of a pixel, "norm" the length, "sum" the sum with its sign;
    "colour" is a Picture of the values round mid-grey.
    """
    if reduce == "max":
        return Map(np.abs(values).max(2), caption)
    if reduce == "norm":
        return Map(np.sqrt((values * values).sum(2)), caption)
    if reduce == "sum":
        return Map(values.sum(2), caption, signed=True)
    if reduce == "colour":
        return Picture(mid_grey(values))
    raise ArgumentError(f"reduce is {reduce!r}; it must be one of {', '.join(REDUCES)}")
