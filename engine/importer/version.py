"""The forms of older opsets as today's, so that each operator has one meaning in the layers.

onnx.version_converter would do it too, but refuses files that hold one operator it does not know,
needs the whole model in memory twice, renames what it touches, and mistakes PRelu's old slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer
from .proto import Draft

OPSET = 18  # layers speak this version; later ones only add to it


class Names(Protocol):
    """Where a form gets names that nothing else has."""

    def fresh(self, name: str) -> str:
        """That name, or one like it."""

    def constant(self, name: str, array: Array) -> str:
        """The name of an array that is stored under about that name."""


Form = Callable[[Draft, Names], list[Draft]]

FORMS: list[tuple[int, frozenset[str], Form]] = []  # (the opset before which it holds, operators)


class Align(Layer):
    """b with ones behind its axes, so that they meet those of a from `axis` on: old broadcasting.

    Without an axis a vector of one element, or of one per channel, meets the channels.
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, b: Array, a: Array) -> Array:
        self.shape = b.shape
        axis = self.axis + a.ndim if self.axis < 0 else self.axis
        behind = a.ndim - axis - b.ndim
        if behind < 0:
            raise ValueError(f"{b.ndim} axes from axis {axis} on do not fit {a.ndim} axes")
        return b.reshape(*b.shape, *(1,) * behind) if behind else b

    def backward(self, db: Array) -> tuple[Array, None]:
        return db.reshape(self.shape), None


def today(step: Draft, opset: int, names: Names) -> list[Draft]:
    """The nodes of OPSET that mean what the node means in a file of that opset."""
    step.attributes.pop("consumed_inputs", None)  # a hint to runtimes of 2017
    for before, operators, form in FORMS:
        if opset < before and step.operator in operators:
            return form(step, names)
    return [step]


def until(before: int, *operators: str) -> Callable[[Form], Form]:
    """Decorate what the operators become in files of opsets before that one."""

    def register(form: Form) -> Form:
        FORMS.append((before, frozenset(operators), form))
        return form

    return register


def operands(step: Draft, names: Names, *moved: str, dtype: Any = np.int64) -> Draft:
    """Attributes as the inputs that they have become, at the places of `moved` behind the first."""
    attributes = dict(step.attributes)
    inputs = list(step.inputs)
    for place, name in enumerate(moved, 1):
        value = attributes.pop(name, None)
        if value is None:
            continue
        inputs += [""] * (place + 1 - len(inputs))
        inputs[place] = names.constant(f"{step.name}/{name}", np.asarray(value, dtype))
    return step._replace(inputs=tuple(inputs), attributes=attributes)


def without(step: Draft, *names: str) -> dict[str, Any]:
    """The attributes but for these."""
    return {name: value for name, value in step.attributes.items() if name not in names}


@until(7, "Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
def _(step: Draft, names: Names) -> list[Draft]:
    plain = step._replace(attributes=without(step, "axis", "broadcast"))
    axis = step.attributes.get("axis")
    return [plain] if axis is None else aligned(plain, axis, names)


@until(7, "PRelu")
def _(step: Draft, names: Names) -> list[Draft]:
    return aligned(step, 1, names)


def aligned(step: Draft, axis: int, names: Names) -> list[Draft]:
    """The node behind one that aligns its second input."""
    a, b = step.inputs
    name = names.fresh(f"{step.name}/aligned")
    align = Draft(name, "oneiro.Align", (b, a), (name,), {"axis": axis})
    return [align, step._replace(inputs=(a, name))]


@until(9, "BatchNormalization")
def _(step: Draft, names: Names) -> list[Draft]:
    if not step.attributes.get("spatial", 1):
        # statistics of every pixel: no layer has that attribute
        return [step._replace(attributes=without(step, "is_test"))]
    return [step._replace(attributes=without(step, "spatial", "is_test"))]


@until(12, "Dropout")
def _(step: Draft, names: Names) -> list[Draft]:
    return [step._replace(attributes=without(step, "ratio", "is_test"))]


@until(7, "Gemm")
def _(step: Draft, names: Names) -> list[Draft]:
    return [step._replace(attributes=without(step, "broadcast"))]


@until(11, "Clip")
def _(step: Draft, names: Names) -> list[Draft]:
    return [operands(step, names, "min", "max", dtype=np.float32)]


@until(11, "Pad")
def _(step: Draft, names: Names) -> list[Draft]:
    value = step.attributes.pop("value", None)
    padded = operands(step, names, "pads")
    if value is not None:
        border = names.constant(f"{step.name}/value", np.asarray(value, np.float32))
        padded = padded._replace(inputs=(*padded.inputs, border))
    return [padded]


@until(10, "Slice")
def _(step: Draft, names: Names) -> list[Draft]:
    return [operands(step, names, "starts", "ends", "axes")]


@until(10, "TopK")
def _(step: Draft, names: Names) -> list[Draft]:
    step.attributes["k"] = [step.attributes["k"]]
    return [operands(step, names, "k")]


@until(18, "Split")
def _(step: Draft, names: Names) -> list[Draft]:
    step = operands(step, names, "split")
    if not any(step.inputs[1:]):
        step.attributes["num_outputs"] = len(step.outputs)
    return [step]


@until(13, "Squeeze", "Unsqueeze", "ReduceSum")
@until(
    18, "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip
def _(step: Draft, names: Names) -> list[Draft]:
    return [operands(step, names, "axes")]


@until(13, "Softmax", "LogSoftmax", "Hardmax")
def _(step: Draft, names: Names) -> list[Draft]:
    """Until then these worked on a matrix: the axes before `axis` as rows, the others as one."""
    axis = step.attributes.get("axis", 1)
    last = step._replace(attributes={"axis": -1})
    if axis == -1:
        return [last]
    (x,) = step.inputs
    parts = ("flat", "rows", "shape")
    flat, done, shape = (names.fresh(f"{step.name}/{part}") for part in parts)
    return [
        Draft(shape, "Shape", (x,), (shape,), {}),
        Draft(flat, "Flatten", (x,), (flat,), {"axis": axis}),
        last._replace(inputs=(flat,), outputs=(done,)),
        Draft(f"{step.name}/back", "Reshape", (done, shape), step.outputs, {}),
    ]


@until(9, "Upsample")
def _(step: Draft, names: Names) -> list[Draft]:
    return [as_resize(operands(step, names, "scales", dtype=np.float32), "floor")]


@until(10, "Upsample")
def _(step: Draft, names: Names) -> list[Draft]:
    return [as_resize(step, "floor")]


@until(11, "Resize")
def _(step: Draft, names: Names) -> list[Draft]:
    return [as_resize(step, "simple")]


def as_resize(step: Draft, rounding: str) -> Draft:
    """A Resize whose second input was the scales."""
    x, scales = step.inputs
    mode = step.attributes.get("mode", "nearest")
    attributes = {
        "mode": "linear" if mode == "bilinear" else mode,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": rounding,
    }
    return step._replace(operator="Resize", inputs=(x, "", scales), attributes=attributes)


@until(11, "Scatter")
def _(step: Draft, names: Names) -> list[Draft]:
    return [step._replace(operator="ScatterElements")]


@until(9, "ImageScaler")
def _(step: Draft, names: Names) -> list[Draft]:
    """x * scale + a bias for each channel: what Core ML's exporter began with."""
    (x,) = step.inputs
    factor = np.asarray(step.attributes.get("scale", 1), np.float32)
    scale = names.constant(f"{step.name}/scale", factor)
    bias = np.asarray(step.attributes["bias"], np.float32).reshape(-1, 1, 1)
    shift = names.constant(f"{step.name}/bias", bias)
    scaled = names.fresh(f"{step.name}/scaled")
    return [
        Draft(scaled, "Mul", (x, scale), (scaled,), {}),
        step._replace(operator="Add", inputs=(scaled, shift), attributes={}),
    ]
