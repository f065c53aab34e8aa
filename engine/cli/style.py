"""A photo painted as other pictures are: `oneiro style`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..image import check_target, load_image, load_recipe
from ..methods.style import (
    COLOURS,
    OPTIMISERS,
    POOLS,
    PRESETS,
    STARTS,
    Settings,
    Transfer,
)
from ..recipe import Recipe, checked
from .console import tell
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, computing, feeding
from .progress import climbed

TRUNK = "vgg16_conv4_2"  # what paints best of the embedded networks
TUNABLE = ("preset", "weights", *(field.name for field in dataclasses.fields(Settings)))


def several(kind: Callable[[str], Any]) -> Callable[..., Any]:
    """One number, or several with commas between them, as a tuple."""

    def callback(_: click.Context, option: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else tuple(kind(number) for number in text.split(","))
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not numbers with commas") from error

    return callback


def weighed(text: str) -> tuple[Path, float]:
    """The picture of PICTURE or PICTURE=WEIGHT; a file of the whole name goes before."""
    name, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1.0
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.UsageError(f"{weight!r} in --style {text} is no weight above 0")
    return Path(name), number


@commands.command("style")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--style", "-s", "styles", multiple=True, required=True, metavar="PICTURE[=WEIGHT]",
    help="Whose style. May be repeated: styles are mixed.",
)  # fmt: skip
@click.option(
    "--mask", "masks", multiple=True, type=click.Path(path_type=Path), metavar="PICTURE",
    help="Where on the photo the style goes: white. One for each style, in order.",
)  # fmt: skip
@click.option("--preset", type=click.Choice([*PRESETS]), help="After whom.  [smooth]")
@click.option("--size", type=int, help="Longer side of the result, in pixels.  [384]")
@click.option(
    "--iter-n", callback=several(int), metavar="NUMBERS",
    help="Steps at each scale: one number, or one a scale.",
)  # fmt: skip
@click.option(
    "--scales", callback=several(float), metavar="NUMBERS",
    help="Sizes to paint at, one after the other, as parts of --size.  [0.25,0.5,1]",
)  # fmt: skip
@click.option("--style-weight", type=float, help="How much the style counts.")
@click.option("--content-weight", type=float, help="How much the photo counts.")
@click.option("--variation", type=float, help="How much smoothness counts.")
@click.option("--style-scale", type=float, help="Size of the style beside the photo's.")
@click.option(
    "--colours", type=click.Choice(COLOURS),
    help="The style's; the photo's; or those of a style that was given the photo's.  [style]",
)  # fmt: skip
@click.option("--start", type=click.Choice(STARTS), help="From what.  [photo]")
@click.option("--optimiser", type=click.Choice(OPTIMISERS), help="How it is climbed.")
@click.option("--rate", type=float, help="Of Adam's steps, in grey values.")
@click.option("--pool", type=click.Choice(POOLS), help="How the network pools.")
@click.option(
    "--layer", "-l", "layers", multiple=True, metavar="NAME[=WEIGHT]",
    help="A blob where style is matched. May be repeated.  [VGG's relu1_1 to relu5_1]",
)  # fmt: skip
@click.option(
    "--content", "-c", multiple=True, metavar="NAME[=WEIGHT]",
    help="A blob where the photo is kept.  [VGG's relu4_2]",
)  # fmt: skip
@click.option("--seed", type=int, help="Of noise to start from.  [0]")
@click.option("--recipe", type=click.Path(path_type=Path), help="Paint as this picture was.")
@click.option("--resume", is_flag=True, help="Go on with OUT, which was stopped.")
@click.option("--model", "-m", help=f"A known network or an .onnx file.  [{TRUNK}]")
@computing
@feeding
def style_command(
    photo: Path,
    out: Path | None,
    styles: tuple[str, ...],
    masks: tuple[Path, ...],
    recipe: Path | None,
    resume: bool,
    model: str | None,
    **options: Any,
) -> None:
    """Paint a PHOTO in the style of other pictures.

    What is on the photo is kept by one layer of the network, the style by Gram matrices of several
    (Gatys, Ecker and Bethge 2016), from coarse to fine. Ctrl-C keeps the picture so far; --resume
    goes on.
    """
    refuse_photo(out, photo)
    if resume and out is None:
        raise click.UsageError("--resume goes on with a picture: give its name, OUT")
    out = out or free_name(f"{photo.stem}-style")
    check_target(out)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    made = checked(load_recipe(recipe), recipe, "style") if recipe else None
    net = load_net(model or (None if made else TRUNK), photo, made, **fed)
    check_target(out, channels=net.channels)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    paths, weights = zip(*map(weighed, styles), strict=True)
    if made is None or any(weight != 1 for weight in weights):
        given["weights"] = weights
    job = Transfer(
        net,
        load_image(photo, net.channels),
        [load_image(path, net.channels) for path in paths],
        masks=[load_image(path, 1) for path in masks] or None,
        **(tuned(made) | given),
    )
    picture = climbed(out, job, made, resume)
    before, after = (picture.recipe or {})["found"]["style"]
    tell(f"style error: the photo's {before:.3g}, now {after:.3g}")


def tuned(made: Recipe | None) -> dict[str, Any]:
    """The arguments of a transfer in a recipe."""
    parameters = made["parameters"] if made else {}
    return {name: parameters[name] for name in TUNABLE if name in parameters}
