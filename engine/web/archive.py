"""onnxruntime-web, which runs models in browsers, as its makers publish it on npm."""

from __future__ import annotations

import os
import tarfile
from typing import NamedTuple

from ..error import ModelError


class Archive(NamedTuple):
    """A file that is fetched once."""

    name: str
    file: str
    bytes: int
    sha256: str
    urls: tuple[str, ...]


VERSION = "1.30.0"
ARCHIVE = Archive(
    name=f"onnxruntime-web {VERSION}",
    file=f"onnxruntime-web-{VERSION}.tgz",
    bytes=33_106_585,
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    urls=(f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",),
)
FILES = (  # for WASM, and for WebGPU beside it
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)


def unpacked(archive: str | os.PathLike[str]) -> dict[str, bytes]:
    """{name: content} of the FILES in it; raises ModelError where one is missing."""
    found = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            content = (
                tar.extractfile(member) if name in FILES and folder == "package/dist" else None
            )
            if content:
                found[name] = content.read()
    for name in FILES:
        if name not in found:
            raise ModelError(f"{archive}: there is no dist/{name} in it")
    return found
