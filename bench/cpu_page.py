"""What bench/cpu.py found, as a page of Markdown: what was aimed at, and all that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cpu_machine import NOISY
from cpu_rival import JUDGE, KINDS, RIVALS, TORCH

MB = 1e6

INTRODUCTION = """\
All rivals of a table ran interleaved in one process and agreed before they were timed; ratios are
medians of what each round says, so they hold, and absolute times do not. Where Winograd is not used
there is no row without it. "Of the peak": the convolutions' multiplications and additions, as if
done directly, in the whole time, beside the best product of two matrices. Memory is the most that a
process of its own took, all imports included. PyTorch has frozen weights and folded batch
normalisation; "own LRN" is written by hand, with its derivative (bench/torch_lrn.py).
onnxruntime's step is the one that oneiro exports."""


@dataclass
class Case:
    """One network at one size."""

    network: str
    title: str
    size: str  # WIDTHxHEIGHT
    kind: str
    flops: int
    peak: float  # flops a second
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of each rival, once a round
    memory: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # why a rival has no times
    others: float = 0.0  # the part of the machine that other processes kept busy

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    @property
    def best_torch(self) -> str:
        """The fastest of PyTorch's rivals."""
        return min((name for name in TORCH if name in self.seconds), key=self.median)

    def time_of(self, name: str, other: str) -> float:
        """How many times as long a rival takes as another one."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(our / their for our, their in pairs)

    def memory_of(self, name: str) -> float | None:
        """How many times as much memory a rival takes as PyTorch."""
        if name not in self.memory or JUDGE not in self.memory:
            return None
        return self.memory[name] / self.memory[JUDGE]


class Target(NamedTuple):
    """How long a step may take, in parts of PyTorch's time."""

    network: str
    size: str  # empty: all
    rival: str
    eager: float
    best: float  # of all of PyTorch's rivals


MEMORY = 1.0  # that a step may take, in parts of PyTorch's
TARGETS = (
    Target("googlenet", "224x224", "fast", 0.35, 0.60),
    Target("googlenet", "512x512", "fast", 0.33, 0.50),
    Target("googlenet", "1024x576", "fast", 0.28, 0.40),
    Target("squeezenet", "", "fast", 0.40, 0.60),
    Target("resnet50", "", "fast", 0.60, 0.75),
    Target("mobilenet", "", "fast", 0.35, 0.50),
    Target("vgg19", "224x224", "fast", 0.60, 0.68),
    Target("vgg19", "512x512", "fast", 0.50, 0.60),
    Target("googlenet", "", "numpy", 0.70, 1.25),
)


def page(machine: str, command: str, cases: Sequence[Case], notes: str) -> str:
    """Everything."""
    parts = [
        "# A step of DeepDream on a CPU",
        f"{machine} Measured by\n\n    {command}",
        INTRODUCTION,
    ]
    aims = list(aimed(cases))
    if aims:
        titles = ["network", "px", "rival", "of torch eager", "aim", "of the best torch", "aim"]
        titles += ["memory of torch eager's", "aim", "reached"]
        parts += ["## What was aimed at", table(titles, aims)]
    for kind, heading in KINDS.items():
        for title in dict.fromkeys(case.title for case in cases if case.kind == kind):
            chosen = [case for case in cases if (case.kind, case.title) == (kind, title)]
            parts += [f"## {heading}: {title}", times(chosen)]
    lost = list(dict.fromkeys(line for case in cases for line in remarks(case)))
    if lost:
        parts += ["## Remarks", "\n".join(f"* {line}" for line in lost)]
    parts += [notes.strip()] if notes else []
    return "\n\n".join(parts) + "\n"


def aimed(cases: Sequence[Case]) -> Iterator[list[str]]:
    """A row for each target that was measured."""
    for target in TARGETS:
        for case in cases:
            if (case.network, case.kind) != (target.network, "step"):
                continue
            if target.size not in ("", case.size) or target.rival not in case.seconds:
                continue
            found = [case.time_of(target.rival, JUDGE), case.time_of(target.rival, case.best_torch)]
            pairs = [*zip(found, (target.eager, target.best), strict=True)]
            memory = case.memory_of(target.rival)
            if memory is not None:
                pairs.append((memory, MEMORY))
            cells = [cell for value, aim in pairs for cell in (f"{value:.2f}", f"{aim:.2f}")]
            cells += [""] * (6 - len(cells))
            missed = [value for value, aim in pairs if round(value, 2) > aim]
            title = RIVALS[target.rival].title
            yield [case.title, case.size, title, *cells, "**no**" if missed else "yes"]


def times(cases: Sequence[Case]) -> str:
    """A table of one network's rivals."""
    titles = ["px", "rival", "ms", "least", "of torch eager", "of the best torch"]
    titles += ["of the peak", "MB", "of torch eager's"]
    return table(titles, [row for case in cases for row in rows(case)])


def rows(case: Case) -> Iterator[list[str]]:
    for name in case.seconds:
        median, memory = case.median(name), case.memory_of(name)
        yield [
            case.size,
            RIVALS[name].title,
            f"{1e3 * median:.1f}",
            f"{1e3 * min(case.seconds[name]):.1f}",
            f"{case.time_of(name, JUDGE):.2f}",
            f"{case.time_of(name, case.best_torch):.2f}",
            f"{case.flops / median / case.peak:.0%}",
            f"{case.memory[name] / MB:.0f}" if name in case.memory else "",
            "" if memory is None else f"{memory:.2f}",
        ]


def remarks(case: Case) -> Iterator[str]:
    """Why numbers are missing, or not to be trusted."""
    for name, text in case.reasons.items():
        yield f"{case.title}, {case.kind}, {case.size}: {RIVALS[name].title}: {text}"
    if case.others >= NOISY:
        text = f"other processes kept {case.others:.0%} of the machine busy"
        yield f"{case.title}, {case.kind}, {case.size}: {text}"


def table(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Markdown whose columns stand under each other in a terminal, too."""
    cells = [list(titles), *map(list, lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in cells
    )
