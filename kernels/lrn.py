"""Sums over neighbouring channels, the heart of local response normalisation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .dispatch import Array, Case, kernel
from .symbol import known, node

LARGEST = 4096  # channels of an exported sum, which is a matrix of channels x channels


@kernel
def channel_sum(x: Array, before: int, after: int) -> Array:
    """Each channel plus the `before` channels below it and the `after` channels above it.

    x is (n, c, ...). The adjoint is the same sum with `before` and `after` exchanged.
    """
    y = x.copy()
    farthest = x.shape[1] - 1
    for k in range(1, min(before, farthest) + 1):
        y[:, k:] += x[:, :-k]
    for k in range(1, min(after, farthest) + 1):
        y[:, :-k] += x[:, k:]
    return y


@channel_sum.onnx
def _(x: Array, before: int, after: int) -> Array:
    # a 1x1 convolution by a banded matrix: runtimes have no faster way to add channels
    channels = x.shape[1]
    if channels > LARGEST:
        raise ValueError(f"sums over {channels} channels: {LARGEST} are the most")
    distance = np.subtract.outer(np.arange(channels), np.arange(channels))
    band = ((distance <= before) & (distance >= -after)).astype(x.dtype)
    filters = band.reshape(channels, channels, *(1,) * (x.ndim - 2))
    return node("Conv", x, filters, dims=known(x.shape))


@channel_sum.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 7, 3, 5)), 1, 2
    yield random.normal(size=(1, 6, 5, 4)), 2, 2
    yield random.normal(size=(1, 2, 5, 4)), 3, 2  # fewer channels than the sum reaches
