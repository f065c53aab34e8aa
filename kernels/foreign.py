"""What arrays that are not NumPy's have in common: NumPy hands its functions to them."""

from __future__ import annotations

from typing import Any

import numpy as np


class ForeignArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Operators and methods in NumPy's functions, which the array itself then answers."""

    @property
    def T(self) -> Any:
        return np.transpose(self)  # type: ignore[call-overload]

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.sum(self, axis, keepdims=keepdims)  # type: ignore[call-overload]

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis, keepdims=keepdims)  # type: ignore[call-overload]

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.max(self, axis, keepdims=keepdims)  # type: ignore[call-overload]
