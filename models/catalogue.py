"""The known networks as text: a table of all, a page for one, and the same for machines."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from oneiro.preprocess import Preprocess

from . import download, registry
from .registry import Entry

COLUMNS = ("name", "MB", "classes", "task", "where", "licence")


def table() -> str:
    """A line for each network."""
    rows = [COLUMNS]
    for entry in map(registry.find, registry.names()):
        size = f"{entry.bytes / 1e6:.1f}"
        classes = str(entry.classes or "")
        rows.append((entry.name, size, classes, entry.task, where(entry), entry.licence))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, size, classes, *rest in rows:
        numbers = f"{size:>{widths[1]}}  {classes:>{widths[2]}}"
        words = "  ".join(f"{text:<{width}}" for text, width in zip(rest, widths[3:], strict=True))
        lines.append(f"{name:<{widths[0]}}  {numbers}  {words}".rstrip())
    return "\n".join(lines)


def page(entry: Entry) -> str:
    """Everything that is known of one network."""
    way = Preprocess(entry.mean, entry.scale, entry.order)
    doubt = "" if entry.verified else ": see whether it knows what is on a photo"
    favourites = ", ".join(f"{name} {numbers(value)}" for name, value in entry.dream.items())
    lines = {
        "name": entry.name,
        "note": entry.note,
        "task": entry.task,
        "classes": str(entry.classes or "none"),
        "file": f"{entry.file}, {entry.bytes:,} bytes, opset {entry.opset}",
        "sha256": entry.sha256,
        "licence": entry.licence,
        "where": where(entry),
        "kept at": str(download.place(entry)) if entry.urls else "",
        "input": " ".join(filter(None, (entry.input, entry.layout, f"{entry.size} px"))),
        "fed as": f"{way.formula}, values 0..255",
        "source": entry.source + doubt,
        "dreams": favourites or "nobody has looked: by the rule for unknown networks",
        **{f"address {k}": url for k, url in enumerate(entry.urls, 1)},
    }
    return "\n".join(f"{key:<10} {text}" for key, text in lines.items() if text)


def as_json() -> str:
    """Every row of the registry."""
    return json.dumps([facts(registry.find(name)) for name in registry.names()], indent=2)


def facts(entry: Entry) -> dict[str, Any]:
    """A row of the registry, and where its file is."""
    row = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    row |= {"aliases": dict(entry.aliases), "dream": dict(entry.dream)}
    return row | {"verified": entry.verified, "where": where(entry)}


def where(entry: Entry) -> str:
    """Whether a network is here: embedded, cached, remote, or a file that only its owner has."""
    if entry.embedded:
        return "embedded"
    path = download.place(entry)
    if path.is_file() and path.stat().st_size == entry.bytes:
        return "cached"
    return "remote" if entry.urls else "own file"


def numbers(value: Any) -> str:
    """Numbers or names as the command line takes them: with commas."""
    return ",".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in many(value))


def many(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
