"""Where a step's time goes on the fast executor: `python bench/cpu_profile.py [--out PAGE]`.

Each call of a Plan is timed by itself, in the order of the plan; medians are added up by what does
the work. The sum is a little more than a whole step, as looking at the clock takes time, too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from cpu import size
from cpu_machine import cores, described
from cpu_network import NETWORKS, prepare
from cpu_page import table
from cpu_rival import Task, with_oneiro

from oneiro.kernels import crew
from oneiro.plan import fast
from oneiro.plan.schedule import Segment

ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", nargs="+", choices=[*NETWORKS], default=[*NETWORKS])
    parser.add_argument("--size", nargs="+", type=size, default=[(224, 224), (512, 512)])
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path, metavar="PAGE", help="a page of Markdown")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for network in asked.net:
            title = prepare(Path(name), network, asked.size, None)
            for pixels in asked.size:
                task = Task(Path(name), network, pixels, "step", asked.threads)
                rows += [[title, task.label, *row] for row in profiled(task)]
    titles = ["network", "px", "what", "calls", "ms", "of the step"]
    page = "\n\n".join(
        ["# Where a step's time goes", described(asked.threads), table(titles, rows)]
    )
    print(page)
    if asked.out:
        asked.out.write_text(f"{page}\n", "utf-8")


def profiled(task: Task) -> list[list[str]]:
    """The time of each kind of call, the longest first."""
    calls: list[tuple[str, Any]] = []
    bound = fast.bound

    def noted(step: Any, *args: Any) -> Any:
        runs = bound(step, *args)
        calls.extend((kind(step), run) for run in runs)
        return runs

    fast.bound = noted
    try:
        run = with_oneiro(task, "fast", "auto")
    finally:
        fast.bound = bound
    run()
    taken: list[list[float]] = [[] for _ in calls]
    with crew.alone():
        for _ in range(ROUNDS):
            for seconds, (_, call) in zip(taken, calls, strict=True):
                begun = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - begun)
    sums: dict[str, list[float]] = {}
    for (name, _), seconds in zip(calls, taken, strict=True):
        sums.setdefault(name, []).append(1e3 * statistics.median(seconds))
    whole = sum(map(sum, sums.values()))
    listed = sorted(sums.items(), key=lambda item: -sum(item[1]))
    return [
        [name, str(len(each)), f"{sum(each):.2f}", f"{sum(each) / whole:.0%}"]
        for name, each in listed
        if sum(each) > 0.01 * whole
    ]


def kind(step: Any) -> str:
    """Who does a step, and what it is."""
    if isinstance(step, Segment):
        return "onnxruntime"
    name = getattr(step.function, "__name__", str(step.function)).removesuffix(" + tail")
    return "functions of each element" if name[:1].isdigit() else name


if __name__ == "__main__":
    main()
