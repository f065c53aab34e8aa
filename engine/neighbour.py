"""Nearest neighbours among vectors: exact, by comparing each with all."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .error import ArgumentError

METRICS = ("l2", "cosine")
BLOCK = 2**24  # distances that are held at once


class Neighbours(NamedTuple):
    """For each of m queries its k nearest vectors, nearest first."""

    indices: NDArray[np.int64]  # (m, k)
    distances: NDArray[np.float64]  # (m, k)


def nearest(
    vectors: ArrayLike,
    k: int,
    metric: str = "cosine",
    queries: ArrayLike | None = None,
) -> Neighbours:
    """The k nearest of vectors (n, d) to each of the queries (m, d).

    Without queries, to each of the vectors, itself left out. The distance is |x - y| ("l2") or
    1 - x . y / |x| |y| ("cosine", 1 where a vector is zero), in float64; of equally near ones the
    first comes first. k is at most as many as there are.

    A product of matrices finds who may be among the nearest, with what its rounding may hide, and
    these are compared number by number. Takes 8 bytes for each number of the vectors.
    """
    held = rows_of("vectors", vectors)
    asked = held if queries is None else rows_of("queries", queries)
    if asked.shape[1] != held.shape[1]:
        text = f"queries have {asked.shape[1]} numbers each, the vectors {held.shape[1]}"
        raise ArgumentError(text)
    if metric not in METRICS:
        raise ArgumentError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
    if k < 1:
        raise ArgumentError(f"k is {k}: it starts at 1")
    k = min(k, len(held) - (queries is None))
    if metric == "cosine":
        held, asked = unit(held), unit(asked)
    indices = np.zeros((len(asked), k), np.int64)
    distances = np.zeros((len(asked), k))
    squares = (held * held).sum(1)
    if metric == "cosine":
        squares[:] = 1  # those of zero, too, so that 1 - x . y is what is compared
    step = max(1, BLOCK // len(held))
    for start in range(0, len(asked) if k else 0, step):
        some = asked[start : start + step]
        rough = squares - 2 * (some @ held.T)  # |x - y|^2 - |x|^2, (rows, n)
        if queries is None:
            own = np.arange(len(some))
            rough[own, start + own] = np.inf
        # of a sum of d products, and of the few sums around it
        doubt = 4 * (held.shape[1] + 4) * np.finfo(np.float64).eps
        doubts = doubt * (squares.max() + (some * some).sum(1))
        limits = np.partition(rough, k - 1, axis=1)[:, k - 1] + 2 * doubts
        for row, x in enumerate(some):
            (near,) = np.nonzero(rough[row] <= limits[row])
            exact = apart(x, held[near], metric)
            order = np.lexsort((near, exact))[:k]
            indices[start + row] = near[order]
            distances[start + row] = exact[order]
    return Neighbours(indices, distances)


def apart(x: NDArray[Any], others: NDArray[Any], metric: str) -> NDArray[Any]:
    """From x (d,) to each of the others (m, d); for the cosine all are of length 1 or 0."""
    ways = others - x
    squares: NDArray[Any] = (ways * ways).sum(1)
    if metric == "l2":
        return np.sqrt(squares)
    return np.where(x.any() & others.any(1), squares / 2, 1.0)


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Rows scaled to length 1, those of zero left as they are."""
    largest = np.abs(vectors).max(1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1)  # so that no square is lost
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    scaled: NDArray[Any] = vectors / np.where(length > 0, length, 1)
    return scaled


def rows_of(name: str, vectors: ArrayLike) -> NDArray[np.float64]:
    """The vectors as (n, d) in float64; ArgumentError for what is none."""
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ArgumentError(f"{name} are {rows.shape}: they must be (n, d)")
    if not np.isfinite(rows).all():
        raise ArgumentError(f"{name} hold NaN or infinity")
    return rows
