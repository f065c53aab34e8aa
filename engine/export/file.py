"""Models as files: whole in one, or beside their weights where they are too large for that."""

from __future__ import annotations

import os
from pathlib import Path

import onnx

from ..file import atomic_write
from .writer import LARGEST, check

ALIGNMENT = 4096  # of weights in a file of their own, so that they can be mapped
SMALL = 1024  # bytes of a tensor that stays in the model


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
    parted = onnx.ModelProto()
    parted.CopyFrom(model)
    with atomic_write(beside) as weights:
        for tensor in parted.graph.initializer:
            if len(tensor.raw_data) > SMALL:
                weights.write(bytes(-weights.tell() % ALIGNMENT))
                place = {"location": beside.name, "offset": weights.tell()}
                place["length"] = weights.write(tensor.raw_data)
                tensor.ClearField("raw_data")
                tensor.data_location = onnx.TensorProto.EXTERNAL
                for key, value in place.items():
                    tensor.external_data.add(key=key, value=str(value))
    with atomic_write(path) as file:
        file.write(parted.SerializeToString())
    check(os.fspath(path))
    return [path, beside]
