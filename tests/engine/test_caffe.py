"""Programs of the Caffe era on oneiro.caffe, judged by torch, and pycaffe's manners."""

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import PIL.Image
import pytest
import scipy.ndimage as nd
from onnx import ModelProto, TensorProto, helper, numpy_helper

import oneiro
import oneiro.caffe as caffe
from oneiro import ArgumentError, ModelError
from oneiro.models import registry
from oracle import light, notebook, runtime
from oracle.dream import deepdream, make_step, preprocess

SQUEEZENET = registry.FOLDER / "squeezenet1.1.onnx"
GOOGLENET = Path(__file__).parents[3] / "shared" / "models" / "googlenet.onnx"
MEAN = np.float32([104.0, 116.0, 122.0])
X = np.random.default_rng(0).normal(size=(1, 3, 9, 14)) * 50


def model(*, input: str = "data", classes: int = 6) -> ModelProto:
    """As Caffe's users knew them: convolutions with ReLUs in place, branches, a classifier."""
    random = np.random.default_rng(1)
    constants: list[TensorProto] = []
    nodes = []

    def conv(bottom: str, name: str, *shape: int, relu: str = "", pad: int = 0) -> None:
        values = random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        weights = {f"{name}.weight": values, f"{name}.bias": random.normal(size=shape[0])}
        for key, value in weights.items():
            constants.append(numpy_helper.from_array(value.astype(np.float32), key))
        top = f"{name}_pre" if relu else name
        node = helper.make_node("Conv", [bottom, *weights], [top], name, pads=[pad] * 4)
        nodes.append(node)
        if relu:
            nodes.append(helper.make_node("Relu", [top], [name], relu))

    conv(input, "conv1", 4, 3, 3, 3, relu="relu1", pad=1)
    conv("conv1", "a/1x1", 5, 4, 1, 1, relu="a/relu_1x1")
    conv("conv1", "a/3x3_reduce", 7, 4, 1, 1, relu="a/relu_3x3_reduce")
    conv("a/3x3_reduce", "a/3x3", 2, 7, 3, 3, relu="a/relu_3x3", pad=1)
    nodes.append(helper.make_node("Concat", ["a/1x1", "a/3x3"], ["a/output"], "a/output", axis=1))
    conv("a/output", "conv2", classes, 7, 3, 3, relu="relu2")
    nodes.append(helper.make_node("GlobalAveragePool", ["conv2"], ["pool2"], "pool2"))
    nodes.append(helper.make_node("Flatten", ["pool2"], ["fc"], "fc"))
    nodes.append(helper.make_node("Softmax", ["fc"], ["prob"], "prob"))
    picture = helper.make_tensor_value_info(input, TensorProto.FLOAT, ["n", 3, 9, 14])
    output = helper.make_tensor_value_info("prob", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [picture], [output], constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    onnx.save(model(), path)
    return path


@pytest.fixture
def net(file: Path) -> caffe.Net:
    return caffe.Net(file, caffe.TEST)


@pytest.fixture
def double(file: Path) -> caffe.Classifier:
    """In float64, to meet the judge closely."""
    return caffe.Classifier(oneiro.Net(file, dtype=np.float64), mean=MEAN, channel_swap=(2, 1, 0))


def l2_gradient(net: caffe.Net, x: np.ndarray, end: str) -> np.ndarray:
    """What arrives at the picture x when the diff of the blob `end` is its data."""
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    net.forward(end=end)
    net.blobs[end].diff[...] = net.blobs[end].data
    return net.backward(start=end)["data"].copy()


@pytest.mark.parametrize(
    ("end", "tensor"),
    # of a blob that is written in place, Caffe's `end` is the convolution, before its ReLU
    [("a/output", "a/output"), ("a/3x3_reduce", "a/3x3_reduce_pre"), ("conv1", "conv1_pre")],
)
def test_a_step_of_the_notebook_is_torchs(
    double: caffe.Classifier, walker: ModuleType, end: str, tensor: str
) -> None:
    double.blobs["data"].data[...] = X
    np.random.seed(3)  # noqa: NPY002
    make_step(double, end=end, jitter=5, step_size=7.0)
    expected = torch_step(walker, model(), X, tensor, jitter=5, step_size=7.0)
    np.testing.assert_allclose(double.blobs["data"].data, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "end", "tensor"),
    [
        ("squeezenet1.1", "fire4/concat", "fire4/concat"),
        ("squeezenet1.1", "fire5/expand3x3", "fire5/expand3x3_pre"),
        ("googlenet", "inception_4c/output", "inception_4c/output"),
        ("googlenet", "inception_3b/5x5_reduce", "inception_3b/5x5_reduce_pre"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_on_trained_networks_is_torchs(
    walker: ModuleType, name: str, end: str, tensor: str, dtype: type
) -> None:
    path = SQUEEZENET if name == "squeezenet1.1" else GOOGLENET
    if not path.exists():
        pytest.skip(f"{name}.onnx is not part of the repository")
    net = caffe.Classifier(oneiro.Net(path, dtype=dtype), mean=MEAN, channel_swap=(2, 1, 0))
    x = light.noise((70, 91))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    np.random.seed(3)  # noqa: NPY002
    make_step(net, end=end)
    expected = torch_step(walker, onnx.load(path), x, tensor)
    # a step is 1.5 grey values on average; in float32 a tie in a pool may break the other way
    off = np.abs(net.blobs["data"].data - expected)
    assert off.max() < 1e-8 if dtype == np.float64 else np.median(off) < 1e-4


def test_a_step_on_a_net_without_names_is_torchs(walker: ModuleType, tmp_path: Path) -> None:
    network, known = light.light("squeezenet"), light.NETWORKS["squeezenet"]
    onnx.save(network, tmp_path / "light.onnx")
    net = caffe.Classifier(oneiro.Net(tmp_path / "light.onnx", dtype=np.float64), mean=MEAN)
    x = light.noise((64, 75))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    np.random.seed(3)  # noqa: NPY002
    make_step(net, end=known.end)
    expected = torch_step(walker, network, x, known.end)
    np.testing.assert_allclose(net.blobs["data"].data, expected, atol=1e-8)


def torch_step(
    walker: ModuleType,
    network: ModelProto,
    x: np.ndarray,
    tensor: str,
    jitter: int = 32,
    step_size: float = 1.5,
) -> np.ndarray:
    """The notebook's step in float64, by torch's gradient."""
    stepped = notebook.make_step(
        x[0],
        lambda x, end: walker.gradient(network, x, end),
        tensor,
        np.random.RandomState(3),
        jitter=jitter,
        step_size=step_size,
        mean=MEAN.tolist(),
    )
    return stepped[None]


def test_the_dream_and_its_zoom(double: caffe.Classifier, walker: ModuleType) -> None:
    img = np.random.default_rng(4).uniform(0, 255, (17, 23, 3))
    np.random.seed(5)  # noqa: NPY002
    dream = deepdream(double, img, iter_n=2, octave_n=3, end="a/output", jitter=4)
    expected = notebook.deepdream(
        img,
        lambda x, end: walker.gradient(model(), x, end),
        "a/output",
        seed=5,
        iter_n=2,
        octave_n=3,
        jitter=4,
        mean=MEAN.tolist(),
    )
    np.testing.assert_allclose(dream, expected, atol=1e-3)  # its octaves are float32

    frame = img
    h, w = frame.shape[:2]
    s = 0.05  # scale coefficient
    for _ in range(2):
        frame = deepdream(double, frame, iter_n=1, octave_n=2, end="a/output", clip=False)
        frame = nd.affine_transform(frame, [1 - s, 1 - s, 1], [h * s / 2, w * s / 2, 0], order=1)
    assert frame.shape == img.shape
    assert np.isfinite(frame).all()


def test_the_notebooks_guide(double: caffe.Classifier, walker: ModuleType) -> None:
    net = double
    img, guide = np.random.default_rng(6).uniform(0, 255, (2, 11, 15, 3))
    guide = guide[:8, 2:]
    end = "a/output"
    h, w = guide.shape[:2]
    src, dst = net.blobs["data"], net.blobs[end]
    src.reshape(1, 3, h, w)
    src.data[0] = preprocess(net, guide)
    net.forward(end=end)
    guide_features = dst.data[0].copy()

    def objective_guide(dst: Any) -> None:
        x = dst.data[0].copy()
        y = guide_features
        ch = x.shape[0]
        x = x.reshape(ch, -1)
        y = y.reshape(ch, -1)
        A = x.T.dot(y)  # compute the matrix of dot-products with guide features
        dst.diff[0].reshape(ch, -1)[:] = y[:, A.argmax(1)]  # select ones that match best

    x = preprocess(net, img)[None]
    src.reshape(*x.shape)
    src.data[...] = x
    make_step(net, end=end, jitter=0, clip=False, objective=objective_guide)
    data = walker.run(model(), {"data": x}, end)[end].numpy()
    seed = notebook.guide_diff(data, guide_features[None])
    g = walker.gradient(model(), x, end, seed)
    np.testing.assert_allclose(src.data, x + 1.5 / np.abs(g).mean() * g, rtol=1e-9, atol=1e-9)
    _ = deepdream(net, img, iter_n=1, octave_n=2, end=end, objective=objective_guide)


def test_gradients_are_those_of_the_net_bit_for_bit(file: Path) -> None:
    net = oneiro.Net(file)
    face = caffe.Net(net, caffe.TEST)
    x, seed = X.astype(np.float32), np.float32([[1, -2, 3, 0.5, 0, 4]])
    face.forward(data=x)
    net.forward(data=2 * x)  # which the face, with layers of its own, does not notice
    found = face.backward(prob=seed)["data"]
    assert found.any()
    net.forward(data=x)
    net.blobs["prob"].diff[...] = seed
    np.testing.assert_array_equal(found, net.backward()["data"])


# Other programs.


@pytest.mark.parametrize(
    "layers", [["conv2", "a/output", "conv1"], ["a/output", "a/3x3_reduce", "a/1x1", "conv1"]]
)
def test_objectives_of_several_layers_add_up(
    double: caffe.Net, walker: ModuleType, layers: list[str]
) -> None:
    """As DeepTextures and others have it: layers from deep to shallow, diffs added on the way."""
    net = double
    net.forward(data=X)
    seeds = {
        k: np.random.default_rng(k).normal(size=net.blobs[n].shape) for k, n in enumerate(layers)
    }
    for layer in layers:
        net.blobs[layer].diff[...] = 0
    for k, layer in enumerate(layers):
        net.blobs[layer].diff[...] += seeds[k]
        net.backward(start=layer, end=layers[k + 1] if k + 1 < len(layers) else None)

    tensors = [layer if layer == "a/output" else f"{layer}_pre" for layer in layers]
    alone = [walker.gradient(model(), X, t, seeds[k]) for k, t in enumerate(tensors)]
    np.testing.assert_allclose(net.blobs["data"].diff, sum(alone), rtol=1e-10, atol=1e-10)


class Features:
    """CS231n's way with a network, on the face: a function, and its derivative."""

    def __init__(self, net: caffe.Net) -> None:
        self.net = net

    def forward(self, X: np.ndarray, end: str) -> tuple[np.ndarray, str]:
        self.net.blobs["data"].reshape(*X.shape)
        self.net.blobs["data"].data = X
        self.net.forward(end=end)
        return self.net.blobs[end].data.copy(), end

    def backward(self, dout: np.ndarray, cache: str) -> tuple[np.ndarray, dict[str, Any]]:
        self.net.blobs[cache].diff = dout
        return self.net.backward(start=cache)["data"].copy(), {}


def test_a_loop_of_cs231n_inverts_features(file: Path) -> None:
    features = Features(caffe.Net(str(file), caffe.TEST))
    target, _ = features.forward(X / 50, "a/output")
    X_new = np.zeros_like(X)
    losses = []
    for _ in range(60):
        out, cache = features.forward(X_new, end="a/output")
        losses.append(((out - target) ** 2).sum())
        dX, _ = features.backward(2 * (out - target), cache)
        X_new -= 0.01 * dX
    assert losses[-1] < 0.1 * losses[0]


def test_yosinskis_fork(double: caffe.Net, walker: ModuleType) -> None:
    net = double
    net.forward(data=X)
    net.blobs["conv2"].diff[...] = 1  # left over from another objective
    net.backward(start="conv2")
    diffs = net.blobs["a/output"].diff * 0
    diffs[0][3, 2, 5] = 1.0
    for rule, back in [
        ("gradient", net.backward_from_layer),
        ("deconv", net.deconv_from_layer),
        (
            "guided",
            lambda *args, **more: net.deconv_from_layer(
                *args, **more, deconv_type="Guided Backprop"
            ),
        ),
    ]:
        backout = back("a/output", diffs, zero_higher=True)
        expected = walker.gradient(model(), X, "a/output", diffs, rule)
        np.testing.assert_allclose(backout["data"], expected, rtol=1e-10, atol=1e-12)
    kept = backout["data"].copy()
    again = back("a/output", net.blobs["a/output"].diff, zero_higher=True)
    np.testing.assert_array_equal(again["data"], kept)
    with pytest.raises(ArgumentError, match="Guided Backprop"):
        net.deconv_from_layer("a/output", diffs, deconv_type="guided")


# In place.


def test_an_in_place_blob_holds_what_was_computed_last(net: caffe.Net) -> None:
    assert "conv1_pre" not in list(net.blobs)
    conv = net.forward(end="conv1", data=X)["conv1"].copy()
    assert conv.min() < 0
    np.testing.assert_array_equal(net.forward(end="relu1")["conv1"], np.maximum(conv, 0))
    np.testing.assert_array_equal(net.blobs["conv1"].data, np.maximum(conv, 0))
    # what a program writes there goes on from the layer after it
    net.blobs["conv1"].data[...] = conv - 1
    np.testing.assert_array_equal(
        net.forward(start="relu1", end="relu1")["conv1"], np.maximum(conv - 1, 0)
    )
    with pytest.raises(
        ArgumentError, match=r"'conv1_pre' is written over in blob 'conv1': .*end='conv1'"
    ):
        net.blobs["conv1_pre"]
    np.testing.assert_array_equal(net.forward(end="conv1_pre")["conv1"], conv)


def test_backward_starts_below_or_above_the_relu(double: caffe.Net, walker: ModuleType) -> None:
    seed = np.random.default_rng(7).normal(size=(1, 4, 9, 14))
    for start, tensor in [("conv1", "conv1_pre"), ("relu1", "conv1")]:
        double.forward(data=X)
        double.blobs["conv1"].diff[...] = seed
        expected = walker.gradient(model(), X, tensor, seed)
        found = double.backward(start=start)["data"]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_blobs_are_two_where_the_names_do_not_say_one(tmp_path: Path) -> None:
    network = model()
    for node in network.graph.node:  # a ReLU makes relu1 now
        for names in (node.input, node.output):
            names[:] = ["relu1" if name == "conv1" else name for name in names]
    onnx.save(network, tmp_path / "net.onnx")
    net = caffe.Net(tmp_path / "net.onnx", caffe.TEST)
    net.forward(data=X)
    assert net.blobs["conv1_pre"].data.min() < 0
    assert net.blobs["relu1"].data.min() == 0
    np.testing.assert_array_equal(
        net.forward(end="conv1")["conv1_pre"], net.blobs["conv1_pre"].data
    )


def test_caffe2s_numbers_are_read_as_writing_in_place(tmp_path: Path) -> None:
    network = model()
    numbers = {"data": "data_0"}
    for node in network.graph.node:
        top = node.output[0]
        pre = top.endswith("_pre")
        relu = node.op_type == "Relu"
        numbers[top] = f"{top.removesuffix('_pre')}_{1 if pre or not relu else 2}"
        node.ClearField("name")
    for node in network.graph.node:
        for names in (node.input, node.output):
            names[:] = [numbers.get(name, name) for name in names]
    network.graph.input[0].name, network.graph.output[0].name = "data_0", "prob_1"
    onnx.save(network, tmp_path / "net.onnx")
    net = caffe.Net(tmp_path / "net.onnx", caffe.TEST)
    assert (net.inputs, net.outputs) == (["data"], ["prob"])
    assert net.forward(end="a/3x3_reduce", data=X)["a/3x3_reduce"].min() < 0
    assert net.forward(end="a/output")["a/output"].min() == 0
    assert net.forward()["prob"].shape == (1, 6)


# Blobs.


def test_arrays_stay_where_they_are(net: caffe.Net) -> None:
    net.forward(data=X)
    net.blobs["prob"].diff[0, 2] = 1
    net.backward()
    held = {name: (blob.data, blob.diff) for name, blob in net.blobs.items()}
    before = held["a/output"][0].copy()
    net.forward(data=2 * X)
    net.backward()
    for name, arrays in held.items():
        assert net.blobs[name].data is arrays[0]
        assert net.blobs[name].diff is arrays[1]
        for array in arrays:
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.dtype == np.float32
    assert not np.array_equal(held["a/output"][0], before)
    assert held["data"][1].any()


def test_what_is_written_through_views_lands(net: caffe.Net) -> None:
    net.forward(data=X)
    dst = net.blobs["a/output"]
    seed = np.random.default_rng(8).normal(size=(7, 9 * 14)).astype(np.float32)
    dst.diff[0].reshape(7, -1)[:] = seed
    first = net.backward(start="a/output")["data"].copy()
    dst.diff = np.zeros_like(dst.diff)
    dst.diff += seed.reshape(1, 7, 9, 14)
    np.testing.assert_array_equal(net.backward(start="a/output")["data"], first)
    assert first.any()
    with pytest.raises(ArgumentError, match=r"'a/output' takes \(1, 7, 9, 14\)"):
        dst.diff = seed


def test_reshape(net: caffe.Net) -> None:
    src = net.blobs["data"]
    assert (src.num, src.channels, src.height, src.width, src.count) == (1, 3, 9, 14, 378)
    assert net.blobs["prob"].shape == (1, 6)
    assert (net.blobs["prob"].height, net.blobs["prob"].width) == (1, 1)
    array = src.data
    src.reshape(1, 3, 9, 14)
    assert src.data is array
    src.reshape(2, 3, 8, 5)
    assert src.data.shape == src.diff.shape == (2, 3, 8, 5)
    assert net.blobs["a/output"].shape == (1, 7, 9, 14)
    net.reshape()
    assert net.blobs["a/output"].data.shape == (2, 7, 8, 5)
    src.reshape(1, 3, 6, 7)
    net.forward(end="conv1")
    assert net.blobs["conv1"].data.shape == (1, 4, 6, 7)
    src.reshape(1, 5, 6, 7)
    with pytest.raises(ModelError, match="conv1"):
        net.reshape()


def test_a_tail_without_a_layer_changes_nothing_before_it(tmp_path: Path) -> None:
    made = model()
    made.graph.node.append(helper.make_node("Strange", ["prob"], ["tail"], domain="far.away"))
    made.graph.output[0].name = "tail"
    made.opset_import.append(helper.make_opsetid("far.away", 1))
    onnx.save(made, tmp_path / "net.onnx")
    net = caffe.Net(tmp_path / "net.onnx", caffe.TEST)
    assert "conv1_pre" not in net.blobs
    assert net.blobs["prob"].shape == (1, 6)
    net.blobs["data"].reshape(2, 3, 8, 5)
    net.reshape()
    assert net.blobs["a/output"].shape == (2, 7, 8, 5)
    with pytest.raises(ModelError, match="Strange"):
        net.forward()
    net.blobs["data"].reshape(1, 5, 6, 7)
    with pytest.raises(ModelError, match="conv1"):
        net.reshape()


def test_a_forward_forgets_the_diffs_of_the_one_before(net: caffe.Net) -> None:
    net.forward(data=X)
    net.blobs["conv2"].diff[...] = 1
    net.backward(start="conv2")
    assert net.blobs["a/1x1"].diff.any()
    kept = net.blobs["data"].diff.copy()
    net.forward()
    assert not net.blobs["a/1x1"].diff.any()
    assert net.blobs["conv2"].diff.all()
    np.testing.assert_array_equal(net.blobs["data"].diff, kept)


def test_params_are_read_and_written(net: caffe.Net) -> None:
    assert list(net.params) == ["conv1", "a/1x1", "a/3x3_reduce", "a/3x3", "conv2"]
    weight, bias = net.params["conv1"]
    assert (weight.data.shape, bias.data.shape) == ((4, 3, 3, 3), (4,))
    before = net.forward(end="conv1", data=X)["conv1"].copy()
    bias.data[...] += 2
    np.testing.assert_allclose(net.forward(end="conv1")["conv1"], before + 2, rtol=1e-4, atol=1e-4)
    assert net.params["conv1"][1].data is bias.data
    with pytest.raises(ModelError, match=r"conv1\.bias.* weight"):
        bias.diff  # noqa: B018


# Names, files, errors.


def test_layers_and_blobs_are_listed(net: caffe.Net) -> None:
    assert net._layer_names[:4] == ["data", "conv1", "relu1", "conv1_relu1_0_split"]
    assert net.layer_dict["a/3x3"].type == "Convolution"
    assert net.layer_dict["conv1_relu1_0_split"].type == "Split"
    assert [b.name for b in net.layers[1].blobs] == ["conv1.weight", "conv1.bias"]
    assert net.bottom_names["relu1"] == net.top_names["relu1"] == ["conv1"]
    assert net.bottom_names["a/1x1"] == ["conv1_relu1_0_split_0"]
    assert net.bottom_names["a/output"] == ["a/1x1", "a/3x3"]
    assert (net.inputs, net.outputs) == (["data"], ["prob"])
    with pytest.raises(ArgumentError, match=r"no blob 'a/ouput'; near it: a/output"):
        net.blobs["a/ouput"]
    with pytest.raises(ArgumentError, match=r"no layer 'rellu1'; near it: relu1"):
        net.forward(end="rellu1")


def test_every_input_answers_to_data(tmp_path: Path) -> None:
    onnx.save(model(input="picture"), tmp_path / "net.onnx")
    net = caffe.Net(tmp_path / "net.onnx", caffe.TEST)
    assert net.inputs == ["data"]
    assert net.blobs["picture"] is net.blobs["data"]
    np.testing.assert_array_equal(
        net.forward(picture=X)["prob"], net.forward(data=X)["prob"].copy()
    )


def test_the_onnx_file_stands_in_either_place(file: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for net in [
            caffe.Net(str(file), caffe.TEST),
            caffe.Net(str(file), "", caffe.TEST),
            caffe.Net("", str(file), caffe.TEST),
            caffe.Net(str(file), caffe.TEST, weights=str(file)),
            caffe.Classifier(str(file), ""),
            caffe.Classifier("squeezenet1.1"),
        ]:
            assert net.inputs == ["data"]
    with pytest.warns(UserWarning, match=r"'deploy.prototxt' is ignored.*net.onnx"):
        caffe.Classifier("deploy.prototxt", str(file))
    with pytest.warns(UserWarning, match=r"'x.caffemodel' is ignored.*net.onnx"):
        caffe.Net(str(file), "x.caffemodel", caffe.TEST)
    nameless = tmp_path / "weights"
    nameless.write_bytes(file.read_bytes())
    prototxt = tmp_path / "deploy.prototxt"
    prototxt.write_text('name: "net"')
    with pytest.warns(UserWarning, match=r"deploy.prototxt' is ignored"):
        assert caffe.Net(prototxt, nameless, caffe.TEST).outputs == ["prob"]


def test_files_without_a_network(file: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"\x0a\x03net")
    with pytest.raises(ModelError, match=r"'deploy.prototxt' and 'x.caffemodel': .*convert"):
        caffe.Classifier("deploy.prototxt", "x.caffemodel")
    with pytest.raises(ModelError, match=r"weights.bin': no ONNX model; convert"):
        caffe.Net("", weights, caffe.TEST)
    with pytest.raises(ModelError, match="nothing: no ONNX model"):
        caffe.Net("", "", caffe.TEST)
    with pytest.raises(ArgumentError, match="two networks"):
        caffe.Net(file, "other.onnx", caffe.TEST)
    with pytest.raises(ModelError, match=r"absent.onnx"):
        caffe.Net(tmp_path / "absent.onnx", caffe.TEST)
    for phase in [{"phase": caffe.TRAIN}, {"weights": caffe.TRAIN}]:
        with pytest.raises(ArgumentError, match=r"caffe.TEST"):
            caffe.Net(file, *phase.values())


def test_modes_and_devices(file: Path) -> None:
    caffe.set_mode_gpu()
    caffe.set_device(0)
    assert caffe.Net(file, caffe.TEST).forward(data=X)["prob"].shape == (1, 6)
    caffe.set_mode_cpu()
    with pytest.warns(UserWarning, match="CUDA_VISIBLE_DEVICES=2"):
        caffe.set_device(2)


def test_arguments_match_the_inputs_and_outputs(net: caffe.Net) -> None:
    with pytest.raises(ArgumentError, match="do not match the net's inputs: label for data"):
        net.forward(label=X)
    with pytest.raises(ArgumentError, match="do not match the net's inputs: data, conv1 for data"):
        net.forward(data=X, conv1=X)
    with pytest.raises(ArgumentError, match=r"'data' takes \(1, 3, 9, 14\), not .*\(2, 3, 9, 14\)"):
        net.forward(data=np.concatenate([X, X]))
    with pytest.raises(ArgumentError, match="do not match the net's outputs: data for prob"):
        net.backward(data=X)
    with pytest.raises(ModelError, match="'prob' has not run"):
        net.backward(prob=np.ones((1, 6)))
    assert set(net.forward(["a/output"], end="conv2", data=X)) == {"a/output", "conv2"}
    assert set(net.forward(["conv1"])) == {"conv1", "prob"}
    assert set(net.backward(["a/1x1"], prob=np.ones((1, 6)))) == {"data", "a/1x1"}
    below = net.backward(end="a/output")
    assert set(below) == {"a/1x1", "a/3x3"}


# Many pictures.


def test_forward_and_backward_over_any_number_of_pictures(double: caffe.Net) -> None:
    net = double
    pictures = np.random.default_rng(9).normal(size=(5, 3, 9, 14)) * 50
    seeds = np.random.default_rng(10).normal(size=(5, 6))
    alone, back = [], []
    for picture, seed in zip(pictures, seeds, strict=True):
        alone.append(net.forward(["conv2"], data=picture[None])["conv2"][0].copy())
        back.append(net.backward(prob=seed[None])["data"][0].copy())
    net.blobs["data"].reshape(2, 3, 9, 14)
    net.reshape()
    outs = net.forward_all(["conv2"], data=pictures)
    assert outs["prob"].shape == (5, 6)
    np.testing.assert_allclose(outs["conv2"], alone, rtol=1e-10, atol=1e-10)
    outs, diffs = net.forward_backward_all(["conv2"], ["conv1", "a/1x1"], data=pictures, prob=seeds)
    assert {name: len(diff) for name, diff in diffs.items()} == {"data": 5, "conv1": 5, "a/1x1": 5}
    np.testing.assert_allclose(outs["conv2"], alone, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(diffs["data"], back, rtol=1e-10, atol=1e-10)
    with pytest.raises(ArgumentError, match="one length"):
        net.forward_backward_all(data=pictures, prob=seeds[:4])
    with pytest.raises(ArgumentError, match=r"one length are wanted, not {'data': 0}"):
        net.forward_all(data=pictures[:0])
    with pytest.raises(ArgumentError, match="inputs: nothing for data"):
        net.forward_all()


def test_predictions(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is the judge")
    onnx.save(model(), tmp_path / "net.onnx")
    net = caffe.Classifier(
        tmp_path / "net.onnx",
        image_dims=(12, 16),
        mean=MEAN,
        raw_scale=255,
        input_scale=0.02,
        channel_swap=(2, 1, 0),
    )
    assert net.mean["data"].shape == (3, 1, 1)
    pictures = list(np.random.default_rng(11).uniform(size=(2, 12, 16, 3)).astype(np.float32))

    def judged(crop: np.ndarray) -> np.ndarray:
        x = (255 * crop[..., ::-1] - MEAN).transpose(2, 0, 1)[None] * np.float32(0.02)
        return runtime.blobs(model(), {"data": np.ascontiguousarray(x)})["prob"][0]

    middle = [judged(picture[1:10, 1:15]) for picture in pictures]
    np.testing.assert_allclose(net.predict(pictures, oversample=False), middle, rtol=1e-4)
    crops = [
        p[y : y + 9, x : x + 14]
        for p in pictures
        for y, x in ((0, 0), (0, 2), (3, 0), (3, 2), (1, 1))
    ]
    scores = [(judged(crop) + judged(crop[:, ::-1])) / 2 for crop in crops]
    expected = np.reshape(scores, (2, 5, 6)).mean(1)
    np.testing.assert_allclose(net.predict(pictures), expected, rtol=1e-4)


def test_a_picture_that_is_smaller_than_the_crop(file: Path) -> None:
    net = caffe.Classifier(file, image_dims=(8, 16))
    for oversample in (True, False):
        with pytest.raises(ArgumentError, match="16x8 px is smaller than the crop of 14x9 px"):
            net.predict([np.ones((5, 7, 3))], oversample)


# caffe.io


def test_the_transformers_order_and_its_inverse() -> None:
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    picture = np.random.default_rng(12).uniform(size=(4, 5, 3)).astype(np.float32)
    before = picture.copy()
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (1, 2, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([1.0, 20, 300]))
    transformer.set_input_scale("data", 0.5)
    x = transformer.preprocess("data", picture)
    swapped = np.stack([picture[..., 1], picture[..., 2], picture[..., 0]])
    expected = (swapped * 255 - np.array([1, 20, 300])[:, None, None]) * 0.5
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(picture, before)
    for back in (transformer.deprocess("data", x), transformer.deprocess("data", x[None])):
        np.testing.assert_allclose(back, picture, rtol=1e-4, atol=1e-5)


def test_the_transformer_leaves_a_plain_picture_alone() -> None:
    transformer = caffe.io.Transformer({"data": (2, 1, 4, 5)})
    picture = np.random.default_rng(13).uniform(size=(4, 5, 1)).astype(np.float32)
    x = transformer.preprocess("data", picture)
    assert not np.shares_memory(x, picture)
    np.testing.assert_array_equal(x, picture)
    transformer.set_transpose("data", (2, 0, 1))
    assert transformer.deprocess("data", transformer.preprocess("data", picture)).shape == (4, 5, 1)
    assert transformer.preprocess("data", np.ones((9, 7, 1))).shape == (1, 4, 5)


def test_means(file: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(14).uniform(0, 255, (3, 9, 14)).astype(np.float32)
    np.save(tmp_path / "mean.npy", image)
    for mean in (image, tmp_path / "mean.npy", str(tmp_path / "mean.npy")):
        np.testing.assert_array_equal(caffe.Classifier(file, mean=mean).mean["data"], image)
    larger = np.repeat(np.repeat(image, 2, 1), 2, 2)
    np.testing.assert_allclose(
        caffe.Classifier(file, mean=larger).mean["data"], image, rtol=1e-5, atol=1e-4
    )
    for mean, text in [
        (np.ones(4), "does not fit"),
        (np.ones((4, 9, 14)), "does not fit"),
        ("imagenet_mean.binaryproto", "no .npy file"),
        (tmp_path / "absent.npy", "cannot be read"),
    ]:
        with pytest.raises(ArgumentError, match=text):
            caffe.Classifier(file, mean=mean)


def test_transformer_errors() -> None:
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    with pytest.raises(ArgumentError, match="'image' is no input of the transformer"):
        transformer.preprocess("image", np.ones((4, 5, 3)))
    with pytest.raises(ArgumentError, match="channel_swap"):
        transformer.set_channel_swap("data", (2, 1))
    with pytest.raises(ArgumentError, match="transpose"):
        transformer.set_transpose("data", (2, 0, 0))


def test_pictures_are_read_as_numbers_up_to_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(15).integers(0, 256, (4, 5, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "picture.png")
    picture = caffe.io.load_image(str(tmp_path / "picture.png"))
    assert type(picture) is np.ndarray
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, pixels / 255, rtol=1e-6)
    assert caffe.io.load_image(tmp_path / "picture.png", color=False).shape == (4, 5, 1)


def test_pictures_are_resized_by_area() -> None:
    ramp = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 4, 2), np.float32)
    half = caffe.io.resize_image(ramp, (3, 5))
    assert half.dtype == np.float32
    assert half.shape == (3, 5, 2)
    np.testing.assert_allclose(half[:, 0, 0], [0.5, 2.5, 4.5], atol=1e-6)
    np.testing.assert_array_equal(caffe.io.resize_image(ramp, (6, 4)), ramp)


def test_ten_crops() -> None:
    picture = np.arange(7 * 5 * 2).reshape(7, 5, 2)
    crops = caffe.io.oversample([picture, -picture], (4, 3))
    assert crops.shape == (20, 4, 3, 2)
    corners = [
        picture[:4, :3],
        picture[:4, 2:],
        picture[3:, :3],
        picture[3:, 2:],
        picture[1:5, 1:4],
    ]
    np.testing.assert_array_equal(crops[:5], corners)
    np.testing.assert_array_equal(crops[5:10], [crop[:, ::-1] for crop in corners])
    np.testing.assert_array_equal(crops[10:], -crops[:10])
    with pytest.raises(ArgumentError, match="5x7 px is smaller than the crop of 6x4 px"):
        caffe.io.oversample([picture], (4, 6))
