"""A page that looks into a network, for a browser: `oneiro web`."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Any

import click

from .. import load
from ..error import ArgumentError
from ..file import check_folder
from ..image import load_image
from ..web import ARCHIVE, Site, unpacked
from .console import say, tell
from .group import commands
from .loading import EMBEDDED, unfed
from .option import feeding

PORT = 8765


@commands.command("web")
@click.argument("photo", type=click.Path(path_type=Path), required=False)
@click.option("--model", "-m", help="A known network or an .onnx file.  [squeezenet1.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True,
    help="Where to serve the page on this machine; 0 is any free one.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Write the page into this new folder instead, for any web server.",
)  # fmt: skip
@feeding
def web_command(
    photo: Path | None, model: str | None, port: int, out: Path | None, **options: Any
) -> None:
    """Look into a network and let it dream, live, in a browser.

    The page shows the maps of a layer, what in the picture moves a unit, which pixels speak for a
    class, and dreams, of a photo or the camera; it begins with PHOTO. All is computed in the
    browser, by onnxruntime-web, which is fetched once (33 MB): no picture leaves the machine.
    """
    from oneiro.models import download

    from ..web.server import Server

    name = model or EMBEDDED
    if out is not None:
        check_new(out)
    net = load(name, device="cpu", executor="numpy", **options)
    if net.preprocessing is None:
        raise unfed(name, photo or "PHOTO")
    shown = None if photo is None else load_image(photo, net.channels)
    site = Site(net, unpacked(download.fetch(ARCHIVE)), shown)
    if out is not None:
        write(site, out)
        return
    with Server(site, port) as server:
        say(f"{net.model.name} is at {server.url}")
        tell("Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def check_new(folder: Path) -> None:
    """Nothing is overwritten unasked, and nothing is mixed with what is there."""
    check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ArgumentError(f"{folder} is not empty: name a new folder")


def write(site: Site, folder: Path) -> None:
    """All files of the page; none of them before all could be made."""
    for path, content in dict(site).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    size = sum(place.stat().st_size for place in folder.rglob("*") if place.is_file())
    shown = f"python -m http.server -d {shlex.quote(str(folder))}"
    tell(f"wrote {folder} ({size / 1e6:.1f} MB): {shown} shows it")
