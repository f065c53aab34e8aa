"""Pictures that a class, a unit, or any goal likes best: activation maximisation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..aim import Aim, aim, is_middle, seen, smallest_size
from ..ascent import objective_value
from ..canvas import Pixels, Waves, pixels, waves
from ..classification import classify
from ..climb import BATCH, OnStep, Project, Stage, State, Transform, climb
from ..crop import cut
from ..drawing import sheet
from ..error import ArgumentError
from ..image import Picture
from ..maximization import Octave, Ramp, chosen, told
from ..net import Net
from ..recipe import Recipe, make_recipe
from ..regulariser import (
    blurred,
    clipped,
    decayed,
    in_order,
    l2_decay,
    revived,
    without_small_contributions,
    without_small_norms,
)
from ..robustness import Affine, Crop, Jitter
from ..seed import check_seed
from ..sidecar import sides
from ..size import accepted_size, usual_size
from ..target import Target
from ..transform import zoomed
from ..update import Adam, Normalised, Plain, Rate, Update, progress, progress01

log = logging.getLogger(__name__)

Which = str | int | Target | Mapping[str, Any]
TILE = 112  # px of a small picture on a sheet
MIDDLE = 127.5  # grey, beyond the border
FLAT = 4.0  # grey values
REVIVAL = {"pixels": 10.0, "waves": 0.1}  # noise where nothing moves: some 10 grey values


def maximize(
    net: Net,
    target: Which | Sequence[Which],
    *,
    preset: str = "lucid",
    restarts: int | Sequence[int] = 1,
    best: bool = False,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    batch: int = BATCH,
    on_step: OnStep | None = None,
    state: State | None = None,
    **numbers: Any,
) -> Picture:
    """The picture that a target likes best, with its recipe; of several a sheet with captions.

    A target is a class by number or name, of which the unnormalised score is climbed, a unit,
    "BLOB", "BLOB:CHANNEL", "BLOB:CHANNEL,ROW,COLUMN" or "neuron:BLOB:CHANNEL" (the one in the
    middle), a sum of these with weights, "goose + fire8/concat:5=-0.5", or a goal {blob:
    objective}. A neuron's picture is cropped to what it sees. Several targets are climbed in one
    batch, `batch` pictures at once, and come out the same as alone; each begins `restarts` times,
    from other noise, which the sheet shows side by side, or the `best` by its objective.

    Presets: "lucid" (the default), "simonyan", "yosinski1" to "yosinski4", "cs231n", "deepdraw";
    `numbers` are fields of maximization.Settings and Octave that replace theirs: iter_n=500.
    `size` is the picture's, its side or (height, width); what is left out is the size that the
    network was trained at, or for middle neurons the smallest that holds what they see. The same
    seed gives the same picture on the same machine. `state` goes on from a Moment's.

    Raises ArgumentError and ModelError.
    """
    work = Maximization(
        net, target, preset, numbers, restarts=restarts, best=best, size=size, seed=seed,
        batch=batch,
    )  # fmt: skip
    return work.run(on_step, state)


class Maximization:
    """All that a call of `maximize` has to do, checked before anything is computed."""

    def __init__(
        self,
        net: Net,
        target: Which | Sequence[Which],
        preset: str = "lucid",
        numbers: Mapping[str, Any] | None = None,
        *,
        restarts: int | Sequence[int] = 1,
        best: bool = False,
        size: int | tuple[int, int] | None = None,
        seed: int = 0,
        batch: int = BATCH,
    ) -> None:
        self.net = net
        several = isinstance(target, list | tuple) and not isinstance(target, Target)
        listed: Any = target if several else [target]
        self.aims = [aim(net, which) for which in listed]
        self.settings = chosen(preset, numbers or {})
        self.restarts = list(range(restarts)) if isinstance(restarts, int) else list(restarts)
        if not self.aims or not self.restarts:
            raise ArgumentError("there is nothing to climb: give a target, and a restart or more")
        check_seed(seed)
        if batch < 1:
            raise ArgumentError(f"batch is {batch}: it starts at 1")
        self.preset, self.best, self.seed, self.batch = preset, best, seed, batch
        self.size = self.fitting(size)
        self.all = [(one, restart) for one in self.aims for restart in self.restarts]
        self.recipe = self.recipe_of(self.aims, self.restarts)

    def fitting(self, size: int | tuple[int, int] | None) -> tuple[int, int]:
        """The size asked for, or what the targets want, as the network takes it."""
        blobs = [name for one in self.aims for name in one]
        if size is not None:
            return accepted_size(self.net, blobs, *sides(size))
        middles = [one.target.blob for one in self.aims if one.target and is_middle(one)]
        if len(middles) == len(self.aims):
            return max(smallest_size(self.net, blob) for blob in dict.fromkeys(middles))
        return accepted_size(self.net, blobs, *usual_size(self.net))

    def recipe_of(self, aims: Sequence[Aim], restarts: Sequence[int]) -> Recipe:
        """What made the pictures of these."""
        parameters = {
            "preset": self.preset,
            "targets": [one.text or one.title for one in aims],
            "restarts": list(restarts),
            "best": self.best,
            "size": list(self.size),
            "seed": self.seed,
            **told(self.settings),
        }
        if not all(one.text for one in aims):
            parameters["python"] = True  # a target is a function
        return make_recipe(self.net, "maximize", parameters, {})

    def run(self, on_step: OnStep | None = None, state: State | None = None) -> Picture:
        """The picture, or the sheet."""
        z = climb(
            self.net,
            [one for one, _ in self.all],
            self.start(),
            self.stages(),
            finish=self.finish,
            canvas=self.canvas,
            prior=self.prior(),
            random=np.random.default_rng(self.seed),
            on_step=on_step,
            state=state,
            batch=self.batch,
        )
        self.tell_flat(z)
        return self.finish(z)

    def tell_flat(self, z: Array) -> None:
        """Say so where there is next to nothing to see."""
        if self.settings.image == "pixels" and float(np.asarray(z).std((1, 2, 3)).min()) < FLAT:
            log.warning("a picture is nearly flat: a larger rate shows more")

    # From where, on what, and how.

    @property
    def canvas(self) -> Pixels | Waves:
        if self.settings.image == "pixels":
            return pixels(self.net)
        return waves(self.net, *self.size, self.settings.decorrelate, self.settings.fall)

    def start(self) -> Array:
        """z of each picture: noise of its restart's own."""
        level = np.zeros((1, self.net.channels, 1, 1), self.net.dtype)
        if self.settings.grey is not None and isinstance(self.canvas, Pixels):
            shade = np.full((1, 1, self.net.channels), self.settings.grey)
            shade = self.net.known_preprocessing().preprocess(shade, self.net.channels)
            level = (shade - self.canvas.zero) / self.canvas.unit
        noise = [self.noise(self.settings.noise, restart) for _, restart in self.all]
        return np.concatenate(noise) + level.astype(self.net.dtype)

    def noise(self, deviation: float, *kind: int) -> Array:
        """Of a restart, (1, c, h, w), whatever else is climbed beside it."""
        random = np.random.default_rng([self.seed, *kind])
        shape = 1, self.net.channels, *self.size
        return (deviation * random.normal(size=shape)).astype(self.net.dtype)

    def revival(self, iteration: int) -> Array:
        """Noise for starts that are dead, stronger each time."""
        deviation = REVIVAL[self.settings.image] * (1 + iteration)
        noise = [self.noise(deviation, restart, 1 + iteration) for _, restart in self.all]
        return self.net.place(np.concatenate(noise))

    def stages(self) -> list[Stage]:
        """An octave each."""
        h, w = self.size
        stages = []
        grown = 1.0
        for k, octave in enumerate(self.settings.octaves):
            grown *= octave.grow
            tall, wide = round(h * grown), round(w * grown)
            stages.append(
                Stage(
                    octave.iter_n,
                    self.update(octave),
                    self.transforms(tall, wide),
                    self.project(octave, first=k == 0),
                    lambda z, tall=tall, wide=wide: zoomed(z, tall, wide),  # type: ignore[misc]
                )
            )
        return stages

    def update(self, octave: Octave) -> Update:
        settings, rate = self.settings, ramped(octave.rate, octave.iter_n)
        if settings.update == "adam":
            return Adam(rate)
        if settings.update == "mean_abs":
            return Normalised(rate)
        if settings.update == "constant":
            return Plain(lambda g, value, iteration: rate(iteration))
        return Plain(self.policy(octave))

    def policy(self, octave: Octave) -> Rate:
        """Yosinski's, whose rate is the most that it takes."""
        most, settings = octave.rate[0], self.settings
        if settings.update == "progress":
            return progress(settings.desired, most)
        return progress01(most, settings.desired, settings.late)

    def transforms(self, tall: int, wide: int) -> tuple[Transform, ...]:
        """What the net sees pictures of that size through."""
        settings = self.settings
        listed: list[Transform] = []
        if (tall, wide) != self.size:
            listed.append(Crop(*self.size, tall, wide))
        if settings.jitter:
            listed.append(Jitter(settings.jitter))
        if settings.shift or settings.degrees or settings.scales != (1.0, 1.0):
            reach = settings.shift * min(self.size)
            listed.append(Affine(reach, settings.scales, settings.degrees))
        return tuple(listed)

    def project(self, octave: Octave, first: bool) -> Project | None:
        """Where pixels are taken after each step."""
        settings = self.settings
        parts: list[Project] = []
        if first:
            parts.append(revived(self.revival, tell_dead))
        if settings.decay:
            parts.append(decayed(settings.decay))
        if max(octave.blur) > 0:
            parts.append(blurred(ramped(octave.blur, octave.iter_n), settings.blur_every))
        if settings.small_norm:
            parts.append(without_small_norms(settings.small_norm))
        if settings.small_contribution:
            parts.append(without_small_contributions(settings.small_contribution))
        if settings.clip and settings.image == "pixels":
            surface = pixels(self.net)
            ends = self.net.known_preprocessing().bounds(self.net.channels, self.net.dtype)
            low, high = ((end - surface.zero) / surface.unit for end in ends)
            parts.append(clipped(low, high))
        return in_order(*parts) if parts else None

    def prior(self) -> Any:
        """What the picture itself costs."""
        surface = pixels(self.net)
        return l2_decay(self.settings.l2, surface.zero, surface.unit) if self.settings.l2 else None

    # What comes out.

    def finish(self, z: Array) -> Picture:
        """The picture of z, or the sheet of all, or of the best of each target."""
        x = np.asarray(self.canvas.apply(self.net.place(z))[0])
        shown = self.best_of(x) if self.best else range(len(x))
        pictures = [self.picture(x, k) for k in shown]
        if len(pictures) == 1:
            return pictures[0]
        captions = [
            self.caption(self.all[k][0], picture)
            for k, picture in zip(shown, pictures, strict=True)
        ]
        beside = len(self.restarts) > 1 and not self.best
        page = sheet(
            list(map(enlarged, pictures)), captions, len(self.restarts) if beside else None
        )
        page.recipe = self.recipe
        return page

    def picture(self, x: Array, k: int) -> Picture:
        """The picture number k, with its own recipe; of a neuron what that sees."""
        one, restart = self.all[k]
        picture = np.clip(np.asarray(self.net.deprocess(x[k : k + 1])), 0, 255)
        piece = seen(self.net, one, *x.shape[2:])
        shown = picture if piece is None else cut(picture, piece, MIDDLE)
        return Picture(shown, recipe=self.recipe_of([one], [restart]))

    def best_of(self, x: Array) -> list[int]:
        """Of each target's restarts the one with the highest objective."""
        values = [
            float(objective_value(self.net, x[k : k + 1], one))
            for k, (one, _) in enumerate(self.all)
        ]
        count = len(self.restarts)
        return [k + int(np.argmax(values[k : k + count])) for k in range(0, len(values), count)]

    def caption(self, one: Aim, picture: Picture) -> str:
        """The title; of a class also how probable the network holds it to be."""
        if one.target is None or not one.text.startswith("class:"):
            return one.title
        way = self.net.known_preprocessing()
        found = dict(classify(self.net, np.rint(picture), way, None))
        return f"{one.title}, p {found[one.target.place[0]]:.2f}"


def ramped(ends: Ramp, count: int) -> Any:
    """iteration -> a number that goes evenly from one end to the other."""
    first, last = ends
    return lambda iteration: first + (last - first) * iteration / max(count, 1)


def tell_dead() -> None:
    log.warning("the gradient at the start is zero: noise takes its place")


def enlarged(picture: Picture, side: int = TILE) -> Picture:
    """Its pixels repeated, so that the shorter side has about so many."""
    times = max(1, round(side / min(picture.shape[:2])))
    return Picture(np.repeat(np.repeat(picture, times, 0), times, 1))
