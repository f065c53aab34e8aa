"""Cutting out of a photo what a class hangs on: `oneiro segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from ..image import check_target, load_image, save_image, shrunk
from ..map import Map
from ..methods.segmentation import BACKGROUND, FOREGROUND, opencv, segment
from ..probe import trained_size
from .console import tell
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .method import asked, asking, explained, refuse_others
from .option import COMPUTING, FEEDING, network

TRANSPARENT = (".png", ".webp", ".tif", ".tiff")


@commands.command("segment")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--mask", type=click.Path(path_type=Path), help="Its file.  [OUT-mask.png]")
@asking("gradcam")
@click.option(
    "--foreground", type=float, default=FOREGROUND,
    help=f"Quantile of the map above which pixels are the object for certain.  [{FOREGROUND}]",
)  # fmt: skip
@click.option(
    "--background", type=float, default=BACKGROUND,
    help=f"Quantile below which they are certainly not.  [{BACKGROUND}]",
)  # fmt: skip
@network
def segment_command(
    photo: Path,
    out: Path | None,
    mask: Path | None,
    model: str | None,
    label: str | None,
    unit: str | None,
    method: str,
    size: int | None,
    foreground: float,
    background: float,
    **options: Any,
) -> None:
    """Cut out of a PHOTO what a class hangs on: saliency and GrabCut.

    OUT is the photo, transparent around the object; beside it lies the mask. The result is mediocre
    by nature: the network was never shown an outline, its map points at telling parts, and GrabCut
    guesses the rest by colour. Wants the extra "segment" (OpenCV).
    """
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    refuse_others(method, options)
    out = out or free_name(f"{photo.stem}-cutout")
    mask = mask or out.with_name(f"{out.stem}-mask.png")
    if out.suffix.lower() not in TRANSPARENT:
        raise click.UsageError(f"{out}: a cut-out is transparent: name it {out.stem}.png")
    if mask.resolve() == out.resolve():
        raise click.UsageError(f"{out} cannot be both: cut-out and mask are two files")
    for path in (out, mask):
        refuse_photo(path, photo)
        check_target(path)
    opencv()  # before any long work
    net = load_net(model, photo, **fed)
    img = load_image(photo, net.channels)
    small = shrunk(img, size) if size else trained_size(net, img)
    options["crop"] = False
    options["reduce"] = "norm"  # of colours with a sign: one number a pixel
    found = cast(Map, explained(net, small, asked(net, label, unit), method, options))
    cut = segment(img, found, foreground=foreground, background=background)
    save_image(out, cut.cutout())
    save_image(mask, cut.mask_picture())
    tell(f"{found.caption}: {cut.mask.mean():.0%} of the photo")
    tell(f"wrote {out} and {mask}")
