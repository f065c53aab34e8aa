"""The kernels' README: its kernel works as it is told there, its tables say what is so."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import conv_cuda, nvrtc, sass
from oneiro.kernels.array import FUNCTIONS
from oneiro.kernels.dispatch import KERNELS, Kernel
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.symbol import TRANSLATIONS

ROOT = Path(__file__).parents[2]
KERNELS_FOLDER = ROOT / "kernels"
TEXT = (KERNELS_FOLDER / "README.md").read_text("utf-8")

# what stands in the files that the text names
FILES = re.findall(r"`([\w/]+\.(?:py|cu))`[^`]*:\n\n```\S+\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
NAME = re.compile(r"`([^`]+)`")


# The kernel that is written


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with what the README writes, and a package `oneiro` that holds it."""
    if shutil.which("g++") is None:
        pytest.skip("the emulator needs g++")
    root = tmp_path_factory.mktemp("checkout")
    link(ROOT, root, "bench", "models", "pyproject.toml")
    (root / "tests").mkdir()
    link_all(ROOT / "tests", root / "tests", but="kernels")
    for folder in ("tests/kernels", "kernels"):
        (root / folder).mkdir()
        link_all(ROOT / folder, root / folder, but="__init__.py")
    (root / "oneiro").mkdir()
    link_all(ROOT / "engine", root / "oneiro")
    link(root, root / "oneiro", "kernels", "models")
    shutil.copy(KERNELS_FOLDER / "__init__.py", root / "kernels")
    for name, text in FILES:
        with open(root / name, "a", encoding="utf-8") as file:
            file.write(text)
    return root


def link(source: Path, target: Path, *names: str) -> None:
    for name in names:
        (target / name).symlink_to(source / name)


def link_all(source: Path, target: Path, but: str = "") -> None:
    names = {path.name for path in source.iterdir()} - {"__pycache__", but}
    link(source, target, *names)


@functools.cache
def run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python command, once."""
    options = {"COLUMNS": "1000", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)} | options,
        capture_output=True,
        text=True,
    )


def test_the_readme_writes_files_and_gives_commands() -> None:
    assert [name for name, _ in FILES] == [
        "kernels/rms.py",
        "kernels/__init__.py",
        "tests/kernels/test_rms.py",
        "kernels/rms.cu",
        "rms_warp.cu",
    ]
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, checkout: Path) -> None:
    """Where a profiler stands in front, what it runs."""
    words = shlex.split(command)
    done = run(checkout, *words[words.index("python") + 1 :])
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def quoted(beginning: str) -> str:
    """The indented passage that begins so, as one line."""
    (found,) = re.findall(rf"\n    ({re.escape(beginning)}.*?)\n\n", TEXT, re.DOTALL)
    return " ".join(found.split())


def test_the_mistake_is_found_and_called_so(checkout: Path) -> None:
    path = checkout / "kernels" / "rms.cu"
    right = path.read_text()
    assert right.count("pixel >= pixels") == 1
    path.write_text(right.replace("pixel >= pixels", "pixel > pixels"))
    try:
        test = ("tests/kernels/test_cuda.py", "-k", "rms and check")
        done = run(checkout, "-m", "pytest", *test)
    finally:
        path.write_text(right)
    assert done.returncode == 1
    assert quoted("EmulatorError: rms:") in done.stdout


GRID = ("--grid", "(32 * pixels + 255) // 256")


def test_the_next_version_is_what_was_said(checkout: Path) -> None:
    done = run(checkout, "bench/kernels.py", "--try", "rms_warp.cu:rms", "--as", "rms", *GRID)
    assert "4 cases are right, 0 wrong, 0 not asked of it" in done.stdout
    if "not compiled" in done.stdout or nvrtc.version() != (13, 0):
        pytest.skip("registers are those of NVRTC 13.0")
    lines = re.findall(r"^    (sm_.*|rms as .*)$", TEXT, re.MULTILINE)
    assert len(lines) == 3
    assert set(lines) <= set(done.stdout.splitlines())


def test_lanes_that_leave_are_missed(checkout: Path) -> None:
    text = (checkout / "rms_warp.cu").read_text()
    condition = "pixel >= pixels"
    assert text.count(condition) == 1
    (checkout / "rms_lanes.cu").write_text(
        text.replace(condition, f"{condition} || lane >= channels")
    )
    done = run(checkout, "bench/kernels.py", "--try", "rms_lanes.cu:rms", "--as", "rms", *GRID)
    assert done.returncode == 1
    assert quoted("__shfl_xor_sync waits") in done.stdout


def test_the_machine_code_is_told(checkout: Path) -> None:
    try:
        nvrtc.version()
        sass.disassembler()
    except (nvrtc.MissingCompiler, sass.MissingDisassembler) as error:
        pytest.skip(str(error))
    (script,) = re.findall(r"told by\n\n```python\n(.*?)```", TEXT, re.DOTALL)
    done = run(checkout, "-c", script)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Usage\(registers=\d+, spills=0, stack=0, shared=0\)\nCounter", done.stdout)


# The tables


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column is called so."""
    (rows,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]*\n((?:\|.*\n)+)", TEXT, re.M)
    return [row.strip("|").split(" | ") for row in rows.splitlines()]


def owners() -> dict[str, str]:
    """Which module launches a .cu file."""
    texts = {path.name: path.read_text("utf-8") for path in KERNELS_FOLDER.glob("*.py")}
    return {
        cuda: module
        for module, text in texts.items()
        for cuda in re.findall(r'Source\("(.+?)"', text)
    }


@functools.cache
def launched(kernel: Kernel[..., Any]) -> frozenset[str]:
    """The files that a kernel's cases launch, by any of its versions."""
    device = Recorder()

    def placed(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return device.place(value.astype(np.float32) if value.dtype.kind == "f" else value)

    assert kernel.draw
    with np.errstate(all="ignore"):
        for case in kernel.draw(np.random.default_rng(0)):
            args = [placed(value) for value in case]
            kernel(*args)
            if kernel.name in conv_cuda.VERSIONS:
                for version in conv_cuda.suiting(kernel.name, *args):
                    conv_cuda.VERSIONS[kernel.name][version](*args)
    return frozenset(launch.name for launch in device.launches)


GENERIC = {"pointwise.py", "reduction.py", "matmul.py"}  # what others are made of
OWN = [
    (KERNELS[name], set(NAME.findall(files)))
    for names, files in table("kernels with CUDA of their own")
    for name in NAME.findall(names)
]
MADE = [
    (KERNELS[name], set(NAME.findall(files)))
    for names, files in table("kernels made of others")
    for name in NAME.findall(names)
]


@pytest.mark.parametrize(("kernel", "files"), OWN, ids=[f"{kernel}" for kernel, _ in OWN])
def test_kernels_with_cuda_of_their_own(kernel: Kernel[..., Any], files: set[str]) -> None:
    assert {name for name in launched(kernel) if owners()[name] not in GENERIC} == files


@pytest.mark.parametrize(("kernel", "modules"), MADE, ids=[f"{kernel}" for kernel, _ in MADE])
def test_kernels_made_of_others(kernel: Kernel[..., Any], modules: set[str]) -> None:
    found = {owners()[name] for name in launched(kernel)}
    if found != {"pointwise.py"}:
        found.discard("pointwise.py")  # casts and copies
    assert found == modules


def test_every_kernel_is_in_one_table() -> None:
    listed = [kernel for kernel, _ in OWN + MADE]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {kernel for kernel in KERNELS.values() if "device" in kernel.twins}


def functions(cell: str) -> list[Any]:
    """NumPy's functions of these names."""
    names = (name.split(".")[1:] for name in NAME.findall(cell) if name.startswith("np."))
    return [functools.reduce(getattr, name, np) for name in names]


def test_every_function_of_numpys_that_has_cuda_is_listed() -> None:
    rows = [
        (function, NAME.findall(module)[0])
        for names, module, _ in table("NumPy's functions")
        for function in functions(names)
    ]
    assert len(rows) == len(FUNCTIONS)
    assert dict(rows) == {function: home(answer) for function, answer in FUNCTIONS.items()}


def home(function: Any) -> str:
    """The module that a function, or what a partial calls, is from."""
    while isinstance(function, functools.partial):
        function = function.func
    return f"{function.__module__.rpartition('.')[2]}.py"


def test_what_runs_on_the_host_is_listed() -> None:
    rows = table("on the host")
    always = [cell for cell, when in rows if when.startswith("always")]
    kernels = set(NAME.findall(always[0]))
    assert kernels == {name for name, kernel in KERNELS.items() if "device" not in kernel.twins}
    assert set(functions(always[1])) == TRANSLATIONS.keys() - FUNCTIONS.keys()
    sometimes = {name for cell, when in rows if cell not in always for name in NAME.findall(cell)}
    assert sometimes == set(asked_of_the_host())


def asked_of_the_host() -> Iterator[str]:
    """What is there said to run on the host for some arguments: `conv.on_host(...)`."""
    for path in KERNELS_FOLDER.glob("*.py"):
        text = path.read_text("utf-8")
        yield from set(re.findall(r"(\w+)\.on_host\(", text)) & KERNELS.keys()
        yield from re.findall(r"\brun_on_host\((np\.\w+)", text)


def test_the_map_names_every_file() -> None:
    cells = [cell for cell, _ in table("files") if not cell.startswith("[")]
    named = [name for cell in cells for name in NAME.findall(cell) if name != ".cu"]
    assert len(set(named)) == len(named)
    there = {path.name for path in KERNELS_FOLDER.iterdir()}
    cuda = {name for _, files in OWN for name in files}
    assert cuda.isdisjoint(named)
    modules = {name for name in there if name.endswith((".py", ".cu", ".cuh"))} - {"__init__.py"}
    assert {*named, *cuda} == modules


def test_files_and_names_in_the_text_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (KERNELS_FOLDER / target).exists(), target
    written = {Path(name).name for name, _ in FILES}
    for name in NAME.findall(TEXT):
        if re.fullmatch(r"[\w/]+\.(py|cuh?)", name) and Path(name).name not in written:
            paths = (KERNELS_FOLDER / name, ROOT / name)
            assert any(path.exists() for path in paths) or name == "x.cu", name
