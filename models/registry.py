"""The known networks: what each expects of a picture, and how it dreams best."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from oneiro.error import ModelError
from oneiro.sidecar import read_labels

FOLDER = Path(str(files("oneiro.models")))
GUESS = "a guess"  # the source of a preprocessing that nobody has tried


@dataclass(frozen=True)
class Entry:
    """One row of registry.toml, which explains the fields."""

    name: str
    file: str
    bytes: int
    sha256: str
    size: int
    mean: float | tuple[float, ...]
    scale: float | tuple[float, ...]
    order: str  # "RGB" or "BGR"
    source: str
    opset: int
    licence: str
    layout: str = "NCHW"
    input: str | None = None  # unknown where nobody has seen the file
    classes: int = 0
    task: str = "classification"
    note: str = ""
    urls: tuple[str, ...] = ()
    embedded: bool = False
    numbered: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    dream: Mapping[str, Any] = field(default_factory=dict, hash=False)  # arguments of deepdream

    @property
    def verified(self) -> bool:
        """Whether somebody vouches for the preprocessing."""
        return self.source != GUESS


def names() -> list[str]:
    """List the known networks, the embedded ones first."""
    return sorted(_entries(), key=lambda name: (not _entries()[name].embedded, name))


def find(name: str) -> Entry:
    """Look a network up by its name; ModelError names what is near if there is none such."""
    try:
        return _entries()[name]
    except KeyError:
        near = difflib.get_close_matches(name, names(), 3)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise ModelError(
            f"no network is called {name!r}{hint}; `oneiro models` lists them, "
            "and a path to an .onnx file works too"
        ) from None


def recognize(sha256: str) -> Entry | None:
    """Look a network up by the SHA-256 of its file, in hexadecimal."""
    return next((entry for entry in _entries().values() if entry.sha256 == sha256), None)


def path(entry: Entry) -> Path:
    """Say where the file of a network lies; one that is not here yet is fetched.

    Raises ModelError for one that cannot be had.
    """
    if entry.embedded:
        return FOLDER / entry.file
    from .download import fetch

    return fetch(entry)


def labels(entry: Entry) -> tuple[str, ...]:
    """Name the classes of a network in the order of its output; empty where they are unknown."""
    if entry.classes != 1000:
        return ()
    return read_labels(FOLDER / "synset_words.txt")


def source(entry: Entry) -> str:
    """Name the origin of a network's preprocessing, and own up to a guess."""
    return f"registry ({entry.name})" if entry.verified else f"registry ({entry.name}, {GUESS})"


def aliases(entry: Entry, blobs: Iterable[str]) -> dict[str, str]:
    """Other names for those of `blobs`, the names of a net's blobs in the order of forward."""
    held = list(blobs)
    found = {other: name for other, name in entry.aliases.items() if name in held}
    if entry.numbered:
        for name in held:
            stem, _, number = name.removeprefix("gpu_0/").rpartition("_")
            if number.isdecimal():
                found[stem] = name  # the last one counts
    return found


@cache
def _entries() -> dict[str, Entry]:
    table = tomllib.loads((FOLDER / "registry.toml").read_text("utf-8"))
    addresses = table.pop("addresses")
    entries: dict[str, Entry] = {}
    for family in table.values():
        rows = {k: v for k, v in family.items() if isinstance(v, dict) and "sha256" in v}
        shared = {k: v for k, v in family.items() if k not in rows}
        entries |= {name: _entry(name, shared | row, addresses) for name, row in rows.items()}
    return entries


def _entry(name: str, row: dict[str, Any], addresses: list[str]) -> Entry:
    fields = _frozen(row)
    if "path" in row:
        path = PurePosixPath(fields.pop("folder"), fields.pop("path"))
        repo = fields.pop("repo", path.stem)
        fields["file"] = path.name
        fields["urls"] = tuple(address.format(repo=repo, path=path) for address in addresses)
    fields["aliases"] = MappingProxyType(
        {
            other: pattern.format(k)
            for pattern, others in row.get("aliases", {}).items()
            for k, other in enumerate(others.split())
        }
    )
    fields["dream"] = MappingProxyType(_frozen(row.get("dream", {})))
    return Entry(name=name, **fields)


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
