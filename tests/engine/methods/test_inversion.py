"""Inversion beside its papers' loops, on nets whose answer is known, and on real ones."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import oneiro
from oneiro import (
    ArgumentError,
    ModelError,
    Net,
    Picture,
    Plan,
    Preprocess,
    export_program,
    invert,
    invert_sheet,
)
from oneiro.canvas import waves
from oneiro.climb import Moment, climb_program
from oneiro.image import shrunk
from oneiro.methods.inversion import PRESETS, VARIANCE, Inversion, depth, jitter, mask, units
from oneiro.state import load_state, save_state
from oracle import small
from oracle.light import light
from oracle.measure import distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
GOOGLENET = ROOT.parent / "shared" / "models" / "googlenet.onnx"
CAT = ROOT / "examples" / "chelsea_cat.png"
MEAN = np.array([104.0, 117.0, 123.0]).reshape(1, 3, 1, 1)
MIX = np.array([[0.8, 0.3, -0.2], [-0.1, 0.9, 0.4], [0.3, -0.5, 0.7]])  # invertible
FREE = {"variation": 0.0, "decay": 0.0}


def normal(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape)


def colours(h: int = 11, w: int = 14, channels: int = 3) -> Picture:
    """A smooth picture of strong colours."""
    noise = ndimage.gaussian_filter(normal(h, w, channels), (2, 2, 0), mode="wrap")
    return Picture(127.5 + 60 * noise / np.abs(noise).max())


@pytest.fixture
def branches(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess((104.0, 117.0, 123.0), 1.0, "BGR")
    return net


@pytest.fixture
def strided(net_of: Callable[..., Net]) -> Net:
    """A rectified convolution of stride 8: the picture has two places each way."""
    text = "p = Conv <strides = [8, 8], kernel_shape = [9, 9], pads = [4, 4, 4, 4]> (x, w)"
    model = network(f"{text} y = Relu (p)", w=normal(7, 3, 9, 9).astype(np.float32) / 100)
    net = net_of(model, np.float64)
    net.preprocessing = Preprocess((104.0, 117.0, 123.0))
    return net


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1")


def photo(side: int) -> Picture:
    return shrunk(oneiro.load_image(CAT), side)


def watched(net: Net, img: Any, **numbers: Any) -> tuple[Picture, list[Moment]]:
    seen: list[Moment] = []
    return invert(net, img, on_step=seen.append, **numbers), seen


def errors(picture: Picture) -> list[float]:
    assert picture.recipe
    return picture.recipe["found"]["errors"]


# The papers' loops, written down once more.


def data_slope(net: Net, end: str, x: Any, features: Any) -> tuple[float, Any]:
    """|Phi(x) - Phi0|^2 / |Phi0|^2 and its slope, by the net's own backward."""
    size = (features**2).sum()
    apart = net.forward({net.input: x}, end=end)[end] - features
    net.blobs[end].diff = 2 * apart / size
    return (apart**2).sum() / size, net.backward(start=end)[net.input]


def variation_slope(x: Any) -> tuple[float, Any]:
    """The sum of squared differences, and its slope."""
    rows, columns = np.diff(x, axis=2), np.diff(x, axis=3)
    slope = np.zeros_like(x)
    slope[:, :, 1:] += 2 * rows
    slope[:, :, :-1] -= 2 * rows
    slope[:, :, :, 1:] += 2 * columns
    slope[:, :, :, :-1] -= 2 * columns
    return (rows**2).sum() + (columns**2).sum(), slope


def test_the_default_is_nnpreimage_s(strided: Net) -> None:
    img = colours(17, 23)
    features = strided.forward({"x": strided.preprocess(img)}, end="y")["y"].copy()
    h, w, pixels = 17, 23, 17 * 23
    job = Inversion(strided, img, end="y", iter_n=14, seed=5)
    seen: list[Moment] = []
    job.run(seen.append)
    strength = 300 ** (1 - depth(strided, "y"))

    random = np.random.default_rng(5)
    x = random.uniform(-1, 1, (1, 3, h + 1, w + 1))
    x = x / np.quantile(x, 0.95) * 80 / np.sqrt(3)
    for phase, (count, rate) in enumerate([(12, 1.0), (2, 0.1)]):
        if phase:
            x = x[:, :, :h, :w]
        rate *= pixels * 0.05 * 80**2 / 6
        momentum, squares = np.zeros_like(x), np.zeros_like(x)
        for _ in range(count):
            down, across = random.integers(0, [2, 2]) if phase == 0 else (0, 0)
            g = np.zeros_like(x)
            crop = (..., slice(down, down + h), slice(across, across + w))
            value, g[crop] = data_slope(strided, "y", x[crop], features)
            value, g = strength * value, strength * g
            rough, slope = variation_slope(x)
            value, g = (
                value + (6.5 / 80) ** 2 * rough / pixels,
                g + (6.5 / 80) ** 2 * slope / pixels,
            )
            n = (x**2).sum(1, keepdims=True)
            value, g = value + (n**3).sum() / 80**6 / pixels, g + 6 * x * n**2 / 80**6 / pixels
            squares = 0.9 * squares + g**2
            momentum = 0.9 * momentum - g / (1 / rate + np.sqrt(squares))
            x = x + momentum
            x = x * np.minimum(160 / np.sqrt((x**2).sum(1, keepdims=True)), 1)
            moment = seen.pop(0)
            assert moment.value == pytest.approx(-value)
            np.testing.assert_allclose(moment.z, x, atol=1e-8)
    assert not seen


def test_the_conference_s_form_is_deep_goggle_s(branches: Net) -> None:
    img = colours()
    features = branches.forward({"data": branches.preprocess(img)}, end="mixed")["mixed"].copy()
    job = Inversion(branches, img, end="mixed", preset="cvpr2015", iter_n=8, seed=5)
    seen: list[Moment] = []
    job.run(seen.append)
    weight = 10 ** np.searchsorted([0.3, 0.6], depth(branches, "mixed"), side="right")
    sigma2 = VARIANCE * 11 * 14  # of 227 px 27098.1157 ** 2

    x = np.random.default_rng(5).standard_normal((1, 3, 11, 14)) * np.sqrt(VARIANCE / 3)
    for count, rate in ((2, 0.004), (4, 0.0004), (2, 0.00004)):
        momentum = np.zeros_like(x)
        for _ in range(count):
            value, g = data_slope(branches, "mixed", x, features)
            rough, slope = variation_slope(x)
            priors = weight / 2 * rough + 8e-10 / 2 * (x**6).sum()
            dr = weight / 2 * slope + 8e-10 / 2 * 6 * x**5
            momentum = 0.9 * momentum - rate * dr - rate * sigma2 * g
            x = x + momentum
            moment = seen.pop(0)
            assert moment.value == pytest.approx(-value - priors / sigma2)
            np.testing.assert_allclose(moment.z, x, atol=1e-8)
    assert not seen


def test_the_course_s_form_descends_and_blurs(branches: Net) -> None:
    img = colours()
    features = branches.forward({"data": branches.preprocess(img)}, end="mixed")["mixed"].copy()
    given = {"preset": "cs231n", "iter_n": 21, "rate": 20.0, "seed": 5}
    _, seen = watched(branches, img, end="mixed", **given)
    x = np.random.default_rng(5).standard_normal((1, 3, 11, 14))
    for k, moment in enumerate(seen, 1):
        value, g = data_slope(branches, "mixed", x, features)
        assert moment.value == pytest.approx(-value - 1e-7 * (x**2).sum() / (11 * 14))
        x = x - 20.0 * (11 * 14 * g + 1e-7 * 2 * x)
        if k % 10 == 0:
            x = ndimage.gaussian_filter(x, (0, 0, 0.5, 0.5), mode="wrap")
        np.testing.assert_allclose(moment.z, x, atol=1e-8)


def test_lucid_s_waves_are_climbed_by_adam(branches: Net) -> None:
    img = colours()
    features = branches.forward({"data": branches.preprocess(img)}, end="mixed")["mixed"].copy()
    _, seen = watched(branches, img, end="mixed", preset="lucid", iter_n=7, seed=5)
    strength = 300 ** (1 - depth(branches, "mixed"))
    canvas = waves(branches, 11, 14)
    z = 0.01 * np.random.default_rng(5).standard_normal((1, 3, 11, 14))
    first, second = np.zeros_like(z), np.zeros_like(z)
    for k, (moment, rate) in enumerate(zip(seen, [0.05] * 6 + [0.005], strict=True), 1):
        x, back = canvas.apply(z)
        value, g = data_slope(branches, "mixed", x, features)
        g = strength * back(g)
        assert moment.value == pytest.approx(-strength * value)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        z = z - rate * (first / (1 - 0.9**k)) / (np.sqrt(second / (1 - 0.999**k)) + 1e-8)
        np.testing.assert_allclose(moment.z, z, atol=1e-8)


# Nets whose answer is known.


@pytest.mark.parametrize("preset", PRESETS)
def test_an_invertible_linear_net_gives_the_picture_back(
    net_of: Callable[..., Net], preset: str
) -> None:
    filters = np.kron(MIX, np.array([[1, 0.5], [-0.5, 1]]).reshape(4, 1)).reshape(12, 3, 1, 1)
    net = net_of(network("y = Conv (x, w)", w=filters.astype(np.float32)))
    net.preprocessing = Preprocess((104.0, 117.0, 123.0))
    img = colours()
    given = {
        "ijcv2016": {},
        "cvpr2015": {"rate": 500.0},
        "cs231n": {"rate": 1000.0, "iter_n": 3000, "blur": 0.0},
        "lucid": {},
    }
    found = invert(net, img, end="y", preset=preset, strength=1.0, **FREE, **given[preset])
    assert np.abs(found - img).max() < 1
    assert errors(found)[0] < 1e-4


def test_priors_smooth_what_the_code_does_not_know(net_of: Callable[..., Net]) -> None:
    model = network("y = AveragePool <kernel_shape = [4, 4], strides = [4, 4]> (x)")
    net = net_of(model)
    net.preprocessing = Preprocess(127.5)
    img = colours(24, 32)
    rough = invert(net, img, end="y", strength=100.0, **FREE)
    smooth = invert(net, img, end="y", strength=100.0)
    assert errors(smooth)[0] < 0.02
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.5 * np.abs(np.diff(rough, axis=0)).mean()
    assert np.abs(smooth - img).mean() < 0.5 * np.abs(rough - img).mean()


def test_pixels_are_held_to_a_length(branches: Net) -> None:
    _, seen = watched(branches, colours(), end="mixed", iter_n=5, bound=30.0, seed=1)
    for moment in seen:
        assert np.sqrt((moment.z**2).sum(1)).max() <= 30.0001


# However pictures are fed.


@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
@pytest.mark.parametrize(
    "way", [Preprocess(127.5, 1 / 127.5), Preprocess(0.0, 1 / 255), Preprocess(255.0, -2.0)]
)
def test_a_net_that_is_fed_otherwise_is_inverted_alike(
    net_of: Callable[..., Net], way: Preprocess, preset: str
) -> None:
    filters, bias = normal(7, 3, 3, 3) / 10, normal(7)
    text = "p = Conv <pads = [1, 1, 1, 1]> (x, w, b) y = Relu (p)"

    def inverted(way: Preprocess) -> Picture:
        # for v = 127.5 + d both see d: the border, which is zero in their units, is cut off
        assert isinstance(way.mean, float)
        assert isinstance(way.scale, float)
        inside = text.replace("pads = [1, 1, 1, 1]", "kernel_shape = [3, 3]")
        zero = bias - (127.5 - way.mean) * filters.sum((1, 2, 3))
        net = net_of(network(inside, w=filters / way.scale, b=zero), np.float64)
        net.preprocessing = way
        # by the picture's own smoothness too, which no net's units may change
        return invert(net, colours(), end="y", iter_n=20, preset=preset, variation=0.005)

    np.testing.assert_allclose(inverted(way), inverted(Preprocess(127.5)), atol=1e-3)


def test_one_grey_channel_is_as_long_as_three(net_of: Callable[..., Net]) -> None:
    filters = normal(7, 1, 3, 3).astype(np.float32) / 10
    text = "y = Conv <kernel_shape = [3, 3]> (x, w)"
    net = net_of(network(text, declared=("n", 1, "h", "w"), w=filters))
    net.preprocessing = Preprocess(127.5, 0.5, "GRAY")
    x, _ = units(net).apply(np.full((1, 1, 2, 2), 80 * 3**0.5, np.float32))
    np.testing.assert_allclose(net.deprocess(x), 127.5 + 80, rtol=1e-5)
    img = colours(channels=1)
    for preset in ("ijcv2016", "lucid"):
        found = invert(net, img, end="y", strength=300.0, preset=preset)
        assert found.shape == img.shape
        assert errors(found)[0] < 0.05


def test_a_net_of_one_size_gives_that_size(net_of: Callable[..., Net]) -> None:
    shape = {"s": np.array([0, 3 * 11 * 14]), "w": normal(3 * 11 * 14, 5).astype(np.float32) / 100}
    model = network(
        "f = Reshape (x, s) p = MatMul (f, w) y = Relu (p)", declared=("n", 3, 11, 14), **shape
    )
    net = net_of(model)
    net.preprocessing = Preprocess(127.5)
    found = invert(net, colours(31, 37), end="p")
    assert found.shape == (11, 14, 3)
    assert errors(found)[0] < 0.05


def test_a_picture_too_small_is_padded_and_cropped(net_of: Callable[..., Net]) -> None:
    filters = normal(7, 3, 9, 9).astype(np.float32) / 10
    net = net_of(network("y = Conv <kernel_shape = [9, 9]> (x, w)", w=filters))
    net.preprocessing = Preprocess(127.5)
    assert invert(net, colours(5, 7), end="y", iter_n=3).shape == (5, 7, 3)


@pytest.mark.emulator
@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
def test_a_device_inverts_alike(tmp_path: Path, preset: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(small.branches().SerializeToString())
    found = []
    for device in ("cpu", "emulator"):
        net = Net(path, device)
        net.preprocessing = Preprocess(120.0, 0.01)
        given = {"restarts": 2, "channels": "first", "neighbourhood": 3, "preset": preset}
        found.append(watched(net, colours(), end="mixed", iter_n=4, **given)[1][-1].z)
    assert distance(np.asarray(found[1]), found[0]) < 1e-3


@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
def test_the_gradient_of_an_inversion_exports(net_of: Callable[..., Net], preset: str) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="it judges what was exported")
    net = net_of(small.branches())
    net.preprocessing = Preprocess(120.0, 0.01)
    job = Inversion(net, colours(), end="mixed", channels="second", preset=preset, variation=0.01)
    program = climb_program({"mixed": job.objective()}, job.canvas, (units(net),), job.prior())
    z = job.noise(np.random.default_rng(0))
    expected = Plan(net, program, z=(np.float32, z.shape))(z=z)
    model = export_program(net, program, z=(np.float32, z.shape))
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    value, g = session.run(["value", "g"], {"z": z})
    assert value == pytest.approx(expected["value"], rel=1e-5)
    assert distance(g, expected["g"]) < 1e-4


# Parts of a code, and several pictures.


def test_masks_by_hand() -> None:
    features = normal(1, 5, 6, 9)
    assert mask(features, None, None).all()
    first, second = (mask(features, half, None)[0, :, 0, 0] for half in ("first", "second"))
    assert first.tolist() == [1, 1, 1, 0, 0]
    assert second.tolist() == [0, 0, 1, 1, 1]
    assert mask(features, [3, 0], None)[0, :, 2, 2].tolist() == [1, 0, 0, 1, 0]
    places = mask(features, None, 3)[0, 4]
    assert np.argwhere(places).min(0).tolist() == [1, 3]
    assert np.argwhere(places).max(0).tolist() == [3, 5]
    assert places.sum() == 9
    assert mask(features, None, 99).all()
    assert mask(features, [1], 2).sum() == 4
    assert mask(normal(1, 5), "first", None)[0].tolist() == [1, 1, 1, 0, 0]


def test_only_what_is_looked_at_moves_the_picture(branches: Net) -> None:
    img = colours()
    found, seen = watched(branches, img, end="mixed", channels=[2], iter_n=3, **FREE)
    features = branches.forward({"data": branches.preprocess(img)}, end="mixed")["mixed"][0, 2]
    data = branches.forward({"data": branches.preprocess(found)}, end="mixed")["mixed"][0, 2]
    expected = ((data - features) ** 2).sum() / (features**2).sum()
    assert errors(found)[0] == pytest.approx(expected, rel=1e-3)
    assert found.recipe["parameters"]["channels"] == [2]
    assert seen[0].norm > 0


def test_a_neighbourhood_leaves_the_rest_alone(squeezenet: Net) -> None:
    img = photo(64)
    job = Inversion(squeezenet, img, end="fire2/concat", neighbourhood=1, iter_n=1, **FREE)
    seen: list[Moment] = []
    job.run(seen.append)
    moved = np.abs(seen[0].z - job.noise(np.random.default_rng(0)))[0].max(0) > 1e-3
    places = np.argwhere(moved)
    assert 0 < len(places) <= 15 * 15  # the receptive field
    assert np.ptp(places, axis=0).max() < 15


@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
def test_restarts_stand_side_by_side(branches: Net, preset: str) -> None:
    img, given = colours(), {"end": "mixed", "iter_n": 12, "seed": 3, "preset": preset}
    one, once = watched(branches, img, **given)
    three, thrice = watched(branches, img, **given, restarts=3)
    assert thrice[-1].z.shape == (3, 3, 11, 14)
    np.testing.assert_allclose(thrice[-1].z[:1], once[-1].z, atol=1e-6)
    assert errors(three)[0] == pytest.approx(errors(one)[0], rel=1e-4)
    assert len(set(errors(three))) == 3
    assert three.shape[1] > 3 * 14
    assert thrice[-1].picture().shape == three.shape


# What is told, and going on.


def test_the_error_is_that_of_the_picture(branches: Net) -> None:
    img = colours()
    found = invert(branches, img, end="mixed", iter_n=30)
    first, second = (
        branches.forward({"data": branches.preprocess(p)}, end="mixed")["mixed"].copy()
        for p in (img, found)
    )
    expected = ((second - first) ** 2).sum() / (first**2).sum()
    assert errors(found)[0] == pytest.approx(expected, rel=1e-3)
    assert 0 <= found.min() <= found.max() <= 255


def test_the_recipe_makes_the_same_picture_again(branches: Net) -> None:
    img = colours()
    first = invert(branches, img, end="mixed", iter_n=9, seed=4, preset="cvpr2015", channels=[1, 5])
    made = first.recipe["parameters"]
    again = invert(branches, img, **made)
    np.testing.assert_array_equal(again, first)
    assert again.recipe == first.recipe
    other = invert(branches, img, **(made | {"seed": 5}))
    assert not np.array_equal(other, first)


@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
def test_it_goes_on_to_the_same_bits(strided: Net, tmp_path: Path, preset: str) -> None:
    img, given = colours(17, 23), {"end": "y", "iter_n": 14, "preset": preset}
    whole, seen = watched(strided, img, **given)
    job = Inversion(strided, img, **given)
    for k in (4, 11, 12):  # in the first phase, at its end, in the second
        save_state(tmp_path / "state", seen[k].state(), job.recipe)
        state = load_state(tmp_path / "state", job.recipe)
        np.testing.assert_array_equal(invert(strided, img, **given, state=state), whole)


def test_presets_choose_by_depth() -> None:
    near, far = PRESETS["ijcv2016"](0.0), PRESETS["ijcv2016"](1.0)
    assert (near.strength, far.strength) == pytest.approx((300, 1))
    assert near.counts() == [300, 50]
    weights = [PRESETS["cvpr2015"](d).variation for d in (0.2, 0.5, 0.9)]
    assert weights == pytest.approx([k / 2 / VARIANCE for k in (1, 10, 100)])
    assert PRESETS["cvpr2015"](0).counts() == [100, 200, 100]
    assert asdict(near)["phases"] == ((1.0, 300.0), (0.1, 50.0))


def test_depth_and_jitter_of_squeezenet(squeezenet: Net) -> None:
    found = [depth(squeezenet, name) for name in ("data", "conv1", "fire2/concat", "logits")]
    assert found == pytest.approx([0, 1 / 18, 3 / 18, 1])
    places = [
        jitter(squeezenet, name, (1, 3, 128, 128))
        for name in ("conv1", "fire2/concat", "fire4/concat", "fire7/concat", "logits")
    ]
    assert places == [1, 1, 2, 4, 4]


# Real networks.


def test_fire2_comes_back(squeezenet: Net) -> None:
    img = photo(112)
    found = invert(squeezenet, img, end="fire2/concat")
    assert errors(found)[0] < 0.05
    likeness = np.corrcoef(np.ravel(found), np.ravel(img))[0, 1]
    assert likeness > 0.9
    # natural, not speckled: neighbours differ as they do in the photo
    rough, natural = (np.abs(np.diff(p, axis=1)).mean() for p in (found, img))
    assert rough < 1.2 * natural


@pytest.mark.parametrize(
    ("end", "iter_n", "most"), [("fire2/concat", 250, 0.015), ("fire9/concat", 100, 0.15)]
)
def test_lucid_s_waves_come_nearer(squeezenet: Net, end: str, iter_n: int, most: float) -> None:
    img, given = photo(80), {"end": end, "iter_n": iter_n}
    found = invert(squeezenet, img, preset="lucid", **given)
    usual = invert(squeezenet, img, **given)
    assert errors(found)[0] < most
    assert errors(found)[0] < 0.75 * errors(usual)[0]


def test_a_sheet_shows_what_each_layer_keeps(squeezenet: Net) -> None:
    told: list[tuple[int, int, str]] = []
    ends = ["fire2/concat", "fire5/concat", "logits"]
    picture = invert_sheet(
        squeezenet, photo(48), ends=ends, iter_n=60, on_layer=lambda *layer: told.append(layer)
    )
    assert told == [(0, 3, ends[0]), (1, 3, ends[1]), (2, 3, ends[2])]
    assert picture.recipe["parameters"]["end"] == ends
    assert len(errors(picture)) == 3
    assert errors(picture)[0] < 0.2
    assert picture.shape[0] * picture.shape[1] > 4 * 48 * 32


@pytest.mark.skipif(not GOOGLENET.exists(), reason=f"no {GOOGLENET}")
def test_googlenet_comes_back() -> None:
    net = oneiro.load(GOOGLENET)
    found = invert(net, photo(64), end="inception_3a/output", iter_n=120)
    assert errors(found)[0] < 0.1


def test_fc7_of_alexnet_at_its_own_size(net_of: Callable[..., Net], tmp_path: Path) -> None:
    net = net_of(light("bvlc_alexnet", end="r21"))
    net.preprocessing = Preprocess((104.0, 117.0, 123.0), 1.0, "BGR")
    img = oneiro.load_image(CAT)
    found = invert(net, img, end="r21", iter_n=40, strength=20.0)
    assert found.shape == (224, 224, 3)
    assert errors(found)[0] < 0.2
    # and the two are near as embed sees them, another picture is not
    other = oneiro.load_image(ROOT / "examples" / "coffee.png")
    for name, picture in (("a", img), ("b", other), ("c", found)):
        square = oneiro.image.resampled(Picture(picture), 224, 224)
        oneiro.save_image(tmp_path / f"{name}.png", square)
    codes = oneiro.embed(net, tmp_path, blob="r21")
    cat, coffee, again = codes.vectors
    assert np.linalg.norm(cat - again) < 0.6 * np.linalg.norm(cat - coffee)


@pytest.mark.parametrize("preset", ["cvpr2015", "lucid"])
@pytest.mark.parametrize("iter_n", [1, 3])
def test_a_rate_that_leads_nowhere_is_one_error(squeezenet: Net, preset: str, iter_n: int) -> None:
    # a warning of NumPy's would be an error of its own here
    with pytest.raises(ModelError, match=r"last step|not finite"):
        invert(squeezenet, photo(48), end="conv1", preset=preset, rate=1e38, iter_n=iter_n)


@pytest.mark.parametrize(("count", "columns"), [(3, 3), (5, 5), (6, 6), (7, 4), (10, 5), (11, 6)])
def test_a_sheet_fills_its_rows(branches: Net, count: int, columns: int) -> None:
    ends = ["mixed"] * (count - 1)
    page = invert_sheet(branches, colours(11, 44), ends=ends, iter_n=1)
    margin, tile = 13, 44  # pixels
    assert page.shape[1] == columns * (tile + margin) + margin


# What makes no sense.


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"end": "mixd"}, "mixed"),
        ({"end": "mixed:3"}, "channels"),
        ({"preset": "cvpr"}, "cvpr2015"),
        ({"channels": "third"}, "channels"),
        ({"channels": [20]}, "0..19"),
        ({"channels": []}, "channels"),
        ({"neighbourhood": 0}, "neighbourhood"),
        ({"end": "side", "neighbourhood": 0}, "neighbourhood"),
        ({"restarts": 0}, "restarts"),
        ({"iter_n": 0}, "iter_n"),
        ({"iter_n": 2.5}, "iter_n"),
        ({"strength": 0.0}, "strength"),
        ({"strength": np.nan}, "strength"),
        ({"rate": -1.0}, "rate"),
        ({"decay": -1.0}, "decay"),
        ({"beta": 0.0}, "beta"),
        ({"alpha": 0.5}, "alpha"),
        ({"bound": 0.0}, "bound"),
        ({"update": "sgd"}, "update"),
        ({"image": "photo"}, "image"),
        ({"preset": "lucid", "bound": 9.0}, "bound"),
        ({"preset": "cs231n", "image": "waves"}, "blur"),
        ({"start": "photo"}, "start"),
        ({"joint": 1}, "joint"),
        ({"phases": ()}, "phases"),
        ({"phases": [(1, 0)]}, "phases"),
        ({"seed": -1}, "seed"),
        ({"momentum": 0.9}, "momentum"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(branches: Net, given: dict[str, Any], word: str) -> None:
    with pytest.raises(ArgumentError, match=word):
        invert(branches, colours(), **({"end": "mixed", "iter_n": 1} | given))


def test_a_code_of_zeros_has_no_picture(net_of: Callable[..., Net]) -> None:
    filters, bias = normal(4, 3, 1, 1).astype(np.float32), np.float32([-1e6] * 4)
    net = net_of(network("p = Conv (x, w, b) y = Relu (p)", w=filters, b=bias))
    net.preprocessing = Preprocess()
    with pytest.raises(ModelError, match="zero"):
        invert(net, colours(), end="y")


def test_one_picture_at_a_time_is_said(net_of: Callable[..., Net]) -> None:
    constants = {"s": np.array([1, -1]), "w": normal(3 * 11 * 14, 5).astype(np.float32)}
    net = net_of(network("f = Reshape (x, s) y = MatMul (f, w)", **constants))
    net.preprocessing = Preprocess(127.5)
    invert(net, colours(), end="y", iter_n=1)
    with pytest.raises(ArgumentError, match="restarts"):
        invert(net, colours(), end="y", iter_n=1, restarts=2)


def test_a_sheet_takes_blobs_and_no_restarts(squeezenet: Net) -> None:
    with pytest.raises(ArgumentError, match="ends"):
        invert_sheet(squeezenet, photo(48), ends=[])
    with pytest.raises(ArgumentError, match="restarts"):
        invert_sheet(squeezenet, photo(48), ends=["fire2/concat"], restarts=2)
