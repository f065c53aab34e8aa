"""Sums of products along named axes."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import known

from ..layer import Layer, layer
from .arithmetic import is_one, unbroadcast


@layer
class Einsum(Layer):
    """The product of the operands along all their axes, summed over those that the top lacks.

    The equation names the axes: "ij,jk->ik" is a matrix product.
    """

    equation: str

    def forward(self, *xs: Array) -> Array:
        self.xs = xs
        self.terms, self.top = named(self.equation, [x.ndim for x in xs])
        return product(self.terms, self.top, *xs)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return tuple(
            self.backward_to(k, dy) if self.needs_diff(k) else None for k in range(len(self.xs))
        )

    def backward_to(self, k: int, dy: Array) -> Array:
        """The diff of an operand: the product of dy and the others, along the operand's axes."""
        x, term = self.xs[k], self.terms[k]
        if len(set(term)) < len(term):
            raise ValueError(f"Einsum {self.equation!r} has no way back to a diagonal")
        terms = [self.top, *self.terms[:k], *self.terms[k + 1 :]]
        there = [any(axis in other for other in terms) for axis in term]
        own = "".join(axis for axis, found in zip(term, there) if found)
        dx = product(terms, own, dy, *self.xs[:k], *self.xs[k + 1 :])
        sizes = iter(dx.shape)
        dx = dx.reshape([next(sizes) if found else 1 for found in there])
        # an axis of one was broadcast, one that only the operand has was summed up
        dx = unbroadcast(dx, tuple(n if is_one(n) else m for n, m in zip(x.shape, dx.shape)))
        return dx if known(dx.shape) == known(x.shape) else np.broadcast_to(dx, x.shape)


def product(terms: Sequence[str], top: str, *xs: Array) -> Array:
    return np.einsum(f"{','.join(terms)}->{top}", *xs, optimize=True)


def named(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The axes of the operands and of the top, each a letter: ... and what is implied spelt out."""
    left, arrow, top = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"Einsum {equation!r} is not of {len(ranks)} operands")
    spare = [letter for letter in string.ascii_letters if letter not in equation]
    # how many axes the dots stand for
    counts = [max(rank + 3 - len(t), 0) if "..." in t else 0 for t, rank in zip(terms, ranks)]
    dots = "".join(spare[: max(counts)])
    if not arrow:
        seen = Counter(left)
        top = "..." * ("..." in left) + "".join(
            sorted(axis for axis in seen if axis.isalpha() and seen[axis] == 1)
        )
    terms = [term.replace("...", dots[len(dots) - n :]) for term, n in zip(terms, counts)]
    top = top.replace("...", dots)
    for term, rank in zip(terms, ranks):
        if len(term) != rank or not set(term) <= set(string.ascii_letters):
            raise ValueError(f"Einsum {equation!r} does not fit operands of {ranks} axes")
    if len(set(top)) < len(top) or not set(top) <= set("".join(terms)):
        raise ValueError(f"Einsum {equation!r} makes {top!r}, which it cannot")
    return terms, top
