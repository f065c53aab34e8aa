"""Borders and sizes of pictures."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal


def cases() -> Iterator[Case]:
    yield from borders()
    yield from sizes()
    for mode in ("DCR", "CRD"):
        yield Case(make("DepthToSpace", blocksize=2, mode=mode), [normal(2, 12, 3, 5)])
    yield Case(make("SpaceToDepth", blocksize=3), [normal(2, 5, 6, 9)])
    for attributes, block, count in [
        ({}, [2, 3], 4 * 5),
        ({"strides": [2, 3], "pads": [1, 0, 0, 2]}, [2, 3], 3 * 3),
        ({"dilations": [2, 1], "pads": [0, 1, 1, 0]}, [2, 3], 4 * 6),
    ]:
        x, image = normal(2, 3 * 6, count), np.array([5, 7])
        yield Case(make("Col2Im", **attributes), [x, image, np.array(block)])


def borders() -> Iterator[Case]:
    x, pads = normal(2, 3, 5, 7), np.array([0, 1, 2, -1, 1, 0, -3, 4])
    yield Case(make("Pad"), [x, pads])
    yield Case(make("Pad"), [x, np.array([1, 2, 3, 0]), np.array(2.5), np.array([2, -1])])
    yield Case(make("Pad"), [x[0, 0], np.array([-2, 1, 1, -3]), np.array([1.5])])
    for dtype in (np.int64, np.uint8, bool):
        values = np.arange(15).reshape(3, 5).astype(dtype)
        yield Case(make("Pad"), [values, np.array([1, -1, 0, 2]), np.array(1, dtype)], ())
    for mode in ("reflect", "edge", "wrap"):
        yield Case(make("Pad", mode=mode), [x, np.array([0, 1, 2, -1, 1, 0, -1, 4])])
        yield Case(make("Pad", mode=mode), [x, np.array([4, 0, 3, -2]), None, np.array([-2, -1])])
        yield Case(make("Pad", mode=mode), [x, np.array([0, -1, 0, -2]), None, np.array([-1, 2])])
        values = np.arange(15).reshape(3, 5)
        yield Case(make("Pad", mode=mode), [values, np.array([1, 3, 2, 0])], ())
    for mode in ("edge", "wrap"):  # wider than the picture
        yield Case(make("Pad", mode=mode), [x, np.array([0, 0, 12, -1, 0, 0, 7, 9])])

    yield Case(make("CenterCropPad"), [x, np.array([3, 2, 4, 10])])
    yield Case(make("CenterCropPad", axes=[-1, 1]), [x, np.array([4, 6])])


def sizes() -> Iterator[Case]:
    x = normal(2, 3, 5, 7)
    halves = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    for coordinates in (*halves, "asymmetric", "align_corners"):
        for mode in ("nearest", "linear", "cubic"):
            resize = {"mode": mode, "coordinate_transformation_mode": coordinates}
            if coordinates != "align_corners":  # of what factor, onnx and onnxruntime disagree
                yield Case(make("Resize", **resize), [x, None, np.array([1, 1, 2.3, 0.63])])
            yield Case(make("Resize", **resize), [x, None, None, np.array([2, 3, 4, 13])])
            yield Case(make("Resize", **resize), [x, None, None, np.array([2, 3, 1, 9])])

    places = {"coordinate_transformation_mode": "asymmetric"}
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        resize = {"nearest_mode": rounding}
        yield Case(make("Resize", **resize, **places), [x, None, np.array([1, 1, 0.45, 1.7])])
        yield Case(make("Resize", **resize, **places), [x, None, np.array([1.0, 1, 2, 3])])
        yield Case(make("Resize", **resize), [x, None, np.array([1.0, 1, 3, 2])])
    for wide in ("linear", "cubic"):
        for outside in (0, 1):
            resize = {"mode": wide, "antialias": 1, "exclude_outside": outside}
            yield Case(make("Resize", **resize), [x, None, np.array([1, 1, 0.41, 1.7])])
    yield Case(
        make("Resize", mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
        [x, None, np.array([1, 1, 2.3, 0.63])],
    )

    crop = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 2.5}
    roi = np.array([0, 0, -0.2, 0.3, 1, 1, 0.7, 1.4])
    for mode in ("nearest", "linear", "cubic"):
        resize = {**crop, "mode": mode}
        yield Case(make("Resize", **resize), [x, roi, None, np.array([2, 3, 6, 8])])
        yield Case(
            make("Resize", **resize, axes=[2, 3]),
            [x, np.array([0.2, 0.1, 0.6, 0.9]), None, np.array([1, 4])],
        )

    for policy in ("not_larger", "not_smaller"):
        resize = {"mode": "linear", "keep_aspect_ratio_policy": policy, "axes": [3, 2]}
        yield Case(make("Resize", **resize), [x, None, None, np.array([10, 9])])
    for shape in ((5, 7), (3, 5, 7), (2, 3, 4, 5, 7)):
        for mode in ("nearest", "linear"):
            resize = {"mode": mode, "axes": [-1, -2]}
            yield Case(make("Resize", **resize), [normal(*shape), None, np.array([1.6, 0.7])])
    yield Case(make("Resize", mode="cubic", axes=[0]), [normal(5), None, np.array([2.2])])
    yield Case(make("Resize", axes=[1, 0]), [normal(2, 3, 4), None, np.array([2.0, 3])])
    for dtype in (np.int32, np.uint8):
        values = np.arange(35).reshape(1, 1, 5, 7).astype(dtype)
        yield Case(make("Resize"), [values, None, np.array([1, 1, 1.4, 0.63])], ())
        yield Case(make("Resize"), [values, None, np.array([1.0, 1, 2, 2])], ())
