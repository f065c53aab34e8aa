"""A Tail on one row of a result."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .dispatch import Array
from .jit import compiled
from .tail import Tail

ADD, GATE, CEILING, FLOOR, LID = 1, 2, 4, 8, 16

_EMPTY = np.empty(0, np.float32)


class Parts(NamedTuple):
    """A tail as compiled code takes it: which of its parts there are, and its arrays, flat."""

    what: int
    add: Array
    gate: Array
    limits: Array  # of what opens the gate, low and high, then of the result


def parts(tail: Tail) -> Parts:
    """The parts of a tail."""
    what = 0
    limits = np.empty(4, np.float32)
    limits[:2], limits[2:] = tail.opened, tail.bounds or (-math.inf, math.inf)
    if tail.add is not None:
        what |= ADD
    if tail.gate is not None:
        what |= GATE if limits[0] > -math.inf else 0
        what |= CEILING if limits[1] < math.inf else 0
    if tail.bounds is not None:
        what |= FLOOR if limits[2] > -math.inf else 0
        what |= LID if limits[3] < math.inf else 0
    return Parts(what, flat(tail.add), flat(tail.gate), limits)


def flat(array: Array | None) -> Array:
    return _EMPTY if array is None else np.ascontiguousarray(array).reshape(-1)


@compiled
def finish(row: Array, start: int, tail: Parts) -> None:
    """Do it to a row of the result, which starts at element `start` of the whole."""
    count = row.size
    if tail.what & ADD:
        more = tail.add[start : start + count]
        for i in range(count):
            row[i] += more[i]
    if tail.what & GATE:
        opened, low = tail.gate[start : start + count], tail.limits[0]
        for i in range(count):
            row[i] = row[i] if opened[i] > low else np.float32(0)
    if tail.what & CEILING:
        opened, high = tail.gate[start : start + count], tail.limits[1]
        for i in range(count):
            row[i] = row[i] if opened[i] < high else np.float32(0)
    if tail.what & FLOOR:
        low = tail.limits[2]
        for i in range(count):
            row[i] = max(row[i], low)
    if tail.what & LID:
        high = tail.limits[3]
        for i in range(count):
            row[i] = min(row[i], high)
