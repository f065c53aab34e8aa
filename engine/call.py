"""Calls of a trace: what they read and make, and how one is made on values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from oneiro.kernels.symbol import Call, Symbol


def run(call: Call, values: dict[str, Any]) -> None:
    """Make a call on values, and keep its results among them."""
    values.update(zip((symbol.name for symbol in call.results), made(call, values), strict=True))


def made(call: Call, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The results of a call on values."""
    args = filled(call.args, values)
    options = dict(zip(call.options, filled(call.options.values(), values), strict=True))
    with np.errstate(all="ignore"):  # as in a Net
        result = call.function(*args, **options)
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def filled(args: Iterable[Any], values: Mapping[str, Any]) -> list[Any]:
    """`args` with the symbols in them, also inside tuples, replaced by their values."""
    return [
        values[arg.name]
        if isinstance(arg, Symbol)
        else tuple(filled(arg, values))
        if type(arg) in (tuple, list)
        else arg
        for arg in args
    ]


def symbols(args: Iterable[Any]) -> Iterator[Symbol]:
    """The symbols among arguments, also inside tuples, once for each time they are read."""
    for arg in args:
        if isinstance(arg, Symbol):
            yield arg
        elif isinstance(arg, tuple | list):
            yield from symbols(arg)


def reads(args: Iterable[Any]) -> Iterator[str]:
    """The names of the symbols in `args`, once for each time they are read."""
    return (symbol.name for symbol in symbols(args))


def arguments(call: Call) -> list[Any]:
    return [*call.args, *call.options.values()]


def makers(calls: Iterable[Call]) -> dict[str, int]:
    """{value: the number of the call that makes it}"""
    return {s.name: k for k, call in enumerate(calls) for s in call.results if is_value(s)}


def readers(calls: Iterable[Call]) -> dict[str, list[int]]:
    """{value: the numbers of the calls that read it}, a call once for each time it does."""
    found: dict[str, list[int]] = {}
    for k, call in enumerate(calls):
        for name in reads(arguments(call)):
            found.setdefault(name, []).append(k)
    return found


def is_value(result: Any) -> bool:
    """Is it something that the call makes, and not something known beforehand?"""
    return isinstance(result, Symbol)
