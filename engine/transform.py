"""What is done to pictures between steps: sizes, borders, the camera of a zoom."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage

from oneiro.kernels.border import extend
from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.zoom import zoom


def octaves(x: Array, octave_n: int, octave_scale: float) -> list[Array]:
    """x (1, c, h, w) and ever smaller copies of it, the largest first.

    Each is the one before it, zoomed bilinearly by 1 / octave_scale, its sizes rounded.
    """
    sizes = [x]
    for _ in range(octave_n - 1):
        sizes.append(zoomed(sizes[-1], *(smaller(n, octave_scale) for n in sizes[-1].shape[2:])))
    return sizes


def smaller(size: Any, octave_scale: float) -> Any:
    """A side of the next octave; of a symbol a symbol."""
    if is_symbol(size):
        return np.maximum(np.rint(size.astype(np.float64) * (1 / octave_scale)), 1).astype(np.int64)
    return max(1, round(size * (1 / octave_scale)))


def zoomed(x: Array, h: Any, w: Any) -> Array:
    """x (1, c, ., .) resampled bilinearly to h rows and w columns, corner to corner."""
    known = not any(map(is_symbol, (*x.shape[2:], h, w)))
    return x if known and x.shape[2:] == (h, w) else zoom(x, h, w)


def edge_padded(x: Array, h: int, w: int) -> Array:
    """x (1, c, ., .) grown to h rows and w columns by repeating its edges on all sides."""
    more_h, more_w = h - x.shape[2], w - x.shape[3]
    ends = ((more_h // 2, more_h - more_h // 2), (more_w // 2, more_w - more_w // 2))
    return extend(x, ((0, 0), (0, 0), *ends), "edge") if more_h or more_w else x


def edge_cropped(x: Array, h: int, w: int) -> Array:
    """The middle of x (1, c, ., .) that `edge_padded` grew."""
    top, left = (x.shape[2] - h) // 2, (x.shape[3] - w) // 2
    return x[:, :, top : top + h, left : left + w]


def moved_closer(img: Array, scale: float) -> Array:
    """The picture (h, w, c) as a camera sees it that went closer by `scale` of its width."""
    h, w = img.shape[:2]
    matrix, offset = [1 - scale, 1 - scale, 1], [h * scale / 2, w * scale / 2, 0]
    return scipy.ndimage.affine_transform(img, matrix, offset, order=1)
