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

    `towards` says which arguments are moved; backward(v) returns a diff for each argument. The
    slope along a random direction u is a central difference, v is a random diff of the result.
    """
    moves = {k: random.normal(size=arguments[k].shape) for k in towards}
    scale = max(np.abs(arguments[k]).max() for k in towards)
    ahead, behind = (
        forward(*[a + sign * step * scale * moves[k] if k in moves else a for k, a in pairs])
        for sign in (1, -1)
        for pairs in [list(enumerate(arguments))]
    )
    slope = (ahead - behind) / (2 * step * scale)
    v = random.normal(size=slope.shape)
    forward(*arguments)  # what the way back needs is that of the place itself
    diffs = backward(v)
    diffs = diffs if isinstance(diffs, tuple) else (diffs,)
    for k in towards:
        assert diffs[k].shape == arguments[k].shape
    numeric = (v * slope).sum()
    analytic = sum((diffs[k] * move).sum() for k, move in moves.items())
    size = np.linalg.norm(v) * np.linalg.norm(slope)
    assert abs(numeric - analytic) <= tolerance * size, f"slope {numeric}, backward {analytic}"
