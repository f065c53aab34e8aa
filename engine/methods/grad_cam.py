"""Grad-CAM: the maps of a layer, weighted by how much a class gains from them."""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from ..ascent import image_gradient
from ..error import ArgumentError, ModelError
from ..feature import maps_below, weighted
from ..image import Picture
from ..map import Map, resized
from ..net import Net
from ..plan import Plan
from ..probe import Probe
from ..target import Target

log = logging.getLogger(__name__)


def grad_cam(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    blob: str | None = None,
    crop: bool = True,
) -> Map:
    """Where a layer saw what speaks for a class: Grad-CAM (Selvaraju et al. 2017).

    The maps (c, h, w) of a blob, each times the mean over its places of the target's derivative
    there, are added up and rectified; then they are brought to the picture's size bilinearly. By
    default the blob is the last one of maps that filters still part from the target.
    `target` and `crop` are as for `saliency`. Returns a Map of the picture's size (h, w).
    """
    probe = Probe(net, img, target)
    name = named_maps(probe, blob)
    cam, value = class_map(probe, name)
    caption = f"Grad-CAM of {probe.target.title} in {name}"
    made = {"maps": name, "value": value}
    pictures = {"photo": img}
    found = probe.finished(cam[..., None], "max", caption, crop, "grad_cam", made, pictures)
    return cast(Map, found)


def guided_grad_cam(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    blob: str | None = None,
    reduce: str = "colour",
    crop: bool = True,
) -> Map | Picture:
    """Guided backprop where Grad-CAM is large: their product, a Picture round mid-grey by default.

    Arguments as for `grad_cam` and `saliency`.
    """
    probe = Probe(net, img, target)
    name = named_maps(probe, blob)
    cam, value = class_map(probe, name)
    _, g = probe.gradient("guided")
    values = probe.planes(g) * cam[..., None]
    caption = f"guided Grad-CAM of {probe.target.title} in {name}"
    made = {"maps": name, "value": value}
    return probe.finished(values, reduce, caption, crop, "guided_grad_cam", made, {"photo": img})


def class_map(probe: Probe, name: str) -> tuple[NDArray[np.float64], float]:
    """Grad-CAM (h, w) at the picture's size, and the target's value."""
    result = Plan(probe.net, cam_program(probe, name), x=(probe.net.dtype, probe.x.shape))(
        x=probe.x
    )
    cam = resized(np.asarray(result["cam"], np.float64)[0, 0], *probe.x.shape[2:])
    if not cam.any():
        log.warning("%s gains nothing from %s: Grad-CAM is zero", probe.target.title, name)
    return probe.planes(cam[None, None])[..., 0], float(probe.measured(result["data"])[0])


def cam_program(probe: Probe, name: str) -> Any:
    """A program over a Net, for Plan and export: x to the rectified, weighted sum of the maps."""

    def program(net: Net, x: Array) -> dict[str, Any]:
        image_gradient(net, x, probe.goal)
        return {"cam": weighted(net.blobs[name]), "data": net.blobs[probe.target.blob].data}

    return program


def named_maps(probe: Probe, blob: str | None) -> str:
    """The blob whose maps are weighted."""
    shapes = probe.net.shapes({probe.net.input: probe.x.shape}, end=probe.target.blob)
    found = maps_below(probe.net, probe.target, shapes)
    if blob is None:
        if not found:
            raise ModelError(
                f"{probe.net.model.name!r} makes no maps before {probe.target.blob}: name a blob"
            )
        return found[-1]
    name = probe.net.resolve(blob)
    if name not in shapes or len(shapes[name]) != 4:
        held = f"of {shapes[name]}" if name in shapes else f"not before {probe.target.blob}"
        raise ArgumentError(
            f"{blob} holds no maps for it: it is {held}; {', '.join(found[-4:])} do"
        )
    return name
