"""The best of many: however the parts are cut, ordered and merged, the same comes out."""

import functools

import numpy as np
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from oneiro.top import NONE, Top, merged, nothing

UNITS = 3
SCORES = st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.0, float("nan"), float("-inf"), float("inf")])
# a picture's score and place for each unit; few values, so that many are equal
PICTURES = st.lists(st.lists(st.tuples(SCORES, st.integers(0, 2)), min_size=UNITS, max_size=UNITS))


def one(number: int, peaks: list[tuple[float, int]], k: int) -> Top:
    """The top k of a single picture."""
    scores, rows = np.array(peaks).T.reshape(2, UNITS, 1)
    whole = rows.astype(np.int32)
    top = Top(scores.astype(np.float32), np.full_like(whole, number), whole, whole + 1)
    return merged(nothing(UNITS, k), top)


def equal(a: Top, b: Top) -> bool:
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b))


@given(PICTURES, st.integers(1, 4), st.randoms())
def test_the_order_of_merging_does_not_matter(pictures, k, random) -> None:  # type: ignore[no-untyped-def]
    tops = [one(number, peaks, k) for number, peaks in enumerate(pictures)]
    straight = functools.reduce(merged, tops, nothing(UNITS, k))
    random.shuffle(tops)
    tops.append(nothing(UNITS, k))
    while len(tops) > 1:  # a tree of any shape
        tops.insert(random.randrange(len(tops) - 1), merged(tops.pop(), tops.pop()))
    assert equal(tops[0], straight)
    assert equal(merged(straight), straight)


@given(PICTURES, st.integers(1, 4))
def test_the_best_are_those_that_sorting_finds(
    pictures: list[list[tuple[float, int]]], k: int
) -> None:
    tops = [one(number, peaks, k) for number, peaks in enumerate(pictures)]
    top = merged(nothing(UNITS, k), *tops)
    for unit in range(UNITS):
        keys = [
            (
                np.isnan(peaks[unit][0]),
                -np.nan_to_num(peaks[unit][0], nan=0, posinf=9, neginf=-9),
                n,
            )
            for n, peaks in enumerate(pictures)
        ]
        expected = [number for _, _, number in sorted(keys)][:k]
        expected += [NONE] * (k - len(expected))
        assert top.pictures[unit].tolist() == expected


def test_equal_scores_stand_by_picture_row_and_column() -> None:
    def column(*numbers: int) -> NDArray[np.int32]:
        return np.array([numbers], np.int32)

    parts = [
        Top(np.ones((1, 1), np.float32), column(p), column(r), column(c))
        for p, r, c in [(2, 0, 0), (1, 1, 0), (1, 0, 2), (1, 0, 1)]
    ]
    top = merged(nothing(1, 4), *parts)
    places = list(zip(*(part[0].tolist() for part in top[1:]), strict=True))
    assert places == [(1, 0, 1), (1, 0, 2), (1, 1, 0), (2, 0, 0)]
    assert top.k == 4
