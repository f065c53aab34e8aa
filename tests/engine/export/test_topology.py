"""Each question, asked of nine real topologies and of three trained networks."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import helper

import oneiro
from oneiro import Net, Preprocess, dream_step, export
from oneiro.ascent import image_gradient
from oneiro.methods.grad_cam import cam_program, named_maps
from oneiro.objective import l2
from oneiro.probe import Probe
from oneiro.size import accepted_size
from oneiro.transform import edge_cropped, edge_padded, octaves, zoomed
from oracle import light
from oracle.measure import difference, medians
from oracle.runtime import session

pytest.importorskip("onnxruntime", reason="it judges what is exported")

TRAINED = {  # and the blob that is climbed
    "squeezenet1.1": "fire5/concat",
    "googlenet": "inception_4c/output",
    "mobilenetv2_dogs": "block_10",
}
SEEDS = 9  # pictures of which the median counts: ties between maxima break by rounding
FEWER = 5  # half way up
SIZE = (64, 96)
CLASS = 7
ALL = dict.fromkeys(("channel", "row", "column"), np.array(-1))


class Case(NamedTuple):
    """A network, and a blob half way up."""

    net: Net
    middle: str


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
def case(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    trained: Callable[[str], Path],
) -> Case:
    gc.collect()  # the last one's weights hang in the rings that symbols make
    name = request.param
    if name in TRAINED:
        path = trained(name)
        way = {} if name == "squeezenet1.1" else {"preprocess": "tf"}
        return Case(oneiro.load(path, device="cpu", executor="numpy", **way), TRAINED[name])
    path = tmp_path_factory.mktemp("light") / f"{name}.onnx"
    onnx.save(classifying(name), path)
    net = Net(path, device="cpu", executor="numpy")
    net.preprocessing = Preprocess(128.0)
    path.unlink()
    return Case(net, light.NETWORKS[name].middle)


def photo(size: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.float32)


def test_of_classes(case: Case) -> None:
    net = case.net
    probe = Probe(net, np.zeros((*SIZE, 3)), CLASS)
    maps = named_maps(probe, None)
    runs = {
        what: session(export(net, what, ends, size=SIZE))
        for what, ends in (("saliency", ()), ("gradcam", maps))
    }

    def errors(seed: int) -> dict[str, float]:
        img = photo(SIZE, seed)
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


def test_of_a_blob(case: Case) -> None:
    net, img = case.net, photo(SIZE, 0)
    found = session(export(net, "activations", case.middle, size=SIZE))(picture=img[None])
    wanted = net.forward({net.input: net.preprocess(img)}, end=case.middle)
    assert difference(found[case.middle], wanted[case.middle]) < 1e-5


def test_a_step(case: Case) -> None:
    """Compared by what it changes in the picture."""
    net, way = case.net, case.net.known_preprocessing()
    run = session(export(net, "step", case.middle, size=SIZE))
    shift = np.array([3, -5])

    def errors(seed: int) -> dict[str, float]:
        img = photo(SIZE, seed)
        found = run(picture=img[None], shift=shift, step=np.array(4, np.float32), **ALL)
        step = 4 * way.unit(3)
        wanted = dream_step(net, net.preprocess(img), shift, step, {case.middle: l2}, way.bounds(3))
        return {
            "dream": difference(found["dream"][0] - img, net.deprocess(wanted["x"]) - img),
            "value": difference(found["value"], wanted["value"]),
        }

    found = medians(map(errors, range(FEWER)), FEWER)
    assert max(found.values()) < 1e-5, found


def test_a_dream(case: Case) -> None:
    """Of so small a picture that some networks see its octaves with a border: at one size alone.

    One step in each, as every other step makes more of a tie that broke otherwise.
    """
    net, way, goal = case.net, case.net.known_preprocessing(), {case.middle: l2}
    size = 32, 48
    told = {"steps": np.array(1), "step": np.array(1.5, np.float32), **ALL}
    empty = octaves(net.preprocess(np.zeros((*size, 3))), 4, 1.4)[::-1]
    sizes = [accepted_size(net, [*goal], *base.shape[2:]) for base in empty]
    fits = sizes == [base.shape[2:] for base in empty]
    run = session(export(net, "dream", case.middle, size=None if fits else size))

    def dreamt(img: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """As deepdream makes it."""
        x = net.preprocess(img)
        detail = np.zeros_like(empty[0])
        for base, (tall, wide), shift in zip(octaves(x, 4, 1.4)[::-1], sizes, shifts):
            h, w = base.shape[2:]
            start = edge_padded(base + zoomed(detail, h, w), tall, wide)
            moved = dream_step(net, start, shift, 1.5 * way.unit(3), goal, way.bounds(3))
            detail = edge_cropped(moved["x"], h, w) - base
        return np.asarray(net.deprocess(x + detail))

    def errors(seed: int) -> dict[str, float]:
        img = photo(size, seed)
        shifts = np.random.default_rng(seed).integers(-4, 5, (4, 2))
        found = run(picture=img[None], shifts=shifts[:, None], **told)["dream"][0]
        return {"dream": difference(found - img, dreamt(img, shifts) - img)}

    found = medians(map(errors, range(FEWER)), FEWER)
    assert found["dream"] < 1e-5
