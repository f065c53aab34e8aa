"""The geometry that convolution and pooling share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .dispatch import Array

Index = tuple[Any, ...]

BORDER = 1 << 26  # elements: more than that, padding may not make of something far smaller


class Window(NamedTuple):
    """A window that slides over the axes behind batch and channels, in ONNX's terms.

    `pads` lists what is added before each axis, then what is added after each axis. With `ceil`
    a last window may reach over the end, though it may not start in the padding there.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool = False

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def span(self) -> tuple[int, ...]:
        """Elements from a window's first to its last, along each axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def before(self) -> tuple[int, ...]:
        return self.pads[: self.rank]

    @property
    def after(self) -> tuple[int, ...]:
        return self.pads[self.rank :]

    def sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """How many windows fit along each axis of a picture of size `spatial`."""
        if len(spatial) != self.rank:
            raise ValueError(f"a window over {self.rank} axes met a picture of {tuple(spatial)}")
        counts = []
        for size, before, after, span, stride in zip(
            spatial, self.before, self.after, self.span, self.strides, strict=True
        ):
            room = size + before + after - span
            if room < 0:
                sizes = "x".join(map(str, spatial))
                raise ValueError(f"a window of {span} does not fit into {sizes}, padding included")
            count = (-(-room // stride) if self.ceil else room // stride) + 1
            if self.ceil and (count - 1) * stride >= size + before:
                count -= 1
            counts.append(count)
        return tuple(counts)

    def dims(self, shape: Sequence[Any]) -> tuple[int | None, ...]:
        """`sizes` of the axes behind the second where `shape` knows them, else None for each."""
        spatial = shape[2:]
        if all(isinstance(size, int) for size in spatial):
            return self.sizes(spatial)
        return (None,) * self.rank

    def exact(self, spatial: Sequence[int]) -> Window:
        """The same windows over a picture of size `spatial` without rounding up."""
        after = []
        for size, count, before, span, stride in zip(
            spatial, self.sizes(spatial), self.before, self.span, self.strides, strict=True
        ):
            after.append(max(0, (count - 1) * stride + span - size - before))
        return self._replace(pads=(*self.before, *after), ceil=False)

    def within(self, spatial: Sequence[Any]) -> Window:
        """The same windows: where there is room for one, its stride ends with the padded picture.

        So what is laid out in steps of strides takes no more than that. Sizes that are not known
        leave a stride as it is.
        """
        if len(spatial) != self.rank:
            return self  # `sizes` refuses it
        strides = tuple(
            min(stride, max(1, size + before + after)) if isinstance(size, int) else stride
            for size, before, after, stride in zip(
                spatial, self.before, self.after, self.strides, strict=True
            )
        )
        return self._replace(strides=strides)

    def padding(self, spatial: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs for np.pad, all axes of an array: as far as the last window reaches."""
        pairs = [(0, 0), (0, 0)]
        for size, count, before, after, span, stride in zip(
            spatial, self.sizes(spatial), self.before, self.after, self.span, self.strides,
            strict=True,
        ):  # fmt: skip
            reach = (count - 1) * stride + span
            pairs.append((before, max(after, reach - before - size)))
        return pairs

    def offsets(self, counts: Sequence[int]) -> Iterator[tuple[Index, Index]]:
        """Each place in the window, with the slices of the padded array that it sweeps over."""
        for place in np.ndindex(*self.kernel):
            sweep = tuple(
                slice(i * dilation, i * dilation + (count - 1) * stride + 1, stride)
                for i, dilation, stride, count in zip(
                    place, self.dilations, self.strides, counts, strict=True
                )
            )
            yield place, (slice(None), slice(None), *sweep)

    def attributes(self) -> dict[str, Any]:
        """The same as ONNX attributes."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "pads": list(self.pads),
            "dilations": list(self.dilations),
        }


def sliding_window(
    kernel: Sequence[int],
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    ceil: bool = False,
) -> Window:
    """A Window from ONNX attributes, where an empty list means the default; refuses nonsense."""
    rank = len(kernel)
    filled = Window(
        tuple(kernel),
        tuple(strides) or (1,) * rank,
        tuple(pads) or (0,) * (2 * rank),
        tuple(dilations) or (1,) * rank,
        ceil,
    )
    lengths = (len(filled.strides), len(filled.pads) // 2, len(filled.dilations))
    if rank == 0 or lengths != (rank, rank, rank) or len(filled.pads) % 2:
        raise ValueError(f"kernel_shape, strides, pads and dilations disagree: {filled}")
    if min(*filled.kernel, *filled.strides, *filled.dilations) < 1 or min(filled.pads) < 0:
        raise ValueError(f"kernel_shape, strides and dilations start at 1, pads at 0: {filled}")
    return filled


def same_pads(window: Window, spatial: Sequence[int], upper: bool) -> Window:
    """The window with the pads of auto_pad SAME: ceil(size / stride) windows along each axis.

    An odd element of padding goes to the end (SAME_UPPER) or to the beginning (SAME_LOWER).
    """
    pads = []
    for size, span, stride in zip(spatial, window.span, window.strides, strict=True):
        if stride > 1 and not isinstance(size, int):
            raise NotImplementedError("auto_pad SAME with strides: trace it for one size")
        # a stride of 1 needs the same padding whatever the size, so that may be unknown
        total = span - 1 if stride == 1 else max((-(-size // stride) - 1) * stride + span - size, 0)
        pads.append((total // 2, total - total // 2) if upper else (total - total // 2, total // 2))
    before, after = zip(*pads, strict=True)
    return window._replace(pads=tuple(itertools.chain(before, after)))


def check_border(shape: Sequence[Any], window: Window) -> None:
    """Refuse windows that would have a huge array made of a small one; unknown sizes pass."""
    if not all(isinstance(size, int) for size in shape):
        return
    full = padded_shape(tuple(shape), window)
    if math.prod(full) > max(BORDER, 16 * math.prod(shape)):
        sizes, padded = ("x".join(map(str, sizes)) for sizes in (shape[2:], full[2:]))
        raise ValueError(f"a window of {window.span} makes {padded} of {sizes} by its padding")


def padded_shape(shape: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """The shape of what `padded` makes of an array of `shape`."""
    pairs = window.padding(shape[2:])
    return tuple(size + sum(pair) for size, pair in zip(shape, pairs, strict=True))


def padded(x: Array, window: Window, value: float) -> Array:
    """x with a border of `value` as wide as the window's last place reaches."""
    shape = padded_shape(x.shape, window)
    if shape == x.shape:
        return x
    result = np.full(shape, value, x.dtype)
    unpadded(result, window, x.shape[2:])[...] = x
    return result


def unpadded(dx: Array, window: Window, spatial: Sequence[int]) -> Array:
    """The inside of an array that `padded` made or could have made."""
    inside = (
        slice(before, before + size) for before, size in zip(window.before, spatial, strict=True)
    )
    return dx[(slice(None), slice(None), *inside)]


def automatic(window: Window, shape: Sequence[Any], auto_pad: str) -> Window:
    """The window with the pads that ONNX's auto_pad asks for, over an array of `shape`."""
    check_auto_pad(auto_pad)
    if auto_pad == "VALID":
        window = window._replace(pads=(0,) * 2 * window.rank)
    elif auto_pad != "NOTSET":
        window = same_pads(window, shape[2:], upper=auto_pad == "SAME_UPPER")
    check_border(shape, window)
    return window.within(shape[2:])


def check_auto_pad(auto_pad: str) -> None:
    kinds = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    if auto_pad not in kinds:
        raise ValueError(f"auto_pad {auto_pad!r} is not one of {', '.join(kinds)}")
