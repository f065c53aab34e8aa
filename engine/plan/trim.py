"""What a Plan leaves out: calls whose results nobody wants, and calls on constants alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oneiro.kernels.symbol import Call

from ..call import arguments, reads, run, symbols


def trimmed(
    calls: list[Call], constants: dict[str, Any], results: Iterable[Any]
) -> tuple[list[Call], dict[str, Any]]:
    """The calls that are left to do, and all that is known before."""
    return worked_out(needed(calls, results), constants)


def is_sized(calls: Iterable[Call]) -> bool:
    """Is the shape of every value known before a run?"""
    return not any(None in symbol.dims for call in calls for symbol in symbols(call.results))


def needed(calls: list[Call], results: Iterable[Any]) -> list[Call]:
    """The calls that lead to the results."""
    used = set(reads(results))
    kept = []
    for call in reversed(calls):
        if used.intersection(reads(call.results)):
            used.update(reads(arguments(call)))
            kept.append(call)
    return kept[::-1]


def worked_out(calls: list[Call], constants: dict[str, Any]) -> tuple[list[Call], dict[str, Any]]:
    """Run now what depends on constants alone: gains of batch normalisation, transposed weights."""
    values = dict(constants)
    rest = []
    for call in calls:
        if values.keys() >= set(reads(arguments(call))):
            run(call, values)
        else:
            rest.append(call)
    return rest, values


def last_uses(calls: list[Call], kept: set[str]) -> list[list[str]]:
    """For each call, the names that nobody reads after it and that are not `kept`."""
    alive = set(kept)
    dead = []
    for call in reversed(calls):
        names = {*reads(arguments(call)), *reads(call.results)}
        dead.append(sorted(names - alive))
        alive |= names
    return dead[::-1]
