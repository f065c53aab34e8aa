"""Functions of each element on its own, as one CUDA kernel for any expression and any strides.

A table says what NumPy's functions are in C. Several calls may be joined into one expression, and
an expression may stand inside another kernel: that is how a Plan saves passes over memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from .array import (
    DeviceArray,
    contiguous,
    dense,
    house_order,
    is_dense,
    laid_out,
    may_overlap,
    memory_order,
    on_device,
)
from .dispatch import Device, Kernel
from .source import Source, blocks

P = ParamSpec("P")
R = TypeVar("R")

SOURCE = Source("pointwise.cu")
THREADS = 256

C_TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned",
    "int64": "long long",
    "uint64": "unsigned long long",
}  # fmt: skip

# what a ufunc is in C; {0}, {1} stand for its operands
FORMULAS = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.bitwise_and: "{0} & {1}",
    np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}",
    np.greater: "{0} > {1}",
    np.less: "{0} < {1}",
    np.greater_equal: "{0} >= {1}",
    np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.logical_and: "{0} && {1}",
    np.logical_or: "{0} || {1}",
    np.logical_not: "!{0}",
    # NaN in, NaN out, as NumPy has it
    np.maximum: "({0} > {1} || {0} != {0}) ? {0} : {1}",
    np.minimum: "({0} < {1} || {0} != {0}) ? {0} : {1}",
    np.sign: "{0} != {0} ? {0} : ({0} > 0) - ({0} < 0)",
    np.isnan: "{0} != {0}",
    np.isinf: "isinf({0})",
    np.isfinite: "isfinite({0})",
    np.power: "pow({0}, {1})",
    np.fmod: "fmod({0}, {1})",
    # fmod, moved to the side of zero where {1} is
    np.mod: "fmod({0}, {1}) + (fmod({0}, {1}) != 0 && ({0} < 0) != ({1} < 0) ? {1} : 0)",
    np.floor_divide: "floor({0} / {1})",
}  # fmt: skip
FORMULAS |= {
    function: f"{name}({{0}})"
    for function, name in {
        np.exp: "exp",
        np.log: "log",
        np.log1p: "log1p",
        np.expm1: "expm1",
        np.sqrt: "sqrt",
        np.sin: "sin",
        np.cos: "cos",
        np.tan: "tan",
        np.arcsin: "asin",
        np.arccos: "acos",
        np.arctan: "atan",
        np.sinh: "sinh",
        np.cosh: "cosh",
        np.tanh: "tanh",
        np.arcsinh: "asinh",
        np.arccosh: "acosh",
        np.arctanh: "atanh",
        np.floor: "floor",
        np.ceil: "ceil",
        np.rint: "rint",
        np.absolute: "fabs",
    }.items()
}
# of integers and of bools, where those differ
WHOLE = FORMULAS | {
    np.absolute: "{0} < 0 ? -{0} : {0}",
    np.sign: "({0} > 0) - ({0} < 0)",
    # a processor traps on division by 0, and of the smallest number by -1; NumPy has 0 there
    np.power: "(long long)rint(pow((double){0}, (double){1}))",
    np.fmod: "{1} == 0 || {1} == -1 ? 0 : {0} % {1}",
    np.mod: "{1} == 0 || {1} == -1 ? 0 : ({0} % {1} + {1}) % {1}",
    np.floor_divide: (
        "{1} == 0 ? 0 : {1} == -1 ? -{0} : "
        "{0} / {1} - ({0} % {1} != 0 && ({0} < 0) != ({1} < 0))"
    ),
    np.invert: "~{0}",
}  # fmt: skip
LOGICAL = FORMULAS | {np.invert: "!{0}", np.absolute: "{0}"}
BY_KIND = {"f": FORMULAS, "i": WHOLE, "u": WHOLE, "b": LOGICAL}

KERNEL_FORMULAS: dict[Any, str] = {}  # kernels of each element, of floats and of conditions


def pointwise(formula: str) -> Callable[[Kernel[P, R]], Kernel[P, R]]:
    """Decorate a kernel of each element on its own, which is this formula in C."""

    def note(kernel: Kernel[P, R]) -> Kernel[P, R]:
        KERNEL_FORMULAS[kernel] = formula
        kernel.cuda(functools.partial(apply, kernel))
        return kernel

    return note


class Value(NamedTuple):
    """What a step works with: a name in the expression, and its type; numbers have Python's."""

    name: str
    dtype: Any


class Step(NamedTuple):
    """A statement of an expression: a formula of named values, each cast to its type first."""

    function: Any  # what the formula says in C
    formula: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    dtype: str

    def text(self, name: str) -> str:
        cast = [f"(({C_TYPES[t]}){v})" for t, v in zip(self.types, self.names, strict=True)]
        return f"const {C_TYPES[self.dtype]} {name} = {self.formula.format(*cast)};"


def step(function: Any, values: Sequence[Value], dtype: Any = None) -> Step | None:
    """The statement that says what `function` makes of these values, typed as NumPy types it.

    It is a ufunc, np.where, np.ndarray.astype (to `dtype`), or a kernel that is noted as pointwise;
    None for everything else.
    """
    names = tuple(value.name for value in values)
    types = [value.dtype for value in values]
    if function is np.ndarray.astype:
        return Step(function, "{0}", names, (np.dtype(types[0]).name,), np.dtype(dtype).name)
    if function is np.where:
        chosen = np.result_type(*(t(0) if isinstance(t, type) else t for t in types[1:])).name
        return Step(function, "{0} ? {1} : {2}", names, ("bool", chosen, chosen), chosen)
    if function in KERNEL_FORMULAS:
        kind = next(t.name for t in types if t != np.dtype(bool))
        casts = tuple("bool" if t == np.dtype(bool) else kind for t in types)
        return Step(function, KERNEL_FORMULAS[function], names, casts, kind)
    if function not in WHOLE:
        return None
    *takes, gives = function.resolve_dtypes((*types, None))
    formula = BY_KIND[takes[0].kind][function]
    return Step(function, formula, names, tuple(t.name for t in takes), gives.name)


class Operands(NamedTuple):
    """What an expression reads: arrays on the device, and numbers; x0, x1, ... in its steps."""

    values: tuple[Any, ...]

    @classmethod
    def of(cls, values: Sequence[Any], device: Device) -> Operands:
        """NumPy arrays among the values become numbers or go to the device."""
        return cls(tuple(as_operand(value, device) for value in values))

    def named(self) -> list[Value]:
        return [Value(f"v{k}", dtype_of(value)) for k, value in enumerate(self.values)]

    @property
    def arrays(self) -> list[DeviceArray]:
        return [value for value in self.values if isinstance(value, DeviceArray)]


def as_operand(value: Any, device: Device) -> Any:
    """A number stays one, so does an array on the device; a NumPy array of one element is one."""
    if isinstance(value, np.ndarray | np.generic):
        return device.place(value) if np.ndim(value) else np.asarray(value)[()]
    return value


def dtype_of(value: Any) -> Any:
    """The type of an array; of a Python number its class, which follows the types it meets."""
    if isinstance(value, bool):
        return np.dtype(bool)
    return value.dtype if hasattr(value, "dtype") else type(value)


def apply(function: Any, *values: Any, dtype: Any = None) -> DeviceArray:
    """A function of each element, on devices."""
    device = next(value.device for value in values if isinstance(value, DeviceArray))
    operands = Operands.of(values, device)
    made = step(function, operands.named(), dtype)
    assert made, function
    return evaluate((made,), operands)


def evaluate(
    steps: tuple[Step, ...], operands: Operands, out: DeviceArray | None = None
) -> DeviceArray:
    """What the last of the steps gives, in one launch: t0, t1, ... are what they make in turn.

    The result lies in memory as the first operand of its shape does.
    """
    arrays = operands.arrays
    if out is None:
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        alike = next((x for x in arrays if x.shape == shape and is_dense(x)), None)
        order = house_order(len(shape)) if alike is None else memory_order(alike)
        y = laid_out(shape, arrays[0], steps[-1].dtype, order)
    else:
        y, order = out, memory_order(out)
    strides = [broadcast_strides(x, y.shape) for x in (y, *arrays)]
    sizes, strides = merged([y.shape[a] for a in order], [[s[a] for a in order] for s in strides])
    form, numbers = written(steps, operands, sizes, strides)
    grid = blocks(y.size, THREADS)
    SOURCE.launch("pointwise", grid, THREADS, (y, y.size, *numbers), defines=form)
    return y


def broadcast_strides(x: DeviceArray, shape: Sequence[int]) -> list[int]:
    """The strides of x over the axes of a larger shape, 0 where x is repeated."""
    lead = len(shape) - x.ndim
    return [0] * lead + [
        0 if size == 1 else stride for size, stride in zip(x.shape, x.strides, strict=True)
    ]


def merged(
    sizes: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """The same walk over memory with as few axes as possible."""
    kept: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(sizes):
        if size == 1:
            continue
        here = [s[axis] for s in strides]
        if kept and all(s[-1] == n * size for s, n in zip(steps, here, strict=True)):
            kept[-1] *= size
            for s, n in zip(steps, here, strict=True):
                s[-1] = n
        else:
            kept.append(size)
            for s, n in zip(steps, here, strict=True):
                s.append(n)
    return kept, steps


def written(
    steps: tuple[Step, ...],
    operands: Operands,
    sizes: Sequence[int],
    strides: Sequence[Sequence[int]],
) -> tuple[dict[str, str], list[Any]]:
    """The expression as what pointwise.cu wants defined, and the arguments behind y and count.

    `sizes` and `strides` walk over the result and each array.
    """
    parameters: list[str] = []
    numbers: list[Any] = []
    walked = False  # is an element elsewhere than at i?

    def parameter(kind: str, name: str, value: Any) -> str:
        parameters.append(f", {kind} {name}")
        numbers.append(value)
        return name

    def place(name: str, strides: Sequence[int]) -> str:
        nonlocal walked
        if list(strides) == [1]:
            return "i"
        steps = [(axis, stride) for axis, stride in enumerate(strides) if stride]
        walked = walked or bool(steps)
        return " + ".join(f"k{k} * {parameter('int', f'{name}_{k}', n)}" for k, n in steps) or "0"

    there = place("y", strides[0])
    statements = []
    walks = iter(strides[1:])
    for k, value in enumerate(operands.values):
        if isinstance(value, DeviceArray):
            kind = C_TYPES[value.dtype.name]
            array = parameter(f"const {kind}*", f"x{k}", value)
            statements.append(f"const {kind} v{k} = {array}[{place(array, next(walks))}];")
        else:
            number = as_number(value, steps, f"v{k}")
            parameter(C_TYPES[number.dtype.name], f"v{k}", number)
    statements += [made.text(f"t{k}") for k, made in enumerate(steps)]
    coordinates = []
    rest = "i"
    for axis in range(len(sizes) - 1, 0, -1) if walked else ():
        size = parameter("int", f"n{axis}", sizes[axis])
        coordinates.append(f"const int k{axis} = {rest} % {size}, j{axis} = {rest} / {size};")
        rest = f"j{axis}"
    if walked:
        coordinates.append(f"const int k0 = {rest};")
    return {
        "RESULT": C_TYPES[steps[-1].dtype],
        "PARAMETERS": "".join(parameters),
        "COORDINATES": " ".join(coordinates),
        "OPERANDS": " ".join(statements),
        "PLACE": there,
        "EXPRESSION": f"t{len(steps) - 1}",
    }, numbers


def as_number(value: Any, steps: Sequence[Step], name: str) -> Any:
    """A number in the type that the steps cast it to first."""
    for made in steps:
        for used, kind in zip(made.names, made.types, strict=True):
            if used == name:
                return np.dtype(kind).type(value)
    return np.asarray(value)[()]


for ufunc in WHOLE:
    on_device(ufunc)(functools.partial(apply, ufunc))


@on_device(np.where)
def where(condition: Any, a: Any, b: Any) -> DeviceArray:
    return apply(np.where, condition, a, b)


@on_device(np.ndarray.astype)
def astype(x: DeviceArray, dtype: Any) -> DeviceArray:
    return apply(np.ndarray.astype, x, dtype=dtype)


@on_device(np.copyto)
def copyto(to: Any, value: Any) -> None:
    """Write a value, broadcast, to where an array lies."""
    if not isinstance(to, DeviceArray):
        to[...] = np.asarray(value)
        return
    if not isinstance(value, DeviceArray):
        value = np.asarray(value, to.dtype)
    elif may_overlap(to, value):
        value = value.copy()
    operands = Operands.of((value,), to.device)
    made = step(np.ndarray.astype, operands.named(), to.dtype)
    assert made
    evaluate((made,), operands, to)


@on_device(np.clip)
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    y = x if low is None else np.maximum(x, low)
    return y if high is None else np.minimum(y, high)


class Epilogue:
    """An expression that ends another kernel: its operand 0 is what that kernel worked out.

    The other operands are of the result's `shape`, a value for each channel, or a number. In the
    kernel, `y[i] = EPILOGUE(v, i, c)` with i the dense index of the element, c its channel (in
    results of fewer than four axes: the column), and EPILOGUE_PARAMETERS behind the last argument.
    """

    name = "EPILOGUE"

    def __init__(
        self, steps: tuple[Step, ...] = (), values: Sequence[Any] = (), shape: Sequence[int] = ()
    ) -> None:
        self.steps = steps
        self.values = values
        self.defines: dict[str, str] = {}
        self.args: tuple[Any, ...] = ()
        if not steps:
            return
        prefix = self.name[0].lower()
        parameters = []
        statements = ["const float v0 = v;"]
        numbers = []
        for k, value in enumerate(values, 1):
            if isinstance(value, DeviceArray):
                array, index = as_epilogue(value, shape)
                kind = C_TYPES[value.dtype.name]
                parameters.append(f", const {kind}* {prefix}{k}")
                statements.append(f"const {kind} v{k} = {prefix}{k}[{index}];")
                numbers.append(array)
            else:
                number = as_number(value, steps, f"v{k}")
                kind = C_TYPES[number.dtype.name]
                parameters.append(f", {kind} {prefix}{k}")
                statements.append(f"const {kind} v{k} = {prefix}{k};")
                numbers.append(number)
        statements += [made.text(f"t{k}") for k, made in enumerate(steps)]
        statements.append(f"return t{len(steps) - 1};")
        self.defines = {
            f"{self.name}_PARAMETERS": "".join(parameters),
            f"{self.name}(v, i, c)": f"([&]() {{ {' '.join(statements)} }}())",
        }
        self.args = tuple(numbers)

    def of(self, x: Any) -> Any:
        """What it makes of x in a launch of its own."""
        if not self.steps:
            return x
        return evaluate(self.steps, Operands.of((x, *self.values), x.device))


class Prologue(Epilogue):
    """The same in front of a kernel, which reads PROLOGUE(x[i], i, c) in place of x[i]."""

    name = "PROLOGUE"


NONE = Epilogue()
AS_IT_IS = Prologue()


def fits_epilogue(dims: Sequence[int], shape: Sequence[int]) -> bool:
    """Can an expression inside a kernel read these sizes, beside an array of this shape?"""
    return tuple(dims) == tuple(shape) or math.prod(dims) == 1 or is_by_channel(dims, shape)


def is_by_channel(dims: Sequence[int], shape: Sequence[int]) -> bool:
    """Is it a value for each channel, the innermost axis of the result?"""
    full = (*(1,) * (len(shape) - len(dims)), *dims)
    channel = house_order(len(shape))[-1]
    return len(full) == len(shape) and all(
        size == (shape[axis] if axis == channel else 1) for axis, size in enumerate(full)
    )


def as_epilogue(value: DeviceArray, shape: Sequence[int]) -> tuple[DeviceArray, str]:
    """The array as such an expression reads it, and where in it the element is."""
    if value.size == 1 and math.prod(shape) != 1:
        return value, "0"
    if value.shape == tuple(shape):
        return dense(value), "i"
    return contiguous(value.reshape(-1)), "c"
