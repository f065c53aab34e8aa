"""Saliency: which pixels move a class or a unit, by the gradient under three rules."""

from __future__ import annotations

from oneiro.kernels.dispatch import Array

from ..drawing import sheet
from ..error import ArgumentError
from ..image import Picture
from ..layer import RULES
from ..map import Map
from ..net import Net
from ..probe import TITLES, Probe
from ..recipe import amended
from ..target import Target


def saliency(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    rule: str = "gradient",
    reduce: str | None = None,
    crop: bool = True,
) -> Map | Picture:
    """The derivative of a target in each pixel of a picture (h, w, c) of 0..255.

    `target` is a class by its number or name, of which the score before the softmax is taken; or
    a unit as "BLOB:CHANNEL[,ROW,COLUMN]"; or None, the top class. `rule` says how rectifiers go
    back: "gradient" (Simonyan, Vedaldi, Zisserman 2013), "guided" (Springenberg et al. 2014) or
    "deconv" (Zeiler & Fergus 2013), where values go to the places that the pools remember; where
    windows overlap they add up there, and by "deconv-overwrite" the last one stays.

    `reduce` makes one number of a pixel's colours: "max" (of |values|), "norm" or "sum" give a Map
    (h, w) per grey value; "colour" is a Picture of the signed values round mid-grey, and what
    guided and deconv give by default. With `crop` a neuron's is no more than its receptive field.

    Guided backprop and the deconvnet draw the picture's own edges more than what the class hangs
    on: expect them to fail `sanity`. Raises ArgumentError and ModelError.
    """
    if rule not in RULES:
        raise ArgumentError(f"rule {rule!r} is not one of {', '.join(RULES)}")
    probe = Probe(net, img, target)
    value, g = probe.gradient(rule)
    reduce = reduce or ("max" if rule == "gradient" else "colour")
    caption = f"{TITLES[rule]} of {probe.target.title}, {value:.4g} in {probe.target.blob}"
    made = {"rule": rule, "value": value}
    return probe.finished(probe.planes(g), reduce, caption, crop, "saliency", made, {"photo": img})


def rules_sheet(
    net: Net, img: Array, target: Target | str | int | None = None, *, reduce: str = "colour"
) -> Picture:
    """The picture, and its saliency under the three rules, side by side; as for `saliency`."""
    probe = Probe(net, img, target)
    rules = ("gradient", "guided", "deconv")
    found = [saliency(net, img, probe.target, rule=rule, reduce=reduce) for rule in rules]
    tiles = [entry.bare() if isinstance(entry, Map) else entry for entry in found]
    rows, columns = probe.field()
    titles = [probe.target.title, *(TITLES[rule] for rule in rules)]
    page = sheet([Picture(img)[rows, columns], *tiles], titles, columns=4)
    page.recipe = amended(found[0].recipe, "rules_sheet", rule=list(rules))
    return page
