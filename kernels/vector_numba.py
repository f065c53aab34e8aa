"""Machine code in vectors, for compiled functions that the compiler would not make so fast.

The functions marked `written` do not compute: they write the machine code that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

LANES = 16
# Filters whose sums `multiply` holds: they fill 16 of the 32 registers of AVX-512, 12 of the 16
# of AVX2 and 24 of the 32 of ARM, where a vector of 16 lanes takes one, two and four.
ROWS = 16 if get_host_cpu_features().get("avx512f") else 6

FLOAT = ir.FloatType()
INDEX = ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ALIGNED = 4  # bytes: a vector may start at any element
FUSED = ("contract",)  # a product and a sum may become one instruction


class Lanes:
    """A vector that the code computes."""

    def __init__(self, code: Any, value: Any) -> None:
        self.code = code
        self.value = value

    def __add__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fadd(self.value, other.value, flags=FUSED))

    def __sub__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fsub(self.value, other.value, flags=FUSED))

    def __mul__(self, other: Lanes) -> Lanes:
        return Lanes(self.code, self.code.fmul(self.value, other.value, flags=FUSED))

    def __rmul__(self, factor: float) -> Lanes:
        kind = self.value.type
        return self * Lanes(self.code, ir.Constant(kind, [factor] * kind.count))

    def where(self, other: Lanes, relation: str, bound: Lanes) -> Lanes:
        """These lanes where the other's compare like that with the bound, elsewhere 0."""
        chosen = self.code.fcmp_ordered(relation, other.value, bound.value)
        nothing = ir.Constant(VECTOR, [0.0] * LANES)
        return Lanes(self.code, self.code.select(chosen, self.value, nothing))

    def unless(self, relation: str, bound: Lanes) -> Lanes:
        """The bound in lanes that compare like that with it."""
        beyond = self.code.fcmp_ordered(relation, self.value, bound.value)
        return Lanes(self.code, self.code.select(beyond, bound.value, self.value))

    def shuffled(self, lanes: Iterable[int], other: Lanes | None = None) -> Lanes:
        """These lanes of the vector, or of the vector and behind it the other."""
        places = list(lanes)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
        second = self if other is None else other
        return Lanes(self.code, self.code.shuffle_vector(self.value, second.value, mask))


class Place:
    """An element of an array and those behind it."""

    def __init__(self, code: Any, start: Any) -> None:
        self.code = code
        self.start = start

    def pointer(self, offset: Any, kind: Any) -> Any:
        index = ir.Constant(INDEX, offset) if isinstance(offset, int) else offset
        return self.code.bitcast(self.code.gep(self.start, [index]), kind.as_pointer())

    def lanes(self, offset: Any, count: int = LANES) -> Lanes:
        value = self.code.load(self.pointer(offset, ir.VectorType(FLOAT, count)))
        value.align = ALIGNED
        return Lanes(self.code, value)

    def number(self, offset: Any) -> Lanes:
        """One element in all lanes."""
        return everywhere(self.code, self.code.load(self.pointer(offset, FLOAT)))

    def put(self, offset: Any, lanes: Lanes) -> None:
        stored = self.code.store(lanes.value, self.pointer(offset, lanes.value.type))
        stored.align = ALIGNED


def everywhere(code: Any, number: Any) -> Lanes:
    """A number in all lanes."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = code.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return Lanes(code, first).shuffled([0] * LANES)


def written(write: Callable[..., None]) -> Any:
    """A function for compiled code, made of one that writes its instructions.

    An array and the index that follows it are one Place for `write`.
    """

    def typed(_: Any, *kinds: Any) -> Any:
        def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
            parts: list[Any] = []
            each = (code.extract_value(values[0], i) for i in range(len(kinds)))
            arguments = iter(zip(signature.args[0], each, strict=True))
            for kind, value in arguments:
                if isinstance(kind, types.Array):
                    data = context.make_array(kind)(context, code, value).data
                    parts.append(Place(code, code.gep(data, [next(arguments)[1]])))
                else:
                    parts.append(value)
            write(code, *parts)
            return context.get_dummy_value()

        together: Any = types.Tuple
        return types.void(together([*map(types.unliteral, kinds)])), generate

    return intrinsic(typed)


@written
def multiply(
    code: Any, products: Place, row: Any, filters: Place, values: Place, depth: Any
) -> None:
    """For ROWS filters and LANES tiles, the sum over `depth` channels of filter times value.

    Filters are (depth, ROWS), values (depth, LANES), and products have rows of `row` elements.
    """
    nothing = Lanes(code, ir.Constant(VECTOR, [0.0] * LANES))
    for k, total in enumerate(sums(code, [nothing] * ROWS, filters, values, depth)):
        products.put(code.mul(row, ir.Constant(INDEX, k)), total)


def sums(
    code: Any, start: Sequence[Lanes], filters: Place, values: Place, depth: Any
) -> list[Lanes]:
    """What `multiply` puts, on top of `start`."""
    before = code.block
    loop, after = code.append_basic_block("loop"), code.append_basic_block("after")
    code.branch(loop)
    code.position_at_end(loop)
    channel = code.phi(INDEX)
    held = [code.phi(VECTOR) for _ in range(ROWS)]
    value = values.lanes(code.mul(channel, ir.Constant(INDEX, LANES)))
    at = code.mul(channel, ir.Constant(INDEX, ROWS))
    made = []
    for row, total in enumerate(held):
        factor = filters.number(code.add(at, ir.Constant(INDEX, row)))
        made.append(Lanes(code, total) + factor * value)
    following = code.add(channel, ir.Constant(INDEX, 1))
    channel.add_incoming(ir.Constant(INDEX, 0), before)
    channel.add_incoming(following, loop)
    for total, first, more in zip(held, start, made, strict=True):
        total.add_incoming(first.value, before)
        total.add_incoming(more.value, loop)
    code.cbranch(code.icmp_signed("<", following, depth), loop, after)
    code.position_at_end(after)
    return made


@written
def give(code: Any, out: Place, pixels: Place) -> None:
    """Copy a vector."""
    out.put(0, pixels.lanes(0))
