"""The parts of a report: what is computed, one after the other, and the figures that come of it."""

from __future__ import annotations

import base64
import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..drawing import readable
from ..image import Picture, encoded, shrunk
from ..inspection import inspect
from ..map import Map
from ..methods.activation import activations
from ..methods.attribution import gradient_input, integrated_gradients, smooth_grad
from ..methods.filter import filters
from ..methods.grad_cam import grad_cam, guided_grad_cam
from ..methods.inversion import invert
from ..methods.occlusion import occlude, placed
from ..methods.saliency import saliency
from .subject import Subject

MAPS = 49  # of a layer, the strongest first
OPERATIONS = 700e9  # of the network, for the squares of an occlusion: half a minute of a core
INVERTED = 224  # px of the longer side of what is inverted
ITERATIONS = 200

OnShare = Callable[[float], None]  # how much of a part is done, 0..1


class Scale(NamedTuple):
    """The ends of a map's colours."""

    low: str
    high: str
    signed: bool


@dataclass(frozen=True)
class Figure:
    """A picture on the page, with what is said about it."""

    title: str
    text: str
    source: str  # the picture itself, as an address
    height: int
    width: int
    scale: Scale | None = None
    names: tuple[tuple[str, str], ...] = ()  # colours, and what they stand for


class Part(NamedTuple):
    """A part of a section, and how much longer than a gradient it takes."""

    section: str
    title: str
    weight: float
    make: Callable[[Subject, OnShare], Iterable[Figure]]


def parts(subject: Subject, inversions: bool) -> list[Part]:
    """Everything that is computed, in order."""
    found = [Part("network", "filters", 1, first_filters)]
    found += [
        Part("activations", blob, 2, functools.partial(layer_maps, blob)) for blob in subject.blobs
    ]
    found += [
        Part("saliency", title, weight, functools.partial(explained, title, text, method))
        for title, weight, method, text in METHODS
    ]
    found.append(Part("occlusion", "occlusion", 120, occluded))
    if inversions:
        found += [
            Part("inversions", f"inversion of {blob}", 40, functools.partial(inverted, blob))
            for blob in subject.blobs
        ]
    return found


# title, weight, function, and what to say
METHODS: tuple[tuple[str, float, Callable[..., Map | Picture], str], ...] = (
    (
        "gradient", 1, functools.partial(saliency, rule="gradient", crop=False),
        "How much the score moves with each pixel (Simonyan, Vedaldi, Zisserman 2013).",
    ),
    (
        "guided backprop", 1, functools.partial(saliency, rule="guided", crop=False),
        "The gradient along units that are active and pull upwards (Springenberg et al. 2014).",
    ),
    (
        "deconvnet", 1, functools.partial(saliency, rule="deconv", crop=False),
        "Positive signals alone go back, through the switches of the pools (Zeiler, Fergus 2013).",
    ),
    (
        "gradient times picture", 1, gradient_input,
        "What the score would lose, were it linear, without each pixel.",
    ),
    (
        "SmoothGrad", 20, smooth_grad,
        "The gradient, averaged over noisy copies of the photo (Smilkov et al. 2017).",
    ),
    (
        "integrated gradients", 50, integrated_gradients,
        "What each pixel adds on the way from the mean colour (Sundararajan et al. 2017).",
    ),
    (
        "Grad-CAM", 1, grad_cam,
        "Where the last maps saw what speaks for it (Selvaraju et al. 2017).",
    ),
    (
        "guided Grad-CAM", 2, guided_grad_cam,
        "Guided backprop where Grad-CAM is large.",
    ),
)  # fmt: skip
COUNTED = (smooth_grad, integrated_gradients)  # which tell how far they are


def first_filters(subject: Subject, on_share: OnShare) -> Iterable[Figure]:
    """What the first convolution looks for."""
    yield drawn("first filters", "What the first convolution looks for.", filters(subject.net))


def layer_maps(blob: str, subject: Subject, on_share: OnShare) -> Iterable[Figure]:
    """The strongest maps of a blob."""
    page = activations(subject.net, subject.fed, blob, strongest=True, count=MAPS)
    yield drawn(blob, "", page)


def explained(
    title: str, text: str, method: Callable[..., Any], subject: Subject, on_share: OnShare
) -> Iterable[Figure]:
    """Which pixels matter."""
    told: dict[str, Any] = {}
    if method in COUNTED:
        told["on_step"] = lambda done, total: on_share(done / total)
    yield laid(subject, title, text, method(subject.net, subject.fed, subject.target, **told))


def occluded(subject: Subject, on_share: OnShare) -> Iterable[Figure]:
    """What covering changes: the probability, the most probable class, an inner map."""
    found = occlude(
        subject.net,
        subject.fed,
        subject.number,
        stride=affordable(subject),
        on_step=lambda done, total: on_share(done / total),
    )
    if found.change is not None:
        yield laid(subject, "the probability", f"{found.change.caption}.", found.change)
        picture, names = found.label_colours(subject.shown)
        listed = tuple((f"rgb{colour}", name) for colour, name in names.items())
        text = "What the photo is taken for, by where the square lies."
        yield photographed("the most probable class", text, picture, names=listed)
    yield laid(subject, "an inner map", f"{found.activity.caption}.", found.activity)


def affordable(subject: Subject) -> int:
    """The least stride of a square, from the usual one on, that a network of this size allows."""
    h, w, _ = subject.fed.shape
    usual = placed(h, w, None, None)
    cost = inspect(subject.net, h, w).flops
    strides = range(usual.stride, usual.window + 1)
    fits = (s for s in strides if math.prod(placed(h, w, None, s).shape) * cost <= OPERATIONS)
    return next(fits, usual.window)


def inverted(blob: str, subject: Subject, on_share: OnShare) -> Iterable[Figure]:
    """What a blob keeps."""
    small = shrunk(subject.fed, INVERTED)
    picture = invert(
        subject.net,
        small,
        end=blob,
        iter_n=ITERATIONS,
        on_step=lambda moment: on_share(moment.iteration / moment.iter_n),
    )
    (error,) = (picture.recipe or {})["found"]["errors"]
    yield photographed(blob, f"Normalised error {error:.2g}.", picture)


def laid(subject: Subject, title: str, text: str, found: Map | Picture) -> Figure:
    """A Map over the photo, with its scale; or a picture as it is."""
    if not isinstance(found, Map):
        return photographed(title, text, found)
    low, high = (readable(end) for end in found.limits())
    scale = Scale(low, high, found.signed)
    return photographed(title, text, found.bare(subject.shown), scale=scale)


def photographed(title: str, text: str, picture: Picture, **more: Any) -> Figure:
    """A figure of soft colours."""
    return figure(title, text, picture, ".jpg", "image/jpeg", **more)


def drawn(title: str, text: str, picture: Picture) -> Figure:
    """A figure of sharp edges."""
    return figure(title, text, picture, ".png", "image/png")


def figure(title: str, text: str, picture: Picture, suffix: str, kind: str, **more: Any) -> Figure:
    content = base64.b64encode(encoded(picture, suffix)).decode()
    height, width = picture.shape[:2]
    return Figure(title, text, f"data:{kind};base64,{content}", height, width, **more)
