"""Long work in shards: by this process, several, or a Dask cluster; resumed where it stopped."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import json
import logging
import multiprocessing
import os
import signal
import threading
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .error import ArgumentError, OneiroError
from .file import atomic_write

Arrays = dict[str, NDArray[Any]]
Shards = Generator[tuple[int, Arrays]]  # their numbers, and what they come to
Work = Callable[[int], Arrays]  # the number of a shard -> what it comes to

LOCAL = "local"  # the address of a Dask cluster on this machine


class Job(Protocol):
    """What is done; it is pickled to get to other processes, and should be small."""

    @property
    def key(self) -> str:
        """What tells it from other jobs."""

    def start(self) -> Work:
        """Load what the work needs: once in each process, however many shards it does there."""


class Scan:
    """Shards of a job in a folder: what they are of, and a file for each that is finished.

    `manifest` is all that the results depend on, as plain JSON values. A folder that holds shards
    of another manifest is refused with an ArgumentError that names the difference.
    """

    def __init__(self, folder: str | os.PathLike[str], manifest: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(manifest, indent=1, sort_keys=True)
        path = self.folder / "manifest.json"
        if not path.exists():
            with atomic_write(path) as file:
                file.write(text.encode())
        differing = differences(read_manifest(self.folder), json.loads(text))
        if differing:
            told = "; ".join(differing)
            raise ArgumentError(f"{folder} holds another scan ({told}): give another folder")

    def path(self, number: int) -> Path:
        return self.folder / f"{number:05}.npz"

    def fill(
        self,
        job: Job,
        count: int,
        *,
        processes: int = 1,
        dask: str | None = None,
        on_shard: Callable[[int, int], None] | None = None,
    ) -> None:
        """Do the shards 0 ... count - 1 that are not there yet; on_shard(done, count) is told."""
        todo = [number for number in range(count) if not self.path(number).exists()]
        done = count - len(todo)
        if on_shard:
            on_shard(done, count)
        with contextlib.closing(spread(job, todo, processes, dask)) as results:
            for number, arrays in results:
                save_arrays(self.path(number), arrays)
                done += 1
                if on_shard:
                    on_shard(done, count)

    def results(self, count: int) -> Iterator[Arrays]:
        """What the shards came to, in their order."""
        for number in range(count):
            yield load_arrays(self.path(number))


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What the shards in a folder are of; None where there are none."""
    path = Path(folder) / "manifest.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ArgumentError(f"{path}: is no manifest of a scan ({error})") from error
    return found if isinstance(found, dict) else {}


def differences(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[str]:
    """In what two manifests differ, a few words each."""
    found = []
    for key in sorted({*(old or {}), *new}):
        a, b = (old or {}).get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += [f"{key}: {text}" for text in differences(a, b)]
        elif a != b:
            texts = [short(value) for value in (a, b)]
            found.append(key if "" in texts else f"{key} was {texts[0]}, is {texts[1]}")
    return found


def short(value: Any) -> str:
    """A value in a few letters; nothing for a long one."""
    text = str(value)
    return text[:12] if len(text) == 64 else text if len(text) < 64 else ""


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz; the same arrays give the same bytes."""
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_arrays(path: str | os.PathLike[str]) -> Arrays:
    """What `save_arrays` wrote; ArgumentError where something else is in the file."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ArgumentError(f"{path}: is damaged ({error}): delete it") from error


def spread(job: Job, numbers: Sequence[int], processes: int = 1, dask: str | None = None) -> Shards:
    """(number, what it comes to) of the shards, as they are finished.

    The matrix library gets one thread in each process, so that sums round alike however many there
    are. `dask` is the address of a scheduler, or "local" for a cluster on this machine.
    """
    if processes < 1:
        raise ArgumentError(f"processes is {processes}; it must be at least 1")
    if not numbers:
        return
    if dask is not None:
        yield from on_cluster(job, numbers, processes, dask)
    elif processes > 1:
        yield from in_processes(job, numbers, processes)
    else:
        work = job.start()
        for number in numbers:
            with one_thread():
                result = work(number)
            yield number, result


def in_processes(job: Job, numbers: Sequence[int], processes: int) -> Shards:
    """Shards done by so many processes; if one dies, what it had is done again."""
    left = set(numbers)
    context = multiprocessing.get_context("spawn")
    while left:
        before = len(left)
        pool = concurrent.futures.ProcessPoolExecutor(
            min(processes, len(left)), context, initializer=settle
        )
        try:
            futures = {pool.submit(done, job, number): number for number in sorted(left)}
            for future in concurrent.futures.as_completed(futures):
                number = futures.pop(future)
                result = future.result()
                left.discard(number)
                yield number, result
        except BrokenProcessPool as error:
            if len(left) == before:
                text = "a process died before it finished anything: too little memory?"
                raise OneiroError(f"{text} Try fewer processes") from error
        finally:
            pool.shutdown(cancel_futures=True)


def on_cluster(job: Job, numbers: Sequence[int], processes: int, address: str) -> Shards:
    """Shards done by the workers of a Dask cluster, which does again what a lost one had."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise ArgumentError('dask: it is not installed: pip install "oneiro[dask]"') from error
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            local = distributed.LocalCluster(
                n_workers=processes,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
            address = stack.enter_context(local).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"dask: {address!r} cannot be reached ({error})") from error
        futures = {client.submit(done, job, number, pure=False): number for number in numbers}
        try:
            for future, result in distributed.as_completed(futures, with_results=True):
                yield futures.pop(future), result
        except distributed.KilledWorker as error:
            raise OneiroError("dask: workers died over one shard: too little memory?") from error


_lock = threading.Lock()  # a worker of Dask may have several threads
_started: dict[str, Work] = {}  # of a process that works for another one: its last job


def done(job: Job, number: int) -> Arrays:
    """A shard, in a process that keeps what the job has loaded."""
    with _lock, one_thread():
        if job.key not in _started:
            _started.clear()
            _started[job.key] = job.start()
        return _started[job.key](number)


def settle() -> None:
    """Let Ctrl-C be the parent's business, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()


def follow() -> None:
    """End this process when its parent has."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """One thread for the matrix library while this lasts."""
    try:
        import threadpoolctl
    except ImportError:
        return contextlib.nullcontext()
    limits: contextlib.AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1)
    return limits
