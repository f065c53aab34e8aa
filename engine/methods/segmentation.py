"""Segmentation: cutting out what a map points at, by GrabCut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from ..error import ArgumentError
from ..image import Picture, in_channels, rgb_bytes, shrunk
from ..map import Map, resized
from ..recipe import amended

FOREGROUND = 0.95  # pixels with a larger value than this part of all belong to the object
BACKGROUND = 0.30  # and those below this part to what is around it
PROBABLE = 0.8  # where GrabCut begins: above this part a pixel rather belongs to the object
SIDE = 320  # px of the longer side at which GrabCut decides: larger, it sees threads for objects
BLUR = 0.02  # of the map first, by the picture's shorter side: seeds in areas, not in specks


@dataclass(frozen=True)
class Segment:
    """What was cut out: `mask` (h, w) is True on the object, `photo` the picture it is of."""

    mask: NDArray[np.bool_]
    photo: Picture = field(repr=False)
    recipe: dict[str, Any] | None = None

    def mask_picture(self) -> Picture:
        """White on the object, black around it: (h, w, 1)."""
        return Picture(255 * self.mask[..., None].astype(np.float32), recipe=self.recipe)

    def cutout(self) -> Picture:
        """The photo, transparent around the object."""
        alpha = 255 if self.photo.alpha is None else self.photo.alpha
        return Picture(self.photo, self.recipe, np.where(self.mask, alpha, 0))

    def _repr_png_(self) -> bytes | None:
        return self.cutout()._repr_png_()


def segment(
    img: Array,
    found: Map,
    *,
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
    iterations: int = 5,
) -> Segment:
    """Cut the object that a map points at out of a picture (h, w, c) of 0..255.

    The pixels above the map's quantile `foreground` are taken for the object, those below its
    quantile `background` for what is around it (Simonyan, Vedaldi, Zisserman 2013); GrabCut (Rother
    et al. 2004) learns the colours of both from these seeds and decides about the rest. Of a signed
    map the sizes count. A map of another size is stretched over the picture, and all are blurred
    a little.

    Do not expect too much: a map of what a class hangs on is no outline, and one object is all that
    there can be. Wants OpenCV, the extra `segment`. Raises ArgumentError.
    """
    if not 0 < background < foreground < 1:
        raise ArgumentError(
            f"background {background} and foreground {foreground} are quantiles: "
            "they must be 0 < background < foreground < 1"
        )
    if iterations < 1:
        raise ArgumentError(f"iterations is {iterations}: it starts at 1")
    cv2 = opencv()
    photo = Picture(img, alpha=getattr(img, "alpha", None))
    small = shrunk(photo, SIDE)
    pixels = rgb_bytes(in_channels(np.asarray(small), 3))
    values = np.abs(np.asarray(found.resized(*small.shape[:2])))
    values = scipy.ndimage.gaussian_filter(values, BLUR * min(values.shape))
    places = np.searchsorted(levels(values, background, foreground), values)
    names = (cv2.GC_BGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD)
    labels = np.array(names, np.uint8)[places]
    colours = np.zeros((1, 65)), np.zeros((1, 65))  # of both, as OpenCV keeps them
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels[..., ::-1].copy(), labels, None, *colours, iterations, cv2.GC_INIT_WITH_MASK)
    mask = seeded((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), labels == cv2.GC_FGD)
    mask = resized(mask.astype(np.float32), *photo.shape[:2]) > 0.5
    parameters = {"foreground": foreground, "background": background, "iterations": iterations}
    recipe = amended(found.recipe, "segment", **parameters, map=(found.recipe or {}).get("method"))
    return Segment(mask, photo, recipe)


def levels(values: NDArray[Any], background: float, foreground: float) -> NDArray[Any]:
    """The values at which it becomes possible, probable and certain that a pixel is the object."""
    probable = min(max(PROBABLE, background), foreground)
    found = np.quantile(values, [background, probable, foreground])
    if not found[2] > found[0]:
        raise ArgumentError("the map is flat: it points at nothing that could be cut out")
    return found


def seeded(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask that hold a seed: the crumbs of its colour are gone."""
    parts, _ = scipy.ndimage.label(mask)
    kept: NDArray[np.bool_] = np.isin(parts, np.unique(parts[mask & seeds]))
    return kept & mask


def opencv() -> Any:
    """OpenCV, or an ArgumentError that says how to get it."""
    try:
        import cv2
    except ImportError as error:
        raise ArgumentError('segmentation needs OpenCV: pip install "oneiro[segment]"') from error
    return cv2
