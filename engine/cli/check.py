"""Is the gradient of a network right? `oneiro check`."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click

from .. import check, load, locate, runtime
from ..error import ModelError
from ..net import Net
from ..size import usual_size
from .console import say, tell
from .group import commands
from .option import COMPUTING, computing, feeding, pixels


@commands.command("check")
@click.argument("model")
@click.option("--end", "-e", required=True, help="The blob whose gradient is checked.")
@computing
@feeding
@click.option("--size", callback=pixels, metavar="SIDE|HEIGHT,WIDTH", help="Of the pictures.")
def check_command(model: str, end: str, **told: Any) -> None:
    """Check the gradient of MODEL, and its blobs.

    The gradient by the adjoint test in float64, on noise: what backward makes of a random diff
    against difference quotients. The blobs, where they are computed, against onnxruntime, in
    float32. Exits 1 if one is off.
    """
    computed: dict[str, Any] = {name: told.pop(name) or "auto" for name in COMPUTING}
    there = load(model, **computed, **told)
    net = load(model, dtype="float64", **told)
    end = net.resolve(end)
    height, width = usual_size(net)
    say(f"{net.model.name}: {end} over {net.input}, noise of {width}x{height} px")
    errors = []
    for error in check.gradient_errors(net, end, height, width):
        errors.append(error)
        tell(f"trial {len(errors)}/{check.TRIALS}: relative error {error:.1e}")
    good = check.passed(errors)
    median = f"relative error {statistics.median(errors):.1e}, the median of {len(errors)} trials"
    say(f"gradient  {median}, in float64: {verdict(good)}")
    if not any(errors):
        say("          it is zero everywhere: `oneiro inspect` tells where it stops")
    if not good:
        alone = check.culprits(net, end, check.noise(net, height, width, 0))
        for name, error in alone.items():
            say(f"          layer {name} alone is off by {error:.1e}")
    same = compared(there, locate(model), end, height, width)
    if not (good and same):
        raise ModelError(f"{model}: the check failed")


def compared(net: Net, path: Path, end: str, height: int, width: int) -> bool:
    """Do the blobs up to `end` hold what onnxruntime makes of the file? Prints the answer."""
    if not runtime.is_installed():
        say("blobs     not compared: pip install 'oneiro[cpu]' brings onnxruntime")
        return True
    try:
        errors = runtime.blob_errors(net, path, end, check.noise(net, height, width, 0))
    except ModelError as error:
        say(f"blobs     not compared: {error}")
        return True
    if not errors:
        say("blobs     not compared: none is in the file by name, and in full precision")
        return True
    off = [name for name, error in errors.items() if not error < runtime.TOLERANCE]
    worst = max(errors, key=errors.__getitem__)
    most = f"in float32 at most {errors[worst]:.1e} off ({worst})"
    say(f"blobs     {len(errors)} against onnxruntime, {most}: {verdict(not off)}")
    for name in off[:3]:
        say(f"          {name} is off by {errors[name]:.1e}")
    return not off


def verdict(good: bool) -> str:
    return "PASS" if good else "FAIL"
