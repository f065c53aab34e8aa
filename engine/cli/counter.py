"""A count that is watched: how many of so many are done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.progress

from .console import console, tell

LINES = 5  # where nobody watches


@contextlib.contextmanager
def counted(things: str) -> Iterator[Callable[[int, int], None]]:
    """A live display that takes (done, total), with what is counted; else some lines."""
    begun = time.monotonic()
    if not console.is_terminal:
        told = 0

        def line(done: int, total: int) -> None:
            nonlocal told
            part = done * LINES // max(total, 1)
            if part > told:
                told = part
                tell(f"{things} {done}/{total}, {time.monotonic() - begun:.1f} s")

        yield line
        return
    with bar(things + " {task.completed}/{task.total}") as progress:
        task = progress.add_task(things, total=None)
        yield lambda done, total: progress.update(task, total=total, completed=done)


def bar(before: str, *after: str) -> rich.progress.Progress:
    """A live display: a text, a bar, other texts, and the time that has gone and that is left.

    In the texts {task.…} stands for what the task holds. They are shown as they are, no markup.
    """
    return rich.progress.Progress(
        rich.progress.TextColumn(before, markup=False),
        rich.progress.BarColumn(),
        *(rich.progress.TextColumn(text, markup=False) for text in after),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(),
        console=console,
    )
