"""The proof of a derivative in two evaluations: <v, J u> = <J' v, u>, in float64."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]


def check_adjoint(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Sequence[Any],
    towards: Sequence[int],
    random: np.random.Generator,
    step: float = 1e-6,
    tolerance: float = 1e-6,
) -> None:
    """Does `backward` go back from `forward` at these arguments?

    `towards` says which arguments are moved; backward(v, ...), with a diff for each floating
    result, returns a diff for each argument. The slope along a random direction u is a central
    difference, v is a random diff of the results.
    """
    moves = {k: random.normal(size=arguments[k].shape) for k in towards}
    scale = max(np.abs(arguments[k]).max() for k in towards)

    def moved(sign: int) -> list[Any]:
        far = sign * step * scale
        return [a + far * moves[k] if k in moves else a for k, a in enumerate(arguments)]

    ahead, behind = (as_tuple(forward(*moved(sign))) for sign in (1, -1))
    slopes = [
        (a - b) / (2 * step * scale) if a.dtype.kind == "f" else np.zeros(a.shape)
        for a, b in zip(ahead, behind, strict=True)
    ]
    vs = [random.normal(size=slope.shape) for slope in slopes]
    forward(*arguments)  # what the way back needs is that of the place itself
    diffs = as_tuple(backward(*vs))
    for k in towards:
        assert diffs[k].shape == arguments[k].shape
    numeric = sum(float((v * slope).sum()) for v, slope in zip(vs, slopes, strict=True))
    analytic = sum((diffs[k] * move).sum() for k, move in moves.items())
    size = np.sqrt(sum((v**2).sum() for v in vs) * sum((s**2).sum() for s in slopes))
    assert abs(numeric - analytic) <= tolerance * size, f"slope {numeric}, backward {analytic}"


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
