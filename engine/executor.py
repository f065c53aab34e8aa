"""Who makes a Plan's calls on the CPU: NumPy, or onnxruntime and Numba, which are faster."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from oneiro.kernels import crew
from oneiro.kernels.dispatch import PRECISIONS as DEVICE_PRECISIONS

from .error import ArgumentError

EXECUTORS = ("auto", "numpy", "fast")
# of convolutions: as sums of float32, on the CPU perhaps by Winograd's way ("auto"), surely not
# ("exact"), or, on a device, with fewer bits
PRECISIONS = ("auto", *DEVICE_PRECISIONS)
NEEDED = ("onnxruntime", "numba")  # by the fast one


def is_installed(name: str) -> bool:
    """Can the package be imported here?"""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # some finders say it so
        return False


def suits(dtype: np.dtype[Any]) -> bool:
    """Is the fast executor what "auto" means for this type?"""
    return dtype == np.float32 and all(map(is_installed, NEEDED))


def chosen_executor(name: str, dtype: np.dtype[Any]) -> str:
    """ "numpy" or "fast"; raises ArgumentError for an executor that cannot be had."""
    if name not in EXECUTORS:
        raise ArgumentError(f"executor {name!r} is not one of {', '.join(EXECUTORS)}")
    if name == "auto":
        return "fast" if suits(dtype) else "numpy"
    if name == "fast":
        if dtype != np.float32:
            raise ArgumentError("executor 'fast' computes in float32: take executor='numpy'")
        missing = [package for package in NEEDED if not is_installed(package)]
        if missing:
            raise ArgumentError(
                f"executor 'fast' needs {' and '.join(missing)}: pip install 'oneiro[cpu]'"
            )
    return name


def described(name: str) -> str:
    """An executor with what its last bits depend on."""
    if name == "numpy":
        return name
    return ", ".join([name, *map(version, NEEDED), f"{crew.threads()} threads"])


def version(package: str) -> str:
    """A package and its version, whatever brings it: onnxruntime comes under several names."""
    return f"{package} {importlib.metadata.version(distributions()[package][0])}"


@functools.cache
def distributions() -> Mapping[str, list[str]]:
    """What brings each package; looked for once, as that takes a while."""
    return importlib.metadata.packages_distributions()
