"""Normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from oneiro.kernels.dispatch import Array
from oneiro.kernels.standard import standardized, standardized_backward

from ..layer import Layer, layer
from .arithmetic import check_fit, unbroadcast


@layer
class BatchNormalization(Layer):
    """y = (x - mean) / sqrt(var + epsilon) * scale + b for each channel, as a trained net does."""

    epsilon: float = 1e-5
    momentum: float = 0.9
    training_mode: int = 0

    def forward(self, x: Array, scale: Array, b: Array, mean: Array, var: Array) -> Array:
        if self.training_mode:
            raise ValueError("BatchNormalization in training mode: export the net for inference")
        check_channels(x, scale, b, mean, var)
        gain = scale / np.sqrt(var + self.epsilon)
        channels = (-1, *(1,) * (x.ndim - 2))
        self.gain = gain.reshape(channels)
        return x * self.gain + (b - mean * gain).reshape(channels)

    def backward(self, dy: Array) -> tuple[Array, None, None, None, None]:
        if any(self.needs[1:]):
            raise ValueError("statistics that depend on the picture have no gradient here")
        return dy * self.gain, None, None, None, None


def check_channels(x: Array, *values: Array) -> None:
    """Raise ValueError where one of `values` is not a value for each channel of x (n, c, ...)."""
    channels = x.shape[1] if x.ndim > 1 else 1
    for value in values:
        if isinstance(channels, int) and value.shape != (channels,):
            raise ValueError(f"a value for each of {channels} channels has shape {value.shape}")


class ByGroup(Layer):
    """Channels standardized in groups, for each picture on its own, then scaled and shifted."""

    def normalized(self, x: Array, scale: Array, bias: Array, groups: int, epsilon: float) -> Array:
        """x is (n, c, ...); scale and bias have a value for each channel, or for each group."""
        channels = x.shape[1]
        if groups < 1 or channels % groups:
            raise ValueError(f"{channels} channels do not make {groups} groups")
        if scale.shape != bias.shape or scale.shape not in ((channels,), (groups,)):
            shapes = f"scale {scale.shape} and bias {bias.shape}"
            raise ValueError(f"{shapes} are no values for {channels} channels in {groups} groups")
        self.shape, self.axes = x.shape, tuple(range(2, x.ndim + 1))
        self.scale = scale.reshape(groups, -1, *(1,) * (x.ndim - 2))
        grouped = x.reshape(x.shape[0], groups, channels // groups, *x.shape[2:])
        self.y, _, self.gain = standardized(grouped, self.axes, epsilon)
        return (self.y * self.scale + bias.reshape(self.scale.shape)).reshape(x.shape)

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None]:
        dy = dy.reshape(self.y.shape)
        dx = standardized_backward(dy * self.scale, self.y, self.gain, self.axes)
        dscale = dbias = None
        if self.needs_diff(1):
            dscale = unbroadcast(dy * self.y, self.scale.shape).reshape(-1)
        if self.needs_diff(2):
            dbias = unbroadcast(dy, self.scale.shape).reshape(-1)
        return dx.reshape(self.shape), dscale, dbias


@layer
class InstanceNormalization(ByGroup):
    """Each channel of each picture with mean 0 and variance 1, times scale, plus bias."""

    epsilon: float = 1e-5

    def forward(self, x: Array, scale: Array, bias: Array) -> Array:
        return self.normalized(x, scale, bias, x.shape[1], self.epsilon)


@layer
class GroupNormalization(ByGroup):
    """Groups of channels of each picture with mean 0 and variance 1, times scale, plus bias.

    Scale and bias are for each channel, or for each group, as they were up to opset 20.
    """

    num_groups: int
    epsilon: float = 1e-5
    stash_type: int = 1  # a type to compute in: here always the net's

    def forward(self, x: Array, scale: Array, bias: Array) -> Array:
        return self.normalized(x, scale, bias, self.num_groups, self.epsilon)


@layer
class LayerNormalization(Layer):
    """The axes from `axis` on with mean 0 and variance 1, times scale, plus bias.

    The other two tops are the mean, and 1 / sqrt(variance + epsilon).
    """

    axis: int = -1
    epsilon: float = 1e-5
    stash_type: int = 1  # a type to compute in: here always the net's

    def forward(
        self, x: Array, scale: Array, bias: Array | None = None
    ) -> tuple[Array, Array, Array]:
        check_fit(x, scale, *(() if bias is None else (bias,)))
        self.axes = tuple(range(normalize_axis_index(self.axis, x.ndim), x.ndim))
        self.scale, self.bias = scale, bias
        self.y, mean, self.gain = standardized(x, self.axes, self.epsilon)
        scaled = self.y * scale
        return scaled if bias is None else scaled + bias, mean, self.gain

    def backward(
        self, dy: Array | None, dmean: Array | None = None, dgain: Array | None = None
    ) -> tuple[Array, Array | None, Array | None]:
        dy = np.zeros_like(self.y) if dy is None else dy
        dx = standardized_backward(dy * self.scale, self.y, self.gain, self.axes)
        count = math.prod(self.y.shape[axis] for axis in self.axes)
        if dmean is not None:
            dx = dx + dmean / count
        if dgain is not None:
            dx = dx - dgain * self.gain * self.gain * self.y / count
        dscale = dbias = None
        if self.needs_diff(1):
            dscale = unbroadcast(dy * self.y, self.scale.shape)
        if self.bias is not None and self.needs_diff(2):
            dbias = unbroadcast(dy, self.bias.shape)
        return dx, dscale, dbias


@layer
class RMSNormalization(Layer):
    """x / sqrt(mean of x**2 over the axes from `axis` on + epsilon) * scale"""

    axis: int = -1
    epsilon: float = 1e-5
    stash_type: int = 1  # a type to compute in: here always the net's

    def forward(self, x: Array, scale: Array) -> Array:
        check_fit(x, scale)
        self.axes = tuple(range(normalize_axis_index(self.axis, x.ndim), x.ndim))
        self.scale = scale
        self.gain = 1 / np.sqrt((x * x).mean(self.axes, keepdims=True) + self.epsilon)
        self.y = x * self.gain
        return self.y * scale

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        scaled = dy * self.scale
        dx = self.gain * (scaled - self.y * (scaled * self.y).mean(self.axes, keepdims=True))
        dscale = unbroadcast(dy * self.y, self.scale.shape) if self.needs_diff(1) else None
        return dx, dscale


@layer
class MeanVarianceNormalization(Layer):
    """x with mean 0 and variance 1 over some axes, by default for each channel."""

    axes: Sequence[int] = (0, 2, 3)

    def forward(self, x: Array) -> Array:
        self.over = normalize_axis_tuple(self.axes, x.ndim, "axes")
        # ONNX adds 1e-9 to the deviation
        self.y, _, self.gain = standardized(x, self.over, 1e-18)
        return self.y

    def backward(self, dy: Array) -> Array:
        return standardized_backward(dy, self.y, self.gain, self.over)


@layer
class LpNormalization(Layer):
    """x divided by its length along an axis: sqrt(sum of x**2), or sum of |x| if p is 1."""

    axis: int = -1
    p: int = 2

    def forward(self, x: Array) -> Array:
        if self.p not in (1, 2):
            raise ValueError(f"LpNormalization knows p 1 and 2, not {self.p}")
        self.along = normalize_axis_index(self.axis, x.ndim)
        self.x = x
        lengths = np.abs(x) if self.p == 1 else x * x
        length = lengths.sum(self.along, keepdims=True)
        length = length if self.p == 1 else np.sqrt(length)
        # nothing stays nothing
        self.length = np.where(length == 0, np.ones((), x.dtype), length)
        self.y = x / self.length
        return self.y

    def backward(self, dy: Array) -> Array:
        slope = np.sign(self.x) if self.p == 1 else self.y
        return (dy - slope * (dy * self.y).sum(self.along, keepdims=True)) / self.length
