"""CUDA text made into a shared library by g++, which is kept for the next time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import cache
from ..dispatch import DeviceError
from .entry import with_entries

FOLDER = Path(__file__).parent
HEADERS = "/emulator"  # where debug information says that our headers are
UNNAMED = "kernel.cu"  # what errors call a text in which no #line says otherwise

COMMON = [
    *("-std=c++17", "-xc++", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    *("-fno-gnu-unique", "-fno-strict-aliasing", "-fno-math-errno", "-ffp-contract=off", "-w"),
    # lines without variables; of DWARF 5, addr2line 2.40 gives some the name of the whole text
    *("-g1", "-gdwarf-4"),
]
FLAGS = {
    "fast": ["-O2"],
    "check": [
        "-O1",
        "-fno-optimize-sibling-calls",  # so that every call returns to its line
        "-fsanitize=thread,alignment,bounds,signed-integer-overflow,integer-divide-by-zero",
        "--param=tsan-instrument-func-entry-exit=0",
    ],
    "machine": ["-O3", "-g0"],  # errors lie in kernels: its lines would be most of each library
}

# for the linker: the zeroed variables of a kernel, which are its shared arrays, stand together
SHARED = """
SECTIONS {
  emulator_shared (NOLOAD) : {
    HIDDEN(emulator_shared_begin = .);
    *kernel.o(.bss .bss.*)
    HIDDEN(emulator_shared_end = .);
  }
} INSERT BEFORE .bss;
"""

COMPLAINT = re.compile(r"^(?P<place>.*?:\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$", re.M)


class EmulatorError(DeviceError):
    """A kernel that does not compile, or did what it must not do; or there is no compiler."""


def library(code: str, mode: str) -> Path:
    """The shared library made of a CUDA text; modes are "fast" and "check"."""
    path = kept(f"{key(code, mode)}.so")
    if not path.exists():
        machine = machine_object()
        with workshop(path) as folder:
            text = with_entries(preprocessed(code))
            compiled(text, mode, folder / "kernel.o")
            (folder / "shared.ld").write_text(SHARED)
            link = ["-shared", "-Wl,-T,shared.ld", "kernel.o", str(machine), "-o", path.name]
            gcc(link, folder=folder)
    return path


def machine_object() -> Path:
    """What runs the kernels, as an object file that every library contains."""
    text = '#include "runtime.h"\n'
    path = kept(f"{key(text, 'machine')}.o")
    if not path.exists():
        with workshop(path) as folder:
            compiled(text, "machine", folder / path.name)
    return path


def preprocessed(code: str) -> str:
    return gcc(["-E", "-xc++", "-DCUDA_EMUL", "-"], f'#line 1 "{UNNAMED}"\n{code}')


def compiled(text: str, mode: str, target: Path) -> None:
    """Compile a text into the object file `target`."""
    folder = target.parent
    names = [f"-ffile-prefix-map={FOLDER}={HEADERS}", f"-ffile-prefix-map={folder}=."]
    gcc([*COMMON, *FLAGS[mode], *names, f"-I{FOLDER}", "-c", "-", "-o", target.name], text, folder)


# -- g++ -------------------------------------------------------------------------------------------


def gcc(arguments: list[str], text: str = "", folder: Path | None = None) -> str:
    """Run g++ on a text, in a folder; EmulatorError says its first error."""
    done = subprocess.run(
        [compiler()[0], *arguments],
        input=text,
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode:
        found = COMPLAINT.search(done.stderr)
        said = f"{found['place']}: {found['what']}" if found else done.stderr.strip()
        raise EmulatorError(f"the kernel does not compile: {said}")
    return done.stdout


@functools.cache
def compiler() -> tuple[str, str]:
    """The path of g++, and what it says of itself."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        here = f"{sys.platform} on {platform.machine()}"
        raise EmulatorError(f"the emulator runs on Linux on x86_64, not on {here}")
    path = shutil.which("g++")
    if path is None:
        raise EmulatorError("the emulator needs g++ and finds none: install g++ (and binutils)")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return path, version.stdout.partition("\n")[0]


# -- what is kept ----------------------------------------------------------------------------------


def kept(name: str) -> Path:
    """Where a file of this name is kept."""
    return cache.folder() / "emulator" / name


@contextlib.contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """A folder in which to build a file of the name of `path`, which then appears there, whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            yield Path(folder)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise EmulatorError(
            f"{path} cannot be written: {error.strerror or error}; "
            "the variable ONEIRO_CACHE names another folder"
        ) from error


def key(text: str, mode: str) -> str:
    """A name that changes with everything a library is made from."""
    parts = [text, mode, *compiler(), *own_files()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@functools.cache
def own_files() -> list[str]:
    """What stands in the headers, and in what puts them and a text together."""
    paths = [*sorted(FOLDER.glob("*.h")), FOLDER / "entry.py", FOLDER / "compiler.py"]
    return [path.read_text("utf-8") for path in paths]
