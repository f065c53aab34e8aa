"""The order of a Plan's calls on the fast executor: as few visits to onnxruntime as can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oneiro.kernels.symbol import Call, Symbol

from ..call import arguments, makers, readers, symbols


@dataclass(frozen=True)
class Segment:
    """Calls that onnxruntime makes in one go."""

    calls: tuple[Call, ...]
    inputs: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]


def scheduled(
    calls: Sequence[Call], results: Iterable[str], there: set[str], constants: Iterable[str]
) -> list[Call | Segment]:
    """Calls and segments in an order in which each finds what it reads.

    Values `there` are made by onnxruntime. A call's level says how often the work changes sides
    before it; calls of onnxruntime on one level are a segment.
    """
    kept, known = set(results), set(constants)
    sides = [not there.isdisjoint(s.name for s in call.results) for call in calls]
    levels = as_late(calls, sides, as_early(calls, sides), kept)
    order = sorted(range(len(calls)), key=lambda k: (levels[k], k))
    steps: list[Call | Segment] = []
    groups: dict[int, list[int]] = {}
    for k in order:
        if sides[k]:
            groups.setdefault(levels[k], []).append(k)
    reading = readers(calls)
    done: set[int] = set()
    for k in order:
        if not sides[k]:
            steps.append(calls[k])
        elif levels[k] not in done:
            done.add(levels[k])
            group = groups[levels[k]]
            read = {n for n, ks in reading.items() if not set(ks) <= set(group)} | kept
            steps.append(segment([calls[k] for k in group], read, known))
    return steps


def as_early(calls: Sequence[Call], sides: Sequence[bool]) -> list[int]:
    """The first level that each call can be made on: even ones are onnxruntime's."""
    making = makers(calls)
    levels: list[int] = []
    for call, side in zip(calls, sides, strict=True):
        level = 0 if side else 1
        for symbol in symbols(arguments(call)):
            k = making.get(symbol.name)
            if k is not None:
                level = max(level, levels[k] + (sides[k] != side))
        levels.append(level)
    return levels


def as_late(
    calls: Sequence[Call], sides: Sequence[bool], levels: list[int], kept: set[str]
) -> list[int]:
    """What only later segments read moves there: a sum then merges with what it adds."""
    reading = readers(calls)
    levels = list(levels)
    for k in reversed(range(len(calls))):
        names = [s.name for s in calls[k].results]
        by = [j for name in names for j in reading.get(name, [])]
        if sides[k] and by and all(sides[j] for j in by) and kept.isdisjoint(names):
            levels[k] = max(levels[k], min(levels[j] for j in by))
    return levels


def segment(calls: Sequence[Call], read: set[str], constants: set[str]) -> Segment:
    """These calls with what they read of others, and what others read of them."""
    made = {s.name: s for call in calls for s in call.results}
    inputs = {
        s.name: s
        for call in calls
        for s in symbols(arguments(call))
        if s.name not in made and s.name not in constants
    }
    outputs = [s for name, s in made.items() if name in read]
    return Segment(tuple(calls), tuple(inputs.values()), tuple(outputs))
