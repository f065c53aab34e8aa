"""Functions of each element that networks put between their layers, and softmax."""

from collections.abc import Iterator

import numpy as np

from . import PICTURE, Case, apart, make, normal


def cases() -> Iterator[Case]:
    x = apart(*PICTURE)
    yield Case(make("Relu"), [x])
    yield Case(make("LeakyRelu", alpha=0.3), [x])
    yield Case(make("PRelu"), [x, normal(3, 1, 1)], (0, 1))
    yield Case(make("Clip"), [x, np.array(0.0), np.array(1.7)])
    yield Case(make("Clip"), [x, np.array(-1.1)])
    yield Case(make("Clip"), [x, None, np.array(0.9)])
    yield Case(make("Sigmoid"), [3 * x])
    for axis in (1, -1):
        yield Case(make("Softmax", axis=axis), [x])
