"""How far to go along a gradient: what the methods that climb move by.

An update maps z (n, c, h, w) and its gradient g to the next z. What it remembers from step to step
is a dict of arrays. All is ascent, and each picture of a batch moves on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from oneiro.kernels.dispatch import Array

from .ascent import EACH, NORMS

Memory = dict[str, Array]
Rate = Callable[[Array, Any, int], Any]  # (gradient, objective's value, iteration) -> step size


class Update(Protocol):
    """A way to move z."""

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        """What is remembered before the first step; `memory` is the update's before this one."""
        ...

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        """The next z, and what is remembered."""
        ...


@dataclass(frozen=True)
class Plain:
    """z += rate * g; the rate is a number, or a policy that looks at the gradient."""

    rate: float | Rate

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        return {}

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        rate = self.rate(g, value, iteration) if callable(self.rate) else self.rate
        return z + rate * g, memory


@dataclass(frozen=True)
class Normalised:
    """z += size * g / norm(g), as DeepDream moves; a gradient of zero makes no step.

    `size` is a number, one a channel (1, c, 1, 1), or a function of the iteration.
    """

    size: float | Array | Callable[[int], float]
    norm: str = "mean_abs"

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        return {}

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        size = self.size(iteration) if callable(self.size) else self.size
        length = NORMS[self.norm](g)
        return z + size * (g / np.where(length > 0, length, np.ones((), length.dtype))), memory


@dataclass(frozen=True)
class Momentum:
    """m = decay * m + rate * g; z += m. The memory is empty at the start of every stage."""

    rate: float
    decay: float = 0.9

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        return {"m": np.zeros_like(z)}

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        m = self.decay * memory["m"] + self.rate * g
        return z + m, {"m": m}


@dataclass(frozen=True)
class Adaptive:
    """G = decay * G + g**2; m = decay * m + g / (1 / rate + sqrt(G)); z += m (nnpreimage).

    Where gradients are small, below 1 / rate, it moves as momentum does; elsewhere a step is some
    units of z, whatever the objective's own. The memory is empty at the start of every stage.
    """

    rate: float
    decay: float = 0.9

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        return {"m": np.zeros_like(z), "G": np.zeros_like(z)}

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        squares = self.decay * memory["G"] + g * g
        m = self.decay * memory["m"] + g / (1 / self.rate + np.sqrt(squares))
        return z + m, {"m": m, "G": squares}


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2014, ascending: z += rate * m' / (sqrt(v') + epsilon), both means unbiased.

    The rate is a number, or a function of the iteration. What is remembered goes on through stages
    whose z keeps its shape.
    """

    rate: float | Callable[[int], float]
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def start(self, z: Array, memory: Mapping[str, Array]) -> Memory:
        held = memory.get("m")
        if held is not None and held.shape == z.shape and {"v", "t"} <= memory.keys():
            return dict(memory)
        return {"m": np.zeros_like(z), "v": np.zeros_like(z), "t": np.zeros((), z.dtype)}

    def step(
        self, z: Array, g: Array, value: Any, memory: Memory, iteration: int
    ) -> tuple[Array, Memory]:
        first, second = self.betas
        t = memory["t"] + 1
        m = first * memory["m"] + (1 - first) * g
        v = second * memory["v"] + (1 - second) * (g * g)
        mean = m / (1 - first**t)
        spread = v / (1 - second**t)
        rate = self.rate(iteration) if callable(self.rate) else self.rate
        return z + rate * mean / (np.sqrt(spread) + self.epsilon), {"m": m, "v": v, "t": t}


def progress(desired: float, most: float) -> Rate:
    """Yosinski's policy: a rate that would raise a linear objective by `desired`, at `most`."""

    def rate(g: Array, value: Any, iteration: int) -> Any:
        square = (g * g).sum(EACH, keepdims=True)
        return np.minimum(desired / np.where(square > 0, square, np.ones((), g.dtype)), most)

    return rate


def progress01(most: float, early: float, late: float) -> Rate:
    """Yosinski's policy for a probability p: a `progress` of `early`, or less: late * (1 - p)."""

    def rate(g: Array, value: Any, iteration: int) -> Any:
        missing = 1 - np.reshape(np.asarray(value), (-1, 1, 1, 1))
        square = (g * g).sum(EACH, keepdims=True)
        desired = np.minimum(early, late * missing)
        return np.minimum(desired / np.where(square > 0, square, np.ones((), g.dtype)), most)

    return rate
