"""The package: what it ships, what it needs, and that there is one copy of it."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import oneiro

ROOT = Path(__file__).parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSION = METADATA["project"]["version"]
PACKAGES = {"engine": "oneiro", "kernels": "oneiro/kernels", "models": "oneiro/models"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def build(kind: str, source: Path, target: Path) -> Path:
    """Call the build backend of pyproject.toml as pip does, without a network."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """A source distribution, built from a copy: a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("source") / "copy"
    copy.mkdir()
    for entry in (*PACKAGES, "tests", "bench", "examples"):
        if (ROOT / entry).is_dir():
            shutil.copytree(
                ROOT / entry, copy / entry, ignore=shutil.ignore_patterns("__pycache__")
            )
    for file in ROOT.iterdir():
        if file.suffix in {".py", ".toml", ".md", ".in"} or file.name in {"LICENSE", "NOTICE"}:
            shutil.copy(file, copy)
    return build("sdist", copy, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """A wheel, built from what the source distribution holds and nothing else."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def shipped(wheel):
    """The names in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(folder: str, *suffixes: str) -> set[str]:
    """List the files of a folder as the wheel calls them."""
    return {
        f"{PACKAGES[folder]}/{path.relative_to(ROOT / folder).as_posix()}"
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_wheel_holds_every_module_and_every_data_file(shipped, folder):
    wanted = tracked(folder, ".py", ".onnx", ".toml", ".txt", ".cu", ".cuh", ".h", ".typed")
    wanted |= tracked(folder, ".css", ".j2", ".js")
    assert f"{PACKAGES[folder]}/__init__.py" in wanted
    assert wanted - shipped == set()


def test_the_wheel_holds_the_networks_their_licences_and_the_type_marker(shipped):
    assert "oneiro/py.typed" in shipped
    for name in ("squeezenet1.1", "vgg16_conv4_2"):
        assert f"oneiro/models/{name}.onnx" in shipped
    for name in ("LICENSE", "NOTICE"):
        assert f"oneiro-{VERSION}.dist-info/licenses/{name}" in shipped
    texts = (
        "squeezenet1.1.LICENSE-MIT",
        "squeezenet1.1.LICENSE-BSD-2",
        "synset_words.LICENSE",
        "vgg16_conv4_2.LICENSE-MIT",
        "vgg16_conv4_2.LICENSE-CC-BY-4.0",
    )
    for text in texts:
        assert f"oneiro/models/{text}.txt" in shipped
        assert f"oneiro-{VERSION}.dist-info/licenses/models/{text}.txt" in shipped


def test_the_wheel_holds_nothing_else(shipped):
    assert {name.partition("/")[0] for name in shipped} == {"oneiro", f"oneiro-{VERSION}.dist-info"}
    assert not [name for name in shipped if "setup.py" in name or "/test" in name]


def test_the_sdist_holds_the_tests_the_texts_and_the_photographs(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/test_package.py", "examples/mountains.jpg", "examples/LICENCES.md"} <= names
    assert {"README.md", "SECURITY.md", "LICENSE", "NOTICE", "setup.py", "pyproject.toml"} <= names
    assert {"kernels/README.md", "kernels/emulator/README.md"} <= names


def test_the_wheel_says_what_pyproject_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        said = Parser().parsestr(
            archive.read(f"oneiro-{VERSION}.dist-info/METADATA").decode("utf-8")
        )
    assert said["Version"] == VERSION == oneiro.__version__
    assert said["License-Expression"] == "MIT"
    assert said["Requires-Python"] == ">=3.11"
    base = [need for need in said.get_all("Requires-Dist") if "extra ==" not in need]
    assert base == METADATA["project"]["dependencies"]
    assert not any("onnxruntime" in need for need in base)


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_folder_refuses_to_be_imported_by_its_own_name(folder):
    done = python("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {folder}")
    assert done.returncode == 1
    package = PACKAGES[folder].replace("/", ".")
    assert f"ImportError: this folder is the package {package}:" in done.stderr


def test_the_module_runs_as_a_command():
    done = python("-m", "oneiro", "--version")
    assert done.returncode == 0, done.stderr
    assert VERSION in done.stdout


BASE_ONLY = """
import sys
from importlib.metadata import packages_distributions

needed = {"oneiro", "numpy", "scipy", "onnx", "pillow"}
needed |= {"protobuf", "ml_dtypes", "typing_extensions"}  # what onnx itself needs
absent = {
    name
    for name, distributions in packages_distributions().items()
    if not needed & {d.lower().replace("-", "_") for d in distributions}
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in ("click", "filelock", "rich", "platformdirs", "pooch", "threadpoolctl"):
    assert name in absent, name

import numpy as np
import oneiro

img = np.random.default_rng(7).uniform(0, 255, (96, 80, 3)).astype(np.float32)
net = oneiro.load("squeezenet1.1")
net.forward(data=img.transpose(2, 0, 1)[None], end="fire3/concat")
dst = net.blobs["fire3/concat"]
dst.diff[...] = dst.data
net.backward(start="fire3/concat")
assert np.abs(net.blobs["data"].diff).max() > 0
dream = oneiro.deepdream(net, img, iter_n=1, octave_n=2)
assert dream.shape == img.shape
assert np.abs(dream - img).max() > 0
"""


def test_a_dream_needs_numpy_onnx_pillow_and_scipy_alone():
    done = python("-c", BASE_ONLY)
    assert done.returncode == 0, done.stderr
