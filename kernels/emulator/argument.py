"""What the parameters of a kernel take: arrays of NumPy, and numbers of exactly C's type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# how the module `struct` writes a number of each type into a slot of eight bytes
SLOTS = {
    "b1": "?7x", "i1": "b7x", "u1": "B7x", "i2": "h6x", "u2": "H6x", "i4": "i4x", "u4": "I4x",
    "i8": "q", "u8": "Q", "f4": "f4x", "f8": "d",
}  # fmt: skip
ADDRESS = "Q"
ALSO = {
    "u1": np.dtype(bool),
    "u2": np.dtype(np.float16),
}  # arrays whose bits a kernel reads as such


class Parameter:
    """A parameter of a kernel, which checks what is passed for it.

    `text` is how the kernel writes it. `code` is what the compiler makes of its type: "f4" for a
    float, "*f4" for a float*, "const*f4" for a const float*.
    """

    def __init__(self, kernel: str, number: int, text: str, code: str) -> None:
        qualifier, star, kind = code.rpartition("*")
        self.text = text
        self.name = f"{kernel}: args[{number}] ({text})"
        self.is_pointer = bool(star)
        self.is_const = qualifier == "const"
        self.dtype = np.dtype(kind) if kind in SLOTS else None  # None: a pointer to anything
        self.also = ALSO.get(kind, self.dtype)
        if self.dtype is None and not self.is_pointer:
            raise TypeError(f"{self.name} is neither a number nor a pointer")
        self.slot = ADDRESS if self.is_pointer else SLOTS[kind]

    def value(self, given: Any) -> Any:
        """What goes into the slot: an address, or the number itself."""
        if self.is_pointer:
            return 0 if given is None else self.address(given)
        assert self.dtype is not None
        if not isinstance(given, self.dtype.type):
            raise TypeError(f"{self.name} takes numpy.{self.dtype}, got {described(given)}")
        return given

    def address(self, given: Any) -> int:
        """The address of an array's first element."""
        if not isinstance(given, np.ndarray):
            raise TypeError(f"{self.name} takes an array, got {described(given)}")
        if self.dtype is not None and given.dtype not in (self.dtype, self.also):
            raise TypeError(f"{self.name} takes {self.dtype}, got {described(given)}")
        if not (self.is_const or given.flags.writeable):
            raise TypeError(f"{self.name} may be written, got a read-only array")
        address: int = given.__array_interface__["data"][0]
        return address


def described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"{type(value).__name__} {value!r}"


def memory(array: Array) -> tuple[int, int]:
    """Where the memory begins and ends that an array is a view of: all of it may be used."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    begin, end = np.lib.array_utils.byte_bounds(array)
    return (begin, end) if array.size else (begin, begin)


def merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of memory without overlaps, in order."""
    result: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if result and begin < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return result
