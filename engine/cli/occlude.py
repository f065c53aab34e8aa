"""What covering each part of a photo changes: `oneiro occlude`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..image import check_target, load_image, save_image, shrunk
from ..methods.occlusion import FILLS, occlude
from ..probe import trained_size
from ..recipe import amended
from ..target import class_output
from .console import tell
from .counter import counted
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network, numbers

SHOWN = 640  # px of the longer side of the photo below a map
MAPS = ("sheet", "class", "label", "activity")


def filling(context: click.Context, option: click.Parameter, text: str) -> Any:
    """A way of filling the square, or its colour."""
    return text if text in FILLS else numbers(context, option, text)


@commands.command("occlude")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--class", "-c", "target", help="Its number or name.  [what the photo is taken for]")
@click.option("--window", type=int, help="Side of the square, in pixels.  [50 for 224]")
@click.option("--stride", type=int, help="From a square to the next, in pixels.  [10 for 224]")
@click.option(
    "--fill", callback=filling, default="mean", metavar="mean|zero|blur|noise|NUMBERS",
    help="What the square shows: the network's mean colour, black, the photo out of focus, noise, "
    "or one value of 0..255 or one a channel.  [mean]",
)  # fmt: skip
@click.option("--blob", help="What inner maps to watch.  [the last before the classifier]")
@click.option("--channel", type=int, help="Which of them.  [the one with the highest peak]")
@click.option("--seed", type=int, default=0, help="Of the noise.  [0]")
@click.option("--map", "wanted", type=click.Choice(MAPS), default="sheet", help="One map alone.")
@click.option(
    "--size", type=click.IntRange(1),
    help="Shrink the photo first: its longer side, in pixels.  [as the network was trained]",
)  # fmt: skip
@network
def occlude_command(
    photo: Path, out: Path | None, model: str | None, wanted: str, size: int | None, **options: Any
) -> None:
    """Cover a PHOTO here and there, and see what the network makes of it.

    OUT shows the photo beside three maps, by where a square covers it: how the probability of a
    class changes (blue: it falls, red: it rises), what the photo is taken for, and how the sum of
    an inner map changes. Pixels are those of the shrunk photo.
    """
    refuse_photo(out, photo)
    out = out or free_name(f"{photo.stem}-occlusion")
    check_target(out)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    net = load_net(model, photo, **fed)
    if wanted in ("class", "label"):
        class_output(net)  # refuses a network that does not classify
    img = load_image(photo, net.channels)
    small = shrunk(img, size) if size else trained_size(net, img)
    try:
        with counted("square") as show:
            found = occlude(net, small, on_step=show, **options)
    except KeyboardInterrupt:
        tell("stopped before the last square: nothing saved")
        raise
    over = shrunk(img, SHOWN)
    picture = found.sheet(over) if wanted == "sheet" else found.pictures(over)[wanted]
    picture.recipe = amended(found.recipe, "occlude", size=max(small.shape[:2]), map=wanted)
    save_image(out, picture)
    tell(f"wrote {out}")
