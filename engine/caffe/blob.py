"""Caffe's blobs: two host arrays of one shape that stay where they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np

from oneiro.kernels.dispatch import Array

from ..error import ArgumentError, ModelError

Shape = tuple[int, ...]


class Blob:
    """`data` and `diff`: contiguous host arrays, the same objects as long as the shape stays.

    Both may be written to in place, or be assigned to, which copies. The shape is that of the last
    `reshape` or of what the last forward made; a new shape starts with zeros.
    """

    def __init__(self, name: str, dtype: Any, shape: Shape | None = None) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self._shape = shape
        self._data: Array | None = None
        self._diff: Array | None = None
        self._worked_out = False  # does the diff come from a backward?

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def shape(self) -> Shape:
        if self._shape is None:
            raise ModelError(f"blob {self.name!r} is empty: run forward first")
        return self._shape

    @property
    def data(self) -> Any:
        """The values."""
        return self.held_data()

    @data.setter
    def data(self, value: Any) -> None:
        assign(self.name, self.data, value)

    @property
    def diff(self) -> Any:
        """The derivative of an objective by `data`."""
        return self.held_diff()

    @diff.setter
    def diff(self, value: Any) -> None:
        assign(self.name, self.diff, value)

    def held_data(self) -> Array:
        self._data = self.fitting(self._data)
        return self._data

    def held_diff(self) -> Array:
        self._diff = self.fitting(self._diff)
        return self._diff

    def fitting(self, array: Array | None) -> Array:
        """The array, or zeros where it is not of the shape any more."""
        if array is not None and array.shape == self.shape and array.dtype == self.dtype:
            return array
        return np.zeros(self.shape, self.dtype)

    @property
    def count(self) -> int:
        """How many values."""
        return int(np.prod(self.shape))

    @property
    def num(self) -> int:
        return self.axis(0)

    @property
    def channels(self) -> int:
        return self.axis(1)

    @property
    def height(self) -> int:
        return self.axis(2)

    @property
    def width(self) -> int:
        return self.axis(3)

    def axis(self, k: int) -> int:
        """The size of an axis, 1 where there is none."""
        return self.shape[k] if k < len(self.shape) else 1

    def reshape(self, *shape: SupportsIndex) -> None:
        """Take another shape. The blobs above follow when forward or `Net.reshape` gets there."""
        self._shape = tuple(size.__index__() for size in shape)

    def take(self, value: Any) -> None:
        """Hold a copy of what a layer made."""
        self._shape = value.shape
        self.dtype = value.dtype
        np.copyto(self.data, value)

    def take_diff(self, diff: Any) -> None:
        """Hold a copy of what a layer sent back; None is zero."""
        self._worked_out = True
        if diff is None:
            self.clear_diff()
            return
        if diff.shape != self.shape:
            text = f"a diff of shape {diff.shape} came back to data of shape {self.shape}"
            raise ModelError(f"blob {self.name!r}: {text}: run forward after a reshape")
        np.copyto(self.diff, diff)

    def flow(self) -> Array | None:
        """The diff; None where it is zero everywhere."""
        if self._diff is None or not self.diff.any():
            return None
        return self._diff

    def clear_diff(self) -> None:
        """Set the diff to zero."""
        if self._diff is not None:
            self.diff[...] = 0

    def forget(self) -> None:
        """Set the diff to zero if a backward has worked it out."""
        if self._worked_out:
            self.clear_diff()
            self._worked_out = False


class Branch(Blob):
    """A top of a Split: the data of another blob, and a diff of its own."""

    def __init__(self, name: str, source: Blob) -> None:
        super().__init__(name, source.dtype)
        self.source = source

    @property
    def shape(self) -> Shape:
        return self.source.shape

    def held_data(self) -> Array:
        return self.source.held_data()


class Parameter(Blob):
    """A constant that layers read: `constants[name]`, replaced by a copy once it is looked at.

    What is written into its data counts from the next forward.
    """

    def __init__(self, name: str, constants: dict[str, Array]) -> None:
        super().__init__(name, constants[name].dtype, constants[name].shape)
        self.constants = constants

    def held_data(self) -> Array:
        if self._data is None:
            self._data = self.constants[self.name] = np.array(self.constants[self.name])
        return self._data

    def held_diff(self) -> Array:
        raise ModelError(f"{self.name!r} is a weight: gradients are worked out for blobs alone")

    def reshape(self, *shape: SupportsIndex) -> None:
        raise ModelError(f"{self.name!r} is a weight: its shape is the file's")


class Blobs(OrderedDict[str, Blob]):
    """Blobs by name, in the order of the layers; other names are resolved."""

    def __init__(self, resolve: Callable[[str], str]) -> None:
        super().__init__()
        self.resolve = resolve

    def __missing__(self, name: str) -> Blob:
        return self[self.resolve(name)]


def assign(name: str, array: Array, value: Any) -> None:
    """Write a value of the same shape into an array, unless it is that array already."""
    if value is not array:
        check_shape(name, np.shape(value), array.shape)
        array[...] = value


def check_shape(name: str, given: Sequence[int], shape: Shape) -> None:
    """Raise ArgumentError where what is given for a blob has another shape."""
    if tuple(given) != shape:
        text = f"takes {shape}, not an array of {tuple(given)}"
        raise ArgumentError(f"blob {name!r} {text}: call its reshape first")
