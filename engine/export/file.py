"""Models as files: whole in one, or beside their weights where they are too large for that."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import onnx

from ..file import atomic_write
from .writer import LARGEST, check

ALIGNMENT = 4096  # of weights in a file of their own, so that they can be mapped
SMALL = 1024  # bytes of a tensor that stays in the model


class Weights:
    """Contents of tensors in a file of their own, each once, for one model or for several."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name  # by which models call the file, which lies beside them
        self.places: dict[bytes, tuple[int, int]] = {}  # offset and length, by sha256

    def keep(self, content: bytes) -> None:
        """Write what is not yet there, if it is worth a place."""
        key = hashlib.sha256(content).digest()
        if len(content) <= SMALL or key in self.places:
            return
        self.file.write(bytes(-self.file.tell() % ALIGNMENT))
        self.places[key] = self.file.tell(), len(content)
        self.file.write(content)

    def parted(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The model with a link in place of each tensor whose content is kept."""
        result = onnx.ModelProto()
        result.CopyFrom(model)
        for tensor in result.graph.initializer:
            place = self.places.get(hashlib.sha256(tensor.raw_data).digest())
            if place:
                tensor.ClearField("raw_data")
                tensor.data_location = onnx.TensorProto.EXTERNAL
                linked = {"location": self.name, "offset": place[0], "length": place[1]}
                for key, value in linked.items():
                    tensor.external_data.add(key=key, value=str(value))
        return result


def save_model(model: onnx.ModelProto, path: str | os.PathLike[str]) -> list[Path]:
    """Write a model; returns the files, two where it is above 2 GB, which no .onnx file can be.

    The second is called like the first with `.data` behind it, holds the weights, and belongs into
    the same folder. Raises OSError, and leaves nothing half written.
    """
    path = Path(path)
    if model.ByteSize() <= LARGEST:
        with atomic_write(path) as file:
            file.write(model.SerializeToString())
        return [path]
    beside = path.with_name(f"{path.name}.data")
    with atomic_write(beside) as file:
        weights = Weights(file, beside.name)
        for tensor in model.graph.initializer:
            weights.keep(tensor.raw_data)
    with atomic_write(path) as file:
        file.write(weights.parted(model).SerializeToString())
    check(os.fspath(path))
    return [path, beside]
