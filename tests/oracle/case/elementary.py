"""Elementary functions."""

from collections.abc import Iterator

import numpy as np

from . import PICTURE, Case, apart, make, normal


def cases() -> Iterator[Case]:
    x = apart(*PICTURE)
    for name in ("Abs", "Neg", "Exp", "Reciprocal", "Sin", "Cos", "Erf"):
        yield Case(make(name), [x])
    for name in ("Log", "Sqrt"):
        yield Case(make(name), [0.1 + np.abs(normal(*PICTURE))])
    for name in ("Floor", "Ceil", "Round", "Sign"):
        yield Case(make(name), [np.rint(4 * x) / 2], ())

    integers = np.array([[-7, 0], [3, -2], [1, 9]], np.int32)
    for name in ("Abs", "Neg", "Sign"):
        yield Case(make(name), [integers], ())
