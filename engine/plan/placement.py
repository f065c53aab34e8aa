"""Which calls onnxruntime makes on the fast executor, and sums in the order that suits that.

It multiplies matrices and convolves; what can be merged into its convolutions goes along:
rectifiers and bounds behind them, sums of them, pools and joins between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.pool import average_pool, max_pool
from oneiro.kernels.relu import relu
from oneiro.kernels.symbol import Call, Symbol

from ..call import arguments, makers, readers, symbols

CONVOLUTIONS = (conv, conv_backward)
POOLS = (max_pool, average_pool)
BEHIND = (relu, np.clip)  # where what they start from is made there, too


def placed_in_runtime(calls: Sequence[Call], results: Iterable[str]) -> set[str]:
    """The names of the values that onnxruntime should make."""
    read = {*readers(calls), *results}
    there: set[str] = set()
    for call in calls:
        made = [s for s in call.results if s.name in read]
        if made and all(fits(s) for s in made) and belongs(call, made, there):
            there.update(s.name for s in made)
    return there


def fits(symbol: Symbol) -> bool:
    """Is it an array of floats with channels, and not empty?"""
    return symbol.dtype == np.float32 and len(symbol.dims) > 2 and 0 not in symbol.dims


def belongs(call: Call, made: Sequence[Symbol], there: set[str]) -> bool:
    whole = [s for s in symbols(arguments(call)) if s.dims == made[0].dims]
    if call.function in CONVOLUTIONS:
        return True
    if call.function in POOLS:
        return len(made) == 1 and made[0] is call.results[0]  # where the maxima were is slow there
    if call.function is np.concatenate:
        return call.args[1:] == (1,) and all(s.name in there for s in call.args[0])
    if call.function is np.add and len(whole) == 2:
        return all(s.name in there for s in whole)
    if call.function in BEHIND:
        return call.args[0].name in there and not call.options
    return False


def regrouped(calls: Sequence[Call], results: Iterable[str], there: set[str]) -> list[Call]:
    """Sums of several values, those of onnxruntime first: one pass adds what is left to them."""
    making, reading = makers(calls), readers(calls)
    kept = set(results)
    gone: set[int] = set()
    chains: dict[int, list[Call]] = {}
    for k in reversed(range(len(calls))):
        if k in gone or not is_sum(calls[k]):
            continue
        inner: list[int] = []
        leaves: list[Symbol] = []
        waiting = list(calls[k].args[::-1])
        while waiting:
            symbol = waiting.pop()
            j = making.get(symbol.name)
            alone = len(reading[symbol.name]) == 1 and symbol.name not in kept
            if j is not None and alone and is_sum(calls[j]):
                inner.append(j)
                waiting += calls[j].args[::-1]
            else:
                leaves.append(symbol)
        leaves.sort(key=lambda symbol: symbol.name not in there)
        if inner:
            gone.update(inner)
            names = [calls[j].results[0] for j in inner]
            chains[k] = chained(leaves, calls[k].results[0], names)
    return [c for k, call in enumerate(calls) if k not in gone for c in chains.get(k, [call])]


def is_sum(call: Call) -> bool:
    """Is it the sum of two whole arrays?"""
    if call.function is not np.add or call.options or len(call.args) != 2:
        return False
    dims = call.results[0].dims
    return all(isinstance(arg, Symbol) and arg.dims == dims for arg in call.args)


def chained(leaves: Sequence[Symbol], result: Symbol, names: Iterable[Symbol]) -> list[Call]:
    """The leaves added one by one; the sums on the way are called `names`."""
    made = []
    total = leaves[0]
    for leaf, sum_ in zip(leaves[1:], [*names, result], strict=True):
        made.append(Call(np.add, (total, leaf), {}, (sum_,)))
        total = sum_
    return made
