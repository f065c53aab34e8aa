"""The resolutions of a network, as VGG has them: where a picture's style is looked at."""

from __future__ import annotations

import logging
import math

from .error import ModelError
from .goal import candidates
from .layer import Rectifier
from .net import Net
from .size import usual_size

log = logging.getLogger(__name__)

STAGES = 5  # at which style is matched


def style_blobs(net: Net) -> list[str]:
    """Where style is matched: VGG's relu1_1 to relu5_1, or the first blob of each resolution.

    Those that a shortened VGG lacks are left out, which the log says.
    """
    levels = [f"{k}_1" for k in range(1, STAGES + 1)]
    found = [vgg_blob(net, level) for level in levels]
    if None in found[:2]:
        return [stage[0] for stage in stages(net).values()][:STAGES]
    lacking = [f"relu{level}" for level, blob in zip(levels, found, strict=True) if blob is None]
    if lacking:
        log.warning("%s has no %s: left out", net.model.name, ", ".join(lacking))
    return [blob for blob in found if blob is not None]


def content_blobs(net: Net) -> list[str]:
    """Where content is kept: VGG's relu4_2, or the second blob at an eighth of the resolution."""
    named = vgg_blob(net, "4_2")
    if named and vgg_blob(net, "1_1"):
        return [named]
    found = stages(net)
    near = min(found, key=lambda stride: abs(math.log2(stride / 8)))
    return found[near][1:2] or found[near][:1]


def vgg_blob(net: Net, level: str) -> str | None:
    """What VGG calls relu4_2, in files of any kind."""
    return net.find(f"relu{level}") or net.find(f"conv{level}")


def stages(net: Net) -> dict[int, list[str]]:
    """{stride: blobs}: at each resolution where branches join, or else what rectifiers make."""
    h, w = usual_size(net)
    shapes = net.reachable_shapes({net.input: (1, net.channels, h, w)})
    joins = set(candidates(net))
    found: dict[int, list[str]] = {}
    for node in net.nodes:
        name = node.tops[0]
        shape = shapes.get(name, ())
        if (
            len(shape) == 4
            and min(shape[2:]) > 1
            and (name in joins or isinstance(node.layer, Rectifier))
        ):
            found.setdefault(round(h / shape[2]), []).append(name)
    if not found:
        raise ModelError(f"{net.model.name!r}: name blobs as layers and content")
    return {stride: [n for n in names if n in joins] or names for stride, names in found.items()}
