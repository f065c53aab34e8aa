"""caffe.Net: layers that run from one to another, over blobs that programs write into."""

from __future__ import annotations

import difflib
import functools
import os
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from .. import load
from ..error import ArgumentError, ModelError
from ..layer import RULES
from ..net import Net as Graph, known_shapes
from ..size import SIDE
from .blob import Blob, Blobs, Branch, Parameter, Shape
from .graph import Step, caffe_names, caffe_steps

TRAIN = 0
TEST = 1

CAFFE_FILES = (".prototxt", ".caffemodel", ".binaryproto")
IR_VERSION = b"\x08"  # the tag of an ONNX model's first field; a caffemodel starts with its name
DECONV = {"Zeiler & Fergus": "deconv", "Guided Backprop": "guided"}

Source = str | os.PathLike[str] | Graph
Outs = dict[str, Any]

mode = {"device": "cpu"}  # where nets that are made from now on compute


def set_mode_cpu() -> None:
    """Compute on the CPU, in nets that are made from now on."""
    mode["device"] = "cpu"


def set_mode_gpu() -> None:
    """Compute on a GPU if there is one, in nets that are made from now on."""
    mode["device"] = "auto"


def set_device(device_id: int) -> None:
    """Accept the first GPU, the one that is taken; warn about any other."""
    if device_id != 0:
        text = f"set_device({device_id}) is ignored: set CUDA_VISIBLE_DEVICES={device_id} instead"
        warnings.warn(text, stacklevel=2)


class Layer:
    """What pycaffe tells of a layer: its type, in Caffe's words where it has some, and weights."""

    def __init__(self, kind: str, blobs: list[Blob]) -> None:
        self.type = kind
        self.blobs = blobs


class Net:
    """`Net(model_file, [weights,] phase)`, where one of the two is an .onnx file.

    The other one is ignored, with a warning unless it is empty. A name that oneiro.load knows or an
    oneiro.Net will do as well. The inputs start with the sizes that the file declares: one picture
    of 224 x 224 where it leaves them open.

    Raises ModelError if there is no network in the files, ArgumentError for the rest.
    """

    def __init__(
        self,
        model_file: Source,
        *rest: Source | int | None,
        phase: int = TEST,
        weights: Source | None = "",
    ) -> None:
        if any(number != TEST for number in [phase, *(r for r in rest if isinstance(r, int))]):
            raise ArgumentError("nothing is trained here: the phase is caffe.TEST")
        files = [file for file in (model_file, *rest, weights) if not isinstance(file, int)]
        self._graph = opened([file for file in files if file is not None and file != ""])
        inputs = {name: declared_shape(self._graph, name) for name in self._graph.inputs}
        shapes = self._graph.reachable_shapes(inputs)
        self._constants = dict(self._graph.constants)
        names = caffe_names(self._graph, shapes)
        self._tensors = names.blobs
        self._steps = caffe_steps(self._graph, names)
        self._ran: set[str] = set()  # layers that know what they go back from
        self._layer_names = [step.name for step in self._steps]
        self.inputs = [names.blobs[name] for name in self._graph.inputs]
        self.outputs = [names.blobs[name] for name in self._graph.outputs]
        self.blobs = self._make_blobs(shapes)
        self.layers = [Layer(step.type, self._weights(step)) for step in self._steps]
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((n, lr.blobs) for n, lr in self.layer_dict.items() if lr.blobs)
        self.top_names = OrderedDict((step.name, list(step.tops)) for step in self._steps)
        self.bottom_names = OrderedDict(
            (step.name, [b for b in step.bottoms if b in self.blobs]) for step in self._steps
        )

    def __repr__(self) -> str:
        name = self._graph.model.name
        return f"{type(self).__name__}({name!r}, {len(self.layers)} layers, inputs={self.inputs})"

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Array,
    ) -> Outs:
        """Run the layers from `start` to `end`, both included: by default all.

        Inputs are given all or none, in the shapes of their blobs. Returns the data of the tops of
        `end`, by default of the net's outputs, and of `blobs`.
        """
        first = self._position(start) if start is not None else 0
        last = self._position(end) if end is not None else len(self._steps) - 1
        outs = self.outputs if end is None else self._steps[last].tops
        if inputs:
            for name, value in self._all_of(self.inputs, inputs, "inputs").items():
                self.blobs[name].data = value
        self._forward(first, last)
        return {name: self.blobs[name].data for name in [*outs, *(blobs or [])]}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **outputs: Array,
    ) -> Outs:
        """Run the layers back from `start` down to `end`, both included: by default all.

        What goes back is what the diffs hold, or `outputs`: diffs of the net's outputs, all or
        none. Returns the diffs of the bottoms of `end`, by default of the inputs, and `diffs`.
        """
        first = self._position(start) if start is not None else len(self._steps) - 1
        last = self._position(end) if end is not None else 0
        outs = self.inputs if end is None else self.bottom_names[self._steps[last].name]
        if outputs:
            for name, diff in self._all_of(self.outputs, outputs, "outputs").items():
                self.blobs[name].diff = diff
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in [*outs, *(diffs or [])]}

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Array) -> Outs:
        """As `forward` over any number of pictures, batch by batch: {blob: array}."""
        given = self._all_of(self.inputs, inputs, "inputs")
        outs = [copied(self.forward(blobs, **batch)) for batch in self._batches(given)]
        return joined(outs, length(given))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **given: Array
    ) -> tuple[Outs, Outs]:
        """As `forward` and `backward` over any number of pictures: {blob: data}, {blob: diff}.

        `given` are inputs and diffs of outputs; where either are left out, what the blobs hold is
        taken.
        """
        down = {name: array for name, array in given.items() if name in self.outputs}
        up = {name: array for name, array in given.items() if name not in down}
        outs, back = [], []
        nothing: Outs = {}
        both = zip_longest(self._batches(up), self._batches(down), fillvalue=nothing)
        for inputs, outputs in both:
            outs.append(copied(self.forward(blobs, **inputs)))
            back.append(copied(self.backward(diffs, **outputs)))
        return joined(outs, length(given)), joined(back, length(given))

    def reshape(self) -> None:
        """Bring the blobs to the shapes that follow from the inputs', as far as layers are known.

        Raises ModelError with the layer's name where shapes do not fit.
        """
        inputs = {name: self.blobs[self._tensors[name]].shape for name in self._graph.inputs}
        shadow = self._graph.on_symbols(inputs)
        error = shadow.fill_reachable()
        if error is not None:
            raise error
        for tensor, shape in known_shapes(shadow).items():
            self.blobs[self._tensors[tensor]].reshape(*shape)

    def backward_from_layer(
        self,
        start_name: str,
        start_diff: Array,
        diffs: Sequence[str] | None = None,
        zero_higher: bool = False,
    ) -> Outs:
        """`backward` from `start_diff` at the top of a layer, as Yosinski's fork has it.

        `zero_higher` zeroes all other diffs first, so that nothing else flows in.
        """
        return self._back_from(start_name, start_diff, diffs, zero_higher, "gradient")

    def deconv_from_layer(
        self,
        start_name: str,
        start_diff: Array,
        diffs: Sequence[str] | None = None,
        zero_higher: bool = False,
        deconv_type: str = "Zeiler & Fergus",
    ) -> Outs:
        """As `backward_from_layer`, but rectifiers go back as in a deconvnet.

        `deconv_type` may also be "Guided Backprop".
        """
        if deconv_type not in DECONV:
            raise ArgumentError(f"deconv_type {deconv_type!r} is not one of {', '.join(DECONV)}")
        return self._back_from(start_name, start_diff, diffs, zero_higher, DECONV[deconv_type])

    def _back_from(
        self, name: str, diff: Array, diffs: Sequence[str] | None, zero_higher: bool, rule: str
    ) -> Outs:
        start = self._position(name)
        blob = self.blobs[self._steps[start].tops[0]]
        blob.diff = diff
        if zero_higher:
            for other in self.blobs.values():
                if other is not blob:  # whose diff may be the very array that was given
                    other.clear_diff()
        self._backward(start, 0, rule)
        return {name: self.blobs[name].diff for name in [*self.inputs, *(diffs or [])]}

    def _forward(self, first: int, last: int) -> None:
        """Run the steps first..last. Layers see arrays of their own: blobs hold copies."""
        for name, blob in self.blobs.items():
            if name not in self.inputs:
                blob.forget()
        made: dict[str, Any] = {}
        for step in self._steps[first : last + 1]:
            if step.node is None:
                made.update((top, made[b]) for b in step.bottoms if b in made for top in step.tops)
                continue
            bottoms = [self._value(bottom, made) for bottom in step.bottoms]
            values = self._graph.run(step.node, step.node.layer.forward, bottoms)
            for top, value in zip(step.tops, values, strict=False):
                made[top] = value
                self.blobs[top].take(value)
            self._ran.add(step.name)

    def _backward(self, first: int, last: int, rule: str = "gradient") -> None:
        """Run the steps first..last back; every bottom's diff is overwritten."""
        for step in reversed(self._steps[last : first + 1]):
            flows = [self.blobs[top].flow() for top in step.tops]
            for bottom, diff in zip(step.bottoms, self._sent(step, flows, rule), strict=False):
                if bottom is not None and bottom in self.blobs:
                    self.blobs[bottom].take_diff(diff)

    def _sent(self, step: Step, flows: list[Array | None], rule: str) -> Sequence[Any]:
        """What a step makes of the diffs of its tops: one for each bottom, None for zero."""
        arrived = [flow for flow in flows if flow is not None]
        if not arrived:
            return [None] * len(step.bottoms)
        if step.node is None:
            # added up from the last reader on, as oneiro.Net does: rounding is the same
            return [functools.reduce(np.add, reversed(arrived))] * len(step.bottoms)
        if step.name not in self._ran:
            raise ModelError(f"layer {step.name!r} has not run: run forward as far as here first")
        back = getattr(step.node.layer, RULES[rule])
        scale = self._graph.scale_of(arrived)
        if scale is None:
            flows = [flow if flow is None else self._graph.place(flow) for flow in flows]
            return self._graph.run(step.node, back, flows)
        flows = [flow if flow is None else self._graph.place(flow * scale) for flow in flows]
        diffs = self._graph.run(step.node, back, flows)
        return [diff if diff is None else diff / scale for diff in diffs]

    def _value(self, name: str | None, made: dict[str, Any]) -> Any:
        """What a layer reads: what this run made, what the blob holds, or a constant."""
        if name is None:
            return None
        if name in self._constants:
            return self._graph.held(name, self._constants[name])
        if name not in made:
            made[name] = self._graph.held(name, self.blobs[name].data.copy())
        return made[name]

    def _batches(self, given: Mapping[str, Array]) -> Iterator[Outs]:
        """The arrays cut into batches of the net's size, the last one filled up with zeros."""
        size = self.blobs[self.inputs[0]].num
        for start in range(0, length(given) if given else 0, size):
            batch = {name: array[start : start + size] for name, array in given.items()}
            missing = size - length(batch)
            yield {
                name: np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)])
                for name, array in batch.items()
            }

    def _all_of(self, names: list[str], given: Mapping[str, Array], what: str) -> Outs:
        """What is given under the names of the face; ArgumentError unless it is all of `names`."""
        tensors = {self._graph.aliases.get(name, name): array for name, array in given.items()}
        named = {self._tensors.get(name, name): array for name, array in tensors.items()}
        if set(named) != set(names):
            text = f"{', '.join(named) or 'nothing'} for {', '.join(names)}"
            raise ArgumentError(f"the arguments do not match the net's {what}: {text}")
        return named

    def _position(self, name: str) -> int:
        """Where a layer stands, or the last one that makes the blob of that name."""
        if name in self._layer_names:
            return self._layer_names.index(name)
        tensor = self._graph.aliases.get(name, name)
        for k, step in reversed(list(enumerate(self._steps))):
            if name in step.tops or tensor in step.tensors:
                return k
        raise self._unknown("layer", name, self._layer_names)

    def _resolve(self, name: str) -> str:
        """The blob that a tensor of the file, or an alias, ended up in."""
        tensor = self._graph.aliases.get(name, name)
        if tensor not in self._tensors:
            raise self._unknown("blob", name, self.blobs)
        blob = self._tensors[tensor]
        if [t for t, b in self._tensors.items() if b == blob][-1] != tensor:
            layer = self._layer_names[self._position(tensor)]
            text = f"is written over in blob {blob!r}: forward(end={layer!r}) leaves it there"
            raise ArgumentError(f"{name!r} {text}")
        return blob

    def _unknown(self, what: str, name: str, names: Iterable[str]) -> ArgumentError:
        near = difflib.get_close_matches(name, names, 3, 0.4)
        hint = f"; near it: {', '.join(near)}" if near else ""
        return ArgumentError(f"{self._graph.model.name!r} has no {what} {name!r}{hint}")

    def _make_blobs(self, shapes: Mapping[str, Shape]) -> Blobs:
        blobs = Blobs(self._resolve)
        for step in self._steps:
            for top in step.tops:
                if step.type == "Split" and step.node is None:
                    blobs[top] = Branch(top, blobs[str(step.bottoms[0])])
                elif top not in blobs:
                    blobs[top] = Blob(top, self._graph.dtype)
        for tensor, shape in shapes.items():
            blobs[self._tensors[tensor]].reshape(*shape)
        for name in self._graph.inputs:
            blobs[self._tensors[name]].dtype = self._graph.model.inputs[name][0]
        return blobs

    def _weights(self, step: Step) -> list[Blob]:
        """The constants of a layer but for sizes and single numbers, such as a Clip's bounds."""
        constants = {b: self._constants[b] for b in step.bottoms if b in self._constants}
        names = [
            name for name, value in constants.items() if value.dtype.kind == "f" and value.ndim
        ]
        return [Parameter(name, self._constants) for name in names]


def opened(files: list[Source]) -> Graph:
    """The one network among the files; a warning names the others."""
    networks = [file for file in files if isinstance(file, Graph) or is_onnx(Path(file))]
    if not networks:  # a name, then: nothing that lies here, and nothing of Caffe's
        networks = [
            f for f in files if not str(f).endswith(CAFFE_FILES) and not Path(str(f)).exists()
        ]
    if not networks:
        listed = " and ".join(repr(str(file)) for file in files) or "nothing"
        text = "convert the prototxt and the caffemodel to one .onnx file, and give that"
        raise ModelError(f"{listed}: no ONNX model; {text}")
    if len({str(network) for network in networks}) > 1:
        raise ArgumentError(f"two networks, {' and '.join(map(str, networks))}: give one")
    for file in files:
        if file not in networks:
            text = f"{str(file)!r} is ignored: the whole network is in {str(networks[0])!r}"
            warnings.warn(text, stacklevel=3)
    network = networks[0]
    if isinstance(network, Graph):
        return network.to(lambda constant: constant)  # with layers of its own
    return load(network, device=mode["device"])


def is_onnx(path: Path) -> bool:
    """Is it called an ONNX file, or does it start as one?"""
    if path.suffix == ".onnx" or not path.is_file():
        return path.suffix == ".onnx"
    with path.open("rb") as file:
        return file.read(1) == IR_VERSION


def declared_shape(graph: Graph, name: str) -> Shape:
    """The shape that the file gives an input; where it leaves it open, that of one picture."""
    sizes = graph.model.inputs[name][1]
    if name != graph.input:
        return tuple(size or 1 for size in sizes)
    picture = (1, graph.channels, SIDE, SIDE)
    return tuple(size or usual for size, usual in zip(sizes or picture, picture, strict=False))


def length(arrays: Mapping[str, Array]) -> int:
    """How many pictures; ArgumentError unless all arrays have as many, and at least one."""
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ArgumentError(f"arrays of one length are wanted, not {counts or 'none'}")
    return next(iter(counts.values()))


def copied(outs: Outs) -> Outs:
    return {name: array.copy() for name, array in outs.items()}


def joined(outs: list[Outs], count: int) -> Outs:
    """The batches as one, without what filled up the last."""
    return {name: np.concatenate([out[name] for out in outs])[:count] for name in outs[0]}
