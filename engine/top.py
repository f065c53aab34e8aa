"""The best of many: what excites each unit most, merged from parts in any order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NONE = int(np.iinfo(np.int32).max)  # the number of no picture


class Top(NamedTuple):
    """The k pictures that excite each of some units most, best first; every array is (units, k).

    A picture counts once, by its best place. Equal scores stand in the order of pictures, rows and
    columns. Where there are fewer than k pictures, the rest has the score NaN and the picture NONE.
    """

    scores: NDArray[Any]  # float32
    pictures: NDArray[Any]  # int32: by their numbers
    rows: NDArray[Any]  # int32
    columns: NDArray[Any]  # int32

    @property
    def k(self) -> int:
        return int(self.scores.shape[1])


def nothing(units: int, k: int) -> Top:
    """The top k of no pictures: what merging begins with."""
    none = np.full((units, k), NONE, np.int32)
    return Top(np.full((units, k), np.nan, np.float32), none, none, none)


def merged(*tops: Top) -> Top:
    """The k best of several.

    It does not matter in which order parts are merged, nor which with which first: two places are
    never equal. A score that is no number comes after all others.
    """
    k = tops[0].k
    parts = Top(*(np.concatenate(part, axis=1) for part in zip(*tops, strict=True)))
    order = np.lexsort((parts.columns, parts.rows, parts.pictures, -parts.scores), axis=1)[:, :k]
    return Top(*(np.take_along_axis(part, order, 1) for part in parts))
