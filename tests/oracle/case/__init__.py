"""Layers with arrays to run them on: each family of operators in a module of its own."""

import functools
import importlib
import pkgutil
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from oneiro import importer  # noqa: F401  (fills the registry)
from oneiro.layer import LAYERS, Layer

PICTURE = (2, 3, 7, 11)

random = np.random.default_rng(0)


class Case(NamedTuple):
    """A layer, what it reads, and which of that has a diff.

    `towards` is empty where nothing goes back. A bottom that is neither in `towards` nor among
    the layer's `numbers` is a constant of the trace.
    """

    layer: Layer
    bottoms: Sequence[Any]
    towards: Sequence[int] = (0,)


def normal(*shape: int) -> np.ndarray:
    return random.normal(size=shape)


def apart(*shape: int) -> np.ndarray:
    """Values far from 0 and from each other: no kink lies within the step of the check."""
    count = int(np.prod(shape))
    values = (random.permutation(count) + 1.0) / count * 3
    return (values * random.choice([-1, 1], count)).reshape(shape)


def make(name: str, *, asked: int = 1, **attributes: Any) -> Layer:
    """The layer of that ONNX operator, of which `asked` tops are read."""
    layer = LAYERS[name](**attributes)
    layer.asked = asked
    return layer


@functools.cache
def every() -> dict[str, Case]:
    """All cases of all families, each by its operator and a number of its own."""
    families = [module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")]
    named: dict[str, Case] = {}
    seen: Counter[str] = Counter()
    for case in (c for name in families for c in importlib.import_module(name).cases()):
        operator = type(case.layer).__name__
        named[f"{operator}-{seen[operator]}"] = case
        seen[operator] += 1
    return named
