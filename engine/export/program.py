"""Programs over a Net as models: any of one's own, the gradient, a step of DeepDream."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx

from oneiro.kernels.dispatch import Array

from ..ascent import dream_step, image_gradient
from ..error import ArgumentError
from ..goal import goal
from ..net import Net
from ..objective import Goal, l2
from ..trace import Input, Program, trace
from .writer import as_model


def export_gradient(
    net: Net, end: str, rule: str = "gradient", size: tuple[int, int] | None = None
) -> onnx.ModelProto:
    """A model of any picture's gradient of half the sum of squares of the blob `end`.

    Input `data` (n, c, h, w), as the net takes it; outputs `activations`, the data of `end`, and
    `gradient`, of the shape of `data`. With `size` (h, w) the model takes pictures of that size
    alone, which some layers need (Resize, auto_pad SAME with strides).
    """

    def program(net: Net, data: Array) -> dict[str, Any]:
        _, gradient = image_gradient(net, data, {end: l2}, rule)
        return {"activations": net.blobs[net.resolve(end)].data, "gradient": gradient}

    return export(net, program, data=(net.dtype, ("n", net.channels, *(size or ("h", "w")))))


def export_step(net: Net, end: str | Goal, size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """A model that takes one picture one DeepDream step further.

    `end` is what deepdream takes, "NAME[:CHANNEL[,ROW,COLUMN]][=WEIGHT]", or {blob: objective}.
    Inputs: `data` (1, c, h, w), as the net takes it; `shift`, the jitter as two int64 (rows,
    columns); `step`, a number in 0..255. Outputs: `dream`, and `value`, the objective before the
    step. `size` is as in export_gradient.
    """
    climbed = goal(net, [end]) if isinstance(end, str) else end
    preprocessing = net.known_preprocessing()
    bounds = preprocessing.bounds(net.channels, net.dtype)
    unit = preprocessing.unit(net.channels, net.dtype)

    def program(net: Net, data: Array, shift: Array, step: Array) -> dict[str, Any]:
        result = dream_step(net, data, shift, step * unit, climbed, bounds)
        return {"dream": result["x"], "value": result["value"]}

    return export(
        net,
        program,
        data=(net.dtype, (1, net.channels, *(size or ("h", "w")))),
        shift=(np.int64, (2,)),
        step=(net.dtype, ()),
    )


def export(net: Net, program: Program, **inputs: Input) -> onnx.ModelProto:
    """The model of program(net, **inputs) -> {name: result}, in standard operators.

    `inputs` are name=(dtype, shape), where a size that is a string may vary from run to run.
    Blobs keep their names, and their diffs are called `<blob>/diff`. Weights are stored once for
    the way forward and back, as float16 where that loses nothing.
    """
    plain = copy.copy(net)
    plain.device = None  # what a device does for its own sake is not in the file
    traced = trace(plain, program, inputs)
    for name, result in traced.results.items():
        if name in inputs and result.name != name:
            raise ArgumentError(f"{name!r} is both an input and a result: call them differently")
    return as_model(traced, {name: shape for name, (_, shape) in inputs.items()})
