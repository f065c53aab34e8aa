"""The geometry of windows where numbers are extreme."""

import itertools

import numpy as np

from oneiro.kernels.window import sliding_window


def test_a_stride_longer_than_the_picture_is_one_of_its_length() -> None:
    """As a hostile file may have it: windows stay where they are, and so does what is laid out."""
    random = np.random.default_rng(0)
    for _, ceil in itertools.product(range(200), (False, True)):
        size, length, dilation, before, after = random.integers(1, 9, 5).tolist()
        stride = int(random.choice([1, 2, 5, 9, 17, 40, 1 << 40]))
        window = sliding_window((length,), (stride,), (before, after), (dilation,), ceil)
        within = window.within((size,))
        assert within.strides[0] <= max(size + before + after, 1)
        if size + before + after >= window.span[0]:
            assert within.sizes((size,)) == window.sizes((size,))
        if stride <= size:
            assert within == window


def test_sizes_that_are_not_known_leave_a_stride_as_it_is() -> None:
    window = sliding_window((3, 2), (50, 60))
    assert window.within((7, None)).strides == (7, 60)
    assert window.within((7,)) == window
