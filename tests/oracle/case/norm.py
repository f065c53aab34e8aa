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
    for shape in ((5, 3), (2, 3, 5), (2, 3, 5, 4, 7)):
        yield Case(make("BatchNormalization"), [normal(*shape), *statistics])

    x = 2 + 3 * normal(2, 6, 5, 7)
    for shape in (x.shape, x.shape[:3], (*x.shape, 3)):
        each = 2 + 3 * normal(*shape), normal(6), normal(6)
        yield Case(make("InstanceNormalization", epsilon=0.3), each, (0, 1, 2))
        for groups in (1, 2, 3, 6):
            group = make("GroupNormalization", num_groups=groups, epsilon=0.3)
            yield Case(group, each, (0, 1, 2))

    for axis in (-1, 1, 2):
        scale, bias = normal(*x.shape[axis:]), normal(*x.shape[axis:])
        for asked in (1, 3):
            layer = make("LayerNormalization", asked=asked, axis=axis, epsilon=0.3)
            yield Case(layer, [x, scale, bias], (0, 1, 2))
        yield Case(make("LayerNormalization", axis=axis), [x, scale], (0, 1))
        yield Case(make("RMSNormalization", axis=axis, epsilon=0.3), [x, scale], (0, 1))
    yield Case(make("LayerNormalization", axis=1), [x, normal(5, 1), normal(6, 1, 7)], (0, 1, 2))

    yield Case(make("MeanVarianceNormalization"), [x])
    yield Case(make("MeanVarianceNormalization", axes=[-1, 1]), [x])
    for p in (1, 2):
        for axis in (-1, 1):
            yield Case(make("LpNormalization", p=p, axis=axis), [x])
