"""Which pixels of a photo matter: `oneiro saliency`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..drawing import captioned, enlarged, sheet, stacked
from ..image import Picture, check_target, load_image, resampled, save_image, shrunk
from ..map import Map
from ..methods.sanity import area, sanity
from ..net import Net
from ..probe import REDUCES, Probe, trained_size
from ..recipe import amended
from ..target import Target
from .console import say, tell
from .counter import counted
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .method import METHODS, arguments, asked, asking, explained, refuse_others
from .option import COMPUTING, FEEDING, network

SHOWN = 640  # px of the longer side of what is drawn
FIELD = 320  # and of what one neuron sees


@commands.command("saliency")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@asking("gradient")
@click.option(
    "--reduce", type=click.Choice(REDUCES),
    help="A pixel's colours as their largest size, their length, their sum, or as they are.",
)  # fmt: skip
@click.option("--sheet", "wanted", flag_value="sheet", help="All the methods on one sheet.")
@click.option(
    "--sanity", "wanted", flag_value="sanity",
    help="Does the map hang on what was learnt? Shuffle the layers, delete and insert pixels.",
)  # fmt: skip
@network
def saliency_command(
    photo: Path,
    out: Path | None,
    model: str | None,
    label: str | None,
    unit: str | None,
    method: str,
    size: int | None,
    wanted: str | None,
    **options: Any,
) -> None:
    """Show which pixels of a PHOTO move a class, or a unit.

    A class means its score before the softmax. What one neuron sees is cropped to its receptive
    field. guided, deconv and guided-gradcam are drawn in colour round mid-grey.

    --sanity prints how far the map stays the same (rank correlation, 1 is: wholly) while the layers
    are shuffled one after the other from the last one down, and how soon the class is gone or back
    as pixels are deleted or inserted in the map's order. guided and deconv are expected to fail it:
    they draw the photo's edges, whatever the network learnt.
    """
    refuse_photo(out, photo)
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    if wanted != "sheet":
        refuse_others(method, options)
    elif options["reduce"]:
        raise click.UsageError("--reduce is for one method: leave out --sheet")
    out = out or free_name(f"{photo.stem}-{wanted or method}")
    check_target(out)
    net = load_net(model, photo, **fed)
    target = asked(net, label, unit)
    img = load_image(photo, net.channels)
    small = shrunk(img, size) if size else trained_size(net, img)
    try:
        if wanted == "sanity":
            picture = checked(net, small, target, method, options)
        elif wanted == "sheet":
            picture = all_methods(net, small, target, options)
        else:
            picture = drawn(net, small, shrunk(img, SHOWN), target, method, options)
    except KeyboardInterrupt:
        tell("stopped: nothing saved")
        raise
    made = picture.recipe or {}
    picture.recipe = amended(made, made["method"], size=max(small.shape[:2]))
    save_image(out, picture)
    tell(f"wrote {out}")


def drawn(
    net: Net,
    img: Picture,
    over: Picture,
    target: Target | None,
    method: str,
    options: dict[str, Any],
) -> Picture:
    """One method, over the photo or beside what one neuron sees of it, with a caption."""
    probe = Probe(net, img, target)
    found = explained(net, img, probe.target, method, options)
    recipe = found.recipe
    rows, columns = probe.field()
    if len(probe.target.place) == 3:
        over = visible(Picture(np.asarray(img)[rows, columns]))
    if isinstance(found, Map):
        page = found.picture(over)
    else:
        shown = pixelled(found, SHOWN)
        if len(probe.target.place) == 3:
            shown = stacked([resampled(over, *shown.shape[:2]), shown], beside=True, gap=8)
        page = captioned(shown, f"{METHODS[method][3]} of {probe.target.title}")
    page.recipe = recipe
    return page


def visible(picture: Picture) -> Picture:
    """The picture with a longer side of at least FIELD pixels."""
    factor = max(FIELD / max(picture.shape[:2]), 1)
    return resampled(picture, *(round(side * factor) for side in picture.shape[:2]))


def pixelled(picture: Picture, side: int) -> Picture:
    """The picture with a longer side of about `side`, each pixel as a square: it stays crisp."""
    factor = max(round(side / max(picture.shape[:2])), 1)
    return Picture(enlarged(picture, factor))


def all_methods(net: Net, img: Picture, target: Target | None, options: dict[str, Any]) -> Picture:
    """The photo, and what each method makes of it."""
    probe = Probe(net, img, target)
    rows, columns = probe.field()
    tiles = [Picture(np.asarray(img)[rows, columns])]
    recipe = None
    for name, (_, _, takes, title) in METHODS.items():
        tell(f"{title} of {probe.target.title}")
        given = {key: value for key, value in options.items() if key in takes}
        found = explained(net, img, probe.target, name, given)
        recipe = recipe or found.recipe
        over = tiles[0] if name == "gradcam" else None
        tiles.append(found.bare(over) if isinstance(found, Map) else found)
    titles = [probe.target.title, *(title for *_, title in METHODS.values())]
    page = sheet(tiles, titles, columns=3)
    page.recipe = amended(recipe, "saliency", methods=[*METHODS])
    return page


def checked(
    net: Net, img: Picture, target: Target | None, method: str, options: dict[str, Any]
) -> Picture:
    """The sanity checks of one method: numbers on stdout, pictures on one sheet."""
    again = functools.partial(METHODS[method][0], crop=False, **arguments(method, options))
    with counted("stage") as show:
        found = sanity(net, img, again, target, seed=options["seed"] or 0, on_step=show)
    say(f"{METHODS[method][3]} of {found.title}")
    say("shuffled down to      rank correlation   of sizes")
    for name, signed, absolute in zip(found.layers, found.signed, found.absolute, strict=True):
        say(f"{name:21.21} {signed:+16.2f} {absolute:+10.2f}")
    for name, own, chance in (
        ("deletion", area(found.deletion), area(found.random_deletion)),
        ("insertion", area(found.insertion), area(found.random_insertion)),
    ):
        say(f"{name:21} {own:16.3f}   (in random order {chance:.3f})")
    return found.picture()
