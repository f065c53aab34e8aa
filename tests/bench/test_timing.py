"""Times are compared round by round, as machines are not equally fast all the time."""

import functools
from collections.abc import Callable

import pytest
from timing import Clock, calls_for, interleaved, ratio, spread


class Drifting(Clock):
    """A machine that gets slower; A takes 2 of its seconds, B 6."""

    def __init__(self) -> None:
        super().__init__("emulator")
        self.factor = 1.0

    def __call__(self, run: Callable[[], float], count: int) -> float:
        self.factor *= 1.01
        return self.factor * run()


def test_quartiles() -> None:
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == [2.0, 3.0, 4.0]
    assert spread([7.0]) == [7.0, 7.0, 7.0]


def test_ratios_are_those_of_each_round() -> None:
    assert ratio([1.0, 2.0, 4.0], [3.0, 6.0, 12.0]) == [3.0, 3.0, 3.0]


@pytest.mark.parametrize(("seconds", "count"), [(1.0, 1), (0.5, 1), (1e-3, 30), (1e-9, 1000)])
def test_short_calls_are_repeated(seconds: float, count: int) -> None:
    assert calls_for(0.03, seconds) == count


def test_rivals_take_turns() -> None:
    order: list[str] = []

    def run(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    runs = {name: functools.partial(run, name, s) for name, s in (("A", 2.0), ("B", 6.0))}
    seconds = interleaved(runs, Drifting(), rounds=4)
    assert "".join(order).endswith("ABABABAB")
    assert seconds["A"][-1] > seconds["A"][0]
    assert ratio(seconds["A"], seconds["B"]) == pytest.approx([3.03] * 3)


def test_the_host_s_time_is_that_of_one_call() -> None:
    calls: list[int] = []
    issued, done = Clock("emulator").on_host(lambda: calls.append(1), 5)
    assert len(calls) == 5
    assert 0 <= issued <= done < 1
