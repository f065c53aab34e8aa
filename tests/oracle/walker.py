"""ONNX walked node by node with torch: the judge of activations, gradients and ReLU rules.

Every operator is written from the ONNX specification, without a look at the engine. Floating
point of any width becomes `dtype`; integers stay int64. An operator's function takes the ONNX
inputs in order (None where one is left out) and the attributes by name, so an attribute that it
does not know is a TypeError, not a wrong number.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Literal

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import ModelProto, numpy_helper
from torch import Tensor

from oracle.runtime import picture_input

Rule = Literal["gradient", "guided", "deconv"]


def run(
    model: ModelProto,
    inputs: Mapping[str, Any],
    end: str | Sequence[str],
    dtype: torch.dtype = torch.float64,
    rule: Rule = "gradient",
) -> dict[str, Tensor]:
    """Every tensor that the blobs `end` need: inputs, constants and what the nodes compute.

    `inputs` are arrays or tensors; a tensor that requires a gradient can be differentiated to,
    under `rule` at every rectifier.
    """
    wanted = {end} if isinstance(end, str) else set(end)
    nodes = []
    for node in reversed(model.graph.node):
        if not wanted.isdisjoint(node.output):
            nodes.append(node)
            wanted.update(node.input)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))

    values = {
        tensor.name: to_torch(numpy_helper.to_array(tensor), dtype)
        for tensor in model.graph.initializer
        if tensor.name in wanted
    }
    values.update({name: to_torch(value, dtype) for name, value in inputs.items()})
    for node in reversed(nodes):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        if node.op_type in VERSIONED:
            attributes["opset"] = opset
        if node.op_type in RECTIFIERS:
            attributes["rule"] = rule
        if node.op_type in CREATORS:
            attributes["dtype"] = dtype
        operands = [values[name] if name else None for name in node.input]
        result = OPERATORS[node.op_type](*operands, **attributes)
        results = result if isinstance(result, tuple) else (result,)
        values.update(zip(node.output, results, strict=False))
    return values


def gradient(
    model: ModelProto,
    x: np.ndarray,
    end: str | Sequence[str],
    seed: np.ndarray | Sequence[np.ndarray] | None = None,
    rule: Rule = "gradient",
    dtype: torch.dtype = torch.float64,
) -> np.ndarray:
    """What arrives at the picture `x` when the diff `seed` is sent back from the blob `end`.

    Without a seed, each blob's diff is its data: the gradient of the sum of 1/2 ||a_end||^2. For
    several ends give one seed each.
    """
    ends = [end] if isinstance(end, str) else list(end)
    picture = torch.tensor(x, dtype=dtype, requires_grad=True)
    values = run(model, {picture_input(model): picture}, ends, dtype, rule)
    blobs = [values[name] for name in ends]
    if seed is None:
        seeds = [blob.detach() for blob in blobs]
    else:
        given = [seed] if isinstance(end, str) else seed
        seeds = [torch.as_tensor(diff, dtype=dtype) for diff in given]
    (diff,) = torch.autograd.grad(blobs, picture, seeds)
    return diff.numpy()


def gradients(
    model: ModelProto, x: np.ndarray, ends: Sequence[str], rule: Rule = "gradient"
) -> dict[str, np.ndarray]:
    """For each of `ends` alone, the gradient of 1/2 ||a_end||^2 at the picture `x`."""
    picture = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    values = run(model, {picture_input(model): picture}, ends, rule=rule)
    blobs = {end: values[end] for end in ends}
    return {
        end: torch.autograd.grad(blob, picture, blob.detach(), retain_graph=True)[0].numpy()
        for end, blob in blobs.items()
    }


def to_torch(value: Any, dtype: torch.dtype) -> Tensor:
    """`value` as a tensor: floats become `dtype`, everything else int64."""
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    return tensor.to(dtype if tensor.is_floating_point() else torch.int64)


# Rectifiers: the only operators that a rule changes.


class Rectify(torch.autograd.Function):
    """y as a function of x with the slope dy/dx, sent back by a rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, slope: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(slope)
        ctx.rule = rule
        return y.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        if ctx.rule == "gradient":
            dx = dy * slope
        elif ctx.rule == "guided":
            dx = (dy * slope).clamp(min=0)
        else:
            dx = dy.clamp(min=0)
        return dx, None, None, None


def leaky(x: Tensor, negative_slope: float | Tensor, rule: Rule) -> Tensor:
    slope = torch.where(x > 0, torch.ones_like(x), negative_slope * torch.ones_like(x)).detach()
    return Rectify.apply(x, x.detach() * slope, slope, rule)


def relu(x: Tensor, *, rule: Rule) -> Tensor:
    return leaky(x, 0.0, rule)


def leaky_relu(x: Tensor, *, alpha: float = 0.01, rule: Rule) -> Tensor:
    return leaky(x, alpha, rule)


def prelu(x: Tensor, slope: Tensor, *, rule: Rule) -> Tensor:
    return leaky(x, slope, rule)


def clip(
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    *,
    rule: Rule,
    min: float = -math.inf,
    max: float = math.inf,
) -> Tensor:
    """Opset 6 gives the bounds as attributes, opset 11 as inputs. A rectifier if min is 0."""
    bottom = float(min if low is None else low)
    top = float(max if high is None else high)
    if bottom != 0:
        rule = "gradient"
    slope = ((x > bottom) & (x < top)).to(x.dtype)
    return Rectify.apply(x, x.detach().clamp(bottom, top), slope, rule)


# Windows: convolutions and pools.


def window_pads(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,
    auto_pad: str,
) -> list[int]:
    """Padding as ONNX writes it: (top, left, bottom, right)."""
    if auto_pad in ("NOTSET", ""):
        return list(pads) if pads else [0, 0, 0, 0]
    if auto_pad == "VALID":
        return [0, 0, 0, 0]
    begin, end = [], []
    for length, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((math.ceil(length / s) - 1) * s + (k - 1) * d + 1 - length, 0)
        begin.append(total // 2 if auto_pad == "SAME_UPPER" else total - total // 2)
        end.append(total - begin[-1])
    return begin + end


def frame(x: Tensor, pads: Sequence[int], value: float) -> Tensor:
    """x with a border of `value`; a negative pad crops."""
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    border = window_pads(x, weight.shape[2:], strides, dilations, pads, auto_pad)
    padded = frame(x, border, 0.0)
    return F.conv2d(padded, weight, bias, tuple(strides), 0, tuple(dilations), group)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    strides: Sequence[int] = (1, 1),
) -> Tensor:
    return F.conv_transpose2d(x, weight, bias, tuple(strides))


def overhang(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    ceil_mode: int,
) -> list[int]:
    """(0, 0, bottom, right): what to add to a padded x so that the last windows just fit.

    Rounding up, the last window may hang over the border, but one that would start beyond x and
    its leading pad is dropped, as Caffe does. Negative: the rest that no window reaches.
    """
    begin, end = pads[:2], pads[2:]
    rest = [0, 0]
    for i, length in enumerate(x.shape[2:]):
        reach = (kernel[i] - 1) * dilations[i] + 1
        padded = length + begin[i] + end[i]
        if ceil_mode:
            count = math.ceil((padded - reach) / strides[i]) + 1
            if (count - 1) * strides[i] >= length + begin[i]:
                count -= 1
        else:
            count = (padded - reach) // strides[i] + 1
        rest.append((count - 1) * strides[i] + reach - padded)
    return rest


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] = (1, 1),
    ceil_mode: int = 0,
    storage_order: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    border = window_pads(x, kernel_shape, strides, dilations, pads, auto_pad)
    rest = overhang(x, kernel_shape, strides, dilations, border, ceil_mode)
    padded = frame(frame(x, border, -math.inf), rest, -math.inf)
    return F.max_pool2d(padded, tuple(kernel_shape), tuple(strides), 0, tuple(dilations))


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] = (1, 1),
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """The sum of a window over the count of its cells: of x, or of x and its declared pads."""
    border = window_pads(x, kernel_shape, strides, dilations, pads, auto_pad)
    rest = overhang(x, kernel_shape, strides, dilations, border, ceil_mode)
    ones = x.new_ones(1, 1, *kernel_shape)

    def window_sum(padded: Tensor) -> Tensor:
        planes = frame(padded, rest, 0.0).flatten(0, 1).unsqueeze(1)
        return F.conv2d(planes, ones, None, tuple(strides), 0, tuple(dilations)).squeeze(1)

    cells = frame(x.new_ones(1, 1, *x.shape[2:]), border, float(count_include_pad))
    mean = window_sum(frame(x, border, 0.0)) / window_sum(cells)
    return mean.unflatten(0, x.shape[:2])


def global_average_pool(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, x.shape[2:])


# Normalisation.


def lrn(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """The window of channel c reaches from c - floor((size-1)/2) to c + ceil((size-1)/2)."""
    before = (size - 1) // 2
    squares = F.pad(x * x, (0, 0, 0, 0, before, size - 1 - before))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (bias + alpha / size * total) ** beta


def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
) -> Tensor:
    scale, bias, mean, variance = (t[:, None, None] for t in (scale, bias, mean, variance))
    return (x - mean) / torch.sqrt(variance + epsilon) * scale + bias


def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, axis: int = -1, epsilon: float = 1e-5
) -> Tensor:
    return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)


def softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Before opset 13: over all axes from `axis` on, as one."""
    if opset >= 13:
        return torch.softmax(x, -1 if axis is None else axis)
    return torch.softmax(flatten(x, axis=1 if axis is None else axis), 1).reshape(x.shape)


# Arithmetic.


def divide(x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def add_all(*terms: Tensor) -> Tensor:
    return reduce(torch.add, terms)


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    product = alpha * (a.T if transA else a) @ (b.T if transB else b)
    return product if c is None else product + beta * c


def reduce_mean(
    x: Tensor,
    operand: Tensor | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> Tensor:
    """Opset 18 turned the attribute `axes` into an input."""
    over = operand.tolist() if operand is not None else axes
    if not over:
        if noop_with_empty_axes:
            return x
        over = range(x.ndim)
    return x.mean(tuple(over), keepdim=bool(keepdims))


# Shapes.


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    return x.reshape(math.prod(x.shape[: axis % (x.ndim + 1)] if axis else ()), -1)


def reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    sizes = shape.tolist()
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    return x.permute(tuple(perm) if perm else tuple(range(x.ndim))[::-1])


def squeeze(
    x: Tensor, operand: Tensor | None = None, *, axes: Sequence[int] | None = None
) -> Tensor:
    """Opset 13 turned the attribute `axes` into an input; without either, all axes of length 1."""
    if operand is not None:
        axes = operand.tolist()
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def unsqueeze(
    x: Tensor, operand: Tensor | None = None, *, axes: Sequence[int] | None = None
) -> Tensor:
    places = operand.tolist() if operand is not None else list(axes or ())
    ndim = x.ndim + len(places)
    for place in sorted(place % ndim for place in places):
        x = x.unsqueeze(place)
    return x


def concat(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, axis)


def shape_of(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def split(x: Tensor, sizes: Tensor, *, axis: int = 0) -> tuple[Tensor, ...]:
    return torch.split(x, sizes.tolist(), axis)


def slice_of(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor) -> Tensor:
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist(), strict=True):
        x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
    return x


def expand(x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    axis %= x.ndim
    indices = indices % x.shape[axis]
    taken = x.index_select(axis, indices.flatten())
    return taken.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def pad(
    x: Tensor,
    widths: Tensor | None = None,
    constant: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    pads: Sequence[int] | None = None,
    value: float = 0.0,
    mode: str = "constant",
) -> Tensor:
    """Opset 11 turned `pads` and `value` into inputs; opset 18 added `axes`."""
    amounts = widths.tolist() if widths is not None else list(pads or ())
    fill = float(constant) if constant is not None else value
    chosen = axes.tolist() if axes is not None else range(x.ndim)
    count = len(amounts) // 2
    for axis, before, after in zip(chosen, amounts[:count], amounts[count:], strict=True):
        if mode == "constant":
            behind = x.ndim - 1 - axis % x.ndim
            x = F.pad(x, [0, 0] * behind + [before, after], value=fill)
        else:
            source = np.pad(np.arange(x.shape[axis]), (before, after), mode)
            x = x.index_select(axis, torch.from_numpy(source))
    return x


def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
) -> Tensor:
    """Opset 11 on, nearest and linear: one small matrix (new length, old length) for each axis."""
    for axis in range(x.ndim):
        old = x.shape[axis]
        if scales is not None and scales.numel():
            scale = float(scales[axis])
            new = math.floor(old * scale)
        else:
            new = int(sizes[axis])
            scale = new / old
        if scale == 1:
            continue
        place = source_place(np.arange(new), old, new, scale, coordinate_transformation_mode)
        matrix = x.new_zeros(new, old)
        rows = torch.arange(new)
        if mode == "nearest":
            nearest = ROUNDINGS[nearest_mode](place).clip(0, old - 1).astype(np.int64)
            matrix[rows, torch.from_numpy(nearest)] = 1
        elif mode == "linear":
            place = place.clip(0, old - 1)
            low = np.floor(place).astype(np.int64)
            high = np.minimum(low + 1, old - 1)
            share = torch.from_numpy(place - low).to(x.dtype)
            matrix[rows, torch.from_numpy(low)] += 1 - share
            matrix[rows, torch.from_numpy(high)] += share
        else:
            raise NotImplementedError(f"Resize mode {mode}")
        x = torch.movedim(torch.tensordot(matrix, x, ([1], [axis])), 0, axis)
    return x


def source_place(index: np.ndarray, old: int, new: int, scale: float, mode: str) -> np.ndarray:
    """Where on the old axis the new cell `index` takes its value from."""
    if mode == "half_pixel":
        return (index + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return (index + 0.5) / scale - 0.5 if new > 1 else index * 0.0
    if mode == "align_corners":
        return index * (old - 1) / max(new - 1, 1)
    if mode == "asymmetric":
        return index / scale
    raise NotImplementedError(f"Resize by {mode}")


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


# Constants and tensors that pass through.


def identity(x: Tensor) -> Tensor:
    return x


def dropout(x: Tensor, *unused: Tensor, ratio: float = 0.5, seed: int = 0) -> Tensor:
    return x


def cast(x: Tensor, *, to: int, dtype: torch.dtype) -> Tensor:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    return x.to(dtype if to in floats else torch.int64)


def constant(*, dtype: torch.dtype, **form: Any) -> Tensor:
    """One attribute: value, or value_float, value_ints and so on."""
    (value,) = form.values()
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    return to_torch(array, dtype)


def constant_of_shape(
    shape: Tensor, *, value: onnx.TensorProto | None = None, dtype: torch.dtype
) -> Tensor:
    fill = to_torch(numpy_helper.to_array(value) if value is not None else np.zeros(1), dtype)
    return fill.expand(shape.tolist())


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": torch.add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": divide,
    "Dropout": dropout,
    "Erf": torch.erf,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": leaky_relu,
    "MatMul": torch.matmul,
    "MaxPool": max_pool,
    "Mul": torch.mul,
    "PRelu": prelu,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "Shape": shape_of,
    "Sigmoid": torch.sigmoid,
    "Slice": slice_of,
    "Softmax": softmax,
    "Split": split,
    "Sqrt": torch.sqrt,
    "Squeeze": squeeze,
    "Sub": torch.sub,
    "Sum": add_all,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
VERSIONED = {"Softmax"}  # the meaning changed under the same attributes
RECTIFIERS = {"Relu", "LeakyRelu", "PRelu", "Clip"}
CREATORS = {"Cast", "Constant", "ConstantOfShape"}
