"""What layers see of a photo: `oneiro activations`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..error import ArgumentError
from ..image import check_target, load_image, save_image, shrunk
from ..methods.activation import CONTRASTS, activation_pages, activations
from ..probe import trained_size
from ..recipe import amended
from .console import tell
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network


@commands.command("activations")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--blob", "-b", metavar="NAME", help="Whose maps.  [the first join of branches]")
@click.option("--unit", "-u", type=int, metavar="CHANNEL", help="One map, large, over the photo.")
@click.option("--all", "every", is_flag=True, help="A page for each blob; OUT is a folder.")
@click.option("--strongest", is_flag=True, help="The strongest maps first, not channel by channel.")
@click.option(
    "--contrast", type=click.Choice(CONTRASTS), help="One for all maps, or each its own.  [shared]"
)
@click.option("--count", type=int, help="Draw so many maps at most: the strongest.  [256]")
@click.option(
    "--size", type=click.IntRange(1),
    help="Shrink the photo first: its longer side, in pixels.  [as the network was trained]",
)  # fmt: skip
@network
def activations_command(
    photo: Path,
    out: Path | None,
    model: str | None,
    every: bool,
    size: int | None,
    **options: Any,
) -> None:
    """Draw what a layer sees of a photo.

    Maps are dark at 0 and bright where they are strong; where values may be negative, blue is
    below 0 and red above. Vectors become bars, those of the classes a ranking. With --all OUT is a
    folder, and its pages are named by number and blob.
    """
    if every and (options["blob"] or options["unit"] is not None):
        raise click.UsageError("--all draws every blob: leave out --blob and --unit")
    others = [f"--{name}" for name in ("strongest", "contrast", "count") if options[name]]
    if options["unit"] is not None and others:
        raise click.UsageError(f"--unit draws one map: leave out {' and '.join(others)}")
    refuse_photo(out, photo)
    out = out or free_name(f"{photo.stem}-activations", "" if every else ".png")
    if not every:
        check_target(out)
    elif out.exists() and not out.is_dir():
        raise ArgumentError(f"{out}: is a file; --all takes a folder")
    net = load_net(model, photo, **{name: options.pop(name) for name in (*COMPUTING, *FEEDING)})
    given = {name: value for name, value in options.items() if value is not None}
    img = load_image(photo, net.channels)
    img = shrunk(img, size) if size else trained_size(net, img)
    if every:
        out.mkdir(exist_ok=True)
        pages = activation_pages(net, img, **given)
    else:
        pages = iter([("", activations(net, img, **given))])
    for name, page in pages:
        page.recipe = amended(page.recipe, "activations", size=max(img.shape[:2]))
        save_image(out / name, page)
        if every:
            tell(name)
    tell(f"wrote {out}")
