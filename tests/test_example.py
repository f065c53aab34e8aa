"""What shows how to use exported files runs without oneiro."""

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
