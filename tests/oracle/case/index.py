"""Parts of arrays: by slices, by indices, by masks; and what is written to such places."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal, random

FAR = np.iinfo(np.int64).max


def cases() -> Iterator[Case]:
    x = normal(2, 3, 5, 7)

    yield Case(make("Slice"), [x, np.array([0, 1, 2]), np.array([2, 3, FAR])])
    yield Case(make("Slice"), [x, np.array([-4, 1]), np.array([-1, 100]), np.array([-1, 2])])
    for starts, ends, axes, steps in (
        ([-1, 5], [-FAR, 1], [2, 3], [-1, -2]),
        ([1, -100], [FAR, 6], [3, 1], [3, 2]),
        ([4, 2], [2, 2], [3, 0], [1, 1]),  # nothing is left
    ):
        yield Case(make("Slice"), [x, *map(np.array, (starts, ends, axes, steps))])
    yield Case(
        make("Slice"), [np.arange(7), np.array([5]), np.array([1]), None, np.array([-3])], ()
    )

    yield Case(make("Split", axis=2, asked=3), [x, np.array([1, 0, 4])])
    yield Case(make("Split", axis=-1, num_outputs=3, asked=3), [x])
    yield Case(make("Split", num_outputs=2, asked=2), [np.arange(5)], ())

    yield Case(make("Gather"), [x, np.array([1, 0, -1])])
    yield Case(make("Gather", axis=-2), [x, np.array([[0, 4, -5, 4], [1, 1, 0, -2]])])
    yield Case(make("Gather", axis=1), [x, np.array(-2, np.int32)])
    yield Case(make("Gather"), [np.arange(5) ** 2, np.array([3, -1])], ())
    yield Case(make("GatherElements", axis=1), [x, random.integers(-3, 3, (2, 4, 5, 7))])
    yield Case(make("GatherElements", axis=-1), [x, random.integers(-7, 7, (1, 3, 4, 9))])
    yield Case(make("GatherND"), [x, np.array([[1, -2], [0, 0], [-1, 1], [0, 0]])])
    yield Case(make("GatherND", batch_dims=1), [x, random.integers(-3, 3, (2, 4, 2))])
    yield Case(make("GatherND", batch_dims=2), [x, random.integers(-5, 5, (2, 3, 1))])

    rows = np.argsort(normal(2, 3, 5, 7), axis=2)[:, :, :4, :6] - 5
    for reduction, towards in (("none", (0, 2)), ("add", (0, 2)), ("max", ()), ("min", ())):
        scatter = make("ScatterElements", axis=-2, reduction=reduction)
        yield Case(scatter, [x, rows, normal(*rows.shape)], towards)
    twice = np.array([[0, -1, 1, 2, 2, 0]])
    yield Case(
        make("ScatterElements", axis=1, reduction="add"),
        [normal(2, 3), twice, normal(1, 6)],
        (0, 2),
    )
    yield Case(
        make("ScatterElements", axis=1, reduction="mul"),
        [np.arange(6).reshape(2, 3), twice, np.arange(6)[None]],
        (),
    )
    places = np.array([[1, -1], [0, 0], [0, 2], [-1, 0]])
    for reduction, towards in (("none", (0, 2)), ("add", (0, 2)), ("max", ()), ("min", ())):
        scatter = make("ScatterND", reduction=reduction)
        yield Case(scatter, [x, places, normal(4, 5, 7)], towards)
    yield Case(
        make("ScatterND", reduction="add"),
        [x, np.array([[1], [0], [-1]]), normal(3, 3, 5, 7)],
        (0, 2),
    )

    for wide, narrow in ((normal(2, 3, 1, 7), normal(5, 1)), (normal(1), normal(2, 3, 5, 7))):
        condition = normal(3, 1, 7) > 0
        yield Case(make("Where"), [condition, wide, narrow], (1, 2))
        yield Case(make("Where"), [condition, narrow, wide], (1, 2))
    yield Case(make("Where"), [normal(3, 1) > 0, np.arange(5), np.array(-1)], ())
    for upper in (0, 1):
        for k in (-2, 0, 3):
            yield Case(make("Trilu", upper=upper), [x, np.array(k)])
        yield Case(make("Trilu", upper=upper), [x])
