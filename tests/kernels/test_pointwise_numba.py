"""Expressions as compiled loops, whatever their operands' shapes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import crew
from oneiro.kernels.relu import gate, relu, relu_backward
from oneiro.kernels.symbol import Graph
from oneiro.plan.fusion import expression, joined

pytest.importorskip("numba", reason="the loops are compiled by it")
from oneiro.kernels import pointwise_numba

RANDOM = np.random.default_rng(0)
SHAPE = (2, 3, 5, 4)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def evaluated(program: Any, *arrays: np.ndarray) -> np.ndarray:
    """What the compiled loop makes of a program that is one expression."""
    graph = Graph()
    symbols = [graph.input(f"x{k}", a.dtype, a.shape) for k, a in enumerate(arrays)]
    result = program(*symbols)
    steps, operands = expression(graph.calls, set(range(len(graph.calls))), None)
    values = dict(zip((s.name for s in symbols), arrays, strict=True))
    out = np.full(result.dims, 77, result.dtype)
    assert pointwise_numba.can(steps)
    given = [values.get(getattr(value, "name", None), value) for value in operands]
    pointwise_numba.evaluator(steps, out, given)()
    return out


X, Y = normal(*SHAPE), normal(*SHAPE)
X.flat[3], Y.flat[5] = np.nan, np.inf


@pytest.mark.parametrize(
    "program",
    [
        lambda x, y: x + y * 2 - 1,
        lambda x, y: np.abs(x) / (1 + y),
        lambda x, y: np.maximum(x, y) - np.minimum(x, 0.5),
        lambda x, y: np.clip(x, -0.5, 0.5),
        lambda x, y: relu_backward(x, y) + relu(y),
        lambda x, y: gate(x, (y > 0) & (y < 1)),
        lambda x, y: np.where(x >= y, x, -y),
        lambda x, y: np.sqrt(np.abs(x)),
    ],
    ids=["sum", "ratio", "extremes", "clip", "rectifiers", "gate", "choice", "root"],
)
def test_functions(program: Any) -> None:
    with np.errstate(all="ignore"):
        wanted = program(X, Y)
    # what is not a number passes a gate as a product, and is held back by a choice
    found, wanted = evaluated(program, X, Y), np.where(np.isfinite(X * Y), wanted, 0)
    np.testing.assert_allclose(np.where(np.isfinite(X * Y), found, 0), wanted, rtol=1e-6)


@pytest.mark.parametrize("program", [relu, lambda x: np.maximum(x, 0), lambda x: np.minimum(x, 1)])
def test_what_is_no_number_stays_none(program: Any) -> None:
    np.testing.assert_array_equal(evaluated(program, X), program(X))


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (1, 1, 1, 1), (3, 1, 1), (1, 3, 1, 1), (2, 1, 1, 1), (5, 4), (4,), (2, 3, 1, 1),
     (1, 3, 5, 4), (2, 3, 5, 1), (2, 1, 5, 4)],
)  # fmt: skip
def test_operands_that_are_broadcast(shape: tuple[int, ...]) -> None:
    x, other = normal(*SHAPE), normal(*shape)
    found = evaluated(lambda x, y: x * y + y, x, other)
    np.testing.assert_allclose(found, x * other + other, rtol=1e-5, atol=1e-6)


def test_several_operands_of_different_shapes() -> None:
    shapes = SHAPE, (3, 1, 1), (4,), ()
    arrays = [normal(*shape) for shape in shapes]

    def program(x: Any, a: Any, b: Any, c: Any) -> Any:
        return (x * a + b) * c

    np.testing.assert_allclose(evaluated(program, *arrays), program(*arrays), rtol=1e-5)


def test_conditions_are_results_too() -> None:
    found = evaluated(lambda x, y: (x > 0) | (y > 0), normal(3, 7), normal(3, 7))
    assert found.dtype == bool


@pytest.fixture
def threads() -> Iterator[None]:
    yield
    crew.use(None)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", [(1, 3, 300, 400), (700_001,)])
def test_pieces_are_the_whole(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(*shape)
    by = normal(3, 1, 1) if len(shape) == 4 else normal(*shape)
    found = []
    for count in (1, 3):
        crew.use(count)
        found.append(evaluated(lambda x, y: x * y + 1, x, by))
    np.testing.assert_allclose(found[0], x * by + 1, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(*found)


def test_an_empty_result() -> None:
    assert evaluated(lambda x: x + 1, normal(2, 0, 3)).shape == (2, 0, 3)


def test_what_has_no_loop() -> None:
    graph = Graph()
    np.exp(graph.input("x", np.float32, (2, 3)))
    steps, _ = expression(graph.calls, {0}, None)
    assert not pointwise_numba.can(steps)
    assert joined(graph.calls, []) == graph.calls
