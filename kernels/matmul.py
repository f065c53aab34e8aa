"""Matrix products of arrays on devices: NumPy's matmul, and einsum as matmul between transposes.

Matrices of any strides are read where they are. The order of each sum depends on the sizes alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .array import DeviceArray, contiguous, empty, house_order, laid_out, on_device, run_on_host
from .dispatch import is_device
from .layout import broadcast_to
from .pointwise import NONE, Epilogue, merged
from .reduction import RANK, Axes, power_below
from .source import Source

SIMPLE = Source("matmul_simple.cu")
TILED = Source("matmul.cu")
NARROW = Source("matmul_narrow.cu")

THREADS = 256
WARP = 32
FEW = 8  # rows that a thread of the narrow kernels can hold
BUSY = 128  # blocks that keep a GPU busy, more or less
LONG = 256  # terms of a sum that are worth a block of their own
MOST = 65535  # blocks along the third axis of a grid


class Matrices(NamedTuple):
    """Where the matrices of a batch lie; strides in elements, the outermost axis first."""

    row: int
    column: int
    batch: tuple[int, ...]


class Problem(NamedTuple):
    """y = a @ b for a batch of matrices: a is (m, k), b is (k, n)."""

    m: int
    n: int
    k: int
    batch: tuple[int, ...]
    y: Matrices
    a: Matrices
    b: Matrices
    channels: int  # the size of y's innermost axis

    @property
    def matrices(self) -> int:
        return math.prod(self.batch)

    @property
    def size(self) -> int:
        return self.matrices * self.m * self.n

    @property
    def args(self) -> tuple[Any, ...]:
        """MATRICES, as kernels take them."""
        steps = tuple((x.row, x.column) for x in (self.y, self.a, self.b))
        batches = tuple(Axes(self.batch, x.batch).args for x in (self.y, self.a, self.b))
        return (self.m, self.n, self.k, steps, self.matrices, batches, self.channels)

    def transposed(self) -> Problem:
        """The same product as that of the transposes: rows become columns."""
        y, a, b = (Matrices(x.column, x.row, x.batch) for x in (self.y, self.a, self.b))
        return self._replace(m=self.n, n=self.m, y=y, a=b, b=a)


def posed(y: DeviceArray, a: DeviceArray, b: DeviceArray) -> Problem:
    """The problem of arrays that have the same leading axes."""
    sizes, batches = merged(y.shape[:-2], [x.strides[:-2] for x in (y, a, b)])
    of_y, of_a, of_b = (
        Matrices(x.strides[-2], x.strides[-1], tuple(batch)) for x, batch in zip((y, a, b), batches)
    )
    m, n = y.shape[-2:]
    channels = y.shape[house_order(y.ndim)[-1]]
    return Problem(m, n, a.shape[-1], tuple(sizes), of_y, of_a, of_b, channels)


def simple(problem: Problem, y: DeviceArray, a: Any, b: Any, epilogue: Epilogue) -> None:
    """A thread for each element."""
    grid = -(-problem.size // THREADS)
    args = (y, a, b, problem.args, epilogue.args)
    SIMPLE.launch("matmul_simple", grid, THREADS, args, defines=epilogue.defines)


def tiled(
    tile: int,
    micro: int,
    depth: int,
    problem: Problem,
    y: DeviceArray,
    a: Any,
    b: Any,
    epilogue: Epilogue,
) -> None:
    """A block for a tile x tile part of y, a thread for micro x micro elements of it."""
    defines = {"TILE": tile, "MICRO": micro, "DEPTH": depth}
    threads = (tile // micro) ** 2
    blocks = -(-problem.m // tile) * -(-problem.n // tile)
    split(TILED, "matmul_tiled", problem, blocks, threads, (y, a, b), (), defines, epilogue)


def narrow(problem: Problem, y: DeviceArray, a: Any, b: Any, epilogue: Epilogue) -> None:
    """Few rows, or few columns, beside a matrix that is read once."""
    if problem.n < problem.m:
        problem, a, b = problem.transposed(), b, a
    defines = {"ROWS": power_below(2 * problem.m - 1)}
    if abs(problem.b.row) < abs(problem.b.column) and problem.k >= WARP:
        blocks = -(-problem.n * WARP // THREADS)
        split(NARROW, "matmul_dot", problem, blocks, THREADS, (y, a, b), (), defines, epilogue)
        return
    columns = WARP
    while columns > WARP // 4 and -(-problem.n // columns) * problem.matrices < BUSY:
        columns //= 2  # still whole sectors of memory
    lanes = min(THREADS // columns, power_below(problem.k))
    blocks = -(-problem.n * lanes // THREADS)
    split(NARROW, "matmul_sweep", problem, blocks, THREADS, (y, a, b), (lanes,), defines, epilogue)


def split(
    source: Source,
    function: str,
    problem: Problem,
    blocks: int,
    threads: int,
    arrays: tuple[Any, ...],
    last: tuple[int, ...],
    defines: dict[str, int],
    epilogue: Epilogue,
) -> None:
    """Launch a kernel of `blocks` for each matrix; where they are few, each sum in segments."""
    y, a, b = arrays
    batch = min(problem.matrices, MOST)
    segments = max(min(-(-BUSY // (blocks * batch)), problem.k // LONG), 1)
    segment = -(-problem.k // (4 * segments)) * 4  # matmul_dot reads four at once
    segments = -(-problem.k // segment) if segment else 1
    to = y if segments == 1 else empty((segments * problem.size,), y)
    ends = epilogue if segments == 1 else NONE
    args: tuple[Any, ...] = (to, a, b, problem.args, segment, problem.size, last, ends.args)
    grid = (blocks, segments, batch)
    source.launch(function, grid, threads, args, defines=defines | ends.defines)
    if segments > 1:
        sizes = (segments, problem.size, problem.channels)
        parts = -(-problem.size // THREADS)
        args = (y, to, sizes, epilogue.args)
        SIMPLE.launch("sum_parts", parts, THREADS, args, defines=epilogue.defines)


class Version(NamedTuple):
    """A kernel: run(problem, y, a, b, epilogue), and what it is made for."""

    suits: Callable[[Problem], bool]
    run: Callable[..., None]


def whole_tiles(problem: Problem, tile: int) -> int:
    return problem.m // tile * (problem.n // tile) * problem.matrices


BY_NAME = {  # slowest first, where they suit
    "simple": Version(lambda problem: True, simple),
    "tiled": Version(lambda problem: problem.k > 16, functools.partial(tiled, 64, 4, 16)),
    "tiled_large": Version(
        lambda problem: whole_tiles(problem, 128) >= BUSY, functools.partial(tiled, 128, 8, 8)
    ),
    "narrow": Version(lambda problem: min(problem.m, problem.n) <= FEW < problem.k, narrow),
}


def matmul(a: Any, b: Any, epilogue: Epilogue = NONE, version: str | None = None) -> DeviceArray:
    """NumPy's a @ b, by the version of this name or else the fastest; of floats, on the host else.

    From four axes on the result is in C order, but before an epilogue in the house's.
    """
    if any(x.dtype != np.float32 for x in (a, b)):
        return epilogue.of(run_on_host(np.matmul, a, b))
    if 1 in (a.ndim, b.ndim) and epilogue.steps:  # it would count in the axis that a vector lends
        return epilogue.of(matmul(a, b, version=version))
    if not (a.ndim and b.ndim):
        raise ValueError("a matrix product of a single number")
    device = a.device if is_device(a) else b.device
    left, right = (device.place(x) for x in (a, b))
    left = left.reshape(1, -1) if a.ndim == 1 else left
    right = right.reshape(-1, 1) if b.ndim == 1 else right
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"matrices {a.shape} and {b.shape} do not multiply")
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*lead, left.shape[-2], right.shape[-1])
    order = house_order(len(shape)) if epilogue.defines else range(len(shape))
    y = laid_out(shape, left, None, order)
    if y.size:
        left, right = (broadcast_to(x, (*lead, *x.shape[-2:])) for x in (left, right))
        problem = posed(y, left, right)
        if len(problem.batch) > RANK:
            left, right = contiguous(left), contiguous(right)
            problem = posed(y, left, right)
        suiting = [name for name, found in BY_NAME.items() if found.suits(problem)]
        BY_NAME[version or suiting[-1]].run(problem, y, left, right, epilogue)
    # the axis that a vector lent goes
    return y.reshape([*lead, *a.shape[-2:-1], *b.shape[-2:][1:]]) if 1 in (a.ndim, b.ndim) else y


on_device(np.matmul)(matmul)


@on_device(np.einsum)
def einsum(equation: Any, *arrays: Any, optimize: bool = True) -> Any:
    """Two operands at a time, each pair as a matrix product; "ij,jk->ik" names every axis."""
    if not isinstance(equation, str) or "->" not in equation:
        return run_on_host(np.einsum, equation, *arrays)
    left, _, top = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if any(len(set(term)) < len(term) for term in terms):  # a diagonal
        return run_on_host(np.einsum, equation, *arrays)
    device = next(x.device for x in arrays if is_device(x))
    term, y = terms[0], device.place(arrays[0])
    for k, other in enumerate(terms[1:], 1):
        later = set(top).union(*terms[k + 1 :])
        term, y = paired(term, y, other, device.place(arrays[k]), later)
    term, y = summed(term, y, set(top))
    return y.transpose([term.index(axis) for axis in top])


def paired(
    term: str, x: DeviceArray, other: str, z: DeviceArray, later: set[str]
) -> tuple[str, DeviceArray]:
    """The product of two operands, summed over the axes that are not read later."""
    sizes, others = dict(zip(term, x.shape)), dict(zip(other, z.shape))
    for axis in sizes.keys() & others.keys():
        if 1 not in (sizes[axis], others[axis]) and sizes[axis] != others[axis]:
            raise ValueError(f"einsum axis {axis!r} has {sizes[axis]} and {others[axis]} elements")
    # an axis of one element is left to the other operand, over which it would be repeated
    ones = {axis for axis in term if sizes[axis] == 1 != others.get(axis, 1)}
    other_ones = {axis for axis in other if others[axis] == 1 != sizes.get(axis, 1)}
    term, x = summed(term, x, (later | set(other)) - ones)
    other, z = summed(other, z, (later | set(term)) - other_ones)
    both = [axis for axis in term if axis in other]
    batch = [axis for axis in both if axis in later]
    inner = [axis for axis in both if axis not in later]
    rows = [axis for axis in term if axis not in other]
    columns = [axis for axis in other if axis not in term]
    a = grouped(term, x, [*batch, rows, inner])
    b = grouped(other, z, [*batch, inner, columns])
    sizes |= {axis: size for axis, size in others.items() if axis in other}
    made = [*batch, *rows, *columns]
    return "".join(made), matmul(a, b).reshape([sizes[axis] for axis in made])


def summed(term: str, x: DeviceArray, kept: set[str]) -> tuple[str, DeviceArray]:
    """x summed over the axes that are not kept."""
    gone = tuple(k for k, axis in enumerate(term) if axis not in kept)
    return "".join(axis for axis in term if axis in kept), np.sum(x, gone) if gone else x


def grouped(term: str, x: DeviceArray, groups: Sequence[Sequence[str]]) -> DeviceArray:
    """x with one axis for each group of its axes."""
    sizes = dict(zip(term, x.shape))
    axes = [term.index(axis) for group in groups for axis in group]
    return x.transpose(axes).reshape([math.prod(sizes[a] for a in group) for group in groups])


VERSIONS: dict[str, dict[str, Callable[..., DeviceArray]]] = {
    "matmul": {name: functools.partial(matmul, version=name) for name in BY_NAME}
}
