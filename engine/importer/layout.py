"""Pictures of (n, h, w, c), as TensorFlow has them, turned round for the rest of the house."""

from __future__ import annotations

from typing import Any

import numpy as np

from .proto import Draft, renamed

Declared = tuple[np.dtype[Any], tuple[int | None, ...]]

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
# what may stand between a picture and the Transpose that TensorFlow's exporter puts behind it
ELEMENTWISE = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Sub"}


def is_channels_last(name: str, sizes: tuple[int | None, ...], drafts: list[Draft]) -> bool:
    """Is the input a picture of (n, h, w, c) that the file itself turns round?"""
    if len(sizes) != 4 or sizes[3] not in (None, 1, 3, 4) or sizes[1] in (1, 3):
        return False
    reached = {name}
    for step in drafts:
        if reached.isdisjoint(step.inputs):
            continue
        if step.operator == "Transpose" and step.attributes.get("perm") == TO_NCHW:
            return True
        if step.operator in ELEMENTWISE:
            reached.update(step.outputs)
    return False


def channels_first(name: str, turned: str, drafts: list[Draft]) -> list[Draft]:
    """The drafts with the input as (n, c, h, w), `turned` round for those that read it."""
    turn = Draft(turned, "Transpose", (name,), (turned,), {"perm": TO_NHWC})
    return [turn, *(renamed(step, {name: turned}) for step in drafts)]
