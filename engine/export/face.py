"""How a model takes its picture: raw, prepared inside as `Preprocess` does, or as the net does."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import gather

from ..error import ArgumentError
from ..net import Net
from ..trace import Input

PIXELS = ("float32", "uint8")
COLOURS = {"RGB": "RGB", "BGR": "RGB", "GRAY": "grey", "ANY": "its channels as they are"}


class Face:
    """The net's own picture, (n, c, h, w): nothing is done to it."""

    name = "data"
    doc = "pictures as the net takes them, (n, c, h, w)"
    colours = 1  # the axis

    def __init__(self, net: Net, size: tuple[int, int] | None) -> None:
        self.input: Input = (net.dtype, ("n", net.channels, *(size or ("h", "w"))))

    def enter(self, net: Net, picture: Array) -> Array:
        """The picture as the net takes it."""
        return picture

    def leave(self, net: Net, x: Array) -> Array:
        """The way back."""
        return x

    def derivative(self, net: Net, g: Array) -> Array:
        """A derivative in the net's picture as one in the model's."""
        return g

    def bounds(self, net: Net) -> tuple[Array, Array] | None:
        """The net's black and white, if a new picture must be held between them on the way."""
        return net.known_preprocessing().bounds(net.channels, net.dtype)


class RawFace(Face):
    """A picture as it comes from a file or a camera, (1, h, w, c) of 0..255."""

    name = "picture"
    colours = 3

    def __init__(self, net: Net, size: tuple[int, int] | None, pixels: str) -> None:
        if pixels not in PIXELS:
            raise ArgumentError(f"pixels are {pixels!r}; they must be one of {', '.join(PIXELS)}")
        way = net.known_preprocessing()
        self.input = (np.dtype(pixels), (1, *(size or ("h", "w")), net.channels))
        self.doc = f"a picture of 0..255, (1, h, w, {net.channels}), {COLOURS[way.order]}"

    def enter(self, net: Net, picture: Array) -> Array:
        x = turned(net, picture.astype(net.dtype).transpose(0, 3, 1, 2))
        return (x - spread(net, "mean")) * spread(net, "scale")

    def leave(self, net: Net, x: Array) -> Array:
        values = turned(net, x / spread(net, "scale") + spread(net, "mean"))
        return np.clip(values, 0.0, 255.0).transpose(0, 2, 3, 1)

    def derivative(self, net: Net, g: Array) -> Array:
        return turned(net, g * spread(net, "scale")).transpose(0, 2, 3, 1)

    def bounds(self, net: Net) -> None:
        """What leaves is held there."""


def spread(net: Net, name: str) -> Any:
    """The mean or the scale of each channel, (1, c, 1, 1); one number, if it is that of all.

    Runtimes move channels back behind rows and columns, where numbers for each take long.
    """
    values = net.known_preprocessing().spread(name, net.channels, net.dtype)
    first = values.reshape(-1)[0]
    return first if (values == first).all() else values


def turned(net: Net, x: Array) -> Array:
    """RGB as the net's order of channels, or back: the same thing."""
    if net.known_preprocessing().order != "BGR" or net.channels < 3:
        return x
    return gather(x, np.array([2, 1, 0, *range(3, net.channels)]), 1)
