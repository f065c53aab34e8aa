"""Saliency: the papers' worked example, and the three rules beside torch."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import oneiro
from oneiro import ArgumentError, Map, Net, Picture, Preprocess, rules_sheet, saliency
from oneiro.probe import Probe, trained_size
from oracle import small
from oracle.measure import distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models" / "squeezenet1.1.onnx"
IMG = np.random.RandomState(5).uniform(0, 255, (29, 37, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture(scope="module")
def cat(squeezenet: Net) -> Picture:
    img = oneiro.load_image(ROOT / "examples" / "chelsea_cat.png")
    return Picture(trained_size(squeezenet, img)[60:171, 90:217])


@pytest.fixture
def branches(net_of: Callable[..., Net]) -> Net:
    """Branches, a pool of overlapping windows, two outputs."""
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess((100.0, 120.0, 90.0), 0.02, "BGR")
    return net


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gradient", [[-2, 0, -1], [6, 0, 0], [0, -1, 3]]),
        ("deconv", [[0, 3, 0], [6, 0, 1], [2, 0, 3]]),
        ("guided", [[0, 0, 0], [6, 0, 0], [0, 0, 3]]),
    ],
)
def test_the_worked_example(net_of: Callable[..., Net], rule: str, expected: Any) -> None:
    """Springenberg et al. 2014, Fig. 1: one rectifier, and what is sent back to it."""
    x = np.float32([[1, -1, 5], [2, -5, -7], [-3, 2, 4]])
    dy = np.float32([[-2, 3, -1], [6, -3, 1], [2, -1, 3]])
    model = network("z = Relu (x) y = Conv (z, w)", declared=("n", 1, "h", "w"), w=dy[None, None])
    net = net_of(model)
    net.preprocessing = Preprocess(100, 1, "GRAY")
    found = saliency(net, x[..., None] + 100, "y:0", rule=rule, reduce="sum")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconv"])
def test_the_rules_beside_torch(
    squeezenet: Net, cat: Picture, walker: ModuleType, rule: str
) -> None:
    x = squeezenet.preprocess(cat)
    probe = Probe(squeezenet, cat, "Egyptian cat")
    model = onnx.load(FILE)
    seed = np.zeros((1, 1000), np.float32)
    seed[0, 285] = 1
    shape = squeezenet.shapes({"data": x.shape})[probe.target.blob]
    expected = walker.gradient(model, x, probe.target.blob, seed.reshape(shape), rule)
    _, g = probe.gradient(rule)
    assert distance(g, expected) < 1e-4
    scale = squeezenet.preprocessing.unit(3)
    planes = (expected * scale)[0].transpose(1, 2, 0)
    planes = planes[..., ::-1] if squeezenet.preprocessing.order == "BGR" else planes
    for reduce, values in (
        ("max", np.abs(planes).max(2)),
        ("norm", np.sqrt((planes**2).sum(2))),
        ("sum", planes.sum(2)),
    ):
        found = saliency(squeezenet, cat, 285, rule=rule, reduce=reduce)
        assert isinstance(found, Map)
        assert distance(found, values) < 1e-4


def test_what_is_drawn_by_default(squeezenet: Net, cat: Picture) -> None:
    plain = saliency(squeezenet, cat)
    assert isinstance(plain, Map)
    assert not plain.signed
    assert plain.shape == cat.shape[:2]
    top = Probe(squeezenet, cat).target
    assert top.title in plain.caption
    assert top.blob in plain.caption
    assert top.blob != squeezenet.outputs[0]  # before the softmax
    assert plain.recipe is not None
    assert plain.recipe["method"] == "saliency"
    assert plain.recipe["parameters"]["rule"] == "gradient"
    for rule in ("guided", "deconv"):
        colours = saliency(squeezenet, cat, rule=rule)
        assert isinstance(colours, Picture)
        assert colours.shape == cat.shape
        assert np.median(colours) == pytest.approx(127.5, abs=3)
        assert colours.recipe is not None
        assert colours.recipe["parameters"]["reduce"] == "colour"


def test_a_unit_is_cropped_to_its_receptive_field(squeezenet: Net, cat: Picture) -> None:
    unit = "fire3/concat:70,12,13"
    whole = saliency(squeezenet, cat, unit, crop=False)
    part = saliency(squeezenet, cat, unit)
    top, left, height, width = part.recipe["parameters"]["crop"]
    assert part.shape == (height, width)
    assert height < 60
    np.testing.assert_array_equal(part, np.asarray(whole)[top:, left:][:height, :width])
    outside = np.asarray(whole).copy()
    outside[top : top + height, left : left + width] = 0
    assert not outside.any()
    assert np.asarray(part).any()


def test_any_of_several_outputs(branches: Net) -> None:
    for unit in ("end:2", "side:4,0,0", "mixed:3,1,1", "end"):
        assert np.asarray(saliency(branches, IMG, unit)).any()


# The deconvnet's unpooling.


def unpooled(dy: Any, where: Any, shape: Any) -> Any:
    """Each value at its place, in order: a later one replaces what is there."""
    y = np.zeros(int(np.prod(shape)))
    for value, place in zip(np.ravel(dy), np.ravel(where), strict=True):
        y[place] = value
    return y.reshape(shape)


POOL = """
    z = Conv (x, w)
    pooled = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (z)
    y = Conv (pooled, v)
"""


def overlapping() -> onnx.ModelProto:
    random = np.random.RandomState(2)
    w, v = random.normal(size=(5, 3, 2, 2)), random.normal(size=(4, 5, 1, 1))
    return network(POOL, w=np.float32(w), v=np.float32(v))


def test_where_windows_overlap_values_add_up_or_the_last_stays(
    net_of: Callable[..., Net], recwarn: pytest.WarningsRecorder
) -> None:
    net = net_of(overlapping(), np.float64)
    net.preprocessing = Preprocess(120, 0.02)
    x = net.preprocess(IMG)
    tops = net.forward({"x": x})
    net.blobs["y"].diff = np.random.default_rng(0).normal(size=tops["y"].shape)
    net.backward(rule={"pooled": "deconv-overwrite"})
    pool = next(node.layer for node in net.nodes if node.tops[0] == "pooled")
    dy = net.blobs["pooled"].diff
    expected = unpooled(dy, pool.where, net.blobs["z"].shape)
    np.testing.assert_array_equal(net.blobs["z"].diff, expected)
    net.backward(rule={"pooled": "deconv"})
    assert net.blobs["z"].diff.sum() == pytest.approx(dy.sum())
    assert np.count_nonzero(net.blobs["z"].diff - expected) > 10
    recwarn.clear()  # there is no rectifier, which backward says


@pytest.mark.parametrize("rule", ["guided", "deconv", "deconv-overwrite"])
@pytest.mark.emulator
def test_the_emulator_and_an_exported_file_say_the_same(
    net_of: Callable[..., Net], tmp_path: Path, rule: str
) -> None:
    model = overlapping()
    model.graph.node[0].output[0] = "pre"
    model.graph.node.insert(1, onnx.helper.make_node("Relu", ["pre"], ["z"]))
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    nets = [Net(file, device=device) for device in ("cpu", "emulator")]
    probes = []
    for net in nets:
        net.preprocessing = Preprocess(120, 0.02)
        probes.append(Probe(net, IMG, "y:2"))
    _, expected = probes[0].gradient(rule)
    assert distance(probes[1].gradient(rule)[1], expected) < 1e-5
    exported = oneiro.export_program(
        nets[0], probes[0].program(rule), x=(np.float32, ("n", 3, "h", "w"))
    )
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    (found,) = session.run(["gradient"], {"x": probes[0].x})
    assert distance(found * probes[0].scale, expected) < 1e-5


# All of them.


def test_the_three_rules_side_by_side(squeezenet: Net, cat: Picture) -> None:
    page = rules_sheet(squeezenet, cat, 285)
    assert page.shape[1] > 4 * cat.shape[1]
    assert page.shape[0] < 2 * cat.shape[0]
    assert page.recipe is not None
    assert page.recipe["parameters"]["rule"] == ["gradient", "guided", "deconv"]


def test_a_gradient_of_zero_is_told(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    model = network("z = Neg (x) y = Relu (z)")
    net = net_of(model)
    net.preprocessing = Preprocess(0, 1)
    with caplog.at_level(logging.WARNING):
        found = saliency(net, IMG, "y:1")
    assert "the gradient is zero: no pixel moves y:1" in caplog.text
    assert not np.asarray(found).any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rule": "smooth"}, "rule 'smooth'"),
        ({"reduce": "mean"}, "reduce is 'mean'"),
        ({"target": 1000}, r"0\.\.999"),
        ({"target": "horse of gold"}, "no class is called"),
        ({"target": "fire5/concat:900"}, "900"),
        ({"target": "fire5/concar:9"}, "fire5/concar"),
    ],
)
def test_arguments_that_make_no_sense(
    squeezenet: Net, cat: Picture, arguments: Any, said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        saliency(squeezenet, cat, **arguments)
