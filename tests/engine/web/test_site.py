"""The files of the page: what is in them, and for which networks there is one."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from oneiro import ArgumentError, Net, Picture, Preprocess, deepdream, load, saliency
from oneiro.web import Site
from oracle import light, small
from oracle.notation import network

PHOTO = Picture(np.random.RandomState(7).uniform(0, 255, (227, 227, 3)))
RUNTIME = {"ort.wasm.min.mjs": b"export const env = {};"}


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(load("squeezenet1.1", device="cpu"), RUNTIME, PHOTO)


def run(site: Site, path: str, **feeds: Any) -> dict[str, Any]:
    """What a model of the page gives, with its weights."""
    runtime = pytest.importorskip("onnxruntime", reason="it runs the page's models")
    options = runtime.SessionOptions()
    options.add_external_initializers_from_files_in_memory(
        ["weights"], [site["weights"]], [len(site["weights"])]
    )
    session = runtime.InferenceSession(site[path], options, providers=["CPUExecutionProvider"])
    return dict(zip((o.name for o in session.get_outputs()), session.run(None, feeds), strict=True))


def test_every_file_can_be_had(site: Site) -> None:
    assert len(site) == len(list(site)) > 100
    files = dict(site)
    assert all(files.values())
    assert b"page.js" in files["index.html"]
    assert files["ort/ort.wasm.min.mjs"] == RUNTIME["ort.wasm.min.mjs"]
    assert files["photo.png"][:4] == b"\x89PNG"


def test_weights_are_there_once(site: Site) -> None:
    whole = 4 * sum(np.asarray(array).size for array in site.net.constants.values())
    assert len(site["weights"]) < 1.02 * whole
    models = [path for path in site if path.endswith(".onnx")]
    assert max(len(site[path]) for path in models) < 100_000
    linked = onnx.load_model_from_string(site["models/guided/3.onnx"])
    assert any(tensor.external_data for tensor in linked.graph.initializer)


def test_what_the_page_knows(site: Site) -> None:
    facts = json.loads(site["net.json"])
    names = [layer["name"] for layer in facts["layers"]]
    assert names[:3] == ["conv1", "pool1", "fire2/squeeze1x1"]
    assert names[facts["dream"]["layer"]] == "fire5/concat"
    assert facts["layers"][names.index("fire5/concat")]["channels"] == 256
    assert facts["dream"]["favourite"] == "fire5/concat + fire7/concat=3"
    assert (facts["size"], facts["channels"], len(facts["classes"])) == ([227, 227], 3, 1000)
    assert facts["pools"] == ["pool1", "pool3", "pool5"]


def test_a_unit_of_the_page_is_python_s(site: Site) -> None:
    facts = json.loads(site["net.json"])
    k = [layer["name"] for layer in facts["layers"]].index("fire4/concat")
    feeds = {name: np.array(value) for name, value in (("channel", 9), ("row", -1), ("column", -1))}
    found = run(site, f"models/guided/{k}.onnx", picture=np.asarray(PHOTO)[None], **feeds)
    wanted = saliency(site.net, PHOTO, "fire4/concat:9", rule="guided", reduce="sum")
    limit = float(np.abs(wanted).max())
    assert np.abs(found["gradient"][0].sum(2) - wanted).max() < 1e-4 * limit


def test_a_step_of_the_page_is_python_s(site: Site) -> None:
    photo = PHOTO[:120, :150]
    found = run(
        site,
        "models/step/favourite.onnx",
        picture=np.asarray(photo)[None],
        shift=np.zeros(2, np.int64),
        step=np.array(3, np.float32),
    )
    wanted = deepdream(site.net, photo, octave_n=1, iter_n=1, step_size=3, jitter=0)
    np.testing.assert_allclose(found["dream"][0], wanted, atol=0.01)


def test_octaves(site: Site) -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (1, 11, 17, 3)).astype(np.float32)
    found = run(site, "models/zoom.onnx", picture=picture, size=np.array([8, 12]))["zoomed"]
    assert found.shape == (1, 8, 12, 3)
    np.testing.assert_allclose(found[0, [0, 0, -1], [0, -1, 0]], picture[0, [0, 0, -1], [0, -1, 0]])


def test_to_look_for_a_file_makes_none() -> None:
    """A server asks whether there is one, before it says what went wrong with it."""
    site = Site(load("squeezenet1.1", device="cpu"), RUNTIME, None)
    assert "models/guided/0.onnx" in site
    assert "models/guided/999.onnx" not in site
    assert not site.kept


@pytest.fixture
def fed(net_of: Callable[..., Net]) -> Callable[..., Net]:
    """fed(model): its Net, and a way to feed it."""

    def make(model: onnx.ModelProto, order: str = "BGR") -> Net:
        net = net_of(model)
        net.preprocessing = Preprocess(99.0, 0.01, order)
        return net

    return make


def test_a_network_without_classes(fed: Callable[..., Net]) -> None:
    site = Site(fed(small.unet()), RUNTIME, None)
    facts = json.loads(site["net.json"])
    assert (facts["classifies"], facts["photo"], facts["dream"]["favourite"]) == (False, None, "")
    assert not {"models/saliency.onnx", "models/step/favourite.onnx", "photo.png"} & {*site}
    assert all(site[path] for path in site if path.startswith("models/"))


def test_a_network_that_no_step_of_any_size_can_be_had_of(fed: Callable[..., Net]) -> None:
    net = fed(small.resize())
    net.size = 26, 36
    site = Site(net, RUNTIME, None)
    last = [path for path in site if path.startswith("models/step/")][-1]
    model = onnx.load_model_from_string(site[last])
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in sizes] == [1, 26, 36, 3]


def test_layers_stand_for_what_they_finish(fed: Callable[..., Net]) -> None:
    net = fed(light.light("resnet50"))
    kinds = {node.tops[0]: node.layer.kind for node in net.nodes}
    facts = json.loads(Site(net, RUNTIME, None)["net.json"])
    found = {kinds[layer["name"]] for layer in facts["layers"]}
    assert "Relu" in found
    assert "Conv" not in found


def test_pictures_of_other_channels(fed: Callable[..., Net]) -> None:
    w = np.zeros((4, 2, 3, 3), np.float32)
    model = network("y = Conv (x, w)", w=w)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    net = fed(model, order="ANY")
    with pytest.raises(ArgumentError, match="pictures of 2 channels"):
        Site(net, RUNTIME, None)
