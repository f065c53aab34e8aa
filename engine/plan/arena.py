"""Memory by last use: values that are never alive together share one piece of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64  # bytes: a line of the cache, and the widest vector


class Span(NamedTuple):
    """A value in memory: its bytes, the step that makes it, and the last that reads it."""

    size: int
    first: int
    last: int


def offsets(spans: Sequence[Span]) -> tuple[list[int], int]:
    """Where each value lies, and how many bytes all take; large ones are placed first.

    Y. Pisarchyk and J. Lee, Efficient Memory Management for Deep Neural Net Inference (2020),
    "greedy by size": each goes to the smallest gap that it fits in.
    """
    placed: list[tuple[int, int, Span]] = []  # first byte, behind the last, the value
    found = [0] * len(spans)
    for k in sorted(range(len(spans)), key=lambda k: -spans[k].size):
        span = spans[k]
        size = -(-span.size // ALIGNMENT) * ALIGNMENT
        taken = sorted(
            (start, stop)
            for start, stop, other in placed
            if other.first <= span.last and span.first <= other.last
        )
        best, least, end = None, None, 0
        for start, stop in taken:
            gap = start - end
            if gap >= size and (least is None or gap < least):
                best, least = end, gap
            end = max(end, stop)
        found[k] = end if best is None else best
        placed.append((found[k], found[k] + size, span))
    return found, max((stop for _, stop, _ in placed), default=0)
