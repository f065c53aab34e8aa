"""A computation done again and again, as often as a run tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .dispatch import Array, Case, kernel
from .index import gather
from .symbol import Body, Symbol, node

Step = Callable[[Any, Any], Any]


@kernel
def repeat(x: Array, step: Step, count: Any, each: Array, resized: Sequence[int] = ()) -> Array:
    """x after `count` times x = step(x, each[k]) for k = 0, 1, ...; only `resized` axes may change.

    As ONNX, which only exports make of it, the step is written once, as the body of a Loop; but as
    often as it is done where sizes change that are known, so that they stay known.
    """
    for k in range(int(count)):
        x = step(x, gather(each, np.array(k), 0))
    return x


@repeat.onnx
def _(x: Any, step: Step, count: Any, each: Array, resized: Sequence[int] = ()) -> Any:
    if resized and None not in x.dims and not isinstance(count, Symbol):
        return repeat.specification(x, step, count, each)
    dims = tuple(None if axis in resized else size for axis, size in enumerate(x.dims))
    body = Body(x.graph)
    k, going, before = (
        body.input(dtype, sizes) for dtype, sizes in ((np.int64, ()), (bool, ()), (x.dtype, dims))
    )
    with body:
        after = step(before, gather(each, k, 0))
        body.outputs = [node("Identity", going), after]
    times = count if isinstance(count, Symbol) else np.array(count)
    made = node("Loop", times, np.array(True), x, body=body, dtype=x.dtype, dims=dims)
    # onnx forgets even the rank of what changes its sizes: a 0 in a shape is a size that stays
    return node("Reshape", made, np.zeros(x.ndim, np.int64), dims=dims) if resized else made


@repeat.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x, each = random.normal(size=(2, 5)), random.normal(size=(4, 5))
    yield x, lambda x, y: 0.5 * x + y, np.array(3), each
    yield x, lambda x, y: np.concatenate((x, x + y)), np.array(3), each, (0,)
