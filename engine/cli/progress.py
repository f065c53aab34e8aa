"""A climb that is watched: its progress, and what is kept of it when it is stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ..climb import Moment, OnStep, State
from ..image import Picture, save_image
from ..recipe import Recipe, mismatches
from ..state import load_state, save_state, state_path
from .console import console, tell
from .counter import bar

LINES = 10  # of a climb's progress where nobody watches


class Climb(Protocol):
    """What a method has prepared: its recipe, and the climb itself."""

    recipe: Recipe

    def run(self, on_step: OnStep | None, state: State | None) -> Picture:
        """The picture, from the start or from a state on."""
        ...


def climbed(out: Path, work: Climb, made: Recipe | None, resume: bool) -> Picture:
    """`watched`, of a new climb or of the one that was stopped; tells how it is not as `made`."""
    for line in mismatches(made, work.recipe) if made else ():
        tell(f"not as it was made: {line}")
    state = load_state(state_path(out), work.recipe) if resume else None
    return watched(out, work.recipe, lambda on_step: work.run(on_step, state))


def watched(out: Path, recipe: Recipe, climb: Callable[[OnStep], Picture]) -> Picture:
    """The picture that climb(on_step) makes, written to `out`, with a progress display.

    Ctrl-C keeps the picture so far, and beside it the state from which --resume goes on.
    """
    latest: list[Moment] = []

    def keep(moment: Moment) -> None:
        latest[:] = [moment]
        show(moment)

    try:
        with shown() as show:
            picture = climb(keep)
    except KeyboardInterrupt:
        if latest:
            save_image(out, latest[0].picture())
            save_state(state_path(out), latest[0].state(), recipe)
            tell(f"stopped: {out} holds the picture so far; the same command with --resume goes on")
        else:
            tell("stopped before the first step: nothing saved")
        raise
    save_image(out, picture)
    state_path(out).unlink(missing_ok=True)
    tell(f"wrote {out}")
    return picture


@contextlib.contextmanager
def shown() -> Iterator[OnStep]:
    """A live display of a climb; some lines where nobody watches."""
    begun = time.monotonic()
    if not console.is_terminal:

        def line(moment: Moment) -> None:
            parts = moment.iteration * LINES // moment.iter_n
            if parts > (moment.iteration - 1) * LINES // moment.iter_n:
                seconds = time.monotonic() - begun
                place = f"step {moment.iteration}/{moment.iter_n}"
                tell(f"{place}, objective {moment.value:.4g}, {seconds:.1f} s")

        yield line
        return
    with bar("step {task.completed}/{task.total}", "{task.fields[value]}") as progress:
        task = progress.add_task("climb", total=None, value="")

        def show(moment: Moment) -> None:
            value = f"objective {moment.value:.4g}"
            progress.update(task, total=moment.iter_n, completed=moment.iteration, value=value)

        yield show
