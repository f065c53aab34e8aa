"""How large an array is, and how far two are apart, by NumPy alone."""

from collections.abc import Callable
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
