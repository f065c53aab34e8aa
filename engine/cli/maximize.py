"""What a class or a unit likes best: `oneiro maximize`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..error import ArgumentError
from ..image import check_target, load_recipe
from ..maximization import PRESETS, UPDATES, Octave, Settings
from ..methods.maximize import Maximization
from ..net import Net
from ..recipe import Recipe, checked
from ..size import usual_size
from .console import tell
from .group import commands
from .loading import free_name, load_net
from .option import COMPUTING, FEEDING, network, numbers, pixels
from .progress import climbed

LISTED = 256  # units that a sheet shows at most, unless they are named

HELP = {
    "update": "How the gradient moves the picture.",
    "iter_n": "Steps, in each octave.",
    "desired": "What a step shall raise the objective by, with --update progress or progress01.",
    "late": "With progress01, of a probability p: at most LATE * (1 - p).",
    "rate": "Of a step, as the preset's update takes it; or FIRST,LAST.",
    "blur": "Of the picture after a step, in pixels; or FIRST,LAST.",
    "noise": "Of the start: grey values, or amplitudes of waves.",
    "l2": "Times the sum of squares, taken from the objective.",
    "decay": "Part of the picture that each step takes away.",
    "small_norm": "Percent of the pixels that are put out: the weakest.",
    "small_contribution": "The same: those that matter least.",
    "fall": "How waves weaken as they shorten: 1 / frequency**FALL.",
    "jitter": "Largest random shift, in pixels.",
    "shift": "The same, as a part of the picture.",
    "scales": "What the picture is scaled by, at random: SMALLEST,LARGEST.",
    "degrees": "Largest random turn.",
}
SEVERAL = ("rate", "blur", "scales")  # may be two numbers
WHOLE = ("iter_n", "jitter")


def tuning(command: Any) -> Any:
    """Give a command an option for each number that may replace a preset's."""
    for name, text in reversed(HELP.items()):
        kind: dict[str, Any] = {"type": int if name in WHOLE else float}
        if name == "update":
            kind = {"type": click.Choice(UPDATES)}
        elif name in SEVERAL:
            kind = {"callback": numbers, "metavar": "NUMBERS"}
        command = click.option(f"--{name.replace('_', '-')}", help=text, **kind)(command)
    return command


@commands.command("maximize")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--class", "-c", "labels", multiple=True, help="Its number or name. Repeatable.")
@click.option(
    "--unit", "-u", "units", multiple=True, metavar="BLOB[:CHANNEL[,ROW,COLUMN]]",
    help="A channel's sum, or a neuron; neuron:BLOB:CHANNEL is the one in the middle. Repeatable.",
)  # fmt: skip
@click.option("--blob", "-b", help="A layer: its neurons on one sheet, each as large as it sees.")
@click.option("--units", "chosen", metavar="NUMBERS", help="Which of them: 0-63, or 1,5,9.  [all]")
@click.option(
    "--preset", "-p", type=click.Choice([*PRESETS]), help="Whose way to take.  [lucid]"
)  # fmt: skip
@click.option("--restarts", type=click.IntRange(1), help="Of each, from other noise.  [1]")
@click.option("--best", is_flag=True, help="Show the best of the restarts alone.")
@click.option(
    "--size", callback=pixels, metavar="PIXELS", help="Of a picture: SIDE or HEIGHT,WIDTH."
)
@click.option("--seed", type=int, help="Of the noise: one seed, one picture.  [0]")
@click.option("--batch", type=click.IntRange(1), default=8, help="Pictures at a time.  [8]")
@click.option("--recipe", type=click.Path(path_type=Path), help="Climb as for this picture.")
@click.option("--resume", is_flag=True, help="Go on with OUT where Ctrl-C stopped it.")
@tuning
@network
def maximize_command(
    out: Path | None,
    model: str | None,
    labels: Sequence[str],
    units: Sequence[str],
    blob: str | None,
    chosen: str | None,
    preset: str | None,
    recipe: Path | None,
    resume: bool,
    batch: int,
    **options: Any,
) -> None:
    """Draw what a class, a unit or a layer likes best.

    Several make a sheet. A class is climbed by its score before the softmax; its caption says how
    probable the network then holds it to be. Weighted parts with " + " between make one picture:
    -u "fire8/concat:5 + fire3/concat:7=-0.5". Ctrl-C keeps the picture so far, and --resume goes
    on.
    """
    if resume and not out:
        raise click.UsageError("--resume goes on with a picture: give its name")
    made = checked(load_recipe(recipe), recipe, "maximize") if recipe else None
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    net = load_net(model, "PHOTO", made, **fed)
    targets = [f"class:{label}" for label in labels] + list(units)
    targets += layer(net, blob, chosen) if blob else []
    if chosen and not blob:
        raise click.UsageError("--units are those of a layer: give --blob")
    if not targets and not made:
        raise click.UsageError("nothing to climb: give --class, --unit or --blob")
    out = out or free_name(name_of(targets or made["parameters"]["targets"]))  # type: ignore[index]
    check_target(out)
    work = asked(net, targets, made, preset, batch, options)
    climbed(out, work, made, resume)


def asked(
    net: Net,
    targets: Sequence[str],
    made: Recipe | None,
    preset: str | None,
    batch: int,
    options: dict[str, Any],
) -> Maximization:
    """The work of the recipe, or of the preset, with what the options say instead."""
    told = dict((made or {}).get("parameters", {}))
    if told.pop("python", False):
        raise ArgumentError("the recipe's target is a function of Python")
    whole = {name: told.pop(name, None) for name in ("restarts", "best", "size", "seed")}
    targets = targets or told.pop("targets")
    told_preset = told.pop("preset", "lucid")
    if preset:
        told = {}
    known = {field.name for kind in (Settings, Octave) for field in dataclasses.fields(kind)}
    given = {name: value for name, value in options.items() if value is not None}
    tuned = {name: value for name, value in told.items() if name in known}
    tuned |= {name: value for name, value in given.items() if name in HELP}
    whole |= {name: given[name] for name in whole if given.get(name)}
    kept = {name: value for name, value in whole.items() if value is not None}
    size = kept.pop("size", None)
    return Maximization(
        net, targets, preset or told_preset, tuned,
        size=tuple(size) if size else None, batch=batch, **kept,
    )  # fmt: skip


def layer(net: Net, blob: str, chosen: str | None) -> list[str]:
    """The neurons of a layer that are asked for."""
    name = net.resolve(blob)
    h, w = usual_size(net)
    count = net.shapes({net.input: (1, net.channels, h, w)}, end=name)[name][1]
    listed = range(min(count, LISTED)) if chosen in (None, "all") else ranges(chosen, count)
    if chosen is None and count > LISTED:
        tell(f"{name} has {count} units: the first {LISTED}; --units names others")
    return [f"neuron:{name}:{k}" for k in listed]


def ranges(text: str, count: int) -> list[int]:
    """The numbers of "0-63,70"."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            raise ArgumentError(f"units {text!r} are no numbers: write 0-63, or 1,5,9") from None
        if not 0 <= low <= high < count:
            raise ArgumentError(f"units {part} are not among 0..{count - 1}")
        found += range(low, high + 1)
    return found


def name_of(targets: Sequence[str]) -> str:
    """What the picture is called where nobody says: goose-maximize."""
    first = targets[0].removeprefix("class:").removeprefix("neuron:")
    return f"{''.join(c if c.isalnum() else '-' for c in first)}-maximize"
