"""Values as colours, in steps that look even: mixed in OKLab (Ottosson 2020), tables of our own."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .error import ArgumentError

Values = NDArray[np.float32]
Anchor = tuple[float, float, float]  # OKLCh: lightness 0..1, chroma, hue in degrees

# From almost black by violet and orange to pale yellow, ever lighter.
DARK_TO_LIGHT: tuple[Anchor, ...] = (
    (0.14, 0.03, 285), (0.35, 0.22, 292), (0.55, 0.27, 5), (0.74, 0.21, 52), (0.97, 0.09, 105),
)  # fmt: skip
# Away from the light middle; below and above 0 equally dark at equal distance.
MIDDLE: Anchor = (0.97, 0, 0)
BELOW: tuple[Anchor, ...] = (MIDDLE, (0.68, 0.17, 245), (0.36, 0.13, 264))
ABOVE: tuple[Anchor, ...] = (MIDDLE, (0.68, 0.24, 32), (0.36, 0.13, 22))

STEPS = 256  # of a table, or of its half

FROM_OKLAB = np.array([
    [1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
    [1, -0.0894841775, -1.2914855480],
])  # fmt: skip
TO_LINEAR_RGB = np.array([
    [4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
    [-0.0041960863, -0.7034186147, 1.7076147010],
])  # fmt: skip


def sequential(values: ArrayLike, low: float | None = None, high: float | None = None) -> Values:
    """Values (h, w) as colours (h, w, 3) of 0..255: dark at `low`, light at `high`.

    What is left out is the smallest, or the largest value. Values beyond are drawn as the ends.
    """
    drawn = finite(values, 2)
    low = float(drawn.min()) if low is None else low
    high = float(drawn.max()) if high is None else high
    span = high - low
    return looked_up(dark_to_light(), (drawn - low) / span if span > 0 else 0 * drawn)


def diverging(values: ArrayLike, limit: float | None = None) -> Values:
    """Signed values (h, w) as colours (h, w, 3) of 0..255: blue below 0, red above, 0 almost white.

    The ends are at -limit and limit, by default the largest |value|; values beyond are drawn so.
    """
    drawn = finite(values, 2)
    limit = float(np.abs(drawn).max()) if limit is None else limit
    return looked_up(blue_to_red(), 0.5 + 0.5 * drawn / limit if limit > 0 else 0 * drawn + 0.5)


def mid_grey(values: ArrayLike, limit: float | None = None) -> Values:
    """Signed values (h, w, c) as a picture round mid-grey: 127.5 at 0, 0 and 255 at the limits.

    The limit is by default the 99.5% quantile of |values|, so that no lone peak pales the rest.
    """
    drawn = finite(values, 3)
    if limit is None:
        size = np.abs(drawn)
        limit = float(np.quantile(size, 0.995)) or float(size.max())
    grey: Values = np.clip(127.5 + 127.5 * drawn / (limit or 1), 0, 255).astype(np.float32)
    return grey


def finite(values: ArrayLike, rank: int) -> NDArray[np.float64]:
    """The values as an array of so many axes; ArgumentError for others and for NaN."""
    array = np.asarray(values, np.float64)
    if array.ndim != rank or array.size == 0:
        axes = "(h, w)" if rank == 2 else "(h, w, c)"
        raise ArgumentError(f"values {array.shape} make no picture: they must be {axes}")
    if not np.isfinite(array).all():
        raise ArgumentError("values hold NaN or infinity: they have no colour")
    return array


def looked_up(table: NDArray[np.float64], shares: NDArray[np.float64]) -> Values:
    """The colours at shares 0..1 of the way through a table (k, 3)."""
    places = np.linspace(0, 1, len(table))
    planes = [np.interp(shares, places, table[:, k]) for k in range(3)]
    return np.stack(planes, axis=-1).astype(np.float32)


@functools.cache
def dark_to_light() -> NDArray[np.float64]:
    """The table of `sequential`: (STEPS, 3) in 0..255."""
    return rgb(even(DARK_TO_LIGHT))


@functools.cache
def blue_to_red() -> NDArray[np.float64]:
    """The table of `diverging`: (2 STEPS - 1, 3) in 0..255, 0 in its middle."""
    return rgb(np.concatenate([even(BELOW)[::-1], even(ABOVE)[1:]]))


def even(anchors: tuple[Anchor, ...]) -> NDArray[np.float64]:
    """STEPS colours (STEPS, 3) in OKLab, equally far from each other along a curve of Bézier's.

    The curve goes from the first anchor to the last and is drawn towards those between.
    """
    points = [oklab(*anchor) for anchor in anchors]
    t = np.linspace(0, 1, 16 * STEPS)[:, None]
    n = len(points) - 1
    bends = [math.comb(n, k) * t**k * (1 - t) ** (n - k) for k in range(n + 1)]
    curve = np.hstack(bends) @ np.stack(points)
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    walked = np.concatenate([[0], np.cumsum(lengths)])
    stops = np.linspace(0, walked[-1], STEPS)
    return np.stack([np.interp(stops, walked, curve[:, k]) for k in range(3)], axis=1)


def oklab(lightness: float, chroma: float, hue: float) -> NDArray[np.float64]:
    """A colour of OKLCh, its hue in degrees, as (L, a, b)."""
    angle = math.radians(hue)
    return np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])


def rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours (k, 3) of OKLab in sRGB, 0..255; what no screen shows is clipped."""
    linear = (lab @ FROM_OKLAB.T) ** 3 @ TO_LINEAR_RGB.T
    linear = np.clip(linear, 0, 1)
    encoded: Any = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.asarray(255 * encoded)
