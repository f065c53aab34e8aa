"""Borders and sizes of pictures."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal


def cases() -> Iterator[Case]:
    yield Case(make("Pad"), [normal(2, 3, 5, 7), np.array([0, 1, 2, -1, 1, 0, -3, 4])])
    yield Case(
        make("Pad"), [normal(2, 3, 5, 7), np.array([1, 2, 3, 0]), np.array(2.5), np.array([2, -1])]
    )

    for mode in ("nearest", "linear"):
        for coordinates in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"):
            resize = make("Resize", mode=mode, coordinate_transformation_mode=coordinates)
            yield Case(resize, [normal(2, 3, 5, 7), None, np.array([1, 1, 2.3, 0.6])])
            yield Case(resize, [normal(2, 3, 5, 7), None, None, np.array([2, 3, 4, 13])])
