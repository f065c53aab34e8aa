"""Milliseconds of one DeepDream step: `python bench/step.py [MODEL [END]] [--sizes 224 512]`.

The same step (roll, forward, backward to the picture, update, roll back, clip) by a Net, by a Plan
(what deepdream runs on), by the exported ONNX model in onnxruntime, and by eager PyTorch. One
process, rivals interleaved, medians; before anything is timed, all must agree.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import oneiro
from oneiro.objective import l2

Step = Callable[[], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="squeezenet1.1")
    parser.add_argument("end", nargs="?", default="fire7/concat")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    net = oneiro.load(arguments.model)
    print(f"one step of {net.model.name} to {arguments.end}, oneiro {oneiro.__version__}")
    print(f"{'px':>5s} {'':24s}{'median ms':>10s}{'ratio to torch':>16s}")
    for size in arguments.sizes:
        rivals = make_rivals(net, arguments.end, size)
        agree(rivals)
        taken = interleaved(rivals, arguments.rounds)
        for name, ms in taken.items():
            print(f"{size:5d} {name:24s}{ms:10.1f}{ms / taken['torch eager']:16.2f}")


def make_rivals(net: oneiro.Net, end: str, size: int) -> dict[str, Step]:
    """Each rival as a call that returns the picture after one step."""
    bounds = net.known_preprocessing().bounds(net.channels)
    shape = (1, net.channels, size, size)
    x = np.random.default_rng(0).uniform(*bounds, shape).astype(np.float32)
    shift = np.array([5, -7])
    step = np.asarray(1.5 * net.known_preprocessing().unit(net.channels), np.float32)

    def program(net: oneiro.Net, data: Any, shift: Any, step: Any) -> dict[str, Any]:
        return {"x": oneiro.dream_step(net, data, shift, step, {end: l2}, bounds)["x"]}

    kinds = {
        "data": (np.float32, shape),
        "shift": (np.int64, (2,)),
        "step": (np.float32, step.shape),
    }
    plan = oneiro.Plan(net, program, **kinds)
    feeds = {"data": x, "shift": shift, "step": step}
    return {
        "oneiro Net": lambda: program(net, **feeds)["x"],
        "oneiro Plan": lambda: plan(**feeds)["x"],
        "export in onnxruntime": in_onnxruntime(oneiro.export(net, program, **kinds), feeds),
        "torch eager": in_torch(net, end, x, shift, step, bounds),
    }


def in_onnxruntime(model: Any, feeds: dict[str, np.ndarray]) -> Step:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # threads that spin after a run would slow the next rival down
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)
    return lambda: session.run(None, feeds)[0]


def in_torch(net: oneiro.Net, end: str, x: Any, shift: np.ndarray, step: Any, bounds: Any) -> Step:
    import torch
    import torch.nn.functional as F

    constants = {name: torch.from_numpy(np.array(c)) for name, c in net.constants.items()}
    x, step, low, high = (torch.from_numpy(a) for a in (x, step, *bounds))
    down, across = shift.tolist()
    nodes = net.between((net.input,), (net.resolve(end),))

    def layer(node: Any, values: dict[str, Any]) -> Any:
        a = [values.get(b, constants.get(b)) for b in node.bottoms]
        of = node.layer
        match type(of).__name__:
            case "Conv":
                pads = tuple(of.pads[:2]) or 0
                return F.conv2d(*a, stride=tuple(of.strides) or 1, padding=pads)
            case "Relu":
                return F.relu(a[0])
            case "MaxPool":
                pads = list(of.pads) or [0, 0, 0, 0]
                # Caffe's rounding up is written as more padding at the end: torch knows the mode
                ceil = bool(of.ceil_mode) or pads[:2] != pads[2:]
                kernel, strides = tuple(of.kernel_shape), tuple(of.strides)
                return F.max_pool2d(a[0], kernel, strides, tuple(pads[:2]), ceil_mode=ceil)
            case "Concat":
                return torch.cat(a, of.axis)
            case "LRN":
                return F.local_response_norm(a[0], of.size, of.alpha, of.beta, of.bias)
        sys.exit(f"bench/step.py has no torch twin for {type(of).__name__}")

    def run() -> np.ndarray:
        rolled = torch.roll(x, (down, across), (2, 3)).requires_grad_()
        values = {net.input: rolled}
        for node in nodes:
            values[node.tops[0]] = layer(node, values)
        top = values[nodes[-1].tops[0]]
        (g,) = torch.autograd.grad(top, rolled, top.detach())
        moved = rolled.detach() + step / g.abs().mean() * g
        return torch.clamp(torch.roll(moved, (-down, -across), (2, 3)), low, high).numpy()

    return run


def agree(rivals: dict[str, Step]) -> None:
    """All rivals take the same step, ties between equal activations apart."""
    results = {name: run() for name, run in rivals.items()}
    expected = results["torch eager"]
    for name, result in results.items():
        error = np.median(np.abs(result - expected))
        assert error < 1e-4, f"{name} differs from torch by {error} grey values"


def interleaved(rivals: dict[str, Step], rounds: int) -> dict[str, float]:
    """The median time of each, A B C A B C, in milliseconds."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, run in rivals.items():
            begun = time.perf_counter()
            run()
            taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: float(np.median(times)) for name, times in taken.items()}


if __name__ == "__main__":
    main()
