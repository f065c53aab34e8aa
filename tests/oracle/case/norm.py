"""Normalisation."""

from collections.abc import Iterator

import numpy as np

from . import PICTURE, Case, make, normal


def cases() -> Iterator[Case]:
    for size in (3, 4, 5):
        lrn = make("LRN", size=size, alpha=2.0, beta=0.8, bias=1.5)
        yield Case(lrn, [normal(2, 7, 3, 5)])
    statistics = [normal(3), normal(3), normal(3), 0.5 + np.abs(normal(3))]
    yield Case(make("BatchNormalization", epsilon=0.3), [normal(*PICTURE), *statistics])
