"""What excites each unit in many pictures: `oneiro patches`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..collection import Collection
from ..error import ArgumentError, PictureError
from ..file import file_name
from ..goal import parse_spec
from ..image import load_recipe, save_image
from ..methods.patch import ROWS, Patches, patches
from ..net import Net
from ..scan import read_manifest
from ..size import usual_size
from .console import tell
from .counter import counted
from .group import commands
from .loading import load_net
from .option import network, pixels

RULES = ("guided", "deconv", "gradient", "none")
SCAN = "scan"  # the folder of the shards


@commands.command("patches")
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--blob", "-b", "blobs", multiple=True, help="Whose units. May be repeated.  [all]")
@click.option(
    "--unit", "-u", "chosen", multiple=True, metavar="BLOB:UNIT",
    help="Draw this unit alone, enlarged. May be repeated.",
)  # fmt: skip
@click.option("-k", type=int, default=9, help="Patches of each unit.  [9]")
@click.option(
    "--rule", type=click.Choice(RULES), default="guided",
    help="Of what is drawn beside each patch: what drove the unit.  [guided]",
)  # fmt: skip
@click.option(
    "--pages", type=click.IntRange(0), default=1,
    help=f"Of each blob, of {ROWS} units; 0 draws all.  [1]",
)  # fmt: skip
@click.option(
    "--size", callback=pixels, metavar="PIXELS",
    help="What the pictures are fitted to: a side, or HEIGHT,WIDTH.  [as the network was trained]",
)  # fmt: skip
@click.option("--processes", type=click.IntRange(1), help="That share the work.  [one a core]")
@click.option(
    "--dask", metavar="ADDRESS", help="Or a Dask cluster: its scheduler, or local for a new one."
)  # fmt: skip
@network
def patches_command(
    images: Path,
    out: Path | None,
    model: str | None,
    blobs: tuple[str, ...],
    chosen: tuple[str, ...],
    k: int,
    rule: str,
    pages: int,
    size: tuple[int, int] | None,
    processes: int | None,
    dask: str | None,
    **fed: Any,
) -> None:
    """Find the pieces of many pictures that excite each unit most.

    IMAGES is a folder, a .zip or a .tar. OUT is a folder: it gets patches.npz, patches.json, and
    pages, where a row is a unit, its best patches and what drove it in them. A command that was
    stopped goes on where it was; and one for other units or pages, on the same OUT, looks at no
    picture twice.
    """
    out = out or Path(f"{images.resolve().name.split('.')[0]}-patches")
    check_out(out, images)
    collection = Collection(images)
    net = load_net(model, images / collection.ids[0], **fed)
    units = [parse_unit(net, text, size or usual_size(net)) for text in chosen]
    asked = list(dict.fromkeys([*map(net.resolve, blobs), *(name for name, _ in units)]))
    options: dict[str, Any] = {"size": size, "processes": processes or cores(), "dask": dask}
    try:
        with counted("shard") as show:
            found = patches(
                net, collection, asked or None, k, folder=out / SCAN, on_shard=show, **options
            )
        for name in ("patches.npz", "patches.json"):
            found.save(out / name)
        whole = [net.resolve(name) for name in blobs] or ([] if units else list(found.blobs))
        for name in whole:
            write_pages(found, out, name, None if rule == "none" else rule, pages)
        for name, unit in units:
            write(found, out, name, [unit], None if rule == "none" else rule, enlarged=True)
    except KeyboardInterrupt:
        tell("stopped: the same command goes on from here")
        raise
    tell(f"wrote {out}")


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_out(out: Path, images: Path) -> None:
    """Refuse a folder that is not there for patches."""
    if out.exists() and not out.is_dir():
        raise ArgumentError(f"{out}: is a file; patches take a folder")
    if images.is_dir() and out.resolve().is_relative_to(images.resolve()):
        raise ArgumentError(f"{out}: lies among the pictures; give a folder elsewhere")
    if out.is_dir() and any(out.iterdir()) and read_manifest(out / SCAN) is None:
        raise ArgumentError(f"{out}: is not empty, and holds no patches; give another folder")


def parse_unit(net: Net, text: str, size: tuple[int, int]) -> tuple[str, int]:
    """The blob and the unit of BLOB:UNIT; it is there for pictures of this size."""
    spec = parse_spec(net, text)
    if len(spec.place) != 1 or spec.weight != 1:
        raise ArgumentError(f"{text!r} is no unit: write BLOB:UNIT")
    unit = spec.place[0]
    shape = net.reachable_shapes({net.input: (1, net.channels, *size)}).get(spec.blob, ())
    if len(shape) > 1 and not 0 <= unit < shape[1]:
        raise ArgumentError(f"unit {unit} is not one of {spec.blob}'s 0..{shape[1] - 1}")
    return spec.blob, unit


def write_pages(found: Patches, out: Path, blob: str, rule: str | None, pages: int) -> None:
    """The first pages of a blob; all of them for 0."""
    units = range(found.blobs[blob])
    starts = range(0, len(units), ROWS)
    for start in starts[: pages or None]:
        write(found, out, blob, units[start : start + ROWS], rule)


def write(
    found: Patches,
    out: Path,
    blob: str,
    units: Sequence[int],
    rule: str | None,
    enlarged: bool = False,
) -> None:
    """A page, unless it is there already."""
    numbers = f"{units[0]}" if enlarged else f"{units[0]}-{units[-1]}"
    path = out / f"{file_name(blob)}-{numbers}.png"
    recipe = found.page_recipe(blob, units, rule)
    with contextlib.suppress(PictureError):
        if load_recipe(path) == json.loads(json.dumps(recipe)):
            return
    save_image(
        path, found.unit(blob, units[0], rule) if enlarged else found.page(blob, units, rule)
    )
    tell(f"wrote {path}")
