"""Pictures as TensorFlow has them, integers or (n, h, w, c), as the rest of the house does."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from ..error import ArgumentError
from .proto import Draft, renamed

Declared = tuple[np.dtype[Any], tuple[int | None, ...]]

LAYOUTS = ("NCHW", "NHWC")
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
# what may stand between a picture and the Transpose that TensorFlow's exporter puts behind it
ELEMENTWISE = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Sub"}


def check_layout(layout: Any) -> None:
    """Refuse what is neither None nor a layout."""
    if layout is not None and layout not in LAYOUTS:
        raise ArgumentError(f"layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}")


def is_cast(name: str, drafts: list[Draft]) -> bool:
    """Does every reader of the input turn it to floats first?"""
    readers = [step for step in drafts if name in step.inputs or name in step.captured]
    casts = [s for s in readers if s.operator == "Cast" and s.attributes.get("to") in FLOATS]
    return bool(readers) and len(casts) == len(readers)


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
