"""Threads that share the pieces of a kernel's work on the CPU.

NumPy and Numba let go of the interpreter's lock while they compute, so plain threads serve. They
sleep between jobs. Who cuts the work says where, and never by the number of threads: so results
have the same bits for any number of them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

_asked: int | None = None


def threads() -> int:
    """How many threads a kernel may keep busy: what `use` said, or OMP_NUM_THREADS, or the cores.

    Cores are those that this process may run on.
    """
    if _asked is not None:
        return _asked
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if told.isdigit() and int(told) > 0:
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use(count: int | None) -> None:
    """Let kernels keep `count` threads busy from now on; None for what `threads` finds itself."""
    global _asked
    if count is not None and count < 1:
        raise ValueError(f"{count} threads: there must be one at least")
    _asked = count


class Job:
    """Pieces of work that threads take one by one."""

    def __init__(self, work: Callable[[int], Any], pieces: int) -> None:
        self.work = work
        self.pieces = pieces
        self.taken = itertools.count()  # as it is written in C, no two threads get the same number
        self.finished = itertools.count(1)
        self.done = threading.Lock()  # held until all are
        self.done.acquire()
        self.error: BaseException | None = None

    def help(self) -> None:
        """Do pieces while there are any."""
        while (piece := next(self.taken)) < self.pieces:
            try:
                if self.error is None:
                    self.work(piece)
            except BaseException as error:
                self.error = error
            if next(self.finished) == self.pieces:
                self.done.release()


class Crew:
    """The helpers of whoever shares a job: they are started when they are first wanted."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.helpers = 0
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.inside = threading.local()

    def share(self, work: Callable[[int], Any], pieces: int) -> None:
        """work(0) ... work(pieces - 1), by the calling thread and its helpers; waits for all.

        The first error of a piece is raised. Work that shares in turn does so alone.
        """
        helpers = min(threads(), pieces) - 1
        if helpers < 1 or getattr(self.inside, "job", False):
            for piece in range(pieces):
                work(piece)
            return
        self.start(helpers)
        job = Job(work, pieces)
        for _ in range(helpers):
            self.jobs.put(job)  # a helper that comes late finds it done
        self.inside.job = True
        try:
            job.help()
        finally:
            self.inside.job = False
        job.done.acquire()
        if job.error is not None:
            raise job.error

    def start(self, count: int) -> None:
        """Let there be `count` helpers."""
        with self.starting:
            while self.helpers < count:
                threading.Thread(target=self.serve, daemon=True).start()
                self.helpers += 1

    def serve(self) -> None:
        """Wait for jobs, and help."""
        self.inside.job = True
        with np.errstate(all="ignore"):  # as whoever runs kernels has it
            while True:
                self.jobs.get().help()


_crew = Crew()


def share(work: Callable[[int], Any], pieces: int) -> None:
    """work(0) ... work(pieces - 1), shared by the crew; the first error of a piece is raised."""
    _crew.share(work, pieces)


def _forget() -> None:
    """A forked process has no helpers."""
    global _crew
    _crew = Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@functools.cache
def _libraries() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def alone() -> contextlib.AbstractContextManager[Any]:
    """Matrix libraries work in the calling thread: the crew's threads are there already.

    What they round does not depend on a number of threads then. Without threadpoolctl they do as
    they like.
    """
    libraries = _libraries()
    if libraries is None:
        return contextlib.nullcontext()
    return libraries.limit(limits=1, user_api="blas")
