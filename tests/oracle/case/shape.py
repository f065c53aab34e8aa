"""The same values in other places."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal


def cases() -> Iterator[Case]:
    yield Case(
        make("Concat", axis=1), [normal(2, 3, 5), normal(2, 4, 5), normal(2, 1, 5)], (0, 1, 2)
    )
    yield Case(make("Concat", axis=-3), [normal(2, 3, 5), normal(1, 3, 5)], (0, 1))
    yield Case(make("Concat", axis=0), [np.arange(3), np.arange(2)], ())

    yield Case(make("Flatten"), [normal(2, 3, 5, 7)])
    yield Case(make("Flatten", axis=3), [normal(2, 3, 5, 7)])
    yield Case(make("Flatten", axis=0), [normal(2, 3, 5)])
    yield Case(make("Flatten", axis=-2), [normal(2, 3, 5, 7)])
    yield Case(make("Reshape"), [normal(2, 3, 5, 4), np.array([0, -1, 10])])
    yield Case(make("Reshape"), [normal(1, 1), np.array([], np.int64)])
    yield Case(make("Reshape"), [normal(2, 0, 5), np.array([3, -1, 0, 2])[:3]], ())
    yield Case(make("Reshape", allowzero=1), [normal(2, 0, 5), np.array([7, 0, 3])], ())
    yield Case(make("Transpose", perm=[2, 0, 3, 1]), [normal(2, 3, 5, 7)])
    yield Case(make("Transpose"), [normal(2, 3, 5)])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1), np.array([-1, 1])])
    yield Case(make("Squeeze"), [normal(2, 1, 5, 1)])
    yield Case(make("Unsqueeze"), [normal(2, 5), np.array([0, -1])])
    yield Case(make("Shape", start=1, end=-1), [normal(2, 3, 5, 7)], ())
    yield Case(make("Shape", start=-9, end=9), [normal(2, 3)], ())
    yield Case(make("Size"), [normal(2, 3, 5)], ())
    yield Case(make("Identity"), [normal(2, 3)])
    yield Case(make("Dropout"), [normal(2, 3)])
    yield Case(make("Dropout", seed=3, asked=2), [normal(2, 3), np.array(0.3)], ())

    yield Case(make("Cast", to=np.dtype(float)), [normal(2, 3)])
    for x in (3 * normal(2, 3), np.array([[-2, 0, 7]]), np.array([True, False])):
        for to in (float, np.int64, np.int32, bool):
            yield Case(make("Cast", to=np.dtype(to)), [x], ())
    yield Case(make("CastLike"), [normal(2, 3), np.zeros((), float)])
    yield Case(make("CastLike"), [3 * normal(2, 3), np.zeros(2, np.int32)], ())

    yield Case(make("Expand"), [normal(3, 1), np.array([2, 1, 5])])
    yield Case(make("Expand"), [normal(2, 1, 5, 1), np.array([3, 1, 7])])
    yield Case(make("Expand"), [np.array(3), np.array([2, 5])], ())
    yield Case(make("Tile"), [normal(2, 3, 5), np.array([2, 1, 3])])
    yield Case(make("Tile"), [np.arange(3), np.array([2])], ())

    yield Case(make("ConstantOfShape"), [np.array([2, 3])], ())
    yield Case(make("ConstantOfShape", value=np.array([7])), [np.array([3, 0, 2])], ())
    yield Case(make("ConstantOfShape", value=np.array([True])), [np.array([], np.int64)], ())
    for bounds in ((3, 19, 4), (2, -7, -2), (2, 2, 1)):
        yield Case(make("Range"), [np.array(bound) for bound in bounds], ())
    yield Case(make("Range"), [np.array(bound) for bound in (2.5, -4.0, -0.75)], ())
    for axis in (-1, 1, 0):
        indices = np.array([[3, -1, 0], [4, 2, -5]])
        yield Case(make("OneHot", axis=axis), [indices, np.array(4), normal(2)], ())
    yield Case(make("OneHot"), [np.array([2.0, -1.0]), np.array([3]), np.array([-1, 5])], ())
    yield Case(make("EyeLike", k=-2), [normal(5, 3)], ())
    yield Case(make("EyeLike", dtype=np.dtype(np.int64), k=1), [normal(3, 5)], ())
