"""caffe.Classifier: a Net with a Transformer, for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..image import FilePath
from .io import Transformer, oversample, resize_image
from .net import Net, Source


class Classifier(Net):
    """A Net that says how pictures are fed to it, with pycaffe's arguments.

    x = ((picture, its channels swapped) * raw_scale - mean) * input_scale, each only where given.
    `mean` is one number a channel, or a picture (c, h, w), in the net's order of channels; a path
    is that of an .npy file. Pictures are resized to `image_dims` (height, width), by default what
    the net takes, and cropped to that.
    """

    def __init__(
        self,
        model_file: Source,
        pretrained_file: Source | None = "",
        image_dims: Sequence[int] | None = None,
        mean: ArrayLike | FilePath | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file)
        in_ = self.inputs[0]
        shape = self.blobs[in_].shape
        self.transformer = Transformer({in_: shape})
        self.transformer.set_transpose(in_, (2, 0, 1))
        if mean is not None:
            self.transformer.set_mean(in_, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(in_, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(in_, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(in_, channel_swap)
        self.crop_dims = shape[2:]
        self.image_dims = tuple(image_dims) if image_dims is not None else shape[2:]

    @property
    def mean(self) -> dict[str, NDArray[Any]]:
        """{input: what is subtracted}, (c, 1, 1) or (c, h, w)."""
        return self.transformer.mean

    def predict(self, inputs: Sequence[ArrayLike], oversample: bool = True) -> NDArray[Any]:
        """The first output for each picture (h, w, c): (n, classes) if oversampled.

        That is the average over ten crops: corners, middle and their mirror images. Otherwise the
        middle alone is looked at.
        """
        pictures = np.stack([resize_image(picture, self.image_dims) for picture in inputs])
        crops = ten_crops(pictures, self.crop_dims)
        crops = crops if oversample else crops[4::10]  # the middle
        in_ = self.inputs[0]
        x = np.stack([self.transformer.preprocess(in_, crop) for crop in crops])
        predictions: NDArray[Any] = self.forward_all(None, **{in_: x})[self.outputs[0]]
        return predictions.reshape(len(pictures), 10, -1).mean(1) if oversample else predictions


ten_crops = oversample  # by another name beside an argument of this one
