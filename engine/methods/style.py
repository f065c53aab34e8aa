"""Style transfer: the things of a photo in the textures of paintings (Gatys and others 2016)."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.border import extend
from oneiro.kernels.dispatch import Array
from oneiro.kernels.gram import gram as gram_matrix

from ..ascent import objective_value
from ..climb import Moment, OnStep, Stage, State, climb, climb_lbfgs
from ..error import ArgumentError
from ..goal import parse_spec
from ..image import Picture, as_planes, in_channels, resampled, shrunk
from ..layers.pool import AveragePool, MaxPool, Pool
from ..net import Net
from ..objective import Goal, Objective, feature, gram, total_variation, weighted
from ..palette import matched, with_chroma
from ..preset import become, check_known, check_least, known_preset, overridden
from ..recipe import make_recipe
from ..stage import content_blobs, style_blobs
from ..transform import zoomed
from ..update import Adam

log = logging.getLogger(__name__)

BALANCES = ("relative", "normalised", "raw")
STARTS = ("photo", "noise")
OPTIMISERS = ("lbfgs", "adam")
COLOURS = ("style", "photo", "matched")
POOLS = ("max", "average")
WORDS = {
    "balance": BALANCES, "start": STARTS, "optimiser": OPTIMISERS, "colours": COLOURS,
    "pool": POOLS,
}  # fmt: skip
LEAST = {"style_weight": 0, "content_weight": 0, "variation": 0, "size": 1, "seed": 0}
NOISE = 0.001  # of its standard deviation, in the network's units (johnson)
SMALLEST = 96  # px of the longer side: below it a network sees too little of a style
BETAS = (0.9, 0.99)  # of Adam (crowsonkb)
MARGIN = 16  # px of frame that is painted too, and cut off: nets see nothing behind an edge


def several(kind: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """One value, or a list of them, as a tuple."""
    return lambda given: tuple(kind(value) for value in (given if np.ndim(given) else (given,)))


KINDS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("size", "seed"), operator.index),
    **dict.fromkeys(("style_weight", "content_weight", "variation", "style_scale", "rate"), float),
    "scales": several(float),
    "iter_n": several(operator.index),
    **dict.fromkeys(("layers", "content"), several(lambda value: value)),
}


@dataclass(frozen=True)
class Settings:
    """The numbers of a transfer; refuses by name those that make no sense.

    What is minimised, for a picture x whose blobs F have the Gram matrices G, is

        style_weight * sum |G - G'|^2 / a + content_weight * sum |F - F'|^2 / b + variation * TV / t

    with the G' of the style and the F' of the photo. `layers` name the blobs of the first sum,
    "NAME" or "NAME=WEIGHT", `content` those of the second. A `balance` is what is divided by:

    relative    a = |G'|^2 and b = |F'|^2: errors of 1 where nothing is alike, in any network;
                weights are divided by their sum; t = 255^2 * values, in grey values
    normalised  a = c^4 and b = values, where F is divided by its mean first, as Gatys' VGG was
    raw         the same of F as it is; in both t = 2

    The picture is painted at each of `scales`, parts of `size` (its longer side in pixels), by
    iter_n steps there; the style pictures' longer side is style_scale times the picture's. It
    starts as the photo, or as noise. `rate` is Adam's, in grey values. `colours` are the style's;
    the photo's (only brightness is painted); or the style is given those of the photo (matched).
    """

    balance: str
    style_weight: float
    content_weight: float
    variation: float
    start: str
    optimiser: str
    iter_n: tuple[int, ...]
    scales: tuple[float, ...] = (1.0,)
    size: int = 512
    rate: float = 5.0
    style_scale: float = 1.0
    colours: str = "style"
    pool: str = "max"
    layers: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            become(self, name, kind, "value")
        check_known(self, WORDS)
        check_least(self, LEAST)
        for name in ("rate", "style_scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ArgumentError(f"{name} is {getattr(self, name)}: it must be above 0")
        if not self.style_weight and not self.content_weight:
            raise ArgumentError("style_weight and content_weight are 0: nothing is asked for")
        rising = all(a < b for a, b in zip(self.scales, self.scales[1:], strict=False))
        if not self.scales or not rising or self.scales[0] <= 0:
            raise ArgumentError(f"scales are {self.scales}: they rise, from above 0")
        if len(self.iter_n) not in (1, len(self.scales)) or min(self.iter_n) < 1:
            count = len(self.scales)
            raise ArgumentError(f"iter_n is {self.iter_n}: one number from 1 on, or {count}")
        for name in ("layers", "content"):
            if not all(isinstance(text, str) for text in getattr(self, name)):
                raise ArgumentError(f"{name} are {getattr(self, name)!r}: they are names of blobs")


PRESETS = {
    "smooth": Settings(
        balance="relative",
        style_weight=1.0,
        content_weight=0.08,
        variation=8.0,
        start="photo",
        optimiser="lbfgs",
        iter_n=(80, 60, 40),
        scales=(0.25, 0.5, 1.0),
        size=384,
        style_scale=1.5,
        pool="average",
    ),
    # leongatys/PytorchNeuralStyleTransfer: at 512 px, then at 800
    "gatys": Settings(
        balance="normalised",
        style_weight=1e3,
        content_weight=1.0,
        variation=0.0,
        start="photo",
        optimiser="lbfgs",
        iter_n=(500, 200),
        scales=(0.64, 1.0),
        size=800,
    ),
    # jcjohnson/neural-style
    "johnson": Settings(
        balance="raw",
        style_weight=1e2,
        content_weight=5.0,
        variation=1e-3,
        start="noise",
        optimiser="lbfgs",
        iter_n=(1000,),
        rate=10.0,
    ),
}


def style(
    net: Net,
    photo: Array,
    style_imgs: Array | Sequence[Array],
    *,
    weights: Sequence[float] | None = None,
    masks: Sequence[Array | None] | None = None,
    preset: str = "smooth",
    on_step: OnStep | None = None,
    state: State | None = None,
    **numbers: Any,
) -> Picture:
    """The photo (h, w, c) of 0..255, painted as the style pictures are: a Picture.

    `style_imgs` is one picture or several, of any sizes; `weights` are their parts, whatever their
    sum. `masks` are grey pictures, one a style (or None), that say where on the photo it goes:
    white is where. Without masks styles are mixed everywhere, by their Gram matrices.

    `preset` is "smooth" (ours), "gatys" or "johnson"; `numbers` are those of Settings, the
    preset's where left out, such as size, iter_n, style_weight, colours, seed. A photo is shrunk
    to `size` and never grown. Layers are by default VGG's, relu1_1 to relu5_1 for style and
    relu4_2 for content, as far as the network has them; in another network the first blob of each
    resolution, and the second at an eighth of the picture's.

    The recipe's "found" holds the relative errors sum |G - G'|^2 / |G'|^2 of the photo and of the
    result. `state` is one of a stopped transfer to go on from: to the same bits with Adam, while
    L-BFGS begins its memory anew. Raises ArgumentError and ModelError.
    """
    job = Transfer(net, photo, style_imgs, weights=weights, masks=masks, preset=preset, **numbers)
    return job.run(on_step, state)


class Region(NamedTuple):
    """What a part of the picture is to look like: Gram matrices by blob."""

    mask: Picture | None
    share: float
    targets: dict[str, Array]


class Transfer:
    """A transfer that is about to be: its numbers chosen, its layers found, its recipe."""

    def __init__(
        self,
        net: Net,
        photo: Array,
        style_imgs: Array | Sequence[Array],
        *,
        weights: Sequence[float] | None = None,
        masks: Sequence[Array | None] | None = None,
        preset: str = "smooth",
        **numbers: Any,
    ) -> None:
        listed = [style_imgs] if isinstance(style_imgs, np.ndarray) else list(style_imgs)
        self.shares = shares(weights, len(listed))
        self.masks = checked_masks(masks, len(listed))
        settings = chosen(preset, numbers)
        self.net = average_pools(net) if settings.pool == "average" else net
        layers = settings.layers or tuple(style_blobs(net))
        content = settings.content or tuple(content_blobs(net))
        self.settings = replace(settings, layers=layers, content=content)
        self.layers, self.content = parsed(net, layers), parsed(net, content)
        self.photo = shrunk(as_picture(photo), self.settings.size)
        colours = self.settings.colours
        self.styles = [
            matched(img, self.photo) if colours == "matched" else as_picture(img) for img in listed
        ]
        if colours == "photo":
            with_chroma(self.photo, self.photo)  # raises where there are no colours
        pictures = {"photo": photo} | {f"style {k}": img for k, img in enumerate(listed, 1)}
        pictures |= {f"mask {k}": m for k, m in enumerate(self.masks, 1) if m is not None}
        parameters = asdict(self.settings) | {"preset": preset, "weights": self.shares}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in parameters.items()}
        self.recipe = make_recipe(net, "style", plain, pictures)

    def run(self, on_step: OnStep | None = None, state: State | None = None) -> Picture:
        """The picture, with errors in its recipe."""
        scales = self.scales()
        counts = [iter_n for _, iter_n in scales]
        latest: list[Moment] = []
        chance = np.random.default_rng(self.settings.seed)
        begin = self.begin(scales[0][0], chance)
        at = state or State(0, 0, begin, {}, dict(chance.bit_generator.state))
        z, memory = self.net.place(at.z), at.memory
        for k, (picture, iter_n) in enumerate(scales[at.stage :], at.stage):
            begun = at.iteration if k == at.stage else 0
            z = regrown(z, picture)
            memory = {name: regrown(array, picture) for name, array in memory.items()}

            def tell(moment: Moment, k: int = k, begun: int = begun) -> None:
                latest[:] = [placed(moment, k, begun if self.forgets else 0, counts)]
                if on_step:
                    on_step(latest[0])

            z = self.paint(picture, iter_n, at._replace(iteration=begun, z=z, memory=memory), tell)
            memory = latest[0].state().memory if latest else memory
        result = self.finished(z)
        result.recipe = self.recipe | {"found": {"style": self.errors(z)}}
        return result

    @property
    def forgets(self) -> bool:
        """Does a stopped transfer begin its memory anew?"""
        return self.settings.optimiser == "lbfgs"

    def paint(self, picture: Picture, iter_n: int, state: State, on_step: OnStep) -> Array:
        """z after the steps of one scale, from the state on."""
        net, way = self.net, self.net.known_preprocessing()
        x = framed(net.preprocess(picture))
        goal = self.goal(picture, x, self.settings)
        low, high = (net.place(bound) for bound in way.bounds(net.channels, net.dtype))
        same: dict[str, Any] = {
            "finish": self.finished, "prior": self.prior(x), "on_step": on_step
        }  # fmt: skip
        unit = float(way.unit(net.channels).mean())
        if self.forgets:
            left = iter_n - state.iteration
            if not left:
                return state.z
            if state.iteration:
                log.warning("L-BFGS begins its memory anew: the bits will be others")
            same |= {"bounds": (low, high), "first": unit}
            return climb_lbfgs(net, goal, state.z, left, **same)
        adam = Adam(self.settings.rate * unit, BETAS)
        stage = Stage(iter_n, adam, project=lambda z, g, iteration: np.clip(z, low, high))
        return climb(net, goal, state.z, [stage], state=state._replace(stage=0), **same)

    def scales(self) -> list[tuple[Picture, int]]:
        """The photo at each scale, coarse to fine, and how many steps there are."""
        settings = self.settings
        side = max(self.photo.shape[:2])
        counts = settings.iter_n * (len(settings.scales) if len(settings.iter_n) == 1 else 1)
        last = settings.scales[-1]
        listed = []
        for scale, count in zip(settings.scales, counts, strict=True):
            if scale == last or scale / last * side >= SMALLEST:
                listed.append((shrunk(self.photo, round(scale / last * side)), count))
        return listed

    def begin(self, picture: Picture, random: np.random.Generator) -> Array:
        """z before the first step."""
        x = framed(self.net.preprocess(picture))
        if self.settings.start == "photo":
            return x
        low, high = self.net.known_preprocessing().bounds(self.net.channels)
        noise = (low + high) / 2 + NOISE * random.standard_normal(x.shape)
        return self.net.place(noise.astype(self.net.dtype))

    def goal(self, picture: Picture, x: Array, settings: Settings) -> Goal:
        """What is climbed at one scale: minus all distances but the total variation."""
        parts: dict[str, list[tuple[float, Objective]]] = {}
        photo = self.features(x, [*self.layers, *self.content])
        norm = {name: norm_of(data, settings.balance) for name, data in photo.items()}
        relative = settings.balance == "relative"
        for blob, weight in self.content.items():
            total = sum(self.content.values()) if relative else 1.0
            data, inside = photo[blob], self.inside(photo[blob], x)
            count = len(data[0]) * float(np.asarray(inside).sum())
            divisor = square(data * inside) if relative else count * norm[blob] ** 2
            weight = settings.content_weight * weight / total / divisor
            parts.setdefault(blob, []).append((-weight, feature(data, inside)))
        for region in self.regions(picture):
            total = sum(self.layers.values()) if relative else 1.0
            for blob, weight in self.layers.items():
                target = region.targets[blob]
                divisor = square(target) if relative else len(target[0]) ** 4 * norm[blob] ** 4
                weight = settings.style_weight * region.share * weight / total / divisor
                mask = self.mask(region, photo[blob], x)
                parts.setdefault(blob, []).append((-weight, gram(target, mask)))
        kept = {blob: [pair for pair in pairs if pair[0]] for blob, pairs in parts.items()}
        return {blob: weighted(pairs) for blob, pairs in kept.items() if pairs}

    def prior(self, x: Array) -> Objective | None:
        """The total variation, in grey values."""
        if not self.settings.variation:
            return None
        unit = float(self.net.known_preprocessing().unit(self.net.channels).mean())
        divisor = 255**2 * x.size if self.settings.balance == "relative" else 2
        weight = self.settings.variation / divisor / unit**2
        return weighted([(-weight, total_variation())])

    def regions(self, picture: Picture) -> list[Region]:
        """The styles at one scale; those without a mask are mixed into one."""
        side = max(1, round(max(picture.shape[:2]) * self.settings.style_scale))
        found = []
        mixed: dict[str, Array] = {}
        for img, share, mask in zip(self.styles, self.shares, self.masks, strict=True):
            y = framed(self.net.preprocess(shrunk(img, side)))
            data = self.features(y, list(self.layers))
            targets = {name: self.gram(array, y) for name, array in data.items()}
            if mask is not None:
                found.append(Region(mask, share, targets))
                continue
            for name, target in targets.items():
                mixed[name] = mixed[name] + share * target if name in mixed else share * target
        free = sum(s for s, mask in zip(self.shares, self.masks, strict=True) if mask is None)
        if mixed:
            targets = {name: target / free for name, target in mixed.items()}
            found.insert(0, Region(None, free, targets))
        return found

    def gram(self, data: Array, x: Array) -> Array:
        """The Gram matrix of a blob's data, (1, c, c), without the frame of the picture x."""
        inside = self.inside(data, x)
        return gram_matrix(data * inside) / float(np.asarray(inside).mean())

    def mask(self, region: Region, data: Array, x: Array) -> Array:
        """Where a region is, (h, w) at the size of a blob's data; the frame of x is nowhere."""
        inside = np.asarray(self.inside(data, x))
        if region.mask is not None:
            rows, columns = inside.any(1), inside.any(0)
            small = resampled(region.mask, rows.sum(), columns.sum())[:, :, 0] / 255
            if not small.any():
                raise ArgumentError("masks: one is black, or its white is too small to be seen")
            inside[np.ix_(rows, columns)] = small
        return self.net.place(inside)

    def inside(self, data: Array, x: Array) -> Array:
        """1 at the places of a blob's data that are not of the frame of x, (h, w)."""
        ones = []
        for size, side in zip(data.shape[2:], x.shape[2:], strict=True):
            width = min(round(MARGIN * size / side), (size - 1) // 2)
            ones.append(np.pad(np.ones(size - 2 * width), width))
        return self.net.place(np.outer(*ones).astype(self.net.dtype))

    def features(self, x: Array, names: Sequence[str]) -> dict[str, Array]:
        """What the blobs hold for the picture x."""
        found = self.net.forward({self.net.input: x}, end=list(dict.fromkeys(names)))
        for name, data in found.items():
            if data.ndim != 4:
                raise ArgumentError(f"{name} is no map (n, c, h, w): it has no style")
        return found

    def finished(self, z: Array) -> Picture:
        """As a picture of the photo's size, in the colours that were asked for."""
        x = zoomed(unframed(z), *self.photo.shape[:2])
        img = np.clip(self.net.deprocess(x), 0, 255)
        picture = with_chroma(img, self.photo) if self.settings.colours == "photo" else Picture(img)
        picture.alpha = self.photo.alpha
        return picture

    def errors(self, z: Array) -> list[float]:
        """The relative errors of the Gram matrices: the photo's, and those of z."""
        x = framed(self.net.preprocess(self.photo))
        judge = replace(self.settings, balance="relative", style_weight=1.0, content_weight=0.0)
        goal = self.goal(self.photo, x, judge)
        return [float(f"{-float(objective_value(self.net, at, goal)):.6g}") for at in (x, z)]


def placed(moment: Moment, stage: int, begun: int, counts: Sequence[int]) -> Moment:
    """A step of one stage as one of all; `begun` are steps of it that the moment does not count."""

    def state() -> State:
        here = moment.state()
        return here._replace(stage=stage, iteration=begun + here.iteration)

    iteration = sum(counts[:stage]) + begun + moment.iteration
    return moment._replace(iteration=iteration, iter_n=sum(counts), state=state)


def framed(x: Array) -> Array:
    """x (n, c, h, w) with a mirrored frame, MARGIN wide as far as there is so much to mirror."""
    widths = [(min(MARGIN, size - 1),) * 2 for size in x.shape[2:]]
    return extend(x, ((0, 0), (0, 0), *widths), "reflect")


def unframed(x: Array) -> Array:
    """What `framed` was given."""
    ends = [min(MARGIN, (size - 1) // 3) for size in x.shape[2:]]
    return x[:, :, ends[0] : x.shape[2] - ends[0], ends[1] : x.shape[3] - ends[1]]


def regrown(array: Array, picture: Picture) -> Array:
    """What there is for each pixel, at the size of a picture with its frame; numbers stay."""
    if array.ndim != 4:
        return array
    inner = unframed(array)
    h, w = picture.shape[:2]
    return array if inner.shape[2:] == (h, w) else framed(zoomed(inner, h, w))


def average_pools(net: Net) -> Net:
    """A copy of the net whose pools take means instead of maxima."""
    changed = net.to(net.place)
    for k, node in enumerate(changed.nodes):
        if isinstance(node.layer, MaxPool):
            window = {field.name: getattr(node.layer, field.name) for field in fields(Pool)}
            changed.nodes[k] = node._replace(layer=AveragePool(**window))
    return changed


def square(array: Array) -> float:
    """The sum of squares."""
    return max(float(np.sum(np.asarray(array, np.float64) ** 2)), 1e-12)


def norm_of(data: Array, balance: str) -> float:
    """What the features of a blob are divided by."""
    return max(float(np.abs(np.asarray(data)).mean()), 1e-12) if balance == "normalised" else 1.0


def as_picture(img: Array) -> Picture:
    """A picture with its transparency, if it has one."""
    return img if isinstance(img, Picture) else Picture(img)


def shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """The parts of the styles, with the sum 1."""
    if not count:
        raise ArgumentError("style_imgs are none: give at least one picture")
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(given) != count:
        raise ArgumentError(f"weights are {len(given)}, but the style pictures {count}")
    if not all(0 < weight < math.inf for weight in given):
        raise ArgumentError(f"weights are {given}: they must be above 0")
    return [weight / sum(given) for weight in given]


def checked_masks(masks: Sequence[Array | None] | None, count: int) -> list[Picture | None]:
    """A grey picture (h, w, 1), or None, for each style."""
    given = [None] * count if masks is None else list(masks)
    if len(given) != count:
        raise ArgumentError(f"masks are {len(given)}, but the style pictures {count}")
    return [None if m is None else Picture(in_channels(as_planes(np.asarray(m)), 1)) for m in given]


def chosen(preset: str, numbers: Mapping[str, Any]) -> Settings:
    """The preset's numbers, and those that were given (not None) in their place."""
    made: Settings = overridden(known_preset(PRESETS, preset), numbers, "a style")
    return made


def parsed(net: Net, texts: Sequence[str]) -> dict[str, float]:
    """{blob: weight} of blobs named as "NAME" or "NAME=WEIGHT"."""
    found: dict[str, float] = {}
    for text in texts:
        spec = parse_spec(net, text)
        if spec.place:
            raise ArgumentError(f"{text!r} names a part of a blob: a style takes whole ones")
        if spec.weight < 0:
            raise ArgumentError(f"{text!r} has a weight below 0")
        found[spec.blob] = found.get(spec.blob, 0.0) + spec.weight
    if not sum(found.values()) > 0:
        raise ArgumentError(f"of {', '.join(texts)} none has a weight above 0")
    return found
