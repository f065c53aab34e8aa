"""Arithmetic and matrix products."""

from collections.abc import Iterator

import numpy as np

from . import Case, apart, make, normal, random


def cases() -> Iterator[Case]:
    for name in ("Add", "Sub", "Mul"):
        yield Case(make(name), [normal(2, 3, 7, 11), normal(2, 3, 7, 11)], (0, 1))
        yield Case(make(name), [normal(2, 1, 7, 11), normal(3, 1, 1)], (0, 1))
    yield Case(make("Div"), [normal(2, 1, 7, 11), 1 + np.abs(normal(3, 1, 1))], (0, 1))
    for name in ("Sum", "Mean", "Max", "Min"):
        yield Case(make(name), [normal(2, 3, 5), normal(3, 5), normal(2, 1, 5)], (0, 1, 2))
        yield Case(make(name), [normal(2, 3, 5)])

    positive = 0.1 + np.abs(normal(2, 3, 5))
    yield Case(make("Pow"), [positive, normal(3, 1)], (0, 1))
    yield Case(make("Pow"), [normal(2, 3, 5), np.array([0.0, 1, 2, 3, -2])])
    yield Case(make("Pow"), [apart(2, 3, 5), np.array([0, 1, 2, 3, -2])])
    for fmod in (0, 1):
        signed = random.choice([-1, 1], (3, 1)) * (0.4 + np.abs(normal(3, 1)))
        yield Case(make("Mod", fmod=fmod), [apart(2, 3, 5), signed], (0, 1))

    for dtype in (np.int32, np.int64):
        a = random.integers(-20, 20, (2, 3, 5)).astype(dtype)
        b = np.array([-7, -2, 1, 3, 5], dtype)
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
            yield Case(make(name), [a, b], ())
        for fmod in (0, 1):
            yield Case(make("Mod", fmod=fmod), [a, b], ())
        yield Case(make("Pow"), [np.abs(a), np.array([0.5, 1, 2, 3, 1.5])], ())
        yield Case(make("Pow"), [a, np.abs(b)], ())

    yield Case(
        make("Gemm", alpha=0.7, beta=1.3), [normal(3, 5), normal(5, 4), normal(4)], (0, 1, 2)
    )
    yield Case(make("Gemm", transA=1, transB=1), [normal(5, 3), normal(4, 5)], (0, 1))
    yield Case(make("MatMul"), [normal(2, 3, 4, 5), normal(5, 6)], (0, 1))
    yield Case(make("MatMul"), [normal(3, 4, 5), normal(2, 3, 5, 6)], (0, 1))
    yield Case(make("MatMul"), [normal(5), normal(5)], (0, 1))
    yield Case(make("MatMul"), [normal(5), normal(2, 3, 5, 6)], (0, 1))
    yield Case(make("MatMul"), [normal(2, 3, 4, 5), normal(5)], (0, 1))
    yield Case(make("MatMul"), [np.arange(6).reshape(2, 3), np.arange(3)], ())
