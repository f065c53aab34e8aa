"""Whole networks against their judges: onnxruntime forward, torch in float64 backward."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from scipy.ndimage import zoom

import oneiro
from oneiro import Net
from oneiro.models import registry
from oracle import light, runtime, small
from oracle.measure import distance, medians

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "models"
VECTORS = ROOT / "tests" / "oracle" / "vectors"
SQUEEZENET = registry.FOLDER / "squeezenet1.1.onnx"
RULES = ("gradient", "guided", "deconv")


class Real(NamedTuple):
    """What a test must know of a trained network."""

    file: Path
    features: tuple[str, ...]  # blobs with a height and a width
    head: tuple[str, ...] = ("prob",)
    unit: float = 1.0  # of its input, for noise of the range of a picture


REAL = {
    "squeezenet1.1": Real(SQUEEZENET, ("fire5/concat", "fire9/concat")),
    "googlenet": Real(SHARED / "googlenet.onnx", ("inception_4c/output", "inception_5b/output")),
    "mobilenetv1_0.25": Real(
        SHARED / "mobilenetv1_0.25.onnx", ("conv_pw_7_relu", "conv_pw_13_relu"), unit=1 / 128
    ),
    "mobilenetv2_dogs": Real(
        SHARED / "mobilenetv2_dogs.onnx", ("block_10", "block_16"), unit=1 / 128
    ),
    "vgg16_conv4_2": Real(SHARED / "vgg16_conv4_2.onnx", ("conv3_1", "conv4_2"), head=()),
}
CASES = [(name, light.NETWORKS[name].sizes[0]) for name in light.NAMES]
CASES += [(name, size) for name in REAL for size in ((64, 96), (71, 93))]


class Network(NamedTuple):
    """A network as its judges know it, as Nets of both precisions, and where to look at it."""

    model: ModelProto
    single: Net
    double: Net
    features: tuple[str, ...]
    head: tuple[str, ...]
    size: tuple[int, int]
    unit: float

    def noise(self, seed: int = 0) -> np.ndarray:
        return light.noise(self.size, seed) * np.float32(self.unit)


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1][0]}x{case[1][1]}"
)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    gc.collect()  # the last one's weights hang in the rings that symbols make
    name, size = request.param
    if name in REAL:
        file, features, head, unit = REAL[name]
        if not file.exists():
            pytest.skip(f"{name}.onnx is not part of the repository")
        model = onnx.load(file)
        return Network(model, Net(file), Net(file, dtype=np.float64), features, head, size, unit)
    model, known = light.light(name), light.NETWORKS[name]
    file = tmp_path_factory.mktemp(name) / "model.onnx"
    onnx.save(model, file)
    nets = Net(file), Net(file, dtype=np.float64)
    file.unlink()  # pytest keeps folders, and some files have 100 MB
    model = light.for_size(model, size)
    return Network(model, *nets, (known.middle, known.end), (), size, 1.0)


@pytest.fixture(scope="module")
def blobs() -> Any:
    pytest.importorskip("onnxruntime", reason="onnxruntime judges the blobs")
    return runtime.blobs


def stored(name: str) -> dict[str, np.ndarray]:
    """What torch said of the network, for machines without torch."""
    with np.load(VECTORS / f"{name}.npz") as arrays:
        return dict(arrays)


def gradients(
    net: Net, x: np.ndarray, ends: tuple[str, ...], rule: str = "gradient"
) -> dict[str, np.ndarray]:
    """For each of `ends`, what arrives at the picture x when the diff of that blob is its data."""
    net.forward({net.input: x}, end=ends)
    arrived = {}
    for end in ends:
        net.blobs[end].diff[...] = net.blobs[end].data
        arrived[end] = net.backward(start=end, rule=rule)[net.input]
    return arrived


# Tiny models: every operator, in ugly geometries.


# onnxruntime has no LRN of an even size
@pytest.mark.parametrize("name", [name for name in small.MODELS if name != "lrn"])
def test_small_blobs(name: str, net_of: Callable[..., Net], blobs: Any) -> None:
    model, x = small.MODELS[name][0](), small.picture(name)
    net = net_of(model)
    net.forward(data=x)
    for blob, expected in blobs(model, {"data": x}).items():
        assert distance(net.value(blob), expected) < 1e-5, blob


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", small.MODELS)
def test_small_gradients(
    name: str, rule: str, net_of: Callable[..., Net], walker: ModuleType
) -> None:
    build, end = small.MODELS[name]
    model, x = build(), small.picture(name)
    diff = gradients(net_of(model, np.float64), x, (end,), rule)[end]
    assert distance(diff, walker.gradient(model, x, end, rule=rule)) < 1e-9


@pytest.mark.parametrize("name", small.MODELS)
def test_small_models_on_stored_vectors(name: str, net_of: Callable[..., Net]) -> None:
    build, end = small.MODELS[name]
    net, known = net_of(build(), np.float64), stored(name)
    for rule in RULES:
        diff = gradients(net, known["picture"], (end,), rule)[end]
        assert distance(diff, known[rule]) < 1e-9, rule
    assert distance(net.blobs[end].data, known["end"]) < 1e-9


@pytest.mark.parametrize(
    "node",
    [
        "Flatten <axis = 2> (x)",
        "Flatten <axis = -1> (x)",
        "Concat <axis = -3> (x, x)",
        "Softmax <axis = -3> (x)",
        "ReduceMean <keepdims = 0> (x, axes)",
        'Resize <mode = "linear"> (x, , scales)',
        'Resize <coordinate_transformation_mode = "asymmetric"> (x, , , sizes)',
    ],
)
def test_forms_of_operators(node: str, net_of: Callable[..., Net], blobs: Any) -> None:
    """Negative axes, and inputs that a layer reads as numbers."""
    x = light.noise((5, 7), channels=6)
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 18]>
        network (float[n, 6, h, w] x) => (float[] y)
        <int64[2] axes = {{-1, 1}}, float[4] scales = {{1, 1, 2.5, 0.6}},
         int64[4] sizes = {{1, 6, 9, 4}}>
        {{ y = {node} }}"""
    )
    net, expected = net_of(model), blobs(model, {"x": x}, ["y"])["y"]
    assert distance(net.forward(x=x)["y"], expected) < 1e-5
    assert net.shapes({"x": x.shape})["y"] == expected.shape


# Real topologies and trained networks.


def test_blobs(network: Network, blobs: Any) -> None:
    x, net = network.noise(), network.single
    net.forward({net.input: x})
    for blob, expected in blobs(network.model, {net.input: x}).items():
        tolerance = 1e-4 if blob in network.head else 1e-5  # a softmax magnifies rounding
        assert distance(net.value(blob), expected) < tolerance, blob


@pytest.mark.parametrize("rule", RULES)
def test_gradients_in_float64(network: Network, rule: str, walker: ModuleType) -> None:
    x, ends = network.noise(), network.features + network.head
    expected = walker.gradients(network.model, x, ends, rule)
    for end, diff in gradients(network.double, x, ends, rule).items():
        assert distance(diff, expected[end]) < 1e-9, end


def test_gradients_in_float32(network: Network) -> None:
    """Judged by float64, which torch judges above, on nine pictures.

    In the median, because activations of one pool window that are equal up to rounding now and
    then send the diff to different places, in any float32 engine.
    """

    def errors() -> Iterator[dict[str, float]]:
        for first in (0, 3, 6):
            x = np.concatenate([network.noise(first + k) for k in range(3)])
            nets = (network.single, network.double)
            diffs, expected = (gradients(net, x, network.features) for net in nets)
            for k in range(3):
                yield {end: distance(diffs[end][k], expected[end][k]) for end in network.features}

    for end, error in medians(errors(), 9).items():
        assert error < 1e-5, end


def test_squeezenet_on_the_stored_vector() -> None:
    net, known = Net(SQUEEZENET, dtype=np.float64), stored("squeezenet1.1")
    end = "fire7/concat"
    for rule in RULES:
        diff = gradients(net, known["picture"], (end,), rule)[end]
        assert distance(diff.flat[known["index"]], known[rule]) < 1e-9, rule
        assert np.linalg.norm(diff) == pytest.approx(known[f"{rule}_norm"], rel=1e-9)
    assert np.linalg.norm(net.blobs[end].data) == pytest.approx(known["end_norm"], rel=1e-9)


@pytest.mark.parametrize(
    ("photo", "label", "least"),
    [("coffee.png", "espresso", 0.9), ("chelsea_cat.png", "Egyptian cat", 0.3)],
)
def test_squeezenet_knows_what_it_sees(photo: str, label: str, least: float) -> None:
    net = oneiro.load("squeezenet1.1")
    img = oneiro.load_image(ROOT / "examples" / photo)
    height, width, _ = img.shape
    square = zoom(img, (227 / height, 227 / width, 1), order=1)
    (prob,) = net.forward(data=net.preprocess(square))["prob"]
    assert registry.labels(registry.find("squeezenet1.1"))[prob.argmax()] == label
    assert prob.max() > least
