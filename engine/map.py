"""Maps: a number for each place of a picture, and how it is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from .colour import diverging, sequential
from .drawing import captioned, legend, overlay, stacked
from .error import ArgumentError
from .image import Picture, as_planes

SHOWN = 0.995  # the part of the values that the colours tell apart
VEIL = 0.9  # how much of a picture the largest values hide


class Map(np.ndarray[tuple[int, ...], np.dtype[np.float32]]):
    """A number for each place of a picture: an array (h, w) of float32 that can be looked at.

    `caption` says in a few words what it shows. A map that is `signed` is drawn round zero, blue
    below it and red above; another from 0, or its smallest value if that is less, to its largest,
    dark to bright. `recipe` is what made it (a dict of plain JSON values) or None. A crop keeps the
    caption and the sign alone.
    """

    caption: str
    signed: bool
    recipe: dict[str, Any] | None

    def __new__(
        cls,
        values: ArrayLike,
        caption: str = "",
        signed: bool = False,
        recipe: dict[str, Any] | None = None,
    ) -> Map:
        array = np.ascontiguousarray(values, np.float32)
        if array.ndim != 2 or not array.size:
            raise ArgumentError(f"values {array.shape} are no map: it is (h, w)")
        found: Map = array.view(cls)
        found.caption = caption
        found.signed = signed
        found.recipe = recipe
        return found

    def __array_finalize__(self, source: Any) -> None:
        whole = isinstance(source, Map) and self.shape == source.shape
        self.caption = getattr(source, "caption", "")
        self.signed = getattr(source, "signed", False)
        self.recipe = source.recipe if whole else None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array.ndim < 2:
            return np.asarray(array)[()]
        result: Any = super().__array_wrap__(array, context, return_scalar)
        result.recipe = None
        return result

    def limits(self) -> tuple[float, float]:
        """The values at the ends of the colours: a few outliers shall not darken all the rest."""
        values = np.asarray(self, np.float64)
        if self.signed:
            size = np.abs(values)
            limit = float(np.quantile(size, SHOWN)) or float(size.max())
            return -limit, limit
        low = min(float(values.min()), 0.0)
        high = float(np.quantile(values, SHOWN))
        return low, high if high > low else float(values.max())

    def colours(self) -> NDArray[np.float32]:
        """The map in colours alone, (h, w, 3) in 0..255."""
        low, high = self.limits()
        values = np.asarray(self)
        return diverging(values, high) if self.signed else sequential(values, low, high)

    def strength(self) -> NDArray[np.float32]:
        """How far each value is from nothing on the scale of the colours, (h, w) in 0..1."""
        low, high = self.limits()
        values = np.abs(self) if self.signed else np.asarray(self) - low
        span = high if self.signed else high - low
        return np.clip(np.asarray(values, np.float32) / (span or 1), 0, 1)

    def bare(self, over: ArrayLike | None = None) -> Picture:
        """As `picture`, without legend and caption: of the map's size, or of the size of `over`."""
        if over is None:
            return Picture(self.colours(), recipe=self.recipe)
        photo = as_planes(np.asarray(over))
        fitted = self.resized(*photo.shape[:2])
        drawn = overlay(photo, fitted.colours(), VEIL * np.sqrt(fitted.strength()))
        drawn.recipe = self.recipe
        return drawn

    def picture(self, over: ArrayLike | None = None) -> Picture:
        """The map in colours with its legend and its caption.

        With `over`, a picture, it lies over that, at that size: near zero the picture shows
        through, in grey.
        """
        drawn = self.bare(over)
        width = max(drawn.shape[1], 160)
        ramp = diverging if self.signed else sequential
        page = stacked([drawn, legend(ramp, *self.limits(), width=width)])
        page.recipe = self.recipe
        return captioned(page, self.caption)

    def resized(self, height: int, width: int) -> Map:
        """The map at height x width places, bilinearly: the borders stay where they are."""
        if self.shape == (height, width):
            return self
        return Map(resized(np.asarray(self), height, width), self.caption, self.signed, self.recipe)

    def _repr_png_(self) -> bytes | None:
        whole = self.ndim == 2 and self.size and np.isfinite(self).all()
        return self.picture()._repr_png_() if whole else None


def resized(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Values (h, w) or (h, w, c) at height x width places, bilinearly, borders on borders."""
    factors = (height / values.shape[0], width / values.shape[1], 1)[: values.ndim]
    result: NDArray[Any] = scipy.ndimage.zoom(
        values, factors, order=1, mode="nearest", grid_mode=True
    )
    return result
