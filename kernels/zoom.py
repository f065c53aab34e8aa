"""Pictures of another size, as octaves are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.ndimage

from .array import DeviceArray, dense, empty
from .dispatch import Array, Case, kernel
from .line import launch
from .source import Source
from .symbol import as_vector, known, node

ZOOM = Source("zoom.cu")


@kernel
def zoom(x: Array, h: Any, w: Any) -> Array:
    """x (n, c, ., .) resampled bilinearly to h rows and w columns, corner to corner.

    On symbols h and w may be sizes that are not known yet.
    """
    factors = (1, h / x.shape[2], w / x.shape[3])
    # rounding may put the last row or column just outside, where scipy by itself finds zeros
    return np.stack([scipy.ndimage.zoom(y, factors, order=1, mode="nearest") for y in x])


@zoom.onnx
def _(x: Array, h: Any, w: Any) -> Array:
    shape = (*x.shape[:2], h, w)
    corners = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
    # no region of interest, no scales: the sizes say it
    return node("Resize", x, None, None, as_vector(shape), **corners, dims=known(shape))


@zoom.cuda
def _(x: Any, h: int, w: int) -> DeviceArray:
    x = dense(x)
    n, c, *old = x.shape
    y = empty((n, c, h, w), x)
    launch(ZOOM, "zoom", y.size, (y, x, n, *old, h, w, c))
    return y


@zoom.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for h, w in ((13, 17), (4, 5), (1, 9), (7, 1), (20, 11)):
        yield random.normal(size=(2, 3, 7, 11)), h, w
    yield random.normal(size=(1, 3, 1, 5)), 4, 4
