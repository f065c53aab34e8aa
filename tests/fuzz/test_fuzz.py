"""Thousands of files, none of which may crash, hang, ask for the earth or look elsewhere."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from onnx import ModelProto, printer

from fuzz.graph import models
from fuzz.promise import attempt

HERE = Path(__file__).parent
FILES = 20_000  # shared out among the processes
PROCESSES = 2
SECONDS = 20  # of the search for new paths through the code

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits on a process as Linux has them")


def started(script: str, *arguments: Any) -> subprocess.Popen[str]:
    """A script of this folder in a process of its own, which has one thread."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def finished(process: subprocess.Popen[str]) -> None:
    """Wait for a script; fail with the end of what it told, unless it found nothing."""
    try:
        told, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    command = " ".join(map(str, process.args))
    assert process.returncode == 0, f"{command}\n{told[-6000:]}"


@linux
def test_a_look_elsewhere_is_seen(tmp_path: Path) -> None:
    from fuzz.harness import Watch

    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_bytes(b"weights")
    (inside / "link").symlink_to(outside)
    watch = Watch(inside)
    watch.active = True
    (inside / "model").write_bytes(b"model")
    assert not watch.seen
    (inside / "link").read_bytes()
    watch.active = False
    assert watch.seen == [str(outside.resolve())]


@linux
def test_mutated_files(tmp_path: Path) -> None:
    processes = []
    for number in range(PROCESSES):
        folder = tmp_path / str(number)
        folder.mkdir()
        count = FILES // PROCESSES
        processes.append(started("harness.py", number * count, count, folder))
    for process in processes:
        finished(process)


@linux
@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris is not installed")
def test_files_that_lead_into_new_code(tmp_path: Path) -> None:
    finished(started("coverage.py", tmp_path, f"-max_total_time={SECONDS}"))


@settings(
    max_examples=500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(model=models())
def test_drawn_graphs(tmp_path_factory: pytest.TempPathFactory, model: ModelProto) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.onnx"
    path.write_bytes(model.SerializeToString())
    note(printer.to_text(model))
    attempt(path)


@pytest.mark.parametrize("path", sorted(HERE.glob("corpus/*.onnx")), ids=lambda path: path.stem)
def test_files_that_once_broke_the_promise(tmp_path: Path, path: Path) -> None:
    attempt(Path(shutil.copy(path, tmp_path)))
