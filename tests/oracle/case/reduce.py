"""Reductions."""

from collections.abc import Iterator

import numpy as np

from . import Case, apart, make, normal, random

SIGNED = ("Sum", "Mean", "SumSquare", "L1", "L2", "LogSumExp", "Prod", "Max", "Min")


def cases() -> Iterator[Case]:
    for name in (*SIGNED, "LogSum"):
        x = apart(2, 3, 5, 7) if name != "LogSum" else 0.1 + np.abs(normal(2, 3, 5, 7))
        yield Case(make(f"Reduce{name}", keepdims=0), [x, np.array([-1, 1])])
        yield Case(make(f"Reduce{name}"), [x, np.array([2])])
        yield Case(make(f"Reduce{name}"), [x[0]])
        yield Case(make(f"Reduce{name}", keepdims=0), [x[0], np.array([], int)])
        yield Case(make(f"Reduce{name}", noop_with_empty_axes=1), [x[0, 0]])
    factors = normal(3, 4, 5)
    factors[0, 1, 2] = factors[1, :2, 3] = factors[2, 2] = 0
    yield Case(make("ReduceProd"), [factors, np.array([1])])
    yield Case(make("ReduceProd"), [factors, np.array([0, 2])])

    integers = random.integers(-9, 9, (2, 3, 5)).astype(np.int32)
    for name in ("Sum", "Mean", "SumSquare", "L1", "L2", "Prod", "Max", "Min"):
        yield Case(make(f"Reduce{name}"), [integers, np.array([1])], ())
    for name in ("Max", "Min"):
        yield Case(make(f"Reduce{name}", keepdims=0), [integers > 0, np.array([1])], ())
        yield Case(make(f"Reduce{name}"), [np.abs(integers).astype(np.uint8)], ())

    empty = np.zeros((2, 0, 5))
    for name in ("Sum", "SumSquare", "L1", "L2", "Prod", "Max", "Min"):
        yield Case(make(f"Reduce{name}"), [empty, np.array([1])], ())
