"""What a network makes of many pictures: the code before its classifier, or any other blob."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from ..code import Codes
from ..collection import Collection, pictures
from ..error import ArgumentError, ModelError, PictureError
from ..image import FilePath, middle
from ..importer import Node
from ..label import labels_in
from ..net import Net
from ..plan import Plan
from ..recipe import digest, make_recipe
from ..sidecar import sides
from ..size import takes_batch, usual_size
from ..target import VEHICLES, score_blob

WEIGHTED = ("Conv", "Gemm", "MatMul")
SAME = ("Dropout", "Identity")
ON_DEVICE = 32  # pictures at once; on a host more than one gain nothing


class Step(NamedTuple):
    """Where an embedding is: told after each batch."""

    done: int  # pictures that are behind, damaged ones too
    total: int
    codes: Callable[[], Codes]  # those so far


class Shown(NamedTuple):
    """A picture as the net takes it."""

    id: str
    x: Array  # (1, c, h, w)
    told: str  # the digest of what it shows


def embed(
    net: Net,
    source: FilePath | Collection,
    *,
    blob: str | None = None,
    flat: bool = False,
    size: int | tuple[int, int] | None = None,
    batch: int | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Codes:
    """The code of every picture in a folder, a zip or a tar: what a blob holds, as a vector.

    `blob` is by default the one that enters the layer of the classes, such as fc7 of AlexNet.
    Maps (c, h, w) are averaged over their places to c numbers, unless `flat` keeps them all. The
    net sees the middle of each picture at `size` (a side, or height and width, in pixels), by
    default that at which it was trained. `batch` is how many at once: on a host one is the
    fastest.

    Labels are those of a labels.json beside the pictures, {id: name or [number, name]}, else the
    folders that they are in. Pictures that are damaged are left out, with a warning. Raises
    ArgumentError, ModelError and PictureError.
    """
    collection = source if isinstance(source, Collection) else Collection(source)
    name = net.resolve(blob) if blob else code_blob(net)
    height, width = usual_size(net) if size is None else sides(size)
    if batch is not None and batch < 1:
        raise ArgumentError(f"batch is {batch}: it starts at 1")
    known, names = labels_in(collection, collection.ids)
    label_of = dict(zip(collection.ids, known, strict=True))
    place = {id: k for k, id in enumerate(collection.ids, 1)}
    net.known_preprocessing()
    count = batch or (ON_DEVICE if net.device else 1)
    shape = (min(count, len(collection)), net.channels, height, width)
    if shape[0] > 1 and not takes_batch(net, [name], shape):
        shape = (1, *shape[1:])
    plan = code_plan(net, name, flat, shape)
    finished: list[tuple[list[str], list[str], NDArray[np.float32]]] = []

    def codes() -> Codes:
        ids = [id for some, _, _ in finished for id in some]
        seen = "".join(told for _, some, _ in finished for told in some)
        parameters = {"blob": name, "flat": flat, "size": [height, width], "count": len(ids)}
        recipe = make_recipe(net, "embed", parameters, {})
        recipe["pictures"] = {"all": hashlib.sha256(seen.encode()).hexdigest()}
        vectors = np.concatenate([rows for _, _, rows in finished])
        return Codes(ids, vectors, [label_of[id] for id in ids], names, recipe, collection)

    for some in batches(collection, net, height, width, shape[0]):
        ids = [shown.id for shown in some]
        x = padded(np.concatenate([shown.x for shown in some]), shape)
        rows = np.asarray(plan(x=x)["code"])[: len(some)].astype(np.float32)
        fine = np.isfinite(rows).all(1)
        if not fine.all():
            bad = ids[int(np.argmin(fine))]
            raise ModelError(f"{net.model.name}: {name} of {bad!r} holds NaN or infinity")
        finished.append((ids, [shown.told for shown in some], rows))
        if on_step:
            on_step(Step(place[ids[-1]], len(collection), codes))
    if not finished:
        raise PictureError(f"{collection.source}: none of its pictures can be read")
    return codes()


def batches(
    collection: Collection, net: Net, height: int, width: int, count: int
) -> Iterator[list[Shown]]:
    """The pictures as the net takes them, so many at a time; the last may be fewer."""
    way = net.known_preprocessing()
    some: list[Shown] = []
    for id, picture in pictures(collection, net.channels):
        part = middle(picture, height, width)
        some.append(Shown(id, way.preprocess(part, net.channels, net.dtype), digest(part)))
        if len(some) == count:
            yield some
            some = []
    if some:
        yield some


def padded(x: Array, shape: tuple[int, ...]) -> Array:
    """A last batch with its last picture again, as often as it takes."""
    missing = shape[0] - len(x)
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x


def code(net: Net, x: Array, blob: str, flat: bool = False) -> Array:
    """What the pictures x (n, c, h, w) make of a blob, (n, d): a program over a Net.

    Maps are averaged over their places, unless `flat` keeps them; other shapes are kept whole.
    """
    data = net.forward({net.input: x}, end=blob)[net.resolve(blob)]
    if data.ndim == 4 and not flat:
        return data.mean((2, 3))
    return data.reshape(x.shape[0], -1)


def code_plan(net: Net, blob: str, flat: bool, shape: tuple[int, ...]) -> Plan:
    """x (n, c, h, w) -> "code" (n, d), compiled."""

    def program(net: Net, x: Array) -> dict[str, Any]:
        return {"code": code(net, x, blob, flat)}

    return Plan(net, program, x=(net.dtype, shape))


def code_blob(net: Net) -> str:
    """The blob that enters the layer of the classes, after its rectifier.

    It is found from the scores downwards: the first layer with weights reads it. What only hands
    values on (Dropout, and Flatten of a single place) is passed. A network that does not classify
    has none: its last output counts.
    """
    try:
        name = score_blob(net)
    except ModelError:
        return net.outputs[0]
    shapes = net.reachable_shapes({net.input: (1, net.channels, *usual_size(net))})
    makers = {top: node for node in net.nodes for top in node.tops}
    flows = below(net, makers.get(name))
    while len(flows) == 1 and makers[name].layer.kind not in WEIGHTED:
        name = flows[0]
        flows = below(net, makers.get(name))
    if len(flows) != 1:
        return name  # several ways join before any weights: where they do
    name = flows[0]
    while name in makers and hands_on(makers[name], shapes):
        name = below(net, makers[name])[0]
    return name


def below(net: Net, node: Node | None) -> list[str]:
    """The blobs that a layer reads; of one that hands values on, not their new shape."""
    read = [b for b in node.bottoms if b is not None and b in net.blobs] if node else []
    return read[:1] if node and node.layer.kind in VEHICLES else read


def hands_on(node: Node, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Does the layer only hand on what it reads, and has that no places of its own?"""
    kind, shape = node.layer.kind, shapes.get(node.bottoms[0] or "", ())
    return kind in SAME or (kind in VEHICLES and math.prod(shape[2:]) == 1)
