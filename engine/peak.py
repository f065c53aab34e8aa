"""The largest value of every unit in every picture of a collection: what a scan for patches does.

A unit is a channel of a blob (n, c, h, w), or a number of a blob (n, c).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from .collection import Collection
from .error import ArgumentError, ModelError, PictureError
from .image import Picture, middle
from .layer import Activation
from .net import Net
from .plan import Plan
from .preprocess import Preprocess
from .recipe import Recipe, make_recipe
from .scan import Arrays, Work, one_thread
from .sidecar import sides
from .size import accepted_size, usual_size
from .target import VEHICLES
from .top import Top, merged, nothing
from .trace import Program

BATCH = 8  # pictures at a time
SHARD = 32  # pictures in a shard, at least
SHARDS = 1000  # that a large collection makes


@dataclasses.dataclass
class Peaks:
    """The job of a scan: shards of a collection -> the top k of every unit.

    Other processes open the net and the collection anew, by their paths.
    """

    source: str
    recipe: Recipe  # all that the result depends on
    again: Callable[[], Net]
    way: Preprocess
    net: Net | None  # of this process

    @property
    def key(self) -> str:
        text = json.dumps([self.source, self.recipe], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def units(self) -> dict[str, int]:
        """{blob: units}, in the order of the net."""
        return dict(self.recipe["parameters"]["blobs"])

    @property
    def k(self) -> int:
        return int(self.recipe["parameters"]["k"])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of what the net takes at a time: (n, c, h, w)."""
        n, c, h, w = self.recipe["parameters"]["shape"]
        return n, c, h, w

    @property
    def shard(self) -> int:
        """Pictures in a shard."""
        return int(self.recipe["parameters"]["shard"])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"net": None}  # never sent

    def start(self) -> Work:
        net = self.net or self.opened()
        collection = Collection(self.source)
        if collection.digest != self.recipe["pictures"]["collection"]:
            raise PictureError(f"{self.source}: holds other pictures than when the scan began")
        plan = Plan(net, peaks(list(self.units)), data=(net.dtype, self.shape))
        shapes = net.shapes({net.input: self.shape}, end=list(self.units))
        widths = np.concatenate(
            [np.full(units, (*shapes[name], 1, 1)[3]) for name, units in self.units.items()]
        )  # of the units' maps, (units,)

        def work(number: int) -> Arrays:
            skipped: dict[int, str] = {}
            top = nothing(len(widths), self.k)
            begin = number * self.shard
            numbers = range(begin, min(begin + self.shard, len(collection)))
            for members, x in batches(self.fed(net, collection, numbers, skipped), self.shape[0]):
                found = plan(data=x)
                scores, places = (joined(found, what, len(members)) for what in ("score", "place"))
                known = np.broadcast_to(np.array(members), scores.shape)
                rows, columns = np.divmod(places, widths[:, None])
                whole = (part.astype(np.int32) for part in (known, rows, columns))
                top = merged(top, Top(scores.astype(np.float32), *whole))
            reasons = np.array(list(skipped.values()), np.str_)
            return top._asdict() | {
                "skipped": np.array(list(skipped), np.int32),
                "reasons": reasons,
            }

        return work

    def opened(self) -> Net:
        """The net from its file."""
        net = self.again()
        if net.model.sha256 != self.recipe["model"]["sha256"]:
            raise ModelError(f"{net.model.name}: is another file here than where the scan began")
        net.preprocessing = self.way
        return net

    def fed(
        self, net: Net, collection: Collection, numbers: Iterable[int], skipped: dict[int, str]
    ) -> Iterator[tuple[int, Array]]:
        """(number, picture as the net takes it); of others {number: why} goes to `skipped`."""
        for number in numbers:
            id = collection.ids[number]
            try:
                yield number, net.preprocess(self.fitted(collection, id))
            except PictureError as error:
                skipped[number] = str(error).removeprefix(f"{collection.source / id}: ")

    def fitted(self, collection: Collection, id: str) -> Picture:
        """A picture at the size of the scan: as large as covers it, and of that the middle."""
        _, channels, h, w = self.shape
        return middle(collection.load(id, channels), h, w)


def peaks(blobs: Sequence[str]) -> Program:
    """A program: pictures (n, c, h, w) to the largest value of each unit, and its first place.

    The results "score 0", "place 0" are those of the first blob, (n, units), and so on.
    """

    def program(net: Net, data: Array) -> dict[str, Any]:
        net.forward({net.input: data}, end=blobs)
        found = {}
        for b, name in enumerate(blobs):
            values = net.blobs[name].data
            flat = values.reshape(*values.shape[:2], -1)  # (n, units, places)
            found[f"score {b}"] = np.max(flat, 2)
            found[f"place {b}"] = np.argmax(flat, 2)
        return found

    return program


def joined(found: Mapping[str, Any], what: str, count: int) -> Array:
    """Those results of all blobs, of the first pictures: (units, n)."""
    parts = [np.asarray(array)[:count].T for name, array in found.items() if name.startswith(what)]
    return np.concatenate(parts)


def batches(fed: Iterable[tuple[int, Array]], size: int) -> Iterator[tuple[list[int], Array]]:
    """Numbers, and as many pictures (size, c, h, w); the last one is repeated to fill the rest."""
    members: list[int] = []
    held: list[Array] = []
    for number, x in fed:
        members.append(number)
        held.append(x)
        if len(held) == size:
            yield members, np.concatenate(held)
            members, held = [], []
    if held:
        yield members, np.concatenate(held + held[-1:] * (size - len(held)))


def peak_job(
    net: Net,
    collection: Collection,
    blobs: Sequence[str] | None,
    k: int,
    size: int | tuple[int, int] | None,
) -> Peaks:
    """What has to be done for these blobs, or for every layer. Raises ArgumentError, ModelError."""
    height, width = usual_size(net) if size is None else sides(size)
    if blobs is None:
        found = net.reachable_shapes({net.input: (1, net.channels, height, width)})
        names = layers(net, list(found))
    else:
        asked = {net.resolve(name) for name in blobs}
        names = [name for name in net.blobs if name in asked]
        if size is None:
            height, width = accepted_size(net, names, height, width)
    units, batch = countable(net, names, height, width)
    lost = [name for name in names if name not in units] if blobs is not None else []
    if lost or not units:
        name = lost[0] if lost else net.model.name
        raise ArgumentError(f"{name!r} has no units: they are those of blobs (n, c, h, w), (n, c)")
    parameters = {
        "blobs": units,
        "k": k,
        "shape": [batch, net.channels, height, width],
        "shard": SHARD * math.ceil(len(collection) / (SHARD * SHARDS)),
    }
    with one_thread():  # as the work will be done
        recipe = make_recipe(net, "patches", parameters, {})
    recipe["pictures"] = {"collection": collection.digest}
    way = net.known_preprocessing()
    return Peaks(os.path.abspath(collection.source), recipe, net.again, way, net)


def countable(
    net: Net, names: Sequence[str], height: int, width: int
) -> tuple[dict[str, int], int]:
    """{blob: units} of those that have units, and how many pictures the net takes at a time."""
    alone = units_of(net, names, (1, net.channels, height, width))
    try:
        together = units_of(net, names, (BATCH, net.channels, height, width))
    except ModelError:
        return alone, 1
    return alone, BATCH if together == alone else 1


def units_of(net: Net, names: Sequence[str], shape: tuple[int, ...]) -> dict[str, int]:
    """{blob: units} of the blobs (n, c, h, w) and (n, c) for pictures of this shape."""
    found = net.shapes({net.input: shape}, end=names)
    return {
        name: found[name][1]
        for name in names
        if len(found[name]) in (2, 4) and found[name][0] == shape[0] and 0 not in found[name]
    }


def layers(net: Net, names: Sequence[str]) -> list[str]:
    """Of these blobs the layers: of a unit's forms the one that is looked at.

    Blobs are left out that only activations, normalisations or a Concat of channels read, and
    those that hold another one's values again, as a Transpose and pools of the largest do.
    """
    flowing = net.reached((net.input,)) - {net.input}
    makers = {top: node.layer for node in net.nodes for top in node.tops}
    readers: dict[str | None, list[Any]] = {}
    for node in net.nodes:
        for bottom in node.bottoms:
            readers.setdefault(bottom, []).append(node.layer)
    return [
        name
        for name in names
        if name in flowing
        and makers[name].kind not in (*VEHICLES, "MaxPool", "Transpose")
        and not (name in readers and all(map(shows_its_units, readers[name])))
    ]


def shows_its_units(layer: Any) -> bool:
    """Does this layer keep the units of what it reads, and show them better?"""
    if layer.kind == "Concat":
        return bool(layer.axis == 1)
    return isinstance(layer, Activation) or layer.kind == "BatchNormalization"
