"""Scans in shards: stopped, killed, shared and gone on with, they come to the same files."""

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from oneiro import ArgumentError, OneiroError, scan as module
from oneiro.scan import Arrays, Scan, Work, read_manifest, spread

COUNT = 6
SCRIPT = """
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from oneiro.scan import Scan

FOLDER, HOW, KILLED = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])


class Job:
    key = "squares"

    def start(self):
        print("worker", os.getpid(), flush=True)
        return self.work

    def work(self, number):
        if HOW == "parent" and number == 2:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # until it ends with its parent
        if HOW in ("worker", "dask") and number == 3 and not KILLED.exists():
            KILLED.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"square": np.array(number**2)}


if __name__ == "__main__":
    dask = "local" if HOW == "dask" else None
    Scan(FOLDER, {"k": 9}).fill(Job(), 6, processes=2, dask=dask)
"""


class Job:
    """Squares; and how often it was started."""

    key = "squares"

    def __init__(self) -> None:
        self.starts = 0
        self.numbers: list[int] = []

    def start(self) -> Work:
        self.starts += 1
        return self.work

    def work(self, number: int) -> Arrays:
        self.numbers.append(number)
        return {"square": np.array(number**2)}


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    scan = Scan(tmp_path, {"k": 9})
    scan.fill(Job(), 2)
    for damage in (b"", b"junk", scan.path(0).read_bytes()[:-30]):
        scan.path(1).write_bytes(damage)
        with pytest.raises(ArgumentError, match=r"00001\.npz: is damaged .*delete it"):
            list(scan.results(2))


def run(tmp_path: Path, folder: str, how: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, tmp_path / folder, how, tmp_path / "killed"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def digests(folder: Path) -> dict[str, str]:
    """Of the finished files: one that was killed as it wrote leaves a hidden draft."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
    }


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, str]:
    """The files of a scan that nothing disturbed."""
    Scan(tmp_path / "expected", {"k": 9}).fill(Job(), COUNT)
    return digests(tmp_path / "expected")


def test_a_scan_fills_a_folder_and_reads_it_in_order(tmp_path: Path) -> None:
    job, told = Job(), []
    scan = Scan(tmp_path / "scan", {"k": 9})
    scan.fill(job, COUNT, on_shard=lambda *count: told.append(count))
    assert [int(shard["square"]) for shard in scan.results(COUNT)] == [0, 1, 4, 9, 16, 25]
    assert told == [(done, COUNT) for done in range(COUNT + 1)]
    assert read_manifest(tmp_path / "scan") == {"k": 9}
    assert job.starts == 1
    scan.path(4).unlink()
    scan.fill(job, COUNT)
    assert job.numbers == [0, 1, 2, 3, 4, 5, 4]
    Scan(tmp_path / "scan", {"k": 9}).fill(job, COUNT)
    assert len(job.numbers) == 7


def test_killed_scans_go_on_to_the_same_bytes(tmp_path: Path, expected: dict[str, str]) -> None:
    killed = run(tmp_path, "scan", "parent")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(digests(tmp_path / "scan")) < len(expected)
    for line in killed.stdout.splitlines():
        wait_for_end_of(int(line.split()[1]))
    again = run(tmp_path, "scan", "worker")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "killed").exists()  # what that worker had is done again
    assert digests(tmp_path / "scan") == expected


def wait_for_end_of(process: int) -> None:
    """Workers do not outlive who they work for."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    pytest.fail("a worker is left over")


class Mortal:
    """Processes that die at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, *_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool())
        return future

    def shutdown(self, cancel_futures: bool) -> None:
        pass


def test_processes_that_all_die_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Mortal)
    with pytest.raises(OneiroError, match="a process died before it finished anything"):
        list(spread(Job(), range(3), processes=2))


def test_a_cluster_whose_workers_all_die_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    dask = MagicMock(KilledWorker=ZeroDivisionError)
    dask.as_completed.side_effect = ZeroDivisionError
    monkeypatch.setitem(sys.modules, "distributed", dask)
    with pytest.raises(OneiroError, match="workers died over one shard"):
        list(spread(Job(), range(3), dask="tcp://somewhere:1"))


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is absent")
def test_a_cluster_that_loses_a_worker_comes_to_the_same(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    done = run(tmp_path, "scan", "dask")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    assert digests(tmp_path / "scan") == expected


def test_another_scan_is_not_mixed_in(tmp_path: Path) -> None:
    manifest = {"k": 9, "model": {"sha256": "a" * 64}, "ids": ["x" * 80]}
    Scan(tmp_path, manifest)
    Scan(tmp_path, manifest)
    other = {"k": 8, "model": {"sha256": "b" * 64}, "ids": ["y" * 80]}
    with pytest.raises(ArgumentError) as raised:
        Scan(tmp_path, other)
    text = "another scan (ids; k was 9, is 8; model: sha256 was aaaaaaaaaaaa, is bbbbbbbbbbbb)"
    assert text in str(raised.value)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArgumentError, match="is no manifest"):
        read_manifest(tmp_path)


def test_arguments_of_a_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="processes is 0"):
        list(spread(Job(), [1], processes=0))
    assert list(spread(Job(), [])) == []
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ArgumentError, match=r"pip install \"oneiro\[dask\]\""):
        list(spread(Job(), [1], dask="local"))


def test_a_worker_keeps_what_a_job_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}
    monkeypatch.setattr(module, "_started", started)
    one, other = Job(), Job()
    other.key = "more squares"
    for job in (one, one, other, other):
        module.done(job, 3)
    assert (one.starts, other.starts) == (1, 1)
    assert list(started) == ["more squares"]
