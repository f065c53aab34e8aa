"""Which sizes of picture a network takes, and of batch: the usual one, those that reach a blob."""

from __future__ import annotations

from collections.abc import Sequence

from .error import ModelError
from .net import Net

SIDE = 224  # px of a picture where nobody says otherwise
FARTHEST = 256  # how many rows or columns of padding are tried


def usual_size(net: Net) -> tuple[int, int]:
    """The height and width that the network was trained at, or that its file declares, or SIDE."""
    sizes = net.model.inputs[net.input][1]
    height, width = (size or SIDE for size in (sizes[2:] if len(sizes) == 4 else (None, None)))
    return net.size or (height, width)


def accepted_size(net: Net, ends: Sequence[str], h: int, w: int) -> tuple[int, int]:
    """The next size from h x w on whose picture reaches the blobs `ends`.

    Small pictures may vanish on the way, and branches may disagree. Raises ModelError, with the
    layer and its reason, where no size up to FARTHEST more is accepted.
    """
    refusal = refused(net, ends, h, w)
    if refusal is None:
        return h, w
    # as a rule the axes do not know of each other: a square tells about each on its own
    sides = {
        n: next((k for k in range(n, n + FARTHEST) if refused(net, ends, k, k) is None), n)
        for n in {h, w}
    }
    tall, wide = sides[h], sides[w]
    if refused(net, ends, tall, wide) is not None:
        hint = only_size(net, ends)
        raise ModelError(f"{', '.join(ends)} cannot be reached from {w}x{h} px: {refusal}{hint}")
    return tall, wide


def only_size(net: Net, ends: Sequence[str]) -> str:
    """What to do with a network that takes pictures of the size alone that its file declares."""
    h, w = (net.model.inputs[net.input][1] + (None,) * 4)[2:4]
    if h is None or w is None or refused(net, ends, h, w) is not None:
        return ""
    return f"; its file is for {w}x{h} px: give a picture of that size, and octave_n=1"


def refused(net: Net, ends: Sequence[str], h: int, w: int) -> ModelError | None:
    """Why a picture of h x w does not reach `ends`; None if it does."""
    try:
        net.shapes({net.input: (1, net.channels, h, w)}, end=ends)
    except ModelError as error:
        return error
    return None


def takes_batch(net: Net, ends: Sequence[str], shape: Sequence[int]) -> bool:
    """Does each picture of a batch of this shape get its own row of the blobs `ends`?"""
    try:
        made = net.shapes({net.input: shape}, end=ends)
    except ModelError:
        return False
    return all(made[net.resolve(end)][:1] == tuple(shape[:1]) for end in ends)
