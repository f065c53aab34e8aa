"""Labels of pictures: what a labels.json beside them, or else their folders, say that they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .collection import Collection
from .error import ArgumentError, PictureError


def labels_in(collection: Collection, ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """(labels, names): what each picture is, "" if not known, and what there is, in its order.

    labels.json beside the pictures says it, {id: name, number or [number, name]}; else the first
    folder in which they differ does. Raises ArgumentError for a labels.json that says something
    else, and PictureError, as Collection.read does, for one that cannot be read.
    """
    shared = shared_folder(collection.ids)
    for name in dict.fromkeys((f"{shared}labels.json", "labels.json")):
        if name in collection.files:
            return told_labels(collection, name, ids)
    inner = [id.removeprefix(shared) for id in ids]
    labels = [path.split("/")[0] if "/" in path else "" for path in inner]
    return labels, sorted(filter(None, set(labels)), key=natural)


def shared_folder(ids: Sequence[str]) -> str:
    """The folders that all have in common, with a "/" behind each."""
    parts = [id.split("/")[:-1] for id in ids]
    common = 0
    while all(len(part) > common and part[common] == parts[0][common] for part in parts):
        common += 1
    return "".join(f"{folder}/" for folder in parts[0][:common])


def told_labels(
    collection: Collection, name: str, ids: Sequence[str]
) -> tuple[list[str], list[str]]:
    """As `labels_in`, from the file of that name."""
    where = collection.source / name
    try:
        told: Any = json.loads(collection.read(name))
    except PictureError:
        raise  # a ValueError too
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{where}: is not JSON ({error})") from None
    if not isinstance(told, Mapping):
        raise ArgumentError(f'{where}: must be {{"id": "label", ...}}')
    folder = name.removesuffix("labels.json")
    order: dict[str, tuple[Any, ...]] = {}
    labels = []
    for id in ids:
        entry = told.get(id.removeprefix(folder), told.get(id, ""))
        number, label = entry if isinstance(entry, list) and len(entry) == 2 else (None, entry)
        if not isinstance(label, str | int) or not isinstance(number, int | None):
            raise ArgumentError(f"{where}: {id!r} is {entry!r}, no label nor [number, label]")
        label = str(label)
        labels.append(label)
        order.setdefault(label, (number is None, number or 0, natural(label)))
    order.pop("", None)
    return labels, sorted(order, key=order.__getitem__)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts "class 10" after "class 9"."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", text)
    return [(0, int(number), "") if number else (1, 0, word) for number, word in parts]
