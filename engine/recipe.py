"""What a picture was made with: enough to make it again, and to tell why it came out otherwise."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.tuning import tuning

from .error import ArgumentError
from .executor import described, version
from .net import Net
from .preprocess import WAY

Recipe = dict[str, Any]


def make_recipe(
    net: Net, method: str, parameters: Mapping[str, Any], pictures: Mapping[str, Array]
) -> Recipe:
    """The network, the parameters, the pictures by their sha256, and the surroundings.

    Holds no clock and no path, so that the same work gives the same bytes.
    """
    net.known_preprocessing()
    return {
        "method": method,
        "model": origin(net),
        "parameters": {
            # JSON knows no numbers of NumPy's, such as an argmax
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in parameters.items()
        },
        "pictures": {name: digest(picture) for name, picture in pictures.items()},
        "surroundings": surroundings(net),
    }


def origin(net: Net) -> dict[str, Any]:
    """The network of a recipe, and how it is fed where that is known."""
    way = net.preprocessing
    fed = way and json.loads(json.dumps({key: getattr(way, key) for key in WAY}))
    return {"name": net.model.name, "sha256": net.model.sha256, "preprocessing": fed}


def amended(recipe: Recipe | None, method: str, **parameters: Any) -> Recipe:
    """The recipe of a method that is made of another one, with more parameters."""
    made = recipe or {}
    return made | {"method": method, "parameters": made.get("parameters", {}) | parameters}


def digest(picture: Array) -> str:
    """sha256 of a picture's shape and values."""
    values = np.ascontiguousarray(picture, np.float32)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def surroundings(net: Net) -> dict[str, str]:
    """What the last bit of a result may depend on."""
    table = tuning(net.device) if net.device else None
    return {
        "oneiro": importlib.metadata.version("oneiro"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": importlib.metadata.version("scipy"),
        "machine": f"{platform.system()} {platform.machine()}",
        "blas": blas(),
        "dtype": str(net.dtype),
        "device": ", ".join([str(net.device), *net.device.fingerprint]) if net.device else "cpu",
        "executor": "" if net.device else executor(net),
        "precision": net.precision,
        "tuning": table.digest if table else "",
    }


def executor(net: Net) -> str:
    """Who makes the calls of a Plan on the host."""
    if net.provider:
        return f"{net.provider}, {version('onnxruntime')}"
    return described(net.executor)


def blas() -> str:
    """The matrix library with its threads, which decide how sums round."""
    try:
        import threadpoolctl
    except ImportError:
        return f"{os.cpu_count()} cores"
    found = (
        f"{pool['internal_api']} {pool.get('version')} {pool.get('architecture', '')} "
        f"{pool['num_threads']} threads"
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    )
    return "; ".join(sorted(set(found)))


def checked(made: Recipe, path: str | os.PathLike[str], method: str = "deepdream") -> Recipe:
    """The recipe in the file `path`, of a method, with every part that running it again reads.

    Raises ArgumentError for one of another method, a broken one, and one with an objective written
    in Python.
    """
    parts = {
        name: made.get(name, {}) for name in ("model", "parameters", "pictures", "surroundings")
    }
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise ArgumentError(f"{path}: its recipe is broken: {name} is {part!r}")
    if made.get("method") != method:
        raise ArgumentError(f"{path}: its recipe is not one of {method!r}")
    objective = parts["parameters"].get("objective")
    if objective:
        raise ArgumentError(f"{path}: its objective {objective!r} is a function of Python")
    size = parts["parameters"].get("size", 1)
    fed = parts["model"].get("preprocessing", {})
    for name, value, fits in (
        ("size", size, is_size(size, one=method != "maximize")),
        ("model", parts["model"], isinstance(parts["model"].get("name", ""), str)),
        ("preprocessing", fed, isinstance(fed, dict) and fed.keys() <= {*WAY}),
    ):
        if not fits:
            raise ArgumentError(f"{path}: its recipe is broken: {name} is {value!r}")
    return made | parts


def is_size(size: Any, one: bool) -> bool:
    """A side in pixels, or height and width."""
    listed = [size] if one or not isinstance(size, list) else size
    return len(listed) in (1, 2) and all(type(side) is int and side >= 1 for side in listed)


def mismatches(made: Recipe, again: Recipe) -> list[str]:
    """In what two recipes of one method differ, a line each; parameters apart."""
    lines = []
    for part in ("model", "pictures", "surroundings"):
        old, new = made.get(part, {}), again.get(part, {})
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                lines.append(f"{part} {key}: made with {short(old, key)}, now {short(new, key)}")
    return lines


def short(part: Mapping[str, Any], key: str) -> str:
    """A value of a recipe; of a digest the beginning tells enough."""
    text = str(part.get(key))
    return text[:12] if len(text) == 64 else text
