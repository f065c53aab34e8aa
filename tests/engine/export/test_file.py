"""A model as a file, and as two where one would be too large."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from oneiro import Net, export, save_model
from oneiro.export import file
from oracle import small


@pytest.fixture
def model(net_of: Callable[..., Net]) -> onnx.ModelProto:
    return export(net_of(small.caffe()), "gradient", "end", input="net")


def test_one_file(model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "gradient.onnx"
    assert save_model(model, path) == [path]
    assert onnx.load(path) == model


def test_weights_beside_it(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "LARGEST", 1000)
    monkeypatch.setattr(file, "SMALL", 100)
    path = tmp_path / "gradient.onnx"
    whole = model.SerializeToString()
    assert save_model(model, path) == [path, tmp_path / "gradient.onnx.data"]
    assert model.SerializeToString() == whole
    assert path.stat().st_size < len(whole) - 1000
    runtime = pytest.importorskip("onnxruntime", reason="it judges what is written")
    feeds = {"data": np.random.default_rng(0).normal(size=(1, 3, 13, 18)).astype(np.float32)}
    feeds |= {name: np.array(-1) for name in ("channel", "row", "column")}
    results = [
        runtime.InferenceSession(held, providers=["CPUExecutionProvider"]).run(None, feeds)
        for held in (whole, path)
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
