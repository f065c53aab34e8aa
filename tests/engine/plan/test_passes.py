"""Passes change no bit of what their calls make, but for sums in another order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oneiro.call import run
from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.lrn import lrn, lrn_backward, lrn_forward, lrn_gradient
from oneiro.kernels.pool import max_pool, max_pool_backward, max_pool_gradient
from oneiro.kernels.relu import gate, relu, relu_backward
from oneiro.kernels.symbol import Call, Graph, Symbol
from oneiro.kernels.tail import RECTIFIER
from oneiro.kernels.window import sliding_window
from oneiro.plan.fold import Folding
from oneiro.plan.placement import placed_in_runtime, regrouped
from oneiro.plan.remake import remade
from oneiro.plan.split import gated_whole
from oneiro.plan.tail import Tailed, tailed
from oneiro.plan.trim import is_sized, last_uses, trimmed

POINT = sliding_window((1, 1))
OVERLAPPING = sliding_window((3, 3), (2, 2), (0, 1, 1, 0))
RANDOM = np.random.default_rng(0)
SHAPE = (2, 4, 5, 3)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def whole(*shape: int) -> np.ndarray:
    """Whole numbers, whose sums are exact in any order."""
    return RANDOM.integers(-4, 5, shape).astype(np.float32)


class Traced:
    """A program's calls, its results, and what it makes of arrays by itself."""

    def __init__(self, program: Callable[..., Any], *arrays: np.ndarray, **constants: Any) -> None:
        graph = Graph()
        symbols = [graph.input(f"x{k}", a.dtype, a.shape) for k, a in enumerate(arrays)]
        held = {name: graph.constant(value) for name, value in constants.items()}
        made = program(*symbols, **held)
        self.results: tuple[Symbol, ...] = made if isinstance(made, tuple) else (made,)
        self.names = [symbol.name for symbol in self.results]
        self.calls = graph.calls
        self.constants = graph.constants
        self.inputs = dict(zip((s.name for s in symbols), arrays, strict=True))
        wanted = program(*arrays, **constants)
        self.wanted = wanted if isinstance(wanted, tuple) else (wanted,)

    def agrees(self, calls: list[Call], constants: Any = None, worst: float = 0) -> list[str]:
        """The names of the calls, which make the same."""
        values = {**(self.constants if constants is None else constants), **self.inputs}
        for call in calls:
            run(call, values)
        for name, wanted in zip(self.names, self.wanted, strict=True):
            np.testing.assert_allclose(values[name], wanted, rtol=worst, atol=worst)
        return [call.function.__name__ for call in calls]


# Gates before splits.


def joined_and_gated(*gates: Callable[..., Any]) -> Callable[..., Any]:
    """A Concat of two rectified values, and its diff brought back through gates."""

    def program(a: Any, b: Any, d: Any) -> Any:
        y, z = relu(a), relu(b)
        both = np.concatenate((y, z), 1)
        return both, gates[0](d[:, :4], y), gates[1](d[:, 4:], z)

    return program


PARTS = normal(*SHAPE), normal(2, 3, 5, 3), normal(2, 7, 5, 3)


def test_one_gate_before_a_split() -> None:
    traced = Traced(joined_and_gated(relu_backward, relu_backward), *PARTS)
    names = traced.agrees(gated_whole(traced.calls, traced.names))
    assert names.count("relu_backward") == 1
    assert names[-2:] == ["getitem", "getitem"]


def test_two_gates_behind_each_other_before_a_split() -> None:
    def guided(d: Any, y: Any) -> Any:
        return relu(relu_backward(d, y))

    traced = Traced(joined_and_gated(guided, guided), *PARTS)
    names = traced.agrees(gated_whole(traced.calls, traced.names))
    assert names[-4:] == ["relu_backward", "relu", "getitem", "getitem"]


def test_different_gates_stay_behind_the_split() -> None:
    traced = Traced(joined_and_gated(relu_backward, lambda d, y: relu(d)), *PARTS)
    assert gated_whole(traced.calls, traced.names) == traced.calls


@pytest.mark.parametrize(
    "program",
    [
        lambda d, y: (d[:, :4], relu_backward(d[:, :4], y[:, :4]), relu(d[:, 4:])),
        lambda d, y: (relu(d[:, :4]), relu(d[:, 3:])),
        lambda d, y: (relu(d[:, :4]), relu(d[:, 5:])),
        lambda d, y: (relu(d[:, :4]), relu(d[:, 4:]), d + 1),
        lambda d, y: (relu(d[:, :4]), relu(d[:, :3])),
    ],
)
def test_parts_that_do_not_make_the_whole(program: Callable[..., Any]) -> None:
    traced = Traced(program, PARTS[2], normal(2, 7, 5, 3))
    assert gated_whole(traced.calls, traced.names) == traced.calls


# Gradients that keep nothing.


def test_a_pool_is_found_again() -> None:
    def program(x: Any, dy: Any) -> Any:
        y, where = max_pool(x, OVERLAPPING)
        return y, max_pool_backward(dy, where, SHAPE, OVERLAPPING)

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, normal(*SHAPE), dy)
    calls = remade(traced.calls, traced.names)
    assert traced.agrees(calls) == ["max_pool", "max_pool_gradient"]
    assert calls[1].function is max_pool_gradient


def test_a_normalisation_is_found_again() -> None:
    numbers = (3, 2.0, 0.75, 1.5)

    def program(x: Any, dy: Any) -> Any:
        y, scale, shrink = lrn(x, *numbers)
        return y, lrn_backward(dy, x, scale, shrink, *numbers[:3])

    traced = Traced(program, normal(*SHAPE), normal(*SHAPE))
    calls = remade(traced.calls, traced.names)
    traced.agrees(calls)
    assert [call.function for call in calls] == [lrn_forward, lrn_gradient]


def test_a_note_that_somebody_wants_is_taken() -> None:
    traced = Traced(lambda x: lrn(x, 3, 2.0, 0.75, 1.5), normal(*SHAPE))
    assert remade(traced.calls, traced.names) == traced.calls


# Factors in filters.

W, B, GAIN, TERM = normal(6, 4, 1, 1), normal(6), normal(6, 1, 1), normal(1, 6, 1, 1)


def folded(traced: Traced) -> list[str]:
    folding = Folding(traced.calls, traced.constants, traced.names)
    return traced.agrees(folding.remaining(), folding.constants, 1e-5)


@pytest.mark.parametrize("b", [B, None])
def test_a_normalisation_behind_a_convolution(b: np.ndarray | None) -> None:
    def program(x: Any, w: Any, gain: Any, term: Any, b: Any = None) -> Any:
        return conv(x, w, b, POINT, 1) * gain + term

    given = {} if b is None else {"b": b}
    assert folded(Traced(program, normal(*SHAPE), w=W, gain=GAIN, term=TERM, **given)) == ["conv"]


@pytest.mark.parametrize("group", [1, 2])
def test_factors_around_the_way_back(group: int) -> None:
    """Of the outputs in front, and of the inputs behind."""

    def program(dy: Any, w: Any, gain: Any, inner: Any) -> Any:
        return conv_backward(dy * gain, w, SHAPE, POINT, group) * inner

    filters = {"w": normal(6, 4 // group, 1, 1), "gain": GAIN, "inner": normal(4, 1, 1)}
    assert folded(Traced(program, normal(2, 6, 5, 3), **filters)) == ["conv_backward"]


def test_a_factor_that_others_read_stays_for_them() -> None:
    def program(dy: Any, w: Any, gain: Any) -> Any:
        scaled = dy * gain
        return conv_backward(scaled, w, SHAPE, POINT, 1), scaled

    traced = Traced(program, normal(2, 6, 5, 3), w=W, gain=GAIN)
    assert sorted(folded(traced)) == ["conv_backward", "multiply"]


@pytest.mark.parametrize(
    "program",
    [
        lambda x, w, m: conv(x, w, None, POINT, 1) * m,  # a factor for each place
        lambda x, w, m: (conv(x, w, None, POINT, 1) * 2, conv(x, w, None, POINT, 1)),
        lambda x, w, m: conv(x, w * x.mean(), None, POINT, 1) * 2,  # filters that are not constant
    ],
)
def test_what_stays_unfolded(program: Callable[..., Any]) -> None:
    traced = Traced(program, normal(*SHAPE), w=W, m=normal(5, 3))
    assert "conv" in folded(traced)
    assert any("multiply" in call.function.__name__ for call in traced.calls)


# Sums, and tails.


def test_sums_begin_with_what_onnxruntime_makes() -> None:
    def program(x: Any, w: Any) -> Any:
        return np.tanh(x) + conv(x, w, None, POINT, 1) + np.sin(x) + conv(x, 2 * w, None, POINT, 1)

    traced = Traced(program, whole(*SHAPE), w=whole(4, 4, 1, 1))
    there = placed_in_runtime(traced.calls, traced.names)
    calls = regrouped(traced.calls, traced.names, there)
    traced.agrees(calls, worst=1e-6)
    sums = [call for call in calls if call.function is np.add]
    assert [s.name in there for s in sums[0].args] == [True, True]
    assert len(sums) == 3


def test_a_tail_is_what_follows() -> None:
    def program(dy: Any, x: Any, other: Any, y: Any) -> Any:
        return relu(relu_backward(max_pool_gradient(dy, x, OVERLAPPING) + other, y))

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(3)))
    calls = tailed(traced.calls, traced.names, set())
    assert traced.agrees(calls) == ["max_pool_gradient + tail"]
    function = calls[0].function
    assert isinstance(function, Tailed)
    assert function.bounds == RECTIFIER


@pytest.mark.parametrize("low", [0, -0.5])
def test_a_tail_holds_between_bounds(low: float) -> None:
    """As MobileNet's rectifier does, with a ceiling, and on the way back."""

    def program(dy: Any, x: Any, y: Any) -> Any:
        diff = max_pool_gradient(dy, x, OVERLAPPING)
        opened = gate(gate(diff, y > np.float32(low)), y < np.float32(0.8))
        return np.clip(opened, np.float32(low), np.float32(6))

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(2)))
    calls = tailed(traced.calls, traced.names, set())
    assert traced.agrees(calls) == ["max_pool_gradient + tail"]


def test_gates_by_several_values_are_no_tail() -> None:
    def program(dy: Any, x: Any, y: Any, z: Any) -> Any:
        return gate(gate(max_pool_gradient(dy, x, OVERLAPPING), y > 0), z < 1)

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(3)))
    names = traced.agrees(tailed(traced.calls, traced.names, set()))
    assert names == ["max_pool_gradient + tail", "less", "gate"]


def test_a_mask_that_is_wanted_is_made() -> None:
    def program(dy: Any, x: Any, y: Any) -> Any:
        mask = y > 0
        return mask, gate(max_pool_gradient(dy, x, OVERLAPPING), mask)

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(2)))
    names = traced.agrees(tailed(traced.calls, traced.names, set()))
    assert sorted(names) == ["greater", "max_pool_gradient + tail"]


def test_a_tail_ends_where_a_value_is_wanted() -> None:
    def program(dy: Any, x: Any, other: Any) -> Any:
        total = max_pool_gradient(dy, x, OVERLAPPING) + other
        return total, relu(total)

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(2)))
    names = traced.agrees(tailed(traced.calls, traced.names, set()))
    assert names == ["max_pool_gradient + tail", "relu"]


def test_one_part_of_a_sum_takes_the_others_along() -> None:
    """Each could: the others are made as they are, and what follows the sum is done once."""

    def program(dy: Any, a: Any, b: Any, c: Any) -> Any:
        parts = [max_pool_gradient(dy, x, OVERLAPPING) for x in (a, b, c)]
        return relu(parts[0] + parts[1] + parts[2])

    dy = normal(2, 4, *OVERLAPPING.sizes(SHAPE[2:]))
    traced = Traced(program, dy, *(normal(*SHAPE) for _ in range(3)))
    calls = tailed(traced.calls, traced.names, set())
    plain, tail = "max_pool_gradient", "max_pool_gradient + tail"
    assert sorted(traced.agrees(calls)) == [plain, tail, tail]


# What is left out.


def test_what_nobody_wants_and_what_is_known_is_left_out() -> None:
    def program(x: Any, w: Any) -> Any:
        np.sin(x)
        return x * np.sqrt(w)

    traced = Traced(program, normal(2, 3), w=np.abs(normal(2, 3)))
    calls, values = trimmed(traced.calls, traced.constants, traced.results)
    assert traced.agrees(calls, values) == ["multiply"]


def test_last_uses() -> None:
    traced = Traced(lambda x: np.sin(np.cos(x)) + x, normal(2, 3))
    names = [call.results[0].name for call in traced.calls]
    assert last_uses(traced.calls, set(traced.names)) == [[], [names[0]], sorted(["x0", names[1]])]


def test_a_size_that_only_a_run_tells() -> None:
    graph = Graph()
    assert is_sized([])
    np.sin(graph.input("x", np.float32, (None, 3)))
    assert not is_sized(graph.calls)
