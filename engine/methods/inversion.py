"""Feature inversion: what a layer keeps of a picture (Mahendran and Vedaldi 2015, 2016)."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.blur import gaussian_blur
from oneiro.kernels.dispatch import Array

from ..canvas import Pixels, Waves, waves
from ..climb import OnStep, Project, Stage, State, Transform, climb
from ..drawing import sheet
from ..error import ArgumentError, ModelError
from ..field import fields as fields_of
from ..goal import candidates, parse_spec
from ..image import Picture
from ..net import Net
from ..objective import Objective, alpha_norm, feature, total_variation, weighted
from ..preset import become, check_known, check_least, known_preset, overridden
from ..probe import fitted
from ..recipe import amended, make_recipe
from ..robustness import Crop, Jitter
from ..setting import usual_ends
from ..size import accepted_size
from ..target import score_blob
from ..transform import edge_cropped, edge_padded
from ..update import Adam, Adaptive, Momentum, Plain, Update

log = logging.getLogger(__name__)

UPDATES: dict[str, Callable[[float], Update]] = {
    "adam": Adam,
    "adaptive": Adaptive,
    "momentum": Momentum,
    "plain": Plain,
}
IMAGES = ("pixels", "waves")
STARTS = ("uniform", "normal")
LEAST = {
    "iter_n": 1, "blur_every": 1, "seed": 0, "variation": 0, "decay": 0, "spread": 0, "blur": 0,
    "alpha": 1,
}  # fmt: skip
COLUMNS = (5, 6, 4)  # of a sheet, the best first
HALVES = ("first", "second")
GREY = 127.5  # where a net's mean is no colour in the middle, as 0 for nets that are fed 0..1
MIXERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
B = 80.0  # what the length of a pixel is like (IJCV 2016), of three channels round the mean
VARIANCE = 27098.1157**2 / 227**2  # the same (CVPR 2015): |x|^2 of an average picture, by pixels


@dataclass(frozen=True)
class Settings:
    """The numbers of an inversion; refuses by name those that make no sense.

    What is minimised, for a picture x of p pixels, in grey values round the net's mean, is

        strength * |M(Phi(x) - Phi0)|^2 / |M Phi0|^2 + (variation * TV + decay * norm) / p

    with the mask M, TV of the power `beta`, and the norm of the power `alpha`, `joint` over a
    pixel's channels or not. The rate of a step is rate * p, in `phases` of (factor of the rate,
    share of iter_n), which forget each other's momentum; "adam", whose steps do not grow with the
    gradient, takes the rate alone and goes on. With `jitter` the net sees the picture a little
    moved in all but the last of several. After each step a pixel is held to the length `bound`, and
    every `blur_every` steps the picture is blurred by `blur` pixels. It starts from noise: uniform,
    95 % of it within `spread`, or normal with that deviation.

    What is climbed, and where noise starts, are pixels; or with `image` "waves" amplitudes of
    Fourier's, in the colours of photos and through a sigmoid. Those are not bounded nor blurred.
    """

    strength: float
    update: str
    rate: float
    iter_n: int
    variation: float
    decay: float
    start: str
    spread: float
    image: str = "pixels"
    phases: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    beta: float = 2.0
    alpha: float = 6.0
    joint: bool = True
    jitter: bool = False
    bound: float | None = None
    blur: float = 0.0
    blur_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iter_n", "blur_every", "seed"):
            become(self, name, operator.index)
        for name in ("strength", "rate", "variation", "decay", "spread", "beta", "alpha", "blur"):
            become(self, name, float)
        if self.bound is not None:
            become(self, "bound", float)
        become(self, "phases", lambda given: tuple((float(f), float(s)) for f, s in given))
        check_least(self, LEAST)
        for name in ("strength", "rate", "beta", "bound"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ArgumentError(f"{name} is {value}: it must be above 0")
        check_known(self, {"update": UPDATES, "image": IMAGES, "start": STARTS})
        for name in ("joint", "jitter"):
            if not isinstance(getattr(self, name), bool):
                raise ArgumentError(f"{name} is {getattr(self, name)!r}: it must be true or false")
        if not self.phases or not all(f > 0 and s > 0 for f, s in self.phases):
            raise ArgumentError(f"phases are {self.phases}: pairs of numbers above 0")
        for name in ("bound", "blur"):
            if self.image == "waves" and getattr(self, name):
                raise ArgumentError(f"{name} is {getattr(self, name)}: waves have no pixels for it")

    def counts(self) -> list[int]:
        """How many iterations each phase has."""
        ends = np.cumsum([share for _, share in self.phases])
        stops = np.rint(self.iter_n * ends / ends[-1]).astype(int).tolist()
        return [stop - begin for begin, stop in zip([0, *stops], stops, strict=False)]


def usual_strength(depth: float) -> float:
    """IJCV 2016 takes strengths from 1 to 300; which one at which depth (0..1) is ours."""
    return 300 ** (1 - depth)


def ijcv2016(depth: float) -> Settings:
    """nnpreimage's, whose weights follow from how long a pixel is."""
    return Settings(
        strength=usual_strength(depth),
        update="adaptive",
        rate=0.05 * B**2 / 6,
        iter_n=350,
        phases=((1.0, 300), (0.1, 50)),
        variation=(6.5 / B) ** 2,
        decay=B**-6,
        bound=2 * B,
        jitter=True,
        start="uniform",
        spread=B / math.sqrt(3),
    )


def cvpr2015(depth: float) -> Settings:
    """deep-goggle's, as its experiments take it: total variation by depth, in three steps.

    Its terms and its rate are divided, and multiplied, by the average picture's size.
    """
    weight = 1.0 if depth < 0.3 else 10.0 if depth < 0.6 else 100.0
    return Settings(
        strength=1.0,
        update="momentum",
        rate=0.004 * VARIANCE,
        iter_n=400,
        phases=((1.0, 100), (0.1, 200), (0.01, 100)),
        variation=weight / 2 / VARIANCE,
        decay=8e-10 / 2 / VARIANCE,
        joint=False,
        start="normal",
        spread=math.sqrt(VARIANCE / 3),
    )


def cs231n(depth: float) -> Settings:
    """The exercise of Stanford's course (winter 2016): plain descent, and a blur now and then.

    Its own rate suits its small network alone: this one is in the units of the other presets.
    """
    return Settings(
        strength=1.0,
        update="plain",
        rate=0.002 * VARIANCE,
        iter_n=400,
        variation=0.0,
        decay=1e-7,
        alpha=2.0,
        blur=0.5,
        blur_every=10,
        start="normal",
        spread=1.0,
    )


def lucid(depth: float) -> Settings:
    """Lucid's picture of waves (Olah, Mordvintsev and Schubert 2017): nothing but it is a prior.

    Its rate and start; the phases and the moves of nnpreimage.
    """
    return Settings(
        strength=usual_strength(depth),
        update="adam",
        rate=0.05,
        iter_n=350,
        phases=((1.0, 300), (0.1, 50)),
        variation=0.0,
        decay=0.0,
        jitter=True,
        start="normal",
        spread=0.01,
        image="waves",
    )


PRESETS: dict[str, Callable[[float], Settings]] = {
    preset.__name__: preset for preset in (ijcv2016, cvpr2015, cs231n, lucid)
}


def invert(
    net: Net,
    img: Array,
    *,
    end: str | None = None,
    preset: str = "ijcv2016",
    channels: str | Sequence[int] | None = None,
    neighbourhood: int | None = None,
    restarts: int = 1,
    on_step: OnStep | None = None,
    state: State | None = None,
    **numbers: Any,
) -> Picture:
    """A picture that looks like `img` (h, w, c), 0..255, to the blob `end`: what the blob keeps.

    `channels` are those that are looked at: "first" or "second" half, or their numbers;
    `neighbourhood` looks at the k x k places in the middle. `restarts` begins so often, from other
    noise, all in one batch, and returns the pictures side by side. `preset` is "ijcv2016",
    "cvpr2015", "cs231n", or "lucid", whose pictures are most like photos; `numbers` are those of
    Settings, the preset's where left out, such as strength, iter_n, seed.

    The recipe's "found" holds the normalised errors |M(Phi(x) - Phi0)|^2 / |M Phi0|^2 of the
    pictures. A net that takes pictures of one size alone gets, and gives, that size. `state` is
    one of a stopped inversion to go on from. Raises ArgumentError and ModelError.
    """
    job = Inversion(
        net,
        img,
        end=end,
        preset=preset,
        channels=channels,
        neighbourhood=neighbourhood,
        restarts=restarts,
        **numbers,
    )
    return job.run(on_step, state)


class Inversion:
    """An inversion that is about to be: its numbers chosen, its target looked at, its recipe."""

    def __init__(
        self,
        net: Net,
        img: Array,
        *,
        end: str | None = None,
        preset: str = "ijcv2016",
        channels: str | Sequence[int] | None = None,
        neighbourhood: int | None = None,
        restarts: int = 1,
        **numbers: Any,
    ) -> None:
        self.net = net
        self.end = whole_blob(net, end)
        self.settings = chosen(preset, depth(net, self.end), numbers)
        if operator.index(restarts) < 1:
            raise ArgumentError(f"restarts is {restarts}: it starts at 1")
        fed = fitted(net, img, [self.end])
        self.inner: tuple[int, int] = fed.shape[:2]  # of the pictures, without what padding adds
        if self.inner != img.shape[:2]:
            text = "%s takes pictures of %dx%d px alone: the photo is resampled to that"
            log.warning(text, net.model.name, *self.inner[::-1])
        x = net.preprocess(fed)
        x = edge_padded(x, *accepted_size(net, [self.end], *self.inner))
        self.shape = (restarts, *x.shape[1:])
        features = np.asarray(net.forward({net.input: x}, end=self.end)[self.end])
        self.mask = mask(features, channels, neighbourhood)
        self.features = features
        self.size = float(np.sum(self.mask * features.astype(np.float64) ** 2))
        if not self.size > 0 or not math.isfinite(self.size):
            text = "is zero there: nothing to invert" if self.size == 0 else "is not finite"
            raise ModelError(f"{net.model.name}: what {self.end} makes of the picture {text}")
        self.check_batch()
        self.reach = jitter(net, self.end, self.shape) - 1 if self.settings.jitter else 0
        self.canvas = grey_waves(net, *self.shape[2:]) if self.settings.image == "waves" else None
        parameters = asdict(self.settings) | {
            "end": self.end,
            "preset": preset,
            "channels": channels if channels is None or isinstance(channels, str) else [*channels],
            "neighbourhood": neighbourhood,
            "restarts": restarts,
        }
        self.recipe = make_recipe(net, "invert", parameters, {"photo": img})

    def check_batch(self) -> None:
        """Raise ArgumentError where the net takes one picture at a time and more are asked for."""
        count = self.shape[0]
        text = f"restarts is {count}, but {self.net.model.name} takes one picture at a time"
        try:
            made = self.net.shapes({self.net.input: self.shape}, end=self.end)[self.end]
        except ModelError as error:
            raise ArgumentError(f"{text} ({error})") from error
        if made != (count, *self.features.shape[1:]):
            raise ArgumentError(f"{text}: {self.end} would be {made}")

    def run(self, on_step: OnStep | None = None, state: State | None = None) -> Picture:
        """The picture, or the pictures side by side, with errors in the recipe."""
        random = np.random.default_rng(self.settings.seed)
        z = climb(
            self.net,
            {self.end: self.objective()},
            self.net.place(self.noise(random)),
            self.stages(),
            finish=lambda z: laid_out(self.pictures(z)),
            canvas=self.canvas,
            prior=self.prior(),
            random=random,
            on_step=on_step,
            state=state,
        )
        pictures = self.pictures(z)
        errors = self.errors(z)
        names = [titled(self.end, error) for error in errors]
        picture = laid_out(pictures, names)
        found = {"errors": [float(f"{error:.6g}") for error in errors]}
        picture.recipe = self.recipe | {"found": found}
        return picture

    def objective(self) -> Objective:
        """How near the code is to the one that is to be inverted."""
        part = None if self.mask.all() else self.mask
        return (-self.settings.strength / self.size) * feature(self.features, part)

    def prior(self) -> Objective | None:
        """What pictures look like, as an objective of their grey values; None for nothing."""
        numbers, pixels = self.settings, self.pixels
        parts = [
            (-numbers.variation / pixels, total_variation(numbers.beta)),
            (-numbers.decay / pixels, alpha_norm(numbers.alpha, numbers.joint)),
        ]
        parts = [(weight, part) for weight, part in parts if weight]
        return weighted(parts) if parts else None

    @property
    def pixels(self) -> int:
        return self.shape[2] * self.shape[3]

    def stages(self) -> list[Stage]:
        """The phases; in the last of them the net sees the picture as it will be."""
        numbers = self.settings
        size = 1 if numbers.update == "adam" else self.pixels
        phases = list(zip(numbers.counts(), numbers.phases, strict=True))
        stages = []
        for k, (count, (factor, _)) in enumerate(phases):
            still = k > 0 and k == len(phases) - 1
            seen: tuple[Transform, ...] = (units(self.net),)
            if self.reach and not still:
                seen = (self.moved(), *seen)
            update = UPDATES[numbers.update](numbers.rate * factor * size)
            begin = self.middle if still else None
            stages.append(Stage(count, update, seen, self.project(), begin))
        return stages

    @property
    def margin(self) -> int:
        """How much larger z is than the picture, so that the jitter has room. Waves are a ring."""
        return 0 if self.canvas else self.reach

    def moved(self) -> Transform:
        """The jitter."""
        _, _, h, w = self.shape
        if self.canvas:
            return Jitter(self.reach)
        return Crop(h, w, h + self.margin, w + self.margin)

    def middle(self, z: Array) -> Array:
        """z without its margin."""
        _, _, h, w = self.shape
        top, left = (z.shape[2] - h) // 2, (z.shape[3] - w) // 2
        return z[:, :, top : top + h, left : left + w]

    def project(self) -> Project:
        """What is done to z after each step."""
        numbers = self.settings

        def project(z: Array, g: Array, iteration: int) -> Array:
            if numbers.bound is not None:
                length = np.sqrt((z * z).sum(1, keepdims=True))
                z = z * (numbers.bound / np.maximum(length, numbers.bound))
            if numbers.blur and (iteration + 1) % numbers.blur_every == 0:
                z = gaussian_blur(z, numbers.blur)
            return z

        return project

    def noise(self, random: np.random.Generator) -> NDArray[Any]:
        """Where z starts."""
        n, c, h, w = self.shape
        shape = (n, c, h + self.margin, w + self.margin)
        spread = self.settings.spread
        if self.settings.start == "normal":
            return (spread * random.standard_normal(shape)).astype(self.net.dtype)
        z = random.uniform(-1, 1, shape)
        most = np.quantile(z, 0.95, axis=(1, 2, 3), keepdims=True)
        return (spread * z / most).astype(self.net.dtype)

    def seen(self, z: Array) -> NDArray[Any]:
        """z (n, c, h, w) as pictures for the net, between black and white."""
        grey = np.asarray(self.middle(z))
        if self.canvas:
            grey, _ = self.canvas.apply(grey)
        x, _ = units(self.net).apply(grey)
        bounds = self.net.known_preprocessing().bounds(self.net.channels, self.net.dtype)
        clipped: NDArray[Any] = np.clip(x, *bounds)
        return clipped

    def pictures(self, z: Array) -> list[Picture]:
        """The pictures that z holds."""
        inner = edge_cropped(self.seen(z), *self.inner)
        return [Picture(self.net.deprocess(x[None])) for x in inner]

    def errors(self, z: Array) -> list[float]:
        """The normalised error of each."""
        errors = []
        for x in self.seen(z):
            data = self.net.forward({self.net.input: x[None]}, end=self.end)[self.end]
            apart = np.asarray(data, np.float64) - self.features
            errors.append(float(np.sum(self.mask * apart**2)) / self.size)
        return errors


def units(net: Net) -> Pixels:
    """The canvas of grey values: round the mean that the net is fed with, or round grey.

    A grey of one channel is as long as a grey of three, so that numbers mean the same.
    """
    way = net.known_preprocessing()
    mean, scale = (way.spread(name, net.channels, np.float64) for name in ("mean", "scale"))
    middle = mean if np.all(np.abs(mean - GREY) < GREY / 2) else np.full_like(mean, GREY)
    length = math.sqrt(net.channels / 3)
    shift = (middle - mean) * scale
    return Pixels(shift.astype(net.dtype), (scale * length).astype(net.dtype))


def grey_waves(net: Net, h: int, w: int) -> Waves:
    """The canvas of waves, whose picture is in the grey values that `units` takes."""
    canvas, unit = waves(net, h, w), units(net)
    low, high = ((end - unit.zero) / unit.unit for end in (canvas.low, canvas.high))
    return replace(canvas, low=low, high=high)


def whole_blob(net: Net, end: str | None) -> str:
    """The blob that is meant; the network's favourite, or that of the rule, for None."""
    spec = parse_spec(net, usual_ends(net)[0] if end is None else end)
    if end is not None and (spec.place or spec.weight != 1):
        raise ArgumentError(f"end is {end!r}: it names a blob; give the part of it as channels")
    return spec.blob


def chosen(preset: str, depth: float, numbers: Mapping[str, Any]) -> Settings:
    """The preset's numbers, and those that were given (not None) in their place."""
    numbers_of = known_preset(PRESETS, preset)
    made: Settings = overridden(numbers_of(depth), numbers, "an inversion")
    return made


def depth(net: Net, blob: str) -> float:
    """How deep a blob lies: 0 at the picture, 1 at the classes.

    Convolutions and matrices count, on the longest way. A network without classes is taken for the
    lower half of one that has them.
    """
    levels: dict[str, int] = {}
    for node in net.nodes:
        below = max((levels.get(bottom, 0) for bottom in node.bottoms if bottom), default=0)
        levels.update(dict.fromkeys(node.tops, below + (node.layer.kind in MIXERS)))
    share = levels.get(blob, 0) / max(*levels.values(), 1)
    return share if scores(net) else share / 2


def jitter(net: Net, blob: str, shape: tuple[int, ...]) -> int:
    """How many places the picture has in jitter: a quarter of the blob's stride, at least one."""
    shadow = net.on_symbols({net.input: shape})
    shadow.forward(end=blob)
    strides = [max(field.stride) for field in fields_of(shadow).values()]
    return max(math.floor(max(strides, default=1) / 4 + 0.5), 1)


def mask(
    features: Array, channels: str | Sequence[int] | None, neighbourhood: int | None
) -> NDArray[Any]:
    """What counts of the features (1, c, ...): 1, and 0 elsewhere."""
    count = features.shape[1]
    counted = np.zeros_like(features)
    if channels is None:
        part: Any = slice(None)
    elif isinstance(channels, str):
        if channels not in HALVES:
            raise ArgumentError(f"channels is {channels!r}: first, second, or a list of numbers")
        half = -(-count // 2)
        part = slice(0, half) if channels == "first" else slice(count - half, count)
    else:
        part = [operator.index(k) for k in channels]
        if not part or not all(0 <= k < count for k in part):
            raise ArgumentError(f"channels are {part}: they must be among 0..{count - 1}")
    counted[:, part] = 1
    if neighbourhood is None:
        return counted
    if neighbourhood < 1:
        raise ArgumentError(f"neighbourhood is {neighbourhood}: it starts at 1")
    if features.ndim < 4:
        raise ArgumentError("neighbourhood: the blob is no map, it has no places")
    inside = np.zeros_like(features)
    spans = []
    for size in features.shape[2:]:
        kept = min(neighbourhood, size)
        spans.append(slice((size - kept) // 2, (size - kept) // 2 + kept))
    inside[(slice(None), slice(None), *spans)] = 1
    return counted * inside


def laid_out(pictures: Sequence[Picture], names: Sequence[str] | None = None) -> Picture:
    """One picture as it is, several as a sheet."""
    if len(pictures) == 1:
        return pictures[0]
    return sheet(pictures, names or [""] * len(pictures))


def titled(end: str, error: float) -> str:
    """What a caption says of an inversion."""
    return f"{end}: error {100 * error:.2g} %"


def inversion_ends(net: Net) -> list[str]:
    """The blobs on a sheet: those that are worth dreaming, then the classes."""
    return list(dict.fromkeys([*candidates(net), *scores(net)]))


def scores(net: Net) -> list[str]:
    """The blob of the classes, if there is one."""
    try:
        return [score_blob(net)]
    except ModelError:
        return []


def invert_sheet(
    net: Net,
    img: Array,
    *,
    ends: Sequence[str] | None = None,
    on_layer: Callable[[int, int, str], None] | None = None,
    on_step: OnStep | None = None,
    **numbers: Any,
) -> Picture:
    """What each layer keeps: the picture, and its inversion from each blob, on one sheet.

    `ends` are by default where branches join or rectifiers stand, and the classes; `numbers` are
    the arguments of invert. Captions tell the normalised errors.
    """
    return Sheet(net, img, ends, **numbers).run(on_layer, on_step)


class Sheet:
    """A sheet that is about to be; `tiles` are the inversions that are finished."""

    def __init__(
        self, net: Net, img: Array, ends: Sequence[str] | None = None, **numbers: Any
    ) -> None:
        names = inversion_ends(net) if ends is None else list(ends)
        self.img = img
        self.jobs = [Inversion(net, img, end=name, **numbers) for name in names]
        self.tiles: list[Picture] = []
        if not self.jobs:
            raise ArgumentError("ends are none: name the blobs of the sheet")
        if any(job.shape[0] > 1 for job in self.jobs):
            raise ArgumentError("restarts: a sheet shows each blob once")

    def run(
        self,
        on_layer: Callable[[int, int, str], None] | None = None,
        on_step: OnStep | None = None,
    ) -> Picture:
        """The whole sheet."""
        for k, job in enumerate(self.jobs):
            if on_layer:
                on_layer(k, len(self.jobs), job.end)
            self.tiles.append(job.run(on_step))
        return self.page()

    def page(self) -> Picture:
        """The sheet of what is finished; its recipe is that of no other layers."""
        jobs = self.jobs[: len(self.tiles)]
        errors = [error for tile in self.tiles for error in (tile.recipe or {})["found"]["errors"]]
        names = [titled(job.end, error) for job, error in zip(jobs, errors, strict=True)]
        tiles = [Picture(self.img), *self.tiles]
        columns = min(COLUMNS, key=lambda columns: -len(tiles) % columns)  # fills the last row best
        result = sheet(tiles, ["the picture", *names], columns)
        made = amended(
            self.jobs[0].recipe,
            "invert_sheet",
            end=[job.end for job in jobs],
            strength=[job.settings.strength for job in jobs],
        )
        result.recipe = made | {"found": {"errors": errors}}
        return result
