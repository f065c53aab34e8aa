"""Sums over everything that are one pass with what they add up."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.call import filled
from oneiro.kernels import crew
from oneiro.kernels.symbol import Graph
from oneiro.plan.total import Total, totalled

pytest.importorskip("numba", reason="the loops are compiled by it")
from oneiro.kernels import pointwise_numba


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    yield
    crew.use(None)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def names_of(program: Callable[..., Any], *arrays: np.ndarray) -> list[str]:
    """The names of a program's calls; the values of sums are checked, in one thread and three."""
    graph = Graph()
    symbols = [graph.input(f"x{k}", a.dtype, a.shape) for k, a in enumerate(arrays)]
    result = program(*symbols)
    wanted = program(*(array.astype(np.float64) for array in arrays))
    calls = totalled(graph.calls, [result.name], lambda call: True)
    values = dict(zip((s.name for s in symbols), arrays, strict=True))
    for call in calls:
        if not isinstance(call.function, Total):
            continue
        found = []
        for count in (1, 3):
            crew.use(count)
            out = np.full(call.results[0].dims, 77, np.float32)
            operands = filled(call.args[0], values)
            pointwise_numba.total(call.function.steps, out, operands, call.function.mean)()
            np.testing.assert_allclose(out, wanted, rtol=1e-6)
            found.append(out)
        np.testing.assert_array_equal(*found)
    return [call.function.__name__ for call in calls]


X = normal(1, 3, 301, 407)


def test_a_mean_of_magnitudes() -> None:
    assert names_of(lambda x: np.abs(x).mean((1, 2, 3), keepdims=True), X) == ["mean of 1 steps"]


def test_a_sum_of_products() -> None:
    assert names_of(lambda x, y: (x * y).sum(), X, X + 1) == ["sum of 1 steps"]


def test_an_operand_of_one_value() -> None:
    assert names_of(lambda x, y: (x * y).sum(), normal(3, 5), normal()) == ["sum of 1 steps"]


@pytest.mark.parametrize(
    "program",
    [
        lambda x: np.abs(x).sum((1, 2)),  # of each channel
        lambda x: np.abs(x).max(),
        lambda x: (np.abs(x) * np.ones((407,), np.float32)).sum(),  # broadcast
    ],
)
def test_what_stays_as_it_is(program: Callable[..., Any]) -> None:
    assert not any(name.endswith("steps") for name in names_of(program, X))


def test_what_others_read_stays() -> None:
    def program(x: Any) -> Any:
        y = np.abs(x)
        return y.sum() + np.min(y)

    assert names_of(program, X) == ["absolute", "sum", "min", "add"]
