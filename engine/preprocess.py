"""How a network wants its pictures, and the way back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .error import ArgumentError, PictureError
from .image import Picture, as_planes, in_channels

ORDERS = ("RGB", "BGR", "GRAY", "ANY")
WAY = ("mean", "scale", "order")


@dataclass(frozen=True)
class Preprocess:
    """x = (v - mean) * scale, for v in 0..255.

    `mean` and `scale` are one number, or one a channel in the network's own order. `order` says
    what its channels are: "RGB", "BGR" (the first three turned round), "GRAY" (one channel), or
    "ANY" (no colours: taken as they are, never converted). Networks whose pictures are 1 - v / 255
    have a negative scale. `source` says who said so.

    Raises ArgumentError for numbers that make no sense.
    """

    mean: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1.0
    order: str = "RGB"
    source: str = field(default="given", compare=False)

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ArgumentError(f"order is {self.order!r}; it must be one of {', '.join(ORDERS)}")
        for name in ("mean", "scale"):
            try:
                numbers = np.asarray(getattr(self, name))
            except ValueError:  # lists of several lengths
                numbers = np.empty(0)
            unfit = numbers.dtype.kind not in "iuf" or numbers.ndim > 1 or numbers.size == 0
            if unfit or not np.isfinite(numbers).all():
                raise ArgumentError(f"{name} must be one finite number, or one a channel")
            # lists and arrays become tuples, so that equal ones hash alike
            numbers = numbers.astype(np.float64)
            plain = tuple(numbers.tolist()) if numbers.ndim else float(numbers)
            object.__setattr__(self, name, plain)
        if np.ndim(self.mean) and np.ndim(self.scale) and np.size(self.mean) != np.size(self.scale):
            raise ArgumentError("mean and scale must have as many numbers as the network channels")
        if not np.all(self.scale):
            raise ArgumentError("scale must not be 0")

    @property
    def formula(self) -> str:
        """As people write it: (value - 104,117,123) * 1, BGR."""
        mean, scale = (
            ",".join(f"{number:.6g}" for number in np.atleast_1d(numbers))
            for numbers in (self.mean, self.scale)
        )
        return f"(value - {mean}) * {scale}, {self.order}"

    def preprocess(
        self, image: ArrayLike, channels: int, dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """(H, W, C) or (H, W) in 0..255 as a network's input, contiguous (1, channels, H, W).

        Colour becomes grey for a network of one channel, grey becomes colour for one of three;
        PictureError where the channels do not fit otherwise.
        """
        values = as_planes(np.asarray(image))
        if self.order == "ANY" and values.shape[2] != channels:
            raise PictureError(f"has {values.shape[2]} channels where {channels} are asked for")
        if not np.isfinite(values).all():
            raise PictureError("a picture holds values that are not finite (NaN or infinity)")
        if values.dtype.kind == "f" and 0 < values.max() <= 1:
            text = "a picture of 0..1 is nearly black: values are 0..255, multiply by 255"
            warnings.warn(text, stacklevel=3)
        values = self.turned(in_channels(values, channels))
        x: NDArray[Any] = values.transpose(2, 0, 1)[None].astype(dtype, order="C")
        x = (x - self.spread("mean", channels, dtype)) * self.spread("scale", channels, dtype)
        return x

    def deprocess(self, x: ArrayLike) -> Picture:
        """(1, C, H, W) as a picture (H, W, C), not clipped."""
        x = np.asarray(x)
        if x.ndim != 4 or len(x) != 1:
            raise PictureError(f"an array {x.shape} is no picture; it must be (1, C, H, W)")
        channels = x.shape[1]
        values = x / self.spread("scale", channels, x.dtype)
        values = values + self.spread("mean", channels, x.dtype)
        return Picture(self.turned(values[0].transpose(1, 2, 0)))

    def bounds(self, channels: int, dtype: DTypeLike = np.float32) -> tuple[Any, Any]:
        """The smaller and the larger of what 0 and 255 become, each (1, channels, 1, 1)."""
        mean, scale = (self.spread(name, channels, dtype) for name in ("mean", "scale"))
        ends = (0 - mean) * scale, (255 - mean) * scale
        return np.minimum(*ends), np.maximum(*ends)

    def unit(self, channels: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """How far one grey value is in the network's units, (1, channels, 1, 1)."""
        return np.abs(self.spread("scale", channels, dtype))

    def spread(self, name: str, channels: int, dtype: DTypeLike) -> NDArray[Any]:
        """The mean or the scale as (1, channels, 1, 1)."""
        numbers = np.asarray(getattr(self, name), dtype)
        if numbers.ndim and numbers.size != channels:
            raise ArgumentError(f"{name} has {numbers.size} numbers for {channels} channels")
        if self.order == "GRAY" and channels != 1:
            raise ArgumentError(f"order is GRAY, which is one channel, not {channels}")
        return np.full((1, channels, 1, 1), numbers.reshape(1, -1, 1, 1), dtype)

    def turned(self, values: NDArray[Any]) -> NDArray[Any]:
        """RGB as the network's order, or back: the same thing."""
        if self.order != "BGR" or values.shape[2] < 3:
            return values
        return np.concatenate([values[..., 2::-1], values[..., 3:]], axis=2)


# How the frameworks that trained most networks feed them.
PRESETS = {
    "caffe": Preprocess((104.0, 117.0, 123.0), 1.0, "BGR"),
    "torch": Preprocess(  # of torchvision: (v / 255 - mean) / std
        tuple(255 * mean for mean in (0.485, 0.456, 0.406)),
        tuple(1 / (255 * std) for std in (0.229, 0.224, 0.225)),
    ),
    "tf": Preprocess(127.5, 1 / 127.5),
    "unit": Preprocess(0.0, 1 / 255),
    "none": Preprocess(),
}


def preset(name: str) -> Preprocess:
    """The preset of that name; raises ArgumentError, which lists them, if there is none."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ArgumentError(f"preprocess is {name!r}; it must be one of {', '.join(PRESETS)}")
    return PRESETS[name]


def combined(sources: Mapping[str, Mapping[str, Any]]) -> Preprocess | None:
    """What {source: {"mean": ..., "scale": ..., "order": ..., "preprocess": ...}} comes to.

    An earlier source wins key by key, and a key wins over the preset that stands beside it. None
    where nobody says anything.
    """
    found: dict[str, Any] = {}
    heard = []
    for source, said in sources.items():
        spoken = [(source, {key: said[key] for key in WAY if said.get(key) is not None})]
        name = said.get("preprocess")
        if name is not None:
            way = preset(name)
            spoken.append((f"preset {name} ({source})", {key: getattr(way, key) for key in WAY}))
        for speaker, told in spoken:
            if told.keys() - found.keys():
                heard.append(speaker)
            found = told | found
    return Preprocess(**found, source=" over ".join(heard)) if found else None
