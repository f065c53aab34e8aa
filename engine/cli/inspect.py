"""What a network is made of, and how it is fed: `oneiro inspect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import rich.console

from .. import listing, load
from ..classification import own_way, under_presets
from ..error import ArgumentError
from ..image import load_image, middle
from ..inspection import Inspection, inspect
from ..net import Net
from ..preprocess import WAY
from ..sidecar import read_sidecar, write_sidecar
from ..size import usual_size
from .console import tell
from .group import commands
from .option import feeding, pixels

WIDE = 1000  # columns where nobody watches: no line is broken


@commands.command("inspect")
@click.argument("model")
@click.option("--photo", type=click.Path(path_type=Path), help="See what it is taken for.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@click.option("--write-sidecar", "keep", is_flag=True, help="Keep the options below for the file.")
@feeding
@click.option(
    "--size", callback=pixels, metavar="SIDE|HEIGHT,WIDTH",
    help="What the network was trained at, in pixels.",
)  # fmt: skip
@click.option("--labels", type=click.Path(), help="The file of its classes, one a line.")
def inspect_command(model: str, photo: Path | None, as_json: bool, keep: bool, **told: Any) -> None:
    """Show the layers of MODEL, a known network or an .onnx file.

    FLOPs are two for a multiplication and its addition in convolutions and products of matrices,
    and one for each element that another layer makes. The units of a layer see `field` pixels,
    `stride` apart, the first of them from `offset` on (below 0 is padding); nothing is said where
    they see the whole picture.

    With --photo, the classes that a photo is taken for, fed in each of the usual ways.
    """
    net = load(model, **told)
    height, width = usual_size(net)
    guesses = {}
    if photo:
        guesses = under_presets(net, middle(load_image(photo, net.channels), height, width))
    if keep:
        tell(f"wrote {keep_told(model, net, told)}")
    found = inspect(net, height, width)
    names = net.labels or usual_names(net, found)
    if as_json:
        click.echo(json.dumps(listing.facts(net, found, guesses, names), indent=2))
        return
    columns = None if sys.stdout.isatty() else WIDE
    out = rich.console.Console(highlight=False, markup=False, emoji=False, width=columns)
    out.print(listing.layer_table(found))
    click.echo(f"\n{listing.page(net, found)}")
    if guesses:
        click.echo(f"\n{photo} is taken for")
        own = own_way(net)
        source = net.preprocessing.source if net.preprocessing else ""
        out.print(listing.class_table(guesses, names, own))
        click.echo(f"\n{listing.advice(guesses, names, own, source)}")


def usual_names(net: Net, found: Inspection) -> tuple[str, ...]:
    """What a network without labels means by its classes: if they are 1000, those of ImageNet."""
    from oneiro.models import registry

    names = registry.labels(registry.find("squeezenet1.1"))
    shapes = [shape for shape in found.outputs.values() if shape]
    return names if any(len(names) in shape for shape in shapes) else ()


def keep_told(model: str, net: Net, told: dict[str, Any]) -> Path:
    """Write the sidecar of a file: what was told now, and what it said before."""
    if not Path(model).is_file():
        raise ArgumentError(f"{model} is known without a sidecar: give the path of a file")
    if net.preprocessing is None:
        raise ArgumentError("--write-sidecar keeps what is told: give --preprocess, or --mean ...")
    net.preprocessing.bounds(net.channels)  # refuses what does not fit the channels
    said = read_sidecar(model)
    said |= {key: told[key] for key in ("layout", "size", "labels") if told[key] is not None}
    said |= {key: getattr(net.preprocessing, key) for key in WAY}
    said.pop("preprocess", None)
    return write_sidecar(model, said)
