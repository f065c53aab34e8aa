"""All that a machine with a GPU can say of oneiro; it needs no network: `python bench/gpu.py`.

    python bench/gpu.py [all] --minutes 25     everything below, in this order
    python bench/gpu.py parity                 the tests' bodies that the emulator runs, on the GPU
    python bench/gpu.py sanitizer              compute-sanitizer on all kernels' cases
    python bench/gpu.py tune                   which tiles are fastest, kept in the cache folder
    python bench/gpu.py kernels                bench/kernels.py on the networks below
    python bench/gpu.py networks               bench/network.py: whole networks beside PyTorch
    python bench/gpu.py compiled               the same beside torch.compile, where it gets ready

A stage ends after its --minutes, and says what it did not get to. What is found is kept in
bench/results/gpu-DEVICE.json, over what an earlier run found of the same rows, and written from
there as gpu-DEVICE.md; both go to the folder $OUT too, where there is one. It wants CuPy, PyTorch,
pytest, and oneiro installed: `pip install --no-deps --no-build-isolation -e .` does without a
network.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from network import NETWORKS, SIZES
from page import page

import oneiro
from oneiro.kernels.dispatch import PRECISIONS, Cuda, DeviceError, device_named
from oneiro.kernels.tuning import source_digest

BENCH = Path(__file__).parent
ROOT = BENCH.parent
SHARES = {"parity": 4, "sanitizer": 3, "tune": 3, "kernels": 3, "networks": 8, "compiled": 4}
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SIZE_OF_TABLES = 224  # px, for tables of kernels
MODES = ("max-autotune", "reduce-overhead")  # of torch.compile; the second where the first fails
COMPILING = 150  # seconds that a mode gets
LONGEST = 300  # seconds that a network gets at one size
LEAST = 20  # seconds without which nothing more is begun
PACKAGES = (
    *("numpy", "onnx", "cupy-cuda13x", "cupy-cuda12x", "nvidia-cuda-nvrtc", "torch", "triton"),
    *("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "onnxruntime", "onnxruntime-gpu"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="?", choices=["all", *SHARES, "exercise"], default="all")
    parser.add_argument("--minutes", type=float, help="of a stage 8, of all 25 unless told")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=BENCH / "results")
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if importlib.util.find_spec("platformdirs") is None:
        # nobody can say where the user's cache folder is
        os.environ.setdefault("ONEIRO_CACHE", str(ROOT / "build" / "cache"))
    try:
        if asked.stage == "exercise":
            exercise(asked.device)
            return
        machine = described_machine() if asked.device == "cuda" else {"title": asked.device}
    except DeviceError as error:
        sys.exit(f"bench/gpu.py needs a GPU: {error}")
    stages = list(SHARES) if asked.stage == "all" else [asked.stage]
    ends = time.monotonic() + 60 * (asked.minutes or (25 if asked.stage == "all" else 8))
    session = Session(asked, machine)
    for k, stage in enumerate(stages):
        seconds = share(ends - time.monotonic(), stages[k:])
        print(f"\n== {stage}, {seconds:.0f} s at most", flush=True)
        session.ends = time.monotonic() + seconds
        STAGES[stage](session)
        session.save()
    print(f"\n{session.path.with_suffix('.md')}")


def share(seconds: float, stages: list[str]) -> float:
    """What the first of these stages gets of the seconds that all have."""
    return max(seconds, 0) * SHARES[stages[0]] / sum(SHARES[stage] for stage in stages)


class Session:
    """What was asked, what is known so far, and until when the stage may go on."""

    def __init__(self, asked: argparse.Namespace, machine: dict[str, Any]) -> None:
        self.asked = asked
        self.ends = 0.0
        name = re.sub(r"[^a-z0-9]+", "-", machine["title"].lower().removeprefix("nvidia "))
        self.path = asked.folder / f"gpu-{name.strip('-')}.json"
        self.results: dict[str, Any] = {"networks": {}, "compiled": {}}
        if self.path.exists():
            self.results |= json.loads(self.path.read_text("utf-8"))
        self.results["machine"] = machine
        self.commit = commit()

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.monotonic()

    def note(self, stage: str, found: dict[str, Any]) -> None:
        """Keep what a stage found."""
        self.results[stage] = found | {"commit": self.commit, "clocks": clocks()}
        self.save()

    def save(self) -> None:
        """Write both files, and copies to $OUT."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.results, indent=1) + "\n", "utf-8")
        self.path.with_suffix(".md").write_text(page(self.results), "utf-8")
        out = os.environ.get("OUT")
        if out:
            for path in (self.path, self.path.with_suffix(".md")):
                shutil.copy(path, out)

    def python(self, *command: Any, seconds: float | None = None) -> Done:
        """Run a script beside this one."""
        file, *rest = map(str, command)
        return done([sys.executable, str(BENCH / file), *rest], seconds or self.left)

    def network(self, name: str, *options: Any, seconds: float | None = None) -> Done:
        """Run bench/network.py."""
        device = ("--device", self.asked.device)
        return self.python("network.py", name, *options, *device, seconds=seconds)


class Done(NamedTuple):
    """A process that has ended, or was ended."""

    code: int | None  # None: its time was over
    output: str

    @property
    def reason(self) -> str:
        """Why it failed."""
        if self.code is None:
            return "it was not done in time"
        lines = [line for line in self.output.strip().splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else f"it ended with {self.code}"


def done(command: list[str], seconds: float) -> Done:
    """Run a command in its own group of processes, which ends with it or when its time is over."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(max(seconds, 1))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_group(process)
        file.seek(0)
        output = file.read()
    print(output[-20000:], flush=True)
    return Done(code, output)


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


# The machine


def described_machine() -> dict[str, Any]:
    """The GPU and the versions; raises DeviceError without a GPU."""
    device = Cuda()
    runtime = device.cupy.cuda.runtime
    found = {
        "title": device.title,
        "capability": ".".join(map(str, device.capability)),
        "processors": device.processors,
        "memory": runtime.memGetInfo()[1],
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "python": platform.python_version(),
        "kernels": source_digest()[:12],
    }
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """That of the working tree, with a + where it has changed; $COMMIT where there is no git."""
    describe = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("COMMIT", "unknown")
    return found.stdout.strip()


def clocks() -> str:
    """What nvidia-smi says of clocks, heat and power now."""
    fields = "clocks.sm,clocks.mem,temperature.gpu,power.draw"
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


# The stages


def parity(session: Session) -> None:
    """The tests marked gpu."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # warnings of other versions of other packages are no errors here
        command = ["-m", "pytest", "-m", "gpu", "-q", "-W", "default"]
        command += ["--continue-on-collection-errors", f"--junitxml={report}"]
        ended = done([sys.executable, *command], session.left)
        text = report.read_text("utf-8") if report.exists() else ""
    session.note("parity", outcome(text) if text else {"reason": ended.reason})


def outcome(report: str) -> dict[str, Any]:
    """What pytest's XML says: counts, and the tests that failed."""
    suites = list(ElementTree.fromstring(report).iter("testsuite"))
    counts = {
        key: sum(int(suite.get(key, 0)) for suite in suites)
        for key in ("tests", "failures", "errors", "skipped")
    }
    failed = {
        f"{case.get('classname')}.{case.get('name')}": (bad.get("message") or "")[:200]
        for case in ElementTree.fromstring(report).iter("testcase")
        for bad in [*case.iter("failure"), *case.iter("error")]
    }
    return {**counts, "failed": failed}


def sanitizer(session: Session) -> None:
    """Each tool on each kernel."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        reason = "compute-sanitizer is not on PATH"
        print(reason)
        session.note("sanitizer", {"reason": reason})
        return
    found = {}
    for k, tool in enumerate(TOOLS):
        command = [program, "--tool", tool, sys.executable, str(BENCH / "gpu.py"), "exercise"]
        ended = done(command, session.left / (len(TOOLS) - k))
        summaries = re.findall(r"=+ (\w+ SUMMARY: .*)", ended.output)
        found[tool] = summaries[-1] if summaries else ended.reason
    session.note("sanitizer", {"tools": found})


def exercise(device: str) -> None:
    """Every version of every kernel on its cases, and a step; each array in memory of its own."""
    # the file, not the package of that name
    spec = importlib.util.spec_from_file_location("bench_kernels", BENCH / "kernels.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    wrong = []
    for precision in PRECISIONS:
        place = device_named(device, precision)
        if device == "cuda":
            without_pools(place.cupy)
        for calls in table.cases(place).values():
            for call in calls:
                for version, answer in call.versions().items():
                    off = table.difference(answer(), call.right())
                    if not off <= table.TOLERANCE[precision]:
                        wrong.append(f"{precision}: {version} of {call}: {off:.1e} off")
        net = oneiro.load("squeezenet1.1", device=device, precision=precision)
        net.blobs[net.input].data = np.ones((1, 3, 45, 39), np.float32)
        oneiro.make_step(net, end="fire3/concat")
    print(*wrong, f"{len(wrong)} results are wrong", sep="\n")
    sys.exit(bool(wrong))


def without_pools(cupy: Any) -> None:
    """Have each array in memory of its own, so that whoever leaves it is seen."""

    def malloc(size: int) -> Any:
        return cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)

    cupy.cuda.set_allocator(malloc)
    cupy.get_default_memory_pool = lambda: SimpleNamespace(malloc=malloc)  # uploads ask for it


def tune(session: Session) -> None:
    """What bench/network.py --tune measures."""
    found = {}
    for size in session.asked.sizes:
        for name in session.asked.networks:
            if session.left < LEAST:
                found[f"{name} {size}"] = "no time left"
                continue
            precisions = ("--precisions", *session.asked.precisions)
            ended = session.network(name, "--tune", "--sizes", size, *precisions)
            found[f"{name} {size}"] = "done" if ended.code == 0 else ended.reason
    session.note("tune", {"networks": found})


def kernels(session: Session) -> None:
    """What bench/kernels.py says."""
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in session.asked.networks:
            path = Path(folder) / f"{name}.onnx"
            session.network(name, "--save", path)
            for precision in session.asked.precisions:
                key = f"{name} {SIZE_OF_TABLES} {precision}"
                if session.left < LEAST:
                    tables[key] = "no time left"
                    continue
                model = ("--model", path, "--end", NETWORKS[name].end, "--size", SIZE_OF_TABLES)
                ended = session.python("kernels.py", *model, "--precision", precision)
                tables[key] = ended.output.replace(str(path), name).strip()
                if ended.code != 0:
                    tables[key] += f"\n{ended.reason}"
    session.note("kernels", {"tables": tables})


def networks(session: Session) -> None:
    """Rows of bench/network.py: a process for each network and size."""
    asked = session.asked
    for size in asked.sizes:
        for name in asked.networks:
            rows, reason = {}, "no time left"
            if session.left > LEAST:
                options = ("--sizes", size, "--precisions", *asked.precisions)
                seconds = min(session.left, LONGEST)
                rows, reason = measured_rows(session, name, options, seconds)
            for precision in asked.precisions:
                keep_row(session, "networks", (name, size, precision), rows, reason)
            session.save()


def compiled(session: Session) -> None:
    """Rows beside torch.compile: a process for each, which may not get ready in time."""
    asked = session.asked
    for size in asked.sizes:
        for precision in asked.precisions:
            for name in asked.networks:
                rows, reasons = {}, []
                for mode in MODES:
                    if session.left < LEAST:
                        reasons.append(f"{mode}: no time left")
                        break
                    options = ("--sizes", size, "--precisions", precision, "--compile", mode)
                    seconds = min(session.left, COMPILING)
                    rows, reason = measured_rows(session, name, options, seconds)
                    why = failed_compiling(rows, reason)
                    if not why:
                        break
                    reasons.append(f"{mode}: {why}")
                for row in rows.values():
                    row["reasons"] = reasons
                keep_row(session, "compiled", (name, size, precision), rows, "; ".join(reasons))
        session.save()


def failed_compiling(rows: dict[str, Any], reason: str) -> str:
    """Why torch.compile is not in the row; empty where it is."""
    if not rows:
        return reason
    (row,) = rows.values()
    failures = row.get("gradient", {}).get("failures", {})
    lost = [text for name, text in failures.items() if name.startswith("torch.compile")]
    return row.get("reason", "") or "".join(lost)


def measured_rows(
    session: Session, name: str, options: Iterable[Any], seconds: float
) -> tuple[dict[str, Any], str]:
    """{precision: row} by bench/network.py, and why the others are missing."""
    before = clocks()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        how = (*options, "--rounds", session.asked.rounds, "--json", file)
        ended = session.network(name, *how, seconds=seconds)
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    said = {"clocks": [before, clocks()], "commit": session.commit}
    return {row["precision"]: row | said for row in rows}, ended.reason


def keep_row(
    session: Session, stage: str, key: tuple[str, int, str], rows: dict[str, Any], reason: str
) -> None:
    """The row of a network, size and precision; without one the reason, if nothing is known yet."""
    name, size, precision = key
    label = f"{name} {size} {precision}"
    if precision in rows:
        session.results[stage][label] = rows[precision]
    else:
        title = {"network": name, "title": NETWORKS[name].title}
        lost = {**title, "size": size, "precision": precision, "reason": reason}
        session.results[stage].setdefault(label, lost)


STAGES: dict[str, Callable[[Session], None]] = {
    "parity": parity,
    "sanitizer": sanitizer,
    "tune": tune,
    "kernels": kernels,
    "networks": networks,
    "compiled": compiled,
}


if __name__ == "__main__":
    main()
