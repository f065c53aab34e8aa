"""Programs over a Net as models: what can be asked of any net, and programs of one's own."""

from __future__ import annotations

import copy
import importlib.metadata
import json
from collections.abc import Mapping, Sequence

import onnx

from ..error import ArgumentError
from ..net import Net
from ..objective import Goal
from ..recipe import origin
from ..trace import Input, Program, Trace, trace
from .face import Face, RawFace
from .question import question
from .version import OPSET
from .writer import as_model

INPUTS = ("picture", "net")


def export(
    net: Net,
    what: str = "gradient",
    ends: str | Sequence[str] | Goal = (),
    *,
    input: str = "picture",
    size: tuple[int, int] | None = None,
    pixels: str = "float32",
    smooth: float = 0.0,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A model that answers a question about a picture, in standard operators alone.

    `what` is one of

    - "activations": what the blobs `ends` hold;
    - "gradient", "guided", "deconv": the derivative of a unit of the blob `ends` in the picture,
      by itself, by guided backprop or by the deconvnet;
    - "saliency": the largest |derivative| of each pixel's colours, of a class;
    - "gradcam": the maps of a blob, by default the last, weighted by what a class gains from them;
    - "step": a step of DeepDream; "dream": a whole one, of four octaves.

    Which unit or class is meant are inputs of the model, of int64: one file serves all; -1 stands
    for all channels, rows and columns, or the class with the highest score. `ends` such as
    "NAME:CHANNEL=WEIGHT", several of them, or {blob: objective} settle what is climbed.

    The model takes a picture (1, h, w, 3) of 0..255, RGB, in `pixels` "float32" or "uint8", and
    prepares it as the net wants it; with `input="net"` it takes what the net takes. With `size`
    (h, w) it takes pictures of that size alone, which some layers need (Resize, auto_pad SAME with
    strides) and some runtimes like; a dream's octaves that are too small for the blob get a border
    then, as in deepdream. `smooth` blurs the gradients of steps, in pixels. Its inputs, its outputs
    and its recipe are written in it.

    Raises ArgumentError and ModelError.
    """
    named = [ends] if isinstance(ends, str) else ends
    if input not in INPUTS:
        raise ArgumentError(f"input is {input!r}; it must be one of {', '.join(INPUTS)}")
    face = Face(net, size) if input == "net" else RawFace(net, size, pixels)
    asked = question(net, what, named, face, smooth)
    recipe = {
        "method": f"export {what}",
        "model": origin(net),
        "parameters": {
            "ends": [*named],
            "input": input,
            "size": size,
            "pixels": pixels,
            "smooth": smooth,
        },
        "surroundings": {"oneiro": importlib.metadata.version("oneiro")},
    }
    traced = traced_on_host(net, asked.program, asked.inputs)
    return as_model(traced, shapes(asked.inputs), asked.docs, {"oneiro": json.dumps(recipe)}, opset)


def export_program(net: Net, program: Program, **inputs: Input) -> onnx.ModelProto:
    """The model of program(net, **inputs) -> {name: result}, in standard operators.

    `inputs` are name=(dtype, shape), where a size that is a string may vary from run to run.
    Blobs keep their names, and their diffs are called `<blob>/diff`. Weights are stored once for
    the way forward and back, as float16 where that loses nothing.
    """
    return as_model(traced_on_host(net, program, inputs), shapes(inputs))


def traced_on_host(net: Net, program: Program, inputs: Mapping[str, Input]) -> Trace:
    """The trace for a file: without what a device does for its own sake."""
    plain = copy.copy(net)
    plain.device = None
    traced = trace(plain, program, inputs)
    for name, result in traced.results.items():
        if name in inputs and result.name != name:
            raise ArgumentError(f"{name!r} is both an input and a result: call them differently")
    return traced


def shapes(inputs: Mapping[str, Input]) -> dict[str, Sequence[int | str]]:
    return {name: shape for name, (_, shape) in inputs.items()}
