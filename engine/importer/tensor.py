"""Tensors as arrays, from the file and from the weights beside it: sizes are checked first."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from oneiro.kernels.dispatch import Array

from ..error import ModelError

# elements of less than a byte: how many of them one byte holds
PACKED = {
    getattr(TensorProto, name): per_byte
    for name, per_byte in (
        ("UINT4", 2), ("INT4", 2), ("FLOAT4E2M1", 2), ("UINT2", 4), ("INT2", 4),
    )
    if hasattr(TensorProto, name)
}  # fmt: skip


class Weights:
    """The tensors of one model: their arrays, their bytes so far, and the hash of what was read.

    `folder` is the model's. Weights of their own must be plain files inside it, no links; with
    `weights_dir` links are followed as long as they end inside that folder, and weights that
    are not beside the model are looked for there.
    """

    def __init__(
        self,
        folder: Path,
        weights_dir: Path | None,
        max_bytes: int,
        digest: hashlib._Hash,
    ) -> None:
        self.folder = folder
        self.weights_dir = weights_dir
        self.max_bytes = max_bytes
        self.digest = digest
        self.total = 0

    def array(self, tensor: TensorProto) -> Array:
        """The values of a tensor, in its own type."""
        try:
            count = self.counted(tensor)
            if tensor.data_location == TensorProto.EXTERNAL:
                return self.external(tensor, size_in_bytes(tensor, count))
            if tensor.data_type == TensorProto.STRING:
                return np.array(tensor.string_data, object).reshape(tuple(tensor.dims))
            if tensor.HasField("raw_data") and len(tensor.raw_data) != size_in_bytes(tensor, count):
                text = f"{len(tensor.raw_data):,} bytes do not make {list(tensor.dims)}"
                raise ValueError(text)
            return numpy_helper.to_array(tensor)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"tensor {tensor.name!r}: {error}") from error

    def counted(self, tensor: TensorProto) -> int:
        """How many elements the tensor has, within the limit."""
        if any(size < 0 for size in tensor.dims):
            raise ValueError(f"has a negative size: {list(tensor.dims)}")
        count = math.prod(tensor.dims)
        self.count(size_in_bytes(tensor, count))
        return count

    def count(self, size: int) -> None:
        """Add to the bytes that the constants take; ValueError when these are too many."""
        self.total += size
        if self.total > self.max_bytes:
            text = f"the constants up to here take {self.total:,} bytes"
            raise ValueError(f"{text}, more than max_bytes={self.max_bytes:,}")

    def external(self, tensor: TensorProto, size: int) -> Array:
        """The values of a tensor whose bytes lie in a file of their own."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        offset = number(entries.get("offset", "0"), "offset")
        length = number(entries.get("length", str(size)), "length")
        if length != size:
            raise ValueError(f"length {length:,} does not fit {list(tensor.dims)}: {size:,} bytes")
        data = self.read(self.found(location), offset, size)
        self.digest.update(data)
        if tensor.data_type in PACKED:
            inside = TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=data)
            return numpy_helper.to_array(inside)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).newbyteorder("<")
        return np.frombuffer(data, dtype).reshape(tuple(tensor.dims))

    def found(self, location: str) -> Path:
        """The file of that name beside the model, if it may be read."""
        inside = PurePosixPath(location)
        climbs = ".." in inside.parts or "\\" in location or "\0" in location
        if not location or climbs or inside.is_absolute() or PureWindowsPath(location).drive:
            raise ValueError(f"its weights lie at {location!r}, which is not inside the folder")
        path = self.folder.resolve() / inside
        if self.weights_dir is None:
            if path.resolve() != path:
                raise ValueError(
                    f"its weights {location!r} are a link: give weights_dir, the folder that "
                    "they may lie in, if you trust it"
                )
            return path
        root = self.weights_dir.resolve()
        path = (path if path.exists() else root / inside).resolve()
        if not path.is_relative_to(root):
            raise ValueError(f"its weights {location!r} lie outside of weights_dir={root}")
        return path

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """That many bytes of a plain file."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise ValueError(f"its weights {path.name!r} are no regular file")
                if status.st_nlink > 1 and self.weights_dir is None:
                    raise ValueError(
                        f"its weights {path.name!r} have a second name (a hard link): "
                        "give weights_dir, the folder that they may lie in, if you trust it"
                    )
                if offset + size > status.st_size:
                    text = f"{offset + size:,} bytes are read of {path.name!r}"
                    raise ValueError(f"{text}, which has {status.st_size:,}")
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise ValueError(f"its weights {path.name!r}: {error.strerror or error}") from error


def size_in_bytes(tensor: TensorProto, count: int) -> int:
    """What that many elements take in a file."""
    if tensor.data_type == TensorProto.STRING:
        return sum(len(text) for text in tensor.string_data)
    if tensor.data_type in PACKED:
        return -(-count // PACKED[tensor.data_type])
    return count * np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize


def number(text: str, key: str) -> int:
    """A size in external data: decimal digits alone."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"its {key} {text[:40]!r} is no number of bytes")
    return int(text)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """float16, float32, float64, and the short ones that are not NumPy's own."""
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))
