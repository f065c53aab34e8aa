"""bench/network.py on the emulator, with PyTorch on the CPU: its rivals agree, or are out."""

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

import network
import numpy as np
import onnx
import pytest
import timing

from oneiro.kernels import dispatch, nvrtc
from oracle import cupy, light

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[1, 3, h, w] x) => (float[1, n, a, b] y) {
    c1 = Conv <pads = [1, 2, 1, 0], strides = [2, 1]> (x, w1)
    n1 = BatchNormalization (c1, scale, shift, mean, variance)
    r1 = Relu (n1)
    l1 = LRN <size = 5, alpha = 0.01> (r1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 1, 1]> (l1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2, b2)
    s2 = Sum (c2, p1)
    n2 = BatchNormalization (s2, scale, shift, mean, variance)
    y = Concat <axis = 1> (n2, c2)
}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with each layer that bench/rival.py knows in PyTorch."""
    model = onnx.parser.parse_model(TEXT)
    random = np.random.default_rng(0)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "b2": 8, "scale": 8, "shift": 8, "mean": 8}
    for name, shape in shapes.items():
        weight = random.normal(scale=0.5, size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    variance = random.uniform(0.2, 3, 8).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(variance, "variance"))
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    onnx.save(model, path)
    return path


def asked(path: Path, device: str, **other: Any) -> argparse.Namespace:
    given = {"sizes": [22], "precisions": ["exact", "half"], "rounds": 2, "device": device}
    options = {"model": str(path), "compile": None, "tune": False}
    return argparse.Namespace(**given | options | other)


@pytest.fixture
def rival() -> ModuleType:
    pytest.importorskip("torch", reason="the rivals are PyTorch's")
    import rival

    return rival


DEVICES = [
    pytest.param("emulator", marks=pytest.mark.emulator),
    pytest.param("cuda", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize("device", DEVICES)
def test_all_rivals_do_the_same(device: str, tiny: Path, rival: ModuleType) -> None:
    rows = list(network.rows(tiny, "y", asked(tiny, device)))
    assert [row["precision"] for row in rows] == ["exact", "half"]
    for row in rows:
        assert "reason" not in row, row
        assert row["failures"] == {}
        assert row["blobs"]["oneiro"] < network.TOLERANCE[row["precision"]]
        for key in ("gradient", "step"):
            table = row[key]
            assert {"oneiro", "torch eager", "torch eager, channels last"} <= set(table["seconds"])
            assert all(
                text.endswith("a GPU") or "CUDA" in text for text in table["failures"].values()
            )
            assert ("torch graph" in table["seconds"]) == (device == "cuda")
            assert set(table["ratios"]) == {n for n in table["seconds"] if "torch" in n}
        assert row["replays"] is True
        assert row["launches"]["oneiro"] > 4
        assert len(row["slowest"]) == network.SLOWEST
        assert 0 < sum(one["share"] for one in row["slowest"]) <= 1
        assert row["loop"] > 0
        assert "torch eager" in network.described(row)
    assert rows[0]["gradient"]["errors"]["oneiro"]["distance"] < 1e-5
    assert any("w2" in one["of"] for one in rows[0]["slowest"])


@pytest.mark.emulator
def test_a_graph_alone_is_timed_where_it_runs(
    tiny: Path, rival: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a stand-in for CuPy, whose streams wait for nobody by themselves."""
    module = cupy.FakeCupy()
    for place in (dispatch, timing):
        monkeypatch.setattr(place, "imported_cupy", lambda: module)
    monkeypatch.setattr(nvrtc, "architecture", lambda *_: "sm_90a")
    monkeypatch.setattr(nvrtc, "cubin", lambda code, name, arch: code.encode())
    monkeypatch.setattr(dispatch.Cuda, "fingerprint", ())
    monkeypatch.setattr(cupy.Pool, "total_bytes", lambda _: 1 << 20, raising=False)
    monkeypatch.setattr(network.Clock, "free_bytes", lambda _: 1 << 30)
    monkeypatch.setattr(rival, "where", lambda _: "cpu")
    monkeypatch.setattr(timing, "calls_for", lambda span, seconds: 10)  # it takes no time there
    (row,) = network.rows(tiny, "y", asked(tiny, "cuda", precisions=["tf32"]))
    assert row["failures"] == {}
    for key in ("gradient", "step", "forward"):
        assert {"oneiro", "oneiro, graph alone"} <= set(row[key]["seconds"]), row[key]["failures"]
        errors = row[key]["errors"]
        assert errors["oneiro"] == errors["oneiro, graph alone"]
        # it counts what is in the stream that is timed: all of the graph, or one wait for it
        one, alone = (row[key]["seconds"][name] for name in ("oneiro", "oneiro, graph alone"))
        assert alone > one
    assert row["memory"]["oneiro"] == 1 << 20
    assert row["replays"] is True


@pytest.mark.emulator
def test_who_is_wrong_or_breaks_is_not_timed(
    tiny: Path, rival: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are."""
    rivals = rival.gradient_rivals

    def with_strangers(*place: Any) -> dict[str, Any]:
        made = rivals(*place)
        good = made["torch eager"]()
        wrong = good._replace(read=lambda results: good.read(results)[:, ::-1])

        def broken() -> Any:
            raise MemoryError("none left\nat all")

        return {"torch wrong": lambda: wrong, "torch broken": broken, "torch good": lambda: good}

    monkeypatch.setattr(rival, "gradient_rivals", with_strangers)
    (row,) = network.rows(tiny, "y", asked(tiny, "emulator", precisions=["exact"]))
    table = row["gradient"]
    assert table["failures"]["torch broken"] == "MemoryError: none left"
    assert table["failures"]["torch wrong"].startswith("wrong: a cosine of ")
    assert set(table["seconds"]) == {"oneiro", "torch good"}


@pytest.mark.emulator
def test_what_does_not_fit_is_not_begun(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network.Clock, "free_bytes", lambda _: 1000)
    (row,) = network.rows(tiny, "y", asked(tiny, "emulator", precisions=["tf32"]))
    assert row["reason"] == "it wants about 0.0 GiB, and 0.0 GiB are free"


def test_folded_normalisation_is_the_network(tiny: Path, rival: ModuleType) -> None:
    from oracle import walker

    model = onnx.load(tiny)
    x = light.noise((22, 19))
    module = rival.module_of(model, "y")
    assert sum("batch_norm" in str(node.target) for node in module.graph.nodes) == 1
    blob, gradient = rival.exact(module, x)
    assert network.distance(gradient, walker.gradient(model, x, "y")) < 1e-12
    wanted = walker.run(model, {"x": x}, "y")["y"].numpy()
    assert network.distance(blob, wanted) < 1e-12


@pytest.mark.parametrize("name", network.NETWORKS)
def test_networks_are_at_hand(name: str, tmp_path: Path) -> None:
    """They end where their titles say, told by the channels of the last layers."""
    known = network.NETWORKS[name]
    channels = {"googlenet": 512, "squeezenet": 512, "resnet50": 1024, "vgg19": 512}
    if known.light:
        model = onnx.load(light.FOLDER / f"light_{known.light}.onnx")
    else:
        path, end = network.located(name, None, tmp_path)
        model = onnx.load(path)
        assert end == known.end
    found = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    shapes = {value.name: value.type.tensor_type.shape.dim for value in found}
    assert shapes[known.end][1].dim_value == channels[name]
