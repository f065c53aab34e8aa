"""What the fast executor's kernels do to a result on its way out, while it is in the cache."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .dispatch import Array

Bounds = tuple[float, float]

RECTIFIER = (0.0, math.inf)


class Tail(NamedTuple):
    """Another branch's values added, then the gate of a rectifier, then one, or other bounds.

    `add` and `gate` have the shape of the result, or are None: then nothing is done.
    """

    add: Array | None = None
    gate: Array | None = None
    opened: Bounds = RECTIFIER  # what is behind the gate passes where that is between these
    bounds: Bounds | None = None  # where the result is held

    def of(self, x: Array) -> Any:
        """The same on a whole array: the specification."""
        if self.add is not None:
            x = np.add(x, self.add)
        if self.gate is not None:
            low, high = self.opened
            x = x * (self.gate > low)
            if high < math.inf:
                x = x * (self.gate < high)
        if self.bounds is not None:
            lowest, highest = map(np.float32, self.bounds)
            x = np.clip(x, lowest, highest)
        return x


NOTHING = Tail()
