"""What a network can be asked, as an ONNX file: `oneiro export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import load
from ..export import export, save_model
from ..export.face import PIXELS
from ..export.program import INPUTS
from ..export.question import MOVING, WHATS
from ..export.version import OPSET
from ..file import check_folder, file_name
from .console import say, tell
from .group import commands
from .loading import free_name, unfed
from .option import feeding, pixels as sides


@commands.command("export")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--what", "-w", type=click.Choice([*WHATS]), default="gradient", show_default=True,
    help="What the file answers.",
)  # fmt: skip
@click.option(
    "--end", "-e", "ends", metavar="BLOB[:CHANNEL][=WEIGHT]", multiple=True,
    help="About which blob. A plain name leaves channel and place to inputs. May be repeated.",
)  # fmt: skip
@click.option(
    "--input", type=click.Choice(INPUTS), default="picture", show_default=True,
    help="A raw picture, prepared inside, or what the network takes, whoever prepares it.",
)  # fmt: skip
@click.option(
    "--pixels", type=click.Choice(PIXELS), default="float32", show_default=True,
    help="Of a raw picture.",
)  # fmt: skip
@click.option(
    "--size", metavar="SIDE|HEIGHT,WIDTH", callback=sides,
    help="For pictures of this size alone.  [any]",
)  # fmt: skip
@click.option(
    "--smooth", type=click.FloatRange(0), default=0, show_default=True,
    help="Blur the gradients of steps, in pixels.",
)  # fmt: skip
@click.option("--opset", type=int, default=OPSET, show_default=True)
@feeding
def export_command(
    model: str, out: Path | None, what: str, ends: tuple[str, ...], **options: Any
) -> None:
    """Write what MODEL can be asked as an ONNX file of standard operators, for any runtime.

    Which class (--what saliency, gradcam) or which channel, row and column (gradient, guided,
    deconv, step, dream) is meant are inputs of the file: -1 is the top class, or all of them.
    """
    asked = {name: options.pop(name) for name in ("input", "pixels", "size", "smooth", "opset")}
    net = load(model, device="cpu", executor="numpy", **options)
    if net.preprocessing is None and (asked["input"] == "picture" or what in MOVING):
        raise unfed(model, "PHOTO")
    out = out or free_name(f"{file_name(net.model.name)}-{what}", ".onnx")
    check_folder(out)
    if out.exists() and Path(model).exists() and out.samefile(model):
        raise click.UsageError(f"{out} is the network itself: give the new file another name")
    made = export(net, what, ends, **asked)
    for path in save_model(made, out):
        tell(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    for title, listed in (("takes", made.graph.input), ("gives", made.graph.output)):
        for info in listed:
            say(f"{title} {info.name}: {info.doc_string}")
