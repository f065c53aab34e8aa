"""Comparisons and logic."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, random


def cases() -> Iterator[Case]:
    a = random.integers(-2, 3, (2, 3, 5))
    b = random.integers(-2, 3, (3, 1))
    for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        for dtype in (np.float64, np.int32, np.int64):
            yield Case(make(name), [a.astype(dtype), b.astype(dtype)], ())
    for name in ("Equal", "And", "Or", "Xor"):
        yield Case(make(name), [a > 0, b > 0], ())
    yield Case(make("Not"), [a > 0], ())

    strange = np.array([[0, np.inf, 1], [-np.inf, np.nan, -2]])
    yield Case(make("IsNaN"), [strange], ())
    for negative, positive in ((1, 1), (0, 1), (1, 0), (0, 0)):
        layer = make("IsInf", detect_negative=negative, detect_positive=positive)
        yield Case(layer, [strange], ())
