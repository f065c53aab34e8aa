"""DeepDream beside the notebook: every octave, one step through torch, and the odd pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy import ndimage

import oneiro
from oneiro import ArgumentError, ModelError, Net, OneiroError, Picture, Preprocess, deepdream
from oneiro.ascent import objective_value
from oneiro.goal import candidates, goal
from oneiro.image import shrunk
from oneiro.importer import ModelWarning
from oneiro.methods.deepdream import Step, dream_sheet, zoom
from oneiro.transform import edge_cropped, edge_padded, moved_closer, zoomed
from oracle import notebook, small
from oracle.measure import NORMS_OF_NUMPY, distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
STORED = np.load(ROOT / "tests" / "oracle" / "vectors" / "dream.npz")
IMG = STORED["img"]  # (31, 37, 3)
CAT = ROOT / "examples" / "chelsea_cat.png"
ONCE = {"iter_n": 1, "octave_n": 1}
STILL = ONCE | {"jitter": 0}


@pytest.fixture
def branches(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess(notebook.MEAN, 1.0, "BGR")
    return net


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1")


def tiny(nodes: list[Any], channels: int | None = 3, **constants: Any) -> ModelProto:
    """A model from "data" to the last node's output, its weights given by name."""
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, channels, None, None])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [picture],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def filters(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=shape)


def one_layer(channels: int) -> ModelProto:
    conv = helper.make_node("Conv", ["data", "w"], ["pre"], pads=[1, 1, 1, 1])
    relu = helper.make_node("Relu", ["pre"], ["end"])
    return tiny([conv, relu], channels, w=filters(7, channels, 3, 3))


def even_only() -> ModelProto:
    """Two branches that agree at even sizes alone."""
    pool = helper.make_node("MaxPool", ["data"], ["a"], kernel_shape=[2, 2], strides=[2, 2])
    conv = helper.make_node("Conv", ["data", "w"], ["b"], strides=[2, 2], pads=[0, 0, 1, 1])
    join = helper.make_node("Concat", ["a", "b"], ["end"], axis=1)
    return tiny([pool, conv, join], w=filters(5, 3, 2, 2))


def dead() -> ModelProto:
    """Nothing in 0..255 gets through its rectifier."""
    conv = helper.make_node("Conv", ["data", "w", "b"], ["pre"])
    relu = helper.make_node("Relu", ["pre"], ["end"])
    return tiny([conv, relu], w=filters(4, 3, 1, 1), b=[-1e6] * 4)


def dreamt(net: Net, img: Any, **parameters: Any) -> tuple[Picture, list[Step]]:
    """The dream, and every Step on the way to it."""
    seen: list[Step] = []
    return deepdream(net, img, on_step=seen.append, **parameters), seen


def last_steps(seen: list[Step]) -> list[Step]:
    return [step for step in seen if step.iteration == step.iter_n]


def gradient(net: Net, **diffs: Callable[[NDArray[Any]], NDArray[Any]]) -> notebook.Gradient:
    """By the net's own forward and backward: each blob's diff is a function of its data."""

    def at(x: NDArray[Any], end: str) -> NDArray[Any]:
        wanted = diffs or {end: lambda data: data}
        net.forward({net.input: x}, end=wanted)
        for name, diff in wanted.items():
            net.blobs[name].diff = diff(net.blobs[name].data)
        return net.backward(start=wanted)[net.input]

    return at


def photo(side: int) -> Picture:
    return shrunk(oneiro.load_image(CAT), side)


# The notebook.


def test_every_octave_is_the_stored_one(branches: Net) -> None:
    dream, seen = dreamt(branches, IMG, end="end", **notebook.STORED)
    octaves = last_steps(seen)
    assert [step.octave for step in octaves] == [1, 2, 3]
    for k, step in enumerate(octaves):
        assert distance(notebook.deprocess(step.x[0]), STORED[f"octave{k}"]) < 1e-9
    assert distance(dream, STORED["octave2"]) < 1e-6  # pictures are float32


@pytest.mark.parametrize(
    "parameters",
    [
        {"clip": False},
        {"jitter": 0, "octave_n": 1},
        {"octave_scale": 1.9, "iter_n": 1},
        {"step_size": 0.5, "seed": 8},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "way", [(notebook.MEAN, 1.0, "BGR"), (127.5, 1 / 127.5, "RGB"), ((90.0, 80.0, 70.0), 2, "RGB")]
)
def test_every_octave_is_the_notebook_s(
    branches: Net, way: tuple[Any, float, notebook.Order], parameters: dict[str, Any]
) -> None:
    mean, scale, order = way
    branches.preprocessing = Preprocess(mean, scale, order)
    asked = notebook.STORED | parameters
    _, seen = dreamt(branches, IMG, end="end", **asked)
    expected = notebook.octaves(
        IMG, gradient(branches), "end", mean=mean, scale=scale, order=order, **asked
    )
    for step, octave in zip(last_steps(seen), expected, strict=True):
        assert distance(notebook.deprocess(step.x[0], mean, scale, order), octave) < 1e-9


def test_one_step_of_the_embedded_network_is_torch_s() -> None:
    pytest.importorskip("torch", reason="the walker computes with torch")
    from oracle import walker

    net = oneiro.load("squeezenet1.1", dtype=np.float64)
    model = onnx.load(ROOT / "models" / "squeezenet1.1.onnx")
    img = photo(96)
    _, seen = dreamt(net, img, end="fire7/concat", step_size=1.5, smooth=0.0, seed=1, **ONCE)
    expected = notebook.make_step(
        notebook.preprocess(img),
        lambda x, end: walker.gradient(model, x, end),
        "fire7/concat",
        np.random.RandomState(1),
    )
    assert distance(seen[-1].x[0], expected) < 1e-9


def test_make_step_moves_the_picture_in_the_net(branches: Net) -> None:
    """Twice, by NumPy's global generator, which the notebook uses."""
    expected = notebook.preprocess(IMG)
    moved = expected[None]
    np.random.seed(5)  # noqa: NPY002
    random = np.random.RandomState(5)
    for _ in range(2):
        branches.blobs["data"].data = moved  # the notebook's gradient below uses the net too
        value = oneiro.make_step(branches, end="end", step_size=2.5, jitter=7)
        moved = branches.blobs["data"].data
        after = branches.forward(end="end")["end"]
        assert 0 < value < 0.5 * (after**2).sum()
        expected = notebook.make_step(
            expected, gradient(branches), "end", random, step_size=2.5, jitter=7
        )
    assert distance(moved[0], expected) < 1e-9


def test_without_clip_the_contrast_is_the_notebook_s(branches: Net) -> None:
    asked = notebook.STORED | {"clip": False, "step_size": 60.0}
    dream = deepdream(branches, IMG, end="end", **asked)
    expected = notebook.deepdream(IMG, gradient(branches), "end", **asked)
    assert expected.max() > 300
    assert distance(dream, notebook.contrast(expected)) < 1e-6


def test_a_guide_pulls_each_place_to_its_best_match(branches: Net) -> None:
    guide_img = np.random.default_rng(1).uniform(0, 255, (23, 19, 3))
    _, seen = dreamt(branches, IMG, end="mixed", guide_img=guide_img, **ONCE)
    guide = branches.forward({"data": branches.preprocess(guide_img)}, end="mixed")["mixed"]
    expected = notebook.make_step(
        notebook.preprocess(IMG),
        gradient(branches, mixed=lambda data: notebook.guide_diff(data, guide)),
        "mixed",
        np.random.RandomState(0),
        jitter=30,  # as far as a picture of 31 rows goes
    )
    assert distance(seen[-1].x[0], expected) < 1e-9


# What is climbed, and how.


def hot(*place: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A diff of ones at a place of a blob of one picture."""

    def diff(data: NDArray[Any]) -> NDArray[Any]:
        one = np.zeros_like(data)
        one[(0, *place)] = 1
        return one

    return diff


@pytest.mark.parametrize(
    ("end", "diffs"),
    [
        ("mixed", {"mixed": lambda data: data}),
        (["mixed=2", "stem=-0.5"], {"mixed": lambda a: 2 * a, "stem": lambda a: -0.5 * a}),
        (["mixed=2", "mixed=0.5"], {"mixed": lambda data: 2.5 * data}),
        ("mixed:3", {"mixed": hot(3)}),
        ("mixed:3,2,5", {"mixed": hot(3, 2, 5)}),
        (
            ["mixed:3", "mixed:4=0.5", "end"],
            {"mixed": lambda a: hot(3)(a) + 0.5 * hot(4)(a), "end": lambda data: data},
        ),
    ],
    ids=["blob", "blobs", "twice", "channel", "neuron", "mixed"],
)
def test_ends_are_climbed_by_the_weighted_sum_of_their_gradients(
    branches: Net, end: Any, diffs: dict[str, Any]
) -> None:
    _, seen = dreamt(branches, IMG, end=end, **STILL)
    expected = notebook.make_step(
        notebook.preprocess(IMG), gradient(branches, **diffs), "", np.random.RandomState(), jitter=0
    )
    assert distance(seen[-1].x[0], expected) < 1e-9


def test_an_objective_of_ones_own(branches: Net) -> None:
    def cubes(data: Any) -> tuple[Any, Any]:
        return (data * data * data).sum() / 3, data * data

    dream, seen = dreamt(branches, IMG, end="mixed", objective=cubes, **STILL)
    expected = notebook.make_step(
        notebook.preprocess(IMG),
        gradient(branches, mixed=lambda data: data**2),
        "",
        np.random.RandomState(),
        jitter=0,
    )
    assert distance(seen[-1].x[0], expected) < 1e-9
    assert dream.recipe
    assert dream.recipe["parameters"]["objective"] == "cubes"


@pytest.mark.parametrize("smooth", [0.0, 1.5])
@pytest.mark.parametrize(("norm", "size"), NORMS_OF_NUMPY.items())
def test_norms_and_smoothing(
    branches: Net, norm: str, size: Callable[[Any], Any], smooth: float
) -> None:
    asked = {"norm": norm, "smooth": smooth, "step_size": 300.0, "clip": False}
    _, seen = dreamt(branches, IMG, end="end", **asked, **STILL)
    x = branches.preprocess(IMG)
    g = gradient(branches)(x, "end")
    g = ndimage.gaussian_filter(g, (0, 0, smooth, smooth), mode="wrap")
    assert distance(seen[-1].x - x, 300 / size(g.ravel()) * g) < 1e-9


@pytest.mark.parametrize("end", [None, ["fire5/concat=3", "fire7/concat:12"]], ids=str)
def test_the_objective_rises_in_every_octave(squeezenet: Net, end: Any) -> None:
    dream, seen = dreamt(squeezenet, photo(150), end=end, octave_n=3)
    assert dream.recipe
    climbed = goal(squeezenet, dream.recipe["parameters"]["end"])
    starts = [step for step in seen if step.iteration == 0]
    assert [step.octave for step in starts] == [1, 2, 3]
    for start, stop in zip(starts, last_steps(seen), strict=True):
        before = objective_value(squeezenet, start.x, climbed)
        assert objective_value(squeezenet, stop.x, climbed) > 1.1 * before


def test_a_gradient_of_zero_makes_no_step_and_one_message(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    net = net_of(dead())
    net.preprocessing = Preprocess(100.0)
    with np.errstate(all="raise"):
        dream = deepdream(net, IMG, end="end", octave_n=3, iter_n=5)
    np.testing.assert_allclose(dream, IMG, atol=1e-4)
    assert len(caplog.records) == 1
    assert "zero" in caplog.text


def test_a_gradient_of_zero_in_one_place_does_not_end_the_octave(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    # The neuron looks at another place in each step, and is silent in about half of them.
    net = net_of(one_layer(3), np.float64)
    net.preprocessing = Preprocess(notebook.MEAN, order="BGR")
    asked = {"iter_n": 12, "octave_n": 1, "jitter": 9}
    _, seen = dreamt(net, IMG, end="end:2,5,4", **asked)
    expected = notebook.octaves(IMG, gradient(net, end=hot(2, 5, 4)), "end", **asked)
    assert seen[-1].iteration == 12
    assert distance(notebook.deprocess(seen[-1].x[0]), next(expected)) < 1e-9
    assert len(caplog.records) == 1


# Steps, as they are told.


def test_steps_tell_where_the_dream_is(branches: Net) -> None:
    dream, seen = dreamt(branches, IMG, end="end", octave_n=3, iter_n=2)
    assert [(s.octave, s.iteration) for s in seen] == [(o, i) for o in (1, 2, 3) for i in (0, 1, 2)]
    assert {(s.octave_n, s.iter_n) for s in seen} == {(3, 2)}
    done = [step.done for step in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, pytest.approx(1))
    assert all(np.isnan(s.value) == (s.iteration == 0) for s in seen)
    assert all(step.picture().shape == IMG.shape for step in seen)
    np.testing.assert_allclose(seen[0].picture(), IMG, atol=1e-4)
    np.testing.assert_array_equal(seen[-1].picture(), dream)


def test_a_step_s_picture_is_the_whole_photo_with_the_detail_so_far(branches: Net) -> None:
    _, seen = dreamt(branches, IMG, end="end", octave_n=2, iter_n=1, step_size=20.0)
    before, after = seen[:2]
    detail = zoomed(after.x - before.x, *IMG.shape[:2])
    whole = np.clip(notebook.deprocess(branches.preprocess(IMG)[0] + detail[0]), 0, 255)
    assert distance(after.picture(), whole) < 1e-6


# Pictures of every kind.


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 40), (40, 1), (2, 3), (9, 70), (33, 47), (64, 64)], ids=str
)
def test_a_picture_of_any_size_keeps_it(squeezenet: Net, size: tuple[int, int]) -> None:
    img = np.random.default_rng(0).uniform(0, 255, (*size, 3)).astype(np.float32)
    dream = deepdream(squeezenet, img, iter_n=2)
    assert dream.shape == img.shape
    assert dream.dtype == np.float32
    assert np.isfinite(dream).all()
    assert 0 <= dream.min() <= dream.max() <= 255
    assert np.abs(dream - img).max() > 0.5


def test_jitter_larger_than_the_picture(branches: Net) -> None:
    dream = deepdream(branches, IMG, end="end", jitter=10_000, **ONCE)
    assert dream.shape == IMG.shape
    assert 0 < np.abs(dream - IMG).mean() < 10


def test_a_size_that_the_end_refuses_is_padded_and_cropped_back_and_said(
    net_of: Callable[..., Net], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    net = net_of(even_only(), np.float64)
    net.preprocessing = Preprocess(notebook.MEAN, order="BGR")
    img = IMG[:7, :11]
    dream, seen = dreamt(net, img, end="end", **STILL)
    x = edge_padded(net.preprocess(img), 8, 12)
    stepped = notebook.make_step(x[0], gradient(net), "end", np.random.RandomState(), jitter=0)
    assert dream.shape == img.shape
    assert distance(seen[-1].x, edge_cropped(stepped[None], 7, 11)) < 1e-9
    (said,) = caplog.messages
    assert "11x7" in said
    assert "12x8" in said


def test_a_guide_of_a_size_that_the_end_refuses(net_of: Callable[..., Net]) -> None:
    net = net_of(even_only())
    net.preprocessing = Preprocess(notebook.MEAN, order="BGR")
    dream = deepdream(net, IMG[:8, :12], end="end", guide_img=IMG[:7, :5], **ONCE)
    assert dream.shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("channels", "order"), [(1, "GRAY"), (1, "ANY"), (2, "ANY"), (4, "RGB"), (4, "BGR"), (5, "ANY")]
)
def test_networks_of_other_channels(net_of: Callable[..., Net], channels: int, order: str) -> None:
    net = net_of(one_layer(channels))
    net.preprocessing = Preprocess(120.0, 0.1, order)
    img = np.random.default_rng(0).uniform(0, 255, (21, 26, channels))
    dream = deepdream(net, img, end="end", iter_n=1, octave_n=2)
    assert dream.shape == img.shape
    assert 0.5 < np.abs(dream - img).mean() < 20


@pytest.mark.parametrize("shape", [(21, 26), (21, 26, 1), (21, 26, 3)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_for_colour_and_colour_for_grey(
    net_of: Callable[..., Net], channels: int, shape: tuple[int, ...]
) -> None:
    net = net_of(one_layer(channels))
    net.preprocessing = Preprocess(120.0)
    img = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert deepdream(net, img, end="end", **ONCE).shape == (21, 26, channels)


def test_alpha_is_kept(branches: Net) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, IMG.shape[:2], np.uint8)
    dream, seen = dreamt(branches, Picture(IMG, alpha=alpha), end="end", **ONCE)
    np.testing.assert_array_equal(dream.alpha, alpha)
    np.testing.assert_array_equal(seen[-1].picture().alpha, alpha)


def test_the_photo_stays_as_it_was(branches: Net) -> None:
    img = Picture(IMG)
    deepdream(branches, img, end="end", **ONCE)
    np.testing.assert_array_equal(img, IMG)


# One seed, one picture.


def test_the_seed_decides_every_bit(squeezenet: Net) -> None:
    img = photo(80)
    first, again, other = (deepdream(squeezenet, img, iter_n=2, seed=seed) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert first.recipe == again.recipe


def test_the_recipe_is_enough_to_dream_again(squeezenet: Net) -> None:
    img = photo(80)
    dream = deepdream(squeezenet, img, iter_n=2, end="fire5/concat=0.5", norm="l2", seed=4)
    assert dream.recipe
    recipe = json.loads(json.dumps(dream.recipe))
    assert recipe["method"] == "deepdream"
    again = deepdream(squeezenet, img, **recipe["parameters"])
    assert again.tobytes() == dream.tobytes()
    assert again.recipe == dream.recipe == recipe


def test_the_recipe_names_every_parameter_but_no_path(
    net_of: Callable[..., Net], tmp_path: Path
) -> None:
    net = net_of(one_layer(3))
    net.preprocessing = Preprocess(120.0)
    dream = deepdream(net, IMG, guide_img=IMG[:9], **ONCE)
    assert dream.recipe
    assert set(dream.recipe["parameters"]) == {
        "end", "iter_n", "octave_n", "octave_scale", "step_size", "jitter", "clip", "norm",
        "smooth", "seed",
    }  # fmt: skip
    assert set(dream.recipe["pictures"]) == {"photo", "guide"}
    assert dream.recipe["model"]["sha256"] == net.model.sha256
    assert str(tmp_path) not in json.dumps(dream.recipe)


def test_a_seed_from_numpy_is_a_number_of_the_recipe(branches: Net, tmp_path: Path) -> None:
    seed, step_size = np.int64(3), np.float32(2)
    dream = deepdream(branches, IMG, end="end", seed=seed, step_size=step_size, **ONCE)
    oneiro.save_image(tmp_path / "dream.png", dream)
    assert oneiro.load_recipe(tmp_path / "dream.png")["parameters"]["seed"] == 3


# A network that nobody has tried yet.


def test_a_network_without_favourites_climbs_a_candidate_and_says_which(
    branches: Net, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    dream = deepdream(branches, IMG, iter_n=1)
    assert dream.recipe
    (end,) = dream.recipe["parameters"]["end"]
    assert end in candidates(branches)
    assert end in caplog.text


def test_favourites_stand_where_nothing_is_given(branches: Net) -> None:
    branches.favourites = {"end": ("stem=2", "mixed"), "iter_n": 1, "octave_n": 2, "step_size": 7.0}
    dream = deepdream(branches, IMG, octave_n=1)
    assert dream.recipe
    chosen = dream.recipe["parameters"]
    assert list(chosen["end"]) == ["stem=2", "mixed"]
    assert (chosen["iter_n"], chosen["octave_n"], chosen["step_size"]) == (1, 1, 7.0)
    assert branches.favourites["end"] == ("stem=2", "mixed")


# Movies and sheets.


def test_zoom_yields_frames_each_dreamt_from_the_one_before_seen_closer(branches: Net) -> None:
    asked = {"end": "end", **ONCE}
    first, second = zoom(branches, IMG, frame_n=2, zoom_scale=0.1, seed=7, **asked)
    expected = deepdream(branches, IMG, seed=7, **asked)
    np.testing.assert_array_equal(first, expected)
    closer = moved_closer(np.asarray(expected), 0.1)
    np.testing.assert_array_equal(second, deepdream(branches, closer, seed=8, **asked))
    assert first.shape == second.shape == IMG.shape


@pytest.mark.parametrize("shape", [(31, 37, 3), (31, 37)], ids=str)
def test_a_sheet_shows_every_candidate(branches: Net, shape: tuple[int, ...]) -> None:
    told: list[tuple[int, int, str]] = []
    img = np.resize(IMG, shape)
    sheet = dream_sheet(branches, img, on_layer=lambda *where: told.append(where), side=20, **ONCE)
    names = candidates(branches)
    assert told == [(k, len(names), name) for k, name in enumerate(names)]
    assert sheet.shape[0] * sheet.shape[1] > len(names) * 17 * 20
    assert sheet.shape[2] == 3
    assert sheet.recipe


# Wrong calls.


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"iter_n": -1}, "iter_n"),
        ({"iter_n": 1.5}, "iter_n"),
        ({"octave_n": 0}, "octave_n"),
        ({"octave_n": 2.5}, "octave_n"),
        ({"octave_scale": 1.0}, "octave_scale"),
        ({"octave_scale": float("nan")}, "octave_scale"),
        ({"octave_scale": float("nan"), "octave_n": None}, "octave_scale"),
        ({"octave_scale": float("inf")}, "octave_scale"),
        ({"step_size": float("nan")}, "step_size"),
        ({"step_size": float("inf")}, "step_size"),
        ({"jitter": -1}, "jitter"),
        ({"jitter": 1.5}, "jitter"),
        ({"smooth": -0.5}, "smooth"),
        ({"smooth": float("nan")}, "smooth"),
        ({"norm": "max"}, "norm .*max"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": "three"}, "seed"),
        ({"end": "mixd"}, "mixd.*mixed"),
        ({"end": "mixed:20"}, "20.*mixed|mixed.*20"),
        ({"end": "mixed:-1"}, "-1.*mixed|mixed.*-1"),
        ({"end": "mixed:1,900,2"}, "900.*mixed|mixed.*900"),
        ({"end": "mixed:1,2"}, "1,2.*mixed"),
        ({"end": "mixed=heavy"}, "heavy"),
        ({"end": "mixed=nan"}, "nan"),
        ({"end": "mixed=inf"}, "inf"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_in_one_line(
    branches: Net, wrong: dict[str, Any], named: str
) -> None:
    asked = {"end": "mixed", "jitter": 1} | ONCE | wrong
    with pytest.raises(ArgumentError, match=named) as caught:
        deepdream(branches, IMG, **asked)
    assert "\n" not in str(caught.value)


def test_a_guide_for_one_channel_is_refused(branches: Net) -> None:
    with pytest.raises(ArgumentError, match="guide"):
        deepdream(branches, IMG, end="mixed:3", guide_img=IMG, **ONCE)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"frame_n": -1}, "frame_n"), ({"zoom_scale": 1.0}, "zoom_scale"), ({"seed": -3}, "seed")],
    ids=str,
)
def test_a_wrong_zoom_is_named_in_one_line(
    branches: Net, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(ArgumentError, match=named):
        list(zoom(branches, IMG, **{"end": "end", "frame_n": 2, **ONCE, **wrong}))


@pytest.mark.parametrize(("wrong", "named"), [({"side": 0}, "side"), ({"end": "end"}, "end")])
def test_a_wrong_sheet_is_named_in_one_line(
    branches: Net, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(ArgumentError, match=named):
        dream_sheet(branches, IMG, **{"side": 20, **ONCE, **wrong})


@pytest.mark.parametrize(
    ("img", "said"),
    [
        (np.zeros((5, 7, 4)), "4 channels"),
        (np.zeros((5, 0, 3)), "no picture"),
        (np.zeros(5), "no picture"),
        (np.full((5, 7, 3), np.nan), "finite"),
        (np.full((5, 7, 3), "a"), "real numbers"),
    ],
    ids=["channels", "empty", "vector", "nan", "text"],
)
@pytest.mark.parametrize("role", ["photo", "guide"])
def test_what_is_no_picture_is_refused(branches: Net, img: Any, said: str, role: str) -> None:
    base, guide_img = (img, None) if role == "photo" else (IMG, img)
    with pytest.raises(OneiroError, match=said):
        deepdream(branches, base, end="end", guide_img=guide_img, **ONCE)


def test_a_network_whose_preprocessing_is_unknown_says_what_to_give(
    net_of: Callable[..., Net],
) -> None:
    with pytest.raises(ArgumentError, match="mean, scale and order"):
        deepdream(net_of(one_layer(3)), IMG)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("a = Relu (x) b = Mul (a, k) y = Add (b, x)", ": 'b' is the first blob that is not"),
        ("a = Max (x, k) b = Sub (x, a) y = Relu (b)", ": 'a' is the first blob that is not"),
    ],
)
def test_a_gradient_that_is_not_finite_stops_the_dream(
    net_of: Callable[..., Net], nodes: str, said: str
) -> None:
    with pytest.warns(ModelWarning, match="'k' holds values that are not finite"):
        net = net_of(network(nodes, k=np.float32([[np.nan]])))
    net.preprocessing = Preprocess(mean=128)
    with pytest.raises(ModelError, match=f"model: the gradient is not finite{said}"):
        deepdream(net, IMG, end="y", octave_n=1, iter_n=2)
