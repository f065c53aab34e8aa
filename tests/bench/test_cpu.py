"""bench/cpu.py in small: its rivals agree, its files are the network, and a page comes out."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the rivals are PyTorch's")

import cpu  # noqa: E402
import cpu_network  # noqa: E402
import cpu_page  # noqa: E402
from torch_lrn import lrn  # noqa: E402

from oracle import walker  # noqa: E402
from oracle.measure import distance  # noqa: E402

SIZES = (5, 4, 2)
TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[1, 3, 20, 20] x) => (float[1, n] z) <float16[4, 3, 3, 3] half> {
    w = Cast <to = 1> (half)
    low = Constant <value = float {0.0}> ()
    high = Constant <value = float {0.75}> ()
    c = Conv <pads = [1, 1, 1, 1], strides = [2, 1]> (x, w)
    y = Clip (c, low, high)
    p = GlobalAveragePool (y)
    z = Flatten (p)
}
"""


@pytest.mark.parametrize("size", SIZES)
def test_the_lrn_by_hand_is_onnx_s(size: int) -> None:
    text = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    one (float[1, 7, 3, 4] x) => (float[1, 7, 3, 4] y) {{
        y = LRN <size = {size}, alpha = 0.5, beta = 0.6, bias = 2.0> (x)
    }}"""
    x = np.random.default_rng(0).normal(size=(1, 7, 3, 4))
    model = onnx.parser.parse_model(text)
    picture = torch.tensor(x, requires_grad=True)
    y = lrn(picture, size, 0.5, 0.6, 2.0)
    (g,) = torch.autograd.grad(y, picture, y.detach())
    assert distance(y.detach().numpy(), walker.run(model, {"x": x}, "y")["y"].numpy()) < 1e-6
    assert distance(g.numpy(), walker.gradient(model, x, "y")) < 1e-6


def test_a_file_becomes_plain_and_is_the_same_in_pytorch() -> None:
    model = onnx.parser.parse_model(TEXT)
    random = np.random.default_rng(0)
    half = random.normal(size=(4, 3, 3, 3)).astype(np.float16)
    model.graph.initializer.append(onnx.numpy_helper.from_array(half, "half"))
    short = cpu_network.plain(model, "y")
    assert [node.op_type for node in short.graph.node] == ["Conv", "Clip"]
    assert [given.name for given in short.graph.input] == ["x"]
    x = random.normal(size=(1, 3, 11, 8)).astype(np.float32)
    y = cpu_network.module_of(short, "y")(torch.from_numpy(x)).numpy()
    assert distance(y, walker.run(short, {"x": x}, "y")["y"].numpy()) < 1e-6
    assert (y.min(), y.max()) == (0, 0.75)


def test_a_small_run_writes_a_page(page_of: Callable[..., str]) -> None:
    asked = "--net squeezenet --size 64x48 --rounds 1 --without compile --no-memory"
    text = page_of("cpu", asked)
    for title in ("What was aimed at", "A step of DeepDream: SqueezeNet", "Forward alone"):
        assert f"## {title}" in text
    assert "wrong" not in text


def test_a_profile_tells_who_does_what(page_of: Callable[..., str]) -> None:
    for package in ("onnxruntime", "numba"):
        pytest.importorskip(package, reason="the fast executor needs it")
    assert "| onnxruntime " in page_of("cpu_profile", "--net squeezenet --size 64x48")


def test_ratios_are_those_of_rounds() -> None:
    case = cpu_page.Case("vgg19", "VGG", "512x512", "step", 10, 1e3)
    case.seconds = {"fast": [1.0, 2.0, 9.0], "eager": [2.0, 4.0, 9.0], "own-lrn": [2.0, 3.0, 4.0]}
    case.memory = {"fast": 50, "eager": 100}
    assert case.time_of("fast", "eager") == 0.5
    assert case.best_torch == "own-lrn"
    (row,) = cpu_page.aimed([case])
    assert row[3:] == ["0.50", "0.50", "0.67", "0.60", "0.50", "1.00", "**no**"]


def test_who_points_elsewhere_is_wrong() -> None:
    g = np.random.default_rng(0).normal(size=(3, 50))
    assert cpu.apart(g, g) == (0, pytest.approx(1))
    assert cpu.apart(-g, g)[1] == pytest.approx(-1)
    assert cpu.apart(1.01 * g, g)[0] > cpu.TOLERANCE
