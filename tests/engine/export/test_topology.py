"""Questions about classes, asked of nine real topologies, and of two trained networks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import oneiro
from oneiro import Net, Preprocess, export
from oneiro.ascent import image_gradient
from oneiro.methods.grad_cam import cam_program, named_maps
from oneiro.probe import Probe
from oracle import light
from oracle.measure import difference, medians
from oracle.runtime import session

pytest.importorskip("onnxruntime", reason="it judges what is exported")

SHARED = Path(__file__).parents[3].parent / "shared" / "models"
TRAINED = ("googlenet", "mobilenetv2_dogs")
SEEDS = 9  # pictures of which the median counts: ties between maxima break by rounding
CLASS = 7


def classifying(name: str) -> onnx.ModelProto:
    """A light network whose channels at the end are its classes."""
    model = light.light(name)
    end = light.NETWORKS[name].end
    model.graph.node.append(helper.make_node("GlobalAveragePool", [end], ["means"]))
    model.graph.node.append(helper.make_node("Flatten", ["means"], ["scores"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("scores", 1, None))
    return model


@pytest.fixture(scope="module", params=[*light.NAMES, *TRAINED])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Net:
    if request.param in TRAINED:
        path = SHARED / f"{request.param}.onnx"
        if not path.exists():
            pytest.skip(f"there is no {path.name} beside the repository")
        return oneiro.load(path, device="cpu", executor="numpy", preprocess="tf")
    path = tmp_path_factory.mktemp("light") / f"{request.param}.onnx"
    onnx.save(classifying(request.param), path)
    net = Net(path, device="cpu", executor="numpy")
    net.preprocessing = Preprocess(128.0)
    path.unlink()
    return net


def test_of_classes(net: Net) -> None:
    probe = Probe(net, np.zeros((64, 96, 3)), CLASS)
    maps = named_maps(probe, None)
    runs = {
        what: session(export(net, what, ends, size=(64, 96)))
        for what, ends in (("saliency", ()), ("gradcam", maps))
    }

    def errors(seed: int) -> dict[str, float]:
        img = np.random.default_rng(seed).integers(0, 256, (64, 96, 3)).astype(np.float32)
        feeds = {"picture": img[None], "class": np.array(CLASS)}
        found, cam = runs["saliency"](**feeds), runs["gradcam"](**feeds)["cam"]
        x = net.preprocess(img)
        _, g = image_gradient(net, x, probe.goal)
        expected = cam_program(probe, maps)(net, x)
        values = np.asarray(net.blobs[probe.target.blob].data)
        return {
            "map": difference(found["map"], np.abs(g * probe.scale).max(1)),
            "cam": difference(cam, expected["cam"][:, 0]),
            "scores": difference(found["scores"], values.reshape(*values.shape[:2], -1).mean(2)),
        }

    found = medians(map(errors, range(SEEDS)), SEEDS)
    assert max(found.values()) < 1e-5, found
