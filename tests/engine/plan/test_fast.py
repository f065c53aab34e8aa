"""The fast executor makes what a Net makes, to rounding, whatever the network."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from oneiro import ModelError, Net, Plan, Preprocess, dream_step
from oneiro.ascent import image_gradient
from oneiro.kernels import crew
from oneiro.kernels.conv import conv
from oneiro.kernels.symbol import Symbol
from oneiro.kernels.window import sliding_window
from oneiro.objective import l2
from oneiro.plan.fast import Fast
from oneiro.trace import Program
from oracle import light, small
from oracle.measure import difference, distance, medians
from oracle.notation import network

pytest.importorskip("numba", reason="the fast executor compiles its kernels")
pytest.importorskip("onnxruntime", reason="the fast executor convolves in onnxruntime")

RULES = ("gradient", "guided", "deconv")
SEEDS = 5  # pictures of which the median counts: ties between maxima break by rounding
LIGHT = ("inception_v1", "resnet50", "squeezenet")


@pytest.fixture
def all_cores() -> Iterator[None]:
    yield
    crew.use(None)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Net, str]]:
    """nets("branches"): a network on the fast executor, and the blob to climb."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, tuple[Net, str]] = {}

    def open_(name: str) -> tuple[Net, str]:
        if name not in made:
            build, end = small.MODELS.get(name, (None, ""))
            model = build() if build else light.light(name)
            path = folder / "model.onnx"
            onnx.save(model, path)
            net = Net(path, executor="fast")
            net.preprocessing = Preprocess(mean=128, scale=1 / 128 if build else 1.0)
            made[name] = net, end or light.NETWORKS[name].end
            path.unlink()
        return made[name]

    return open_


def gradient(end: str, rule: str) -> Program:
    def program(net: Net, x: Any) -> Mapping[str, Any]:
        value, diff = image_gradient(net, x, {end: l2}, rule)
        return {"value": value, "gradient": diff, "blob": net.blobs[net.resolve(end)].data}

    return program


def pictures(net: Net, batch: int, size: tuple[int, int], seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 255, (batch, *size, net.channels))
    return np.concatenate([net.preprocess(image) for image in values])


def errors(net: Net, program: Program, batch: int, size: tuple[int, int]) -> dict[str, float]:
    """How far each result is from the Net's: medians over pictures."""
    plan = Plan(net, program, x=(np.float32, (batch, net.channels, *size)))
    assert isinstance(plan.run, Fast)

    def found(seed: int) -> dict[str, float]:
        x = pictures(net, batch, size, seed)
        wanted, results = program(net, x), plan(x=x)
        return {name: difference(result, wanted[name]) for name, result in results.items()}

    return medians(map(found, range(SEEDS)), SEEDS)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", small.MODELS)
def test_small_networks(nets: Callable[..., tuple[Net, str]], name: str, rule: str) -> None:
    net, end = nets(name)
    found = errors(net, gradient(end, rule), 2 if rule == "guided" else 1, (13, 18))
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("name", LIGHT)
def test_real_topologies(nets: Callable[..., tuple[Net, str]], name: str) -> None:
    net, end = nets(name)
    size = light.NETWORKS[name].sizes[0]
    found = errors(net, gradient(end, "gradient"), 1, size)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("size", [(5, 5), (9, 31), (13, 19)])
def test_sizes(nets: Callable[..., tuple[Net, str]], size: tuple[int, int]) -> None:
    """One after another: sessions are shared, memory is not."""
    net, end = nets("branches")
    found = errors(net, gradient(end, "gradient"), 1, size)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("name", ["branches", "mobile", "pools", "resize"])
def test_the_smallest_sizes(nets: Callable[..., tuple[Net, str]], name: str) -> None:
    """As small as the network itself takes them."""
    net, end = nets(name)
    taken = 0
    for size in [(1, 1), (1, 2), (2, 1), (3, 2), (4, 7), (6, 5)]:
        try:
            net.forward({net.input: pictures(net, 1, size, 0)}, end=end)
        except ModelError:
            continue
        found = errors(net, gradient(end, "gradient"), 1, size)
        assert max(found.values()) < 1e-5 or net.blobs[end].data.size == 0, (size, found)
        taken += 1
    assert taken > 1


def test_sessions_serve_all_sizes(nets: Callable[..., tuple[Net, str]]) -> None:
    net, end = nets("branches")
    counts = []
    for side in (15, 31, 63):
        Plan(net, gradient(end, "gradient"), x=(np.float32, (1, 3, side, side + 2)))
        counts.append(len(net.sessions))
    assert counts[2] - counts[1] <= 1 < counts[0]  # where a stride leaves an edge unread


def test_a_dream_step(nets: Callable[..., tuple[Net, str]]) -> None:
    net, end = nets("branches")
    assert net.preprocessing
    bounds = net.preprocessing.bounds(3)

    def program(net: Net, x: Any, shift: Any, step: Any) -> Mapping[str, Any]:
        return dream_step(net, x, shift, step, {end: l2}, bounds)

    x = pictures(net, 1, (13, 18), 1)
    given = {"x": x, "shift": np.array([3, -5]), "step": np.full((1, 3, 1, 1), 0.1, np.float32)}
    plan = Plan(net, program, **{key: (v.dtype, v.shape) for key, v in given.items()})
    before = x.copy()
    for _ in range(2):
        found, wanted = plan(**given), program(net, **given)
        assert distance(found["x"] - x, wanted["x"] - x) < 1e-4
        assert distance(found["value"], wanted["value"]) < 1e-5
    np.testing.assert_array_equal(x, before)


@pytest.mark.usefixtures("all_cores")
def test_the_same_bits_every_time(nets: Callable[..., tuple[Net, str]]) -> None:
    net, end = nets("squeezenet")
    size = (64, 96)
    x = pictures(net, 1, size, 3)
    crew.use(2)
    plans = [Plan(net, gradient(end, "gradient"), x=(np.float32, x.shape)) for _ in range(2)]
    first = plans[0](x=x)
    plans[0](x=pictures(net, 1, size, 4))
    for plan in plans:
        for name, result in plan(x=x).items():
            np.testing.assert_array_equal(result, first[name])


def test_results_are_the_callers(nets: Callable[..., tuple[Net, str]]) -> None:
    net, end = nets("chain")
    plan = Plan(net, gradient(end, "gradient"), x=(np.float32, (1, 3, 13, 18)))
    x = pictures(net, 1, (13, 18), 0)
    first = plan(x=x)
    kept = first["gradient"].copy()
    plan(x=2 * x)
    np.testing.assert_array_equal(first["gradient"], kept)
    first["gradient"][...] = 0
    np.testing.assert_array_equal(plan(x=x)["gradient"], kept)


def test_several_threads_may_call_one_plan(nets: Callable[..., tuple[Net, str]]) -> None:
    net, end = nets("chain")
    plan = Plan(net, gradient(end, "gradient"), x=(np.float32, (1, 3, 13, 18)))
    inputs = [pictures(net, 1, (13, 18), seed) for seed in range(4)]
    wanted = [plan(x=x)["gradient"] for x in inputs]
    found: dict[int, list[np.ndarray]] = {k: [] for k in range(4)}

    def work(k: int) -> None:
        found[k] += [plan(x=inputs[k])["gradient"] for _ in range(5)]

    workers = [threading.Thread(target=work, args=(k,)) for k in found]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for k, results in found.items():
        for result in results:
            np.testing.assert_array_equal(result, wanted[k])


def test_results_that_nothing_makes(nets: Callable[..., tuple[Net, str]]) -> None:
    net, _ = nets("chain")
    weight = next(c for c in net.constants.values() if c.ndim == 4)
    name = next(n for n, c in net.constants.items() if c is weight)
    kept = weight.copy()

    def program(net: Net, x: Any) -> Mapping[str, Any]:
        return {"w": net.constants[name], "x": x, "flat": x.reshape(-1), "number": 2.5}

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    results = Plan(net, program, x=(np.float32, (2, 3)))(x=x)
    np.testing.assert_array_equal(results["x"], x)
    np.testing.assert_array_equal(results["flat"], x.reshape(-1))
    assert results["number"] == 2.5
    results["w"][...] = 0
    np.testing.assert_array_equal(weight, kept)


def test_what_has_no_fast_twin_runs_as_it_stands(nets: Callable[..., tuple[Net, str]]) -> None:
    """Functions without a loop, views that are not dense, and a shape of many axes."""
    net, _ = nets("chain")

    def program(net: Net, x: Any) -> Mapping[str, Any]:
        turned = np.transpose(x, (0, 3, 2, 1))[:, 1:6]
        odd = relu_like(turned) + turned
        wide = np.expand_dims(np.exp(x), (2,)) * np.arange(4, dtype=np.float32)[:, None, None]
        return {"odd": odd, "wide": wide, "sum": wide.sum((1, 2))}

    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)
    results = Plan(net, program, x=(np.float32, x.shape))(x=x)
    for key, wanted in program(net, x).items():
        np.testing.assert_allclose(results[key], wanted, rtol=1e-5)


def relu_like(x: Any) -> Any:
    return np.maximum(x, 0) * np.minimum(x, 1)


def test_the_constants_are_those_of_the_moment(nets: Callable[..., tuple[Net, str]]) -> None:
    """Also where a session of the same form is open."""
    net, end = nets("caffe")
    x = pictures(net, 1, (13, 18), 0)
    name, weight = next((n, c) for n, c in net.constants.items() if c.ndim == 4)
    before = Plan(net, gradient(end, "gradient"), x=(np.float32, x.shape))(x=x)["gradient"]
    net.constants[name] = weight * 2
    try:
        after = Plan(net, gradient(end, "gradient"), x=(np.float32, x.shape))(x=x)["gradient"]
        assert distance(after, image_gradient(net, x, {end: l2})[1]) < 1e-4
        assert distance(after, before) > 0.1
    finally:
        net.constants[name] = weight


def test_a_net_of_doubles_takes_numpy(net_of: Callable[..., Net]) -> None:
    net = net_of(small.chain(), np.float64)
    assert net.executor == "numpy"
    plan = Plan(net, lambda net, x: {"y": 2 * x}, x=(np.float64, (2, 3)))
    assert plan(x=np.ones((2, 3)))["y"].dtype == np.float64
    assert not isinstance(plan.run, Fast)


@pytest.mark.parametrize("stride", [2, 1 << 40])
@pytest.mark.parametrize(
    "last",
    [
        "y = LpPool <kernel_shape = [3, 2], strides = [S, S]> (r)",
        "y = MaxPool <kernel_shape = [3, 2], strides = [S, S]> (r)",
        "y = Conv <group = 3, strides = [S, S]> (r, depthwise)",
        "y = ConvTranspose <group = 3, strides = [S, S]> (m, depthwise)",
    ],
)
def test_windows_of_any_stride(tmp_path: Path, last: str, stride: int) -> None:
    """Those with filters of their own, and strides as a hostile file may have them."""
    weights = np.random.default_rng(0).normal(size=(3, 1, 3, 2)).astype(np.float32)
    nodes = f"r = Relu (x)\n m = GlobalMaxPool (r)\n {last.replace('S', str(stride))}"
    model = network(nodes, **({"depthwise": weights} if "depthwise" in last else {}))
    onnx.save(model, tmp_path / "model.onnx")
    net = Net(tmp_path / "model.onnx", executor="fast")
    net.preprocessing = Preprocess(mean=128, scale=1 / 128)
    assert max(errors(net, gradient("y", "gradient"), 1, (13, 18)).values()) < 1e-5


def test_filters_made_by_the_program(nets: Callable[..., tuple[Net, str]]) -> None:
    """They are read by onnxruntime as any value is."""
    net, _ = nets("chain")

    def program(net: Net, x: Any, w: Any) -> Mapping[str, Any]:
        return {"y": conv(x, w + 1, None, sliding_window((3, 2)), 1)}

    random = np.random.default_rng(0)
    x = random.normal(size=(2, 4, 6, 5)).astype(np.float32)
    w = random.normal(size=(3, 4, 3, 2)).astype(np.float32)
    plan = Plan(net, program, x=(np.float32, x.shape), w=(np.float32, w.shape))
    assert isinstance(plan.results["y"], Symbol)
    assert distance(plan(x=x, w=w)["y"], program(net, x, w)["y"]) < 1e-5
