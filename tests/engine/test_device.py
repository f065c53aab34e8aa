"""Networks on a device are the networks on the host: blobs, gradients under each rule, dreams.

The device is the emulator, which runs the kernels as a GPU would; where there is a GPU it is that.
"""

import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import oneiro
from oneiro import Net, Plan, Preprocess, caffe
from oneiro.ascent import image_gradient
from oneiro.kernels.array import DeviceArray
from oneiro.kernels.dispatch import DeviceError, imported_cupy
from oneiro.methods.deepdream import step_plan
from oneiro.objective import l2
from oracle import light, small
from oracle.measure import distance

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

RULES = ("gradient", "guided", "deconv")
END = {"squeezenet": "fire9/concat", "inception_v1": light.NETWORKS["inception_v1"].end}
SIZE = {"squeezenet": (63, 48), "inception_v1": (64, 73)}


def has_gpu() -> bool:
    try:
        imported_cupy()
    except DeviceError:
        return False
    return True


ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not has_gpu(), reason="no GPU")]
DEVICES = ["emulator", pytest.param("cuda", marks=ON_GPU)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SqueezeNet as it was trained, and GoogLeNet's topology with random filters."""
    file = tmp_path_factory.mktemp("light") / "inception_v1.onnx"
    onnx.save(light.light("inception_v1"), file)
    from oneiro.models import registry

    return {"squeezenet": registry.FOLDER / "squeezenet1.1.onnx", "inception_v1": file}


@pytest.fixture(scope="module", params=DEVICES)
def nets(request: pytest.FixtureRequest, files: dict[str, Path]) -> dict[str, tuple[Net, Net]]:
    """The same networks on the host and on the device."""
    return {
        name: (Net(file, device="cpu"), Net(file, device=request.param))
        for name, file in files.items()
    }


def gradient(net: Net, end: str, x: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    net.forward({net.input: x}, end=end)
    net.blobs[end].diff[...] = net.blobs[end].data
    net.backward(start=end, rule=rule)
    return np.asarray(net.blobs[end].data), np.asarray(net.blobs[net.input].diff)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", END)
def test_forward_and_backward(nets: dict[str, tuple[Net, Net]], name: str, rule: str) -> None:
    """Medians over pictures: where values tie in a pool's window, rounding decides."""
    host, device = nets[name]
    errors = []
    for seed in range(3):
        x = 50 * np.random.default_rng(seed).normal(size=(1, 3, *SIZE[name])).astype(np.float32)
        wanted = gradient(host, END[name], x, rule)
        found = gradient(device, END[name], x, rule)
        errors.append([distance(a, b) for a, b in zip(found, wanted, strict=True)])
    data, diff = (statistics.median(column) for column in zip(*errors, strict=True))
    assert data < 1e-5
    assert diff < 1e-5


@pytest.mark.parametrize("name", END)
def test_nothing_of_a_step_waits_for_the_host(nets: dict[str, tuple[Net, Net]], name: str) -> None:
    """So it can be captured as one CUDA graph."""
    _, net = nets[name]
    plan = compiled(net, END[name], (1, 3, *SIZE[name]))
    zeros = {key: np.zeros(shape, dtype) for key, (dtype, shape) in plan.inputs.items()}
    inputs = {key: net.place(value) for key, value in zeros.items()}
    plan(**inputs)
    before = net.device.crossings
    plan(**inputs)
    assert net.device.crossings == before


def compiled(net: Net, end: str, shape: tuple[int, ...]) -> Plan:
    """A step of DeepDream."""
    from oneiro.setting import Settings

    settings = Settings((end,), 1, 3, True, "mean_abs", 0)
    bounds = Preprocess(110).bounds(3, net.dtype)
    return step_plan(net, shape, {end: l2}, bounds, settings)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", small.MODELS)
def test_plans_join_calls_and_change_nothing(
    name: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, end = small.MODELS[name]
    file = tmp_path / "model.onnx"
    onnx.save(build(), file)
    host, net = Net(file, device="cpu"), Net(file, device="emulator")
    x = np.random.default_rng(0).normal(size=(1, net.channels, 13, 18)).astype(np.float32)

    def program(net: Net, data: Any) -> dict[str, Any]:
        value, diff = image_gradient(net, data, {end: l2}, rule)
        return {"value": value, "gradient": diff}

    plans = [Plan(one, program, data=(np.float32, x.shape)) for one in (host, net)]
    wanted, found = (plan(data=x) for plan in plans)
    assert len(plans[1].calls) < len(plans[0].calls)
    assert isinstance(found["gradient"], DeviceArray)
    for key, value in wanted.items():
        assert distance(np.asarray(found[key]), np.asarray(value)) < 2e-5


def test_a_dream_is_the_same_dream(nets: dict[str, tuple[Net, Net]]) -> None:
    img = np.random.default_rng(0).uniform(0, 255, (50, 61, 3)).astype(np.float32)
    dreams = []
    for net in nets["squeezenet"]:
        net.preprocessing = Preprocess(110, order="BGR")
        dream = oneiro.deepdream(net, img, end="fire7/concat", octave_n=2, iter_n=3, jitter=5)
        dreams.append(np.asarray(dream))
    assert np.abs(dreams[0] - img).mean() > 2
    assert np.median(np.abs(dreams[0] - dreams[1])) < 0.05
    assert distance(dreams[1], dreams[0]) < 0.01


def test_caffe_keeps_its_arrays_on_the_host(nets: dict[str, tuple[Net, Net]]) -> None:
    """As Caffe's SyncedMemory: contiguous, stable, and what is written into weights counts."""
    x = 50 * np.random.default_rng(0).normal(size=(1, 3, 39, 45)).astype(np.float32)
    diffs = []
    for graph in nets["squeezenet"]:
        net = caffe.Net(graph)
        net.blobs["data"].reshape(*x.shape)
        net.blobs["data"].data[...] = x
        net.params["conv1"][0].data[...] *= 2
        net.forward(end="fire3/concat")
        top = net.blobs["fire3/concat"]
        top.diff[...] = top.data
        net.backward(start="fire3/concat")
        diffs.append(net.blobs["data"].diff)
        assert isinstance(diffs[-1], np.ndarray)
    assert distance(diffs[1], diffs[0]) < 1e-5


def test_blobs_on_a_device_are_written_to_as_elsewhere(nets: dict[str, tuple[Net, Net]]) -> None:
    _, net = nets["squeezenet"]
    net.forward({"data": np.zeros((1, 3, 33, 35), np.float32)}, end="conv1")
    blob = net.blobs["conv1"]
    blob.diff[0, 12] = 1
    blob.diff[:, 3] = np.full(blob.shape[2:], 2, np.float32)
    found = np.asarray(blob.diff)
    assert (found[0, 12] == 1).all()
    assert (found[0, 3] == 2).all()
    assert found.sum() == 3 * found[0, 0].size


def test_without_a_gpu_cuda_says_what_is_missing() -> None:
    if has_gpu():
        pytest.skip("here is a GPU")
    with pytest.raises(oneiro.ArgumentError, match=r"needs CuPy: pip install|finds no GPU"):
        oneiro.load("squeezenet1.1", device="cuda")


@pytest.mark.parametrize(("precision", "worst"), [("exact", 1e-5), ("tf32", 4e-3), ("half", 4e-3)])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
def test_precisions(files: dict[str, Path], precision: str, worst: float, size: float) -> None:
    """However large or small a diff is, float16 holds what the rounding of its products allows.

    A light network without pools, in whose windows ties would break otherwise.
    """
    errors = []
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(1, 3, 33, 41)).astype(np.float32)
        diffs = []
        for device in ("cpu", "emulator"):
            net = Net(files["squeezenet"], device=device, precision=precision)
            net.forward({"data": x}, end="fire2/squeeze1x1_pre")
            top = net.blobs["fire2/squeeze1x1_pre"]
            top.diff[...] = top.data * size
            net.backward(start="fire2/squeeze1x1_pre", end="pool1")
            diffs.append(np.asarray(net.blobs["pool1"].diff))
            assert distance(np.asarray(top.diff), np.asarray(top.data) * np.float32(size)) < 1e-6
        errors.append(distance(diffs[1], diffs[0]))
    assert statistics.median(errors) < worst
    assert precision == "exact" or statistics.median(errors) > 1e-5
