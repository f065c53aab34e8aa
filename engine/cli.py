"""The command line: arguments in, pictures and one-line errors out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import rich.console
import rich.progress

from . import __version__, check, listing, load, locate, runtime
from .animation import save_animation
from .ascent import NORMS
from .classification import own_way, under_presets
from .error import ArgumentError, ModelError, OneiroError, printable
from .image import (
    Picture,
    check_target,
    load_image,
    load_recipe,
    middle,
    save_image,
    shrunk,
)
from .importer.layout import LAYOUTS
from .inspection import Inspection, inspect, usual_size
from .methods.deepdream import Step, deepdream, dream_sheet, zoom
from .net import Net
from .preprocess import PRESETS, WAY, Preprocess
from .recipe import Recipe, amended, checked, make_recipe, mismatches
from .setting import Settings
from .sidecar import read_sidecar, sides, write_sidecar

console = rich.console.Console(
    stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False
)

MOVIES = (".gif", ".mp4")
WIDE = 1000  # columns where nobody watches: no line is broken
TUNABLE = [field.name for field in dataclasses.fields(Settings)]


class Lines(logging.Handler):
    """Log records as lines above the live display."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


def tell(text: str) -> None:
    """A line on stderr, above the live display."""
    console.print(printable(text))


def say(text: str) -> None:
    """A line on stdout."""
    click.echo(printable(text))


def main() -> None:
    """The command `oneiro`: exits 0, 1 for what went wrong, 2 for a wrong call, 130 for Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[Lines()])
    warnings.showwarning = lambda message, *_: tell(str(message))
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OneiroError as error:
        sys.exit(f"oneiro: {error}")
    except MemoryError:
        sys.exit("oneiro: not enough memory: try --size 1024, or fewer ends")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"oneiro: {where}{error.strerror or error}")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="oneiro")
def commands() -> None:
    """See what a convolutional network sees."""


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


@commands.command("dream")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--model", "-m", help="A known network or an .onnx file.  [squeezenet1.1]")
@click.option(
    "--end", "-e", multiple=True, metavar="NAME[:CHANNEL[,ROW,COLUMN]][=WEIGHT]",
    help="What to climb: a blob, a channel or a neuron of it. May be repeated.",
)  # fmt: skip
@click.option("--iter-n", type=int, help="Steps in each octave.")
@click.option("--octave-n", type=int, help="Octaves: sizes at which the picture is dreamt.")
@click.option("--octave-scale", type=float, help="Between one octave and the next.")
@click.option("--step-size", type=float, help="Of a step, in 0..255.")
@click.option("--jitter", type=int, help="Largest random shift, in pixels.  [32]")
@click.option("--clip/--no-clip", default=None, help="Hold the picture in 0..255 at every step.")
@click.option("--guide", type=click.Path(path_type=Path), help="Dream what this picture shows.")
@click.option(
    "--norm",
    type=click.Choice([*NORMS]),
    help="What a step is divided by; l1 and l2 want a far larger step.  [mean_abs]",
)
@click.option("--smooth", type=float, help="Blur of the gradient, in pixels.")
@click.option("--seed", type=int, help="Of the jitter: one seed, one picture.  [0]")
@click.option(
    "--size", type=click.IntRange(1), help="Shrink the photo first: its longer side, in pixels."
)
@click.option("--sheet", is_flag=True, help="Which layer? Dream each small, on one sheet.")
@click.option("--frames", type=click.IntRange(1), help="Zoom into the dream: frames of a movie.")
@click.option(
    "--zoom-scale", type=float, default=0.05, help="Closer by this much each frame.  [0.05]"
)
@click.option("--fps", type=float, default=25, help="Frames a second of a GIF or MP4.  [25]")
@click.option("--recipe", type=click.Path(path_type=Path), help="Dream as this picture was.")
@feeding
def dream_command(
    photo: Path,
    out: Path | None,
    model: str | None,
    guide: Path | None,
    size: int | None,
    sheet: bool,
    frames: int | None,
    zoom_scale: float,
    fps: float,
    recipe: Path | None,
    **options: Any,
) -> None:
    """Dream a photo: DeepDream.

    OUT is a picture, or with --frames a .gif, an .mp4 or a folder. What is left out is what the
    network dreams best. The picture holds its recipe; `oneiro recipe OUT` prints it. Ctrl-C keeps
    the last finished octave.
    """
    if out and out.exists() and photo.exists() and out.samefile(photo):
        raise click.UsageError(f"{out} is the photo itself: give the dream another name")
    if sheet and frames:
        raise click.UsageError("--sheet and --frames are two different pictures: take one")
    out = out or free_name(f"{photo.stem}-{'sheet' if sheet else 'dream'}", bool(frames))
    check_target(out, movie=bool(frames))
    made = checked(load_recipe(recipe), recipe) if recipe else None
    net = load_net(model, made, photo, **{name: options.pop(name) for name in FEEDING})
    given = {name: value for name, value in options.items() if value not in (None, ())}
    check_target(out, movie=bool(frames), channels=net.channels)
    settings = tuned(made, bool(guide)) | given
    if sheet and "end" not in given:
        settings.pop("end", None)  # of a recipe: a sheet shows every end
    size = size or (made or {}).get("parameters", {}).get("size")
    img = load_image(photo, net.channels)
    img = shrunk(img, size) if size else img
    pictures = {"photo": img}
    if guide:
        pictures["guide"] = settings["guide_img"] = load_image(guide, net.channels)
    changes = mismatches(made, make_recipe(net, "deepdream", {}, pictures)) if made else []
    if sheet:
        picture = dream_sheet(net, img, on_layer=tell_layer, **settings)
        save_image(out, picture)
    elif frames:
        movie = zoom(net, img, frame_n=frames, zoom_scale=zoom_scale, **settings)
        made_of: list[int] = []
        save_animation(out, counted(movie, frames, made_of), fps)
        if len(made_of) < frames:
            tell(f"stopped: {out} ends after {len(made_of)} frames")
            raise KeyboardInterrupt
    else:
        watched(net, img, out, size, settings, changes)
    tell(f"wrote {out}")


def load_net(model: str | None, made: Recipe | None, photo: Path, **fed: Any) -> Net:
    """The network asked for, or the one of a recipe, or the embedded one."""
    from oneiro.models import registry

    made_by = (made or {}).get("model", {})
    known = registry.recognize(made_by.get("sha256", ""))
    name = model or (known.name if known else made_by.get("name")) or "squeezenet1.1"
    if made and not model and name not in registry.names():
        raise ArgumentError(f"the recipe's network {name!r} is not known: give its file, --model")
    net = load(name, **fed)
    way = made["model"].get("preprocessing") if made else None
    told = any(fed[key] is not None for key in (*WAY, "preprocess"))
    if made and way and not told and made["model"].get("sha256") == net.model.sha256:
        net.preprocessing = Preprocess(**way, source="recipe")
    if net.preprocessing is None:
        raise ArgumentError(
            f"{name}: how pictures are fed to this network is not known: give --preprocess "
            f"{'|'.join(PRESETS)}, or --mean, --scale and --order, as its author says; if it "
            f"classifies, `oneiro inspect {name} --photo {photo}` shows what it takes the photo "
            "for in each of the usual ways"
        )
    return net


def tuned(made: Recipe | None, guided: bool) -> dict[str, Any]:
    """The arguments of deepdream in a recipe."""
    if made is None:
        return {}
    parameters = made["parameters"]
    if "guide" in made["pictures"] and not guided:
        raise ArgumentError("the recipe had a guide: give the same picture with --guide")
    return {name: parameters[name] for name in TUNABLE if name in parameters}


def watched(
    net: Net,
    img: Picture,
    out: Path,
    size: int | None,
    settings: dict[str, Any],
    changes: list[str],
) -> None:
    """Dream with a progress display; if interrupted, save the last finished octave and go.

    `changes` are lines on what is not as in the recipe, told when the dream has begun.
    """
    finished: list[Picture] = []

    def keep(step: Step) -> None:
        while changes:
            tell(f"not as it was made: {changes.pop(0)}")
        if step.iteration == step.iter_n:
            finished[:] = [step.picture()]
        show(step)

    try:
        with steps() as show:
            picture = deepdream(net, img, on_step=keep, **settings)
    except KeyboardInterrupt:
        if finished:
            save_image(out, finished[0])
            tell(f"stopped: {out} holds the last finished octave, without a recipe")
        else:
            tell("stopped before the first octave was finished: nothing saved")
        raise
    if size:
        picture.recipe = amended(picture.recipe, "deepdream", size=size)
    save_image(out, picture)


@contextlib.contextmanager
def steps() -> Iterator[Callable[[Step], None]]:
    """A live display of a dream's steps; plain lines where nobody watches."""
    begun = time.monotonic()
    if not console.is_terminal:

        def line(step: Step) -> None:
            if step.iteration == step.iter_n:
                seconds = time.monotonic() - begun
                h, w = step.x.shape[2:]
                text = f"octave {step.octave}/{step.octave_n} of {w}x{h} px, objective"
                tell(f"{text} {step.value:.4g}, {seconds:.1f} s")

        yield line
        return
    columns = (
        rich.progress.TextColumn("octave {task.fields[octave]}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[value]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as progress:
        task = progress.add_task("dream", total=1, octave="", value="")

        def bar(step: Step) -> None:
            octave = f"{step.octave}/{step.octave_n}"
            progress.update(task, completed=step.done, octave=octave)
            if step.iteration:
                progress.update(task, value=f"objective {step.value:.4g}")

        yield bar


def tell_layer(k: int, count: int, name: str) -> None:
    """A line for each layer on a sheet."""
    tell(f"layer {k + 1}/{count}: {name}")


def counted(pictures: Iterator[Picture], count: int, done: list[int]) -> Iterator[Picture]:
    """Frames as they come, with a line for each, noted in `done`; Ctrl-C ends the movie there."""
    try:
        for k, picture in enumerate(pictures, 1):
            tell(f"frame {k}/{count}")
            done.append(k)
            yield picture
    except KeyboardInterrupt:
        if not done:
            raise


def free_name(stem: str, movie: bool) -> Path:
    """A name in the current folder that is not taken: nothing is overwritten unasked."""
    suffix = ".gif" if movie else ".png"
    names = (f"{stem}{suffix}" if k == 1 else f"{stem}-{k}{suffix}" for k in range(1, 10**6))
    return next(path for path in map(Path, names) if not path.exists())


@commands.command("recipe")
@click.argument("picture", type=click.Path(path_type=Path))
def recipe_command(picture: Path) -> None:
    """Print what a PICTURE was made with."""
    console_out = rich.console.Console(highlight=False, soft_wrap=True)
    console_out.print_json(data=load_recipe(picture), sort_keys=True)


@commands.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
@click.pass_context
def models_command(context: click.Context, as_json: bool) -> None:
    """List the networks that are known by name."""
    from oneiro.models import catalogue

    if context.invoked_subcommand is None:
        click.echo(catalogue.as_json() if as_json else catalogue.table())


@models_command.command("info")
@click.argument("name")
def info_command(name: str) -> None:
    """Print what is known of the network NAME."""
    from oneiro.models import catalogue, find

    click.echo(catalogue.page(find(name)))


@models_command.command("pull")
@click.argument("names", nargs=-1, required=True)
def pull_command(names: tuple[str, ...]) -> None:
    """Fetch networks by their NAMES ahead of time, and print where they are kept."""
    from oneiro.models import find, path

    for entry in [find(name) for name in names]:
        click.echo(path(entry))


@commands.command("inspect")
@click.argument("model")
@click.option("--photo", type=click.Path(path_type=Path), help="See what it is taken for.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@click.option("--write-sidecar", "keep", is_flag=True, help="Keep the options below for the file.")
@feeding
@click.option(
    "--size", callback=pixels, metavar="SIDE|HEIGHT,WIDTH",
    help="What the network was trained at, in pixels.",
)  # fmt: skip
@click.option("--labels", type=click.Path(), help="The file of its classes, one a line.")
def inspect_command(model: str, photo: Path | None, as_json: bool, keep: bool, **told: Any) -> None:
    """Show the layers of MODEL, a known network or an .onnx file.

    FLOPs are two for a multiplication and its addition in convolutions and products of matrices,
    and one for each element that another layer makes. The units of a layer see `field` pixels,
    `stride` apart, the first of them from `offset` on (below 0 is padding); nothing is said where
    they see the whole picture.

    With --photo, the classes that a photo is taken for, fed in each of the usual ways.
    """
    net = load(model, **told)
    height, width = usual_size(net)
    guesses = {}
    if photo:
        guesses = under_presets(net, middle(load_image(photo, net.channels), height, width))
    if keep:
        tell(f"wrote {keep_told(model, net, told)}")
    found = inspect(net, height, width)
    names = net.labels or usual_names(net, found)
    if as_json:
        click.echo(json.dumps(listing.facts(net, found, guesses, names), indent=2))
        return
    columns = None if sys.stdout.isatty() else WIDE
    out = rich.console.Console(highlight=False, markup=False, emoji=False, width=columns)
    out.print(listing.layer_table(found))
    click.echo(f"\n{listing.page(net, found)}")
    if guesses:
        click.echo(f"\n{photo} is taken for")
        own = own_way(net)
        source = net.preprocessing.source if net.preprocessing else ""
        out.print(listing.class_table(guesses, names, own))
        click.echo(f"\n{listing.advice(guesses, names, own, source)}")


def usual_names(net: Net, found: Inspection) -> tuple[str, ...]:
    """What a network without labels means by its classes: if they are 1000, those of ImageNet."""
    from oneiro.models import registry

    names = registry.labels(registry.find("squeezenet1.1"))
    shapes = [shape for shape in found.outputs.values() if shape]
    return names if any(len(names) in shape for shape in shapes) else ()


def keep_told(model: str, net: Net, told: dict[str, Any]) -> Path:
    """Write the sidecar of a file: what was told now, and what it said before."""
    if not Path(model).is_file():
        raise ArgumentError(f"{model} is known without a sidecar: give the path of a file")
    if net.preprocessing is None:
        raise ArgumentError("--write-sidecar keeps what is told: give --preprocess, or --mean ...")
    net.preprocessing.bounds(net.channels)  # refuses what does not fit the channels
    said = read_sidecar(model)
    said |= {key: told[key] for key in ("layout", "size", "labels") if told[key] is not None}
    said |= {key: getattr(net.preprocessing, key) for key in WAY}
    said.pop("preprocess", None)
    return write_sidecar(model, said)


@commands.command("check")
@click.argument("model")
@click.option("--end", "-e", required=True, help="The blob whose gradient is checked.")
@feeding
@click.option("--size", callback=pixels, metavar="SIDE|HEIGHT,WIDTH", help="Of the pictures.")
def check_command(model: str, end: str, **told: Any) -> None:
    """Check the gradient of MODEL, and its blobs.

    The gradient by the adjoint test in float64, on noise: what backward makes of a random diff
    against difference quotients. The blobs against onnxruntime, in float32. Exits 1 if one is off.
    """
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
    same = compared(load(model, **told), locate(model), end, height, width)
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
