"""The known networks: what each expects of a picture, and how it dreams best."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from oneiro.error import ModelError

FOLDER = Path(str(files("oneiro.models")))


@dataclass(frozen=True)
class Entry:
    """One row of registry.toml, which explains the fields."""

    name: str
    file: str
    bytes: int
    sha256: str
    input: str
    size: int
    mean: float | tuple[float, ...]
    scale: float | tuple[float, ...]
    order: str  # "RGB" or "BGR"
    aliases: Mapping[str, str] = field(hash=False)
    dream: Mapping[str, Any] = field(hash=False)  # arguments of deepdream
    labels: str | None = None
    embedded: bool = False


def names() -> list[str]:
    """List the known networks, the embedded ones first."""
    return sorted(_entries(), key=lambda name: (not _entries()[name].embedded, name))


def find(name: str) -> Entry:
    """Look a network up by its name; ModelError lists the names if there is none such."""
    try:
        return _entries()[name]
    except KeyError:
        raise ModelError(
            f"no network is called {name!r}: the known ones are {', '.join(names())}; "
            "a path to an .onnx file works too"
        ) from None


def recognize(sha256: str) -> Entry | None:
    """Look a network up by the SHA-256 of its file, in hexadecimal."""
    return next((entry for entry in _entries().values() if entry.sha256 == sha256), None)


def path(entry: Entry) -> Path:
    """Say where the file of an embedded network lies; ModelError for one that is not embedded."""
    if not entry.embedded:
        raise ModelError(
            f"{entry.name} is not part of oneiro, and this version does not download: "
            f"give the path of your copy of {entry.file}"
        )
    return FOLDER / entry.file


def labels(entry: Entry) -> tuple[str, ...]:
    """Name the classes of a network in the order of its output; empty where they are unknown."""
    if entry.labels is None:
        return ()
    lines = (FOLDER / entry.labels).read_text("utf-8").splitlines()
    return tuple(line.partition(" ")[2] for line in lines)  # "n07920052 espresso": synset, names


@cache
def _entries() -> dict[str, Entry]:
    table = tomllib.loads((FOLDER / "registry.toml").read_text("utf-8"))
    return {name: _entry(name, row) for name, row in table.items()}


def _entry(name: str, row: dict[str, Any]) -> Entry:
    fields = _frozen(row)
    for key in ("aliases", "dream"):
        fields[key] = MappingProxyType(_frozen(row.get(key, {})))
    return Entry(name=name, **fields)


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
