"""The numbers of `maximize`: presets after the papers and programs that found them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .error import ArgumentError

UPDATES = ("adam", "constant", "mean_abs", "progress", "progress01")
IMAGES = ("pixels", "waves")

Ramp = tuple[float, float]  # from the first iteration to the last


@dataclass(frozen=True)
class Octave:
    """A stretch of iterations at one size, `grow` times the size before it."""

    iter_n: int
    rate: Ramp
    blur: Ramp = (0.0, 0.0)  # of the picture after a step, in pixels
    grow: float = 1.0


@dataclass(frozen=True)
class Settings:
    """How a picture is climbed to; refuses by name what makes no sense.

    Pixels are measured in grey values from the network's mean. `update` is how the gradient g
    moves the picture x: "constant" x += rate * g; "progress" the same, with the rate by which a
    linear objective would gain `desired`, at most `rate`; "progress01" as that for a probability,
    min(desired, late * (1 - p)); "mean_abs" x += rate * g / mean|g|; "adam".
    """

    octaves: tuple[Octave, ...]
    update: str = "constant"
    desired: float = 0.0
    late: float = 0.0
    image: str = "pixels"  # or "waves": Fourier's, through a sigmoid
    decorrelate: bool = False  # colours, as photos have them
    fall: float = 1.0  # of waves: their amplitudes are 1 / frequency**fall
    grey: float | None = None  # of the start, 0..255; None is the network's mean
    noise: float = 0.0  # of the start, its standard deviation
    clip: bool = True
    l2: float = 0.0  # times the sum of squares, taken from the objective
    decay: float = 0.0
    blur_every: int = 1
    small_norm: float = 0.0  # percent of the pixels
    small_contribution: float = 0.0
    jitter: int = 0  # pixels, as on a ring
    shift: float = 0.0  # of the shorter side
    scales: Ramp = (1.0, 1.0)
    degrees: float = 0.0

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise ArgumentError(f"update {self.update!r} is not one of {', '.join(UPDATES)}")
        if self.image not in IMAGES:
            raise ArgumentError(f"image {self.image!r} is not one of {', '.join(IMAGES)}")
        if not self.octaves:
            raise ArgumentError("octaves are none: give one at least")
        for octave in self.octaves:
            check(octave.iter_n, "iter_n", 0)
            check(min(octave.blur), "blur", 0)
            if not all(map(math.isfinite, octave.rate)):
                raise ArgumentError(f"rate is {octave.rate}: it must be a number")
            if not 0 < octave.grow < math.inf:
                raise ArgumentError(f"grow is {octave.grow}: it must be above 0")
        for name in ("desired", "late", "noise", "l2", "jitter", "shift", "degrees"):
            check(getattr(self, name), name, 0)
        check(self.blur_every, "blur_every", 1)
        for name, most in (("decay", 1), ("small_norm", 100), ("small_contribution", 100)):
            check(getattr(self, name), name, 0, most)
        if self.grey is not None:
            check(self.grey, "grey", 0, 255)
        low, high = self.scales
        if not 0 < low <= high < math.inf:
            raise ArgumentError(f"scales are {low}, {high}: they must be above 0, and ordered")
        if self.image == "waves" and any(octave.grow != 1 for octave in self.octaves):
            raise ArgumentError("waves do not grow: octaves take image='pixels'")


def check(value: float, name: str, least: float, most: float = math.inf) -> None:
    """Raise ArgumentError where a number is not one of least..most."""
    if not isinstance(value, int | float) or not least <= value <= most or value == math.inf:
        bounds = f"{least}..{most}" if most < math.inf else f"{least} or more"
        raise ArgumentError(f"{name} is {value!r}: it must be {bounds}")


def once(iter_n: int, rate: float, blur: float = 0.0) -> tuple[Octave, ...]:
    """One size, and numbers that stay."""
    return (Octave(iter_n, (rate, rate), (blur, blur)),)


PRESETS: dict[str, Settings] = {
    # Olah, Mordvintsev and Schubert 2017: lucid. There waves fall by 1, which shows finer noise,
    # and the rate stays, which leaves more of the last steps' chance.
    "lucid": Settings(
        (Octave(200, (0.05, 0.005)),),
        update="adam",
        image="waves",
        decorrelate=True,
        fall=1.3,
        noise=0.01,
        shift=0.07,
        scales=(0.9, 1.1),
        degrees=10.0,
    ),
    # Simonyan, Vedaldi and Zisserman 2013, which gives neither number: both are ours
    "simonyan": Settings(once(200, 3000.0), l2=3e-6),
    # Yosinski, Clune, Nguyen, Fuchs and Lipson 2015: Table 1, in order. The rates suit CaffeNet:
    # scores that are means over a map, as SqueezeNet's, want some fifty times as much.
    "yosinski1": Settings(
        once(500, 100.0, 0.5), "progress", 2.0, noise=10.0, blur_every=4, small_norm=50.0
    ),
    "yosinski2": Settings(once(750, 100.0), noise=10.0, decay=0.3, small_norm=20.0),
    "yosinski3": Settings(once(1000, 100.0, 1.0), noise=10.0, decay=0.0001, blur_every=4),
    "yosinski4": Settings(
        once(1000, 1e8, 0.5), "progress", 2.0, noise=10.0, blur_every=4, small_contribution=90.0
    ),
    # Stanford's CS231n, winter 2016
    "cs231n": Settings(once(100, 1e4, 0.36), noise=1.0, l2=1e-6, jitter=4),
    # auduno/deepdraw: its heads on the way are left out, all octaves climb the target
    "deepdraw": Settings(
        (
            Octave(190, (11.0, 11.0), (2.5, 0.78)),
            Octave(150, (6.0, 6.0), (0.94, 0.78), 1.2),
            Octave(150, (6.0, 3.0), (0.94, 0.44), 1.2),
            Octave(10, (3.0, 3.0), (0.44, 0.304)),
        ),
        update="mean_abs",
        grey=200.0,
        noise=8.0,
    ),
}


def chosen(preset: str, given: Mapping[str, Any]) -> Settings:
    """A preset with other numbers: fields of Settings, or of all its octaves, by name.

    A rate or a blur may be one number, or two: at the first iteration and at the last.
    """
    if preset not in PRESETS:
        raise ArgumentError(f"preset {preset!r} is not one of {', '.join(PRESETS)}")
    settings = PRESETS[preset]
    known = {field.name for field in fields(Settings)}
    shared = {field.name for field in fields(Octave)}
    for name in given:
        if name not in known | shared:
            listed = ", ".join(sorted(known | shared))
            raise ArgumentError(f"{name} is no number of maximize; they are: {listed}")
    parts: dict[str, Any] = {
        name: ramp(value) if name in ("rate", "blur") else value
        for name, value in given.items()
        if name in shared
    }
    octaves = [
        octave if isinstance(octave, Octave) else Octave(**tuples(octave))
        for octave in given.get("octaves", settings.octaves)
    ]
    whole = {name: pair(value) for name, value in given.items() if name in known}
    whole["octaves"] = tuple(replace(octave, **parts) for octave in octaves)
    return replace(settings, **whole)


def pair(value: Any) -> Any:
    """A list, of a recipe, as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def tuples(octave: Mapping[str, Any]) -> dict[str, Any]:
    """An octave of a recipe."""
    return {name: pair(value) for name, value in octave.items()}


def ramp(value: float | tuple[float, float]) -> Ramp:
    """One number stays, two are the first and the last."""
    first, last = value if isinstance(value, tuple | list) else (value, value)
    return float(first), float(last)


def told(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, from which `chosen` makes them again."""
    listed = asdict(settings)
    listed["octaves"] = [
        {name: list(v) if isinstance(v, tuple) else v for name, v in octave.items()}
        for octave in listed["octaves"]
    ]
    listed["scales"] = list(listed["scales"])
    return listed
