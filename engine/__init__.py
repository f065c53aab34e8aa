"""oneiro looks inside convolutional networks: gradients and dreams through any ONNX file.

    net = oneiro.load("squeezenet1.1")
    img = oneiro.load_image("mountains.jpg")
    oneiro.save_image("dream.png", oneiro.deepdream(net, img))

A Net is Caffe's: `net.forward(end=...)` fills `net.blobs[...].data`, `net.backward(start=...)`
fills `.diff`. Methods draw pictures with it; `export` writes what they compute as ONNX.
"""

from __future__ import annotations

if __name__ != "oneiro":
    raise ImportError("this folder is the package oneiro: pip install, then import oneiro")

import importlib.metadata
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import DeviceError

from . import objective as objective
from .aim import Aim, aim
from .animation import save_animation
from .ascent import dream_step, image_gradient
from .blob import Blob
from .code import Codes, load_codes
from .error import ArgumentError, ModelError, OneiroError, PictureError
from .export import export, export_program, save_model
from .image import Picture, load_image, load_recipe, save_image
from .map import Map
from .methods.activation import activation_pages, activations
from .methods.attribution import gradient_input, integrated_gradients, smooth_grad
from .methods.deepdream import deepdream, dream_sheet, make_step, zoom
from .methods.embedding import embed
from .methods.filter import filters
from .methods.grad_cam import grad_cam, guided_grad_cam
from .methods.inversion import invert, invert_sheet
from .methods.maximize import maximize
from .methods.occlusion import Occlusion, occlude
from .methods.patch import Patches, patches
from .methods.saliency import rules_sheet, saliency
from .methods.sanity import Sanity, sanity
from .methods.segmentation import Segment, segment
from .methods.style import style
from .net import Net, RuleWarning
from .plan import Plan
from .preprocess import Preprocess, combined
from .report import Report, report
from .sidecar import read_labels, read_sidecar, sidecar_path, sides
from .target import Target, class_target, unit_target

__version__ = importlib.metadata.version("oneiro")

log = logging.getLogger(__name__)

__all__ = [
    "Aim",
    "ArgumentError",
    "Blob",
    "Codes",
    "DeviceError",
    "Map",
    "ModelError",
    "Net",
    "Occlusion",
    "OneiroError",
    "Patches",
    "Picture",
    "PictureError",
    "Plan",
    "Preprocess",
    "Report",
    "RuleWarning",
    "Sanity",
    "Segment",
    "Target",
    "activation_pages",
    "activations",
    "aim",
    "class_target",
    "deepdream",
    "dream_sheet",
    "dream_step",
    "embed",
    "export",
    "export_program",
    "filters",
    "grad_cam",
    "gradient_input",
    "guided_grad_cam",
    "image_gradient",
    "integrated_gradients",
    "invert",
    "invert_sheet",
    "load",
    "load_codes",
    "load_image",
    "load_recipe",
    "make_step",
    "maximize",
    "objective",
    "occlude",
    "patches",
    "report",
    "rules_sheet",
    "saliency",
    "sanity",
    "save_animation",
    "save_image",
    "save_model",
    "segment",
    "smooth_grad",
    "style",
    "unit_target",
    "zoom",
]


def load(
    name: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str = "auto",
    executor: str = "auto",
    dtype: Any = np.float32,
    mean: float | tuple[float, ...] | None = None,
    scale: float | tuple[float, ...] | None = None,
    order: str | None = None,
    preprocess: str | None = None,
    layout: str | None = None,
    size: int | tuple[int, int] | None = None,
    labels: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    weights_dir: str | os.PathLike[str] | None = None,
) -> Net:
    """The network of that name in the registry, or in the .onnx file at that path.

    A network that `oneiro models` lists as remote is fetched first, which stderr tells, and kept.
    A known file is recognised by its sha256 and brings its preprocessing, other names for its
    blobs, and what it dreams best. For other files, or to overrule that, say how pictures are fed
    to the network: x = (value - mean) * scale for values in 0..255, numbers or one a channel in
    the network's own `order`: "RGB", "BGR", "GRAY" or "ANY". `preprocess` names a usual way:
    "caffe", "torch", "tf", "unit" (0..1) or "none".

    `layout` is that of the file's picture, "NCHW" or "NHWC" (None: as the graph shows), `size` what
    it was trained at, in pixels, and `labels` a file of its classes, one a line. A sidecar beside
    the file, <stem>.oneiro.toml, may say all of these too. What remains is as for Net.
    """
    from oneiro.models import registry

    entry = registry.find(str(name)) if is_known(name) else None
    path = locate(name)
    beside = read_sidecar(path)
    layout = layout or beside.get("layout") or (entry.layout if entry else None)
    limits: dict[str, Any] = {"max_bytes": max_bytes, "weights_dir": weights_dir}
    computing: dict[str, Any] = {"precision": precision, "executor": executor}
    net = Net(path, device, dtype, layout=layout, **computing, **limits)
    entry = entry or registry.recognize(net.model.sha256)
    if entry:
        net.aliases = registry.aliases(entry, net.blobs)
        net.favourites = entry.dream
    given = {"mean": mean, "scale": scale, "order": order, "preprocess": preprocess}
    known = {"mean": entry.mean, "scale": entry.scale, "order": entry.order} if entry else {}
    origin = registry.source(entry) if entry else "registry"
    way = combined({"given": given, sidecar_path(path).name: beside, origin: known})
    if way and entry and not entry.verified and origin in way.source:
        log.warning(
            "%s: how pictures are fed to this network is a guess: `oneiro inspect %s --photo "
            "photo.jpg` shows whether it knows what is on one", entry.name, name,
        )  # fmt: skip
    if way:
        check_way(net, way)
    net.preprocessing = way
    trained_at = beside.get("size", entry.size if entry else None) if size is None else size
    net.size = None if trained_at is None else sides(trained_at)
    listed = beside.get("labels") if labels is None else labels
    net.labels = read_labels(listed) if listed else registry.labels(entry) if entry else ()
    return net


def check_way(net: Net, way: Preprocess) -> None:
    """Raise ArgumentError where pictures cannot be fed in this way to the channels of the net."""
    sizes = net.model.inputs[net.input][1]
    if len(sizes) != 4 or sizes[1] is None:
        return
    try:
        way.bounds(sizes[1])
    except ArgumentError as error:
        raise ArgumentError(f"{net.model.name}: {error}; from {way.source}") from error


def locate(name: str | os.PathLike[str]) -> Path:
    """The file that `load` reads; that of a remote network is fetched."""
    from oneiro.models import registry

    return registry.path(registry.find(str(name))) if is_known(name) else Path(name)


def is_known(name: str | os.PathLike[str]) -> bool:
    """Is this meant as the name of a network in the registry, not as a path?"""
    from oneiro.models import registry

    is_name = isinstance(name, str) and (name in registry.names() or not Path(name).exists())
    return is_name and not str(name).endswith(".onnx")
