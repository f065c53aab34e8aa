"""Points of a plane as dots, in the colours of their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .colour import oklab, rgb
from .drawing import DARK, Colour, stacked, written
from .error import ArgumentError
from .image import Picture

SIDE = 1080  # pixels of the plane
COLUMN = 250  # of the legend
LETTER = 15
FEW = 24  # labels that are told apart; of more, as many examples are named
PLAIN = (150, 152, 160)  # without a label


def label_colours(count: int) -> NDArray[np.float64]:
    """A colour for each of so many labels, (count, 3) in 0..255: round the circle of hues.

    Neighbours differ in lightness too, where they are few enough to be told apart.
    """
    found = []
    for k in range(count):
        light = 0.79 - 0.13 * (k % 2) if 1 < count <= FEW else 0.75
        # not the whole circle, so that the last is not the first again
        found.append(oklab(light, 0.15, 25 + 330 * k / max(count, 1)))
    return rgb(np.array(found).reshape(-1, 3))


def scatter(
    points: ArrayLike,
    numbers: Sequence[int] = (),
    names: Sequence[str] = (),
    title: str = "",
    background: Colour = DARK,
) -> Picture:
    """Dots at the points (x, y), y upwards, with a legend of the names where there are any.

    `numbers` says which of the names each point has; -1 is none, drawn grey. Up to FEW names have
    colours of their own; more are coloured by their order, and the legend names some of them.
    """
    flat = np.asarray(points, np.float64)
    if flat.ndim != 2 or flat.shape[1] != 2 or not np.isfinite(flat).all():
        raise ArgumentError(f"points are {flat.shape}: they must be finite, and (n, 2)")
    which = np.asarray(numbers, np.int64) if len(numbers) else np.full(len(flat), -1)
    if which.shape != (len(flat),):
        raise ArgumentError(f"numbers are {which.shape}: one for each of {len(flat)} points")
    colours = np.concatenate([label_colours(len(names)), [PLAIN]])[which]
    radius = min(max(150 / math.sqrt(len(flat)), 2.5), 9.0)
    plane = np.full((SIDE, SIDE, 3), background, np.float64)
    margin = 4 * radius
    low, high = flat.min(0), flat.max(0)
    span = max(float((high - low).max()), 1e-12)  # one scale for both axes
    places = SIDE / 2 + (flat - (low + high) / 2) * [1, -1] * (SIDE - 2 * margin) / span
    # in no order of labels, so that none lies on all others
    for k in np.random.default_rng(0).permutation(len(flat)):
        dot(plane, places[k], radius, colours[k], background)
    page = stacked(
        [plane, *([key(which, names, background)] if names else [])],
        beside=True,
        background=background,
    )
    head = written(title, page.shape[1], LETTER, background)
    return page if head is None else stacked([page, head], background=background)


def dot(
    plane: NDArray[np.float64],
    place: NDArray[np.float64],
    radius: float,
    colour: NDArray[np.float64],
    rim: Colour,
) -> None:
    """Draw a disc at (x, y), with a thin rim of the background to part it from those below."""
    x, y = place
    reach = math.ceil(radius + 2)
    left, top = math.floor(x) - reach, math.floor(y) - reach
    rows = np.arange(max(top, 0), min(top + 2 * reach + 1, plane.shape[0]))
    columns = np.arange(max(left, 0), min(left + 2 * reach + 1, plane.shape[1]))
    away = np.hypot(rows[:, None] - y, columns - x)
    patch = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    for size, paint in ((radius + 0.8, np.asarray(rim)), (radius, colour)):
        cover = np.clip(size + 0.5 - away, 0, 1)[..., None]
        patch += cover * (paint - patch)


def key(which: NDArray[np.int64], names: Sequence[str], background: Colour) -> Picture:
    """The legend: a dot for each name, with how many points have it."""
    colours = label_colours(len(names))
    few = len(names) <= FEW
    listed = np.arange(len(names)) if few else np.linspace(0, len(names) - 1, FEW).round()
    lines = [] if few else [line(f"{len(names)} labels, in order:", None, background)]
    for k in listed.astype(int):
        count = f"  ({int((which == k).sum())})" if few else ""
        lines.append(line(f"{names[k]}{count}", colours[k], background))
    others = int((which < 0).sum())
    if others:
        lines.append(line(f"no label  ({others})", np.array(PLAIN, np.float64), background))
    return stacked([np.full((24, COLUMN, 3), background), *lines], background=background)


def line(text: str, colour: NDArray[np.float64] | None, background: Colour) -> NDArray[np.float64]:
    """A line of the legend, (h, COLUMN, 3)."""
    height, room = 2 * LETTER, 2 * LETTER if colour is not None else 0
    row = np.full((height, COLUMN, 3), background, np.float64)
    words = written(text, COLUMN - room, LETTER, background)
    if words is not None:
        shown = words[:height]
        row[: len(shown), room:] = shown
    if colour is not None:
        dot(row, np.array([LETTER, height / 2 - 1]), LETTER / 2.5, colour, background)
    return row
