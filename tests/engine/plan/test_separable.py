"""Depthwise and plain convolutions leave onnxruntime where they stand together."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oneiro.call import run
from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.depthwise import depthwise, depthwise_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.plain import plain
from oneiro.kernels.symbol import Graph
from oneiro.kernels.window import sliding_window
from oneiro.plan.separable import separated

pytest.importorskip("numba", reason="filters are laid out for compiled kernels")

POINT = sliding_window((1, 1))
NEAR = sliding_window((3, 3), (2, 2), (0, 1, 1, 0))
RANDOM = np.random.default_rng(0)


def whole(*shape: int) -> np.ndarray:
    return RANDOM.integers(-4, 5, shape).astype(np.float32)


CONSTANTS = {"wide": whole(6, 4, 1, 1), "deep": whole(6, 1, 3, 3), "b": whole(6)}
SHAPE = (2, 4, 7, 9)


def functions(program: Callable[..., Any], *shape: int) -> list[Any]:
    """What a program's calls become, which make the same."""
    graph = Graph()
    x = whole(*shape)
    held = {name: graph.constant(value) for name, value in CONSTANTS.items()}
    result = program(graph.input("x", np.dtype(np.float32), shape), **held)
    calls, constants = separated(graph.calls, graph.constants)
    values: dict[str, Array] = {**constants, "x": x}
    for call in calls:
        run(call, values)
    assert np.array_equal(values[result.name], program(x, **CONSTANTS))
    return [call.function for call in calls]


def test_both_ways() -> None:
    def program(x: Any, wide: Any, deep: Any, b: Any) -> Any:
        y = conv(conv(x, wide, b, POINT, 1), deep, None, NEAR, 6)
        dy = conv_backward(y, deep, (2, 6, 7, 9), NEAR, 6)
        return conv_backward(dy, wide, SHAPE, POINT, 1)

    assert functions(program, *SHAPE) == [plain, depthwise, depthwise_backward, plain]


def test_without_a_depthwise_one_all_stay() -> None:
    def program(x: Any, wide: Any, deep: Any, b: Any) -> Any:
        return conv(x, wide, b, POINT, 1)

    assert functions(program, *SHAPE) == [conv]


@pytest.mark.parametrize(
    "window", [sliding_window((1, 1), (2, 2)), sliding_window((1, 1), (), (0, 1, 0, 0))]
)
def test_what_is_not_plain_stays(window: Any) -> None:
    def program(x: Any, wide: Any, deep: Any, b: Any) -> Any:
        return conv(conv(x, wide, b, window, 1), deep, None, NEAR, 6)

    assert functions(program, *SHAPE) == [conv, depthwise]


def test_a_bias_that_the_picture_makes_stays() -> None:
    def program(x: Any, wide: Any, deep: Any, b: Any) -> Any:
        return conv(conv(x, wide, b * np.mean(x), POINT, 1), deep, b - np.mean(x), NEAR, 6)

    made = functions(program, *SHAPE)
    assert conv in made
    assert depthwise in made


def test_groups_of_several_channels_stay() -> None:
    def program(x: Any, wide: Any, deep: Any, b: Any) -> Any:
        y = conv(x, deep, None, NEAR, 6)
        return conv(y, wide[:, :3], b, POINT, 2)

    assert conv in functions(program, 2, 6, 7, 9)
