"""What stands beside a model: <stem>.oneiro.toml says how pictures are fed to it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .error import ArgumentError, ModelError
from .file import atomic_write
from .importer.layout import check_layout
from .preprocess import combined

KEYS = ("mean", "scale", "order", "preprocess", "layout", "size", "labels")
SYNSET = re.compile(r"^n\d{8}\s+")  # WordNet's number before the names of an ImageNet class


def sidecar_path(model: str | os.PathLike[str]) -> Path:
    """Where the sidecar of a model lies."""
    path = Path(model)
    return path.parent / f"{path.stem}.oneiro.toml"


def read_sidecar(model: str | os.PathLike[str]) -> dict[str, Any]:
    """The keys of the model's sidecar; {} if it has none.

    `size` comes as (height, width), `labels` as a path, which lies beside the sidecar or below it.
    Raises ModelError, naming the file and the key, for what makes no sense.
    """
    path = sidecar_path(model)
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    except (RecursionError, ValueError) as error:  # of TOML, or of UTF-8
        raise ModelError(f"{path}: is no TOML: {error}") from error
    try:
        return checked(said, path.parent)
    except ArgumentError as error:
        raise ModelError(f"{path}: {error}") from error


def checked(said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The keys of a sidecar in `folder`, which is as far as its labels may lie."""
    unknown = sorted(said.keys() - {*KEYS})
    if unknown:
        raise ArgumentError(f"{unknown[0]!r} is no key; there are {', '.join(KEYS)}")
    combined({"sidecar": said})
    check_layout(said.get("layout"))
    found = dict(said)
    if "size" in said:
        found["size"] = sides(said["size"])
    if "labels" in said:
        found["labels"] = inside(folder, said["labels"])
    return found


def inside(folder: Path, name: Any) -> Path:
    """The file of that name, which must lie in the folder: a stranger's sidecar reads no others."""
    if not isinstance(name, str):
        raise ArgumentError(f"labels is {name!r}; it must be the name of a file")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArgumentError(f"labels is {name!r}, which does not lie beside the model")
    return path


def write_sidecar(model: str | os.PathLike[str], said: Mapping[str, Any]) -> Path:
    """Write the keys of `said` as the model's sidecar, and return its path.

    Raises ArgumentError as reading it again would.
    """
    path = sidecar_path(model)
    values = dict(said)
    if "labels" in values:
        values["labels"] = os.path.relpath(values["labels"], path.parent)
    checked(values, path.parent)
    lines = [f"# How pictures are fed to {Path(model).name}: x = (v - mean) * scale, v in 0..255."]
    # numbers, lists of them, and text look in TOML as they do in JSON
    lines += [
        f"{key} = {json.dumps(values[key], ensure_ascii=False)}" for key in KEYS if key in values
    ]
    with atomic_write(path) as file:
        file.write("\n".join([*lines, ""]).encode())
    return path


def sides(size: Any) -> tuple[int, int]:
    """(height, width) of a size that is one number or two."""
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(is_count(side) for side in pair):
        raise ArgumentError(f"size is {size!r}; it must be pixels: a side, or height and width")
    return int(pair[0]), int(pair[1])


def is_count(value: Any) -> bool:
    """Is this a whole number from 1 on?"""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= 1)


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The classes in a file, one a line, in the order of the network's output.

    The synset before ImageNet's names is left out. Raises ArgumentError for what is no such file.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except OSError as error:
        raise ArgumentError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{path}: holds no labels: it is not UTF-8 text") from error
    if not any(lines):
        raise ArgumentError(f"{path}: holds no labels")
    return tuple(SYNSET.sub("", line) for line in lines)
