"""A picture of many small pictures, in which near points of a plane stay near."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .drawing import DARK, Colour
from .error import ArgumentError
from .image import MAX_PIXELS, Picture, middle, rgb_bytes

WIDEST = 1.65  # columns for each row
EXACT = 1500  # cells whose assignment is solved as one, in two seconds; twice as many take ten
WINDOW = 24  # rows and columns of what is solved as one in larger grids
GAP = 2  # pixels between thumbnails
SIDES = (96, 32)  # of thumbnails: as wished, and the least

Block = tuple[int, int, int, int]  # top, left, bottom, right, the last two beyond it


def grid_shape(count: int) -> tuple[int, int]:
    """Rows and columns for so many pictures: a landscape with as few empty cells as can be."""
    least = math.ceil(math.sqrt(count))
    shapes = [(math.ceil(count / columns), columns) for columns in range(least, 2 * least + 1)]
    wide = [(r, c) for r, c in shapes if c <= WIDEST * r] or shapes[:1]
    return min(wide, key=lambda shape: (math.prod(shape) - count, abs(shape[1] / shape[0] - 4 / 3)))


def snapped(points: ArrayLike, rows: int, columns: int) -> NDArray[np.int64]:
    """A cell (row, column) of its own for each of the points (n, 2), near to where it lies: (n, 2).

    Points are (x, y), y upwards; the smallest rectangle around them is stretched over the grid.
    Up to EXACT cells the sum of the squared ways is the smallest that there is
    (linear_sum_assignment). Larger grids are cut in halves, and their points by their order along
    the longer side, until they are small; then overlapping windows are assigned anew.
    """
    flat = np.asarray(points, np.float64)
    if flat.ndim != 2 or flat.shape[1] != 2 or not np.isfinite(flat).all():
        raise ArgumentError(f"points are {flat.shape}: they must be finite, and (n, 2)")
    if len(flat) > rows * columns:
        raise ArgumentError(f"{len(flat)} points do not fit into {rows} x {columns} cells")
    low, high = flat.min(0), flat.max(0)
    share = (flat - low) / np.where(high > low, high - low, 1)
    share = np.where(high > low, share, 0.5)
    # (row, column) of each point as numbers with fractions
    wished = np.stack([(1 - share[:, 1]) * (rows - 1), share[:, 0] * (columns - 1)], axis=1)
    placed = np.zeros((len(flat), 2), np.int64)
    whole = 0, 0, rows, columns
    members = np.arange(len(flat))
    if area(whole) <= EXACT:
        assign(wished, members, whole, placed)
    else:
        split(wished, members, whole, placed)
        mend(wished, placed, rows, columns)
    return placed


def split(
    wished: NDArray[np.float64], members: NDArray[np.int64], block: Block, placed: NDArray[np.int64]
) -> None:
    """Place the members in the cells of a block, cut in halves until they are small enough."""
    top, left, bottom, right = block
    if area(block) <= WINDOW * WINDOW:
        assign(wished, members, block, placed)
        return
    if bottom - top > right - left:
        axis, cut = 0, (top + bottom) // 2
        first, second = (top, left, cut, right), (cut, left, bottom, right)
    else:
        axis, cut = 1, (left + right) // 2
        first, second = (top, left, bottom, cut), (top, cut, bottom, right)
    order = members[np.argsort(wished[members, axis], kind="stable")]
    before = int((wished[order, axis] < cut - 0.5).sum())
    before = min(max(before, len(order) - area(second)), area(first))
    split(wished, order[:before], first, placed)
    split(wished, order[before:], second, placed)


def mend(wished: NDArray[np.float64], placed: NDArray[np.int64], rows: int, columns: int) -> None:
    """Assign anew within overlapping windows, in order: each makes the sum smaller or keeps it."""
    for top in range(0, max(rows - WINDOW // 2, 1), WINDOW // 2):
        for left in range(0, max(columns - WINDOW // 2, 1), WINDOW // 2):
            block = top, left, min(top + WINDOW, rows), min(left + WINDOW, columns)
            inside = (placed >= block[:2]).all(1) & (placed < block[2:]).all(1)
            assign(wished, np.flatnonzero(inside), block, placed)


def assign(
    wished: NDArray[np.float64], members: NDArray[np.int64], block: Block, placed: NDArray[np.int64]
) -> None:
    """Place the members in the cells of a block so that the sum of their squared ways is least."""
    # a fifth of a second, for this alone
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    top, left, bottom, right = block
    rows, columns = np.mgrid[top:bottom, left:right]
    cells = np.stack([rows.ravel(), columns.ravel()], axis=1)
    which, where = linear_sum_assignment(cdist(wished[members], cells, "sqeuclidean"))
    placed[members[which]] = cells[where]


def area(block: Block) -> int:
    top, left, bottom, right = block
    return (bottom - top) * (right - left)


def mosaic(
    points: ArrayLike,
    thumbnail: Callable[[int], Picture],
    side: int | None = None,
    background: Colour = DARK,
) -> Picture:
    """Pictures on a grid, each near where its point (x, y) lies in the plane.

    `thumbnail(k)` is the picture of point k; its middle is shown, a square of `side` pixels.
    Without `side` it is 96, or less where the whole would be larger than a picture may be.
    """
    flat = np.asarray(points)
    rows, columns = grid_shape(len(flat))
    if side is None:
        fitting = math.isqrt(MAX_PIXELS // (rows * columns)) - GAP
        side = max(min(SIDES[0], fitting), SIDES[1])
    step = side + GAP
    height, width = rows * step + GAP, columns * step + GAP
    if side < 1 or height * width > MAX_PIXELS:
        text = f"{len(flat)} thumbnails of {side} px make {width} x {height} px"
        raise ArgumentError(f"{text}: a picture has at most {MAX_PIXELS // 10**6} million pixels")
    canvas = np.full((height, width, 3), background, np.uint8)
    for k, (row, column) in enumerate(snapped(flat, rows, columns)):
        top, left = GAP + row * step, GAP + column * step
        tile = rgb_bytes(middle(thumbnail(k), side, side))
        canvas[top : top + side, left : left + side] = tile
    return Picture(canvas)
