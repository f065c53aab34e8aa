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

import dataclasses
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np

from . import objective as objective
from .animation import save_animation
from .ascent import dream_step, image_gradient
from .blob import Blob
from .error import ArgumentError, ModelError, OneiroError, PictureError
from .export import export, export_gradient, export_step
from .image import Picture, load_image, load_recipe, save_image
from .methods.deepdream import deepdream, dream_sheet, make_step, zoom
from .net import Net, RuleWarning
from .plan import Plan
from .preprocess import Preprocess

__version__ = importlib.metadata.version("oneiro")

__all__ = [
    "ArgumentError",
    "Blob",
    "ModelError",
    "Net",
    "OneiroError",
    "Picture",
    "PictureError",
    "Plan",
    "Preprocess",
    "RuleWarning",
    "deepdream",
    "dream_sheet",
    "dream_step",
    "export",
    "export_gradient",
    "export_step",
    "image_gradient",
    "load",
    "load_image",
    "load_recipe",
    "make_step",
    "objective",
    "save_animation",
    "save_image",
    "zoom",
]


def load(
    name: str | os.PathLike[str],
    *,
    device: str = "auto",
    dtype: Any = np.float32,
    mean: float | tuple[float, ...] | None = None,
    scale: float | tuple[float, ...] | None = None,
    order: str | None = None,
) -> Net:
    """The network of that name in the registry, or in the .onnx file at that path.

    A known file is recognised by its sha256 and brings its preprocessing, other names for its
    blobs, and what it dreams best. For other files, or to overrule that, say how pictures are fed
    to the network: x = (value - mean) * scale for values in 0..255, numbers or one a channel in
    the network's own `order`: "RGB", "BGR", "GRAY" or "ANY".
    """
    from oneiro.models import registry

    is_name = isinstance(name, str) and (name in registry.names() or not Path(name).exists())
    is_path = not is_name or str(name).endswith(".onnx")
    net = Net(name if is_path else registry.path(registry.find(str(name))), device, dtype)
    entry = registry.recognize(net.model.sha256)
    if entry:
        net.preprocessing = Preprocess(entry.mean, entry.scale, entry.order)
        net.aliases = entry.aliases
        net.favourites = entry.dream
    said = {"mean": mean, "scale": scale, "order": order}
    given: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if given:
        net.preprocessing = dataclasses.replace(net.preprocessing or Preprocess(), **given)
    return net
