"""A Tail on one row of a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dispatch import Array
from .jit import compiled
from .tail import Tail

ADD, GATE, RECTIFY = 1, 2, 4

_EMPTY = np.empty(0, np.float32)


def parts(tail: Tail) -> tuple[int, Array, Array]:
    """A tail as compiled code takes it: which of its parts there are, and its arrays, flat."""
    what = 0
    arrays: list[Any] = []
    for bit, array in ((ADD, tail.add), (GATE, tail.gate)):
        what |= bit if array is not None else 0
        arrays.append(_EMPTY if array is None else np.ascontiguousarray(array).reshape(-1))
    return what | (RECTIFY if tail.rectify else 0), arrays[0], arrays[1]


@compiled
def finish(row: Array, start: int, what: int, add: Array, gate: Array) -> None:
    """Do it to a row of the result, which starts at element `start` of the whole."""
    count = row.size
    if what & ADD:
        more = add[start : start + count]
        for i in range(count):
            row[i] += more[i]
    if what & GATE:
        opened = gate[start : start + count]
        for i in range(count):
            row[i] = row[i] if opened[i] > 0 else np.float32(0)
    if what & RECTIFY:
        for i in range(count):
            row[i] = max(row[i], np.float32(0))
