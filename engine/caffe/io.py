"""Pictures in and out, as caffe.io has them: arrays (height, width, channels) of 0..1."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from .. import image
from ..error import ArgumentError
from ..image import FilePath


def load_image(filename: FilePath, color: bool = True) -> NDArray[np.float32]:
    """The picture as (height, width, 3) of 0..1, RGB; (height, width, 1) without colour."""
    return np.asarray(image.load_image(filename, 3 if color else 1)) / np.float32(255)


def resize_image(
    im: ArrayLike, new_dims: Sequence[int], interp_order: int = 1
) -> NDArray[np.float32]:
    """(h, w, k) as (*new_dims, k), float32, resampled by splines, 1 for linear.

    Pixels are areas, as in scikit-image, which Caffe called; beyond the border their values go on.
    """
    values = np.asarray(im, np.float32)
    factors = [new / old for new, old in zip(new_dims, values.shape, strict=False)]
    return scipy.ndimage.zoom(
        values, (*factors, 1), order=interp_order, mode="nearest", grid_mode=True
    )


def oversample(images: Iterable[ArrayLike], crop_dims: Sequence[int]) -> NDArray[np.float32]:
    """Ten crops of each picture (h, w, k): corners, middle, and these five mirrored.

    The corners are the upper left, upper right, lower left and lower right. Returns
    (10 * n, *crop_dims, k). Raises ArgumentError for pictures smaller than the crop.
    """
    height, width = (int(size) for size in crop_dims)
    crops = []
    for picture in map(np.asarray, images):
        down, right = picture.shape[0] - height, picture.shape[1] - width
        if min(down, right) < 0:
            text = f"a picture of {picture.shape[1]}x{picture.shape[0]} px"
            raise ArgumentError(f"{text} is smaller than the crop of {width}x{height} px")
        places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        five = [picture[y : y + height, x : x + width] for y, x in places]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.stack(crops).astype(np.float32)


class Transformer:
    """Pictures as a net takes them, and back. `inputs` is {input: its shape (n, c, h, w)}.

    All that is set is optional. x = (picture as float32, resized to h x w, transposed, its channels
    swapped) * raw_scale, then (x - mean) * input_scale: the mean is in the net's own order of
    channels and in the units that raw_scale leads to.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, tuple[int, ...]] = {}
        self.channel_swap: dict[str, tuple[int, ...]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, NDArray[Any]] = {}
        self.input_scale: dict[str, float] = {}

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """(2, 0, 1) makes (h, w, c) into (c, h, w)."""
        self.transpose[in_] = permutation("transpose", order, len(self.shape(in_)) - 1)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """(2, 1, 0) makes RGB into BGR. It swaps the first axis after the transposition."""
        self.channel_swap[in_] = permutation("channel_swap", order, self.shape(in_)[1])

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """What pictures are multiplied by before the mean is taken off: 255 for those of 0..1."""
        self.shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: ArrayLike | FilePath) -> None:
        """One number a channel (c,), or a picture (c, h, w) or (h, w), resized to the input's.

        A path is that of an .npy file.
        """
        shape = self.shape(in_)[1:]
        values = loaded(mean) if isinstance(mean, str | os.PathLike) else np.asarray(mean)
        if values.ndim == 1 and len(values) == shape[0]:
            self.mean[in_] = values[:, None, None]
            return
        planes = values[None] if values.ndim == 2 else values
        if planes.ndim != 3 or len(planes) != shape[0]:
            raise ArgumentError(f"mean {values.shape} does not fit the input {in_!r} of {shape}")
        if planes.shape != shape:
            planes = resize_image(planes.transpose(1, 2, 0), shape[1:]).transpose(2, 0, 1)
        self.mean[in_] = planes

    def set_input_scale(self, in_: str, scale: float) -> None:
        """What is left after the mean is multiplied by."""
        self.shape(in_)
        self.input_scale[in_] = scale

    def preprocess(self, in_: str, data: ArrayLike) -> NDArray[np.float32]:
        """The picture (h', w', c) as the input's (c, h, w), which is a new array."""
        height, width = self.shape(in_)[2:]
        x = np.array(data, np.float32)
        if x.shape[:2] != (height, width):
            x = resize_image(x, (height, width))
        x = x.transpose(self.transpose.get(in_, range(x.ndim)))
        if in_ in self.channel_swap:
            x = x[list(self.channel_swap[in_])]
        x = x * np.float32(self.raw_scale.get(in_, 1))
        if in_ in self.mean:
            x = x - self.mean[in_].astype(np.float32)
        return np.ascontiguousarray(x * np.float32(self.input_scale.get(in_, 1)))

    def deprocess(self, in_: str, data: ArrayLike) -> NDArray[Any]:
        """The inverse of `preprocess`, but for the size, of (c, h, w) or (1, c, h, w)."""
        x = np.asarray(data)
        x = x.reshape(x.shape[-len(self.shape(in_)) + 1 :])
        x = x / np.float32(self.input_scale.get(in_, 1))
        if in_ in self.mean:
            x = x + self.mean[in_].astype(np.float32)
        x = x / np.float32(self.raw_scale.get(in_, 1))
        if in_ in self.channel_swap:
            x = x[np.argsort(self.channel_swap[in_])]
        return x.transpose(np.argsort(self.transpose.get(in_, range(x.ndim))))

    def shape(self, in_: str) -> tuple[int, ...]:
        """That of an input, or ArgumentError if there is none of that name."""
        if in_ not in self.inputs:
            names = ", ".join(map(repr, self.inputs))
            raise ArgumentError(f"{in_!r} is no input of the transformer; inputs: {names}")
        return tuple(self.inputs[in_])


def permutation(name: str, order: Sequence[int], length: int) -> tuple[int, ...]:
    """The order as a tuple, if it names every axis once."""
    if sorted(order) != list(range(length)):
        raise ArgumentError(f"{name} {tuple(order)} must name each of 0..{length - 1} once")
    return tuple(order)


def loaded(path: FilePath) -> NDArray[Any]:
    """The array in an .npy file."""
    if not str(path).endswith(".npy"):
        raise ArgumentError(f"mean {os.fspath(path)!r} is no .npy file: save it as one by np.save")
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise ArgumentError(f"mean {os.fspath(path)!r} cannot be read: {error}") from error
