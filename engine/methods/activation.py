"""What a layer sees of a photo: its maps as a labelled grid, one enlarged, all layers as pages."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from ..colour import diverging, sequential
from ..drawing import bars, captioned, enlarged, legend, overlay, sheet, stacked
from ..error import ArgumentError, ModelError
from ..field import Field, fields
from ..file import file_name
from ..goal import candidates
from ..image import Picture, middle, resampled
from ..net import Net
from ..recipe import make_recipe
from ..size import refused, usual_size
from ..target import VEHICLES, class_title, score_blob

log = logging.getLogger(__name__)

Maps = NDArray[np.float32]  # (c, h, w)

CONTRASTS = ("shared", "own")
KEEPERS = (*VEHICLES, "AveragePool", "GlobalAveragePool", "ReduceMean", "Relu")  # of channels
SHOWN = 0.995  # the part of the values that a contrast tells apart: a lone peak pales nothing
COUNT = 256  # maps on a sheet
AREA = 1600 * 1200  # pixels that the maps of a sheet share
SMALLEST, LARGEST = 44, 256  # px of a tile's longer side
ENLARGED = 480  # px of the longer side of one unit beside the photo
ROW = 256  # units of a vector in a row
NAMED = 20  # bars with a name each


def activations(
    net: Net,
    img: Array,
    blob: str | None = None,
    *,
    unit: int | None = None,
    strongest: bool = False,
    contrast: str = "shared",
    count: int = COUNT,
) -> Picture:
    """What a blob holds for the picture (h, w, c) of 0..255, drawn; a Picture with its recipe.

    Maps (1, c, h, w) become a grid, each with its channel's number: from dark at 0 to bright where
    nothing is negative, else blue below 0 and red above. With contrast "shared" one scale holds for
    all of them, which the legend shows, and few values lie beyond it; with "own" each map has its
    own. Maps are enlarged by whole factors, without smoothing; those larger than their tile are
    averaged in blocks. Beyond `count` maps only the strongest, by mean |value|, are drawn, and the
    caption says so; `strongest` puts the strongest first.

    `unit` is the channel of one map to be seen large, beside the photo and over it, where each
    value lies on the middle of the pixels that it depends on.

    A vector is drawn as bars in rows, unit by unit; where it is that of the classes, as a ranking.
    `blob` is by default the first that `candidates` names. A picture of a size that does not reach
    it is fed by its middle, at the network's usual size.

    Raises ArgumentError and ModelError.
    """
    name = net.resolve(candidates(net)[0] if blob is None else blob)
    check(contrast, count)
    photo = fitting(net, Picture(img), [name])
    net.forward({net.input: net.preprocess(photo)}, end=name)
    if unit is None:
        return drawn(net, name, strongest, contrast, count, img)
    page = unit_drawn(net, name, unit, photo)
    page.recipe = make_recipe(net, "activations", {"blob": name, "unit": unit}, {"photo": img})
    return page


def activation_pages(
    net: Net,
    img: Array,
    *,
    strongest: bool = False,
    contrast: str = "shared",
    count: int = COUNT,
) -> Iterator[tuple[str, Picture]]:
    """A page for every blob that is worth one, in order, as (a name for its file, the picture).

    Left out are blobs that only rename or reorder what another holds, those of other types than
    floats, and those that the network cannot make. The arguments are those of `activations`.
    """
    check(contrast, count)
    photo = Picture(img)
    with contextlib.suppress(ModelError):  # no size reaches the end: what can be had is drawn
        photo = fitting(net, photo, net.outputs)
    x = net.preprocess(photo)
    names = worth_seeing(net, x.shape)
    net.forward({net.input: x}, end=names)
    digits = len(str(len(names)))
    for k, name in enumerate(names, 1):
        page = drawn(net, name, strongest, contrast, count, img)
        yield f"{k:0{digits}d}-{file_name(name)}.png", page


def check(contrast: str, count: int) -> None:
    if contrast not in CONTRASTS:
        raise ArgumentError(f"contrast {contrast!r} is not one of {', '.join(CONTRASTS)}")
    if count < 1:
        raise ArgumentError(f"count is {count}: it starts at 1")


def fitting(net: Net, img: Picture, ends: Sequence[str]) -> Picture:
    """The picture, or its middle at the network's usual size where only that reaches the blobs."""
    refusal = refused(net, ends, *img.shape[:2])
    if refusal is None:
        return img
    height, width = usual_size(net)
    if refused(net, ends, height, width) is not None:
        raise refusal
    tall, wide = img.shape[:2]
    text = "%dx%d px do not reach %s: its middle is fed at %dx%d"
    log.warning(text, wide, tall, ", ".join(ends), width, height)
    return middle(img, height, width)


def worth_seeing(net: Net, shape: tuple[int, ...]) -> list[str]:
    """The blobs that depend on a picture of this shape and hold values of their own."""
    shadow = net.on_symbols({net.input: shape})
    shadow.fill_reachable()
    reached = net.reached((net.input,))
    names = []
    for node in shadow.nodes:
        for top in node.tops[: node.layer.asked]:
            data = shadow.blobs[top].data
            if data is None or top not in reached or node.layer.kind in VEHICLES:
                continue
            if data.dtype.kind == "f" and data.ndim in (2, 3, 4) and data.shape[0] == 1:
                names.append(top)
    return names


def drawn(net: Net, name: str, strongest: bool, contrast: str, count: int, img: Array) -> Picture:
    """What a blob holds for the photo, as a page with its recipe."""
    data = held(net, name)
    if data.shape[1:] == (1, 1):
        page = vector_drawn(net, name, data[:, 0, 0])
    else:
        page = maps_drawn(net, name, data, strongest, contrast, count)
    parameters = {"blob": name, "strongest": strongest, "contrast": contrast, "count": count}
    page.recipe = make_recipe(net, "activations", parameters, {"photo": img})
    return page


def held(net: Net, name: str) -> Maps:
    """The data of a blob for one picture as maps (c, h, w); a vector has maps of one value."""
    data = np.asarray(net.blobs[name].data)
    fits = data.dtype.kind == "f" and data.ndim in (2, 3, 4) and len(data) == 1 and data.size
    if not fits:
        raise ArgumentError(f"{name} is {data.dtype} of {data.shape}: neither maps nor a vector")
    if not np.isfinite(data).all():
        raise ModelError(f"{net.model.name}: {name} holds values that are not finite")
    if data.ndim == 3:  # tokens by features: one map
        return data.astype(np.float32)
    return data.reshape(*data.shape[1:], *(1,) * (4 - data.ndim)).astype(np.float32)


def maps_drawn(
    net: Net, name: str, maps: Maps, strongest: bool, contrast: str, count: int
) -> Picture:
    """Maps (c, h, w) as a grid with its caption and legend."""
    total, h, w = maps.shape
    strength = np.abs(maps).mean((1, 2))
    ranked = np.argsort(-strength, kind="stable")[:count]
    shown = ranked if strongest else np.sort(ranked)
    signed = bool(maps.min() < 0)
    side = math.sqrt(AREA / len(shown) * max(h / w, w / h))  # the longer one of equal shares
    side = min(max(side, SMALLEST), LARGEST)
    limit = limit_of(maps[shown])
    tiles = []
    for k in shown:
        values = fitted(maps[k], side)
        colours = coloured(signed, limit if contrast == "shared" else limit_of(values))
        factor = max(1, int(side // max(values.shape)))
        tiles.append(enlarged(colours(values), factor))
    named = is_scores(net, name, total) and max(tiles[0].shape[:2]) >= 100
    labels = [class_title(net, int(k)) if named else str(k) for k in shown]
    page = sheet(tiles, labels)
    parts = [page]
    if contrast == "shared":
        colours = coloured(signed, limit)
        parts.append(legend(colours, -limit if signed else 0, limit, min(page.shape[1], 320)))
    kind = f"{total} maps of {w}x{h}" if total > 1 else f"one map of {w}x{h}"
    said = [f"{name} of {net.model.name}: {kind}"]
    if total > len(shown):
        said.append(f"the {len(shown)} strongest ({total - len(shown)} left out)")
    if strongest and total > 1:
        said.append("strongest first")
    if contrast == "own":
        said.append("each in its own contrast")
    return captioned(stacked(parts), ", ".join(said))


def limit_of(values: Array) -> float:
    """The |value| at the end of the colours: few lie beyond it."""
    size = np.abs(values)
    return float(np.quantile(size, SHOWN)) or float(size.max()) or 1.0


def coloured(signed: bool, limit: float) -> Callable[[Any], Any]:
    """Colours of values up to a limit."""
    if signed:
        return lambda values: diverging(values, limit)
    return lambda values: sequential(values, 0, limit)


def fitted(values: Array, side: float) -> Array:
    """Values (h, w) averaged in square blocks, so that the longer side is at most `side`."""
    h, w = values.shape
    block = math.ceil(max(h, w) / side)
    if block == 1:
        return values
    padded = np.pad(values, ((0, -h % block), (0, -w % block)), mode="edge")
    rows, columns = (n // block for n in padded.shape)
    means: Array = padded.reshape(rows, block, columns, block).mean((1, 3))
    return means


def unit_drawn(net: Net, name: str, unit: int, photo: Picture) -> Picture:
    """One map of a blob large, between the photo and the photo with the map over it."""
    maps = held(net, name)
    total, h, w = maps.shape
    if (h, w) == (1, 1):
        raise ArgumentError(f"{name} is a vector: its units have no maps; leave out unit")
    if not 0 <= unit < total:
        raise ArgumentError(f"unit {unit} is not one of {name}'s 0..{total - 1}")
    values = maps[unit]
    signed = bool(maps.min() < 0)
    limit = float(np.abs(values).max()) or 1.0
    colours = coloured(signed, limit)
    small = fitted(values, ENLARGED)
    large = enlarged(colours(small), max(1, round(ENLARGED / max(small.shape))))
    scale = max(large.shape) / max(photo.shape[:2])
    seen = resampled(photo, *(max(1, round(side * scale)) for side in photo.shape[:2]))
    field = fields_of(net, photo.shape[:2]).get(name)
    over = spread(values, field, photo.shape[:2], seen.shape[:2])
    share = 0.85 * np.sqrt(np.clip(np.abs(over) / limit, 0, 1))
    tiles = [seen, large, overlay(seen, colours(over), share)]
    page = sheet(tiles, ["the photo", f"channel {unit}, {w}x{h}", "over the photo"], columns=3)
    bar = legend(colours, -limit if signed else 0, limit, 320)
    said = f"channel {unit} of {name} of {net.model.name}"
    if is_scores(net, name, total):
        said = f"{said}: {class_title(net, unit)}"
    return captioned(stacked([page, bar]), said)


def fields_of(net: Net, sides: tuple[int, ...]) -> dict[str, Field]:
    """The receptive fields of the blobs for a picture of this size."""
    shadow = net.on_symbols({net.input: (1, net.channels, *sides)})
    shadow.fill_reachable()
    return fields(shadow)


def spread(values: Array, field: Field | None, sides: Sequence[int], shown: Sequence[int]) -> Array:
    """A map (h, w) as large as the picture is `shown`, straight lines between its values.

    Each value lies on the middle of its receptive field in the picture of `sides`; where there is
    none to name, the map is stretched over all of it.
    """
    result = values
    for axis, (n, full, size) in enumerate(zip(values.shape, sides, shown, strict=True)):
        pixels = (np.arange(size) + 0.5) * full / size - 0.5  # of the picture of `sides`
        if field is None:
            places = (pixels + 0.5) * n / full - 0.5
        else:
            first = field.offset[axis] + (field.size[axis] - 1) / 2
            places = (pixels - first) / field.stride[axis]
        places = np.clip(places, 0, n - 1)
        low = np.minimum(places.astype(int), max(n - 2, 0))
        high = np.minimum(low + 1, n - 1)
        share = (places - low).reshape(-1, *(1,) * (1 - axis))
        result = (1 - share) * result.take(low, axis) + share * result.take(high, axis)
    return result


def vector_drawn(net: Net, name: str, values: Array) -> Picture:
    """A vector: a ranking of classes, or a bar for each unit, row by row."""
    total = len(values)
    if is_scores(net, name, total):
        ranked = np.argsort(-values, kind="stable")[:NAMED]
        page = bars(values[ranked], [class_title(net, int(k)) for k in ranked])
        said = f"{name} of {net.model.name}: the {len(ranked)} highest of {total} classes"
        return captioned(page, said)
    if total <= NAMED:
        numbered = bars(values, [str(k) for k in range(total)])
        return captioned(numbered, f"{name} of {net.model.name}: {total} units")
    rows = [values[k : k + ROW] for k in range(0, total, ROW)]
    limit = float(np.abs(values).max()) or 1.0
    signed = bool(values.min() < 0)
    wide = max(1, 1024 // min(total, ROW))
    tiles = [columns_drawn(row, limit, signed, wide, min(total, ROW)) for row in rows]
    ends = [f"{ROW * k} ... {ROW * k + len(row) - 1}" for k, row in enumerate(rows)]
    best = np.argsort(-np.abs(values), kind="stable")[:5]
    listed = ", ".join(f"{k} ({values[k]:.3g})" for k in best)
    said = f"{name} of {net.model.name}: {total} units up to {limit:.3g}, strongest {listed}"
    return captioned(sheet(tiles, ends, columns=1), said)


def columns_drawn(row: Array, limit: float, signed: bool, wide: int, count: int) -> Array:
    """A bar of `wide` pixels for each unit (n,) of a row with room for `count`: (h, w, 3)."""
    tall = 48
    heights = np.zeros(count)
    heights[: len(row)] = row / limit
    level = np.linspace(1, -1 if signed else 0, 2 * tall if signed else tall)[:, None]
    filled = np.where(level >= 0, heights >= np.maximum(level, 1e-9), heights <= level)
    above, below = diverging([[0.7, -0.7]], 1)[0]
    picture = np.where(filled[..., None], np.where(level[..., None] >= 0, above, below), 40.0)
    picture[:, len(row) :] = 24.0
    return np.repeat(picture, wide, axis=1)


def is_scores(net: Net, name: str, total: int) -> bool:
    """Are the channels of this blob the classes, called by their names?

    They are from the maps that are pooled to scores up to the probabilities.
    """
    if total != len(net.labels):
        return False
    try:
        scores = score_blob(net)
    except ModelError:
        return False
    above = net.reached((scores,))
    below = {scores}
    for node in reversed(net.nodes):
        if below.intersection(node.tops) and node.layer.kind in KEEPERS:
            below.update(bottom for bottom in node.bottoms[:1] if bottom is not None)
    return name in above or name in below
