"""Functions of each element on the CPU: an expression of a Plan, compiled as one loop.

The steps are those of pointwise.py. An operand is an array of the result's shape, or has one value
for each row, for each column, or for all, of the result seen as a matrix.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import crew
from .cache import folder, keep
from .dispatch import Array
from .jit import compiled
from .pointwise import Step
from .relu import gate, relu, relu_backward

PIECE = 1 << 18  # elements that a thread works on at a time

# what steps are in Python; other ufuncs are what Numba makes of them for single values
TEXTS = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.greater: "{0} > {1}",
    np.less: "{0} < {1}",
    np.greater_equal: "{0} >= {1}",
    np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.logical_and: "{0} & {1}",
    np.logical_or: "{0} | {1}",
    np.bitwise_and: "{0} & {1}",  # of conditions
    np.bitwise_or: "{0} | {1}",
    np.absolute: "abs({0})",
    np.sqrt: "sqrt({0})",
    # NaN in, NaN out, as NumPy has it
    np.maximum: "{0} if ({0} > {1}) | ({0} != {0}) else {1}",
    np.minimum: "{0} if ({0} < {1}) | ({0} != {0}) else {1}",
    np.where: "{1} if {0} else {2}",
    np.ndarray.astype: "{0}",
    relu: "zero if {0} < zero else {0}",
    gate: "{0} if {1} else zero",
    relu_backward: "{0} if {1} > zero else zero",
}
TYPES = {"bool": "bool", "float32": "float32", "float64": "float64"}


def can(steps: Sequence[Step]) -> bool:
    """Is there a loop for these steps? Their results are floats and conditions."""
    return all(
        step.function in TEXTS and step.dtype in TYPES and all(t in TYPES for t in step.types)
        for step in steps
    )


def evaluator(steps: tuple[Step, ...], out: Array, values: Sequence[Any]) -> Callable[[], None]:
    """A call that fills `out`, in C order, from the operands v0, v1, ... of the steps.

    The result is seen as the matrix to which most operands fit; the others are written out whole.
    """
    operands = [as_array(value, steps, f"v{k}") for k, value in enumerate(values)]
    cuts = range(out.ndim + 1)
    cut = max(cuts, key=lambda cut: sum(seen(x, out.shape, cut) is not None for x in operands))
    rows, columns = math.prod(out.shape[:cut]), math.prod(out.shape[cut:])
    copies, forms, arrays = [], [], []
    for x in operands:
        view = seen(x, out.shape, cut)
        if view is None:
            whole = np.empty(out.shape, x.dtype)
            copies.append(functools.partial(np.copyto, whole, x))
            view = "matrix", whole.reshape(rows, columns)
        forms.append(view[0])
        arrays.append(view[1])
    run = bound(loop(steps, tuple(forms)), out.reshape(rows, columns), forms, arrays)
    if not copies:
        return run

    def copied() -> None:
        for copy in copies:
            copy()
        run()

    return copied


def as_array(value: Any, steps: Sequence[Step], name: str) -> Array:
    """A number as an array of the type that the first step which reads it wants."""
    if isinstance(value, np.ndarray):
        return value
    types = (t for step in steps for n, t in zip(step.names, step.types) if n == name)
    return np.asarray(value, next(types))


def seen(x: Array, shape: tuple[int, ...], cut: int) -> tuple[str, Array] | None:
    """How x is read beside a result of `shape` whose axes from `cut` on are the columns."""
    if x.size == 1:
        return "one", x.reshape(1)
    full = (1,) * (len(shape) - x.ndim) + x.shape
    if not x.flags.c_contiguous or len(full) > len(shape):
        return None
    rows, columns = math.prod(shape[:cut]), math.prod(shape[cut:])
    if full == shape:
        return "matrix", x.reshape(rows, columns)
    if full[:cut] == shape[:cut] and math.prod(full[cut:]) == 1:
        return "row", x.reshape(rows)
    if full[cut:] == shape[cut:] and math.prod(full[:cut]) == 1:
        return "column", x.reshape(columns)
    return None


def bound(
    run: Callable[..., None], y: Array, forms: Sequence[str], arrays: Sequence[Array]
) -> Callable[[], None]:
    """The loop over all of y, in pieces for several threads where it is large."""
    rows, columns = y.shape
    if rows == 1 or all(form in ("matrix", "one") for form in forms):
        # one row is cut anywhere
        y = y.reshape(1, -1)
        arrays = [x.reshape(1, -1) if f == "matrix" else x for f, x in zip(forms, arrays)]
        step, size = PIECE, y.size
        pieces = [slice(a, min(a + step, size)) for a in range(0, size, step)]
        calls = [
            (y[:, piece], *(x[:, piece] if f == "matrix" else x[piece] if f == "column" else x
                            for f, x in zip(forms, arrays)))
            for piece in pieces
        ]  # fmt: skip
    else:
        step = max(PIECE // max(columns, 1), 1)
        pieces = [slice(a, min(a + step, rows)) for a in range(0, rows, step)]
        calls = [
            (y[piece], *(x[piece] if f in ("matrix", "row") else x for f, x in zip(forms, arrays)))
            for piece in pieces
        ]
    if len(calls) == 1:
        return functools.partial(run, *calls[0])
    return functools.partial(crew.share, lambda k: run(*calls[k]), len(calls))


def total(
    steps: tuple[Step, ...], out: Array, values: Sequence[Any], mean: bool
) -> Callable[[], None]:
    """A call that puts the sum, or the mean, of what the steps make into `out`, of one element.

    Each operand is one value, or of the shape that all others have. Sums are of double precision.
    """
    operands = [as_array(value, steps, f"v{k}") for k, value in enumerate(values)]
    size = max(x.size for x in operands)
    forms = tuple("one" if x.size == 1 else "matrix" for x in operands)
    run = loop(steps, forms, True)
    pieces = [slice(a, min(a + PIECE, size)) for a in range(0, size, PIECE)]
    sums = np.zeros((max(len(pieces), 1), 1))
    calls = [
        (sums[k], *(x.reshape(1, -1)[:, p] if x.size > 1 else x.reshape(1) for x in operands))
        for k, p in enumerate(pieces)
    ]

    def add_up() -> None:
        crew.share(lambda k: run(*calls[k]), len(calls))
        with np.errstate(all="ignore"):  # the mean of nothing
            out[...] = sums.sum() / size if mean else sums.sum()

    return add_up


@functools.cache
def loop(
    steps: tuple[Step, ...], forms: tuple[str, ...], is_sum: bool = False
) -> Callable[..., None]:
    """The compiled loop over a matrix y of the result, or a vector of row sums, and the operands.

    Its text is a file in the user's cache, since Numba keeps what it compiles beside a file.
    """
    code = text(steps, forms, is_sum)
    path = folder() / "numba" / f"pointwise_{hashlib.sha256(code.encode()).hexdigest()[:16]}.py"
    if not path.exists():
        keep(path, code.encode())
    linecache.cache[str(path)] = (len(code), None, code.splitlines(True), str(path))
    names: dict[str, Any] = {"__name__": __name__, "np": np}
    exec(compile(code, str(path), "exec"), names)
    return compiled(names["pointwise"])


def text(steps: tuple[Step, ...], forms: tuple[str, ...], is_sum: bool) -> str:
    """The loop as Python."""
    parameters = ["y", *(f"x{k}" for k in range(len(forms)))]
    outer = [f"v{k} = x{k}[0]" for k, form in enumerate(forms) if form == "one"]
    rows = [
        f"a{k} = x{k}[r]" if form == "matrix" else f"v{k} = x{k}[r]"
        for k, form in enumerate(forms)
        if form in ("matrix", "row")
    ]
    inner = [
        f"v{k} = a{k}[i]" if form == "matrix" else f"v{k} = x{k}[i]"
        for k, form in enumerate(forms)
        if form in ("matrix", "column")
    ]
    for k, step in enumerate(steps):
        operands = [f"{cast(t)}({n})" for n, t in zip(step.names, step.types)]
        inner.append(f"t{k} = {cast(step.dtype)}({TEXTS[step.function].format(*operands)})")
    made = f"t{len(steps) - 1}"
    if is_sum:
        row = f"a{forms.index('matrix')}" if "matrix" in forms else "y[r : r + 1]"
        before, each, behind = "total = 0.0", f"total += {made}", ["y[r] = total"]
    else:
        row, before, each, behind = "to", "to = y[r]", f"to[i] = {made}", []
    lines = [
        "from math import sqrt",
        "from numpy import float32, float64",
        f"def pointwise({', '.join(parameters)}):",
        "    zero = float32(0)",
        *(f"    {line}" for line in outer),
        "    for r in range(y.shape[0]):",
        f"        {before}",
        *(f"        {line}" for line in rows),
        f"        for i in range({row}.size):",
        *(f"            {line}" for line in inner),
        f"            {each}",
        *(f"        {line}" for line in behind),
    ]
    return "\n".join(lines) + "\n"


def cast(dtype: str) -> str:
    """The function that makes a value of this type."""
    return TYPES[dtype]
