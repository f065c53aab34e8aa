"""Kernels one behind another, without the interpreter in between.

Threads walk through a chain of calls side by side: they take the pieces of a call one by one, and
go on to the next when all are done. Waking a thread, or waiting for the interpreter's lock, takes
longer than many of these calls; a thread that comes late finds the first of them done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic

from . import crew
from .depthwise_numba import Geometry, Side, sweep
from .dispatch import Array
from .jit import compiled, inlined
from .link import ARRAYS, DEPTHWISE, NUMBERS, Link
from .plain_numba import multiplied
from .tail_numba import Parts

PATIENCE = 1 << 10  # looks, of some nanoseconds, at a piece that another thread does


class Chain:
    """Links as one call, which has no result: each fills an array. One run at a time."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = links  # they hold the arrays
        words = [[*link.words()] for link in links]
        self.words = np.concatenate(words).astype(np.int64)
        self.starts = np.cumsum([0, *map(len, words)])
        self.counters = np.zeros(2 * len(links), np.int64)
        self.scratch = max(link.scratch for link in links)
        self.taken = sum(link.taken for link in links)
        self.pieces = max(link.pieces for link in links)

    def __call__(self) -> None:
        self.counters.fill(0)
        crew.share(self.walk, min(crew.threads(), self.pieces), self.taken)

    def walk(self, _: int) -> None:
        """What one of the threads does."""
        scratch = crew.scratch("chain", (self.scratch,), np.float32)
        follow(self.words, self.starts, self.counters, scratch, PATIENCE)


def one_more(_: Any, counters: Any, index: Any) -> Any:
    """The count there, which becomes one more, whoever counts besides."""

    def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, code, values[0]).data
        one = ir.Constant(ir.IntType(64), 1)
        return code.atomic_rmw("add", code.gep(data, [values[1]]), one, "seq_cst")

    return types.int64(counters, index), generate


def as_it_is(_: Any, counters: Any, index: Any) -> Any:
    """The count there, as others left it."""

    def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, code, values[0]).data
        return code.load_atomic(code.gep(data, [values[1]]), "seq_cst", 8)

    return types.int64(counters, index), generate


def place(_: Any, address: Any) -> Any:
    """The place in memory of this number."""
    kind: Any = types.CPointer(types.float32)  # type: ignore[no-untyped-call]

    def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
        return code.inttoptr(values[0], context.get_value_type(kind))

    return kind(address), generate


def let_others(_: Any) -> Any:
    """Have the system run another thread on this core, if one waits: it may be the one to do so."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def generate(context: Any, code: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        function = cgutils.get_or_insert_function(code.module, kind, name)  # type: ignore[no-untyped-call]
        code.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


claim: Any = intrinsic(one_more)
seen: Any = intrinsic(as_it_is)
pointer: Any = intrinsic(place)
give_way: Any = intrinsic(let_others)


@inlined
def floats(link: Array, k: int) -> Array:
    """The k-th array of a link."""
    return carray(pointer(link[ARRAYS + 2 * k]), (link[ARRAYS + 2 * k + 1],))


@inlined
def plain(link: Array, piece: int, scratch: Array) -> None:
    """A piece of plain_numba's."""
    n = link[NUMBERS:]
    what, way, strips, length, plane, channels, outputs = n[0], n[1], n[2], n[3], n[4], n[5], n[6]
    every, blocks, shares = n[7], n[8], n[9]
    k, share = divmod(piece, shares)
    pieces = link[1] // shares
    multiplied(
        floats(link, 0),
        floats(link, 1),
        floats(link, 2),
        floats(link, 3),
        (strips, length, plane, channels, outputs),
        (
            k * every // pieces,
            (k + 1) * every // pieces,
            share * blocks // shares,
            (share + 1) * blocks // shares,
        ),
        way,
        Parts(what, floats(link, 4), floats(link, 5), floats(link, 6)),
        scratch,
    )


@inlined
def side(n: Array) -> Side:
    return Side((n[0], n[1]), (n[2], n[3]), (n[4], n[5]), n[6])


@inlined
def depthwise(link: Array, piece: int, scratch: Array) -> None:
    """A piece of depthwise_numba's."""
    n = link[NUMBERS:]
    what, planes, phases, taps = n[0], n[1], n[2], n[3]
    numbers = Geometry(side(n[4:]), side(n[11:]), n[18], n[19], n[20], n[21], n[22])
    lists = n[23:]
    sweep(
        piece * planes // link[1],
        (piece + 1) * planes // link[1],
        floats(link, 0),
        floats(link, 1),
        floats(link, 2),
        floats(link, 3),
        numbers,
        lists[:taps],
        lists[taps : 2 * taps],
        lists[2 * taps : 2 * taps + phases + 1],
        Parts(what, floats(link, 4), floats(link, 5), floats(link, 6)),
        scratch,
    )


@compiled
def follow(words: Array, starts: Array, counters: Array, scratch: Array, patience: int) -> None:
    """Go through all links, and help with each of them."""
    for k in range(starts.size - 1):
        link = words[starts[k] : starts[k + 1]]
        while True:
            piece = claim(counters, 2 * k)
            if piece >= link[1]:
                break
            if link[0] == DEPTHWISE:
                depthwise(link, piece, scratch)
            else:
                plain(link, piece, scratch)
            claim(counters, 2 * k + 1)
        looks = 0
        while seen(counters, 2 * k + 1) < link[1]:
            looks += 1
            if looks > patience:
                give_way()
