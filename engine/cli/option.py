"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from oneiro.kernels import crew
from oneiro.kernels.dispatch import DEVICES

from ..executor import EXECUTORS, PRECISIONS
from ..importer.layout import LAYOUTS
from ..preprocess import PRESETS
from ..provider import PROVIDERS
from ..sidecar import sides


def numbers(_: click.Context, option: click.Parameter, text: str | None) -> Any:
    """One number, or several with commas between them."""
    if text is None:
        return None
    try:
        values = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a number or several with commas") from error
    return values if len(values) > 1 else values[0]


def pixels(_: click.Context, option: click.Parameter, text: str | None) -> Any:
    """A side, or height and width with a comma between them."""
    if text is None:
        return None
    try:
        values = [int(side) for side in text.split(",")]
        return sides(values if len(values) > 1 else values[0])
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no side in pixels, nor HEIGHT,WIDTH") from error


FEEDING = ("mean", "scale", "order", "preprocess", "layout", "weights_dir", "max_bytes")


def busy(_: click.Context, option: click.Parameter, count: int | None) -> None:
    """Let kernels keep this many threads busy."""
    crew.use(count)


COMPUTING = ("device", "precision", "executor")
RUNTIMES = [*DEVICES, "ort", *(f"ort:{name}" for name in PROVIDERS)]


def computing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options COMPUTING: where a network runs."""
    options = (
        click.option(
            "--device", type=click.Choice(RUNTIMES), default="auto", metavar="[NAME]",
            help=f"Where to compute: {', '.join(DEVICES)}; or ort, onnxruntime, which picks a "
            "provider, or ort:NAME.  [a GPU if there is one]",
        ),
        click.option(
            "--precision", type=click.Choice(PRECISIONS),
            help="Of convolutions: as float32 sums, or faster; tf32 and half are a GPU's.  [auto]",
        ),
        click.option(
            "--executor", type=click.Choice(EXECUTORS),
            help="On a CPU: onnxruntime and Numba (fast), or plain NumPy.  [fast if installed]",
        ),
        click.option(
            "--threads", type=click.IntRange(1), callback=busy, expose_value=False,
            help="On a CPU.  [$OMP_NUM_THREADS, or all cores]",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def feeding(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options FEEDING: how a network that is not known is fed and read."""
    options = (
        click.option(
            "--preprocess",
            type=click.Choice([*PRESETS]),
            help="How a network is fed that is not known, if in a usual way.",
        ),
        click.option(
            "--mean", callback=numbers, metavar="NUMBERS", help="If in another way: see --scale."
        ),
        click.option(
            "--scale", callback=numbers, metavar="NUMBERS", help="As (value - mean) * scale."
        ),
        click.option("--order", help="Of its channels: RGB, BGR, GRAY or ANY."),
        click.option("--layout", type=click.Choice(LAYOUTS), help="Of its file, if unclear."),
        click.option(
            "--weights-dir", type=click.Path(exists=True, file_okay=False),
            help="The folder that links to its weights may end in.",
        ),
        click.option(
            "--max-bytes", type=click.IntRange(1), help="What its file and each blob may take."
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def network(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --model, and how that is computed and fed."""
    model = click.option("--model", "-m", help="A known network or an .onnx file.  [squeezenet1.1]")
    return model(computing(feeding(command)))
