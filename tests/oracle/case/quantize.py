"""Quantisation."""

from collections.abc import Iterator

import numpy as np

from . import Case, make, normal

GRIDS = [(np.uint8, 0, 256), (np.int8, -128, 128), (np.uint16, 0, 9999), (np.int16, -999, 999)]


def cases() -> Iterator[Case]:
    x = 40 * normal(2, 6, 5, 7)
    each = np.array([0.3, 0.1, 2, 0.7, 1.3, 0.04])
    blocks = 0.1 + np.abs(normal(2, 2, 5, 7))
    yield Case(make("QuantizeLinear"), [x, np.array(0.4)], ())
    yield Case(make("QuantizeLinear", output_dtype=3), [x, np.array(0.4)], ())
    for dtype, low, high in GRIDS:
        zero = np.array([low // 4, 3, 0, high // 2, 1, high // 3], dtype)
        grid = np.random.default_rng(1).integers(low, high, x.shape).astype(dtype)
        for bottom, name in ((x, "Quantize"), (grid, "Dequantize")):
            yield Case(make(f"{name}Linear"), [bottom, np.array(0.4), zero[3]], ())
            yield Case(make(f"{name}Linear"), [bottom, each, zero], ())
            yield Case(make(f"{name}Linear", axis=-3), [bottom, each], ())
            yield Case(
                make(f"{name}Linear", block_size=4),
                [bottom, blocks, (blocks * 30).astype(dtype)],
                (),
            )
    yield Case(make("DequantizeLinear"), [np.array([[3, -4]], np.int32), np.array(0.3)], ())
