"""The methods that explain a photo, as commands name them, and the options that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oneiro.kernels.dispatch import Array

from ..image import Picture
from ..map import Map
from ..methods.attribution import gradient_input, integrated_gradients, smooth_grad
from ..methods.grad_cam import grad_cam, guided_grad_cam
from ..methods.saliency import saliency
from ..net import Net
from ..target import Target, class_target, unit_target
from .counter import counted

Command = TypeVar("Command", bound=Callable[..., None])

# by their names on the command line: the function, what it is told, what it takes, its title
METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...], str]] = {
    "gradient": (saliency, {"rule": "gradient"}, ("reduce",), "gradient"),
    "guided": (saliency, {"rule": "guided"}, ("reduce",), "guided backprop"),
    "deconv": (saliency, {"rule": "deconv"}, ("reduce", "rule"), "deconvnet"),
    "smooth": (smooth_grad, {}, ("reduce", "samples", "level", "seed"), "SmoothGrad"),
    "integrated": (
        integrated_gradients, {}, ("reduce", "steps", "baseline"), "integrated gradients"
    ),
    "input": (gradient_input, {}, ("reduce",), "gradient times picture"),
    "gradcam": (grad_cam, {}, ("blob",), "Grad-CAM"),
    "guided-gradcam": (guided_grad_cam, {}, ("reduce", "blob"), "guided Grad-CAM"),
}  # fmt: skip
LONG = {"smooth": "sample", "integrated": "step"}  # what is counted on the way


def asking(default: str) -> Callable[[Command], Command]:
    """Give a command the options of what is asked about, and how."""
    options = (
        click.option("--class", "-c", "label", help="Its number or name.  [the top class]"),
        click.option(
            "--unit", "-u", metavar="BLOB:CHANNEL[,ROW,COLUMN]",
            help="A unit instead of a class: a channel's sum, or one neuron.",
        ),
        click.option(
            "--method", "-M", type=click.Choice([*METHODS]), default=default,
            help=f"How pixels get their share.  [{default}]",
        ),
        click.option(
            "--overwrite", "rule", flag_value="deconv-overwrite",
            help="deconv: where windows of a pool overlap the last one wins; else they add up.",
        ),
        click.option("--samples", type=int, help="smooth: noisy copies.  [20]"),
        click.option("--level", type=float, help="smooth: noise, as a part of the range.  [0.1]"),
        click.option("--steps", type=int, help="integrated: points on the way.  [50]"),
        click.option(
            "--baseline", type=float, help="integrated: a grey of 0..255.  [the network's zero]"
        ),
        click.option("--blob", help="gradcam: whose maps.  [the last before the classifier]"),
        click.option("--seed", type=int, help="Of what is random.  [0]"),
        click.option(
            "--size", type=click.IntRange(1),
            help="Shrink the photo for the network: its longer side, in pixels.  "
            "[as the network was trained]",
        ),
    )  # fmt: skip

    def wrap(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return wrap


OPTIONS = ("reduce", "rule", "samples", "level", "steps", "baseline", "blob")  # of some methods


def asked(net: Net, label: str | None, unit: str | None) -> Target | None:
    """The target of --class or --unit; None for the top class."""
    if label is not None and unit is not None:
        raise click.UsageError("--class and --unit are two different questions: ask one")
    if unit is not None:
        return unit_target(net, unit)
    return None if label is None else class_target(net, label)


def arguments(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a method is called with; options of other methods are left out."""
    _, fixed, takes, _ = METHODS[method]
    return fixed | {k: options[k] for k in (*takes, "crop") if options.get(k) is not None}


def refuse_others(method: str, options: dict[str, Any]) -> None:
    """Raise UsageError for an option that the method does not take."""
    for name in OPTIONS:
        if options.get(name) is not None and name not in METHODS[method][2]:
            flag = "overwrite" if name == "rule" else name
            raise click.UsageError(f"--{flag} is not for --method {method}")


def explained(
    net: Net, img: Array, target: Target | None, method: str, options: dict[str, Any]
) -> Map | Picture:
    """What a method makes of a picture, with a count of what it does on the way."""
    function = METHODS[method][0]
    given = arguments(method, options)
    if method not in LONG:
        return function(net, img, target, **given)
    with counted(LONG[method]) as show:
        return function(net, img, target, on_step=show, **given)
