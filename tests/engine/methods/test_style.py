"""Style transfer: the formulas by hand, what is asked for is done, and it goes on where it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import oneiro
from oneiro import ArgumentError, Net, Picture, Preprocess, style
from oneiro.climb import Moment, climb_program
from oneiro.methods.style import MARGIN, PRESETS, Settings, Transfer, framed
from oneiro.plan import Plan
from oneiro.state import load_state, save_state
from oracle.measure import distance
from oracle.small import Builder, trunk

EXAMPLES = Path(__file__).parents[3] / "examples"
SIZE = (26, 34)
QUICK = {"size": 34, "scales": (0.75, 1.0), "iter_n": (2, 3), "pool": "max", "style_scale": 1.0}
ONCE = {"scales": (1.0,), "iter_n": (1,)}
ADAM = ONCE | {"optimiser": "adam"}  # whose steps tell the value at the picture before them


def colours(seed: int, h: int = SIZE[0], w: int = SIZE[1], channels: int = 3) -> Picture:
    """A smooth picture of strong colours."""
    noise = np.random.default_rng(seed).normal(size=(h, w, channels))
    noise = ndimage.gaussian_filter(noise, (2, 2, 0), mode="wrap")
    return Picture(127.5 + 90 * noise / np.abs(noise).max())


PHOTO, PAINTING = colours(0), colours(1, 29, 41)
WAY = Preprocess((104.0, 117.0, 123.0), 1.0, "BGR")


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    net = net_of(trunk(), np.float64)
    net.preprocessing = WAY
    return net


@pytest.fixture(scope="module")
def vgg() -> Net:
    return oneiro.load("vgg16_conv4_2")


def painted(net: Net, *pictures: Any, **numbers: Any) -> tuple[Picture, list[Moment]]:
    """The result of style, and every step."""
    seen: list[Moment] = []
    return style(net, *pictures, on_step=seen.append, **QUICK | numbers), seen


def features(net: Net, img: Any, blob: str) -> tuple[NDArray[Any], int]:
    """What a blob holds of a picture with its mirrored frame, and how wide the frame is there."""
    x = np.pad(net.preprocess(img), ((0, 0), (0, 0), (MARGIN,) * 2, (MARGIN,) * 2), "reflect")
    data = net.forward({net.input: x}, end=blob)[blob]
    return data, round(MARGIN * data.shape[2] / x.shape[2])


def gram(data: NDArray[Any], width: int) -> NDArray[Any]:
    inner = data[0, :, width:-width, width:-width]
    rows = inner.reshape(len(inner), -1)
    return rows @ rows.T / rows.shape[1]


# The formulas.


def test_the_relative_balance_by_hand(net: Net) -> None:
    blobs = ("conv1_1=3", "conv2_1")
    _, seen = painted(
        net, PHOTO, PAINTING, layers=blobs, content_weight=0.0, variation=0.0, style_weight=2.0,
        style_scale=1.5, optimiser="adam", **ONCE,
    )  # fmt: skip
    expected = 0.0
    for blob, weight in (("conv1_1", 0.75), ("conv2_1", 0.25)):
        now = gram(*features(net, PHOTO, blob))
        wanted = gram(*features(net, PAINTING, blob))  # no larger than it is
        expected += 2 * weight * ((now - wanted) ** 2).sum() / (wanted**2).sum()
    assert -seen[0].value == pytest.approx(expected, rel=1e-6)


def test_johnson_s_balance_by_hand(net: Net) -> None:
    """1e2 times the mean of squared errors of F F' / (c h w), and 1e-3 half of squared steps."""
    _, seen = painted(net, PHOTO, PAINTING, preset="johnson", start="photo", **ADAM)
    expected = 0.0
    for blob in ("conv1_1", "conv2_1", "conv3_1"):
        data, width = features(net, PHOTO, blob)
        wanted = gram(*features(net, oneiro.image.shrunk(PAINTING, 34), blob))
        expected += 1e2 * ((gram(data, width) - wanted) ** 2).mean() / data.shape[1] ** 2
    x = np.pad(net.preprocess(PHOTO), ((0, 0), (0, 0), (MARGIN,) * 2, (MARGIN,) * 2), "reflect")
    steps = (np.diff(x, axis=2) ** 2).sum() + (np.diff(x, axis=3) ** 2).sum()
    assert -seen[0].value == pytest.approx(expected + 1e-3 * steps / 2, rel=1e-6)


def test_gatys_balance_is_that_of_a_network_whose_activations_are_one_in_the_mean(net: Net) -> None:
    _, seen = painted(net, PHOTO, PAINTING, preset="gatys", **ADAM)
    expected = 0.0
    for blob in ("conv1_1", "conv2_1", "conv3_1"):
        data, width = features(net, PHOTO, blob)
        wanted = gram(*features(net, oneiro.image.shrunk(PAINTING, 34), blob))
        apart = (gram(data, width) - wanted) / data.mean() ** 2
        expected += 1e3 / data.shape[1] ** 2 * (apart**2).mean()
    assert -seen[0].value == pytest.approx(expected, rel=1e-6)


def test_presets_are_the_papers() -> None:
    gatys, johnson = PRESETS["gatys"], PRESETS["johnson"]
    assert (gatys.style_weight, gatys.content_weight, gatys.start) == (1e3, 1.0, "photo")
    assert (gatys.iter_n, gatys.scales, gatys.size) == ((500, 200), (0.64, 1.0), 800)
    assert (johnson.style_weight, johnson.content_weight, johnson.variation) == (1e2, 5.0, 1e-3)
    assert (johnson.iter_n, johnson.size, johnson.start) == ((1000,), 512, "noise")


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_the_photo_itself_has_no_content_error(net: Net, optimiser: str) -> None:
    numbers = {"style_weight": 0.0, "variation": 0.0, "content_weight": 1.0, "rate": 1e-6}
    found, seen = painted(net, PHOTO, PAINTING, optimiser=optimiser, **numbers, **ONCE)
    assert seen == [] or seen[0].value == 0  # L-BFGS sees that there is nothing to do
    assert distance(found, PHOTO) < 1e-5


def test_a_photo_in_its_own_style_stays(net: Net) -> None:
    _, seen = painted(net, PHOTO, PHOTO, optimiser="adam", variation=0.0, **ONCE)
    assert seen[0].value == pytest.approx(0, abs=1e-12)


# What is asked for.


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_the_style_error_falls_tenfold(vgg: Net, optimiser: str) -> None:
    photo = oneiro.image.shrunk(oneiro.load_image(EXAMPLES / "chelsea_cat.png"), 32)
    painting = oneiro.load_image(EXAMPLES / "flower_dahlia.jpg")
    layers = ("conv1_1", "conv2_1", "conv3_1")
    numbers: dict[str, Any] = {"layers": layers, "content_weight": 0.0, "variation": 0.0}
    numbers |= {"optimiser": optimiser, "rate": 20.0, "iter_n": 40, "scales": 1.0}
    found = style(vgg, photo, painting, **numbers)
    assert found.recipe
    before, after = found.recipe["found"]["style"]
    assert after < before / 10
    assert found.shape == photo.shape


def test_styles_are_mixed_by_their_weights(net: Net) -> None:
    """At one blob a half of each is what the mean of both Gram matrices asks for."""
    pair = [PAINTING, colours(2)]
    numbers = {"layers": ("conv2_1",), "content_weight": 0.0, "variation": 0.0, **ADAM}
    _, seen = painted(net, PHOTO, pair, weights=(3, 1), **numbers)
    now = gram(*features(net, PHOTO, "conv2_1"))
    small = [oneiro.image.shrunk(img, 34) for img in pair]
    first, second = (gram(*features(net, img, "conv2_1")) for img in small)
    wanted = 0.75 * first + 0.25 * second
    expected = ((now - wanted) ** 2).sum() / (wanted**2).sum()
    assert -seen[0].value == pytest.approx(expected, rel=1e-6)


def test_a_mask_says_where_a_style_goes(net: Net) -> None:
    mask = np.zeros((13, 17))
    mask[:, 9:] = 255
    numbers = {"layers": ("conv1_1",), "content_weight": 0.0, "variation": 0.0}
    found, _ = painted(net, PHOTO, PAINTING, masks=[mask], **numbers, **ADAM)
    changed = np.abs(found - PHOTO).max((0, 2))
    assert changed[:12].max() < 1e-4
    assert changed[24:].min() > 1e-3


def test_two_masks_two_styles(net: Net) -> None:
    left = np.zeros((13, 17))
    left[:, :9] = 255
    pair = [PAINTING, colours(2)]
    together, _ = painted(net, PHOTO, pair, masks=[left, 255 - left])
    alone, _ = painted(net, PHOTO, pair[0], masks=[left])
    apart = np.abs(together - alone).mean((0, 2))
    assert apart[-8:].min() > apart[:4].max()


def test_the_photo_s_colours_stay(net: Net) -> None:
    found, _ = painted(net, PHOTO, PAINTING, colours="photo")
    plain, _ = painted(net, PHOTO, PAINTING)
    differences = np.asarray(found - PHOTO)
    np.testing.assert_allclose(differences, differences[..., :1] + 0 * differences, atol=0.1)
    assert np.abs(differences).max() > 1
    assert distance(found, plain) > 1e-3


def test_a_style_may_be_given_the_photo_s_colours(net: Net) -> None:
    numbers = {"layers": ("conv1_1",), "content_weight": 0.0, **ADAM}
    _, plain = painted(net, PHOTO, PAINTING, **numbers)
    _, matched = painted(net, PHOTO, PAINTING, colours="matched", **numbers)
    assert abs(matched[0].value) < abs(plain[0].value)


def test_from_noise_one_seed_makes_one_picture(net: Net) -> None:
    one, again, other = (
        painted(net, PHOTO, PAINTING, start="noise", seed=seed)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert distance(one, other) > 1e-6


def test_a_large_photo_is_shrunk_and_a_small_one_is_not_grown(net: Net) -> None:
    assert painted(net, PHOTO, PAINTING, size=20)[0].shape == (15, 20, 3)
    assert painted(net, PHOTO, PAINTING, size=900)[0].shape == PHOTO.shape


def test_transparency_is_kept(net: Net) -> None:
    veil = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8)
    found, _ = painted(net, Picture(PHOTO, alpha=veil), PAINTING, **ONCE)
    np.testing.assert_array_equal(found.alpha, veil)


def test_pools_may_take_means(net: Net) -> None:
    plain, _ = painted(net, PHOTO, PAINTING)
    mean, _ = painted(net, PHOTO, PAINTING, pool="average")
    assert distance(mean, plain) > 1e-4
    assert [node.layer.kind for node in net.nodes].count("MaxPool") == 3  # of a copy


# Steps.


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_steps_count_through_all_scales(net: Net, optimiser: str) -> None:
    found, seen = painted(net, colours(0, 100, 120), PAINTING, optimiser=optimiser, size=120,
                          scales=(0.5, 0.9, 1), iter_n=[2, 3, 1])  # fmt: skip
    assert [(step.iteration, step.iter_n) for step in seen] == [(k, 4) for k in (1, 2, 3, 4)]
    assert [step.state().stage for step in seen] == [0, 0, 0, 1]  # half of it would be too small
    assert seen[0].picture().shape == found.shape
    np.testing.assert_array_equal(seen[-1].picture(), found)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_adam_goes_on_to_the_same_bits(net: Net, at: int, tmp_path: Path) -> None:
    photo = colours(0, 98, 110)
    numbers = QUICK | {"optimiser": "adam", "size": 110, "scales": (0.9, 1.0), "iter_n": (2, 3)}
    whole, seen = painted(net, photo, PAINTING, **numbers)
    job = Transfer(net, photo, PAINTING, **numbers)
    save_state(tmp_path / "state", seen[at - 1].state(), job.recipe)
    again = job.run(state=load_state(tmp_path / "state", job.recipe))
    np.testing.assert_array_equal(again, whole)


def test_lbfgs_goes_on_and_says_how(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    numbers = QUICK | {"iter_n": (6,), "scales": (1.0,)}
    whole, seen = painted(net, PHOTO, PAINTING, **numbers)
    caplog.clear()
    later: list[Moment] = []
    again = style(net, PHOTO, PAINTING, state=seen[1].state(), on_step=later.append, **numbers)
    assert [step.iteration for step in later] == [3, 4, 5, 6]
    assert any("memory anew" in line for line in caplog.messages)
    before, after = again.recipe["found"]["style"]
    assert after < before
    assert distance(again, whole) < 0.1


def test_a_recipe_tells_everything(net: Net) -> None:
    found, _ = painted(net, PHOTO, [PAINTING, colours(2)], masks=[None, PHOTO], weights=(3, 1))
    assert found.recipe["method"] == "style"
    parameters = found.recipe["parameters"]
    assert parameters["weights"] == [0.75, 0.25]
    assert parameters["layers"] == ["conv1_1", "conv2_1", "conv3_1"]
    assert parameters["scales"] == [0.75, 1.0]
    assert {"photo", "style 1", "style 2", "mask 2"} == found.recipe["pictures"].keys()


def test_its_gradient_exports(net_of: Callable[..., Net]) -> None:
    net = net_of(trunk())
    net.preprocessing = WAY
    mask = np.tile(np.linspace(0, 255, 17), (13, 1))
    job = Transfer(net, PHOTO, PAINTING, masks=[mask], **QUICK | {"pool": "average"})
    x = framed(net.preprocess(PHOTO))
    program = climb_program(job.goal(PHOTO, x, job.settings), None, (), job.prior(x))
    z = (np.float32, x.shape)
    model = oneiro.export_program(job.net, program, z=z)
    runtime = pytest.importorskip("onnxruntime", reason="it judges what was exported")
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["g"], {"z": x})
    assert distance(found, Plan(job.net, program, z=z)(z=x)["g"]) < 1e-4


@pytest.mark.emulator
def test_it_runs_on_a_device(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(trunk(), file)
    found = []
    for device in ("cpu", "emulator"):
        net = Net(file, device=device)
        net.preprocessing = WAY
        found.append(painted(net, PHOTO, PAINTING, optimiser="adam")[0])
    assert distance(found[1], found[0]) < 1e-3


# What makes no sense.


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"preset": "monet"}, "preset is 'monet'.*gatys"),
        ({"sice": 3}, "sice is no number"),
        ({"size": 0}, "size is 0"),
        ({"size": "big"}, "size is 'big'"),
        ({"style_weight": -1}, "style_weight is -1"),
        ({"style_weight": 0, "content_weight": 0}, "nothing is asked for"),
        ({"style_scale": 0}, "style_scale is 0"),
        ({"scales": ()}, "scales are"),
        ({"scales": (1, 0.5)}, "scales are"),
        ({"iter_n": (1, 2, 3)}, "iter_n is"),
        ({"iter_n": 0}, "iter_n is"),
        ({"iter_n": 2.5}, "iter_n is 2.5"),
        ({"layers": (3,)}, "layers are"),
        ({"colours": "mine"}, "colours is 'mine'.*style"),
        ({"optimiser": "sgd"}, "optimiser is 'sgd'"),
        ({"start": "there"}, "start is 'there'"),
        ({"balance": 3}, "balance is 3"),
        ({"pool": "none"}, "pool is 'none'"),
        ({"layers": ("conv1_1:3",)}, "conv1_1:3.*whole"),
        ({"layers": ("conv1_1=-3",)}, "conv1_1=-3.*below 0"),
        ({"layers": ("conv1_1=0",)}, "none has a weight"),
        ({"layers": ("conv9_1",)}, "conv9_1"),
        ({"content": ("nowhere",)}, "nowhere"),
        ({"weights": (1, 2)}, "weights are 2"),
        ({"weights": (0,)}, "weights are"),
        ({"masks": (None, None)}, "masks are 2"),
        ({"masks": (np.zeros((5, 6)),)}, "masks: one is black"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_named(net: Net, numbers: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        painted(net, PHOTO, PAINTING, **numbers)


def test_without_a_style_there_is_nothing_to_do(net: Net) -> None:
    with pytest.raises(ArgumentError, match="style_imgs are none"):
        style(net, PHOTO, [])


def test_a_grey_network_has_no_colours_to_keep(net_of: Callable[..., Net]) -> None:
    build = Builder("grey", opset=17)
    pre = build.conv("data", 5, 3, 3, 3)
    net = net_of(build.model(build.node("Relu", pre, out="conv1_1")))
    net.preprocessing = Preprocess(0.0, 1.0, "ANY")
    with pytest.raises(ArgumentError, match="colours"):
        style(net, colours(0, channels=1), PAINTING, colours="photo", layers=["conv1_1"])


def test_numbers_of_json_are_numbers() -> None:
    numbers = Settings("raw", 1, 1, 0, "photo", "adam", 3, [1], size=np.int64(7), layers="one")
    assert (numbers.iter_n, numbers.scales, numbers.layers) == ((3,), (1.0,), ("one",))
    assert type(numbers.size) is int
