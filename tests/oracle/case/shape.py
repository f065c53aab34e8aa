"""The same values in other places."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal


def cases() -> Iterator[Case]:
    yield Case(
        make("Concat", axis=1), [normal(2, 3, 5), normal(2, 4, 5), normal(2, 1, 5)], (0, 1, 2)
    )

    yield Case(make("Flatten"), [normal(2, 3, 5, 7)])
    yield Case(make("Flatten", axis=3), [normal(2, 3, 5, 7)])
    yield Case(make("Reshape"), [normal(2, 3, 5, 4), np.array([0, -1, 10])])
    yield Case(make("Transpose", perm=[2, 0, 3, 1]), [normal(2, 3, 5, 7)])
    yield Case(make("Transpose"), [normal(2, 3, 5)])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1), np.array([-1, 1])])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1)])
    yield Case(make("Unsqueeze"), [normal(2, 5), np.array([0, -1])])
    yield Case(make("Shape", start=1, end=-1), [normal(2, 3, 5, 7)], ())
    yield Case(make("Identity"), [normal(2, 3)])
    yield Case(make("Dropout"), [normal(2, 3)])
    yield Case(make("Cast", to=np.dtype(float)), [normal(2, 3)])
