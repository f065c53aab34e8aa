"""What the fast executor's kernels do to a result on its way out, while it is in the cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .dispatch import Array
from .relu import relu, relu_backward


class Tail(NamedTuple):
    """Another branch's values added, then the gate of a rectifier, then a rectifier.

    `add` and `gate` have the shape of the result, or are None: then nothing is done.
    """

    add: Array | None = None
    gate: Array | None = None  # what is behind it passes where this is positive
    rectify: bool = False

    def of(self, x: Array) -> Any:
        """The same on a whole array: the specification."""
        if self.add is not None:
            x = np.add(x, self.add)
        if self.gate is not None:
            x = relu_backward(x, self.gate)
        return relu(x) if self.rectify else x


NOTHING = Tail()
