"""Pictures read at the places that a grid names."""

from collections.abc import Iterator

from . import Case, apart, make, normal


def cases() -> Iterator[Case]:
    for padding in ("zeros", "border", "reflection"):
        for align in (0, 1):
            attributes = {"padding_mode": padding, "align_corners": align}
            for mode in ("nearest", "linear", "cubic"):
                x, grid = normal(2, 3, 5, 7), 0.7 * apart(2, 4, 3, 2)
                yield Case(make("GridSample", mode=mode, **attributes), [x, grid])
            for mode in ("nearest", "linear"):
                x, grid = normal(2, 3, 4, 5, 7), 0.7 * apart(2, 6, 3, 2, 3)
                yield Case(make("GridSample", mode=mode, **attributes), [x, grid])
