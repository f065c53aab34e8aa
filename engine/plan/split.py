"""Gates in front of a split: where a joined diff is cut and each part gated, gate it whole.

A Concat's backward cuts its diff into its bottoms', and the rectifiers below gate each of them by
their own data, which the Concat had joined. Gating the whole is one pass instead of many, and can
stand in the kernel that makes the diff. The same functions of each element: the same bits.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from oneiro.kernels.relu import gate, relu, relu_backward
from oneiro.kernels.symbol import Call, Symbol

from ..call import makers, readers

GATES = (relu, gate, relu_backward)


class Part(NamedTuple):
    """A cut of a value along the channels, and the one call that reads it."""

    start: int
    stop: int
    cut: int
    reader: int


def gated_whole(calls: Sequence[Call], results: Iterable[str]) -> list[Call]:
    """The same calls with gates before splits, wherever all parts have the same gate."""
    kept = set(results)
    found = list(calls)
    while (better := once(found, kept)) is not None:
        found = better
    return found


def once(calls: list[Call], kept: set[str]) -> list[Call] | None:
    """One split moved behind its gates; None where there is none to move."""
    reading = readers(calls)
    making = makers(calls)
    for name, readings in reading.items():
        if name in kept or not (parts := parts_of(calls, readings, reading, kept)):
            continue
        gates = [calls[part.reader] for part in parts]
        whole = calls[parts[0].cut].args[0]
        beside = joined_operands(calls, parts, gates, making)
        if beside is None:
            continue
        gated = Symbol(whole.graph, f"{name}/gated", whole.dtype, whole.dims)
        moved = [Call(gates[0].function, (whole, *beside), {}, (gated,))]
        for part, call in zip(parts, gates, strict=True):
            place = (slice(None), slice(part.start, part.stop, None))
            moved.append(Call(operator.getitem, (gated, place), {}, call.results))
        gone = {k for part in parts for k in (part.cut, part.reader)}
        first = min(part.reader for part in parts)
        before = [call for k, call in enumerate(calls[:first]) if k not in gone]
        behind = [call for k, call in enumerate(calls[first:], first) if k not in gone]
        return [*before, *moved, *behind]
    return None


def parts_of(
    calls: Sequence[Call],
    readings: Sequence[int],
    reading: dict[str, list[int]],
    kept: set[str],
) -> list[Part]:
    """The parts of a value that is cut along its channels and read in no other way; [] if not."""
    parts = []
    for k in readings:
        bounds = channels(calls[k])
        if bounds is None:
            return []
        (symbol,) = calls[k].results
        if symbol.name in kept or len(reading.get(symbol.name, ())) != 1:
            return []
        parts.append(Part(*bounds, k, reading[symbol.name][0]))
    parts.sort()
    edges = [0, *(part.stop for part in parts)]
    whole = calls[parts[0].cut].args[0].dims[1]
    if [part.start for part in parts] != edges[:-1] or edges[-1] != whole:
        return []
    return parts


def channels(call: Call) -> tuple[int, int] | None:
    """The channels that a call cuts out of (n, c, ...), first and last + 1; None for others."""
    if call.function is not operator.getitem or not isinstance(call.args[1], tuple):
        return None
    match call.args[1]:
        case (slice(start=None, stop=None, step=None), slice() as cut):
            size = call.args[0].dims[1]
            if size is not None and (start := cut.indices(size))[2] == 1:
                return start[:2]
    return None


def joined_operands(
    calls: Sequence[Call], parts: Sequence[Part], gates: Sequence[Call], making: dict[str, int]
) -> list[Symbol] | None:
    """What the gates of all parts read besides, whole; None where these are no gates of one kind.

    It must be there before the first gate.
    """
    function = gates[0].function
    if function not in GATES or any(call.function is not function for call in gates):
        return None
    if any(len(call.args) != len(gates[0].args) or call.options for call in gates):
        return None
    for part, call in zip(parts, gates, strict=True):
        if call.args[0] is not calls[part.cut].results[0]:
            return None
    first = min(part.reader for part in parts)
    whole = []
    for operands in zip(*(call.args[1:] for call in gates), strict=True):
        join = joined(calls, first, operands)
        if join is None or making[join.name] >= first:
            return None
        whole.append(join)
    return whole


def joined(calls: Sequence[Call], first: int, operands: Sequence[Symbol]) -> Symbol | None:
    """What these values were put together to along the channels, by a call before `first`."""
    names = [symbol.name for symbol in operands]
    for call in calls[:first]:
        joins = call.function is np.concatenate and call.args[1:] == (1,) and not call.options
        if joins and [getattr(symbol, "name", None) for symbol in call.args[0]] == names:
            return call.results[0]
    return None
