"""onnxruntime as a device: the provider that was asked for, or a clear word."""

from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ArgumentError
from oracle.measure import distance

ort = pytest.importorskip("onnxruntime", reason="it is the device")


def test_a_dream_in_onnxruntime() -> None:
    options: dict[str, Any] = {"end": "fire3/concat", "octave_n": 2, "iter_n": 2, "seed": 1}
    img = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.float32)
    net, other = (oneiro.load("squeezenet1.1", device=name) for name in ("ort:cpu", "cpu"))
    dream, wanted = (oneiro.deepdream(each, img, **options) for each in (net, other))
    assert distance(dream - img, np.asarray(wanted - img)) < 0.05  # ties of pools
    assert np.median(np.abs(dream - wanted)) < 0.01
    assert dream.recipe is not None
    told = dream.recipe["surroundings"]["executor"]
    assert told.startswith("CPUExecutionProvider, onnxruntime")
    assert net.again().provider == "CPUExecutionProvider"


def test_saliency_in_onnxruntime() -> None:
    img = np.random.default_rng(0).integers(0, 256, (67, 75, 3)).astype(np.float32)
    maps = [
        np.asarray(oneiro.saliency(oneiro.load("squeezenet1.1", device=name), img, 967))
        for name in ("ort", "cpu")
    ]
    assert np.median(np.abs(maps[0] - maps[1])) < 1e-5 * np.abs(maps[1]).max()


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("ort:quick", np.float32, "device 'ort:quick': this onnxruntime has .*ort:cpu"),
        ("ort:", np.float32, "this onnxruntime has"),
        ("ort", np.float64, "device 'ort' computes in float32"),
    ],
)
def test_what_cannot_be_had(name: str, dtype: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        oneiro.load("squeezenet1.1", device=name, dtype=dtype)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is a wheel for CUDA, and no GPU."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: names)
    net = oneiro.load("squeezenet1.1", device="ort:cuda")
    x = np.zeros((1, 3, 35, 35), np.float32)
    with pytest.raises(ArgumentError, match="could not start CUDAExecutionProvider: it would take"):
        oneiro.Plan(net, lambda net, x: {"y": 2 * x}, x=(np.float32, x.shape))
