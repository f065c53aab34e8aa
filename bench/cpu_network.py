"""The networks of bench/cpu.py, as files for its rivals.

A rival is weighed with all that its process imports. So what only onnx, oneiro or PyTorch can make
is made here, beforehand: whoever runs a file needs nothing but its own engine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

import oneiro
from oneiro.inspection import inspect
from oneiro.models import registry
from oneiro.objective import l2

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import rival
from torch_lrn import lrn

from oracle import light
from oracle.runtime import cut, picture_input

torch.fx.wrap("lrn")  # one line of the network, as F.local_response_norm is

Size = tuple[int, int]  # width, height


class Known(NamedTuple):
    """A network that is at hand, and how far it goes."""

    title: str
    end: str
    light: str | None  # its name in tests/oracle/light.py; None: the embedded one


NETWORKS = {
    "googlenet": Known("GoogLeNet's topology to inception_4c", "r80", "inception_v1"),
    "squeezenet": Known("SqueezeNet 1.1 to fire7", "fire7/concat", None),
    "resnet50": Known("ResNet-50's topology to layer3", "r139", "resnet50"),
    "vgg19": Known("VGG-19's topology to relu4_2", "r22", "vgg19"),
}
MOBILENET = "mobilenet"


def prepare(folder: Path, name: str, sizes: Sequence[Size], mobilenet: Path | None) -> str:
    """Write a network's files into the folder; returns its title.

    NAME.onnx ends at the blob that is climbed. NAME.pt is the same in PyTorch, NAME-lrn.pt with an
    LRN written by hand, if there is one. NAME-step-WxH.onnx are whole steps for pictures of one
    size. NAME.json says what there is.
    """
    title, model, end = found(name, mobilenet)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    torch.save(module_of(model, end), folder / f"{name}.pt")
    has_lrn = any(node.op_type == "LRN" for node in model.graph.node)
    if has_lrn:
        torch.save(module_of(model, end, own_lrn=True), folder / f"{name}-lrn.pt")

    net = oneiro.load(path, device="cpu")
    net.preprocessing = oneiro.Preprocess(128.0)
    work = {}
    for width, height in sizes:
        step = oneiro.export(net, "step", {end: l2}, input="net", size=(height, width))
        onnx.save(step, folder / f"{name}-step-{width}x{height}.onnx")
        rows = inspect(net, height, width).rows
        work[f"{width}x{height}"] = sum(row.flops or 0 for row in rows if row.kind == "Conv")
    facts = {"input": net.input, "end": end, "lrn": has_lrn, "flops": work}
    (folder / f"{name}.json").write_text(json.dumps(facts))
    return title


def found(name: str, mobilenet: Path | None) -> tuple[str, ModelProto, str]:
    """A network's title, the network, and the blob that it ends with."""
    if name == MOBILENET:
        if mobilenet is None:
            sys.exit("bench/cpu.py: mobilenet is a file of yours: --mobilenet FILE")
        model = onnx.load(mobilenet)
        pools = (node for node in model.graph.node if node.op_type == "GlobalAveragePool")
        pool = next(pools, None)
        if pool is None:
            sys.exit(f"bench/cpu.py: {mobilenet} has no GlobalAveragePool, where MobileNetV2 ends")
        return f"{mobilenet.name} to its last map", plain(model, pool.input[0]), pool.input[0]
    title, end, lighter = NETWORKS[name]
    if lighter:
        return title, plain(light.light(lighter, end=end), end), end
    return title, plain(onnx.load(registry.FOLDER / "squeezenet1.1.onnx"), end), end


def plain(model: ModelProto, end: str) -> ModelProto:
    """The model up to a blob, for pictures of any size, with all its weights as float32.

    Weights are no inputs, as in old files: onnxruntime would take them for variables.
    """
    short = cut(model, end)
    graph = short.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            tensors[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Cast" and node.input[0] in tensors:
            array = numpy_helper.to_array(tensors[node.input[0]])
            kind = helper.get_node_attr_value(node, "to")
            dtype = helper.tensor_dtype_to_np_dtype(kind)
            tensors[node.output[0]] = numpy_helper.from_array(array.astype(dtype))
        else:
            nodes.append(node)
    for name, tensor in tensors.items():
        tensor.name = name
    picture = picture_input(short)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in tensors.items() if name in read]
    sizes = (1, 3, None, None)
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(picture, TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        kept,
    )
    return helper.make_model(made, opset_imports=short.opset_import, ir_version=8)


def module_of(model: ModelProto, end: str, own_lrn: bool = False) -> Any:
    """The network in PyTorch, its forward one line a layer, as a file of its own can hold it."""
    module = torch.fx.symbolic_trace(Layers(model, end, own_lrn)).float()
    for node in module.graph.nodes:
        node.type = None  # as text, which annotations are here, it cannot be saved
        if "inplace" in node.kwargs and len(node.args[0].users) == 1:
            node.kwargs = {**node.kwargs, "inplace": True}  # as torchvision writes its networks
    module.recompile()
    return module


class Layers(rival.Layers):
    """The network in PyTorch: with MobileNet's Clip, and if wanted with an LRN of its own."""

    def __init__(self, model: ModelProto, end: str, own_lrn: bool) -> None:
        super().__init__(model, end)
        self.own_lrn = own_lrn
        self.steps = [self.bounded(*step) for step in self.steps]

    def bounded(self, kind: str, inputs: Any, output: str, attributes: dict[str, Any]) -> Any:
        """A layer whose bounds are numbers, not arrays."""
        if kind == "Clip" and len(inputs) == 3:
            low, high = (float(getattr(self, self.places[name])) for name in inputs[1:])
            return kind, inputs[:1], output, {"min": low, "max": high}
        return kind, inputs, output, attributes

    def forward(self, x: Any) -> Any:
        values = {self.picture: x}
        for kind, inputs, output, attributes in self.steps:
            operands = [
                getattr(self, self.places[name]) if name in self.places else values[name]
                for name in inputs
            ]
            values[output] = self.layer(kind, attributes, *operands)
        return values[self.end]

    def layer(self, kind: str, attributes: dict[str, Any], *a: Any) -> Any:
        if kind == "Clip":
            return torch.nn.functional.hardtanh(a[0], attributes["min"], attributes["max"])
        if kind == "LRN" and self.own_lrn:
            usual = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
            return lrn(a[0], **(usual | attributes))
        return rival.layer(kind, attributes, *a)
