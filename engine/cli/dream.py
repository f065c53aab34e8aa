"""Dreams: `oneiro dream`, and `oneiro recipe`, which says how one was made."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import rich.console

from ..animation import save_animation
from ..ascent import NORMS
from ..error import ArgumentError
from ..image import Picture, check_target, load_image, load_recipe, save_image, shrunk
from ..methods.deepdream import Step, deepdream, dream_sheet, zoom
from ..net import Net
from ..recipe import Recipe, amended, checked, make_recipe, mismatches
from ..setting import Settings
from .console import console, tell
from .counter import bar
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network

MOVIES = (".gif", ".mp4")
TUNABLE = [field.name for field in dataclasses.fields(Settings)]


@commands.command("dream")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
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
@network
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
    refuse_photo(out, photo)
    if sheet and frames:
        raise click.UsageError("--sheet and --frames are two different pictures: take one")
    kind = "sheet" if sheet else "dream"
    out = out or free_name(f"{photo.stem}-{kind}", ".gif" if frames else ".png")
    check_target(out, movie=bool(frames))
    made = checked(load_recipe(recipe), recipe) if recipe else None
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    net = load_net(model, photo, made, **fed)
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
    with bar("octave {task.fields[octave]}", "{task.fields[value]}") as progress:
        task = progress.add_task("dream", total=1, octave="", value="")

        def display(step: Step) -> None:
            octave = f"{step.octave}/{step.octave_n}"
            progress.update(task, completed=step.done, octave=octave)
            if step.iteration:
                progress.update(task, value=f"objective {step.value:.4g}")

        yield display


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


@commands.command("recipe")
@click.argument("picture", type=click.Path(path_type=Path))
def recipe_command(picture: Path) -> None:
    """Print what a PICTURE was made with."""
    console_out = rich.console.Console(highlight=False, soft_wrap=True)
    console_out.print_json(data=load_recipe(picture), sort_keys=True)
