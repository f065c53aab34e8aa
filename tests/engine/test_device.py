"""Networks on a device are the networks on the host: blobs, gradients under each rule, dreams.

The device is the emulator, which runs the kernels as a GPU would; where there is a GPU it is that.
"""

import copy
import statistics
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import oneiro
from oneiro import Net, Plan, Preprocess, caffe
from oneiro.ascent import image_gradient
from oneiro.kernels.array import DeviceArray
from oneiro.kernels.dispatch import DeviceError, Emulator, imported_cupy
from oneiro.methods.deepdream import step_plan
from oneiro.objective import l2
from oneiro.plan.plan import computed
from oracle import light, small
from oracle.measure import distance, medians

RULES = ("gradient", "guided", "deconv")
END = {"squeezenet": "fire9/concat", "inception_v1": light.NETWORKS["inception_v1"].end}
SIZE = {"squeezenet": (63, 48), "inception_v1": (64, 73)}


def has_gpu() -> bool:
    try:
        imported_cupy()
    except DeviceError:
        return False
    return True


DEVICES = [
    pytest.param("emulator", marks=pytest.mark.emulator),
    pytest.param("cuda", marks=pytest.mark.gpu),
]


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


def gradients(net: Net, end: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """The data of `end`, and by each rule the diff of the picture."""
    net.forward({net.input: x}, end=end)
    found = {"data": np.array(net.blobs[end].data)}
    for rule in RULES:
        net.blobs[end].diff[...] = net.blobs[end].data
        net.backward(start=end, rule=rule)
        found[rule] = np.array(net.blobs[net.input].diff)
    return found


@pytest.mark.parametrize("name", END)
def test_forward_and_backward(nets: dict[str, tuple[Net, Net]], name: str) -> None:
    """Medians over pictures: where values tie in a pool's window, rounding decides."""

    def errors(seed: int) -> dict[str, float]:
        x = 50 * np.random.default_rng(seed).normal(size=(1, 3, *SIZE[name])).astype(np.float32)
        wanted, found = (gradients(net, END[name], x) for net in nets[name])
        return {key: distance(found[key], wanted[key]) for key in wanted}

    found = medians(map(errors, range(3)), 3)
    assert found.keys() == {"data", *RULES}
    assert max(found.values()) < 1e-5, found


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


def test_a_plan_is_the_same_to_the_bit_each_time(nets: dict[str, tuple[Net, Net]]) -> None:
    """Call by call, and as one CUDA graph, which is captured first and replayed then."""
    _, net = nets["squeezenet"]
    shape = (1, 3, *SIZE["squeezenet"])

    def program(net: Net, data: Any) -> dict[str, Any]:
        return {"gradient": image_gradient(net, data, {END["squeezenet"]: l2})[1]}

    plan = Plan(net, program, data=(np.float32, shape))
    pictures = [np.random.default_rng(seed).normal(size=shape) for seed in (0, 1, 0, 1)]
    inputs = [{"data": net.place(picture.astype(np.float32))} for picture in pictures]
    parts = (plan.calls, plan.dead, plan.constants, plan.results)
    wanted = [np.asarray(computed(*parts, one)["gradient"]) for one in inputs[:2]]
    results = [plan(**one)["gradient"] for one in inputs]  # none may write over another
    for result, expected in zip(results, [*wanted, *wanted], strict=True):
        np.testing.assert_array_equal(np.asarray(result), expected)
    assert np.any(wanted[0] != wanted[1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", small.MODELS)
def test_plans_join_calls_and_change_nothing(
    name: str, rule: str, device: str, tmp_path: Path
) -> None:
    build, end = small.MODELS[name]
    file = tmp_path / "model.onnx"
    onnx.save(build(), file)
    host, net = Net(file, device="cpu"), Net(file, device=device)
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
@pytest.mark.parametrize("device", DEVICES)
def test_precisions(
    files: dict[str, Path], device: str, precision: str, worst: float, size: float
) -> None:
    """However large or small a diff is, float16 holds what the rounding of its products allows.

    A light network without pools, in whose windows ties would break otherwise.
    """
    errors = []
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(1, 3, 33, 41)).astype(np.float32)
        diffs = []
        for place in ("cpu", device):
            net = Net(files["squeezenet"], device=place, precision=precision)
            net.forward({"data": x}, end="fire2/squeeze1x1_pre")
            top = net.blobs["fire2/squeeze1x1_pre"]
            top.diff[...] = top.data * size
            net.backward(start="fire2/squeeze1x1_pre", end="pool1")
            diffs.append(np.asarray(net.blobs["pool1"].diff))
            assert distance(np.asarray(top.diff), np.asarray(top.data) * np.float32(size)) < 1e-6
        errors.append(distance(diffs[1], diffs[0]))
    assert statistics.median(errors) < worst
    assert precision == "exact" or statistics.median(errors) > 1e-5


@pytest.mark.emulator
def test_what_a_plan_holds_goes_with_it(files: dict[str, Path]) -> None:
    """A dream has a plan for each octave: their memory may not wait for the garbage collector."""
    captured: list[weakref.ref[Any]] = []

    class Captive(Emulator):
        """It notes what it would capture."""

        def captured(self, run: Any) -> Any:
            captured.append(weakref.ref(run))
            return run

    net = Net(files["squeezenet"], device="emulator")
    net.device = Captive()
    plan = compiled(net, "fire2/concat", (1, 3, 33, 35))
    assert captured[0]() is not None
    del plan
    assert captured[0]() is None


@pytest.mark.parametrize("seed", [1e-11, 1e-38, 0.0])
def test_the_smallest_diffs_go_back_in_half_precision(files: dict[str, Path], seed: float) -> None:
    """In a Net and in Caffe's face, which sends each layer's diffs back by itself."""
    x = np.random.default_rng(0).normal(size=(1, 3, 33, 35)).astype(np.float32)
    found = []
    for device in ("cpu", "emulator"):
        net = Net(files["squeezenet"], device=device, precision="half")
        net.forward({"data": x}, end="fire2/squeeze1x1_pre")
        top = net.blobs["fire2/squeeze1x1_pre"]
        held = top.diff
        held[...] = seed
        net.backward(start="fire2/squeeze1x1_pre", end="pool1")
        assert top.diff is held
        old = caffe.Net(net)
        old.blobs["data"].reshape(*x.shape)
        old.blobs["data"].data[...] = x
        old.forward(end="fire2/squeeze1x1")
        old.blobs["fire2/squeeze1x1"].diff[...] = seed
        old.backward(start="fire2/squeeze1x1", diffs=["pool1"])
        found.append((np.asarray(net.blobs["pool1"].diff), old.blobs["pool1"].diff))
    for wanted, there in zip(*found, strict=True):
        assert np.isfinite(there).all()
        np.testing.assert_allclose(there, wanted, rtol=0.02, atol=0.01 * np.abs(wanted).max())


def test_exports_are_those_of_the_host(nets: dict[str, tuple[Net, Net]]) -> None:
    end, models = "fire3/concat", []
    for net in nets["squeezenet"]:
        net.preprocessing = Preprocess(110, order="BGR")
        made = (oneiro.export(net, "gradient", end), oneiro.export(net, "step", end))
        models.append([model.SerializeToString() for model in made])
    assert models[0] == models[1]


@pytest.mark.emulator
def test_exports_hold_nothing_of_half_precision(files: dict[str, Path]) -> None:
    exact, half = (
        oneiro.export(
            Net(files["squeezenet"], device="emulator", precision=precision),
            "gradient",
            "fire2/concat",
            input="net",
        )
        for precision in ("exact", "half")
    )
    assert exact.SerializeToString() == half.SerializeToString()


@pytest.mark.emulator
def test_the_net_decides_where_it_computes_and_how(files: dict[str, Path]) -> None:
    """Not the array that it is fed, which another net may have preprocessed."""
    x = 50 * np.random.default_rng(0).normal(size=(1, 3, 33, 35)).astype(np.float32)
    file, end = files["squeezenet"], "fire2/concat"
    host, exact, half = (
        Net(file, device="cpu"),
        Net(file, device="emulator"),
        Net(file, device="emulator", precision="half"),
    )

    def program(net: Net, data: Any) -> dict[str, Any]:
        return {end: net.forward({"data": data}, end=end)[end]}

    for net in (host, exact):
        plan = Plan(net, program, data=(np.float32, x.shape))
        wanted, planned = gradients(net, end, x), plan(data=x)[end]
        for given in (half.place(x), exact.place(x)):
            for key, found in gradients(net, end, given).items():
                np.testing.assert_array_equal(found, wanted[key])
            assert type(net.blobs[end].data) is type(planned)
            found = plan(data=given)[end]
            assert type(found) is type(planned)
            np.testing.assert_array_equal(found, planned)
    host.blobs[end].diff = half.place(np.ones(host.blobs[end].shape, np.float32))
    assert isinstance(host.blobs[end].diff, np.ndarray)


def test_arrays_of_the_host_may_be_put_into_blobs(nets: dict[str, tuple[Net, Net]]) -> None:
    x = 50 * np.random.default_rng(0).normal(size=(1, 3, 33, 35)).astype(np.float32)
    results = []
    for net in nets["squeezenet"]:
        net.forward({"data": 0 * x})
        net.blobs["data"].data = x
        top = np.asarray(net.forward(end="conv1")["conv1"])
        net.blobs["conv1"].data = top + 1
        net.forward(start="conv1", end="fire2/concat")
        seed = net.blobs["fire2/concat"]
        seed.diff[...] = seed.data
        net.backward(start="fire2/concat", end="conv1")
        results.append([top, *(np.asarray(seed.data), np.asarray(net.blobs["conv1"].diff))])
        assert type(net.blobs["conv1"].data) is type(seed.data)
    for found, wanted in zip(results[1], results[0], strict=True):
        assert distance(found, wanted) < 1e-5


@pytest.mark.parametrize("device", DEVICES)
def test_indices_and_numbers_are_those_of_the_moment(device: str, tmp_path: Path) -> None:
    """An input of indices, constant indices, and the scales of a Resize, which layers read."""
    file = tmp_path / "model.onnx"
    nodes = [
        helper.make_node("Gather", ["data", "indices"], ["picked"], axis=1),
        helper.make_node("Gather", ["picked", "rows"], ["cut"], axis=2),
        helper.make_node("Resize", ["cut", "", "scales"], ["y"], mode="nearest"),
    ]
    inputs = [
        helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, None, 4]),
        helper.make_tensor_value_info("indices", TensorProto.INT64, [2]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [4]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    rows = numpy_helper.from_array(np.int64([3, 0]), "rows")
    graph = helper.make_graph(nodes, "gather", inputs, outputs, [rows])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), file)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    net = Net(file, device=device)
    scales = net.place(np.float32([1, 1, 2, 3]))  # from another net, say
    indices = net.device.place(np.int64([0, 1]))

    def wanted(channels: list[int], rows: list[int]) -> np.ndarray:
        return x[:, channels][:, :, rows].repeat(2, 2).repeat(3, 3)

    found = net.forward({"data": x, "indices": indices, "scales": scales})["y"]
    np.testing.assert_array_equal(found, wanted([0, 1], [3, 0]))
    net.blobs["indices"].data[...] = [2, 2]
    net.constants["rows"][...] = [1, 4]
    np.testing.assert_array_equal(net.forward({"data": x})["y"], wanted([2, 2], [1, 4]))

    def program(net: Net, data: Any) -> dict[str, Any]:
        return {"gradient": image_gradient(net, data, {"y": l2})[1]}

    plan = Plan(net, program, data=(np.float32, x.shape))
    data = net.place(x)
    first = np.asarray(plan(data=data)["gradient"])
    before = net.device.crossings
    result = plan(data=data)["gradient"]
    assert net.device.crossings == before
    np.testing.assert_array_equal(result, first)


@pytest.mark.emulator
def test_nets_on_a_device_are_copied(files: dict[str, Path]) -> None:
    net = Net(files["squeezenet"], device="emulator")
    x = np.random.default_rng(0).normal(size=(1, 3, 33, 35)).astype(np.float32)
    wanted = np.asarray(net.forward({"data": x}, end="conv1")["conv1"])
    twin = copy.deepcopy(net)
    net.params["conv1"][0][...] = 0
    np.testing.assert_array_equal(twin.forward({"data": x}, end="conv1")["conv1"], wanted)


@pytest.mark.emulator
def test_an_empty_blob_shares_no_memory(files: dict[str, Path]) -> None:
    blob = Net(files["squeezenet"], device="emulator").blobs["conv1"]
    assert not hasattr(blob, "__cuda_array_interface__")


def test_auto_says_why_a_gpu_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, files: dict[str, Path]
) -> None:
    """To whoever has installed CuPy, and to nobody else."""

    def refused(name: str, precision: str) -> Any:
        raise DeviceError("it is too old")

    monkeypatch.setattr("oneiro.net.device_named", refused)
    for found, told in ((None, []), (object(), ["no GPU is used: it is too old"])):
        caplog.clear()
        monkeypatch.setattr("importlib.util.find_spec", lambda name, found=found: found)
        assert Net(files["squeezenet"]).device is None
        assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == told
