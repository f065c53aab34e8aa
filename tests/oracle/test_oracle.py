"""The oracles judge the engine; onnxruntime, plain loops and hand-made cases judge the oracles."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from oracle import light, notebook, runtime, small
from oracle.measure import distance

RULES = ("gradient", "guided", "deconv")
VECTORS = Path(__file__).parent / "vectors"
SQUEEZENET = Path(__file__).parents[2] / "models" / "squeezenet1.1.onnx"


@pytest.fixture
def blobs() -> Any:
    pytest.importorskip("onnxruntime", reason="onnxruntime judges the walker")
    return runtime.blobs


def one_node(op: str, shape: tuple[int, ...], **attributes: Any) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        op,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)])


def agree(walker: ModuleType, blobs: Any, model: ModelProto, x: np.ndarray) -> None:
    inputs = {runtime.picture_input(model): x}
    expected = blobs(model, inputs)
    values = walker.run(model, inputs, list(expected))
    for name, value in expected.items():
        assert distance(values[name], value) < 1e-5, name


# The walker, forwards.


@pytest.mark.parametrize("name", [name for name in small.MODELS if name != "lrn"])
def test_walker_agrees_with_onnxruntime_on_small_models(
    walker: ModuleType, blobs: Any, name: str
) -> None:
    agree(walker, blobs, small.MODELS[name][0](), small.picture(name))


@pytest.mark.parametrize("name", light.NAMES)
def test_walker_agrees_with_onnxruntime_on_light_networks(
    walker: ModuleType, blobs: Any, name: str
) -> None:
    size = light.NETWORKS[name].sizes[0]
    agree(walker, blobs, light.for_size(light.light(name), size), light.noise(size))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_lrn_is_a_loop_over_channels(walker: ModuleType, size: int) -> None:
    # onnxruntime lacks even sizes, and onnx's reference loops over the batch instead (onnx#7805).
    x = np.random.RandomState(0).standard_normal((2, 6, 3, 4))
    expected = np.empty_like(x)
    for c in range(6):
        first, last = c - (size - 1) // 2, c + -(-(size - 1) // 2)
        squares = sum(x[:, i] ** 2 for i in range(max(first, 0), min(last, 5) + 1))
        expected[:, c] = x[:, c] / (0.7 + 2.0 / size * squares) ** 0.9
    model = one_node("LRN", x.shape, size=size, alpha=2.0, beta=0.9, bias=0.7)
    assert distance(walker.run(model, {"x": x}, "y")["y"], expected) < 1e-6


def test_small_models_use_every_operator_of_the_walker(walker: ModuleType) -> None:
    used = {node.op_type for build, _ in small.MODELS.values() for node in build().graph.node}
    assert used == set(walker.OPERATORS)


@pytest.mark.parametrize("name", small.MODELS)
def test_small_models_are_valid_and_have_no_two_equal_axes(walker: ModuleType, name: str) -> None:
    model = small.MODELS[name][0]()
    onnx.checker.check_model(model, full_check=True)
    ends = [output.name for output in model.graph.output]
    for blob, value in walker.run(model, {"data": small.picture(name)}, ends).items():
        lengths = [length for length in value.shape if length > 1]
        square = name == "vit"  # attention sets every token against every token
        assert len(set(lengths)) + square >= len(lengths), f"{blob} {tuple(value.shape)}"


# The walker, backwards.


@pytest.mark.parametrize("name", small.MODELS)
def test_gradient_is_the_slope_of_the_objective(walker: ModuleType, name: str) -> None:
    build, end = small.MODELS[name]
    model, x = build(), small.picture(name).astype(np.float64)
    way = np.random.RandomState(0).standard_normal(x.shape)

    def objective(x: np.ndarray) -> float:
        return 0.5 * float((walker.run(model, {"data": x}, end)[end] ** 2).sum())

    slope = (objective(x + 1e-6 * way) - objective(x - 1e-6 * way)) / 2e-6
    assert np.sum(walker.gradient(model, x, end) * way) == pytest.approx(slope, rel=1e-6)


def test_rules_on_the_worked_example(walker: ModuleType) -> None:
    # Springenberg et al. 2014, figure 1.
    x = np.float64([[1, -1, 5], [2, -5, -7], [-3, 2, 4]])
    dy = np.float64([[-2, 3, -1], [6, -3, 1], [2, -1, 3]])
    expected = {
        "gradient": [[-2, 0, -1], [6, 0, 0], [0, -1, 3]],
        "guided": [[0, 0, 0], [6, 0, 0], [0, 0, 3]],
        "deconv": [[0, 3, 0], [6, 0, 1], [2, 0, 3]],
    }
    for rule, dx in expected.items():
        assert np.array_equal(walker.gradient(one_node("Relu", (3, 3)), x, "y", dy, rule), dx)


@pytest.mark.parametrize(
    ("op", "attributes", "gradient", "deconv"),
    [
        ("Relu", {}, [0, 0, 3, 3, -3, 3], [3, 3, 3, 3, 0, 3]),
        ("LeakyRelu", {"alpha": 0.5}, [1.5, 1.5, 3, 3, -3, 3], [3, 3, 3, 3, 0, 3]),
        ("Clip", {"min": 0.0, "max": 2.0}, [0, 0, 3, 0, -3, 0], [3, 3, 3, 3, 0, 3]),
        ("Clip", {"min": -1.0, "max": 2.0}, [0, 3, 3, 0, -3, 0], [0, 3, 3, 0, -3, 0]),
    ],
)
def test_rectifiers_at_their_kinks(
    walker: ModuleType, op: str, attributes: dict[str, float], gradient: list, deconv: list
) -> None:
    x = np.float64([-1, 0, 1, 2, 1, 5])
    dy = np.float64([3, 3, 3, 3, -3, 3])
    model = one_node(op, (6,), **attributes)
    assert walker.gradient(model, x, "y", dy).tolist() == gradient
    assert walker.gradient(model, x, "y", dy, "deconv").tolist() == deconv


def test_a_tie_in_a_pool_goes_to_the_first_maximum(walker: ModuleType) -> None:
    x = np.float64([[1, 2, 2], [2, 2, 0]]).reshape(1, 1, 2, 3)
    model = one_node("MaxPool", x.shape, kernel_shape=[2, 2])
    diff = walker.gradient(model, x, "y", np.float64([[[[10, 1]]]]))
    assert diff.ravel().tolist() == [0, 11, 0, 0, 0, 0]


def test_gradients_of_several_ends_add_up(walker: ModuleType) -> None:
    model, x = small.branches(), small.picture("branches")
    ends = ["mixed", "stem", "end"]
    single = sum(walker.gradient(model, x, end) for end in ends)
    assert distance(walker.gradient(model, x, ends), single) < 1e-12


# Stored vectors.


@pytest.mark.parametrize("name", small.MODELS)
def test_stored_vectors_are_what_the_walker_says(walker: ModuleType, name: str) -> None:
    build, end = small.MODELS[name]
    model, x = build(), small.picture(name)
    stored = np.load(VECTORS / f"{name}.npz")
    assert np.array_equal(stored["picture"], x)
    assert distance(walker.run(model, {"data": x}, end)[end], stored["end"]) < 1e-12
    for rule in RULES:
        assert distance(walker.gradient(model, x, end, rule=rule), stored[rule]) < 1e-12


def test_stored_squeezenet_is_what_the_walker_says(walker: ModuleType) -> None:
    model = onnx.load(SQUEEZENET)
    stored = np.load(VECTORS / "squeezenet1.1.npz")
    x = stored["picture"].astype(np.float32)
    for rule in RULES:
        diff = walker.gradient(model, x, "fire7/concat", rule=rule)
        assert distance(diff.flat[stored["index"]], stored[rule]) < 1e-12
        assert np.linalg.norm(diff.ravel()) == pytest.approx(stored[f"{rule}_norm"], rel=1e-12)


def test_stored_dream_is_what_the_notebook_dreams(walker: ModuleType) -> None:
    model = small.branches()
    stored = np.load(VECTORS / "dream.npz")
    dreams = notebook.octaves(
        stored["img"], lambda x, end: walker.gradient(model, x, end), "end", **notebook.STORED
    )
    for i, dream in enumerate(dreams):
        assert distance(dream, stored[f"octave{i}"]) < 1e-9


# The cut, the light networks and the notebook need no torch.


def test_blobs_below_a_fixed_size_tail_take_any_size(blobs: Any) -> None:
    whole = onnx.load(light.FOLDER / "light_zfnet512.onnx")  # declares 224 px, ends in a Reshape
    x = light.noise((64, 96))
    assert blobs(whole, {"gpu_0/data_0": x}, ["r14"])["r14"].shape == (1, 512, 1, 2)


@pytest.mark.parametrize("name", light.NAMES)
def test_light_networks_are_alive(blobs: Any, name: str) -> None:
    network = light.NETWORKS[name]
    model = light.for_size(light.light(name), network.sizes[-1])
    assert runtime.picture_input(model) == network.input
    for blob, value in blobs(model, {network.input: light.noise(network.sizes[-1])}).items():
        if value.ndim == 4:
            assert 1 < value.std() < 1e5, blob
            assert (value > 0).mean() > 0.3, blob
    assert network.middle in {out for node in model.graph.node for out in node.output}


def test_a_light_network_is_its_seed() -> None:
    same, again, other = (light.light("squeezenet", seed) for seed in (1, 1, 2))
    assert same.SerializeToString() == again.SerializeToString() != other.SerializeToString()


def test_step_of_the_notebook_by_hand() -> None:
    # The gradient of a network that does nothing is the picture itself, wherever it is rolled.
    x = np.random.RandomState(0).uniform(-100, 100, (3, 5, 7))
    x[1, 2, 3] = 137.0
    random = np.random.RandomState(1)
    stepped = notebook.make_step(x, lambda x, end: x, "data", random, step_size=2.0, jitter=3)
    expected = x + 2.0 / np.abs(x).mean() * x
    mean = np.reshape(notebook.MEAN, (3, 1, 1))
    assert np.allclose(stepped, np.clip(expected, -mean, 255 - mean), rtol=1e-14)
    assert stepped[1, 2, 3] == 255 - 117
    still = notebook.make_step(x, lambda x, end: 0 * x, "data", random, clip=False)
    assert np.array_equal(still, x)


def test_octaves_of_the_notebook() -> None:
    img = np.random.RandomState(0).uniform(0, 255, (50, 71, 3))
    calm = notebook.octaves(img, lambda x, end: 0 * x, "data", clip=False)
    *small_dreams, last = calm
    assert [dream.shape for dream in small_dreams] == [(19, 26, 3), (26, 36, 3), (36, 51, 3)]
    assert np.allclose(last, img, rtol=1e-13)


def test_guide_of_the_notebook() -> None:
    data = np.float64([[[[1, 0, 2]], [[0, 1, 1]]]])  # three places of two channels
    guide = np.float64([[[[3, 0], [0, 0]], [[0, 2], [0, 1]]]])
    assert notebook.guide_diff(data, guide).tolist() == [[[[3, 0, 3]], [[0, 2, 0]]]]
