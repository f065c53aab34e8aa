"""Measure which tiles are fastest on this GPU: `oneiro tune`."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from oneiro.kernels.dispatch import PRECISIONS
from oneiro.kernels.tuning import measured

from .. import load
from ..ascent import image_gradient
from ..net import Net
from ..objective import l2
from ..plan import Plan
from ..setting import usual_ends
from ..size import accepted_size
from .console import say, tell
from .group import commands
from .option import feeding

SIZES = (224, 512, 1024)


@commands.command("tune")
@click.argument("model", default="squeezenet1.1")
@click.option("--end", "-e", multiple=True, help="As far as these blobs.  [what dreams best]")
@click.option(
    "--size", "sizes", type=click.IntRange(1), multiple=True, default=SIZES, show_default=True,
    help="The sides of pictures. May be repeated.",
)  # fmt: skip
@click.option("--precision", type=click.Choice(PRECISIONS), default="exact", show_default=True)
@feeding
def tune_command(
    model: str, end: tuple[str, ...], sizes: tuple[int, ...], precision: str, **told: Any
) -> None:
    """Measure which tiles suit the convolutions of MODEL on this GPU.

    Rules choose them without that. What was measured is kept in the user's cache folder, and found
    again by every network with a layer of the same sizes; a picture's recipe names it, as other
    tiles round otherwise.
    """
    net = load(model, device="cuda", precision=precision, **told)
    assert net.device
    ends = end or usual_ends(net)
    with measured(net.device) as table:
        for size in sizes:
            before = len(table.choices)
            run_once(net, ends, size)
            tell(f"{size} px: {len(table.choices) - before} convolutions measured")
    say(f"{len(table.choices)} convolutions are known, in {table.path}")


def run_once(net: Net, ends: tuple[str, ...], size: int) -> None:
    """The gradient of a grey picture: every layer forward and back."""
    shape = (1, net.channels, *accepted_size(net, list(ends), size, size))

    def program(net: Net, x: Any) -> dict[str, Any]:
        _, gradient = image_gradient(net, x, dict.fromkeys(ends, l2))
        return {"gradient": gradient}

    plan = Plan(net, program, x=(net.dtype, shape))
    plan(x=np.zeros(shape, net.dtype))
