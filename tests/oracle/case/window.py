"""Windows that slide over pictures."""

from collections.abc import Iterator

from . import PICTURE, Case, apart, make, normal


def cases() -> Iterator[Case]:
    x = apart(*PICTURE)

    for attributes, filters in [
        ({"pads": [1, 0, 2, 1], "strides": [2, 3]}, (4, 3, 3, 2)),
        ({"dilations": [2, 3], "group": 3}, (6, 1, 2, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (4, 3, 3, 2)),
        ({"auto_pad": "SAME_LOWER", "strides": [3, 2]}, (4, 3, 4, 4)),
        ({"auto_pad": "VALID"}, (4, 3, 1, 1)),
    ]:
        yield Case(
            make("Conv", **attributes), [normal(*PICTURE), normal(*filters), normal(filters[0])]
        )

    for attributes in (
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1},
        {"kernel_shape": [3, 4], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        {"kernel_shape": [2, 3], "dilations": [2, 3]},
        {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ):
        yield Case(make("MaxPool", **attributes), [x])
        for include in (0, 1):
            yield Case(make("AveragePool", **attributes, count_include_pad=include), [x])
    yield Case(make("GlobalAveragePool"), [x])
    yield Case(make("GlobalMaxPool"), [x])
