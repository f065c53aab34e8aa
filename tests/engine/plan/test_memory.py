"""What lies where: nothing that is alive is written over."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.symbol import Graph
from oneiro.plan.arena import ALIGNMENT, Span, offsets
from oneiro.plan.memory import Memory


@pytest.mark.parametrize("seed", range(20))
def test_values_that_live_together_lie_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    firsts = random.integers(0, 30, 40)
    spans = [
        Span(int(size), int(first), int(first + length))
        for size, first, length in zip(
            random.integers(0, 1000, 40), firsts, random.integers(0, 9, 40), strict=True
        )
    ]
    starts, total = offsets(spans)
    for k, one in enumerate(spans):
        assert starts[k] % ALIGNMENT == 0
        assert starts[k] + one.size <= total
        for j, other in enumerate(spans[:k]):
            together = one.first <= other.last and other.first <= one.last
            apart = starts[k] >= starts[j] + other.size or starts[j] >= starts[k] + one.size
            assert apart or not together or 0 in (one.size, other.size)


def test_values_that_follow_each_other_share_a_place() -> None:
    assert offsets([Span(640, 0, 1), Span(640, 2, 3), Span(64, 1, 2)]) == ([0, 0, 640], 704)


def memory_of(program: Any, *shapes: tuple[int, ...]) -> tuple[Memory, Any]:
    """Where the values of a program lie, and its results."""
    graph = Graph()
    made = program(*(graph.input(f"x{k}", np.float32, s) for k, s in enumerate(shapes)))
    results = made if isinstance(made, tuple) else (made,)
    return Memory(graph.calls, graph.constants, results, graph.inputs), made


def shared(memory: Memory, one: Any, other: Any) -> bool:
    return np.may_share_memory(memory.arrays[one.name], memory.arrays[other.name])


def test_views_lie_in_what_they_see() -> None:
    def program(x: Any) -> Any:
        y = np.sin(x)
        part = y[:, 1:3]
        return y, part, part.reshape(2, -1), np.cos(part)

    memory, (y, part, flat, cos) = memory_of(program, (1, 4, 2, 3))
    assert shared(memory, y, part)
    assert shared(memory, part, flat)
    assert memory.arrays[flat.name].shape == (2, 6)
    assert not shared(memory, y, cos)


@pytest.mark.parametrize(("n", "inside"), [(1, True), (2, False)])
def test_parts_are_made_where_the_whole_lies(n: int, inside: bool) -> None:
    """But for several pictures, whose parts do not lie one behind another."""

    def program(x: Any) -> Any:
        parts = np.sin(x), np.cos(x)
        return np.concatenate(parts, 1), *parts

    graph = Graph()
    whole, one, other = program(graph.input("x", np.float32, (n, 3, 2, 5)))
    memory = Memory(graph.calls, {}, [whole], graph.inputs)
    assert shared(memory, whole, one) is inside
    assert shared(memory, whole, other) is inside
    assert not shared(memory, one, other)


def test_a_part_that_is_wanted_by_itself_stays_apart() -> None:
    def program(x: Any) -> Any:
        part = np.sin(x)
        return np.concatenate((part, part), 1), part

    memory, (whole, part) = memory_of(program, (1, 3, 2, 5))
    assert not shared(memory, whole, part)


def test_functions_of_each_element_write_over_what_they_read_last() -> None:
    def program(x: Any) -> Any:
        first = np.sin(x)
        second = first + 1
        third = second * first
        return third - 1

    graph = Graph()
    result = program(graph.input("x", np.float32, (4, 500)))
    memory = Memory(graph.calls, {}, [result], graph.inputs)
    first, second, third = (call.results[0] for call in graph.calls[:3])
    assert not shared(memory, first, second)  # it is read again
    assert shared(memory, second, third) or shared(memory, first, third)
    assert not shared(memory, graph.inputs[0], first)
