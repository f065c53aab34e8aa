"""How far apart two arrays are."""

from typing import Any

import numpy as np


def distance(a: Any, b: Any) -> float:
    """The relative L2 distance of a from b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
