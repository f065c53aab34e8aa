"""Threads that share the pieces of a kernel's work on the CPU.

NumPy and Numba let go of the interpreter's lock while they compute, so plain threads serve. They
sleep between jobs. Who cuts the work says where, and never by the number of threads: so results
have the same bits for any number of them.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

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


WAKING = 400e3  # nanoseconds of work that are worth waking threads for


def share(work: Callable[[int], Any], pieces: int, taken: float = WAKING) -> None:
    """work(0) ... work(pieces - 1), shared by the crew; the first error of a piece is raised.

    All that takes about `taken` nanoseconds: nobody is woken for a little.
    """
    if taken < WAKING:
        for piece in range(pieces):
            work(piece)
    else:
        _crew.share(work, pieces)


def _forget() -> None:
    """A forked process has no helpers, and nobody else is inside."""
    global _crew, _alone
    _crew = Crew()
    _alone = Alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@functools.cache
def _libraries() -> list[Any]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


class Alone:
    """Matrix libraries in one thread for as long as anybody is inside: it may be entered again."""

    def __init__(self) -> None:
        self.changing = threading.Lock()
        self.inside = 0
        self.before: list[int] = []  # the threads of each library

    def __enter__(self) -> None:
        with self.changing:
            self.inside += 1
            if self.inside == 1:
                self.before = [library.get_num_threads() for library in _libraries()]
                for library in _libraries():
                    library.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self.changing:
            self.inside -= 1
            if self.inside == 0:
                for library, count in zip(_libraries(), self.before, strict=True):
                    library.set_num_threads(count)


_alone = Alone()


def alone() -> Alone:
    """Matrix libraries work in the calling thread: the crew's threads are there already.

    What they round does not depend on a number of threads then. Without threadpoolctl they do as
    they like.
    """
    return _alone


def part(size: int, count: int, k: int) -> slice:
    """The k-th of `count` parts of `size` things, as even as can be."""
    return slice(k * size // count, (k + 1) * size // count)


KEPT = 1 << 24  # bytes of an array that a thread keeps
ALIGNMENT = 64  # bytes: a line of the cache, and a vector

_scratch = threading.local()


def scratch(name: str, shape: Sequence[int], dtype: Any) -> npt.NDArray[Any]:
    """An array that this thread has for itself until it asks for one of that name again.

    It holds anything. Its memory is the same each time, and so in the cache already: fresh memory
    would cost more than the work.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_scratch, name, None)
    if held is None or held.size < size:
        raw = np.empty(size + ALIGNMENT, np.uint8)
        first = -raw.ctypes.data % ALIGNMENT
        held = raw[first : first + size]
        if size <= KEPT:
            setattr(_scratch, name, held)
    array: npt.NDArray[Any] = held[:size].view(dtype).reshape(shape)
    return array
