"""The one loop of the methods that climb: draw, look, go back, move, again.

    z ─canvas→ x ─transforms→ what the net sees ─goal→ value
    z ←update─ dz ←canvas── dx ←─transforms── diff ←──┘

What is climbed lives on a canvas: pixels, or another thing that a picture is drawn from. From
there everything is linear algebra on arrays: it runs on NumPy, on devices, and exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from oneiro.kernels.dispatch import Array

from .ascent import image_gradient, unsound
from .error import ModelError
from .image import Picture
from .net import Net
from .objective import Goal, Objective, each
from .plan import Plan
from .trace import Input, Program
from .update import Update

BATCH = 8  # pictures that a net sees at once: more take memory, and no less time

Back = Callable[[Array], Array]  # the adjoint of what was done to an array: diff -> diff
Project = Callable[[Array, Array, int], Array]  # (z after the update, its gradient, iteration) -> z


class Transform(Protocol):
    """Something done to a picture, with its way back; chance enters as arrays that are drawn."""

    def inputs(self) -> Mapping[str, Input]:
        """The types and shapes of what is drawn for each iteration."""
        ...

    def draw(self, random: np.random.Generator) -> Mapping[str, Array]:
        """The numbers of one iteration."""
        ...

    def apply(self, x: Array, *_: Any, **drawn: Any) -> tuple[Array, Back]:
        """The transformed x, and what takes its diff back to x; `drawn` are its numbers."""
        ...


@dataclass(frozen=True)
class Stage:
    """A stretch of iterations of one kind.

    `transforms` are what the net sees the picture through, `project` where z is taken after each
    update: into bounds, through a blur. `begin` makes the z that the stage starts from of the one
    before it: at another size.
    """

    iter_n: int
    update: Update
    transforms: tuple[Transform, ...] = ()
    project: Project | None = None
    begin: Callable[[Array], Array] | None = None


class State(NamedTuple):
    """Enough to go on from: where the climb is, what its update remembers, what chance is left."""

    stage: int
    iteration: int
    z: Array
    memory: dict[str, Array]
    random: dict[str, Any]


class Moment(NamedTuple):
    """Where a climb is after an iteration."""

    iteration: int  # of all, from 1
    iter_n: int
    value: float  # of the objective before this iteration's update
    norm: float  # of the gradient, its length
    z: Array
    picture: Callable[[], Picture]
    state: Callable[[], State]  # empty memory where the method cannot go on exactly

    @property
    def done(self) -> float:
        """The part of the work that is behind, 0..1."""
        return self.iteration / self.iter_n


OnStep = Callable[[Moment], None]


@np.errstate(all="ignore")  # what is not finite is told by an error
def climb(
    net: Net,
    goal: Goal | Sequence[Goal],
    start: Array,
    stages: Sequence[Stage],
    *,
    finish: Callable[[Array], Picture],
    canvas: Transform | None = None,
    prior: Objective | None = None,
    random: np.random.Generator | None = None,
    on_step: OnStep | None = None,
    state: State | None = None,
    batch: int = BATCH,
) -> Array:
    """z after all stages, from `start` or from where the climb with `state` was.

    Each iteration moves z up the gradient of the goal, as the net sees the canvas through the
    stage's transforms, plus `prior`, an objective of the picture itself. `finish` makes a picture
    of z. A gradient of zero is the update's business; one that is not finite raises ModelError, as
    does a last step that leads nowhere.

    Several goals are one for each picture of z, of which the net sees `batch` at once, all through
    the same transforms; the prior's value is one for each picture then.
    """
    chance = random or np.random.default_rng(0)
    at = State(0, 0, start, {}, dict(chance.bit_generator.state)) if state is None else state
    chance.bit_generator.state = at.random
    z, memory = net.place(at.z), {name: net.place(array) for name, array in at.memory.items()}
    counts = [stage.iter_n for stage in stages]
    for k, stage in enumerate(stages[at.stage :], at.stage):
        begun = at.iteration if k == at.stage else 0
        if not begun:
            z = stage.begin(z) if stage.begin else z
            memory = stage.update.start(z, memory)
        gradient = Gradient(net, goal, z, canvas, stage.transforms, prior, batch)
        for iteration in range(begun, stage.iter_n):
            value, g = gradient(z, chance)
            z, memory = stage.update.step(z, g, value, memory, iteration)
            if stage.project:
                z = stage.project(z, g, iteration)
            if on_step:
                here = (k, iteration + 1, z, memory, dict(chance.bit_generator.state))
                on_step(
                    Moment(
                        sum(counts[:k]) + iteration + 1,
                        sum(counts),
                        float(np.sum(np.asarray(value))),
                        float(np.sqrt(np.asarray((g * g).sum()))),
                        z,
                        lambda z=z: finish(z),  # type: ignore[misc]
                        lambda here=here: held(here),  # type: ignore[misc]
                    )
                )
    x, _ = canvas.apply(z) if canvas else (z, None)
    if not np.isfinite(np.asarray(x)).all():
        raise ModelError(f"{net.model.name}: the last step was too long for {net.dtype}")
    return z


def held(here: tuple[int, int, Array, Mapping[str, Array], dict[str, Any]]) -> State:
    """A state of host arrays."""
    stage, iteration, z, memory, random = here
    arrays = {name: np.asarray(array) for name, array in memory.items()}
    return State(stage, iteration, np.asarray(z), arrays, random)


class Gradient:
    """The objective's value at z, and its derivative there, compiled for z's shape."""

    def __init__(
        self,
        net: Net,
        goal: Goal | Sequence[Goal],
        z: Array,
        canvas: Transform | None,
        transforms: Sequence[Transform],
        prior: Objective | None,
        batch: int = BATCH,
    ) -> None:
        self.net = net
        self.transforms = transforms
        self.goals = [goal] if isinstance(goal, Mapping) else joined(goal, batch)
        step = len(z) if isinstance(goal, Mapping) else batch
        self.pieces = [slice(k, k + step) for k in range(0, len(z), step)]
        drawn = dict(named(transform.inputs() for transform in transforms))
        self.plans = [
            Plan(
                net,
                climb_program(goal, canvas, transforms, prior),
                z=(net.dtype, z[piece].shape),
                **drawn,
            )
            for goal, piece in zip(self.goals, self.pieces, strict=True)
        ]

    def __call__(self, z: Array, random: np.random.Generator) -> tuple[Any, Array]:
        drawn = dict(named(transform.draw(random) for transform in self.transforms))
        results = [
            plan(z=z[piece], **drawn) for plan, piece in zip(self.plans, self.pieces, strict=True)
        ]
        for result, goal in zip(results, self.goals, strict=True):
            if not math.isfinite(float(np.asarray(np.abs(result["g"]).sum()))):
                raise unsound(self.net, result["x"], goal)
        if len(results) == 1:
            return results[0]["value"], results[0]["g"]
        values, slopes = ([result[name] for result in results] for name in ("value", "g"))
        return np.concatenate(values), np.concatenate(slopes)


def joined(goals: Sequence[Goal], batch: int) -> list[Goal]:
    """A goal for each `batch` pictures, whose own ones are listed."""
    pieces = [goals[k : k + batch] for k in range(0, len(goals), batch)]
    return [
        {name: each([goal.get(name) for goal in piece]) for name in dict.fromkeys(chain(*piece))}
        for piece in pieces
    ]


def climb_program(
    goal: Goal,
    canvas: Transform | None,
    transforms: Sequence[Transform],
    prior: Objective | None,
) -> Program:
    """program(net, z, **drawn) -> {"value", "g", "x"}: one look and the way back.

    `drawn` are the transforms' numbers, called tPLACE_NAME: t0_shift of the first one. "x" is
    what the net saw.
    """

    def program(net: Net, z: Array, **drawn: Array) -> dict[str, Any]:
        x, back = canvas.apply(z) if canvas else (z, None)
        seen, ways = x, []
        for k, transform in enumerate(transforms):
            numbers = {name: drawn[f"t{k}_{name}"] for name in transform.inputs()}
            seen, way = transform.apply(seen, **numbers)
            ways.append(way)
        value, g = image_gradient(net, seen, goal)
        for way in reversed(ways):
            g = way(g)
        if prior:
            more, slope = prior(x)
            value, g = value + more, g + slope
        return {"value": value, "g": back(g) if back else g, "x": seen}

    return program


def named(listed: Iterator[Mapping[str, Any]] | Any) -> Iterator[tuple[str, Any]]:
    """What each transform has by name, under names of its own."""
    for k, numbers in enumerate(listed):
        for name, value in numbers.items():
            yield f"t{k}_{name}", value


def climb_lbfgs(
    net: Net,
    goal: Goal,
    start: Array,
    iter_n: int,
    *,
    finish: Callable[[Array], Picture],
    canvas: Transform | None = None,
    prior: Objective | None = None,
    bounds: tuple[Array, Array] | None = None,
    history: int = 20,
    first: float = 1.0,
    on_step: OnStep | None = None,
) -> Array:
    """z after up to `iter_n` iterations of L-BFGS-B (scipy), within `bounds`.

    `first` is about how far the first step goes: the root of its mean square. SciPy would step by
    the gradient itself, which may drown in the rounding of float32. Its search calls the gradient
    once or more in each iteration; its memory is its own: a climb that goes on from a state begins
    it anew.
    """
    import scipy.optimize  # a fifth of a second, for this alone

    shape = start.shape
    gradient = Gradient(net, goal, start, canvas, (), prior)
    chance = np.random.default_rng(0)  # nothing is drawn
    latest: list[tuple[float, float]] = []
    begun = 0
    gain = 0.0  # of the objective

    def descent(flat: Array) -> tuple[float, Array]:
        nonlocal gain
        value, g = gradient(net.place(flat.reshape(shape).astype(net.dtype)), chance)
        down = -np.asarray(g, np.float64).ravel()
        latest[:] = [(float(np.sum(np.asarray(value))), float(np.linalg.norm(down)))]
        if not gain:
            gain = first * math.sqrt(flat.size) / latest[0][1] if latest[0][1] else 1.0
        return -gain * latest[0][0], gain * down

    def tell(flat: Array) -> None:
        nonlocal begun
        begun += 1
        if on_step:
            z = flat.reshape(shape).astype(net.dtype)
            here: Any = (0, begun, z, {}, dict(chance.bit_generator.state))
            on_step(Moment(begun, iter_n, *latest[0], z, lambda: finish(z), lambda: held(here)))

    limits = None
    if bounds:
        low, high = (np.broadcast_to(np.asarray(bound), shape).ravel() for bound in bounds)
        limits = scipy.optimize.Bounds(low, high)
    found = scipy.optimize.minimize(
        descent,
        np.asarray(start, np.float64).ravel(),
        method="L-BFGS-B",
        jac=True,
        bounds=limits,
        callback=tell,
        options={
            "maxiter": iter_n,
            "maxfun": 2 * iter_n + 20,
            "maxcor": history,
            "ftol": 0,
            "gtol": 0,
        },
    )
    return net.place(found.x.reshape(shape).astype(net.dtype))
