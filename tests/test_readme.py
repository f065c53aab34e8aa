"""What the README tells a newcomer to type works."""

import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import onnx
import pytest
from PIL import Image

from oneiro import cli
from oneiro.cli import web
from oneiro.kernels.dispatch import DeviceError, imported_cupy
from oneiro.models import download, registry
from oneiro.report import part
from oneiro.web.server import Server

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8") if (ROOT / "README.md").exists() else ""
LINES = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("oneiro ")]
SCRIPTS = [line for line in LINES if re.search(r"\bpython (-m pytest|bench/)", line)]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to work in that has the examples, and a first dream."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "examples" / "coffee.png", folder / "photo.jpg")
    model = onnx.load(registry.FOLDER / "squeezenet1.1.onnx")
    model.producer_name = "a stranger"  # no known file
    onnx.save(model, folder / "net.onnx")
    shutil.copy(registry.FOLDER / "synset_words.txt", folder / "classes.txt")
    first = re.findall(r"oneiro dream \S+ dream\.png", TEXT)[0]
    command = [sys.executable, "-m", *shlex.split(first), *shlex.split(SMALL["dream"])]
    subprocess.run(command, cwd=folder, check=True)
    (photos,) = [line for line in LINES if line.startswith("mkdir photos")]
    (patches,) = [line for line in LINES if line.startswith("python examples/")]
    patches = patches.replace("python", shlex.quote(sys.executable))
    subprocess.run(["bash", "-c", f"{photos}; {patches}"], cwd=folder, check=True)
    for path in (folder / "photos").iterdir():  # each is read again for each patch of a unit
        with Image.open(path) as photo:
            photo.thumbnail((96, 96))
            photo.save(path)
    return folder


def has_gpu() -> bool:
    try:
        imported_cupy()
    except DeviceError:
        return False
    return True


# What makes a command small enough to be tried: less of a picture, few steps. With an option by
# the name there may be more.
SMALL = {
    "activations": "--size 40",
    "activations --all": "--count 4",
    "check": "--size 64",
    "dream": "--size 96 --iter-n 1",
    "embed": "--size 64",
    "invert": "--size 64 --iter-n 2",
    "maximize": "--size 64 --iter-n 1",
    "occlude": "--size 64",
    "patches": "--size 64 --rule none -k 2",
    "report": "--size 64",
    "saliency": "--size 128",
    "segment": "--size 128",
    "style": "--size 64 --iter-n 1",
    "web": "--port 0",
}


def run(command: str, folder: Path) -> None:
    """The command as it stands but SMALL. The emulator is any GPU."""
    _, *words = shlex.split(command)
    if "emulator" in words and shutil.which("g++") is None:
        pytest.skip("the emulator needs g++")
    for word in read_by(words):
        writers = [line for line in COMMANDS if word in line.split()]
        writers = [line for line in writers if word not in read_by(line.split()[1:])]
        if not (folder / word).exists() and writers:
            run(writers[0], folder)
    # a unit may lie outside of a smaller picture, and what is saved has its size
    if not {"saliency", "--unit"} <= {*words} and words[1:2] != ["codes.npz"]:
        known = [words[0], *(f"{words[0]} {word}" for word in words[1:])]
        words += shlex.split(" ".join(SMALL.get(name, "") for name in known))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="default"):
        patch.chdir(folder)
        patch.setattr(part, "ITERATIONS", 5)
        patch.setattr(sys, "argv", ["oneiro", *words])
        if words[0] == "web":  # a page that no browser opens, until Ctrl-C
            patch.setattr(download, "fetch", lambda archive: archive.file)
            patch.setattr(web, "unpacked", lambda path: {"ort.wasm.min.mjs": b"none"})
            patch.setattr(Server, "serve_forever", lambda server: None)
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    assert not code, f"{command}\n{code}"


def read_by(words: list[str]) -> list[str]:
    """The files that a command reads and that another one writes."""
    first = words[1:2] if words[0] in ("embed", "recipe") else []
    return [*first, *(words[k + 1] for k, word in enumerate(words) if word == "--recipe")]


def check_refusal(command: str, folder: Path) -> None:
    """What can be done on a GPU alone is understood, and refused for want of one."""
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.match(r"oneiro: (device 'cuda' needs CuPy|CuPy finds no GPU)", done.stderr)


def test_the_readme_has_commands_and_code() -> None:
    assert len(COMMANDS) >= 5
    assert len(SCRIPTS) >= 3
    assert len(PYTHON) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, folder: Path) -> None:
    if not has_gpu():
        if command.startswith("oneiro tune"):
            check_refusal(command, folder)
            return
        command = command.replace("--device cuda", "--device emulator")
    run(command, folder)
    for word in shlex.split(command)[2:]:
        if word.endswith((".png", ".jpg", ".gif")) and not word.startswith("examples"):
            with Image.open(folder / word) as picture:
                picture.load()


@pytest.mark.parametrize("line", SCRIPTS)
def test_scripts_and_tests_that_are_named_are_there(line: str) -> None:
    """Of tests some are collected, and a script says what it does: to run them takes long."""
    asked = "--collect-only -qq -p no:cacheprovider" if "pytest" in line else "--help"
    if line.endswith("-m gpu"):
        asked += " tests/kernels/test_cuda.py"
    command = line.replace("python ", f"{shlex.quote(sys.executable)} ")
    done = subprocess.run(
        f"{command} {asked}", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_python_from_a_photo_to_files(folder: Path) -> None:
    """The two blocks in a row, on a smaller photo."""
    photo = folder / "examples" / "mountains.jpg"
    Image.open(photo).resize((128, 96)).save(photo)
    script = "\n".join(PYTHON[:2])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 3, 96, 128)"
    for name in ("mountains.png", "guided.onnx", "step.onnx"):
        assert (folder / name).stat().st_size > 1000


def test_python_of_the_caffe_era(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYTHON[2]], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 3, 96, 128)"
    assert "deploy.prototxt" in done.stderr  # ignored, and said so


def test_the_operator_that_is_added(tmp_path: Path) -> None:
    """In a process of its own: the class is registered for good."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from onnx import TensorProto, helper
from oracle.adjoint import check_adjoint
{PYTHON[3]}
import oneiro
random = np.random.default_rng(0)
sinh = Sinh()
check_adjoint(sinh.forward, sinh.backward, [random.normal(size=(2, 3, 5))], [0], random)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None])
nodes = [helper.make_node("Sinh", ["data"], ["y"])]
model = helper.make_model(helper.make_graph(nodes, "g", [value("data")], [value("y")]),
                          opset_imports=[helper.make_opsetid("", 18)])
open("sinh.onnx", "wb").write(model.SerializeToString())
net = oneiro.load("sinh.onnx")
x = random.normal(size=(1, 3, 4, 5)).astype(np.float32)
y = net.forward(data=x)["y"]
np.testing.assert_allclose(y, np.sinh(x), rtol=1e-5, atol=1e-6)
oneiro.export(net, "gradient", "y", input="net")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_pictures_and_files_that_are_named_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"`((?:engine|kernels|tests|bench)/[\w/]*\.?\w*)`", TEXT):
        assert (ROOT / name).exists() or name == "engine/layers/sinh.py", name
