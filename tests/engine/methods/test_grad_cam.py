"""Grad-CAM beside torch, and which maps it takes by itself."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

import oneiro
from oneiro import (
    ArgumentError,
    Map,
    ModelError,
    Net,
    Picture,
    Preprocess,
    grad_cam,
    guided_grad_cam,
    saliency,
)
from oneiro.methods.grad_cam import cam_program, named_maps
from oneiro.probe import Probe, trained_size
from oracle import small
from oracle.measure import distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models" / "squeezenet1.1.onnx"
SHARED = ROOT.parent / "shared" / "models"
IMG = np.random.RandomState(5).uniform(0, 255, (29, 37, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture(scope="module")
def cat(squeezenet: Net) -> Picture:
    img = oneiro.load_image(ROOT / "examples" / "chelsea_cat.png")
    return Picture(trained_size(squeezenet, img)[60:171, 90:217])


@pytest.mark.parametrize("blob", [None, "fire5/concat"])
def test_it_beside_torch(
    squeezenet: Net, cat: Picture, walker: ModuleType, blob: str | None
) -> None:
    import torch

    model = onnx.load(FILE)
    probe = Probe(squeezenet, cat, 285)
    x = torch.tensor(squeezenet.preprocess(cat), dtype=torch.float64, requires_grad=True)
    name = blob or "fire9/concat"
    values = walker.run(model, {"data": x}, probe.target.blob)
    score, maps = values[probe.target.blob].flatten()[285], values[name]
    (g,) = torch.autograd.grad(score, maps)
    cam = torch.relu((g.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    sizes = {"mode": "bilinear", "align_corners": False}
    expected = torch.nn.functional.interpolate(cam, cat.shape[:2], **sizes)[0, 0].detach().numpy()
    found = grad_cam(squeezenet, cat, 285, blob=blob)
    assert isinstance(found, Map)
    assert distance(found, expected) < 1e-4
    assert name in found.caption
    g = saliency(squeezenet, cat, 285, rule="guided", reduce="sum")
    product = guided_grad_cam(squeezenet, cat, 285, blob=blob, reduce="sum")
    assert distance(product, np.asarray(g) * expected) < 1e-4


def test_the_guided_one_is_a_picture_round_mid_grey(squeezenet: Net, cat: Picture) -> None:
    found = guided_grad_cam(squeezenet, cat)
    assert isinstance(found, Picture)
    assert found.shape == cat.shape
    assert np.median(found) == pytest.approx(127.5, abs=3)
    assert found.recipe is not None
    assert found.recipe["method"] == "guided_grad_cam"
    assert found.recipe["parameters"]["maps"] == "fire9/concat"


def test_it_points_at_the_dogs(squeezenet: Net) -> None:
    img = trained_size(squeezenet, oneiro.load_image(ROOT / "examples" / "two_dogs.jpg"))
    found = np.asarray(grad_cam(squeezenet, img))
    on_dogs = np.zeros(img.shape[:2], bool)
    on_dogs[79:144, 68:119] = True
    on_dogs[152:224, 106:153] = True
    assert on_dogs[np.unravel_index(found.argmax(), found.shape)]
    assert found[on_dogs].mean() > 5 * found[~on_dogs].mean()


@pytest.mark.parametrize(
    ("file", "blob"),
    [("googlenet", "inception_5b/output"), ("mobilenetv2_dogs", None)],
)
def test_the_maps_of_other_networks(file: str, blob: str | None) -> None:
    path = SHARED / f"{file}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not here: it is no part of the repository")
    net = oneiro.load(path, device="cpu")
    net.preprocessing = net.preprocessing or Preprocess(127.5, 1 / 127.5)
    probe = Probe(net, np.full((224, 224, 3), 90, np.float32), 3)
    name = named_maps(probe, None)
    assert blob is None or net.resolve(blob) == name
    shapes = net.shapes({net.input: probe.x.shape})
    assert shapes[name][2:] == (7, 7)


def test_a_unit_s_maps_are_below_it(net_of: Callable[..., Net]) -> None:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess(120, 0.02)
    assert named_maps(Probe(net, IMG, "end:2,1,1"), None) == "mixed"
    assert named_maps(Probe(net, IMG, "stem:2"), None) == net.nodes[0].tops[0]  # there is no other
    whole = grad_cam(net, IMG, "mixed:2,4,6", crop=False)
    assert whole.shape == IMG.shape[:2]
    part = grad_cam(net, IMG, "mixed:2,4,6")
    assert part.size < whole.size


def test_a_file_of_it(squeezenet: Net, cat: Picture) -> None:
    probe = Probe(squeezenet, cat, 285)
    shape = ("n", 3, *cat.shape[:2])
    program = cam_program(probe, "fire9/concat")
    model = oneiro.export_program(squeezenet, program, x=(np.float32, shape))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (cam,) = session.run(["cam"], {"x": probe.x})
    squeezenet.forward({"data": probe.x}, end="fire9/concat")
    assert cam.shape[2:] == squeezenet.blobs["fire9/concat"].shape[2:]
    own = program(squeezenet, probe.x)["cam"]
    assert distance(cam, own) < 1e-4


@pytest.mark.emulator
def test_it_runs_on_a_device(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(small.branches(), file)
    nets = [Net(file, device=device) for device in ("cpu", "emulator")]
    for net in nets:
        net.preprocessing = Preprocess(120, 0.02)
    one, other = (grad_cam(net, IMG, "end:2", blob="mixed") for net in nets)
    assert distance(other, one) < 1e-5


def test_nothing_speaks_for_it(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    net = net_of(network("z = Relu (x) m = Neg (z) y = ReduceMean (m)"))
    net.preprocessing = Preprocess(0, 1)
    with caplog.at_level(logging.WARNING):
        found = grad_cam(net, IMG, "y:0", blob="z")
    assert "gains nothing from z" in caplog.text
    assert not np.asarray(found).any()


def test_maps_that_are_none(squeezenet: Net, cat: Picture, net_of: Callable[..., Net]) -> None:
    with pytest.raises(ArgumentError, match="nothing/here"):
        grad_cam(squeezenet, cat, blob="nothing/here")
    with pytest.raises(ArgumentError, match="not before fire3/concat"):
        grad_cam(squeezenet, cat, "fire3/concat:3", blob="fire5/concat")
    net = net_of(small.head())
    net.preprocessing = Preprocess(0, 1)
    with pytest.raises(ArgumentError, match="holds no maps"):
        grad_cam(net, IMG, "scores:3", blob=net.nodes[-4].tops[0])
    bare = net_of(network("y = Identity (x)"))
    bare.preprocessing = Preprocess(0, 1)
    with pytest.raises(ModelError, match="makes no maps before y"):
        grad_cam(bare, IMG, "y:1")
