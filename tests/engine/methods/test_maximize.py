"""Activation maximisation: the presets by hand, batches, restarts, and what others recognise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy import ndimage

import oneiro
from oneiro import ArgumentError, Net, Preprocess, aim, image_gradient, maximize
from oneiro.classification import classify
from oneiro.climb import Moment, State
from oneiro.maximization import PRESETS, Octave, chosen, told
from oneiro.methods.maximize import Maximization
from oneiro.objective import direction
from oracle import small
from oracle.measure import distance

GOOGLENET = Path(__file__).parents[3].parent / "shared" / "models" / "googlenet.onnx"
FEW: dict[str, Any] = {"iter_n": 3, "size": 40}


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess((104, 117, 123), (0.5, 1.0, 2.0), "BGR")
    return net


def values_of(net: Net) -> Any:
    return net.known_preprocessing().bounds(3, net.dtype)


# The presets.


def yosinski(
    net: Net, goal: Any, x: NDArray[Any], unit: NDArray[Any], iter_n: int,
    rate: Callable[..., float], decay: float, blur: float, every: int, small_norm: float,
    small_contribution: float,
) -> NDArray[Any]:  # fmt: skip
    """The loop of gradient_optimizer.py, which clips first and leaves the last step out."""
    low, high = values_of(net)
    for ii in range(iter_n):
        x = np.clip(x, low, high)
        if ii == iter_n - 1:
            break
        _, g = image_gradient(net, x, goal)
        z, g = x / unit, g * unit  # in grey values
        z = z + rate(g) * g
        z = z * (1 - decay)
        if blur and ii % every == 0:
            for channel in range(3):
                z[0, channel] = ndimage.gaussian_filter(z[0, channel], blur)
        if small_norm:
            norms = np.linalg.norm(z, axis=1, keepdims=True)
            z = z * (norms >= np.percentile(norms, small_norm))
        if small_contribution:
            share = np.abs((g * -z).sum(1, keepdims=True))
            z = z * (share >= np.percentile(share, small_contribution))
        x = z * unit
    return x


YOSINSKI = {
    "yosinski1": (lambda g: min(100, 2 / (g**2).sum()), 0, 0.5, 4, 50, 0),
    "yosinski2": (lambda g: 100, 0.3, 0, 1, 20, 0),
    "yosinski3": (lambda g: 100, 0.0001, 1.0, 4, 0, 0),
    "yosinski4": (lambda g: min(1e8, 2 / (g**2).sum()), 0, 0.5, 4, 0, 90),
}


@pytest.mark.parametrize("preset", YOSINSKI)
def test_yosinski_s_four(net: Net, preset: str) -> None:
    work = Maximization(net, "end:1", preset, {"iter_n": 9}, size=(16, 19))
    unit = net.known_preprocessing().unit(3, net.dtype)
    low, high = values_of(net)
    start = np.clip(work.start() * unit, low, high)
    expected = yosinski(net, aim(net, "end:1"), start, unit, 10, *YOSINSKI[preset])
    moments: list[Moment] = []
    work = Maximization(net, "end:1", preset, {"iter_n": 9}, size=(16, 19))
    begun = work.start
    work.start = lambda: np.clip(begun() * unit, low, high) / unit  # type: ignore[method-assign]
    work.run(moments.append)
    assert distance(moments[-1].z * unit, expected) < 1e-6


def test_simonyan_climbs_the_score_less_the_squares(net: Net) -> None:
    """x += rate * (g - 2 lambda x), from the zero image, in grey values."""
    numbers = {"iter_n": 4, "rate": 0.5, "l2": 0.03, "clip": False}
    unit = net.known_preprocessing().unit(3, net.dtype)
    z = np.zeros((1, 3, 16, 19))
    moments: list[Moment] = []
    for _ in range(4):
        _, g = image_gradient(net, z * unit, aim(net, "end:1"))
        z = z + 0.5 * (g * unit - 2 * 0.03 * z)
    maximize(net, "end:1", preset="simonyan", size=(16, 19), on_step=moments.append, **numbers)
    assert distance(moments[-1].z, z) < 1e-9


def test_the_policies_take_each_picture_by_itself(net: Net) -> None:
    """progress01 asks for min(desired, late * (1 - p)), by the value of each."""
    moments: list[Moment] = []
    numbers = {"update": "progress01", "desired": 0.3, "late": 0.01, "noise": 9.0, "clip": False}
    targets = ["mixed:3=0.00001", "mixed:12=-0.00002"]
    work = Maximization(net, targets, "simonyan", {**numbers, "l2": 0.0, "rate": 1e9, "iter_n": 1})
    work.run(moments.append)
    unit = net.known_preprocessing().unit(3, net.dtype)
    for one, before, z in zip(work.aims, work.start(), moments[0].z, strict=True):
        value, g = image_gradient(net, before * unit, one)
        gained = float((g[0] * unit[0] * (z - before)).sum())
        assert gained == pytest.approx(min(0.3, 0.01 * (1 - float(value))), rel=1e-6)


def test_deepdraw_grows_and_looks_at_crops(net: Net) -> None:
    numbers = {"iter_n": 2, "rate": (3.0, 1.0)}
    moments: list[Moment] = []
    picture = maximize(
        net, "end:1", preset="deepdraw", size=(20, 30), on_step=moments.append, **numbers
    )
    assert [moment.z.shape[2:] for moment in moments[::2]] == [
        (20, 30),
        (24, 36),
        (29, 43),
        (29, 43),
    ]
    assert picture.shape == (29, 43, 3)
    assert 150 < moments[0].picture().mean() < 230  # it starts light


def test_cs231n_starts_from_faint_noise(net: Net) -> None:
    work = Maximization(net, "end:1", "cs231n", size=(16, 19))
    assert work.start().std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_raises_its_objective(squeezenet: Net, preset: str) -> None:
    moments: list[Moment] = []
    maximize(squeezenet, "goose", preset=preset, size=64, iter_n=5, on_step=moments.append)
    best = max(moment.value for moment in moments[1:])
    assert best > moments[0].value
    assert all(np.isfinite(moment.norm) for moment in moments)


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_come_back_from_a_recipe(preset: str) -> None:
    settings = chosen(preset, {"rate": (3.0, 2.0), "jitter": 5})
    again = chosen("lucid", json.loads(json.dumps(told(settings))))
    assert again == settings


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"update": "sgd"}, "update 'sgd'.*adam"),
        ({"image": "paint"}, "image 'paint'.*waves"),
        ({"speed": 3}, "speed is no number.*rate"),
        ({"iter_n": -1}, "iter_n is -1"),
        ({"blur": -0.5}, "blur is -0.5"),
        ({"rate": float("nan")}, "rate"),
        ({"decay": 1.5}, "decay is 1.5.*0..1"),
        ({"small_norm": 101}, "small_norm is 101"),
        ({"scales": (1.2, 0.8)}, "scales"),
        ({"noise": "much"}, "noise is 'much'"),
        ({"octaves": ()}, "octaves"),
        ({"octaves": (Octave(3, (1.0, 1.0), grow=2.0),)}, "waves do not grow"),
        ({"seed": -1}, "seed is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"restarts": 0}, "nothing to climb"),
        ({"size": 0}, "size is 0"),
        ({"preset": "none"}, "preset 'none'.*lucid"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_numbers_that_make_no_sense(net: Net, numbers: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        maximize(net, "end:1", **numbers)


# One, several, restarts.


def test_one_picture_with_its_recipe(net: Net) -> None:
    picture = maximize(net, "end:1", seed=3, iter_n=2, size=(16, 19))
    assert picture.shape == (16, 19, 3)
    assert picture.min() >= 0
    assert picture.max() <= 255
    recipe = picture.recipe
    assert recipe is not None
    assert json.loads(json.dumps(recipe)) == recipe
    assert recipe["method"] == "maximize"
    parameters = recipe["parameters"]
    assert (parameters["targets"], parameters["seed"], parameters["size"]) == (
        ["end:1"],
        3,
        [16, 19],
    )
    assert picture._repr_png_()


def test_one_seed_one_picture(net: Net) -> None:
    a, b, other = (maximize(net, "end:1", seed=s, iter_n=3, size=(16, 19)) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert distance(other, a) > 1e-3


def test_a_picture_is_the_same_alone_and_among_others(net: Net) -> None:
    several = Maximization(net, ["end:1", "mixed:3"], numbers={"iter_n": 3}, restarts=2, size=20)
    moments: list[Moment] = []
    several.run(moments.append)
    for k, (target, restart) in enumerate(
        [("end:1", 0), ("end:1", 1), ("mixed:3", 0), ("mixed:3", 1)]
    ):
        alone: list[Moment] = []
        maximize(net, target, restarts=[restart], iter_n=3, size=20, on_step=alone.append)
        assert distance(moments[-1].z[k : k + 1], alone[-1].z) < 1e-9


def test_several_make_a_sheet(squeezenet: Net) -> None:
    page = maximize(squeezenet, ["goose", 968], restarts=2, **FEW)
    assert page.recipe is not None
    assert page.recipe["parameters"]["targets"] == ["class:99", "class:968"]
    assert page.recipe["parameters"]["restarts"] == [0, 1]
    assert min(page.shape[:2]) > 2 * 112


def test_captions_say_how_sure_the_maker_is(squeezenet: Net) -> None:
    work = Maximization(squeezenet, ["goose", "fire5/concat:3"], numbers={"iter_n": 1}, size=40)
    img = np.zeros((40, 40, 3), np.float32)
    captions = [work.caption(one, oneiro.Picture(img)) for one in work.aims]
    (p,) = [
        guess.confidence
        for guess in classify(squeezenet, img, squeezenet.known_preprocessing(), None)
        if guess.number == 99
    ]
    assert captions == [f"goose (99), p {p:.2f}", "fire5/concat:3"]


def test_the_best_restart_has_the_highest_objective(net: Net) -> None:
    work = Maximization(
        net, ["end:1", "mixed:3"], numbers={"iter_n": 2}, restarts=3, best=True, size=20
    )
    moments: list[Moment] = []
    work.run(moments.append)
    x = np.asarray(work.canvas.apply(moments[-1].z)[0])
    values = [
        float(image_gradient(net, x[k : k + 1], one)[0]) for k, (one, _) in enumerate(work.all)
    ]
    expected = [int(np.argmax(values[:3])), 3 + int(np.argmax(values[3:]))]
    assert work.best_of(x) == expected


def test_neurons_are_cropped_to_what_they_see(squeezenet: Net) -> None:
    picture = maximize(squeezenet, "neuron:fire3/concat:5", iter_n=2)
    assert picture.shape == (23, 23, 3)
    page = maximize(squeezenet, [f"neuron:fire3/concat:{k}" for k in range(3)], iter_n=1)
    assert page.shape[1] > 3 * 112
    corner = maximize(squeezenet, "fire3/concat:5,0,0", iter_n=1, size=64)
    assert corner.shape == (23, 23, 3)
    assert (corner[0] == 127.5).all()  # the border's


def test_a_direction_is_for_python_alone(net: Net) -> None:
    picture = maximize(net, {"mixed": direction(np.arange(20.0))}, iter_n=2, size=20)
    assert picture.recipe is not None
    assert picture.recipe["parameters"]["python"]


def test_a_dead_start_falls_back_to_noise_and_says_so(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["data", "w"], ["pre"]),
        helper.make_node("Relu", ["pre"], ["end"]),
    ]
    graph = helper.make_graph(
        nodes, "dead",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_empty_tensor_value_info("end")], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    net = net_of(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    )
    net.preprocessing = Preprocess(120.0)
    moments: list[Moment] = []
    maximize(net, "end:2", preset="simonyan", rate=1.0, size=12, iter_n=5, on_step=moments.append)
    assert "gradient at the start is zero" in caplog.text
    assert moments[0].norm == 0
    assert moments[-1].value > 10


def test_a_picture_that_hardly_moved_is_told(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    maximize(net, "mixed:3", preset="yosinski3", rate=0.0, noise=1.0, iter_n=1, size=20)
    assert "larger rate" in caplog.text


def test_it_goes_on_from_any_state(net: Net) -> None:
    work = Maximization(net, ["end:1", "mixed:3"], "deepdraw", {"iter_n": 2}, size=20)
    states: list[State] = []
    whole = work.run(lambda moment: states.append(moment.state()))
    for state in states:
        np.testing.assert_array_equal(work.run(state=state), whole)


def test_a_net_without_colours_is_climbed_as_well(net_of: Callable[..., Net]) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 1, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["data", "w"], ["end"])], "grey",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 1, None, None])],
        [helper.make_empty_tensor_value_info("end")], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    net = net_of(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    )
    net.preprocessing = Preprocess(0.0, 1 / 255, "GRAY")
    for preset in PRESETS:
        assert maximize(net, "end:1", preset=preset, iter_n=1, size=12).shape[2] == 1


@pytest.mark.emulator
@pytest.mark.parametrize("preset", ["lucid", "yosinski1", "yosinski4", "deepdraw"])
def test_it_runs_on_a_device(tmp_path: Path, preset: str) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(small.branches(), file)
    found = []
    for device in ("cpu", "emulator"):
        net = Net(file, device=device)
        net.preprocessing = Preprocess(120.0)
        found.append(
            maximize(net, ["end:1", "neuron:mixed:3"], preset=preset, iter_n=2, size=(16, 19))
        )
    assert distance(np.asarray(found[1]), np.asarray(found[0])) < 0.02  # dither of rounding


# Real effect.


def test_another_network_recognises_what_was_drawn(squeezenet: Net, tmp_path: Path) -> None:
    """A small honest piece of bench/recognition.py, which has the whole table."""
    if not GOOGLENET.exists():
        pytest.skip(f"{GOOGLENET} is absent: nobody to judge")
    judge = oneiro.load(GOOGLENET, device="cpu")
    for number in (99, 144):  # goose, pelican
        oneiro.save_image(tmp_path / "it.png", maximize(squeezenet, number, iter_n=100))
        img = oneiro.load_image(tmp_path / "it.png")
        own = classify(squeezenet, img, squeezenet.known_preprocessing(), 1)
        assert own[0].number == number
        assert own[0].confidence > 0.9
        other = classify(judge, img, judge.known_preprocessing(), 5)
        assert number in [guess.number for guess in other]
