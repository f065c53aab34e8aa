"""The forms of older opsets as today's, so that each operator has one meaning in the layers.

onnx.version_converter would do it too, but refuses files that hold one operator it does not know,
needs the whole model in memory twice, renames what it touches, and mistakes PRelu's old slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer
from .proto import Draft

OPSET = 18  # layers speak this version; later ones only add to it

Constant = Callable[[str, Array], str]  # stores an array under about that name, returns its name
Form = Callable[[Draft, int, Constant], list[Draft]]

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


def today(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    """The nodes of OPSET that mean what the node means in a file of that opset."""
    step.attributes.pop("consumed_inputs", None)  # a hint to runtimes of 2017
    for before, operators, form in FORMS:
        if opset < before and step.operator in operators:
            return form(step, opset, constant)
    return [step]


def until(before: int, *operators: str) -> Callable[[Form], Form]:
    """Decorate what the operators become in files of opsets before that one."""

    def register(form: Form) -> Form:
        FORMS.append((before, frozenset(operators), form))
        return form

    return register


def operands(step: Draft, constant: Constant, *names: str, dtype: Any = np.int64) -> Draft:
    """Attributes as the inputs that they have become, at the places of `names` behind the first."""
    attributes = dict(step.attributes)
    inputs = list(step.inputs)
    for place, name in enumerate(names, 1):
        value = attributes.pop(name, None)
        if value is None:
            continue
        inputs += [""] * (place + 1 - len(inputs))
        inputs[place] = constant(f"{step.name}/{name}", np.asarray(value, dtype))
    return step._replace(inputs=tuple(inputs), attributes=attributes)


def without(step: Draft, *names: str) -> dict[str, Any]:
    """The attributes but for these."""
    return {name: value for name, value in step.attributes.items() if name not in names}


@until(7, "Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    plain = step._replace(attributes=without(step, "axis", "broadcast"))
    axis = step.attributes.get("axis")
    return [plain] if axis is None else aligned(plain, axis)


@until(7, "PRelu")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return aligned(step, 1)


def aligned(step: Draft, axis: int) -> list[Draft]:
    """The node behind one that aligns its second input."""
    a, b = step.inputs
    name = f"{step.name}/aligned"
    align = Draft(name, "oneiro.Align", (b, a), (name,), {"axis": axis})
    return [align, step._replace(inputs=(a, name))]


@until(9, "BatchNormalization")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    if not step.attributes.get("spatial", 1):
        return [step]  # statistics of every pixel: no layer has that attribute
    return [step._replace(attributes=without(step, "spatial", "is_test"))]


@until(12, "Dropout")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [step._replace(attributes=without(step, "ratio", "is_test"))]


@until(7, "Gemm")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [step._replace(attributes=without(step, "broadcast"))]


@until(11, "Clip")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [operands(step, constant, "min", "max", dtype=np.float32)]


@until(11, "Pad")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    value = step.attributes.pop("value", None)
    padded = operands(step, constant, "pads")
    if value is not None:
        border = constant(f"{step.name}/value", np.asarray(value, np.float32))
        padded = padded._replace(inputs=(*padded.inputs, border))
    return [padded]


@until(10, "Slice")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [operands(step, constant, "starts", "ends", "axes")]


@until(10, "TopK")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    step.attributes["k"] = [step.attributes["k"]]
    return [operands(step, constant, "k")]


@until(18, "Split")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    step = operands(step, constant, "split")
    if len(step.inputs) == 1:
        step.attributes["num_outputs"] = len(step.outputs)
    return [step]


@until(13, "Squeeze", "Unsqueeze", "ReduceSum")
@until(
    18, "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [operands(step, constant, "axes")]


@until(13, "Softmax", "LogSoftmax", "Hardmax")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    """Until then these worked on a matrix: the axes before `axis` as rows, the others as one."""
    axis = step.attributes.get("axis", 1)
    last = step._replace(attributes={"axis": -1})
    if axis == -1:
        return [last]
    (x,) = step.inputs
    flat, done, shape = (f"{step.name}/{part}" for part in ("flat", "rows", "shape"))
    return [
        Draft(shape, "Shape", (x,), (shape,), {}),
        Draft(flat, "Flatten", (x,), (flat,), {"axis": axis}),
        last._replace(inputs=(flat,), outputs=(done,)),
        Draft(f"{step.name}/back", "Reshape", (done, shape), step.outputs, {}),
    ]


@until(10, "Upsample")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    if opset < 9:
        step = operands(step, constant, "scales", dtype=np.float32)
    return [as_resize(step)]


@until(11, "Resize")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [as_resize(step)]


def as_resize(step: Draft) -> Draft:
    """A Resize whose second input was the scales."""
    x, scales = step.inputs
    mode = step.attributes.get("mode", "nearest")
    attributes = {
        "mode": "linear" if mode == "bilinear" else mode,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return step._replace(operator="Resize", inputs=(x, "", scales), attributes=attributes)


@until(11, "Scatter")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    return [step._replace(operator="ScatterElements")]


@until(9, "ImageScaler")
def _(step: Draft, opset: int, constant: Constant) -> list[Draft]:
    """x * scale + a bias for each channel: what Core ML's exporter began with."""
    (x,) = step.inputs
    scale = constant(f"{step.name}/scale", np.asarray(step.attributes.get("scale", 1), np.float32))
    bias = np.asarray(step.attributes["bias"], np.float32).reshape(-1, 1, 1)
    scaled = f"{step.name}/scaled"
    return [
        Draft(scaled, "Mul", (x, scale), (scaled,), {}),
        step._replace(
            operator="Add", inputs=(scaled, constant(f"{step.name}/bias", bias)), attributes={}
        ),
    ]
