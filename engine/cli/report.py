"""A page to look at: `oneiro report`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..error import ArgumentError, printable
from ..file import check_folder
from ..image import load_image, shrunk
from ..report import report
from ..report.page import check_installed
from .console import console, tell
from .counter import bar
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network

SUFFIXES = (".html", ".htm")


@commands.command("report")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--class", "-c", "target", help="Its number or name.  [what the photo is taken for]")
@click.option("--inversions", is_flag=True, help="What layers keep, too; this takes minutes.")
@click.option(
    "--size", type=click.IntRange(1), help="Shrink the photo first: its longer side, in pixels."
)
@network
def report_command(
    photo: Path,
    out: Path | None,
    model: str | None,
    target: str | None,
    inversions: bool,
    size: int | None,
    **options: Any,
) -> None:
    """Put all that can be seen of a PHOTO on one page.

    OUT is an .html file that holds everything, pictures too: what the network is made of, its
    classes for the photo, activations, saliency by every method, occlusion. A click enlarges a
    picture. It needs the extra `report`: Jinja2.
    """
    check_installed()
    refuse_photo(out, photo)
    out = out or free_name(f"{photo.stem}-report", ".html")
    if out.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{out}: a report is an .html file")
    check_folder(out)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    net = load_net(model, photo, **fed)
    img = load_image(photo, net.channels)
    img = shrunk(img, size) if size else img
    try:
        with shown() as show:
            page = report(
                net, img, target=target, title=photo.stem, inversions=inversions, on_step=show
            )
    except KeyboardInterrupt:
        tell("stopped before the page was finished: nothing saved")
        raise
    page.save(out)
    tell(f"wrote {out}")


@contextlib.contextmanager
def shown() -> Iterator[Callable[[float, str], None]]:
    """A live display of how much is done; a line for each part where nobody watches."""
    begun = time.monotonic()
    if not console.is_terminal:
        told: list[str] = []

        def line(share: float, title: str) -> None:
            if title not in told[-1:]:
                told.append(title)
                tell(f"{100 * share:3.0f} % {title}, {time.monotonic() - begun:.1f} s")

        yield line
        return
    with bar("{task.description}", "{task.percentage:>3.0f}%") as progress:
        task = progress.add_task("the photo", total=1)
        yield lambda share, title: progress.update(
            task, completed=share, description=printable(title)
        )
