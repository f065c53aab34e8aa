"""Who runs in bench/cpu.py: each rival makes a call that computes one step, or one blob.

A rival imports what it needs when it is made, and no more: its process is weighed as a whole.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SHIFT = np.array([5, -7])  # rows and columns
LOW, HIGH, STEP = -128.0, 127.0, 1.5  # pictures are 0..255 less 128


class NoRivalError(Exception):
    """A rival cannot be had here."""


@dataclass(frozen=True)
class Task:
    """What is to be computed, from the files that cpu_network.prepare wrote."""

    folder: Path
    network: str
    size: tuple[int, int]  # width, height
    kind: str  # KINDS
    threads: int

    @property
    def label(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        return json.loads(self.file(".json").read_text())

    @property
    def flops(self) -> int:
        """Of the convolutions: two for each product. Going back takes as many as going forth."""
        return self.facts["flops"][self.label] * (2 if self.kind == "step" else 1)

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.network}{ending}"

    def picture(self) -> np.ndarray:
        width, height = self.size
        random = np.random.default_rng(0)
        return random.uniform(LOW, HIGH, (1, 3, height, width)).astype(np.float32)


KINDS = {"step": "A step of DeepDream", "forward": "Forward alone"}

Run = Callable[[], np.ndarray]


def with_oneiro(task: Task, executor: str, precision: str) -> Run:
    """A Plan, as methods run it."""
    import oneiro
    from oneiro.kernels import crew
    from oneiro.objective import l2

    crew.use(task.threads)
    net = oneiro.load(task.file(".onnx"), device="cpu", executor=executor, precision=precision)
    net.preprocessing = oneiro.Preprocess(128.0)
    end, bounds = task.facts["end"], net.preprocessing.bounds(net.channels)

    def dreamt(net: Any, x: Any, shift: Any, step: Any) -> dict[str, Any]:
        return {"x": oneiro.dream_step(net, x, shift, step, {end: l2}, bounds)["x"]}

    def blob(net: Any, x: Any) -> dict[str, Any]:
        return {"x": net.forward({net.input: x}, end=end)[end]}

    feeds: dict[str, Any] = {"x": task.picture()}
    if task.kind == "step":
        unit = net.preprocessing.unit(net.channels)
        feeds |= {"shift": SHIFT, "step": (STEP * unit).astype(np.float32)}
    kinds = {name: (value.dtype, value.shape) for name, value in feeds.items()}
    plan = oneiro.Plan(net, dreamt if task.kind == "step" else blob, **kinds)
    return lambda: plan(**feeds)["x"]


def with_torch(
    task: Task, channels_last: bool = False, own_lrn: bool = False, compiled: bool = False
) -> Run:
    """PyTorch, weights frozen, batch normalisation folded: the gradient is the picture's alone."""
    import torch

    torch.set_num_threads(task.threads)
    if compiled and shutil.which("g++") is None:
        raise NoRivalError("torch.compile needs g++")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    file = task.file("-lrn.pt" if own_lrn else ".pt")
    module = torch.load(file, weights_only=False).to(memory_format=layout)
    if compiled:
        module = torch.compile(module, dynamic=False)
    x = torch.from_numpy(task.picture()).to(memory_format=layout)
    down, across = SHIFT.tolist()

    def dreamt() -> np.ndarray:
        seen = torch.roll(x, (down, across), (2, 3)).contiguous(memory_format=layout)
        top = module(seen.requires_grad_())
        (g,) = torch.autograd.grad(top, seen, top.detach())
        moved = seen.detach() + STEP / g.abs().mean() * g
        return torch.clamp(torch.roll(moved, (-down, -across), (2, 3)), LOW, HIGH).numpy()

    def blob() -> np.ndarray:
        with torch.inference_mode():
            return module(x).numpy()

    return dreamt if task.kind == "step" else blob


def with_onnxruntime(task: Task) -> Run:
    """The step that oneiro exported for this size, or the network's own file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.log_severity_level = 3
    # threads that spin after a run would slow the next rival down
    options.add_session_config_entry("session.force_spinning_stop", "1")
    file = task.file(f"-step-{task.label}.onnx" if task.kind == "step" else ".onnx")
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(file, options, providers=providers)
    feeds: dict[str, Any] = {task.facts["input"]: task.picture()}
    if task.kind == "step":
        feeds = {"data": task.picture(), "shift": SHIFT, "step": np.array(STEP, np.float32)}
    wanted = [session.get_outputs()[0].name]
    return lambda: session.run(wanted, feeds)[0]


class Rival(NamedTuple):
    title: str
    make: Callable[[Task], Run]  # raises NoRivalError


JUDGE = "eager"  # the others have to agree with it, and are measured by it
RIVALS = {
    "fast": Rival(
        "oneiro, fast", functools.partial(with_oneiro, executor="fast", precision="auto")
    ),
    "exact": Rival(
        "oneiro, fast, no Winograd",
        functools.partial(with_oneiro, executor="fast", precision="exact"),
    ),
    "numpy": Rival(
        "oneiro, NumPy alone",
        functools.partial(with_oneiro, executor="numpy", precision="auto"),
    ),
    JUDGE: Rival("torch eager", with_torch),
    "channels-last": Rival(
        "torch eager, channels last", functools.partial(with_torch, channels_last=True)
    ),
    "own-lrn": Rival(
        "torch eager, channels last, own LRN",
        functools.partial(with_torch, channels_last=True, own_lrn=True),
    ),
    "compile": Rival("torch.compile", functools.partial(with_torch, compiled=True)),
    "compile-channels-last": Rival(
        "torch.compile, channels last",
        functools.partial(with_torch, channels_last=True, compiled=True),
    ),
    "onnxruntime": Rival("onnxruntime", with_onnxruntime),
}
TORCH = [name for name, rival in RIVALS.items() if rival.title.startswith("torch")]
