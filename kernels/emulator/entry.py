"""The kernels in a CUDA text: found, and given the ways in that entry.h describes."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

KERNEL = re.compile(r"\b__global__\b(?P<declaration>[^{;]*)[{;]")
BOUNDS = re.compile(r"\b__launch_bounds__\s*\(")
LINE_MARKER = re.compile(r"^#.*$", re.MULTILINE)

# g++ knows no arrays without a size, so they become pointers
ALIGNED = r"(?:__align__\s*\((?:[^()]|\([^()]*\))*\)\s*)?"
DYNAMIC_SHARED = re.compile(
    rf"\bextern\s+__shared__\s+{ALIGNED}(?P<type>\w+(?:[ :]+\w+)*)\s+"
    rf"{ALIGNED}(?P<name>\w+)\s*\[\s*\]\s*;"
)


class Kernel(NamedTuple):
    """A kernel as the text declares it."""

    name: str
    parameters: list[str]  # "const float* x"
    largest_block: str  # in C


def with_entries(text: str) -> str:
    """A preprocessed text as g++ takes it, with a way into each of its kernels behind it.

    As the names that it defines are already replaced, none of them can meet one of ours.
    """
    kernels = {kernel.name: kernel for kernel in map(declared, KERNEL.findall(text))}.values()
    shared = DYNAMIC_SHARED.sub(r"EMULATOR_DYNAMIC_SHARED(\g<type>, \g<name>);", text)
    entries = [f"EMULATOR_ENTRY({k.name}, ({k.largest_block}))" for k in kernels]
    parameters = json.dumps({kernel.name: kernel.parameters for kernel in kernels})
    return "\n".join(
        ['#include "cuda.h"', shared, *entries, f'EMULATOR_KERNELS(R"({parameters})")', ""]
    )


def declared(declaration: str) -> Kernel:
    """What stands between `__global__` and the body of a kernel."""
    rest = LINE_MARKER.sub("", declaration)
    largest_block = "1024"
    if bounds := BOUNDS.search(rest):
        end = closing(rest, bounds.end())
        largest_block = split(rest[bounds.end() : end])[0]
        rest = rest[: bounds.start()] + rest[end + 1 :]
    head, _, tail = rest.partition("(")
    return Kernel(head.split()[-1], split(tail[: closing(tail, 0)]), largest_block)


def closing(text: str, begin: int) -> int:
    """Where the parenthesis is closed that was opened just before `begin`."""
    depth = 1
    for place in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)  # g++ will say so


def split(text: str) -> list[str]:
    """The parts of a list, at the commas outside of parentheses."""
    parts = [""]
    depth = 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [" ".join(part.split()) for part in parts if part.strip()]
