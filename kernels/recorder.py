"""A device that computes nothing and notes what would be launched on a GPU of any capability.

So it is known without a GPU, in no time, which texts a network or a test needs compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dispatch import Emulator, Launch


class Recorder(Emulator):
    """Its arrays hold zeros, or what was copied to them; it has as many processors as an H200."""

    processors = 132

    def __init__(self, capability: tuple[int, int] = (9, 0), precision: str = "exact") -> None:
        super().__init__(precision)
        self.capability = capability
        self.launches: list[Launch] = []

    def __str__(self) -> str:
        return "recorder"

    def allocate(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
        size = int(np.prod(shape, dtype=np.int64))
        return np.ndarray(shape, dtype, np.zeros(size, dtype), 0, strides)

    def launch(self, what: Launch, args: Sequence[Any]) -> None:
        self.launches.append(what)
