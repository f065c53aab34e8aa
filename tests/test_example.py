"""What shows how to use exported files runs without oneiro."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import oneiro

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_saliency_by_onnxruntime_alone(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the example runs on it")
    net = oneiro.load("squeezenet1.1", device="cpu")
    oneiro.save_model(oneiro.export(net, "saliency"), tmp_path / "saliency.onnx")
    script, photo = EXAMPLES / "saliency.py", EXAMPLES / "coffee.png"
    done = subprocess.run(
        [sys.executable, script, "saliency.onnx", photo, "map.png", "--class", "967"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout[:17]) == (0, "class 967, score "), done.stderr
    with Image.open(tmp_path / "map.png") as drawn, Image.open(photo) as shown:
        assert max(drawn.size) == 256
        shown.thumbnail((256, 256))
        wanted = np.asarray(oneiro.saliency(net, np.asarray(shown.convert("RGB"), float), 967))
        found = np.asarray(drawn, float) / 255
    assert np.abs(found - wanted / wanted.max()).max() < 0.01


def test_a_net_in_jax() -> None:
    """The example checks its gradient itself."""
    pytest.importorskip("jax", reason="the example is for it (pip install jax)")
    done = subprocess.run([sys.executable, EXAMPLES / "in_jax.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is right" in done.stdout
    assert "the net sees JAX's memory: True" in done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where saliency.onnx is, and photo.ppm, which other languages read by themselves."""
    net = oneiro.load("squeezenet1.1", device="cpu")
    oneiro.save_model(oneiro.export(net, "saliency"), tmp_path / "saliency.onnx")
    with Image.open(EXAMPLES / "coffee.png") as shown:
        shown.convert("RGB").resize((120, 80)).save(tmp_path / "photo.ppm")
    return tmp_path


def check_map(folder: Path, program: Sequence[str]) -> None:
    """The program draws the map that oneiro finds itself."""
    asked = [*program, "saliency.onnx", "photo.ppm", "map.pgm", "967"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:17]) == (0, "class 967, score "), done.stderr
    net = oneiro.load("squeezenet1.1", device="cpu")
    with Image.open(folder / "photo.ppm") as shown, Image.open(folder / "map.pgm") as drawn:
        wanted = np.asarray(oneiro.saliency(net, np.asarray(shown, float), 967))
        found = np.asarray(drawn, float) / 255
    assert np.abs(found - wanted / wanted.max()).max() < 0.01


@pytest.mark.skipif("CI" not in os.environ, reason="CI alone installs onnxruntime-node, by npm")
@pytest.mark.skipif(not shutil.which("npm"), reason="npm installs onnxruntime-node")
def test_saliency_in_node(folder: Path) -> None:
    shutil.copy(EXAMPLES / "saliency.mjs", folder)
    asked = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "onnxruntime-node"]
    subprocess.run(asked, cwd=folder, check=True, capture_output=True)
    check_map(folder, ["node", "saliency.mjs"])


@pytest.mark.skipif(sys.platform != "linux", reason="the lines that build it are for Linux")
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ compiles it")
def test_saliency_in_cpp(folder: Path) -> None:
    """Its own header tells how it is built."""
    pytest.importorskip("openvino", reason="it brings headers and library (pip install openvino)")
    (folder / "examples").symlink_to(EXAMPLES)
    header = (EXAMPLES / "saliency.cpp").read_text().partition("*/")[0]
    lines = header[header.index("OV=") : header.index("oneiro export")]
    strict = lines.replace("g++", "g++ -Wall -Wextra -Werror")
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # its python
    built = subprocess.run(
        ["bash", "-ec", strict],
        cwd=folder,
        env={**os.environ, "PATH": here},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    check_map(folder, ["./saliency"])
    for wrong in [[], ["saliency.onnx", "photo.ppm", "map.pgm", "cat"]]:
        done = subprocess.run(["./saliency", *wrong], cwd=folder, capture_output=True, text=True)
        assert (done.returncode, done.stderr[:7]) == (1, "usage: ")
