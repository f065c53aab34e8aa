"""Arithmetic, matrix products and reductions."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal


def cases() -> Iterator[Case]:
    for name in ("Add", "Sub", "Mul"):
        yield Case(make(name), [normal(2, 3, 7, 11), normal(2, 3, 7, 11)], (0, 1))
        yield Case(make(name), [normal(2, 1, 7, 11), normal(3, 1, 1)], (0, 1))
    yield Case(make("Div"), [normal(2, 1, 7, 11), 1 + np.abs(normal(3, 1, 1))], (0, 1))
    yield Case(make("Sum"), [normal(2, 3, 5), normal(3, 5), normal(2, 1, 5)], (0, 1, 2))

    yield Case(
        make("Gemm", alpha=0.7, beta=1.3), [normal(3, 5), normal(5, 4), normal(4)], (0, 1, 2)
    )
    yield Case(make("Gemm", transA=1, transB=1), [normal(5, 3), normal(4, 5)], (0, 1))
    yield Case(make("MatMul"), [normal(2, 3, 4, 5), normal(5, 6)], (0, 1))
    yield Case(make("MatMul"), [normal(3, 4, 5), normal(2, 3, 5, 6)], (0, 1))

    yield Case(make("ReduceMean", keepdims=0), [normal(2, 3, 5, 7), np.array([-1, 1])])
    yield Case(make("ReduceMean"), [normal(2, 3, 5)])
