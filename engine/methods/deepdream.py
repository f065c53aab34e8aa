"""DeepDream: a picture's own activations made stronger, octave by octave (google/deepdream)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array

from ..ascent import NORMS, make_step
from ..drawing import sheet
from ..error import ArgumentError
from ..goal import accepted_size, candidates, goal, parse_spec, usual_end
from ..image import Picture
from ..net import Net
from ..objective import Goal, Objective, guide
from ..plan import Plan
from ..recipe import make_recipe
from ..transform import edge_cropped, edge_padded, moved_closer, octaves, zoomed

log = logging.getLogger(__name__)

NOTEBOOK = {"iter_n": 10, "octave_n": 4, "octave_scale": 1.4, "step_size": 1.5}
SMALLEST = 64  # px of the shorter side, where the rule for unknown networks stops adding octaves


class Step(NamedTuple):
    """Where a dream is: told before an octave's first step (iteration 0) and after each."""

    octave: int  # 1 is the smallest
    octave_n: int
    iteration: int
    iter_n: int
    done: float  # part of the work that is behind, 0..1
    value: float  # of the objective before this step, as the jittered net saw it; nan at 0
    x: Array  # the picture so far at this octave's size, as the net takes it (1, c, h, w)
    picture: Callable[[], Picture]  # the picture so far at full size


def deepdream(
    net: Net,
    base_img: Array,
    *,
    end: str | Sequence[str] | None = None,
    iter_n: int | None = None,
    octave_n: int | None = None,
    octave_scale: float | None = None,
    step_size: float | None = None,
    jitter: int = 32,
    clip: bool = True,
    guide_img: Array | None = None,
    objective: Objective | None = None,
    norm: str = "mean_abs",
    smooth: float = 0.0,
    seed: int = 0,
    on_step: Callable[[Step], None] | None = None,
) -> Picture:
    """The picture, dreamt: a Picture of the same size, with its recipe.

    From the smallest octave to the largest, `iter_n` times: the picture is rolled by a random
    shift of up to `jitter` pixels, takes one step up the gradient of the objective, and is rolled
    back; then what was added is zoomed and laid over the next octave. The steps and their names
    are those of google/deepdream's dream.ipynb.

    `base_img` is (h, w, c), 0..255. `end` names what is climbed: a blob or several, each as
    "NAME[:CHANNEL[,ROW,COLUMN]][=WEIGHT]". A blob's objective is half the sum of its squares, or
    its likeness to `guide_img` if one is given, or `objective`, a function of the blob's data
    that returns its value and its diff. `step_size` is in units of 0..255; a step is divided by
    the gradient's `norm`: mean_abs, std, l1 or l2. `smooth` blurs the gradient, in pixels. Without
    `clip` values may leave 0..255, and the result is scaled so that nearly all of them fit.

    What is left out is the network's favourite, or the notebook's value. A network without
    favourites climbs the blob at 0.6 of its depth, with as many of four octaves as keep the
    shorter side above 64 px. The same seed gives the same picture on the same machine.

    Raises ArgumentError and ModelError.
    """
    x = net.preprocess(base_img)
    settings, ends = choose(
        net,
        x.shape[2:],
        end=[end] if isinstance(end, str) else end,
        iter_n=iter_n,
        octave_n=octave_n,
        octave_scale=octave_scale,
        step_size=step_size,
    )
    check(settings, jitter, norm, smooth)
    climbed = climb(net, ends, guide_img, objective)
    random = np.random.RandomState(seed)
    dreamer = Dreamer(net, climbed, jitter, clip, norm, smooth, settings["step_size"])

    bases = octaves(x, settings["octave_n"], settings["octave_scale"])[::-1]
    iter_n = settings["iter_n"]
    sizes = [base.size for base in bases]
    detail = np.zeros_like(bases[0])
    for k, base in enumerate(bases):
        detail = zoomed(detail, *base.shape[2:])
        steps = dreamer.steps(base + detail, iter_n, random)
        for iteration, (value, moved) in enumerate(steps):
            detail = moved - base
            if on_step:
                done = (sum(sizes[:k]) + sizes[k] * iteration / max(iter_n, 1)) / sum(sizes)
                here = finisher(net, x, detail, clip)
                on_step(Step(k + 1, len(bases), iteration, iter_n, done, value, moved, here))
    dream = finished(net, x + detail, clip)
    dream.alpha = getattr(base_img, "alpha", None)
    named = getattr(objective, "__name__", None) if objective else None
    parameters = {
        **settings,
        "end": ends,
        "jitter": jitter,
        "clip": clip,
        "norm": norm,
        "smooth": smooth,
        "seed": seed,
        **({"objective": named} if objective else {}),
    }
    pictures = {"photo": base_img, **({} if guide_img is None else {"guide": guide_img})}
    dream.recipe = make_recipe(net, "deepdream", parameters, pictures)
    return dream


def choose(
    net: Net, size: tuple[int, int], end: Sequence[str] | None, **given: Any
) -> tuple[dict[str, Any], list[str]]:
    """The settings and the ends, where they were left out the network's or the notebook's."""
    favourites = dict(net.favourites)
    ends = list(end or favourites.pop("end", ()))
    rule = {}
    if not ends:
        ends = [usual_end(net)]
        fitting = [n for n in range(1, 5) if min(size) / 1.4 ** (n - 1) >= SMALLEST]
        rule = {"octave_n": max(fitting, default=1)}
        log.info("no favourites for %s: climbing %s", net.model.name, ends[0])
    favourites.pop("end", None)
    chosen = {name: value for name, value in given.items() if value is not None}
    return {**NOTEBOOK, **rule, **favourites, **chosen}, ends


def check(settings: Mapping[str, Any], jitter: int, norm: str, smooth: float) -> None:
    """Refuse what makes no sense, by its name."""
    for name, least in (("iter_n", 0), ("octave_n", 1)):
        if settings[name] < least:
            raise ArgumentError(f"{name} is {settings[name]}: it starts at {least}")
    if not settings["octave_scale"] > 1:
        raise ArgumentError(f"octave_scale is {settings['octave_scale']}: it must be above 1")
    if jitter < 0 or smooth < 0:
        raise ArgumentError("jitter and smooth cannot be negative")
    if norm not in NORMS:
        raise ArgumentError(f"norm {norm!r} is not one of {', '.join(NORMS)}")


def climb(
    net: Net, ends: Sequence[str], guide_img: Array | None, objective: Objective | None
) -> Goal:
    """{blob: objective} of a dream."""
    blobs = [parse_spec(net, text).blob for text in ends]
    if objective is not None:
        return goal(net, ends, dict.fromkeys(blobs, objective))
    if guide_img is None:
        return goal(net, ends)
    y = net.preprocess(guide_img)
    y = edge_padded(y, *accepted_size(net, blobs, *y.shape[2:]))
    features = net.forward({net.input: y}, end=blobs)
    return goal(net, ends, {name: guide(features[name]) for name in blobs})


class Dreamer:
    """Steps with all settings but the picture's size."""

    def __init__(
        self,
        net: Net,
        climbed: Goal,
        jitter: int,
        clip: bool,
        norm: str,
        smooth: float,
        step_size: float,
    ) -> None:
        self.net, self.climbed, self.jitter = net, climbed, jitter
        preprocessing = net.known_preprocessing()
        self.step = step_size * preprocessing.unit(net.channels, net.dtype)
        self.bounds = preprocessing.bounds(net.channels, net.dtype) if clip else None
        self.norm, self.smooth = NORMS[norm], smooth

    def plan(self, shape: tuple[int, ...]) -> Plan:
        """make_step, compiled for pictures of this shape."""

        def program(net: Net, x: Array, shift: Array, step: Array) -> dict[str, Any]:
            return make_step(net, x, shift, step, self.climbed, self.bounds, self.norm, self.smooth)

        dtype = self.net.dtype
        return Plan(
            self.net,
            program,
            x=(dtype, shape),
            shift=(np.int64, (2,)),
            step=(dtype, self.step.shape),
        )

    def steps(
        self, x: Array, iter_n: int, random: np.random.RandomState
    ) -> Iterator[tuple[float, Array]]:
        """x before the first step and after each, with the objective's value before it."""
        h, w = x.shape[2:]
        yield float("nan"), x
        if iter_n == 0:
            return
        tall, wide = accepted_size(self.net, list(self.climbed), h, w)
        if (tall, wide) != (h, w):
            log.info("%dx%d px do not reach the end: padded to %dx%d", w, h, wide, tall)
        x = edge_padded(x, tall, wide)
        plan = self.plan(x.shape)
        reach = min(self.jitter, tall - 1, wide - 1)
        for _ in range(iter_n):
            across, down = random.randint(-reach, reach + 1, 2)
            result = plan(x=x, shift=np.array([down, across]), step=self.step)
            if not result["norm"].any():
                log.warning("the gradient is zero: nothing in the picture moves the objective")
                return
            x = result["x"]
            yield float(result["value"]), edge_cropped(x, h, w)


def finisher(net: Net, x: Array, detail: Array, clip: bool) -> Callable[[], Picture]:
    """A call that lays the detail of some octave over the full picture."""
    return lambda: finished(net, x + zoomed(detail, *x.shape[2:]), clip)


def finished(net: Net, x: Array, clip: bool) -> Picture:
    """As a picture of 0..255; what was not clipped is scaled to its 99.98th percentile."""
    img = np.asarray(net.deprocess(x))
    if not clip:
        img = img * (255 / max(float(np.percentile(img, 99.98)), 1e-6))
    return Picture(np.clip(img, 0, 255))


def zoom(
    net: Net, base_img: Array, *, frame_n: int = 100, zoom_scale: float = 0.05, **dream: Any
) -> Iterator[Picture]:
    """Frames of a dive: each is the dream of the frame before it, seen `zoom_scale` closer.

    `dream` are the arguments of deepdream; the seed moves on with every frame.
    """
    frame = base_img
    seed = dream.pop("seed", 0)
    for k in range(frame_n):
        dreamt = deepdream(net, frame, seed=seed + k, **dream)
        assert dreamt.recipe
        dreamt.recipe["parameters"] |= {"zoom_scale": zoom_scale, "frame": k}
        yield dreamt
        frame = moved_closer(np.asarray(dreamt), zoom_scale)


def dream_sheet(
    net: Net,
    base_img: Array,
    *,
    on_layer: Callable[[int, int, str], None] | None = None,
    side: int = 224,
    **dream: Any,
) -> Picture:
    """Which layer? The picture, small, dreamt to each candidate blob, on one contact sheet.

    `side` is the longer side of a tile in pixels; `dream` are the arguments of deepdream.
    """
    x = np.asarray(base_img, np.float32).transpose(2, 0, 1)[None]
    factor = min(1, side / max(x.shape[2:]))
    small = zoomed(x, *(max(1, round(n * factor)) for n in x.shape[2:]))[0].transpose(1, 2, 0)
    names = candidates(net)
    tiles = []
    for k, name in enumerate(names):
        if on_layer:
            on_layer(k, len(names), name)
        tiles.append(deepdream(net, small, end=name, **dream))
    return sheet(tiles, names)
