"""The borders between the folders: who may import what, and what the files are called."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"engine": "oneiro", "kernels": "oneiro.kernels", "models": "oneiro.models"}
TOP_LEVEL = {
    *PACKAGES, "tests", "bench", "examples", ".ci", "setup.py", "pyproject.toml", "MANIFEST.in",
    "README.md", "LICENSE", "NOTICE", "SECURITY.md", ".gitignore",
}  # fmt: skip

# the only files, or folders, that may import what is named
HOMES = {
    "cupy": {"kernels/dispatch.py"},
    "cupyx": {"kernels/dispatch.py"},
    "onnx": {"engine/importer/", "engine/export/", "engine/runtime.py"},
    "google.protobuf": {"engine/importer/", "engine/export/"},  # onnx's own dependency
    "cv2": {"engine/methods/segmentation.py"},
    "PIL": {"engine/chart.py", "engine/drawing.py", "engine/image.py"},
    "click": {"engine/cli/", "engine/__main__.py"},
    "rich": {"engine/cli/", "engine/__main__.py", "engine/listing.py"},
    "filelock": {"models/download.py"},
    "jinja2": {"engine/report/"},
    "markupsafe": {"engine/report/"},  # Jinja2's own dependency
    "platformdirs": {"kernels/cache.py"},
    "pooch": {"models/download.py"},
    "requests": {"models/download.py"},  # pooch's own dependency
    "oneiro.models": {"engine/__init__.py", "engine/cli/"},
}
# at the top of a module: what `import oneiro` may need (the command line adds click and rich)
BASE = {*sys.stdlib_module_names, "numpy", "scipy", "onnx", "google", "PIL", "oneiro"}
COMMAND_LINE = {"click", "rich"}
COMPILER = {"numba", "llvmlite"}  # of *_numba.py, which only their twins import
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc"}


@dataclass(frozen=True)
class Import:
    """One imported name, in full: `from .blob import Blob` in engine/net.py is oneiro.blob.Blob."""

    name: str
    line: int
    relative: bool
    at_top: bool  # runs when the module is imported

    def reaches(self, package: str) -> bool:
        """Say whether this is `package` or something inside it."""
        return f"{self.name}.".startswith(f"{package}.")


def package_of(file: str) -> str:
    """Name the package that a file's relative imports start from: engine/layers/conv.py."""
    folder, *below = PurePosixPath(file).parent.parts or ("",)
    return ".".join([PACKAGES.get(folder, folder), *below])


def imports(file: str, source: str) -> Iterator[Import]:
    """Walk over every import of a file, those inside functions and type-checking blocks too."""

    def walk(node: ast.AST, at_top: bool) -> Iterator[Import]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                at_top = False
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                at_top = False
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, False, at_top)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                start = package_of(file).split(".")
                start = start[: len(start) - node.level + 1]
                origin = ".".join([*start, *([origin] if origin else [])])
            for alias in node.names:
                yield Import(f"{origin}.{alias.name}", node.lineno, bool(node.level), at_top)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_top)

    yield from walk(ast.parse(source), True)


def owner(name: str) -> str | None:
    """Name the folder of ours that a dotted name lives in, None if it is not ours."""
    if not f"{name}.".startswith("oneiro."):
        return None
    inside = [f for f in ("kernels", "models") if f"{name}.".startswith(f"oneiro.{f}.")]
    return inside[0] if inside else "engine"


def lives_in(file: str, homes: set[str]) -> bool:
    """Is it one of these files, or inside one of these folders?"""
    return any(file == home or (home.endswith("/") and file.startswith(home)) for home in homes)


def complaints(file: str, source: str) -> Iterator[str]:
    """Judge one file, named by its path from the root."""
    where = PurePosixPath(file)
    folder = where.parts[0]
    ours = folder in PACKAGES
    if where.stem in VAGUE:
        yield f"{file}: {where.stem} says nothing; name what the module is about"
    if not ast.get_docstring(ast.parse(source)):
        yield f"{file}: no docstring"
    for found in imports(file, source):
        at = f"{file}:{found.line}: {found.name}"
        root = found.name.split(".")[0]
        if not found.relative and root in PACKAGES:
            yield f"{at}: a second copy of every class; import oneiro…"
        if not ours:
            continue
        target = owner(found.name)
        for package, files in HOMES.items():
            if found.reaches(package) and target != folder and not lives_in(file, files):
                yield f"{at}: only {', '.join(sorted(files))} may import {package}"
        command_line = lives_in(file, HOMES["click"])
        compiled = file == "kernels/jit.py" or where.stem.endswith("_numba")
        allowed = BASE | (COMMAND_LINE if command_line else COMPILER if compiled else set())
        if (
            found.at_top
            and not compiled
            and any(n.endswith("_numba") for n in found.name.split("."))
        ):
            yield f"{at}: import it in the function that needs it"
        late = root not in allowed or (found.reaches("oneiro.models") and folder == "engine")
        if late and found.at_top:
            yield f"{at}: import it in the function that needs it"
        if found.reaches("oneiro.cli") and not command_line:
            yield f"{at}: nobody imports the command line"
        if target is None:
            continue
        if found.relative and target != folder:
            yield f"{at}: a relative import must not cross into {target}/"
        if not found.relative and target == folder:
            yield f"{at}: inside {folder}/ import relatively"
        if folder == "kernels" and target != "kernels":
            yield f"{at}: kernels/ stands below {target}/"
        method = where.parent.as_posix() == "engine/methods" and where.stem != "__init__"
        if method and found.reaches("oneiro.methods"):
            yield f"{at}: methods do not import each other; move the shared part down"


def python_files() -> list[str]:
    """List our Python files by their paths from the root."""
    folders = [*PACKAGES, "tests", "bench", "examples"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*files, ROOT / "setup.py"])


@pytest.mark.parametrize("file", python_files())
def test_no_file_crosses_a_border(file):
    assert list(complaints(file, (ROOT / file).read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("kernels/conv.py", "from oneiro.net import Net"),
        ("kernels/conv.py", "def f():\n    import oneiro"),
        ("kernels/conv.py", "from ..net import Net"),
        ("kernels/conv.py", "from oneiro.kernels.window import strips"),
        ("kernels/conv.py", "import cupy"),
        ("kernels/dispatch.py", "import cupy"),
        ("kernels/dispatch.py", "try:\n    import cupy\nexcept ImportError:\n    cupy = None"),
        ("engine/net.py", "from kernels.conv import conv"),
        ("engine/net.py", "from .kernels.conv import conv"),
        ("engine/net.py", "from . import kernels"),
        ("engine/net.py", "from oneiro.blob import Blob"),
        ("engine/net.py", "from oneiro import Blob"),
        ("engine/net.py", "def f():\n    from oneiro.models import find"),
        ("engine/net.py", "def f():\n    import onnx.numpy_helper"),
        ("engine/net.py", "def f():\n    from PIL import Image"),
        ("engine/net.py", "def f():\n    import rich.progress"),
        ("engine/net.py", "import threadpoolctl"),
        ("engine/net.py", "def f():\n    from .cli import main"),
        ("engine/__init__.py", "from oneiro.models import find"),
        ("engine/__init__.py", "def f():\n    from . import models"),
        ("engine/layers/conv.py", "from ..kernels import conv"),
        ("engine/layers/conv.py", "from oneiro.layer import Layer"),
        ("engine/methods/invert.py", "from .deepdream import octaves"),
        ("engine/methods/invert.py", "def f():\n    from . import deepdream"),
        ("engine/methods/invert.py", "from ..methods.deepdream import octaves"),
        ("models/registry.py", "from ..error import ModelError"),
        ("models/registry.py", "from oneiro.models import fetch"),
        ("models/registry.py", "import pooch"),
        ("models/registry.py", "def f():\n    import pooch"),
        ("models/download.py", "import requests"),
        ("engine/net.py", "def f():\n    import requests"),
        ("engine/cli/dream.py", "from oneiro.models import find"),
        ("engine/methods/__init__.py", "import numba"),
        ("tests/test_net.py", "import engine"),
        ("tests/test_net.py", "from models.registry import find"),
        ("engine/utils.py", "import math"),
    ],
)
def test_a_crossing_is_seen(file, line):
    assert list(complaints(file, f'"""Doc."""\n{line}\n'))


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("kernels/conv.py", "import numpy as np\nfrom .window import strips"),
        ("kernels/dispatch.py", "def f():\n    import cupy"),
        ("engine/net.py", "from oneiro.kernels.conv import conv\nfrom .blob import Blob"),
        ("engine/net.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("engine/plan/cpu.py", "def f():\n    import onnxruntime"),
        ("engine/__init__.py", "def f():\n    from oneiro.models import find"),
        ("engine/cli/dream.py", "import click\ndef f():\n    from oneiro.models import find"),
        ("engine/image.py", "from PIL import Image"),
        ("engine/importer/proto.py", "import onnx"),
        ("engine/layers/conv.py", "from oneiro.kernels import conv\nfrom ..layer import Layer"),
        ("engine/methods/invert.py", "from ..ascent import ascend"),
        ("engine/methods/__init__.py", "from .deepdream import deepdream"),
        ("models/registry.py", "from oneiro.error import ModelError\nfrom .fetch import fetch"),
        ("models/download.py", "def f():\n    import pooch"),
        ("tests/test_net.py", "import onnx\nimport torch\nfrom oneiro.models import find"),
    ],
)
def test_the_right_side_of_a_border_is_left_alone(file, line):
    assert list(complaints(file, f'"""Doc."""\n{line}\n')) == []


def test_a_file_without_a_docstring_is_seen():
    assert list(complaints("engine/net.py", "import math\n")) == ["engine/net.py: no docstring"]


def top_level() -> set[str]:
    """List what lies at the top of the repository; outside git, what an sdist does not add."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, env=env, check=True, capture_output=True, text=True
        )
        return {line.strip('"').partition("/")[0] for line in listing.stdout.splitlines()}
    added = ("PKG-INFO", "setup.cfg", "build", "*.egg-info", ".*", "__pycache__")
    entries = (p for p in ROOT.iterdir() if not any(p.match(pattern) for pattern in added))
    return {p.name for p in entries}


def test_the_top_level_is_fixed():
    assert top_level() - TOP_LEVEL == set()
