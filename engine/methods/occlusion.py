"""Occlusion: what a square that covers a part of the picture changes (Zeiler & Fergus 2013)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from oneiro.kernels.dispatch import Array

from ..classification import probabilities
from ..drawing import Colour, captioned, enlarged, key, overlay, readable, stacked
from ..error import ArgumentError, ModelError
from ..goal import candidates
from ..image import Picture
from ..map import Map
from ..net import Net
from ..plan import Plan
from ..probe import fitted
from ..recipe import make_recipe
from ..seed import seeded
from ..size import takes_batch
from ..target import class_number, class_output, class_title, score_blob

WINDOW = 50 / 224  # of the picture's shorter side
STRIDE = 10 / 224
FILLS = ("mean", "zero", "blur", "noise")
SOFTNESS = 0.25  # of the blur: its standard deviation by the window

IN_CACHE = 32 << 20  # bytes of blobs at a time: more is slower on a processor
ON_DEVICE = 1 << 30
MOST = 64  # pictures at a time

# Labels by how often they occur: of Okabe and Ito, whom the colour-blind can follow, and more grey.
COLOURS: tuple[Colour, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
    (0, 114, 178),
)  # fmt: skip
THIN, THICK = 0.25, 0.6  # how much of the picture the colours of labels hide
LEAST = 160  # px of the longer side of a map
GAP = 14  # pixels between the tiles of a sheet
SAME: Colour = (222, 222, 226)
OTHERS: Colour = (96, 96, 102)


class Squares(NamedTuple):
    """Where a square of `window` pixels lies on a picture of `height` x `width`.

    Its top left corners are at `tops` x `lefts`, `stride` pixels apart but for the last ones. A
    grid holds a number for each, (rows, columns).
    """

    height: int
    width: int
    window: int
    stride: int
    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.tops), len(self.lefts)

    def masks(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """1 where a square lies: (rows, height) and (columns, width)."""
        sides = ((self.tops, self.height), (self.lefts, self.width))
        along = ((start[:, None], np.arange(n)) for start, n in sides)
        rows, columns = ((start <= at) & (at < start + self.window) for start, at in along)
        return rows.astype(np.float32), columns.astype(np.float32)

    def averaged(self, grid: ArrayLike) -> NDArray[Any]:
        """For each pixel the average of the grid over the squares that cover it, (h, w)."""
        rows, columns = (mask / mask.sum(0) for mask in self.masks())
        return rows.T @ np.asarray(grid) @ columns

    def nearest(self, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which square's middle is nearest to each row and column of the picture at that size."""
        middle = self.window / 2
        sides = ((self.tops, self.height, height), (self.lefts, self.width, width))
        rows, columns = (
            np.abs(start + middle - (np.arange(n)[:, None] + 0.5) * own / n).argmin(1)
            for start, own, n in sides
        )
        return rows, columns


@dataclass(frozen=True)
class Occlusion:
    """What covering each part of a picture changes.

    Grids hold a number for each position of the square: `chances` is the probability of the class
    `number`, `labels` the most probable class, `sums` the sum of a channel of an inner blob.
    `chance`, `label` and `sum` are those of the picture itself, `titles` what labels are called.
    `change` and `activity` are Maps of the picture's size: by how much the squares that cover a
    pixel change the probability, and the sum, on average. Of a network that does not classify,
    what is about classes is None.
    """

    photo: Picture
    squares: Squares
    sum: float
    sums: NDArray[np.float64]
    activity: Map
    number: int | None = None
    chance: float | None = None
    chances: NDArray[np.float64] | None = None
    change: Map | None = None
    label: int | None = None
    labels: NDArray[np.int64] | None = None
    titles: Mapping[int, str] = field(default_factory=dict)

    @property
    def recipe(self) -> dict[str, Any] | None:
        return self.activity.recipe

    def pictures(self, over: ArrayLike | None = None) -> dict[str, Picture]:
        """The maps, with legends and captions: "class", "label" and "activity".

        They lie over the photo, or over a larger copy of it that is given as `over`.
        """
        photo = self.shown(over)
        drawn = {"activity": self.activity.picture(photo)}
        if self.change is not None:
            classes = {"class": self.change.picture(photo), "label": self.label_picture(photo)}
            drawn = classes | drawn
        return drawn

    def shown(self, over: ArrayLike | None) -> Picture:
        """The photo or a copy of it, a tiny one in squares for pixels."""
        photo = Picture(self.photo if over is None else over)
        return Picture(enlarged(photo, math.ceil(LEAST / max(photo.shape[:2]))))

    def label_picture(self, over: ArrayLike | None = None) -> Picture:
        """The labels in colours, with the names of the colours and a caption."""
        drawn, names = self.label_colours(over)
        page = stacked([drawn, key(names, max(drawn.shape[1], 160))])
        page.recipe = self.recipe
        return captioned(page, "the most probable class, by where the square lies")

    def label_colours(self, over: ArrayLike | None = None) -> tuple[Picture, dict[Colour, str]]:
        """The most probable class by where the square lies, in colours, and what these stand for.

        Every pixel shows the square whose middle is nearest.
        """
        if self.labels is None or self.label is None:
            raise ArgumentError("the network does not classify: there are no labels to draw")
        found, counts = np.unique(self.labels, return_counts=True)
        others = [int(k) for k in found[np.argsort(-counts, kind="stable")] if k != self.label]
        own = dict(zip(others, COLOURS, strict=False))
        names: dict[Colour, str] = {SAME: f"{self.titles[self.label]}, as without a square"}
        names |= {colour: self.titles[k] for k, colour in own.items()}
        if len(others) > len(own):
            names[OTHERS] = f"{len(others) - len(own)} others"
        table = {self.label: SAME} | dict.fromkeys(others, OTHERS) | own
        grid = np.array([[table[int(k)] for k in row] for row in self.labels])
        veil = np.where(self.labels == self.label, THIN, THICK)
        photo = self.shown(over)
        rows, columns = self.squares.nearest(*photo.shape[:2])
        place = (rows[:, None], columns)
        drawn = overlay(photo, grid[place], veil[place])
        drawn.recipe = self.recipe
        return drawn, names

    def sheet(self, over: ArrayLike | None = None) -> Picture:
        """The photo and its maps on one picture; `over` is as in `pictures`."""
        photo = self.shown(over)
        tiles = [captioned(photo, self.title), *self.pictures(photo).values()]
        wide = photo.shape[1] > photo.shape[0] and len(tiles) == 4
        rows = [tiles[:2], tiles[2:]] if wide else [tiles]
        page = stacked([stacked(row, beside=True, gap=GAP) for row in rows], gap=GAP)
        page.recipe = self.recipe
        return page

    @property
    def title(self) -> str:
        """What the network takes the photo for, and the size of the square."""
        square = f"a square of {self.squares.window} px, every {self.squares.stride} px"
        if self.label is None:
            return square
        return f"taken for {self.titles[self.label]}; {square}"

    def _repr_png_(self) -> bytes | None:
        return self.sheet()._repr_png_()


def occlude(
    net: Net,
    img: Array,
    target: str | int | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: str | float | Sequence[float] = "mean",
    blob: str | None = None,
    channel: int | None = None,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Occlusion:
    """Cover the picture with a square, here and there, and see what the network makes of it.

    A square of `window` pixels moves over `img` (h, w, c), 0..255, by `stride` pixels, and lies at
    the last rows and columns too, so that every pixel is covered; by default they are what 50 and
    10 are to a shorter side of 224. What lies under the square is hidden, all else is seen.

    For each position: the probability of the class `target` (a number or a name, by default the
    most probable one), the most probable class, and the sum of one `channel` of a `blob`, by
    default, of the last maps before the classifier, the channel with the highest peak for the
    picture itself. Outputs that are no probabilities become such by a softmax.

    `fill` is what the square shows: "mean", the colour that is 0 in the network's own units;
    "zero", black, 0 of 0..255; "blur", the picture smoothed by a Gaussian of a quarter of the
    window; "noise", even over 0..255, by `seed`; or a value of 0..255, or one for each channel.

    `on_step` is told how many positions are done, and of how many. Of a network that does not
    classify there are the sums alone. One that takes a single size sees the picture resampled to
    that. Raises ArgumentError and ModelError.
    """
    output = class_output(net) if target is not None or classifies(net) else None
    number = None if target is None else class_number(net, target)
    blob = candidates(net)[-1] if blob is None else net.resolve(blob)
    photo = Picture(fitted(net, Picture(img), [blob] if output is None else [blob, output]))
    h, w, _ = photo.shape
    squares = placed(h, w, window, stride)
    cover = filling(net, photo, fill, squares.window, seed)
    x = net.preprocess(photo)
    channel = strongest(net, x, blob, channel)
    chances, sums = measured(net, x, cover, squares, blob, output, on_step)
    if output is not None and number is None:
        number = int(chances[0].argmax())
    parameters = {
        "target": number,
        "window": squares.window,
        "stride": squares.stride,
        "fill": fill if isinstance(fill, str) else np.asarray(fill, float).tolist(),
        "blob": blob,
        "channel": channel,
        "seed": seed,
    }
    recipe = make_recipe(net, "occlude", parameters, {"photo": photo})

    def seen(values: NDArray[np.float64], text: str) -> tuple[float, NDArray[np.float64], Map]:
        """What the picture itself gives, the grid, and the Map of the changes."""
        grid = values[1:].reshape(squares.shape)
        changes = squares.averaged(grid - values[0])
        caption = f"{text} {readable(values[0], 4)}: what covering changes"
        return float(values[0]), grid, Map(changes, caption, signed=True, recipe=recipe)

    inner = seen(sums[:, channel], f"{blob}:{channel}, sum")
    if number is None:
        return Occlusion(photo, squares, *inner)
    chance = seen(chances[:, number], f"{class_title(net, number)}, probability")
    label, *labels = chances.argmax(1)
    titles = {int(k): class_title(net, int(k)) for k in {label, *labels}}
    grid = np.reshape(labels, squares.shape)
    return Occlusion(photo, squares, *inner, number, *chance, int(label), grid, titles)


def placed(height: int, width: int, window: int | None, stride: int | None) -> Squares:
    """The positions from the top left corner on, and flush with the right and the lower border."""
    side = min(height, width)
    window = max(1, round(WINDOW * side)) if window is None else whole("window", window)
    if not 1 <= window <= side:
        raise ArgumentError(f"window is {window}: it must be 1..{side}, to fit into the picture")
    usual = min(max(1, round(STRIDE * side)), window)
    stride = usual if stride is None else whole("stride", stride)
    if not 1 <= stride <= window:
        raise ArgumentError(f"stride is {stride}: it must be 1..{window}, to cover every pixel")
    tops, lefts = (np.append(np.arange(0, n - window, stride), n - window) for n in (height, width))
    return Squares(height, width, window, stride, tops, lefts)


def whole(name: str, value: Any) -> int:
    """The argument as a whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name} is {value!r}: it must be a whole number of pixels") from None


def filling(net: Net, photo: Picture, fill: Any, window: int, seed: int) -> Array:
    """What squares show, as a picture for the network, (1, c, h, w)."""
    if isinstance(fill, str) and fill not in FILLS:
        raise ArgumentError(f"fill is {fill!r}: it must be {', '.join(FILLS)} or a value of 0..255")
    values = np.asarray(photo)
    if fill == "mean":
        return np.zeros_like(net.preprocess(photo))
    if fill == "blur":
        sigma = SOFTNESS * window
        return net.preprocess(scipy.ndimage.gaussian_filter(values, (sigma, sigma, 0)))
    if fill == "noise":
        return net.preprocess(seeded(seed).uniform(0, 255, values.shape).astype(np.float32))
    try:
        colour = np.asarray(0 if fill == "zero" else fill, np.float32)
        plain = np.broadcast_to(colour, values.shape)
    except (TypeError, ValueError):
        plain = np.full(1, np.nan)
    if not (plain >= 0).all() or not (plain <= 255).all():
        channels = values.shape[2]
        raise ArgumentError(f"fill is {fill!r}: it must be one value of 0..255, or {channels}")
    return net.preprocess(plain)


def measured(
    net: Net,
    x: Array,
    cover: Array,
    squares: Squares,
    blob: str,
    output: str | None,
    on_step: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities (1 + positions, classes), and sums of the blob's channels, (1 + ..., channels).

    The first is the picture itself. Without an output there are no classes.
    """
    ends = [blob] if output is None else [blob, output]
    size = batch_size(net, x.shape, ends)

    def program(net: Net, x: Array, cover: Array, rows: Array, columns: Array) -> dict[str, Any]:
        tops = net.forward({net.input: np.where(rows * columns > 0, cover, x)}, end=ends)
        inner = tops[net.resolve(blob)]
        sums = inner.sum(tuple(range(2, inner.ndim))) if inner.ndim > 2 else inner
        return {"sums": sums} if output is None else {"sums": sums, "scores": tops[output]}

    n, c, h, w = x.shape
    plan = Plan(
        net, program,
        x=(net.dtype, (n, c, h, w)), cover=(net.dtype, (n, c, h, w)),
        rows=(net.dtype, (size, 1, h, 1)), columns=(net.dtype, (size, 1, 1, w)),
    )  # fmt: skip
    x, cover = net.place(x), net.place(cover)
    rows, columns = squares.masks()
    # the picture without a square, and then with each: (1 + positions, h) and (1 + positions, w)
    rows = np.concatenate([np.zeros_like(rows[:1]), np.repeat(rows, len(columns), 0)])
    columns = np.concatenate([np.zeros_like(columns[:1]), np.tile(columns, (squares.shape[0], 1))])
    count = len(rows)
    chances, sums = [], []
    for start in range(0, count, size):
        batch = np.minimum(np.arange(start, start + size), count - 1)  # the last one is filled up
        result = plan(
            x=x, cover=cover,
            rows=rows[batch, None, :, None], columns=columns[batch, None, None, :],
        )  # fmt: skip
        sums.append(finite(net, blob, result["sums"]))
        if output is not None:
            chances.append(class_chances(net, output, finite(net, output, result["scores"])))
        if on_step:
            on_step(min(start + size, count) - 1, count - 1)
    found = np.concatenate(chances)[:count] if chances else np.empty((count, 0))
    return found, np.concatenate(sums)[:count]


def batch_size(net: Net, shape: tuple[int, ...], ends: Sequence[str]) -> int:
    """How many pictures to run at a time: as memory allows, one where the network takes no more."""
    _, *sizes = shape
    blobs = net.shapes({net.input: (1, *sizes)}, end=ends)
    largest = max(math.prod(shape) for shape in blobs.values()) * net.dtype.itemsize
    # a layer reads one, makes one, and lays out what it multiplies
    fitting = (ON_DEVICE if net.device else IN_CACHE) // (4 * largest)
    count = min(max(fitting, 1), MOST)
    return count if takes_batch(net, ends, (count, *sizes)) else 1


def classifies(net: Net) -> bool:
    """Has the network an output that is a vector of classes?"""
    try:
        class_output(net)
    except ModelError:
        return False
    return True


def class_chances(net: Net, output: str, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the network's output (n, classes, ...) says as probabilities, (n, classes).

    Those of a Sigmoid stand each for itself. Maps, of pictures larger than the network was trained
    at, are averaged.
    """
    scores = scores.reshape(*scores.shape[:2], -1).mean(2)
    below = score_blob(net)
    alone = any(node.layer.kind == "Sigmoid" and below in node.bottoms for node in net.nodes)
    if alone and below != output:
        return scores
    return np.stack([probabilities(row) for row in scores])


def finite(net: Net, blob: str, values: Array) -> NDArray[np.float64]:
    """Values on the host; ModelError where they are none."""
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ModelError(f"{net.model.name}: {blob!r} is not finite when the picture is covered")
    return array


def strongest(net: Net, x: Array, blob: str, channel: int | None) -> int:
    """The channel that was asked for, or the one with the highest peak for the picture x."""
    data = finite(net, blob, net.forward({net.input: x}, end=blob)[blob])
    peaks = data.reshape(*data.shape[:2], -1).max(2)[0]
    if channel is None:
        return int(peaks.argmax())
    if not 0 <= channel < len(peaks):
        raise ArgumentError(f"channel is {channel}: {blob} has 0..{len(peaks) - 1}")
    return channel
