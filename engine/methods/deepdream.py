"""DeepDream: a picture's own activations made stronger, octave by octave (google/deepdream)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array

from ..ascent import NORMS, dream_step, unsound
from ..drawing import sheet
from ..error import ArgumentError
from ..goal import candidates, goal, parse_spec
from ..image import Picture, shrunk
from ..net import Net
from ..objective import Goal, Objective, guide, l2
from ..plan import Plan
from ..recipe import amended, make_recipe
from ..setting import Settings, choose, usual_ends
from ..size import accepted_size
from ..transform import edge_cropped, edge_padded, moved_closer, octaves, zoomed

log = logging.getLogger(__name__)


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
    smooth: float | None = None,
    jitter: int = 32,
    clip: bool = True,
    guide_img: Array | None = None,
    objective: Objective | None = None,
    norm: str = "mean_abs",
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

    What is left out is the network's favourite, or the notebook's value; `octave_n` is as many
    as keep the shorter side at 110 px; a network without favourites climbs the blob at 0.6 of its
    depth. The same seed gives the same picture on the same machine.

    Raises ArgumentError and ModelError.
    """
    x = net.preprocess(base_img)
    given = {
        "end": (end,) if isinstance(end, str) else end,
        "iter_n": iter_n,
        "octave_n": octave_n,
        "octave_scale": octave_scale,
        "step_size": step_size,
        "smooth": smooth,
    }
    settings = choose(net, min(x.shape[2:]), given, jitter=jitter, clip=clip, norm=norm, seed=seed)
    climbed = dream_goal(net, settings.end, guide_img, objective)
    random = np.random.RandomState(settings.seed)

    smaller = octaves(x, settings.octave_n, settings.octave_scale)
    bases = [net.place(base) for base in smaller[::-1]]
    areas = [base.size for base in bases]
    # all before the first step: a size that cannot be reached is better refused now
    sizes = [accepted_size(net, list(climbed), *base.shape[2:]) for base in bases]
    detail = np.zeros_like(bases[0])
    said = False
    for k, (base, size) in enumerate(zip(bases, sizes, strict=True)):
        detail = zoomed(detail, *base.shape[2:])
        steps = octave_steps(net, base + detail, size, climbed, settings, random)
        for iteration, (value, moved, alive) in enumerate(steps):
            if not alive and not said:
                log.warning("a gradient is zero: nothing in the picture moves the objective there")
                said = True
            detail = moved - base
            if on_step:
                share = iteration / max(settings.iter_n, 1)
                done = (sum(areas[:k]) + areas[k] * share) / sum(areas)
                here = finisher(net, x, detail, clip, getattr(base_img, "alpha", None))
                place = (k + 1, len(bases), iteration, settings.iter_n)
                on_step(Step(*place, done, value, moved, here))

    dream = finisher(net, x, detail, clip, getattr(base_img, "alpha", None))()
    parameters = asdict(settings) | {"end": list(settings.end)}
    if objective:
        parameters["objective"] = getattr(objective, "__name__", "unnamed")
    pictures = {"photo": base_img, **({} if guide_img is None else {"guide": guide_img})}
    dream.recipe = make_recipe(net, "deepdream", parameters, pictures)
    return dream


def make_step(
    net: Net,
    *,
    step_size: float = 1.5,
    end: str | Sequence[str] | None = None,
    jitter: int = 32,
    clip: bool = True,
    objective: Objective | None = None,
    norm: str = "mean_abs",
    smooth: float = 0.0,
    random: Any = np.random,
) -> float:
    """Take the picture that the net's input blob holds one step further, as in the notebook.

    For looking at: afterwards every blob up to `end` shows what the jittered net saw, and the input
    blob the picture after the step, rolled back. The shift is drawn from `random`, NumPy's global
    generator (np.random.seed) or a RandomState. The arguments are those of deepdream. Returns the
    objective's value before the step.
    """
    ends = (end,) if isinstance(end, str) else tuple(end or usual_ends(net))
    settings = Settings(ends, 1, jitter, clip, norm, 0, step_size=step_size, smooth=smooth)
    climbed = dream_goal(net, settings.end, None, objective)
    x = net.value(net.input)
    across, down = random.randint(-jitter, jitter + 1, 2)
    step, bounds = units(net, settings)
    result = dream_step(
        net, x, np.array([down, across]), step, climbed, bounds, NORMS[norm], smooth
    )
    net.blobs[net.input].data = result["x"]
    return float(result["value"])


def dream_goal(
    net: Net, ends: Sequence[str], guide_img: Array | None, objective: Objective | None
) -> Goal:
    """{blob: objective} of a dream."""
    if guide_img is None and objective is None:
        return goal(net, ends)
    if guide_img is not None and objective is not None:
        raise ArgumentError("guide_img is an objective itself: give one of the two")
    specs = [parse_spec(net, text) for text in ends]
    if any(spec.place for spec in specs):
        raise ArgumentError("a guide or an objective takes whole blobs: end names a part of one")
    blobs = [spec.blob for spec in specs]
    if guide_img is None:
        return goal(net, ends, dict.fromkeys(blobs, objective or l2))
    y = net.preprocess(guide_img)
    y = edge_padded(y, *accepted_size(net, blobs, *y.shape[2:]))
    features = net.forward({net.input: y}, end=blobs)
    return goal(net, ends, {name: guide(features[name]) for name in blobs})


def octave_steps(
    net: Net,
    x: Array,
    size: tuple[int, int],
    climbed: Goal,
    settings: Settings,
    random: np.random.RandomState,
) -> Iterator[tuple[float, Array, bool]]:
    """x before the first step and after each; the objective's value before it; has x moved?

    The steps are taken on x padded to `size`.
    """
    h, w = x.shape[2:]
    yield float("nan"), x, True
    if settings.iter_n == 0:
        return
    tall, wide = size
    if size != (h, w):
        log.warning(
            "%dx%d px do not reach %s: padded to %dx%d", w, h, ", ".join(climbed), wide, tall
        )
    x = edge_padded(x, tall, wide)
    step, bounds = units(net, settings)
    step = net.place(step)
    plan = step_plan(net, x.shape, climbed, bounds, settings)
    reach = min(settings.jitter, tall - 1, wide - 1)
    for _ in range(settings.iter_n):
        across, down = random.randint(-reach, reach + 1, 2)
        result = plan(x=x, shift=np.array([down, across]), step=step)
        norm = np.asarray(result["norm"])
        if not np.isfinite(norm).all():
            raise unsound(net, x, climbed)
        x = result["x"]
        yield float(result["value"]), edge_cropped(x, h, w), bool(norm.any())


def units(net: Net, settings: Settings) -> tuple[Array, tuple[Array, Array] | None]:
    """The step size and the bounds of a picture in the network's units."""
    preprocessing = net.known_preprocessing()
    step = settings.step_size * preprocessing.unit(net.channels, net.dtype)
    bounds = preprocessing.bounds(net.channels, net.dtype) if settings.clip else None
    return step.astype(net.dtype), bounds


def step_plan(
    net: Net,
    shape: tuple[int, ...],
    climbed: Goal,
    bounds: tuple[Array, Array] | None,
    settings: Settings,
) -> Plan:
    """dream_step, compiled for pictures of this shape."""
    norm = NORMS[settings.norm]

    def program(net: Net, x: Array, shift: Array, step: Array) -> dict[str, Any]:
        return dream_step(net, x, shift, step, climbed, bounds, norm, settings.smooth)

    inputs = {
        "x": (net.dtype, shape),
        "shift": (np.int64, (2,)),
        "step": (net.dtype, (1, net.channels, 1, 1)),
    }
    return Plan(net, program, **inputs)


def finisher(
    net: Net, x: Array, detail: Array, clip: bool, alpha: Array | None
) -> Callable[[], Picture]:
    """A call that lays the detail of some octave over the full picture."""

    def picture() -> Picture:
        dream = finished(net, x + zoomed(detail, *x.shape[2:]), clip)
        dream.alpha = alpha
        return dream

    return picture


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
    if frame_n < 0:
        raise ArgumentError(f"frame_n is {frame_n}: it starts at 0")
    if not 0 <= zoom_scale < 1:
        raise ArgumentError(f"zoom_scale is {zoom_scale}: it must be at least 0 and below 1")
    frame = base_img
    seed = dream.pop("seed", 0)
    for k in range(frame_n):
        dreamt = deepdream(net, frame, seed=seed + k, **dream)
        dreamt.alpha = None  # the camera moves, the transparency of the first picture does not
        dreamt.recipe = amended(dreamt.recipe, "zoom", zoom_scale=zoom_scale, frame=k)
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

    `side` is the longer side of a tile in pixels; `dream` are the arguments of deepdream, with
    three octaves unless told otherwise.
    """
    if side < 1:
        raise ArgumentError(f"side is {side}: it starts at 1")
    if "end" in dream:
        raise ArgumentError("a sheet shows every candidate: it takes no end")
    small = shrunk(Picture(base_img), side)
    names = candidates(net)
    tiles = []
    for k, name in enumerate(names):
        if on_layer:
            on_layer(k, len(names), name)
        tiles.append(deepdream(net, small, end=name, **{"octave_n": 3, **dream}))
    result = sheet(tiles, names)
    result.recipe = amended(tiles[0].recipe, "dream_sheet", end=names, side=side)
    return result
