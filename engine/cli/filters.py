"""What layers look for: `oneiro filters`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..image import check_target, load_image, save_image
from ..methods.filter import COMPARISONS, CONTRASTS, filters
from .console import tell
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network


@commands.command("filters")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--layer", "-l", metavar="NAME", help="Which convolution.  [the first]")
@click.option(
    "--contrast", type=click.Choice(CONTRASTS), help="One for all filters, or each its own.  [own]"
)
@click.option("--count", type=int, help="Draw so many filters at most.  [what fits]")
@click.option("--inputs", type=int, help="Of a deeper filter draw so many slices at most.  [256]")
@click.option(
    "--compare", type=click.Choice(COMPARISONS),
    help="Beside them, principal components of patches of the photos; see --photo.",
)  # fmt: skip
@click.option(
    "--photo", "photos", type=click.Path(path_type=Path), multiple=True,
    help="Whose patches to compare with. May be repeated.",
)  # fmt: skip
@click.option("--seed", type=int, help="Of the choice of patches.  [0]")
@network
def filters_command(
    out: Path | None, model: str | None, photos: tuple[Path, ...], **options: Any
) -> None:
    """Draw the filters of a convolution.

    Those of the first layer are small pictures in its colours, with mid-grey for 0. Of deeper ones
    each is a framed block, with a slice for each channel that it reads: blue below 0, red above.
    """
    if options["compare"] and not photos:
        raise click.UsageError("--compare pca takes patches of photos: give some with --photo")
    if photos and not options["compare"]:
        raise click.UsageError("--photo gives patches to compare with: add --compare pca")
    refuse_photo(out, *photos)
    out = out or free_name("filters")
    check_target(out)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    net = load_net(model, photos[0] if photos else "PHOTO", **fed)
    given = {name: value for name, value in options.items() if value is not None}
    pictures = [load_image(photo, net.channels) for photo in photos]
    save_image(out, filters(net, photos=pictures, **given))
    tell(f"wrote {out}")
