"""What a network takes a picture for, however it is fed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import oneiro
from oneiro import ModelError, Net, Picture, Preprocess
from oneiro.classification import Guess, classify, under_presets
from oneiro.image import middle
from oneiro.preprocess import PRESETS
from oracle.small import Builder

Nets = Callable[..., Net]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("name", "number"), [("coffee.png", 967), ("chelsea_cat.png", 285)])
def test_the_embedded_network_knows_the_examples(name: str, number: int) -> None:
    net = oneiro.load("squeezenet1.1")
    img = middle(oneiro.load_image(EXAMPLES / name), 227, 227)
    found = under_presets(net, img)
    assert list(found) == list(PRESETS)
    assert found["caffe"][0].number == number
    for classes in found.values():
        confidences = [guess.confidence for guess in classes]
        assert len(confidences) == 5
        assert confidences == sorted(confidences, reverse=True)
        assert 0 < sum(confidences) <= 1 + 1e-6
    assert found["caffe"][0] != found["torch"][0]


def head() -> Builder:
    """Sums of the colours as four classes."""
    net = Builder("head", opset=18)
    filters = net.constant(
        np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])[..., None, None]
    )
    x = net.node("GlobalAveragePool", net.node("Conv", "data", filters))
    net.node("Softmax", x, axis=1, out="chances")
    net.node("Identity", x, out="scores")
    return net


def test_scores_become_probabilities_and_probabilities_stay(net_of: Nets) -> None:
    img = Picture(np.full((5, 7, 3), [0, 64, 128], np.float32))
    way = Preprocess(0, 1 / 64, "BGR")
    wanted = np.exp([2, 1, 0, 0]) / np.exp([2, 1, 0, 0]).sum()
    for end in ("chances", "scores"):
        guesses = classify(net_of(head().model(end)), img, way, 3)
        assert [guess.number for guess in guesses] == [0, 1, 2]
        assert [guess.confidence for guess in guesses] == pytest.approx(wanted[:3], rel=1e-5)
        assert isinstance(guesses[0], Guess)


def test_what_overflows_is_sure_of_nothing(net_of: Nets) -> None:
    net = Builder("log", opset=18)
    x = net.node("GlobalAveragePool", net.node("Log", "data"), out="end")
    found = under_presets(net_of(net.model(x)), Picture(np.full((5, 7, 3), 99, np.float32)))
    assert {way for way, classes in found.items() if classes[0].confidence} == {"unit", "none"}
    assert json.loads(json.dumps(found, allow_nan=False))


def test_a_way_of_ones_own_comes_first(net_of: Nets) -> None:
    net = net_of(head().model("chances"))
    img = Picture(np.full((5, 7, 3), 99, np.float32))
    assert list(under_presets(net, img)) == ["caffe", "torch", "tf", "unit", "none"]
    net.preprocessing = Preprocess(50, 0.1)
    assert next(iter(under_presets(net, img))) == "as given"
    net.preprocessing = PRESETS["tf"]
    assert "as given" not in under_presets(net, img)


def test_a_grey_network_is_tried_with_grey(tmp_path: Path) -> None:
    net = Builder("grey", opset=18)
    x = net.node("GlobalAveragePool", net.conv("data", 6, 1, 2, 3))
    model = net.model(x)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    path = tmp_path / "grey.onnx"
    path.write_bytes(model.SerializeToString())
    found = under_presets(oneiro.load(path), Picture(np.full((5, 7, 1), 99, np.float32)))
    assert list(found) == ["tf", "unit", "none"]


def test_a_network_without_classes_says_so(net_of: Nets) -> None:
    net = Builder("maps", opset=18)
    maps = net_of(net.model(net.conv("data", 6, 3, 2, 3, out="maps")))
    with pytest.raises(ModelError, match=r"does not classify.*maps \(1, 6, 4, 5\)"):
        classify(maps, Picture(np.full((5, 7, 3), 9, np.float32)), Preprocess())


def test_the_middle_of_a_picture() -> None:
    columns = np.broadcast_to(np.arange(60, dtype=np.float32)[:, None], (40, 60, 3))
    part = middle(Picture(columns * 4), 20, 10)
    assert part.shape == (20, 10, 3)
    assert part[10, :, 0] == pytest.approx(4 * (20.5 + 2 * np.arange(10)), abs=1)
    larger = middle(Picture(columns), 80, 81)
    assert larger.shape == (80, 81, 3)
    assert middle(Picture(columns, alpha=np.zeros((40, 60))), 20, 10).alpha is None
