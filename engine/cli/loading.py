"""What commands begin with: the network that is asked for, and where what they make goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import load
from ..error import ArgumentError
from ..executor import PRECISIONS, suits
from ..net import Net
from ..preprocess import PRESETS, WAY, Preprocess
from ..recipe import Recipe

EMBEDDED = "squeezenet1.1"


def load_net(model: str | None, photo: Path | str, made: Recipe | None = None, **fed: Any) -> Net:
    """The network asked for, or the one of a recipe, or the embedded one."""
    from oneiro.models import registry

    made_by = (made or {}).get("model", {})
    known = registry.recognize(made_by.get("sha256", ""))
    name = model or (known.name if known else made_by.get("name")) or EMBEDDED
    if made and not model and name not in registry.names():
        raise ArgumentError(f"the recipe's network {name!r} is not known: give its file, --model")
    fed["precision"] = fed["precision"] or precision_of(made)
    fed["executor"] = fed["executor"] or executor_of(made)
    net = load(name, **fed)
    way = made["model"].get("preprocessing") if made else None
    told = any(fed[key] is not None for key in (*WAY, "preprocess"))
    if made and way and not told and made["model"].get("sha256") == net.model.sha256:
        net.preprocessing = Preprocess(**way, source="recipe")
    if net.preprocessing is None:
        raise unfed(name, photo)
    return net


def unfed(name: str, photo: Path | str) -> ArgumentError:
    """What is said of a network of which nobody knows how it is fed."""
    return ArgumentError(
        f"{name}: how pictures are fed to this network is not known: give --preprocess "
        f"{'|'.join(PRESETS)}, or --mean, --scale and --order, as its author says; if it "
        f"classifies, `oneiro inspect {name} --photo {photo}` shows what it takes the photo "
        "for in each of the usual ways"
    )


def precision_of(made: Recipe | None) -> str:
    """How the convolutions of a recipe multiplied."""
    found = (made or {}).get("surroundings", {}).get("precision")
    return found if found in PRECISIONS else "auto"


def executor_of(made: Recipe | None) -> str:
    """Who computed a recipe's picture, where it can be had."""
    found = (made or {}).get("surroundings", {}).get("executor")
    name = found.partition(",")[0] if isinstance(found, str) else ""
    can = name == "numpy" or (name == "fast" and suits(np.dtype(np.float32)))
    return name if can else "auto"


def free_name(stem: str, suffix: str = ".png") -> Path:
    """A name in the current folder that is not taken: nothing is overwritten unasked."""
    names = (f"{stem}{suffix}" if k == 1 else f"{stem}-{k}{suffix}" for k in range(1, 10**6))
    return next(path for path in map(Path, names) if not path.exists())


def refuse_photo(out: Path | None, *photos: Path) -> None:
    """Raise UsageError where OUT is one of the photos: they are never overwritten."""
    if out and out.exists() and any(photo.exists() and out.samefile(photo) for photo in photos):
        raise click.UsageError(f"{out} is the photo itself: give what is drawn another name")
