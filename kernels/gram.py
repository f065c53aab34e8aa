"""Gram matrices: which channels of a picture are strong at the same places."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .dispatch import Array, Case, kernel


@kernel
def gram(x: Array) -> Array:
    """The mean products of all pairs of channels of x (n, c, h, w) over its places: (n, c, c).

    G = F F^T / (h w) with the channels as the rows of F, as in Gatys' code (DeepTextures).
    """
    rows = x.reshape(*x.shape[:2], -1)
    return rows @ rows.transpose(0, 2, 1) / math.prod(x.shape[2:])


@kernel
def gram_backward(dy: Array, x: Array) -> Array:
    """The gradient in x: (dy + dy^T) F / (h w)."""
    rows = x.reshape(*x.shape[:2], -1)
    dx = (dy + dy.transpose(0, 2, 1)) @ rows / math.prod(x.shape[2:])
    return dx.reshape(x.shape)


# matmul reads the channels as they lie in memory
gram.cuda(gram.specification)
gram_backward.cuda(gram_backward.specification)


@gram.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield (random.normal(size=(2, 5, 4, 7)),)


@gram_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 5, 5)), random.normal(size=(2, 5, 4, 7))
