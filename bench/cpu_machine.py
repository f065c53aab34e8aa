"""What is measured on: the processor, its best product of matrices, and who else is busy there."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

SIDE = 2048  # of the matrices whose product is the peak
TRIES = 10
NOISY = 0.1  # of the machine, kept busy by others
PATIENCE = 3  # times as much is measured as is wanted, if need be
FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
PACKAGES = ("numpy", "torch", "onnxruntime", "numba")


def cores() -> int:
    """How many this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def described(threads: int) -> str:
    """The machine and the versions, in two sentences."""
    facts = dict(cpu_facts())
    name = facts.get("model name") or platform.processor() or platform.machine()
    numbers = ", ".join(
        f"{title} {facts[key]}"
        for key, title in (("cpu family", "family"), ("model", "model"))
        if key in facts
    )
    name += f" ({numbers})" if numbers else ""
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    features = " ".join(name for name in FEATURES if name in flags)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "no commit"
    return (
        f"{name}, {features}; {os.cpu_count()} cores, {threads} threads used. "
        f"Python {platform.python_version()}, {versions}; oneiro {version('oneiro')} at {commit}."
    )


def cpu_facts() -> Iterator[tuple[str, str]]:
    """What Linux tells of the first core."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().split("\n\n")[0].splitlines() if path.exists() else ():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not there"


def sgemm_peak(threads: int) -> tuple[dict[str, float], str]:
    """Multiplications and additions a second in a product of large matrices, by each library.

    And a sentence that says so.
    """
    a, b = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    makers = {"NumPy": in_numpy, "PyTorch": in_torch, "onnxruntime": in_onnxruntime}
    runs = {name: make(a, b, threads) for name, make in makers.items()}
    rounds, others = quiet(lambda: {name: seconds(run) for name, run in runs.items()}, TRIES)
    peaks = {name: 2 * SIDE**3 / min(one[name] for one in rounds) for name in runs}
    speeds = ", ".join(f"{name} {speed / 1e9:.0f}" for name, speed in peaks.items())
    text = f"A product of two matrices runs at {speeds} GFLOP/s."
    if others >= NOISY:
        text += f" That is too slow: other processes kept {others:.0%} of the machine busy."
    return peaks, text


def seconds(run: Callable[[], Any], count: int = 1) -> float:
    """Of one of `count` calls in a row."""
    begun = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - begun) / count


def in_numpy(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    from threadpoolctl import threadpool_limits

    def product() -> Any:
        with threadpool_limits(threads, "blas"):
            return a @ b

    return product


def in_torch(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(threads)
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    return lambda: left @ right


def in_onnxruntime(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    import onnxruntime
    from onnx import parser

    graph = f"product (float[{SIDE},{SIDE}] a, float[{SIDE},{SIDE}] b) => (float[m,n] c)"
    text = f'<ir_version: 8, opset_import: ["" : 17]> {graph} {{ c = MatMul(a, b) }}'
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        parser.parse_model(text).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"a": a, "b": b})


def quiet(measure: Callable[[], T], count: int) -> tuple[list[T], float]:
    """`count` results, measured while other processes let the machine alone, as far as they do.

    More are measured if need be, and the quietest ones taken. Also: which part of the machine
    others kept busy during the worst of these; 0 where nobody tells.
    """
    found: list[tuple[float, T]] = []
    while len(found) < PATIENCE * count and sum(share < NOISY for share, _ in found) < count:
        wall, own, everybody = time.perf_counter(), time.process_time(), busy()
        result = measure()
        lasted = (time.perf_counter() - wall) * (os.cpu_count() or 1)
        others = busy() - everybody - (time.process_time() - own)
        found.append((max(others, 0.0) / lasted, result))
    found = sorted(found, key=lambda pair: pair[0])[:count]
    return [result for _, result in found], found[-1][0]


def busy() -> float:
    """Seconds that all cores together have worked since Linux was started; 0 elsewhere."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    first = path.read_text().splitlines()[0]
    user, nice, system, _, _, *more = map(int, first.split()[1:9])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def peak_bytes() -> int:
    """The memory that this process took at most.

    Not what getrusage says: on Linux that is at least what the process took that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform.system() == "Darwin" else 1024 * most
