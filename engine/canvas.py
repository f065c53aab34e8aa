"""What a picture is drawn from: its pixels, or waves in the colours of photos.

A canvas maps z to the picture x (n, c, h, w) as a net takes it, and a diff of x back to one of z.
z has the shape of x.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from .climb import Back
from .layers.sigmoid import sigmoid
from .net import Net
from .preprocess import Preprocess
from .trace import Input

# What reds, greens and blues of photos have in common, then what sets them apart: a square root of
# their covariance in ImageNet (Olah, Mordvintsev and Schubert 2017: lucid, color.py).
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


class Still:
    """A canvas: nothing of it is drawn by chance."""

    def inputs(self) -> Mapping[str, Input]:
        return {}

    def draw(self, random: np.random.Generator) -> Mapping[str, Array]:
        return {}


@dataclass(frozen=True, eq=False)
class Pixels(Still):
    """x = zero + unit * z: pixels in grey values from `zero`, the mean picture."""

    zero: Array  # (1, c, 1, 1)
    unit: Array

    def apply(self, z: Array) -> tuple[Array, Back]:
        return self.zero + self.unit * z, lambda dx: self.unit * dx


def pixels(net: Net) -> Pixels:
    """The canvas of pixels for this net. A net that takes off no mean has a middle grey for one."""
    low, high = net.known_preprocessing().bounds(net.channels, net.dtype)
    centred = (low < 0) & (high > 0)
    zero = np.where(centred, np.zeros_like(low), (low + high) / 2)
    return Pixels(zero, net.known_preprocessing().unit(net.channels, net.dtype))


@dataclass(frozen=True, eq=False)
class Waves(Still):
    """x = black + (white - black) * sigmoid(colours * sum of waves): never out of bounds.

    z are the waves' amplitudes, in units of `spread`; the matrix `colours` makes channels of what
    they are waves of.
    """

    low: Array  # (1, c, 1, 1)
    high: Array
    colours: Array  # (c, c)
    down: Array  # (h, h)
    across: Array  # (w, w)
    spread: Array  # (h, w)

    def apply(self, z: Array) -> tuple[Array, Back]:
        waves = np.matmul(np.matmul(self.down, self.spread * z), self.across)
        bright = sigmoid(mixed(waves, self.colours))
        span = self.high - self.low

        def back(dx: Array) -> Array:
            waves = mixed(dx * span * bright * (1 - bright), self.colours.T)
            # both matrices are their own transposes
            return self.spread * np.matmul(np.matmul(self.down, waves), self.across)

        return self.low + span * bright, back


def mixed(y: Array, matrix: Array) -> Array:
    """The matrix times the channels of y (n, c, h, w)."""
    n, c, h, w = y.shape
    return np.matmul(matrix, y.reshape(n, c, h * w)).reshape(n, c, h, w)


def waves(net: Net, h: int, w: int, decorrelated: bool = True, fall: float = 1.0) -> Waves:
    """The canvas of waves for pictures of h x w for this net, of amplitudes 1 / frequency**fall.

    `decorrelated`, they are waves of what photos vary by, where the net's channels are colours;
    else each channel has its own.
    """
    way = net.known_preprocessing()
    low, high = way.bounds(net.channels, net.dtype)
    in_colour = decorrelated and net.channels == 3 and way.order in ("RGB", "BGR")
    matrix = colours(way) if in_colour else np.eye(net.channels)
    parts = matrix, ring(h), ring(w), natural(h, w, fall)
    return Waves(low, high, *(part.astype(net.dtype) for part in parts))


def colours(way: Preprocess) -> NDArray[np.float64]:
    """COLOURS for a net that is fed in this way, its longest column 1.

    A channel that is fed as its negative has its row negated.
    """
    matrix = COLOURS / np.linalg.norm(COLOURS, axis=0).max()
    return (matrix[::-1] if way.order == "BGR" else matrix) * np.sign(
        np.reshape(way.scale, (-1, 1))
    )


@functools.cache
def ring(n: int) -> NDArray[np.float64]:
    """Hartley's matrix: cos + sin of 2 pi j k / n, over sqrt(n); its own transpose and inverse.

    Wave k goes round min(k, n - k) times. It is Fourier's transform in real numbers.
    """
    angle = 2 * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n
    return (np.cos(angle) + np.sin(angle)) / np.sqrt(n)


def natural(h: int, w: int, fall: float) -> NDArray[np.float64]:
    """How amplitudes fall with frequency, (h, w): as in photos, where `fall` is 1.

    The lowest is as in lucid whatever `fall` is.
    """
    down, across = np.abs(np.fft.fftfreq(h))[:, None], np.abs(np.fft.fftfreq(w))[None]
    lowest = 1 / max(h, w)
    frequency = np.maximum(np.hypot(down, across), lowest)
    return (lowest / frequency) ** fall / (4 * lowest)
