"""How rivals are timed and compared: interleaved, by medians and quartiles, in paired rounds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import imported_cupy

SPAN = 0.03  # seconds that a measurement lasts at least
WARM_UPS = 5


class NoRivalError(Exception):
    """A rival cannot be had here."""


class Rival(NamedTuple):
    """A way to compute something from a picture."""

    feed: Callable[[np.ndarray], None]  # puts a picture where `run` reads it
    run: Callable[[], Any]
    read: Callable[[Any], np.ndarray]  # what `run` returned, on the host, in float64


class Clock:
    """Times of a GPU by its own events, or of the host."""

    def __init__(self, device: str) -> None:
        self.cupy = imported_cupy() if device == "cuda" else None
        self.cuda = self.cupy.cuda if self.cupy else None

    def __call__(self, run: Callable[[], Any], count: int) -> float:
        """Seconds of one of `count` calls in a row, which the current stream waits for."""
        if self.cuda is None:
            return self.on_host(run, count)[1]
        stream = self.cuda.get_current_stream()
        begin, end = self.cuda.Event(), self.cuda.Event()
        begin.record(stream)
        for _ in range(count):
            run()
        end.record(stream)
        end.synchronize()
        return self.cuda.get_elapsed_time(begin, end) / 1e3 / count

    def on_host(self, run: Callable[[], Any], count: int) -> tuple[float, float]:
        """Seconds of a call until the host may go on, and until the work is done."""
        self.wait()
        begun = time.perf_counter()
        for _ in range(count):
            run()
        issued = time.perf_counter() - begun
        self.wait()
        return issued / count, (time.perf_counter() - begun) / count

    def wait(self) -> None:
        """Until the GPU has nothing left to do."""
        if self.cuda:
            self.cuda.Device().synchronize()

    def free_bytes(self) -> float:
        """Of the GPU's memory."""
        return self.cuda.runtime.memGetInfo()[0] if self.cuda else math.inf

    def release(self) -> None:
        """Give back the memory that nobody uses."""
        if self.cupy:
            self.cupy.get_default_memory_pool().free_all_blocks()


def interleaved(
    runs: Mapping[str, Callable[[], Any]], clock: Clock, rounds: int, span: float = SPAN
) -> dict[str, list[float]]:
    """Seconds of a call of each, once a round, A B C A B C."""
    counts = {}
    for name, run in runs.items():
        clock(run, WARM_UPS)
        counts[name] = calls_for(span, clock(run, WARM_UPS))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(clock(run, counts[name]))
    return taken


def calls_for(span: float, seconds: float) -> int:
    """How many calls in a row last `span`, at most 1000."""
    return min(max(math.ceil(span / max(seconds, 1e-9)), 1), 1000)


def spread(values: Sequence[float]) -> list[float]:
    """The quartiles, with the median between them."""
    if len(values) == 1:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as long they take as we do: the quartiles of what each round says."""
    return spread([their / our for our, their in zip(ours, theirs, strict=True)])
