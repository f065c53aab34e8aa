"""Frozen numbers: made Python's, held within bounds, put over a preset's."""

import operator
from dataclasses import dataclass

import numpy as np
import pytest

from oneiro import ArgumentError
from oneiro.preset import become, check_known, check_least, known_preset, overridden


@dataclass(frozen=True)
class Numbers:
    steps: int = 3
    rate: float = 0.5
    start: str = "noise"


def test_numbers_of_numpy_become_python_s() -> None:
    numbers = Numbers(steps=np.int64(7))  # type: ignore[arg-type]
    become(numbers, "steps", operator.index)
    assert type(numbers.steps) is int
    with pytest.raises(ArgumentError, match="rate is 'fast': that is no value for it"):
        become(Numbers(rate="fast"), "rate", float, "value")  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, np.inf, np.nan])
def test_numbers_below_their_least(steps: float) -> None:
    check_least(Numbers(steps=1), {"steps": 1})
    with pytest.raises(ArgumentError, match=r"steps is .*: it starts at 1"):
        check_least(Numbers(steps=steps), {"rate": 0, "steps": 1})  # type: ignore[arg-type]


def test_words_that_are_not_known() -> None:
    check_known(Numbers(), {"start": ("photo", "noise")})
    with pytest.raises(ArgumentError, match="start is 'noise': photo or grey"):
        check_known(Numbers(), {"start": ("photo", "grey")})


def test_what_is_given_stands_over_the_preset_s() -> None:
    preset = known_preset({"slow": Numbers(rate=0.1)}, "slow")
    assert overridden(preset, {"steps": 9, "rate": None}, "a walk") == Numbers(9, 0.1)
    with pytest.raises(ArgumentError, match="stps is no number of a walk: steps, rate, start"):
        overridden(preset, {"stps": 9}, "a walk")
    with pytest.raises(ArgumentError, match="preset is 'fast'; it must be one of slow"):
        known_preset({"slow": preset}, "fast")
