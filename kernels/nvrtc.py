"""CUDA text to machine code for a GPU, by NVRTC, NVIDIA's compiler in a library.

It needs neither a GPU nor CuPy: the library comes with the extras cuda12 and cuda13, as the package
nvidia-cuda-nvrtc alone, or in a CUDA toolkit. What was compiled is kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .cache import folder, keep
from .dispatch import DeviceError

log = logging.getLogger(__name__)

# no --use_fast_math, no -ftz: a division, a square root and a tiny number are IEEE's
OPTIONS = ("-std=c++17", "-default-device", "--ptxas-options=-v")


class CompileError(DeviceError):
    """The compiler refused a text: the first error in one line; `log` says everything."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class MissingCompiler(DeviceError):
    """NVRTC is not installed, or is too new for a GPU."""


class Usage(NamedTuple):
    """What one thread of a kernel takes; shared memory is a block's, and what is static of it."""

    registers: int
    spills: int  # bytes stored and loaded for want of registers
    stack: int  # bytes
    shared: int  # bytes


class Binary(NamedTuple):
    """A compiled text. For an architecture "compute_…" it is PTX, and says nothing of usage."""

    cubin: bytes
    ptx: bytes  # on the way to machine code
    log: str
    functions: dict[str, Usage]


def cubin(code: str, name: str, arch: str, options: Sequence[str] = ()) -> bytes:
    """What `compile` makes of the text, from the cache folder if it was there before."""
    parts = [code, *OPTIONS, *options, arch, *map(str, version())]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = folder() / "kernels" / f"{key}.cubin"
    with contextlib.suppress(OSError):
        return path.read_bytes()
    binary = compile(code, name, arch, options)
    keep(path, binary.cubin)
    return binary.cubin


def compile(code: str, name: str, arch: str, options: Sequence[str] = ()) -> Binary:
    """Machine code for `arch` ("sm_90a"), or PTX ("compute_90"), from the text of the file `name`.

    Raises CompileError, which names file and line, and MissingCompiler.
    """
    begun = time.perf_counter()
    library = nvrtc()
    program = ctypes.c_void_p()
    sources = (ctypes.byref(program), code.encode(), name.encode(), 0, None, None)
    check(library, library.nvrtcCreateProgram(*sources))
    try:
        arguments = [text.encode() for text in (f"--gpu-architecture={arch}", *OPTIONS, *options)]
        given = (ctypes.c_char_p * len(arguments))(*arguments)
        status = library.nvrtcCompileProgram(program, len(arguments), given)
        report = read(library, "ProgramLog", program).replace(b"\0", b"").decode(errors="replace")
        if status:
            fault = first_error(report) or f"{name}: {reason(library, status)}"
            versions = "{}.{}".format(*version())
            raise CompileError(f"{fault} ({arch}, NVRTC {versions})", report.strip())
        ptx = read(library, "PTX", program)
        data = read(library, "CUBIN", program) if arch.startswith("sm_") else ptx
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    binary = Binary(data, ptx, report.strip(), usages(report))
    seconds = time.perf_counter() - begun
    log.debug("%s compiled for %s in %.2f s: %s", name, arch, seconds, binary.functions)
    return binary


def read(library: Any, what: str, program: Any) -> bytes:
    """The log, the cubin or the PTX of a program."""
    size = ctypes.c_size_t()
    check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    data = ctypes.create_string_buffer(size.value)
    check(library, getattr(library, f"nvrtcGet{what}")(program, data))
    return data.raw


def check(library: Any, status: int) -> None:
    """Raise CompileError unless a call went well."""
    if status:
        raise CompileError(f"NVRTC fails: {reason(library, status)}", "")


def reason(library: Any, status: int) -> str:
    return library.nvrtcGetErrorString(status).decode()


FAULTS = [
    re.compile(
        r"^(?P<file>[^\n]+?)\((?P<line>\d+)\): (?:catastrophic )?error(?: #\S+)?: (?P<text>.+)",
        re.MULTILINE,
    ),
    re.compile(r"^(?P<text>(?P<file>nvrtc|ptxas)\b.*\berror\s*:.+)", re.MULTILINE),
]


def first_error(report: str) -> str | None:
    """The first error in a log, as `file:line: text`; of ptxas, which knows no lines, the text."""
    for fault in FAULTS:
        if found := fault.search(report):
            place = f"{found['file']}:{found['line']}: " if "line" in found.groupdict() else ""
            return f"{place}{found['text'].strip()}"
    return None


PROPERTIES = re.compile(
    r"Function properties for (?P<name>\w+)\s+"
    r"(?:ptxas [^\n]*?)?(?P<stack>\d+) bytes stack frame, "
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads\s+"
    r"[^\n]*Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?"
)


def usages(report: str) -> dict[str, Usage]:
    """What each kernel takes, from the log that ptxas wrote."""
    return {
        found["name"]: Usage(
            int(found["registers"]),
            int(found["stores"]) + int(found["loads"]),
            int(found["stack"]),
            int(found["shared"] or 0),
        )
        for found in PROPERTIES.finditer(report)
    }


def architecture(major: int, minor: int) -> str:
    """What to compile for, for a GPU of this compute capability: "sm_90a" for (9, 0).

    NVRTC may know no such GPU: then it is the machine code of its nearest forerunner of the same
    generation, which runs on it, or PTX, which the driver translates. Raises MissingCompiler for
    a GPU that NVRTC has stopped supporting.
    """
    own = 10 * major + minor
    known = architectures()
    if own == 90:
        return "sm_90a"  # wgmma and setmaxnreg are Hopper's alone
    if own < known[0]:
        versions = "{}.{}".format(*version())
        raise MissingCompiler(
            f"this GPU (sm_{own}) is too old for NVRTC {versions}, which begins with "
            f"sm_{known[0]}: pip uninstall cupy-cuda13x; pip install 'oneiro[cuda12]'"
        )
    nearest = max(number for number in known if number <= own)
    return f"{'sm' if nearest // 10 == major else 'compute'}_{nearest}"


@functools.cache
def architectures() -> tuple[int, ...]:
    """The architectures that NVRTC compiles for, oldest first: 75 for sm_75."""
    library = nvrtc()
    count = ctypes.c_int()
    check(library, library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    numbers = (ctypes.c_int * count.value)()
    check(library, library.nvrtcGetSupportedArchs(numbers))
    return tuple(sorted(numbers))


@functools.cache
def version() -> tuple[int, int]:
    """NVRTC's own: (13, 0)."""
    library = nvrtc()
    major, minor = ctypes.c_int(), ctypes.c_int()
    check(library, library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return major.value, minor.value


@functools.cache
def nvrtc() -> Any:
    """The library. Raises MissingCompiler where there is none.

    Of several it is the newest that the driver understands: code of CUDA 13 does not load on a
    driver of CUDA 12.
    """
    newest = driver_major()
    failures = []
    for major, path in sorted(libraries(), key=lambda found: -found[0]):
        if major > newest:
            failures.append(f"{path} is too new for a driver of CUDA {newest}")
            continue
        try:
            library = loaded(path)
        except OSError as error:
            failures.append(str(error))
            continue
        log.debug("NVRTC is %s", path)
        return library
    found = f" ({'; '.join(failures)})" if failures else ""
    raise MissingCompiler(
        "NVRTC, which compiles the kernels, is not installed: pip install 'oneiro[cuda13]' "
        f"(or 'oneiro[cuda12]' for a driver below 580){found}"
    )


def loaded(path: Path) -> Any:
    """One NVRTC, with the library of its built-in functions, which it would not find by itself."""
    windows = sys.platform == "win32"
    for builtins in path.parent.glob("nvrtc-builtins64_*" if windows else "libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(path))
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def libraries() -> Iterator[tuple[int, Path]]:
    """Every NVRTC in sight with its major version: NVIDIA's packages, then CUDA toolkits."""
    pattern = "nvrtc64_*_0.dll" if sys.platform == "win32" else "libnvrtc.so.*"
    for place in folders():
        for path in sorted(place.glob(pattern)):
            if found := re.search(r"(?:nvrtc64_|so\.)(\d\d)", path.name):
                yield int(found[1]), path


def folders() -> Iterator[Path]:
    """Where NVRTC may be."""
    spec = importlib.util.find_spec("nvidia")  # NVIDIA's packages share this one, without a file
    for package in (spec and spec.submodule_search_locations) or ():
        for name in ("cu13", "cuda_nvrtc"):
            yield from (Path(package, name, part) for part in ("lib", "bin/x86_64", "bin"))
    for toolkit in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), sys.prefix):
        if toolkit:
            yield from (Path(toolkit, part) for part in ("lib64", "lib", "bin/x64", "bin"))
    yield Path("/usr/local/cuda/lib64")
    yield from Path("/usr/lib").glob("*-linux-gnu")


def driver_major() -> int:
    """The newest CUDA that the driver knows; without a driver any will do."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return sys.maxsize
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    return number.value // 1000 or sys.maxsize
