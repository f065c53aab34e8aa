"""oneiro beside PyTorch and onnxruntime on a CPU: `python bench/cpu.py --out bench/results/cpu.md`.

A step of DeepDream is timed (roll, forward, backward to the picture, update, roll back, clip), and
forward alone. The rivals of a case run in one process, take turns (A B C A B C), and have to agree
with torch eager before anything is timed. What a rival takes of memory is seen in a process of its
own, with all that it imports. The extras `cpu` and `torch` are wanted, and g++ for torch.compile.

All of it takes most of an hour. A quick look:
`python bench/cpu.py --net squeezenet --size 224 --kind step --rounds 3 --without compile`
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cpu_page
import numpy as np
from cpu_machine import cores, described, peak_bytes, quiet, seconds, sgemm_peak
from cpu_page import Case
from cpu_rival import JUDGE, KINDS, RIVALS, NoRivalError, Task

PAUSE = 0.05  # seconds before a turn
SPAN = 0.2  # seconds that it lasts, if one call is not longer
LONG = 1.5  # seconds of a call that needs no other one before it
TOLERANCE = 5e-4  # the median error, in parts of the mean: ties of a pool may fall either way
COSINE = 0.999  # between what two rivals found, at least
WEIGHED = 3  # calls after which the memory is read


def main() -> None:
    asked = parsed()
    if asked.alone:
        ((size,), (network,), (kind,)) = asked.size, asked.net, asked.kind
        run = RIVALS[asked.alone].make(Task(asked.folder, network, size, kind, asked.threads))
        for _ in range(WEIGHED):
            run()
        print(peak_bytes())
        return
    peaks, products = sgemm_peak(asked.threads)
    machine = f"{described(asked.threads)} {products}"
    print(machine)
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for case in measured(Path(folder), max(peaks.values()), asked):
            cases.append(case)
            print(f"\n{KINDS[case.kind]}: {case.title}\n{cpu_page.times([case])}")
            print(*cpu_page.remarks(case), sep="\n", flush=True)
            if asked.out:  # after each: what there is stays if it is stopped
                command = shlex.join(["python", "bench/cpu.py", *sys.argv[1:]])
                notes = asked.notes.read_text("utf-8") if asked.notes else ""
                text = cpu_page.page(machine, command, cases, notes)
                asked.out.write_text(text, "utf-8")
    reasons = [reason for case in cases for reason in case.reasons.values()]
    sys.exit(any(reason.startswith("wrong") for reason in reasons))


def parsed() -> argparse.Namespace:
    """The command line."""
    names = ["googlenet", "squeezenet", "resnet50", "vgg19", "mobilenet"]
    usual = [name for name in RIVALS if name != "compile-channels-last"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", nargs="+", choices=names, help="default: all that are at hand")
    parser.add_argument("--mobilenet", type=Path, metavar="FILE", help="a MobileNetV2 of yours")
    parser.add_argument(
        "--size", nargs="+", type=size, default=[(224, 224), (512, 512), (1024, 576)],
        metavar="WIDTH[xHEIGHT]",
    )  # fmt: skip
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument(
        "--rivals", nargs="+", choices=RIVALS, default=usual, metavar="RIVAL",
        help=f"of {', '.join(RIVALS)}; default: all but the slow compile-channels-last",
    )  # fmt: skip
    parser.add_argument(
        "--without", nargs="+", choices=RIVALS, default=[], metavar="RIVAL", help="leave them out"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--no-memory", action="store_true", help="only times")
    parser.add_argument("--out", type=Path, metavar="PAGE", help="a page of Markdown")
    parser.add_argument("--notes", type=Path, metavar="FILE", help="Markdown that ends the page")
    parser.add_argument("--alone", choices=RIVALS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.net = asked.net or [name for name in names if name != "mobilenet" or asked.mobilenet]
    asked.rivals = [
        name
        for name in RIVALS
        if name == JUDGE or (name in asked.rivals and name not in asked.without)
    ]
    return asked


def size(text: str) -> tuple[int, int]:
    """The width and the height in "512" or "1024x576"."""
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def measured(folder: Path, peak: float, asked: argparse.Namespace) -> Iterator[Case]:
    """A case for each network, kind and size."""
    from cpu_network import prepare  # it needs more than the process of a rival should have

    for network in asked.net:
        title = prepare(folder, network, asked.size, asked.mobilenet)
        for kind in asked.kind:
            for pixels in asked.size:
                task = Task(folder, network, pixels, kind, asked.threads)
                case = Case(network, title, task.label, kind, task.flops, peak)
                measure(case, task, asked)
                yield case


def measure(case: Case, task: Task, asked: argparse.Namespace) -> None:
    """Fill in what there is to know."""
    names = [name for name in asked.rivals if name != "own-lrn" or task.facts["lrn"]]
    runs = agreeing(task, names, case.reasons)
    case.seconds, case.others = interleaved(runs, asked.rounds)
    if asked.no_memory or task.kind != "step":
        return
    for name in runs:
        try:
            case.memory[name] = memory(name, task)
        except subprocess.CalledProcessError as error:
            case.reasons[name] = f"alone: {(error.stderr.splitlines() or [error])[-1]}"


def agreeing(
    task: Task, names: list[str], reasons: dict[str, str]
) -> dict[str, Callable[[], np.ndarray]]:
    """The rivals that can be had and find what the judge finds; of the others, the reasons."""
    runs: dict[str, Callable[[], np.ndarray]] = {}
    results: dict[str, np.ndarray] = {}
    base = task.picture() if task.kind == "step" else np.zeros((), np.float32)
    for name in sorted(names, key=lambda name: name != JUDGE):  # the judge first
        print(f"{task.network} {task.label} {task.kind}: {RIVALS[name].title}", file=sys.stderr)
        try:
            run = RIVALS[name].make(task)
            results[name] = run() - base
        except Exception as error:  # the others are worth having
            if name == JUDGE:
                raise
            reasons[name] = failure(error)
            continue
        error, cosine = apart(results[name], results[JUDGE])
        if error < TOLERANCE and cosine > COSINE:
            runs[name] = run
        else:
            reasons[name] = f"wrong: a median error of {error:.1e}, a cosine of {cosine:.4f}"
    if {"fast", "exact"} <= runs.keys() and np.array_equal(results["fast"], results["exact"]):
        del runs["exact"]  # there is no Winograd here
    return {name: runs[name] for name in names if name in runs}


def apart(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """The median error in parts of the mean, and the cosine."""
    error = np.median(np.abs(found - wanted)) / np.abs(wanted).mean()
    lengths = np.linalg.norm(found) * np.linalg.norm(wanted)
    return float(error), float((found * wanted).sum(dtype=np.float64) / lengths)


def failure(error: Exception) -> str:
    """The kind of an error, and the first line of what it says."""
    if isinstance(error, NoRivalError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def interleaved(
    runs: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, list[float]], float]:
    """Seconds of a call of each, once a round, and how busy others were at the worst.

    A turn begins when the threads of the last rival sleep (those of OpenBLAS and OpenMP spin for a
    while), and with a call that is not timed: it gets caches and memory back, and may take twice as
    long as a dream's next step.
    """
    durations = {name: seconds(run) for name, run in runs.items()}

    def one_round() -> dict[str, float]:
        taken = {}
        for name, run in runs.items():
            time.sleep(PAUSE)
            if durations[name] < LONG:
                run()
            taken[name] = seconds(run, max(1, round(SPAN / durations[name])))
        return taken

    found, others = quiet(one_round, rounds)
    return {name: [taken[name] for taken in found] for name in runs}, others


def memory(name: str, task: Task) -> int:
    """Bytes that a process takes at most which runs this rival alone."""
    task_options = ["--folder", task.folder, "--net", task.network, "--size", task.label]
    more = ["--kind", task.kind, "--threads", task.threads]
    command = [sys.executable, __file__, "--alone", name, *task_options, *more]
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return int(said.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
