"""The device "cuda" asks CuPy for the right things: a stand-in takes them, and is strict."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from oneiro import Net, Plan
from oneiro.ascent import image_gradient
from oneiro.kernels import conv_mma, dispatch, nvrtc
from oneiro.kernels.array import DeviceArray
from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Cuda, CudaGraph, Emulator
from oneiro.kernels.pointwise import NONE
from oneiro.kernels.window import sliding_window
from oneiro.objective import l2
from oracle import cupy, small

pytestmark = pytest.mark.emulator

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 6, 5, 7)).astype(np.float32)
WINDOW = sliding_window((3, 3), (1, 1), (1, 1, 1, 1))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    """A GPU that is not there."""
    module = cupy.FakeCupy()
    monkeypatch.setattr(dispatch, "imported_cupy", lambda: module)
    monkeypatch.setattr(nvrtc, "architecture", lambda *_: "sm_90a")
    monkeypatch.setattr(nvrtc, "cubin", lambda code, name, arch: code.encode())
    monkeypatch.setattr(Cuda, "fingerprint", ())  # nothing was measured on it
    yield Cuda()
    cupy.synchronize_device()


def test_arrays_go_there_and_come_back(device: Cuda) -> None:
    for array in (X, X[0, 0], np.arange(5), np.array(3.5, np.float32), X > 0, X[:, :0]):
        x = device.place(array)
        assert isinstance(x, DeviceArray)
        np.testing.assert_array_equal(np.asarray(x), array)
    x = device.place(X)
    np.testing.assert_array_equal(np.asarray(x[:, 1:4, ::-1, 2]), X[:, 1:4, ::-1, 2])
    np.testing.assert_array_equal(np.asarray(x.reshape(2, -1)[:, 5:]), X.reshape(2, -1)[:, 5:])
    np.testing.assert_array_equal(np.asarray(x.T), X.T)


def test_numbers_and_missing_arrays_are_passed(device: Cuda) -> None:
    x = device.place(X)
    np.testing.assert_array_equal(np.asarray(x * 2 > np.float32(1)), X * 2 > 1)
    np.testing.assert_array_equal(np.asarray(np.where(x > 0, x, 7)), np.where(X > 0, X, 7))
    np.testing.assert_array_equal(
        np.asarray(device.place(X.astype(float)) * 0.1), 0.1 * X.astype(float)
    )
    w = RANDOM.normal(size=(4, 6, 3, 3)).astype(np.float32)
    y = conv(x, device.place(w), None, WINDOW, 1)
    np.testing.assert_allclose(np.asarray(y), conv(X, w, None, WINDOW, 1), atol=1e-4)
    dx = conv_backward(y, device.place(w), X.shape, WINDOW, 1)
    wanted = conv_backward(np.asarray(y), w, X.shape, WINDOW, 1)
    np.testing.assert_allclose(np.asarray(dx), wanted, atol=1e-3)


@pytest.mark.parametrize("tile", [(32, 32, 32, 16, 32, 4), (64, 64, 32, 32, 32, 3)])
def test_kernels_ask_for_much_shared_memory(device: Cuda, tile: tuple[int, ...]) -> None:
    """Those that are at 48 KiB with what they have declared themselves, too."""
    x, w = (RANDOM.normal(size=n).astype(np.float32) for n in ((1, 32, 3, 4), (32, 32, 1, 1)))
    chosen = conv_mma.Configuration(*tile)
    args = (sliding_window((1, 1)), 1, NONE, "tf32", chosen)
    for _ in range(2):
        y = conv_mma.conv_mma(device.place(x), device.place(w), None, *args)
        np.testing.assert_allclose(np.asarray(y), np.einsum("nchw,ocij->nohw", x, w), atol=0.1)


@pytest.fixture(scope="module", params=["caffe", "resize", "pools"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.onnx"
    onnx.save(small.MODELS[request.param][0](), path)
    return path


def network(file: Path, device: Any) -> Net:
    net = Net(file, device="cpu")
    net.device = device
    net.constants = net.to(net.place).constants
    return net


def compiled(net: Net) -> Plan:
    """The gradient of a small network, and its picture."""

    def program(net: Net, data: Any) -> dict[str, Any]:
        value, gradient = image_gradient(net, data, {"end": l2})
        return {"value": value, "gradient": gradient, "data": data}

    return Plan(net, program, data=(np.float32, small.SHAPE))


def test_a_plan_is_a_graph_from_its_first_call_on(
    file: Path, device: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results are those of a plan that is none, and stay when it runs again."""
    pictures = RANDOM.normal(size=(3, *small.SHAPE)).astype(np.float32)
    plain, plan = (compiled(network(file, here)) for here in (Emulator(), device))
    wanted = [plain(data=x) for x in pictures]
    found = [plan(data=pictures[0])]
    launched: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(device, "launch", lambda *args: launched.append(args[2]))
        found += [plan(data=x) for x in pictures[1:]]
    assert launched == []
    for one, other in zip(found, wanted, strict=True):
        for name in other:
            np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]))


def test_graphs_wait_for_the_stream_they_are_called_on(file: Path, device: Cuda) -> None:
    x = RANDOM.normal(size=small.SHAPE).astype(np.float32)
    wanted = compiled(network(file, Emulator()))(data=2 * x)["gradient"]
    plan = compiled(network(file, device))
    cupy.synchronize_device()
    for stream in (cupy.Stream(), cupy.Stream(non_blocking=True)):
        with stream:
            found = plan(data=device.place(x) * 2)["gradient"] * 1
            np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def test_the_memory_of_a_graph_goes_with_it(file: Path, device: Cuda) -> None:
    x = np.zeros(small.SHAPE, np.float32)
    net = network(file, device)
    held = []
    for _ in range(2):
        gc.collect()
        plan = compiled(net)
        plan(data=x)
        cupy.synchronize_device()
        del plan
        device.cupy.pool.free_all_blocks()
        held.append(cupy.held_bytes())
    assert held[1] <= held[0]


def test_what_waits_for_the_host_is_no_graph(device: Cuda) -> None:
    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"y": device.place(np.asarray(inputs["x"]) + 1)}

    graph = CudaGraph(device, run)
    for number in (1, 2, 3):
        x = np.full((2, 3), number, np.float32)
        np.testing.assert_array_equal(np.asarray(graph({"x": device.place(x)})["y"]), x + 1)
    assert graph.graph is None


def test_what_cannot_be_captured_runs_all_the_same(
    device: Cuda, caplog: pytest.LogCaptureFixture
) -> None:
    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        assert cupy.Stream.current.captured is None
        return {"y": inputs["x"] * 2}

    graph = CudaGraph(device, run)
    x = device.place(X)
    for _ in range(3):
        np.testing.assert_array_equal(np.asarray(graph({"x": x})["y"]), 2 * X)
    assert caplog.text.count("cannot be a CUDA graph") == 1
    assert graph.stream.captured is None
    assert gc.isenabled()


def test_measuring_leaves_nothing(device: Cuda) -> None:
    x = device.place(X)
    gc.collect()
    before = cupy.held_bytes()
    assert device.seconds(lambda: x * x + 1) > 0
    assert cupy.held_bytes() <= before


def test_a_number_goes_to_an_array_without_a_crossing(device: Cuda) -> None:
    """So what fills arrays can be captured."""
    x = device.place(X)
    before = device.crossings
    pairs = ((0, 0), (0, 0), (1, 2), (0, 1))
    zeros, wide = np.zeros_like(x), np.pad(x, pairs, constant_values=3)
    x[:, 1] = 7
    assert device.crossings == before
    wanted = X.copy()
    wanted[:, 1] = 7
    np.testing.assert_array_equal(np.asarray(x), wanted)
    np.testing.assert_array_equal(np.asarray(zeros), np.zeros_like(X))
    np.testing.assert_array_equal(np.asarray(wide), np.pad(X, pairs, constant_values=3))
