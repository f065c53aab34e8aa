"""What is exported by two more judges: ONNX's reference evaluator, and OpenVINO."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest

from oneiro import Net, Preprocess, export
from oneiro.ascent import image_gradient
from oneiro.export.face import RawFace
from oneiro.export.question import WHATS, question
from oneiro.objective import l2
from oracle import small
from oracle.measure import difference, distance
from oracle.runtime import by_evaluator, by_openvino

SIZE = (13, 18)
Arrays = Mapping[str, np.ndarray]
Judge = Callable[[onnx.ModelProto, Arrays], Arrays]
Case = tuple[onnx.ModelProto, np.ndarray, np.ndarray]  # a model, a picture, the gradient


@pytest.fixture(params=["gradient", "guided", "deconv"])
def rule(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[*small.MODELS])
def case(request: pytest.FixtureRequest, rule: str, net_of: Callable[..., Net]) -> Case:
    build, end = small.MODELS[request.param]
    net = net_of(build())
    net.preprocessing = Preprocess(mean=128, scale=1 / 128)
    x = net.preprocess(np.random.default_rng(1).uniform(0, 255, (*SIZE, net.channels)))
    _, g = image_gradient(net, x, {end: l2}, rule)
    return export(net, rule, {end: l2}, input="net", size=SIZE), x, g


# the evaluator makes a pool of `branches` a row and a column too large
@pytest.mark.parametrize("case", [n for n in small.MODELS if n != "branches"], indirect=True)
def test_by_the_reference_evaluator(case: Case) -> None:
    model, x, g = case
    assert distance(by_evaluator(model, {"data": x})["gradient"], g) < 1e-5


def test_by_openvino(case: Case) -> None:
    model, x, g = case
    assert distance(by_openvino(model, {"data": x})["gradient"], g) < 1e-5


@pytest.mark.parametrize("size", [(37, 53), None])
@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("judge", [by_evaluator, by_openvino])
def test_every_question(
    judge: Judge, what: str, size: tuple[int, int] | None, net_of: Callable[..., Net]
) -> None:
    """Of a picture as it comes; a whole dream, too, whose steps are a Loop."""
    net = net_of(small.classifier())
    net.preprocessing = Preprocess((90.0, 110.0, 130.0), (0.02, 0.01, 0.03), "BGR")
    random = np.random.default_rng(0)
    img = random.integers(0, 256, (1, 37, 53, 3)).astype(np.float32)
    given = {
        "picture": img,
        "class": np.array(3),
        "channel": np.array(2),
        "row": np.array(-1),
        "column": np.array(-1),
        "shift": np.array([3, -5]),
        "shifts": random.integers(-8, 9, (4, 2, 2)),
        "step": np.array(4, np.float32),
        "steps": np.array(2),
    }
    ends = () if what == "saliency" else ("maps",)
    asked = question(net, what, ends, RawFace(net, size, "float32"))
    feeds = {name: given[name] for name in asked.inputs}
    found = judge(export(net, what, ends, size=size), feeds)
    for name, wanted in asked.program(net, **feeds).items():
        base = img if name == "dream" else 0
        assert difference(found[name] - base, np.asarray(wanted) - base) < 1e-5, name
