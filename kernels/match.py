"""The guide's answer to each place of a picture: which of its features fits best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .dispatch import Array, Case, kernel
from .index import gather
from .line import together
from .symbol import known, node

BLOCK = 1 << 22  # scores held at a time


@kernel
def best_match(x: Array, features: Array) -> Array:
    """For each row of x (n, c) the row of features (m, c) whose dot product with it is largest.

    The first of equal products wins. Done in blocks: the whole table would hold n * m scores.
    """
    return features[winners(x, features)]


def winners(x: Array, features: Array) -> Array:
    """The numbers of those rows of features."""
    step = max(1, BLOCK // len(features))
    blocks = (x[k : k + step] @ features.T for k in range(0, len(x), step))
    return np.concatenate([np.argmax(block, 1) for block in blocks])


@best_match.onnx
def _(x: Array, features: Array) -> Array:
    features = features.astype(x.dtype)
    winner = np.argmax(x @ features.T, axis=1)
    dims = (known(x.shape)[0], features.shape[1])
    return node("Gather", features, winner, axis=0, dtype=x.dtype, dims=dims)


@best_match.cuda
def _(x: Any, features: Any) -> Any:
    x, features = together(x, features)
    return gather(features, winners(x, features), 0)


@best_match.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(7, 3)), random.normal(size=(11, 3))
