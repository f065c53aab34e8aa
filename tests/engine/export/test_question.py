"""What a model answers is what the Net and its methods do, for every class, channel and place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import oneiro
from oneiro import ArgumentError, Net, Preprocess, export
from oneiro.ascent import dream_step, image_gradient
from oneiro.export.question import MOVING, WHATS
from oneiro.export.writer import OPSET
from oneiro.objective import channel, l2, neuron
from oneiro.target import class_scores
from oracle import runtime, small
from oracle.measure import difference

pytest.importorskip("onnxruntime", reason="it judges what is exported")

SEEDS = 5  # pictures of which the median counts: ties between maxima break by rounding


def session(model: onnx.ModelProto) -> Callable[..., dict[str, np.ndarray]]:
    """run(picture=..., channel=...) of a model: numbers in the types that it takes."""
    run = runtime.session(model)
    kinds = {
        given.name: helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
        for given in model.graph.input
    }
    return lambda **feeds: run(**{n: np.asarray(value, kinds[n]) for n, value in feeds.items()})


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture
def branches(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches())
    net.preprocessing = Preprocess((90.0, 110.0, 130.0), (0.5, 0.25, 2.0), "BGR")
    return net


def photo(h: int, w: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3)).astype(np.float32)


def grey(net: Net, g: np.ndarray) -> np.ndarray:
    """A derivative in the net's picture by the values of 0..255, (h, w, c)."""
    way = net.known_preprocessing()
    return way.turned((g * way.spread("scale", net.channels, net.dtype))[0].transpose(1, 2, 0))


UNITS = {(-1, -1, -1): l2, (2, -1, -1): channel(2), (1, 3, 2): neuron(1, 3, 2)}


@pytest.mark.parametrize("what", ["gradient", "guided", "deconv"])
def test_gradients_of_every_unit(branches: Net, what: str) -> None:
    run = session(export(branches, what, "mixed"))
    for place, objective in UNITS.items():
        distances = []
        for seed in range(SEEDS):
            img = photo(13, 18, seed)
            found = run(picture=img[None], **dict(zip(("channel", "row", "column"), place)))
            x = branches.preprocess(img)
            value, g = image_gradient(branches, x, {"mixed": objective}, what)
            distances.append(difference(found["gradient"][0], grey(branches, g)))
            assert found["value"] == pytest.approx(value, rel=1e-4)
            assert difference(found["activations"], branches.blobs["mixed"].data) < 1e-5
        assert np.median(distances) < 1e-5, place


@pytest.mark.parametrize("which", [-1, 7])
def test_saliency(squeezenet: Net, which: int) -> None:
    run = session(export(squeezenet, "saliency"))
    distances = []
    for seed in range(SEEDS):
        img = photo(67, 75, seed)
        found = run(picture=img[None], **{"class": which})
        scores = class_scores(squeezenet, squeezenet.preprocess(img))
        assert difference(found["scores"], scores) < 1e-5
        assert found["chosen"] == (scores[0].argmax() if which < 0 else which)
        wanted = oneiro.saliency(squeezenet, img, int(found["chosen"][0]))
        distances.append(difference(found["map"][0], np.asarray(wanted)))
    assert np.median(distances) < 1e-5


def test_grad_cam(squeezenet: Net) -> None:
    maps = "fire9/concat"
    run = session(export(squeezenet, "gradcam", maps))
    img = photo(99, 131, 0)
    found = run(picture=img[None], **{"class": 3})
    wanted = np.asarray(oneiro.grad_cam(squeezenet, img, 3, blob=maps))
    enlarged = oneiro.Map(found["cam"][0], "").resized(*wanted.shape)
    assert difference(np.asarray(enlarged), wanted) < 1e-4


@pytest.mark.parametrize("size", [None, (13, 18)])
def test_a_step(branches: Net, size: tuple[int, int] | None) -> None:
    run = session(export(branches, "step", "mixed", size=size))
    way = branches.known_preprocessing()
    for place, objective in UNITS.items():
        distances = []
        for seed in range(SEEDS):
            img = photo(13, 18, seed)
            units = dict(zip(("channel", "row", "column"), place))
            found = run(picture=img[None], shift=[3, -5], step=40.0, **units)
            x = branches.preprocess(img)
            step = 40 * way.unit(3)
            bounds = way.bounds(3)
            wanted = dream_step(branches, x, np.array([3, -5]), step, {"mixed": objective}, bounds)
            dream = np.asarray(branches.deprocess(wanted["x"]))
            assert found["dream"].min() >= 0
            assert found["dream"].max() <= 255
            distances.append(difference(found["dream"][0] - img, dream - img))
            assert found["value"] == pytest.approx(wanted["value"], rel=1e-4)
            g = np.roll(branches.blobs[branches.input].diff, (-3, 5), (2, 3))
            distances.append(difference(found["gradient"][0], grey(branches, g)))
        assert np.median(distances) < 1e-5, place


@pytest.mark.parametrize(("size", "smooth"), [(None, 0), ((45, 61), 0.7)])
def test_a_whole_dream(squeezenet: Net, size: tuple[int, int] | None, smooth: float) -> None:
    """As deepdream makes it, whose shifts are drawn one by one."""
    run = session(export(squeezenet, "dream", {"fire3/concat": l2}, size=size, smooth=smooth))
    options = {
        "octave_n": 4,
        "octave_scale": 1.4,
        "iter_n": 3,
        "step_size": 2.0,
        "jitter": 4,
        "smooth": smooth,
    }
    distances = []
    for seed in range(SEEDS):
        img = photo(45, 61, seed)
        random = np.random.RandomState(seed)
        shifts = np.array([random.randint(-4, 5, 2)[::-1] for _ in range(4 * 3)]).reshape(4, 3, 2)
        found = run(picture=img[None], steps=3, step=2.0, shifts=shifts)["dream"][0]
        dream = oneiro.deepdream(squeezenet, img, end="fire3/concat", seed=seed, **options)
        distances.append(difference(found - img, np.asarray(dream) - img))
    assert np.median(distances) < 1e-5


def test_activations_of_several_blobs_and_pictures_of_bytes(branches: Net) -> None:
    run = session(export(branches, "activations", ["mixed", "end"], pixels="uint8"))
    img = photo(13, 18, 0)
    found = run(picture=img[None])
    wanted = branches.forward({branches.input: branches.preprocess(img)}, end=["mixed", "end"])
    assert found.keys() == wanted.keys()
    for name, result in found.items():
        assert difference(result, wanted[name]) < 1e-5


def test_a_smoothed_step(squeezenet: Net) -> None:
    """The favourite of a network that likes its gradients smooth, as deepdream takes it."""
    run = session(export(squeezenet, "step", ["fire3/concat", "fire5/concat=3"], smooth=0.7))
    img = photo(61, 83, 0)
    found = run(picture=img[None], shift=[0, 0], step=9.0)["dream"][0]
    ends = ("fire3/concat", "fire5/concat=3")
    options = {"octave_n": 1, "iter_n": 1, "step_size": 9.0, "jitter": 0, "smooth": 0.7}
    wanted = np.asarray(oneiro.deepdream(squeezenet, img, end=ends, **options))
    assert difference(found - img, wanted - img) < 1e-4


FORMS: list[dict[str, Any]] = [
    {"opset": 17},
    {"opset": 21},
    {"pixels": "uint8"},
    {"size": (61, 83)},
    {"size": (61, 83), "opset": 17, "pixels": "uint8"},
]


@pytest.mark.parametrize("what", WHATS)
def test_every_form_of_a_model_answers_alike(squeezenet: Net, what: str) -> None:
    ends = () if what in ("saliency", "gradcam") else "fire3/concat"
    shifts = np.random.default_rng(0).integers(-8, 9, (4, 2, 2))
    given = {"picture": photo(61, 83, 0)[None], "class": 3, "shift": [3, -5], "shifts": shifts}
    given |= {"step": 1.5, "steps": 2, "channel": -1, "row": -1, "column": -1}
    smooth = 0.7 if what in MOVING else 0.0

    def answers(**form: Any) -> dict[str, np.ndarray]:
        model = export(squeezenet, what, ends, smooth=smooth, **form)
        assert model.opset_import[0].version == form.get("opset", OPSET)
        return session(model)(**{info.name: given[info.name] for info in model.graph.input})

    plain = answers()
    for form in FORMS:
        for name, found in answers(**form).items():
            assert found.dtype == plain[name].dtype
            assert difference(found, plain[name]) < 1e-5, (form, name)


def test_what_is_written_in_it(squeezenet: Net) -> None:
    model = export(squeezenet, "step", "fire5/concat", opset=17)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert all(info.doc_string for info in (*model.graph.input, *model.graph.output))
    (told,) = [p.value for p in model.metadata_props if p.key == "oneiro"]
    assert squeezenet.model.sha256 in told
    assert session(model)(
        picture=photo(35, 41, 0)[None], shift=[1, 2], step=1, channel=-1, row=-1, column=-1
    )["dream"].shape == (1, 35, 41, 3)


def test_settled_objectives_take_no_unit(branches: Net) -> None:
    def brighter(data: Any) -> tuple[Any, Any]:
        return data.sum(), 0 * data + 1

    for ends in ("mixed:2=0.5", ["mixed:2", "end"], {"mixed": brighter}):
        model = export(branches, "step", ends)
        assert [info.name for info in model.graph.input] == ["picture", "shift", "step"]


@pytest.mark.parametrize(
    ("what", "ends", "options", "message"),
    [
        ("sleep", "mixed", {}, "what is 'sleep'; it must be one of activations, gradient"),
        ("gradient", [], {}, "gradient is about a blob: name one as end"),
        ("gradcam", ["mixed", "end"], {}, "gradcam takes one end at most"),
        ("activations", {"mixed": l2}, {}, "activations climbs no objective: name blobs"),
        ("gradient", "mixde", {}, "no blob or layer 'mixde'"),
        ("gradient", "mixed", {"input": "photo"}, "input is 'photo'; it must be one of picture"),
        ("gradient", "mixed", {"pixels": "int8"}, "pixels are 'int8'; they must be one of float32"),
        ("gradient", "mixed", {"smooth": 1}, "gradient makes no steps whose gradients"),
        ("step", "mixed", {"smooth": -1}, "smooth is -1: it must be at least 0"),
        ("gradient", "mixed", {"opset": 5}, "opset 5 has no form for all of this model"),
    ],
)
def test_what_is_refused(branches: Net, what: str, ends: Any, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        export(branches, what, ends, **options)
