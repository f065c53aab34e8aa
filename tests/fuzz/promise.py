"""What must hold for any file: it loads and runs, or one clear line says why not."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneiro import Net, OneiroError
from oneiro.inspection import inspect
from oracle.small import SHAPE

LIMIT = 1 << 22  # bytes of the file, of its constants, and of each blob


def attempt(path: Path) -> None:
    """Read a model and run it as far as a small picture goes; anything but an answer is raised."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            # to look for a GPU and for packages takes as long as a small file
            use(Net(path, device="cpu", executor="numpy", max_bytes=LIMIT))
        except OneiroError as error:
            text = str(error)
            assert text.isprintable(), f"not one line of text: {text!r}"


def use(net: Net) -> None:
    """Look at shapes, run forward and backward; what was foreseen is what comes."""
    inputs = {name: example(*declared) for name, declared in net.model.inputs.items()}
    foreseen = net.reachable_shapes({name: array.shape for name, array in inputs.items()})
    inspect(net, *SHAPE[2:])
    tops = net.forward(inputs)
    for name, shape in foreseen.items():
        blob = net.blobs[name]
        known = all(isinstance(size, int) for size in shape)
        assert not known or blob.shape in (None, shape), f"{name}: {blob.shape}, not {shape}"
    for starts in (net.outputs, net.outputs[-1:]):
        for name in net.blobs.keys() & starts:
            net.blobs[name].diff = np.ones_like(tops[name])
        net.backward(starts)


def example(dtype: np.dtype[Any], sizes: Sequence[int | None]) -> np.ndarray:
    """A small array of that type: of the declared shape, where that is small enough."""
    shape = [size or (*SHAPE, 2)[min(axis, 4)] for axis, size in enumerate(sizes)]
    if len(shape) > 8 or math.prod(shape) > 10_000:
        shape = [min(size, 2) for size in shape[:8]]
    return np.resize([1, 0, 2, -1], shape).astype(dtype)
