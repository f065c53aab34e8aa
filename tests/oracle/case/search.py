"""Places and orders of values."""

import itertools
from collections.abc import Iterator

import numpy as np

from . import Case, apart, make, normal, random


def cases() -> Iterator[Case]:
    equals = random.integers(-2, 3, (2, 3, 5, 7))
    for name, axis, keepdims, last in itertools.product(
        ("ArgMax", "ArgMin"), (0, -2), (0, 1), (0, 1)
    ):
        layer = make(name, axis=axis, keepdims=keepdims, select_last_index=last)
        for x in (equals.astype(float), equals.astype(np.int32)):
            yield Case(layer, [x], ())

    for axis, largest, k in itertools.product((-1, 1), (0, 1), (1, 3)):
        layer = make("TopK", asked=2, axis=axis, largest=largest)
        yield Case(layer, [apart(2, 3, 5, 7), np.array([k])])
        yield Case(layer, [equals.astype(np.int64), np.array([k])], ())

    for axis, exclusive, reverse in itertools.product((-1, 1), (0, 1), (0, 1)):
        layer = make("CumSum", exclusive=exclusive, reverse=reverse)
        yield Case(layer, [normal(2, 3, 5), np.array(axis)])
        yield Case(layer, [equals.astype(np.int32), np.array(axis)], ())
