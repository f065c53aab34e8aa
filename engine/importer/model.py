"""What a reading ends in."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer

MAX_BYTES = 1 << 34  # what a file, its constants and each blob may take unless the user says so
MAX_NODES = 100_000


class ModelWarning(UserWarning):
    """A file is not as it should be, and is taken all the same."""


class Node(NamedTuple):
    """A layer in its place: the names of what it reads (None where left out) and makes."""

    name: str
    layer: Layer
    bottoms: tuple[str | None, ...]
    tops: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Model:
    """What an .onnx file says, with everything that depends on constants alone worked out."""

    name: str
    sha256: str  # of the file, and of the weights that lie beside it
    opset: int
    producer: str
    nodes: list[Node]
    constants: dict[str, Array]
    inputs: dict[str, tuple[np.dtype[Any], tuple[int | None, ...]]]  # type and declared sizes
    outputs: list[str]
    turned: dict[str, str]  # input (n, c, h, w) -> the blob that holds it as the file has it
    max_bytes: int
