"""A computation done again and again, as often as a run tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .dispatch import Array, Case, kernel
from .index import gather
from .symbol import Body, node


@kernel
def repeat(x: Array, step: Callable[[Array, Array], Array], count: Array, each: Array) -> Array:
    """x after `count` times x = step(x, each[k]) for k = 0, 1, ...; the sizes of x stay.

    As ONNX the step is written once, as the body of a Loop: only exports run it on symbols.
    """
    for k in range(int(count)):
        x = step(x, gather(each, np.array(k), 0))
    return x


@repeat.onnx
def _(x: Array, step: Callable[[Array, Array], Array], count: Array, each: Array) -> Array:
    graph: Any = x.graph  # type: ignore[attr-defined]
    body = Body(graph)
    k, going, before = (
        body.input(dtype, dims)
        for dtype, dims in ((np.int64, ()), (bool, ()), (x.dtype, x.dims))  # type: ignore[attr-defined]
    )
    with body:
        after = step(before, gather(each, k, 0))
        body.outputs = [node("Identity", going), after]
    return node("Loop", count, np.array(True), x, body=body, dtype=x.dtype, dims=x.dims)  # type: ignore[attr-defined]


@repeat.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x, each = random.normal(size=(2, 5)), random.normal(size=(4, 5))
    yield x, lambda x, y: 0.5 * x + y, np.array(3), each
