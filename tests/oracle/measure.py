"""How large an array is, and how far two are apart, by NumPy alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

# the norms of a gradient, for one picture
NORMS_OF_NUMPY: dict[str, Callable[[Any], Any]] = {
    "mean_abs": lambda g: np.abs(g).mean(),
    "std": np.std,
    "l1": lambda g: np.abs(g).sum(),
    "l2": np.linalg.norm,
}


def distance(a: Any, b: Any) -> float:
    """The relative L2 distance of a from b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def difference(a: Any, b: Any) -> float:
    """As `distance`, and 0 where both are the same, such as nothing but zeros, or no elements."""
    return 0 if np.array_equal(a, b) else distance(a, b)


def medians(
    found: Iterable[Mapping[str, float]], count: int, limit: float = 1e-5
) -> dict[str, float]:
    """The median of `count` errors of each name, to be compared with a limit.

    Once more than half of all are below it the median will be, and no more are worked out.
    """
    errors: dict[str, list[float]] = {}
    for taken, one in enumerate(found, 1):
        for name, error in one.items():
            errors.setdefault(name, []).append(error)
        few = min(sum(error < limit for error in each) for each in errors.values())
        if taken == count or few > count // 2:
            break
    return {name: float(np.median(each)) for name, each in errors.items()}
