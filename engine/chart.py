"""Charts: a few curves over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from .drawing import DARK, Colour, ink_on
from .image import Picture

INKS: tuple[Colour, ...] = ((240, 120, 60), (90, 170, 250), (120, 200, 120), (220, 120, 200))
PALE: Colour = (130, 130, 136)
FINER = 3  # drawn so many times as large, then shrunk: lines without steps


def chart(
    curves: Mapping[str, ArrayLike],
    width: int = 360,
    height: int = 220,
    across: str = "",
    pale: Sequence[str] = (),
) -> Picture:
    """Curves {name: values} over 0..1, each in its colour and named in it; one picture.

    Values are spread evenly over the width. `across` names the axis; curves in `pale` are drawn
    grey, as what others are compared with.
    """
    lines = {name: np.asarray(values, np.float64) for name, values in curves.items()}
    low = min(0.0, *(float(values.min()) for values in lines.values()))
    high = max(float(values.max()) for values in lines.values())
    high = high if high > low else low + 1
    size = max(width // 26, 11) * FINER
    font = ImageFont.load_default(size)
    canvas = Image.new("RGB", (width * FINER, height * FINER), DARK)
    draw = ImageDraw.Draw(canvas)
    left, right = round(3.2 * size), width * FINER - size
    top, bottom = round((1.2 + 1.4 * len(lines)) * size), height * FINER - round(2.8 * size)
    ink = ink_on(DARK)
    for share in (0, 0.5, 1):
        level = bottom - share * (bottom - top)
        draw.line([(left, level), (right, level)], (60, 60, 66), FINER)
        number = f"{low + share * (high - low):.2g}"
        draw.text((left - 0.5 * size, level), number, ink, font, anchor="rm")
        at = left + share * (right - left)
        draw.text(
            (at, bottom + 0.5 * size),
            f"{share:.0%}",
            ink,
            font,
            anchor=("la", "ma", "ra")[round(2 * share)],
        )
    draw.text(((left + right) / 2, bottom + 1.6 * size), across, ink, font, anchor="ma")
    colours = iter(INKS)
    for k, (name, values) in enumerate(lines.items()):
        colour = PALE if name in pale else next(colours)
        draw.line(
            points(values, low, high, (left, right), (bottom, top)), colour, 2 * FINER, "curve"
        )
        draw.text((left, (0.6 + 1.4 * k) * size), name, colour, font, anchor="la")
    return Picture(np.asarray(canvas.resize((width, height), Image.Resampling.BOX)))


def points(
    values: NDArray[Any],
    low: float,
    high: float,
    across: tuple[float, float],
    upwards: tuple[float, float],
) -> list[tuple[float, float]]:
    """Where a curve goes, in pixels: evenly `across`, `upwards` from low to high."""
    x = np.linspace(*across, len(values))
    y = upwards[0] + (values - low) / (high - low) * (upwards[1] - upwards[0])
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
