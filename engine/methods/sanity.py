"""Sanity checks: does a map hang on what the network learnt, and on what the class hangs on?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array, fetched

from ..chart import chart
from ..classification import probabilities
from ..drawing import sheet
from ..error import ArgumentError, ModelError
from ..feature import MIXING
from ..image import Picture
from ..map import Map
from ..net import Net
from ..probe import Probe
from ..recipe import make_recipe
from ..seed import seeded
from ..target import Target

Method = Callable[..., Map | Picture]

BLUR = 10  # pixels: of the picture that insertion begins with, as RISE has it at 224 px


@dataclass(frozen=True)
class Sanity:
    """What `sanity` found.

    `layers` are those whose filters were shuffled up to each stage, the last one first, `maps` what
    the method then draws, `signed` and `absolute` the rank correlations with the first map. The
    curves are the target's share of the network's belief, from the whole picture to none of it
    and back; `random` are the same with pixels in random order.
    """

    title: str
    layers: list[str]
    maps: list[Map | Picture]
    signed: list[float]
    absolute: list[float]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    random_deletion: NDArray[np.float64]
    random_insertion: NDArray[np.float64]
    photo: Picture = field(repr=False)
    recipe: dict[str, Any] | None = None

    def picture(self) -> Picture:
        """All on one sheet: the photo, the map, the map stage by stage, and the curves."""
        h, w = self.photo.shape[:2]
        tiles: list[Any] = [self.photo]
        tiles += [entry.bare() if isinstance(entry, Map) else entry for entry in self.maps]
        titles = [self.title, "as trained"]
        titles += [
            f"{name}: {rank:+.2f}" for name, rank in zip(self.layers, self.absolute, strict=True)
        ]
        for name, better, curve, chance in (
            ("deletion", "smaller", self.deletion, self.random_deletion),
            ("insertion", "larger", self.insertion, self.random_insertion),
        ):
            pale = f"in random order, {area(chance):.3f}"
            curves = {f"in the map's order, {area(curve):.3f}": curve, pale: chance}
            tiles.append(chart(curves, max(w, 240), max(h, 160), "of the pixels", [pale]))
            titles.append(f"{name}: {better} is better")
        page = sheet(tiles, titles, columns=4 if w < 1.5 * h else 3)
        page.recipe = self.recipe
        return page

    def _repr_png_(self) -> bytes | None:
        return self.picture()._repr_png_()


def sanity(
    net: Net,
    img: Array,
    method: Method,
    target: Target | str | int | None = None,
    *,
    stages: int = 8,
    steps: int = 20,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Sanity:
    """Two checks of what `method(net, img, target)` draws: `saliency`, `grad_cam` and their like.

    Arguments of the method's own are bound to it: functools.partial(saliency, rule="guided").

    First the filters of the layers are shuffled one after the other, from the last one before
    the target down to the first, and the map is drawn again at `stages` places on the way. A map of
    what the network learnt has to change; Spearman's rank correlation of its values, and of their
    sizes, with those of the trained net says how much it does (Adebayo et al. 2018). Guided
    backprop and the deconvnet are expected to fail: they keep showing the picture's edges.

    Then pixels go in the order of the map, in `steps` steps: `deletion` turns the strongest into
    the network's zero first, `insertion` brings them back first, into a blurred picture (Petsiuk et
    al. 2018, RISE). Pixels of a map in the true order change the class soon. The curves tell the
    probability of a class, or the value of a unit as a share of what it is on the whole picture.
    `seed` is of the shuffles and of the random order.
    """
    for name, count in (("stages", stages), ("steps", steps)):
        if count < 1:
            raise ArgumentError(f"{name} is {count}: it starts at 1")
    random = seeded(seed)
    probe = Probe(net, img, target)
    first = method(net, img, probe.target)
    if first.shape[:2] != probe.shape:
        raise ArgumentError("method crops its map: it must cover the picture (crop=False)")
    names = filters_below(probe)
    if not names:
        raise ModelError(f"{net.model.name!r} has no filters before {probe.target.blob}")
    stops = sorted({round(k) for k in np.linspace(0, len(names) - 1, min(stages, len(names)))})
    altered = net.to(net.place)  # constants of its own
    maps: list[Map | Picture] = [first]
    for k, name in enumerate(names):
        shuffle(altered, name, random)
        if k in stops:
            maps.append(method(altered, img, probe.target))
            if on_step:
                on_step(len(maps) - 1, len(stops))
    before = evidence(first)
    found = [evidence(entry) for entry in maps[1:]]
    signed = [rank_correlation(before, after) for after in found]
    absolute = [rank_correlation(np.abs(before), np.abs(after)) for after in found]
    own, chance = strongest_first(before), random.permutation(before[..., 0].size)
    deleted, inserted = deletion(probe, own, steps), insertion(probe, own, steps)
    layers = [names[k] for k in stops]
    made = first.recipe or {}
    parameters = {
        "checked": made.get("method"), "arguments": made.get("parameters"), "layers": layers,
        "stages": stages, "steps": steps, "seed": seed, "signed": signed, "absolute": absolute,
        "deletion": area(deleted), "insertion": area(inserted),
    }  # fmt: skip
    return Sanity(
        title=probe.target.title,
        layers=layers,
        maps=maps,
        signed=signed,
        absolute=absolute,
        deletion=deleted,
        insertion=inserted,
        random_deletion=deletion(probe, chance, steps),
        random_insertion=insertion(probe, chance, steps),
        photo=Picture(img),
        recipe=make_recipe(net, "sanity", parameters, {"photo": img}),
    )


def filters_below(probe: Probe) -> list[str]:
    """The layers with filters that the target hangs on, the last one first."""
    net = probe.net
    nodes = net.between((net.input,), (probe.target.blob,))
    mixing = [node for node in reversed(nodes) if node.layer.kind in MIXING]
    return [node.name for node in mixing if any(b in net.constants for b in node.bottoms)]


def shuffle(net: Net, layer: str, random: np.random.Generator) -> None:
    """Put the filters of a layer in random order: their values stay, what they learnt does not.

    Biases, gains and statistics stay, so that what flows on keeps about its size.
    """
    node = next(node for node in net.nodes if node.name == layer)
    for name in node.bottoms:
        if name in net.constants and np.ndim(net.constants[name]) > 1:
            values = fetched(net.constants[name])
            mixed = random.permutation(values.reshape(-1)).reshape(values.shape)
            net.constants[name] = net.place(mixed)


def evidence(drawn: Map | Picture) -> NDArray[np.float64]:
    """The values behind what is drawn, (h, w, c): a picture's are round mid-grey."""
    if isinstance(drawn, Map):
        return np.asarray(drawn, np.float64)[..., None]
    return np.asarray(drawn, np.float64) - 127.5


def strongest_first(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The pixels (h * w) by the largest of their values (h, w, c): what speaks for the target.

    Where they are signed colours, by the largest size.
    """
    one = values[..., 0] if values.shape[2] == 1 else np.abs(values).max(2)
    return np.argsort(-one.reshape(-1), kind="stable")


def deletion(probe: Probe, order: NDArray[Any], steps: int) -> NDArray[np.float64]:
    """The belief as pixels are turned into the network's zero, in order."""
    x = probe.x
    return belief(probe, x, np.zeros_like(x), order, steps)


def insertion(probe: Probe, order: NDArray[Any], steps: int) -> NDArray[np.float64]:
    """The belief as pixels come into the blurred picture, in order."""
    x = probe.x
    blurred = scipy.ndimage.gaussian_filter(x, (0, 0, BLUR, BLUR), mode="nearest")
    return belief(probe, blurred, x, order, steps)


def belief(
    probe: Probe, start: Array, end: Array, order: NDArray[Any], steps: int
) -> NDArray[np.float64]:
    """The belief in the target (steps + 1,) as the pixels of `start` become those of `end`."""
    h, w = probe.shape
    turn = np.empty(h * w, int)
    turn[order] = np.arange(h * w)
    turn = probe.spread(turn.reshape(h, w))  # (1, 1, h, w) of x
    counts = np.rint(np.linspace(0, h * w, steps + 1)).reshape(-1, 1, 1, 1)
    parts = np.array_split(counts, math.ceil(len(counts) / probe.batch))
    data = np.concatenate([probe.data(np.where(turn < part, end, start)) for part in parts])
    if len(probe.target.place) == 1 and data.reshape(len(data), -1).shape[1] == data.shape[1]:
        scores = data.reshape(len(data), -1)
        return np.array([probabilities(row)[probe.target.place[0]] for row in scores])
    whole = float(probe.values(probe.x)[0])
    return probe.measured(data) / (whole or 1)


def area(curve: NDArray[np.float64]) -> float:
    """The area under a curve over 0..1, by trapezoids."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's: how far the order of the values agrees, -1..1; 0 where one has no order."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (a, b)]  # flat, equal values share their rank
    apart = [r - r.mean() for r in ranks]
    size = float(np.sqrt((apart[0] ** 2).sum() * (apart[1] ** 2).sum()))
    return float((apart[0] * apart[1]).sum()) / size if size else 0.0
