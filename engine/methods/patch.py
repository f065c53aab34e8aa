"""Patches: the pieces of many pictures that excite each unit most (Zeiler & Fergus 2013)."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oneiro.kernels.dispatch import Array

from ..ascent import image_gradient
from ..collection import Collection
from ..colour import mid_grey
from ..crop import Box, Window, box, clipped, cut, window
from ..drawing import DARK, enlarged, stacked, written
from ..error import ArgumentError, ModelError
from ..field import Field, fields
from ..file import atomic_write
from ..image import FilePath, Picture, resampled, rgb_bytes
from ..layer import RULES
from ..net import Net, RuleWarning
from ..peak import Peaks, peak_job
from ..plan import Plan
from ..probe import TITLES
from ..recipe import Recipe, amended
from ..scan import Scan, read_manifest, save_arrays
from ..top import NONE, Top, merged, nothing
from ..trace import Program

log = logging.getLogger(__name__)

AGREEMENT = 1e-3  # of a recorded score and the picture's, relative to the largest
ROWS = 16  # units on a page
TILE, LARGE = 76, 176  # px of the side of a patch on a page, and of one unit's
PIXELATED = 12  # px up to which a patch is enlarged without smoothing
GAP = 4  # px
LABEL, NAME = 48, 112  # px of the width of a unit's number, and of a number with a name
EMPTY = (34, 34, 38)
FRAME = (255, 214, 10)


def patches(
    net: Net,
    source: FilePath | Collection,
    blobs: Sequence[str] | None = None,
    k: int = 9,
    *,
    size: int | tuple[int, int] | None = None,
    folder: str | os.PathLike[str] | None = None,
    processes: int = 1,
    dask: str | None = None,
    on_shard: Callable[[int, int], None] | None = None,
) -> Patches:
    """The k pictures of a collection that excite each unit of `blobs` most, and where in them.

    `source` is a folder, a zip or a tar. All pictures are fitted to one `size`, by default the one
    that the net was trained at: resampled until they cover it, and the middle is taken. A picture
    counts once for a unit, by its largest value. Equal ones stand in the order of id, row and
    column, so that the result does not depend on who did what when. Those that cannot be read are
    skipped, with a warning.

    Without `blobs` every layer is looked at, in one pass: each blob (n, c, h, w) or (n, c) but
    those whose units show better behind their activation, normalisation or Concat, and copies.

    With a `folder` each finished shard of pictures is kept there, and the same call goes on where
    it was stopped. `processes`, or a Dask cluster (`dask` is the address of its scheduler, or
    "local"), share the shards. Each of them opens the net's and the pictures' files by their paths,
    and so does not see what has been changed in `net.params`. on_shard(done, count) is told.

    Raises ArgumentError, ModelError and PictureError.
    """
    if k < 1:
        raise ArgumentError(f"k is {k}; it must be at least 1")
    collection = source if isinstance(source, Collection) else Collection(source)
    if folder and blobs is not None:
        blobs = covering(net, blobs, read_manifest(folder))
    job = peak_job(net, collection, blobs, k, size)
    count = math.ceil(len(collection) / job.shard)
    top = nothing(sum(job.units.values()), k)
    skipped: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        place = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="oneiro-"))
        scan = Scan(place, job.recipe | {"ids": collection.ids})
        scan.fill(job, count, processes=processes, dask=dask, on_shard=on_shard)
        for shard in scan.results(count):
            top = merged(top, Top(*(shard[name] for name in Top._fields)))
            ids = (collection.ids[number] for number in shard["skipped"])
            skipped |= zip(ids, map(str, shard["reasons"]), strict=True)
    if skipped:
        told = "; ".join(f"{id} {reason}" for id, reason in list(skipped.items())[:3])
        dots = "; ..." if len(skipped) > 3 else ""
        log.warning("%d of %d pictures skipped: %s%s", len(skipped), len(collection), told, dots)
    return Patches(net, collection, job, top, skipped)


def covering(net: Net, blobs: Sequence[str], manifest: Mapping[str, Any] | None) -> list[str]:
    """The blobs of a kept scan if it holds all of these: then it does for them."""
    names = [net.resolve(name) for name in blobs]
    held = (manifest or {}).get("parameters", {}).get("blobs", {})
    return list(held) if set(names) <= set(held) <= set(net.blobs) else names


@dataclasses.dataclass(frozen=True, eq=False)
class Patches:
    """What excites units most, in pictures of a collection at the size of the scan.

    `top` holds the units of all blobs one after another; `of` tells a blob's own. Pictures are
    numbered as in `collection.ids`. `skipped` are the ids that could not be read, and why.
    """

    net: Net
    collection: Collection
    job: Peaks
    top: Top
    skipped: dict[str, str]

    @property
    def recipe(self) -> Recipe:
        return self.job.recipe

    @property
    def blobs(self) -> dict[str, int]:
        """{blob: units}"""
        return self.job.units

    def of(self, blob: str) -> Top:
        """The top k of each unit of a blob, (units, k)."""
        begin = 0
        for name, units in self.blobs.items():
            if name == self.net.resolve(blob):
                return Top(*(part[begin : begin + units] for part in self.top))
            begin += units
        raise ArgumentError(f"blob {blob!r} was not scanned; there are {', '.join(self.blobs)}")

    def of_unit(self, blob: str, unit: int) -> list[NDArray[Any]]:
        """The scores, pictures, rows and columns of one unit, (k,)."""
        top = self.of(blob)
        if not 0 <= unit < len(top.scores):
            raise ArgumentError(f"unit {unit} is not one of {blob}'s 0..{len(top.scores) - 1}")
        return [part[unit] for part in top]

    @functools.cached_property
    def views(self) -> dict[str, Field]:
        """The receptive fields of the blobs that were scanned and of those below them."""
        shadow = self.net.on_symbols({self.net.input: (1, *self.job.shape[1:])})
        shadow.forward(end=list(self.blobs))
        return fields(shadow)

    @functools.cached_property
    def fields(self) -> dict[str, Field]:
        """The receptive fields of the blobs; none of those that see the whole picture."""
        shapes = self.net.shapes({self.net.input: self.job.shape}, end=list(self.blobs))
        maps = [name for name in self.blobs if len(shapes[name]) == 4]
        return {name: self.views[name] for name in maps if name in self.views}

    def box(self, blob: str, row: int, column: int) -> Box:
        """What the units of a blob see at this place; of a field that is larger, the picture."""
        sides = self.job.shape[2:]
        field = self.fields.get(self.net.resolve(blob))
        seen = box(field, row, column) if field else Box(0, 0, *sides)
        return clipped(seen, *sides)

    def photo(self, number: int) -> Picture:
        """A picture of the collection as the net saw it, (h, w, c) of 0..255."""
        return self.job.fitted(self.collection, self.collection.ids[number])

    def patch(self, blob: str, unit: int, rank: int = 0) -> Picture:
        """The piece of a picture that a unit saw, filled up with the net's mean colour at borders.

        It is exactly the receptive field; where branches meet, that of all. Along an axis on which
        the field is larger than the picture, nothing is filled up.
        """
        place = self.place(blob, unit, rank)
        return Picture(cut(self.photo(place.number), place.box, self.padding))

    @functools.cached_property
    def padding(self) -> NDArray[np.float32]:
        """The colour (c,) that zeros round the picture are to the net."""
        zero = np.zeros((1, self.net.channels, 1, 1), self.net.dtype)
        return np.clip(np.asarray(self.net.deprocess(zero))[0, 0], 0, 255)

    def place(self, blob: str, unit: int, rank: int) -> Place:
        """Where a unit was excited; ArgumentError where it has no patch of that rank."""
        scores, pictures, rows, columns = self.of_unit(blob, unit)
        if not 0 <= rank < len(scores) or pictures[rank] == NONE:
            raise ArgumentError(f"{blob}:{unit} has no patch {rank}: they are numbered from 0")
        row, column = int(rows[rank]), int(columns[rank])
        seen = self.box(blob, row, column)
        return Place(unit, float(scores[rank]), int(pictures[rank]), row, column, seen)

    def places(self, blob: str, unit: int) -> list[Place]:
        """Where a unit was excited, best first; where its value is zero it is not."""
        scores, pictures, *_ = self.of_unit(blob, unit)
        alive = (pictures != NONE) & (scores != 0)
        return [self.place(blob, unit, int(rank)) for rank in np.flatnonzero(alive)]

    def drives(
        self, blob: str, places: Sequence[Place], rule: str = "guided"
    ) -> Iterator[NDArray[np.float64]]:
        """What drove a unit at each place: its derivative in the values of its patch, (h, w, c).

        `rule` is how rectifiers go back: "gradient", "guided" or "deconv". The net runs on a piece
        of the picture that is enough, and on all of it where that does not give the recorded score;
        where that does not either, a warning says so.
        """
        if rule not in RULES:
            raise ArgumentError(f"rule {rule!r} is not one of {', '.join(RULES)}")
        return self.driven_in_batches(self.net.resolve(blob), places, rule)

    def driven_in_batches(
        self, name: str, places: Sequence[Place], rule: str
    ) -> Iterator[NDArray[np.float64]]:
        h, w = self.job.shape[2:]
        for start in range(0, len(places), self.job.shape[0]):
            part = places[start : start + self.job.shape[0]]
            values, pieces = self.driven(name, part, rule, self.window(name))
            if disagreement(values, part) is not None:
                values, pieces = self.driven(name, part, rule, Window(h, w, 1))
            worst = disagreement(values, part)
            if worst is not None:
                id, unit = self.collection.ids[part[worst].number], f"{name}:{part[worst].unit}"
                told = f"{values[worst]:.5g} now, {part[worst].score:.5g} when it was scanned"
                log.warning("%s is not the same for %s: %s", unit, id, told)
            yield from pieces

    def driven(
        self, name: str, places: Sequence[Place], rule: str, window: Window
    ) -> tuple[NDArray[Any], list[NDArray[np.float64]]]:
        """For a batch of places the unit's values (n,), and their derivatives as `drives` has them.

        The net runs on pieces of the pictures, cut as `window` says.
        """
        n, c, h, w = self.job.shape
        plan, shape = self.drive_plan(name, rule, window)
        strides = self.fields[name].stride if name in self.fields else (1, 1)
        x = np.zeros((n, c, window.height, window.width), self.net.dtype)
        seed = np.zeros(shape, self.net.dtype)
        boxes = []
        for m, place in enumerate(places):
            top, left = window.corner(place.box, h, w)
            photo = np.asarray(self.net.preprocess(self.photo(place.number)))
            x[m] = photo[0, :, top : top + window.height, left : left + window.width]
            row, column = place.row - int(top // strides[0]), place.column - int(left // strides[1])
            seed[(m, *(place.unit, row, column)[: len(shape) - 1])] = 1
            boxes.append(place.box._replace(top=place.box.top - top, left=place.box.left - left))
        found = plan(data=x, seed=seed)
        way = self.net.known_preprocessing()
        gradients = np.asarray(found["gradient"]) * way.spread("scale", c, np.float64)
        planes = gradients.transpose(0, 2, 3, 1)
        pieces = [cut(way.turned(g), box) for g, box in zip(planes, boxes, strict=False)]
        return np.asarray(found["value"])[: len(places)], pieces

    def window(self, name: str) -> Window:
        """Of which pieces of the picture the net is run to see what drives units of a blob."""
        h, w = self.job.shape[2:]
        if name not in self.fields:
            return Window(h, w, 1)
        nodes = self.net.between((self.net.input,), (name,))
        below = [self.views.get(top) for node in nodes for top in node.tops]
        found = window(self.fields[name], below, h, w)
        shape = (*self.job.shape[:2], *found[:2])
        try:
            made = self.net.shapes({self.net.input: shape}, end=name)[name]
        except ModelError:  # made for one size
            return Window(h, w, 1)
        return found if made[1] == self.blobs[name] else Window(h, w, 1)  # or rows for channels

    @functools.lru_cache(maxsize=2)  # noqa: B019 (it lives no longer than what it is made for)
    def drive_plan(self, name: str, rule: str, window: Window) -> tuple[Plan, tuple[int, ...]]:
        """The derivative of units of a blob, compiled, and the blob's shape."""
        shape = (*self.job.shape[:2], window.height, window.width)
        made = self.net.shapes({self.net.input: shape}, end=name)[name]
        dtype = self.net.dtype
        with warnings.catch_warnings():  # the first layer has no rectifier below it
            warnings.simplefilter("ignore", RuleWarning)
            program = unit_gradient(name, rule)
            return Plan(self.net, program, data=(dtype, shape), seed=(dtype, made)), made

    def page(
        self, blob: str, units: Sequence[int] | None = None, rule: str | None = "guided"
    ) -> Picture:
        """A row for each unit of a blob: its patches, best first, and beside them what drove it.

        That is the picture of `rule`, of the one unit at the one place, cropped alike; None leaves
        it out. Without `units` the first ROWS are drawn. The numbers are the scores. A unit that is
        zero in fewer pictures than k has fewer patches.
        """
        name = self.net.resolve(blob)
        count = len(self.of(name).scores)
        units = range(min(count, ROWS)) if units is None else units
        listed = {unit: self.places(name, unit) for unit in units}
        every = [place for places in listed.values() for place in places]
        driven = self.drives(name, every, rule) if rule else None
        rows = [self.row(name, unit, listed[unit], driven) for unit in units]
        first = f"{name}, {self.seen(name)}"
        texts = f"{first}: the best {self.job.k} of {len(self.collection)} pictures for each unit"
        beside = f", and beside them the {TITLES[rule]}" if rule else ""
        page = titled(stacked(rows, gap=GAP), f"{texts}{beside}")
        page.recipe = self.page_recipe(name, units, rule)
        return page

    def page_recipe(self, blob: str, units: Sequence[int], rule: str | None) -> Recipe:
        """What a page is made with."""
        return amended(self.recipe, "patches", blob=blob, units=list(units), rule=rule)

    def title(self, blob: str, unit: int) -> str:
        """A unit's number, and its name where it is a class."""
        labels = self.net.labels
        named = blob not in self.fields and len(labels) == self.blobs[blob]
        return f"{unit} {labels[unit].split(',')[0]}" if named else str(unit)

    def row(
        self,
        blob: str,
        unit: int,
        places: Sequence[Place],
        driven: Iterator[NDArray[np.float64]] | None,
    ) -> Picture:
        """A unit's number, its patches with their scores, and as many pictures of `driven`."""
        patches: list[ArrayLike] = []
        drives: list[ArrayLike] = []
        for place in places:
            patch = cut(self.photo(place.number), place.box, self.padding)
            patches.append(scored(tile(patch, TILE), place.score))
            if driven:
                drives.append(tile(mid_grey(next(driven)), TILE))
        blank = np.full((TILE, TILE, 3), EMPTY, np.uint8)
        missing = [blank] * (self.job.k - len(places))
        parts = [labelled(self.title(blob, unit)), strip([*patches, *missing])]
        if driven is not None:
            parts.append(strip([*drives, *missing]))
        return stacked(parts, beside=True, gap=3 * GAP)

    def unit(self, blob: str, unit: int, rule: str | None = "guided") -> Picture:
        """One unit enlarged: the pictures, framed where it looked; its patches; what drove it."""
        name = self.net.resolve(blob)
        places = self.places(name, unit)
        if not places:
            raise ArgumentError(f"{name}:{unit} is zero in every picture: there is nothing to draw")
        drives = self.drives(name, places, rule) if rule else None
        columns = []
        for place in places:
            photo = self.photo(place.number)
            parts = [tile(cut(photo, place.box, self.padding), LARGE)]
            if name in self.fields:
                parts.insert(0, tile(framed(photo, place.box), LARGE))
            if drives:
                parts.append(tile(mid_grey(next(drives)), LARGE))
            id = Path(self.collection.ids[place.number]).name
            texts = (written(text, LARGE, 11) for text in (number(place.score), id))
            parts += [text[4:-5] for text in texts if text is not None]
            columns.append(stacked(parts, gap=GAP))
        text = f"{name}:{unit}, {self.seen(name)}: the best of {len(self.collection)} pictures"
        below = f", below them the {TITLES[rule]}" if rule else ""
        page = titled(stacked(columns, beside=True, gap=GAP), text + below)
        page.recipe = self.page_recipe(name, [unit], rule)
        return page

    def seen(self, blob: str) -> str:
        """How much of the picture its units see, in words."""
        field = self.fields.get(blob)
        height, width = self.job.shape[2:]
        if field is None:
            return "which sees the whole picture"
        return f"which sees {field.size[1]}x{field.size[0]} of {width}x{height} px"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the scores, ids and places as .npz, or as .json.

        The .npz holds `ids` and, as "BLOB/scores", "BLOB/pictures", "BLOB/rows", "BLOB/columns",
        arrays (units, k); a picture is its number among the ids, -1 for none.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".npz":
            arrays: dict[str, NDArray[Any]] = {"ids": np.array(self.collection.ids, np.str_)}
            for blob in self.blobs:
                top = self.of(blob)
                top = top._replace(pictures=np.where(top.pictures == NONE, -1, top.pictures))
                for part, values in top._asdict().items():
                    arrays[f"{blob}/{part}"] = values
            save_arrays(path, arrays)
        elif suffix == ".json":
            text = json.dumps(self.listed(), separators=(",", ":"))
            with atomic_write(path) as file:
                file.write(text.encode())
        else:
            raise ArgumentError(f"{path}: patches are saved as .npz or .json")

    def listed(self) -> dict[str, Any]:
        """The recipe and all places, as plain JSON values."""
        found = {}
        for blob in self.blobs:
            field = self.fields.get(blob)
            top = self.of(blob)
            found[blob] = {
                "field": None if field is None else dataclasses.asdict(field),
                "units": [
                    [
                        {
                            "id": self.collection.ids[number],
                            "score": score if math.isfinite(score) else None,
                            "row": row,
                            "column": column,
                        }
                        for score, number, row, column in zip(*unit, strict=True)
                        if number != NONE
                    ]
                    for unit in zip(*(part.tolist() for part in top), strict=True)
                ],
            }
        return self.recipe | {"blobs": found, "skipped": self.skipped}

    def _repr_png_(self) -> bytes | None:
        last = [name for name in self.blobs if name in self.fields] or list(self.blobs)
        return self.page(last[-1], range(min(6, self.blobs[last[-1]])), rule=None)._repr_png_()


class Place(NamedTuple):
    """Where a unit was excited: in which picture, at which place of its map, seeing what."""

    unit: int
    score: float
    number: int
    row: int
    column: int
    box: Box


def unit_gradient(blob: str, rule: str) -> Program:
    """A program: pictures, and a seed for the blob's diff, to the units' values and gradients.

    The seed is 1 at one place in each picture of the batch, else 0.
    """

    def program(net: Net, data: Array, seed: Array) -> dict[str, Any]:
        def seeded(values: Array) -> tuple[Any, Array]:
            return (values * seed).sum(tuple(range(1, len(values.shape)))), seed

        value, gradient = image_gradient(net, data, {blob: seeded}, rule)
        return {"value": value, "gradient": gradient}

    return program


def disagreement(values: NDArray[Any], places: Sequence[Place]) -> int | None:
    """Which place is farthest from the recorded score, if any is too far."""
    scores = np.array([place.score for place in places])
    apart = np.abs(values - scores)
    worst = int(apart.argmax())
    return worst if not apart[worst] <= AGREEMENT * np.abs(scores).max() else None


# --- pieces of a page ---


def tile(picture: ArrayLike, side: int) -> NDArray[np.uint8]:
    """The picture with its longer side at `side` pixels, in the middle of a square."""
    height, width = np.shape(picture)[:2]
    factor = side / max(height, width)
    if max(height, width) <= PIXELATED:
        fitted = enlarged(picture, int(factor))
    else:
        sides = (max(1, round(n * factor)) for n in (height, width))
        fitted = resampled(Picture(picture), *sides)
    square = np.full((side, side, 3), DARK, np.uint8)
    height, width = np.shape(fitted)[:2]
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = rgb_bytes(fitted)
    return square


def framed(picture: ArrayLike, box: Box) -> NDArray[np.uint8]:
    """The picture with a frame round a piece of it."""
    drawn = rgb_bytes(picture)
    h, w = drawn.shape[:2]
    rows = np.clip([box.top, box.top + box.height], 0, h)
    columns = np.clip([box.left, box.left + box.width], 0, w)
    inside = drawn[rows[0] : rows[1], columns[0] : columns[1]]
    kept = inside[2:-2, 2:-2].copy()
    inside[...] = FRAME
    inside[2:-2, 2:-2] = kept
    return drawn


def scored(picture: ArrayLike, score: float) -> Picture:
    """A tile with its score below it."""
    text = written(number(score), TILE, 11)
    assert text is not None
    return stacked([picture, text[4:-5]])


def number(score: float) -> str:
    """A score in few letters."""
    return f"{score:.0f}" if 1000 <= abs(score) < 1e5 else f"{score:.3g}"


def strip(tiles: Sequence[ArrayLike]) -> Picture:
    return stacked(tiles, beside=True, gap=GAP)


def labelled(text: str) -> Picture:
    """A unit's number, or that and its name, at half the height of a tile."""
    label = written(text, LABEL if text.isdecimal() else NAME, 14)
    assert label is not None
    space = max((TILE - label.shape[0]) // 2, 0)
    return stacked([np.full((space, label.shape[1], 3), DARK, np.uint8), label[:TILE]][not space :])


def titled(page: Picture, text: str) -> Picture:
    """A page with a text above it, and a margin around."""
    title = written(text, page.shape[1], 14)
    whole = stacked([page if title is None else title, page][title is None :], gap=GAP)
    return Picture(np.pad(np.asarray(whole), ((8, 12), (8, 12), (0, 0)), constant_values=DARK[0]))
