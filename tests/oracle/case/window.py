"""Windows that slide over pictures."""

from collections.abc import Iterator

import numpy as np

from . import PICTURE, Case, apart, make, normal

LINE = (2, 3, 13)
VOLUME = (2, 3, 5, 6, 7)


def cases() -> Iterator[Case]:
    yield from convolutions()
    yield from transposes()
    yield from pools()


def convolutions() -> Iterator[Case]:
    for shape, filters, attributes in [
        (PICTURE, (4, 3, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 3]}),
        (PICTURE, (6, 1, 2, 3), {"dilations": [2, 3], "group": 3}),
        (PICTURE, (4, 3, 3, 2), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        (PICTURE, (4, 3, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [3, 2]}),
        (PICTURE, (4, 3, 1, 1), {"auto_pad": "VALID"}),
        (LINE, (6, 1, 3), {"group": 3, "strides": [2], "pads": [2, 1], "kernel_shape": [3]}),
        (LINE, (5, 3, 4), {"auto_pad": "SAME_LOWER", "dilations": [2]}),
        (VOLUME, (6, 1, 2, 3, 3), {"group": 3, "dilations": [2, 1, 3], "pads": [1, 0, 2, 0, 1, 2]}),
        (VOLUME, (4, 3, 3, 2, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 1, 3]}),
    ]:
        operands = [normal(*shape), normal(*filters), normal(filters[0])]
        yield Case(make("Conv", **attributes), operands, (0, 1, 2))


def transposes() -> Iterator[Case]:
    for shape, filters, attributes in [
        ((2, 4, 5, 3), (4, 3, 3, 2), {"pads": [1, 0, 2, 1], "strides": [3, 2]}),
        ((2, 4, 5, 3), (4, 3, 3, 2), {"output_padding": [1, 2], "strides": [2, 3]}),
        ((2, 4, 5, 3), (4, 3, 2, 3), {"dilations": [2, 3], "group": 2, "pads": [0, 3, 1, 2]}),
        ((2, 4, 5, 3), (4, 3, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [1, 2]}),
        ((2, 4, 5, 3), (4, 3, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [1, 2]}),
        ((2, 4, 5, 3), (4, 3, 4, 3), {"auto_pad": "VALID", "strides": [3, 2]}),
        ((2, 4, 5, 3), (4, 3, 4, 3), {"output_shape": [11, 5], "strides": [3, 2]}),
        (
            (2, 4, 5, 3),
            (4, 3, 4, 4),
            {"output_shape": [13, 5], "strides": [3, 2], "auto_pad": "SAME_UPPER"},
        ),
        ((2, 4, 5, 3), (4, 3, 2, 3), {"output_shape": [15, 8], "strides": [3, 2]}),
        ((2, 4, 5), (4, 3, 3), {"strides": [2], "pads": [1, 0], "kernel_shape": [3]}),
        (
            (2, 4, 3, 2, 5),
            (4, 2, 2, 3, 1),
            {"group": 2, "strides": [2, 1, 3], "pads": [0, 1, 0, 1, 1, 0]},
        ),
    ]:
        group = attributes.get("group", 1)
        operands = [normal(*shape), normal(*filters), normal(filters[1] * group)]
        yield Case(make("ConvTranspose", **attributes), operands, (0, 1, 2))
    yield Case(make("ConvTranspose", strides=[2, 2]), [normal(1, 2, 3, 5), normal(2, 3, 2, 2)])


def pools() -> Iterator[Case]:
    for shape, attributes in [
        (PICTURE, {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}),
        (PICTURE, {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1}),
        (
            PICTURE,
            {"kernel_shape": [3, 4], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        ),
        (PICTURE, {"kernel_shape": [2, 3], "dilations": [2, 3]}),
        (PICTURE, {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        (PICTURE, {"kernel_shape": [2, 3], "strides": [3, 2], "auto_pad": "SAME_LOWER"}),
        (LINE, {"kernel_shape": [4], "strides": [3], "pads": [1, 2], "dilations": [2]}),
        (LINE, {"kernel_shape": [3], "strides": [2], "ceil_mode": 1, "auto_pad": "VALID"}),
        (
            VOLUME,
            {
                "kernel_shape": [2, 3, 2],
                "strides": [1, 2, 3],
                "pads": [1, 0, 1, 0, 2, 1],
                "ceil_mode": 1,
            },
        ),
    ]:
        x = apart(*shape)
        yield Case(make("MaxPool", **attributes), [x])
        for order in (0, 1):
            yield Case(make("MaxPool", asked=2, storage_order=order, **attributes), [x])
        for include in (0, 1):
            yield Case(make("AveragePool", **attributes, count_include_pad=include), [x])
        for p in (1, 2, 3):
            yield Case(make("LpPool", **attributes, p=p), [x])
    for dtype in (np.int8, np.uint8):
        x = np.arange(16).reshape(1, 1, 4, 4).astype(dtype) - dtype(7)
        pool = make("MaxPool", asked=2, kernel_shape=[3, 2], pads=[1, 1, 1, 1], strides=[2, 1])
        yield Case(pool, [x], ())

    x, where = normal(2, 3, 2, 4), np.arange(2 * 3 * 4 * 7)[::-7].reshape(2, 3, 2, 2)
    window = {"kernel_shape": [2, 3], "strides": [2, 4]}
    yield Case(make("MaxUnpool", **window), [x[..., :2], where])
    yield Case(make("MaxUnpool", **window), [x[..., :2], where, np.array([2, 3, 5, 9])])
    yield Case(make("MaxUnpool", **window, pads=[0, 1, 1, 2]), [x, np.arange(48).reshape(x.shape)])

    for shape in (LINE, PICTURE, VOLUME):
        yield Case(make("GlobalAveragePool"), [apart(*shape)])
        yield Case(make("GlobalMaxPool"), [apart(*shape)])
        yield Case(make("GlobalLpPool", p=3), [apart(*shape)])
        yield Case(make("GlobalLpPool"), [apart(*shape)])
