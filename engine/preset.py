"""The numbers of a method, frozen: made Python's, held within bounds, put over a preset's."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from .error import ArgumentError

S = TypeVar("S")


def become(settings: Any, name: str, kind: Callable[[Any], Any], what: str = "number") -> None:
    """Make a number of NumPy's, or a list of JSON's, what it is in Python."""
    value = getattr(settings, name)
    try:
        object.__setattr__(settings, name, kind(value))
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {value!r}: that is no {what} for it") from None


def check_least(settings: Any, least: Mapping[str, float]) -> None:
    """Raise ArgumentError for a number below its least, or without end."""
    for name, start in least.items():
        value = getattr(settings, name)
        if not start <= value < math.inf:
            raise ArgumentError(f"{name} is {value}: it starts at {start}")


def check_known(settings: Any, known: Mapping[str, Collection[str]]) -> None:
    """Raise ArgumentError for a word that is none of those known."""
    for name, words in known.items():
        value = getattr(settings, name)
        if value not in words:
            raise ArgumentError(f"{name} is {value!r}: {' or '.join(words)}")


def known_preset(presets: Mapping[str, S], name: str) -> S:
    """The preset of that name; ArgumentError, which lists them, if there is none."""
    if name not in presets:
        raise ArgumentError(f"preset is {name!r}; it must be one of {', '.join(presets)}")
    return presets[name]


def overridden(settings: Any, numbers: Mapping[str, Any], method: str) -> Any:
    """The settings with the numbers that are given (not None) in the place of theirs."""
    known = [field.name for field in fields(settings)]
    unknown = [name for name in numbers if name not in known]
    if unknown:
        raise ArgumentError(f"{unknown[0]} is no number of {method}: {', '.join(known)}")
    given = {name: value for name, value in numbers.items() if value is not None}
    return replace(settings, **given)
