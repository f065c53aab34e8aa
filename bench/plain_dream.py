"""The dream of `oneiro dream PHOTO OUT`, as one would write it with PyTorch alone.

`python bench/plain_dream.py NET.onnx PHOTO OUT` is what bench/first_picture.py races against: the
weights of the embedded SqueezeNet 1.1 from its file, the network as F's functions, and the octaves,
steps, sizes and jitter that oneiro chooses for it. It knows no other network.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from PIL import Image

ENDS = {"fire5/concat": 1.0, "fire7/concat": 3.0}  # half the sum of squares of each, weighted
MEAN = (104.0, 117.0, 123.0)  # BGR
OCTAVE_SCALE, ITER_N, STEP, SIGMA, JITTER, SMALLEST = 1.4, 10, 1.6, 0.5, 32, 110


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("net", "photo", "out"):
        parser.add_argument(name)
    parser.add_argument("--channels-last", action="store_true")
    asked = parser.parse_args()
    layout = torch.channels_last if asked.channels_last else torch.contiguous_format

    begun = time.monotonic()
    net = Net(asked.net, layout)
    mean = torch.tensor(MEAN).reshape(1, 3, 1, 1)
    photo = np.asarray(Image.open(asked.photo).convert("RGB"), np.float32)
    x = torch.from_numpy(photo[None, :, :, ::-1].transpose(0, 3, 1, 2).copy()) - mean
    bases = [x]
    side = min(x.shape[2:])
    for _ in range(int(math.log(side / SMALLEST) / math.log(OCTAVE_SCALE))):
        bases.append(zoomed(bases[-1], [round(n / OCTAVE_SCALE) for n in bases[-1].shape[2:]]))

    random = np.random.RandomState(0)
    detail = torch.zeros_like(bases[-1])
    for k, base in enumerate(bases[::-1], 1):
        h, w = base.shape[2:]
        x = (base + zoomed(detail, [h, w])).contiguous(memory_format=layout)
        for _ in range(ITER_N):
            across, down = random.randint(-JITTER, JITTER + 1, 2).tolist()
            rolled = torch.roll(x, (down, across), (2, 3)).requires_grad_()
            value = net.objective(rolled)
            (g,) = torch.autograd.grad(value, rolled)
            g = blurred(g)
            moved = rolled.detach() + STEP / g.abs().mean() * g
            x = torch.roll(moved, (-down, -across), (2, 3))
            x = torch.minimum(torch.maximum(x, -mean), 255 - mean)
        detail = x - base
        text = f"octave {k}/{len(bases)} of {w}x{h} px, objective {value.item():.4g}"
        print(f"{text}, {time.monotonic() - begun:.1f} s", flush=True)

    dream = (bases[0] + detail + mean)[0].numpy().transpose(1, 2, 0)[:, :, ::-1]
    Image.fromarray(dream.round().clip(0, 255).astype(np.uint8)).save(asked.out)


class Net:
    """SqueezeNet up to the last of the blobs that are climbed."""

    def __init__(self, path: str, layout: Any) -> None:
        graph = onnx.load(path).graph
        self.weights = {
            t.name: torch.tensor(numpy_helper.to_array(t)).contiguous(
                memory_format=layout if len(t.dims) == 4 else torch.contiguous_format
            )
            for t in graph.initializer
        }
        self.picture = graph.input[0].name
        self.nodes = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            self.nodes.append((node.op_type, node.input, node.output[0], attributes))

    def objective(self, x: Any) -> Any:
        values, total = {self.picture: x, **self.weights}, 0.0
        wanted = dict(ENDS)
        for kind, inputs, output, attributes in self.nodes:
            values[output] = y = layer(kind, attributes, [values[name] for name in inputs])
            if output in wanted:
                total = total + wanted.pop(output) * 0.5 * (y * y).sum()
            if not wanted:
                return total
        raise KeyError(*wanted)


def layer(kind: str, attributes: dict[str, Any], a: list[Any]) -> Any:
    match kind:
        case "Conv":
            pads = attributes.get("pads", (0, 0))[:2]
            return F.conv2d(*a, stride=attributes.get("strides", 1), padding=pads)
        case "Relu":
            return F.relu(*a, inplace=True)
        case "MaxPool":
            pads = attributes.get("pads", (0, 0, 0, 0))
            # Caffe's rounding up is written as more padding at the end: PyTorch knows the mode
            ceil = bool(attributes.get("ceil_mode")) or pads[:2] != pads[2:]
            size, strides = attributes["kernel_shape"], attributes["strides"]
            return F.max_pool2d(*a, size, strides, pads[:2], ceil_mode=ceil)
        case "Concat":
            return torch.cat(a, attributes["axis"])
    raise NotImplementedError(kind)


def zoomed(x: Any, size: list[int]) -> Any:
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def blurred(g: Any) -> Any:
    """By a Gaussian of SIGMA pixels that wraps at the borders."""
    radius = int(4 * SIGMA + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / SIGMA) ** 2)
    weights = (weights / weights.sum()).expand(3, 1, 1, -1)
    wide = F.pad(g, (radius,) * 4, mode="circular")
    return F.conv2d(F.conv2d(wide, weights, groups=3), weights.transpose(2, 3), groups=3)


if __name__ == "__main__":
    main()
