"""CUDA text beside this module: includes put in, names defined in front, launched where arrays are.

The same text, the same grid and the same arguments run on a GPU and in the emulator.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .array import DeviceArray
from .dispatch import Launch

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^#include "(?P<name>[^"]+)"', re.MULTILINE)
LARGEST = np.iinfo(np.int32).max

Grid = int | tuple[int, ...]
Defines = Mapping[str, Any]


class Source:
    """A file of CUDA kernels, `extern "C"` all of them.

    It may hold what it computes for several tiles or types: `launch` takes the names to define.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def text(self, defines: Defines | None = None) -> str:
        """The complete text, which depends on no other file. Errors in it name file and line."""
        return complete(self.name, tuple((defines or {}).items()))

    def launch(
        self,
        function: str,
        grid: Grid,
        block: Grid,
        args: tuple[Any, ...],
        *,
        defines: Defines | None = None,
        shared: int = 0,
    ) -> None:
        """Run `function` in `grid` blocks of `block` threads on the device of its arrays.

        An array is passed as its pointer, a Python int as an int32, a float as a float32, NumPy's
        numbers as what they are, None as a null pointer; the arguments in a tuple stand for
        themselves. `shared` is the dynamic shared memory in bytes. A grid of no blocks does
        nothing.
        """
        listed = tuple(flattened(args))
        device = next(arg.device for arg in listed if isinstance(arg, DeviceArray))
        blocks, threads = filled(grid), filled(block)
        if 0 not in blocks:
            values = [argument(self.name, arg) for arg in listed]
            code = self.text(defines)
            device.launch(Launch(self.name, code, function, blocks, threads, shared), values)


@functools.lru_cache(1024)
def complete(name: str, defines: tuple[tuple[str, Any], ...]) -> str:
    """The text of a file behind its defines."""
    lines = [f"#define {key} {value}" for key, value in defines]
    return "\n".join([*lines, included(name, set())])


def included(name: str, seen: set[str]) -> str:
    """The text of a file with the text of what it includes in place, each once."""
    text = (FOLDER / name).read_text("utf-8")

    def paste(found: re.Match[str]) -> str:
        if found["name"] in seen:
            return ""
        seen.add(found["name"])
        line = text.count("\n", 0, found.start()) + 2
        return f'{included(found["name"], seen)}\n#line {line} "{name}"'

    return f'#line 1 "{name}"\n{INCLUDE.sub(paste, text)}'


def flattened(args: tuple[Any, ...]) -> Iterator[Any]:
    """The arguments, with what tuples among them hold in their place."""
    for arg in args:
        if isinstance(arg, tuple):
            yield from flattened(arg)
        else:
            yield arg


def argument(name: str, value: Any) -> Any:
    """A value as the launch passes it on: memory of the device, or a number of C's size."""
    if isinstance(value, DeviceArray):
        if value.size > LARGEST:
            raise ValueError(f"{name}: an array of {value.size:,} elements: 2**31 are too many")
        return value.raw
    if isinstance(value, np.generic):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError(f"{name}: {value:,} does not fit into an int")
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value


def filled(sizes: Grid) -> tuple[int, int, int]:
    """Three axes, as launches take them."""
    x, y, z = (*((sizes,) if isinstance(sizes, int) else sizes), 1, 1)[:3]
    return x, y, z


def blocks(count: int, threads: int, most: int = 1 << 16) -> int:
    """How many blocks of `threads` cover `count` elements; beyond `most` a thread takes several."""
    return min(-(-count // threads), most)
