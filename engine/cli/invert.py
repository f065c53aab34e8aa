"""What a layer keeps of a photo: `oneiro invert`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from ..image import check_target, load_image, load_recipe, save_image, shrunk
from ..methods.inversion import PRESETS, Inversion, Settings, Sheet
from ..recipe import Recipe, amended, checked
from .console import tell
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network
from .progress import climbed, shown

SIDE = 256  # px of the photo's longer side where nobody says otherwise
TILE = 192  # and on a sheet
WAYS = ("end", "channels", "neighbourhood", "restarts", "size")
NUMBERS = tuple(field.name for field in dataclasses.fields(Settings))


def group(_: click.Context, option: click.Parameter, text: str | None) -> Any:
    """Half of the channels by its name, or their numbers."""
    if text is None or text in ("first", "second"):
        return text
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not first, second, or numbers") from error


@commands.command("invert")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--end", "-e", "ends", multiple=True, metavar="BLOB",
    help="What to invert; on a sheet it may be repeated.  [what dreams best]",
)  # fmt: skip
@click.option(
    "--channels", callback=group, metavar="first|second|NUMBERS",
    help="Look at some channels of it alone.",
)  # fmt: skip
@click.option("--neighbourhood", type=int, metavar="K", help="At the K x K places in its middle.")
@click.option("--restarts", type=int, help="Pictures from other noise, side by side.  [1]")
@click.option("--sheet", is_flag=True, help="What does each layer keep? All, small, on one sheet.")
@click.option(
    "--preset", type=click.Choice([*PRESETS]),
    help="Whose way to take; lucid's pictures are most like photos.  [ijcv2016]",
)  # fmt: skip
@click.option(
    "--strength", type=float,
    help="How much the code counts beside a smooth picture.  [300 at the photo, 1 at the classes]",
)  # fmt: skip
@click.option("--variation", type=float, help="Weight of the total variation.")
@click.option("--beta", type=float, help="Its power.  [2]")
@click.option("--decay", type=float, help="Weight of the size of pixels.")
@click.option("--alpha", type=float, help="Its power.  [6]")
@click.option("--rate", type=float, help="Of the steps.")
@click.option("--iter-n", type=int, help="Steps.  [350]")
@click.option("--seed", type=int, help="Of the noise: one seed, one picture.  [0]")
@click.option(
    "--size", type=click.IntRange(1),
    help=f"Shrink the photo first: its longer side, in pixels.  [{SIDE}; {TILE} on a sheet]",
)  # fmt: skip
@click.option("--recipe", type=click.Path(path_type=Path), help="Invert as for this picture.")
@click.option("--resume", is_flag=True, help="Go on with OUT, which was stopped.")
@network
def invert_command(
    photo: Path,
    out: Path | None,
    model: str | None,
    ends: tuple[str, ...],
    sheet: bool,
    recipe: Path | None,
    resume: bool,
    **options: Any,
) -> None:
    """Make a picture from what a layer keeps of a PHOTO.

    From noise, a picture is climbed to that looks to the layer as the photo does (Mahendran and
    Vedaldi). How far it is from that, the normalised error, is told and kept in the recipe. Ctrl-C
    keeps the picture so far, of a sheet the finished layers; --resume goes on with a picture.
    """
    refuse_photo(out, photo)
    if sheet and recipe:
        raise click.UsageError("a recipe is that of one picture: take it without --sheet")
    if resume and (sheet or out is None):
        raise click.UsageError("--resume goes on with one picture: give its name, OUT")
    if len(ends) > 1 and not sheet:
        raise click.UsageError("several ends make a --sheet")
    out = out or free_name(f"{photo.stem}-{'layers' if sheet else 'inverted'}")
    check_target(out)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    made = checked(load_recipe(recipe), recipe, "invert") if recipe else None
    net = load_net(model, photo, made, **fed)
    check_target(out, channels=net.channels)
    given = {name: value for name, value in options.items() if value is not None}
    numbers = tuned(made, "preset" in given) | given
    size = numbers.pop("size", None) or (TILE if sheet else SIDE)
    img = shrunk(load_image(photo, net.channels), size)
    if sheet:
        layers(Sheet(net, img, ends or None, **numbers), out, size)
        return
    if ends:
        numbers["end"] = ends[0]
    job = Inversion(net, img, **numbers)
    job.recipe["parameters"]["size"] = size
    picture = climbed(out, job, made, resume)
    found = (picture.recipe or {})["found"]["errors"]
    tell(f"normalised error of {job.end}: {', '.join(f'{error:.3g}' for error in found)}")


def tuned(made: Recipe | None, anew: bool) -> dict[str, Any]:
    """The arguments of an inversion in a recipe, without its numbers where a preset is chosen."""
    parameters = made["parameters"] if made else {}
    names = WAYS if anew else (*WAYS, "preset", *NUMBERS)
    return {name: parameters[name] for name in names if name in parameters}


def layers(job: Sheet, out: Path, size: int) -> None:
    """Write the sheet, with a line for each layer and a display of its climb.

    Ctrl-C keeps the layers that are finished.
    """

    def layer(k: int, count: int, name: str) -> None:
        tell(f"layer {k + 1}/{count}: {name}")

    def write() -> None:
        picture = job.page()
        picture.recipe = amended(picture.recipe, "invert_sheet", size=size)
        save_image(out, picture)

    try:
        with shown() as show:
            job.run(layer, show)
    except KeyboardInterrupt:
        if job.tiles:
            write()
            tell(f"stopped: {out} holds the {len(job.tiles)} finished of {len(job.jobs)} layers")
        else:
            tell("stopped before the first layer was finished: nothing saved")
        raise
    write()
    tell(f"wrote {out}")
