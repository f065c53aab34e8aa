"""Calls of kernels as compiled code takes them from a list, one behind another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .dispatch import Array

PLAIN, DEPTHWISE = 0, 1  # whose a link is

PIECE = 25e3  # nanoseconds of a piece, about

ARRAYS = 2  # where in the words of a link its arrays stand, each as its address and its size
NUMBERS = ARRAYS + 2 * 7  # and where its numbers do


class Link(NamedTuple):
    """A call of a kernel, in pieces that do not depend on threads."""

    kind: int
    pieces: int
    arrays: tuple[Array, ...]  # the result, what it is made of, and those of a tail: all flat
    numbers: tuple[int, ...]
    scratch: int  # elements that a thread works on
    taken: float  # nanoseconds, about

    def words(self) -> Iterator[int]:
        """All that compiled code has to know; the link has to be there as long as that is."""
        yield from (self.kind, self.pieces)
        for array in self.arrays:
            yield from (array.ctypes.data, array.size)
        yield from self.numbers
