"""What shows how to use exported files runs without oneiro."""

import os
import shutil
import subprocess
import sys
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


@pytest.mark.skipif("CI" not in os.environ, reason="CI alone installs onnxruntime-node, by npm")
@pytest.mark.skipif(not shutil.which("npm"), reason="npm installs onnxruntime-node")
def test_saliency_in_node(tmp_path: Path) -> None:
    net = oneiro.load("squeezenet1.1", device="cpu")
    oneiro.save_model(oneiro.export(net, "saliency"), tmp_path / "saliency.onnx")
    shutil.copy(EXAMPLES / "saliency.mjs", tmp_path)
    with Image.open(EXAMPLES / "coffee.png") as shown:
        photo = shown.convert("RGB").resize((120, 80))
    photo.save(tmp_path / "photo.ppm")
    asked = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "onnxruntime-node"]
    subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True)
    asked = ["node", "saliency.mjs", "saliency.onnx", "photo.ppm", "map.pgm", "967"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:17]) == (0, "class 967, score "), done.stderr
    wanted = np.asarray(oneiro.saliency(net, np.asarray(photo, float), 967))
    with Image.open(tmp_path / "map.pgm") as drawn:
        found = np.asarray(drawn, float) / 255
    assert np.abs(found - wanted / wanted.max()).max() < 0.01
