"""What bench/network.py measures oneiro against: the same network in PyTorch, and in onnxruntime.

A network is written in PyTorch as its author would have: one functional call a layer, batch
normalisation folded into the convolution before it, weights frozen, the gradient that of the
picture alone. Each way to run it is a Rival.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import ModelProto, TensorProto, helper, numpy_helper
from timing import NoRivalError, Rival

from oracle.runtime import cut, picture_input

WARM_UPS = 3
SCALE = 1 / 64  # of what is sent back in half, which would overflow
DTYPES = {"exact": torch.float32, "tf32": torch.float32, "half": torch.float16}


class Layers(torch.nn.Module):
    """The nodes of an ONNX model on their way to `end`, in float64 until it is put elsewhere."""

    def __init__(self, model: ModelProto, end: str, precision: str = "exact") -> None:
        super().__init__()
        self.precision = precision
        graph = cut(model, end).graph
        weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
        nodes = folded(list(graph.node), weights)
        self.picture, self.end = picture_input(model), end
        read = {name for node in nodes for name in node.input}
        self.places = {name: f"w{k}" for k, name in enumerate(weights) if name in read}
        for name, place in self.places.items():
            weight = torch.from_numpy(weights[name])
            self.register_parameter(place, torch.nn.Parameter(weight, requires_grad=False))
        self.steps = [
            (
                node.op_type,
                tuple(node.input),
                node.output[0],
                {a.name: helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in nodes
        ]

    def forward(self, x: Any) -> Any:
        values = {self.picture: x}
        for kind, inputs, output, attributes in self.steps:
            operands = [
                getattr(self, self.places[name]) if name in self.places else values[name]
                for name in inputs
            ]
            if kind == "LRN" and self.precision == "half":
                # the squares are beyond what half holds
                values[output] = layer(kind, attributes, operands[0].float()).half()
            else:
                values[output] = layer(kind, attributes, *operands)
        return values[self.end]


def folded(nodes: list[Any], weights: dict[str, np.ndarray]) -> list[Any]:
    """The nodes without the batch normalisations right behind convolutions, whose weights do it."""
    makers = {node.output[0]: node for node in nodes}
    readers = [name for node in nodes for name in node.input]
    kept = []
    for node in nodes:
        before = makers.get(node.input[0]) if node.input else None
        foldable = node.op_type == "BatchNormalization" and before is not None
        if not foldable or before.op_type != "Conv" or readers.count(before.output[0]) > 1:
            kept.append(node)
            continue
        scale, shift, mean, variance = (weights[name] for name in node.input[1:])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        gain = scale / np.sqrt(variance + epsilon)
        filters, *bias = before.input[1:]
        names = [f"{node.output[0]} filters", f"{node.output[0]} bias"]
        weights[names[0]] = weights[filters] * gain.reshape(-1, 1, 1, 1)
        weights[names[1]] = shift + gain * ((weights[bias[0]] if bias else 0) - mean)
        one = type(before)()
        one.CopyFrom(before)
        del one.input[1:]
        one.input.extend(names)
        one.output[0] = node.output[0]
        kept[kept.index(before)] = one
        makers[node.output[0]] = one
    return kept


def layer(kind: str, attributes: dict[str, Any], *a: Any) -> Any:
    """One layer, as users of PyTorch call it."""
    strides = tuple(attributes.get("strides", (1, 1)))
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    match kind:
        case "Conv":
            if pads[:2] != pads[2:]:
                a = (F.pad(a[0], (pads[1], pads[3], pads[0], pads[2])), *a[1:])
                pads = (0, 0, 0, 0)
            dilations = tuple(attributes.get("dilations", (1, 1)))
            bias = a[2] if len(a) > 2 else None
            group = attributes.get("group", 1)
            return F.conv2d(a[0], a[1], bias, strides, pads[:2], dilations, group)
        case "MaxPool":
            # Caffe's rounding up is written as more padding at the end: torch knows the mode
            ceil = bool(attributes.get("ceil_mode")) or pads[:2] != pads[2:]
            kernel = tuple(attributes["kernel_shape"])
            return F.max_pool2d(a[0], kernel, strides, pads[:2], ceil_mode=ceil)
        case "BatchNormalization":
            epsilon = attributes.get("epsilon", 1e-5)
            return F.batch_norm(a[0], a[3], a[4], a[1], a[2], eps=epsilon)
        case "LRN":
            numbers = (attributes.get("alpha", 1e-4), attributes.get("beta", 0.75))
            k = attributes.get("bias", 1.0)
            return F.local_response_norm(a[0], attributes["size"], *numbers, k)
        case "Relu":
            return F.relu(a[0])
        case "Concat":
            return torch.cat(a, attributes["axis"])
        case "Sum" | "Add":
            return sum(a[1:], a[0])
        case "Dropout" | "Identity":
            return a[0]
    raise NotImplementedError(f"bench/rival.py has no PyTorch for {kind}")


def module_of(model: ModelProto, end: str, precision: str = "exact") -> Any:
    """The network as a module whose forward is one line a layer, written by torch.fx."""
    return torch.fx.symbolic_trace(Layers(model, end, precision))


def where(device: str) -> str:
    """PyTorch's device beside ours."""
    if device != "cuda":
        return "cpu"
    if not torch.cuda.is_available():
        raise NoRivalError("PyTorch finds no GPU")
    return "cuda"


def allow_tf32(precision: str) -> dict[str, Any]:
    """Set what PyTorch may do; says how it is set."""
    tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    return {
        "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "dtype": str(DTYPES[precision]),
    }


# The gradient of half the sum of squares


def gradient(module: Any, x: Any) -> tuple[Any, Any]:
    """Half the sum of squares of the network's end, and its gradient in the picture x."""
    top = module(x)
    if x.dtype != torch.float16:
        value = 0.5 * top.square().sum()
        return value, torch.autograd.grad(value, x)[0]
    value = (0.5 * SCALE) * top.float().square().sum()
    (g,) = torch.autograd.grad(value, x)
    return value / SCALE, g.float() / SCALE


def gradient_rivals(
    module: Any, shape: tuple[int, ...], precision: str, where: str
) -> dict[str, Callable[[], Rival]]:
    """The ways to have it by PyTorch, each as a call that prepares it."""

    def prepare(layout: Any, as_graph: bool) -> Rival:
        one, x = placed(module, shape, precision, where, layout)
        run = functools.partial(gradient, one, x)
        return Rival(functools.partial(fill, x), captured(run) if as_graph else run, last)

    return in_both_layouts(prepare)


def compiled(module: Any, shape: tuple[int, ...], precision: str, where: str, mode: str) -> Rival:
    """torch.compile in this mode; it compiles here and now, which may take minutes."""
    layout = torch.contiguous_format if precision == "exact" else torch.channels_last
    one, x = placed(module, shape, precision, where, layout)
    fast = torch.compile(one, mode=mode)

    def run() -> tuple[Any, Any]:
        torch.compiler.cudagraph_mark_step_begin()
        return gradient(fast, x)

    for _ in range(WARM_UPS):
        run()
    return Rival(functools.partial(fill, x), run, last)


def placed(
    module: Any, shape: tuple[int, ...], precision: str, where: str, layout: Any
) -> tuple[Any, Any]:
    """A copy of the network in this type and layout, and a picture to differentiate to."""
    one = copy.deepcopy(module).to(where, DTYPES[precision], memory_format=layout)
    x = torch.zeros(shape, dtype=DTYPES[precision], device=where).to(memory_format=layout)
    return one, x.requires_grad_()


# A step of DeepDream


def step_rivals(
    module: Any,
    shape: tuple[int, ...],
    precision: str,
    where: str,
    feeds: dict[str, np.ndarray],
) -> dict[str, Callable[[], Rival]]:
    """The ways to take oneiro.dream_step by PyTorch, each as a call that prepares it.

    The picture is float32. `feeds` are shift, step, low and high.
    """
    shift = feeds["shift"].tolist()

    def roll(x: Any, sign: int) -> Any:
        return torch.roll(x, (sign * shift[0], sign * shift[1]), (2, 3))

    def roll_by_memory(x: Any, sign: int) -> Any:
        """A shift that stands in the GPU's memory: one graph serves all."""
        for axis, along, moved in zip((2, 3), indices, moving):
            x = x.index_select(axis, (along - sign * moved) % len(along))
        return x

    indices = [torch.arange(n, device=where) for n in shape[2:]]
    moving = torch.tensor(shift, device=where)
    size, low, high = (torch.from_numpy(feeds[key]).to(where) for key in ("step", "low", "high"))

    def prepare(layout: Any, as_graph: bool) -> Rival:
        one, _ = placed(module, shape, precision, where, layout)
        x = torch.zeros(shape, device=where).to(memory_format=layout)
        shifted = roll_by_memory if as_graph else roll

        def run() -> tuple[Any, Any]:
            seen = shifted(x, 1)
            value, g = gradient(one, seen.to(DTYPES[precision]).requires_grad_())
            moved = seen.detach() + size / g.abs().mean() * g
            return value, torch.clamp(shifted(moved, -1), low, high)

        return Rival(functools.partial(fill, x), captured(run) if as_graph else run, last)

    return in_both_layouts(prepare)


# What they have in common


def in_both_layouts(prepare: Callable[[Any, bool], Rival]) -> dict[str, Callable[[], Rival]]:
    """Eager and as one CUDA graph, each in PyTorch's layout and channels last."""
    layouts = {"": torch.contiguous_format, ", channels last": torch.channels_last}
    return {
        f"torch {way}{name}": functools.partial(prepare, layout, way == "graph")
        for way in ("eager", "graph")
        for name, layout in layouts.items()
    }


def captured(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same work as one CUDA graph; what it returns is overwritten by the next call."""
    if not torch.cuda.is_available():
        raise NoRivalError("CUDA graphs want a GPU")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = run()

    def replay() -> Any:
        graph.replay()
        return results

    return replay


def fill(x: Any, picture: np.ndarray) -> None:
    """Write a picture where a rival reads it."""
    with torch.no_grad():
        x.copy_(torch.from_numpy(picture))


def last(results: Any) -> np.ndarray:
    """The last of the results, on the host."""
    return results[-1].detach().double().cpu().numpy()


def exact(module: Any, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The blob and the gradient of a module in float64, where its weights are."""
    where = next(module.parameters()).device
    x = torch.tensor(picture, dtype=torch.float64, device=where, requires_grad=True)
    top = module(x)
    (g,) = torch.autograd.grad(top, x, top.detach())
    return last([top]), last([g])


def blob(module: Any, precision: str, where: str, picture: np.ndarray) -> np.ndarray:
    """The blob at this precision."""
    one, x = placed(module, picture.shape, precision, where, torch.contiguous_format)
    fill(x, picture)
    with torch.no_grad():
        return last([one(x)])


def kernels(module: Any, shape: tuple[int, ...], precision: str, where: str) -> int | None:
    """How many kernels an eager gradient runs on the GPU; None without one."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    if where == "cpu":
        return None
    one, x = placed(module, shape, precision, where, torch.contiguous_format)
    gradient(one, x)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        gradient(one, x)
        torch.cuda.synchronize()
    return sum(event.device_type == DeviceType.CUDA for event in profiled.events())


def peak_bytes(module: Any, shape: tuple[int, ...], precision: str, where: str) -> int | None:
    """What an eager gradient takes of the GPU's memory beside the weights."""
    if where == "cpu":
        return None
    one, x = placed(module, shape, precision, where, torch.channels_last)
    gradient(one, x)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    gradient(one, x)
    return torch.cuda.max_memory_allocated() - before


def release() -> None:
    """Give back the memory that nobody uses."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_onnxruntime(model: ModelProto, end: str, shape: tuple[int, ...], precision: str) -> Rival:
    """The blob `end` by onnxruntime on the GPU, from a picture that is there already."""
    try:
        import onnxruntime
    except ImportError:
        raise NoRivalError("onnxruntime is not installed") from None
    if precision == "half":
        raise NoRivalError("onnxruntime computes in the file's type, float32")
    short = cut(model, end)
    name = picture_input(short)
    for given in short.graph.input:
        if given.name == name:
            given.type.tensor_type.ClearField("shape")
    del short.graph.output[:]
    short.graph.output.append(helper.make_tensor_value_info(end, TensorProto.FLOAT, None))
    providers = [("CUDAExecutionProvider", {"use_tf32": int(precision == "tf32")})]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise NoRivalError("onnxruntime is installed without its CUDA provider")
    session = onnxruntime.InferenceSession(short.SerializeToString(), providers=providers)
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise NoRivalError(f"onnxruntime took {session.get_providers()[0]} instead of CUDA")
    x = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32), "cuda", 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, x)
    binding.bind_output(end, "cuda")

    def run() -> Any:
        session.run_with_iobinding(binding)
        return binding

    def read(result: Any) -> np.ndarray:
        return result.copy_outputs_to_cpu()[0].astype(np.float64)

    return Rival(x.update_inplace, run, read)
