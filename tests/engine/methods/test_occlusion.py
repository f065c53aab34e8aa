"""Occlusion beside a naive one: one picture, one forward pass, one loop over pixels at a time."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import oneiro
from oneiro import ArgumentError, ModelError, Net, Preprocess, occlude
from oneiro.methods import occlusion
from oneiro.methods.occlusion import filling, placed
from oneiro.probe import trained_size
from oracle import small
from oracle.measure import distance
from oracle.notation import network

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models" / "squeezenet1.1.onnx"
MEAN = (11.0, 120.0, 90.0)
IMG = np.random.RandomState(5).uniform(0, 255, (29, 37, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture
def head(net_of: Callable[..., Net]) -> Net:
    """Three colours to four classes, and the maps that these are the averages of."""
    net = net_of(classifier(), np.float64)
    net.preprocessing = Preprocess(MEAN, 0.02, "BGR")
    return net


def classifier(end: str = "Softmax <axis = 1> (scores)", batch: int | str = "n") -> onnx.ModelProto:
    filters = np.random.RandomState(3).normal(size=(4, 3, 3, 2)).astype(np.float32)
    nodes = f"""
        [conv] pre = Conv <strides = [2, 2]> (x, w)
        [relu] maps = Relu (pre)
        [pool] pooled = GlobalAveragePool (maps)
        [flat] scores = Reshape (pooled, shape)
        [end] y = {end}
    """
    shape = np.array([0 if batch == "n" else batch, 4])
    return network(nodes, declared=(batch, 3, "h", "w"), w=filters, shape=shape)


def naive(
    chances: Callable[[NDArray[Any]], NDArray[Any]],
    img: NDArray[Any],
    cover: NDArray[Any],
    window: int,
    stride: int,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """For every position what `chances` gives, (rows, columns, ...), and which pixels it covers."""
    h, w, _ = img.shape
    tops, lefts = ([*range(0, n - window, stride), n - window] for n in (h, w))
    found, masks = [], []
    for top in tops:
        for left in lefts:
            mask = np.zeros((h, w), bool)
            mask[top : top + window, left : left + window] = True
            hidden = img.copy()
            hidden[mask] = cover[mask]
            found.append(chances(hidden))
            masks.append(mask)
    grid = (len(tops), len(lefts))
    return np.reshape(found, (*grid, -1)), np.reshape(masks, (*grid, h, w))


def averaged(grid: NDArray[Any], masks: NDArray[Any]) -> NDArray[Any]:
    """Pixel by pixel the mean of the grid over the squares that cover it."""
    h, w = masks.shape[2:]
    return np.array([[grid[masks[..., i, j]].mean() for j in range(w)] for i in range(h)])


# The proof.


def test_it_is_the_naive_occlusion_of_torch(squeezenet: Net, walker: ModuleType) -> None:
    img = trained_size(squeezenet, oneiro.load_image(ROOT / "examples" / "two_dogs.jpg"))
    img = np.asarray(img)[90:169, 60:127]  # the upper dog
    model = onnx.load(FILE)

    def forward(img: NDArray[Any]) -> NDArray[Any]:
        x = squeezenet.known_preprocessing().preprocess(img, 3, np.float64)
        found = walker.run(model, {"data": x}, ["prob", "fire7/concat"])
        sums = found["fire7/concat"].sum((2, 3))
        return np.concatenate([found["prob"].numpy().ravel(), sums.numpy().ravel()])

    black = np.zeros_like(img)
    grid, masks = naive(forward, img, black, window=30, stride=19)
    clean = forward(img)
    found = occlude(squeezenet, img, 219, window=30, stride=19, fill="zero", blob="fire7/concat")
    assert found.recipe is not None
    sums = 1000 + found.recipe["parameters"]["channel"]
    assert found.chance == pytest.approx(clean[219], rel=1e-4)
    assert found.chances is not None
    assert found.change is not None
    assert distance(found.chances, grid[..., 219]) < 1e-4
    assert (found.labels == grid[..., :1000].argmax(-1)).all()
    assert distance(found.sums, grid[..., sums]) < 1e-4
    assert found.sum == pytest.approx(clean[sums], rel=1e-4)
    assert distance(found.change, averaged(grid[..., 219] - clean[219], masks)) < 1e-4
    assert distance(found.activity, averaged(grid[..., sums] - clean[sums], masks)) < 1e-4


def test_the_strongest_drop_lies_on_the_dogs(squeezenet: Net) -> None:
    img = trained_size(squeezenet, oneiro.load_image(ROOT / "examples" / "two_dogs.jpg"))
    assert img.shape == (341, 227, 3)
    found = occlude(squeezenet, img, "cocker spaniel", window=51, stride=34)
    on_dogs = np.zeros(img.shape[:2], bool)
    on_dogs[79:144, 68:119] = True
    on_dogs[152:224, 106:153] = True
    change = np.asarray(found.change)
    assert on_dogs[np.unravel_index(change.argmin(), change.shape)]
    assert change[on_dogs].mean() < 4 * change[~on_dogs].mean() < 0


def test_the_emulator_sees_the_same(net_of: Callable[..., Net], tmp_path: Path) -> None:
    net_of(classifier())
    nets = [Net(tmp_path / "model.onnx", device=name) for name in ("cpu", "emulator")]
    for net in nets:
        net.preprocessing = Preprocess(MEAN, 0.02)
    one, other = (occlude(net, IMG, window=14, stride=9, fill="blur") for net in nets)
    assert one.chances is not None
    assert other.chances is not None
    assert distance(other.chances, one.chances) < 1e-5
    assert distance(other.sums, one.sums) < 1e-5


# Positions.


@pytest.mark.parametrize(
    ("height", "width", "window", "stride"),
    [
        (29, 37, 8, 5),
        (29, 37, 29, 29),
        (29, 37, 1, 1),
        (30, 30, 10, 10),
        (31, 41, 10, 10),
        (7, 5, 2, 2),
    ],
)
def test_every_pixel_is_covered_and_no_square_leaves_the_picture(
    height: int, width: int, window: int, stride: int
) -> None:
    squares = placed(height, width, window, stride)
    rows, columns = squares.masks()
    assert (rows.sum(1) == window).all()
    assert (columns.sum(1) == window).all()
    assert rows.any(0).all()
    assert columns.any(0).all()
    assert len(np.unique(squares.tops)) == len(squares.tops)
    assert len(squares.tops) == -(-(height - window) // stride) + 1


def test_positions_are_a_stride_apart_and_the_last_is_flush() -> None:
    squares = placed(33, 30, 10, 10)
    assert squares.tops.tolist() == [0, 10, 20, 23]
    assert squares.lefts.tolist() == [0, 10, 20]


def test_the_usual_square_grows_with_the_picture() -> None:
    for side, window, stride in ((224, 50, 10), (448, 100, 20), (112, 25, 5), (3, 1, 1)):
        squares = placed(side, 2 * side, None, None)
        assert (squares.window, squares.stride) == (window, stride)


def test_a_constant_grid_is_a_constant_map() -> None:
    squares = placed(29, 37, 8, 5)
    assert np.abs(squares.averaged(np.full(squares.shape, 2.5)) - 2.5).max() < 1e-6


def test_each_pixel_shows_the_nearest_square() -> None:
    squares = placed(30, 30, 10, 10)
    rows, columns = squares.nearest(30, 60)
    assert rows.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert columns.tolist() == [0] * 20 + [1] * 20 + [2] * 20


# Fills.


def test_fills_are_what_they_are_called(head: Net) -> None:
    photo = oneiro.Picture(IMG)

    def shown(fill: Any, seed: int = 0) -> NDArray[Any]:
        return np.asarray(head.deprocess(filling(head, photo, fill, 8, seed)))

    assert (filling(head, photo, "mean", 8, 0) == 0).all()
    mean = np.broadcast_to(np.float32(MEAN[::-1]), IMG.shape)  # the network's order is BGR
    blurred = ndimage.gaussian_filter(IMG, (2, 2, 0))
    for fill, expected in (
        ("mean", mean),
        ("zero", np.zeros_like(IMG)),
        ("blur", blurred),
        (64, np.full_like(IMG, 64)),
        ((3, 250, 40.5), np.broadcast_to(np.float32([3, 250, 40.5]), IMG.shape)),
    ):
        assert np.abs(shown(fill) - expected).max() < 1e-3, fill
    noise = shown("noise", seed=3)
    assert (noise == shown("noise", seed=3)).all()
    assert (noise != shown("noise", seed=4)).all()
    assert noise.min() >= 0
    assert noise.max() <= 255
    assert abs(noise.mean() - 127.5) < 5


def test_a_seed_that_is_none(head: Net) -> None:
    for seed in (-1, 2**32):
        with pytest.raises(ArgumentError, match=f"seed is {seed}: it must lie in"):
            occlude(head, IMG, fill="noise", seed=seed)


def test_what_is_not_covered_stays_to_the_last_bit(head: Net) -> None:
    """By the sums of a blob that shows single pixels: the network's input itself."""
    cover = np.zeros_like(IMG) + np.float32([9, 80, 200])
    grid, _ = naive(
        lambda img: np.asarray(head.preprocess(img)).sum((2, 3)).ravel(), IMG, cover, 8, 5
    )
    found = occlude(head, IMG, window=8, stride=5, fill=(9, 80, 200), blob="x", channel=1)
    assert np.abs(found.sums - grid[..., 1]).max() < 1e-9


# What is seen.


def test_the_class_is_the_most_probable_one_unless_another_is_asked_for(head: Net) -> None:
    head.labels = ("ash", "birch", "cedar", "date palm")
    found = occlude(head, IMG, window=9, stride=9)
    scores = head.forward({"x": head.preprocess(IMG)})["y"][0]
    assert found.label == found.number == scores.argmax()
    assert found.chance == pytest.approx(scores.max())
    other = occlude(head, IMG, "birch", window=9, stride=9)
    assert other.number == 1
    assert other.chance == pytest.approx(scores[1])
    assert other.label == found.label
    assert "birch (1)" in other.change.caption  # type: ignore[union-attr]


def test_the_channel_is_the_one_with_the_highest_peak(head: Net) -> None:
    found = occlude(head, IMG, window=9, stride=9)
    maps = head.forward({"x": head.preprocess(IMG)}, end="maps")["maps"][0]
    peak = maps.max((1, 2)).argmax()
    assert f"maps:{peak}," in found.activity.caption
    assert found.sum == pytest.approx(maps[peak].sum())
    again = occlude(head, IMG, window=9, stride=9, channel=(int(peak) + 1) % 4)
    assert again.sum != found.sum


@pytest.mark.parametrize("end", ["Identity (scores)", "LogSoftmax <axis = 1> (scores)"])
def test_scores_become_probabilities(net_of: Callable[..., Net], head: Net, end: str) -> None:
    expected = occlude(head, IMG, window=9, stride=9)
    net = net_of(classifier(end), np.float64)
    net.preprocessing = head.preprocessing
    found = occlude(net, IMG, window=9, stride=9)
    assert distance(found.chances, expected.chances) < 1e-9


def test_each_probability_of_a_sigmoid_stands_for_itself(net_of: Callable[..., Net]) -> None:
    net = net_of(classifier("Sigmoid (scores)"), np.float64)
    net.preprocessing = Preprocess(MEAN, 0.02)
    found = occlude(net, IMG, 2, window=9, stride=9)
    scores = net.forward({"x": net.preprocess(IMG)}, end="scores")["scores"][0]
    assert found.chance == pytest.approx(1 / (1 + np.exp(-scores[2])))


def test_a_network_of_one_picture_at_a_time(net_of: Callable[..., Net], head: Net) -> None:
    net = net_of(classifier(batch=1), np.float64)
    net.preprocessing = head.preprocessing
    expected, found = (occlude(one, IMG, window=9, stride=5) for one in (head, net))
    assert distance(found.chances, expected.chances) < 1e-12


def test_the_size_of_a_batch_changes_nothing(head: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = occlude(head, IMG, window=9, stride=5)
    for most in (1, 3, 1000):
        monkeypatch.setattr(occlusion, "MOST", most)
        assert distance(occlude(head, IMG, window=9, stride=5).sums, expected.sums) < 1e-12


def test_memory_bounds_a_batch(squeezenet: Net) -> None:
    sizes = [occlusion.batch_size(squeezenet, (1, 3, n, n), ["prob"]) for n in (64, 227, 1200)]
    assert sizes[0] > sizes[1] > sizes[2] == 1


def test_a_network_of_one_size_sees_the_picture_resampled(net_of: Callable[..., Net]) -> None:
    nodes = """
        [flat] rows = Reshape (x, shape)
        [gemm] y = Gemm (rows, w)
    """
    w = np.random.RandomState(1).normal(size=(3 * 12 * 10, 5)).astype(np.float32)
    file = network(nodes, declared=(1, 3, 12, 10), w=w, shape=np.array([1, 360]))
    net = net_of(file)
    net.preprocessing = Preprocess(MEAN, 0.02)
    found = occlude(net, IMG, blob="y", channel=2)
    assert found.photo.shape == (12, 10, 3)
    assert found.change is not None
    assert found.change.shape == (12, 10)


def test_a_network_without_classes_has_the_sums_alone(net_of: Callable[..., Net]) -> None:
    net = net_of(small.unet())
    net.preprocessing = Preprocess(MEAN, 0.02)
    img = IMG[:26, :36]
    found = occlude(net, img, window=9, stride=9, blob="two")
    assert found.change is None
    assert found.labels is None
    assert [*found.pictures()] == ["activity"]
    assert found.sheet().shape[2] == 3
    with pytest.raises(ArgumentError, match="does not classify"):
        found.label_picture()
    with pytest.raises(ModelError, match="does not classify"):
        occlude(net, img, 3)


def test_every_position_is_told(head: Net) -> None:
    seen: list[tuple[int, int]] = []
    found = occlude(head, IMG, window=9, stride=5, on_step=lambda *at: seen.append(at))
    count = found.sums.size
    assert seen[-1] == (count, count)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_the_recipe_holds_what_was_chosen(head: Net) -> None:
    found = occlude(head, IMG, fill=(1, 2, 3), stride=3)
    assert found.recipe is not None
    assert found.recipe["method"] == "occlude"
    assert found.recipe["parameters"] == {
        "target": found.label, "window": 6, "stride": 3, "fill": [1.0, 2.0, 3.0], "blob": "maps",
        "channel": int(found.activity.caption.split(":")[1].split(",")[0]), "seed": 0,
    }  # fmt: skip
    for picture in (found.sheet(), *found.pictures().values()):
        assert picture.recipe == found.recipe


# Pictures.


def test_labels_are_drawn_in_their_colours_and_named(head: Net) -> None:
    found = occlude(head, IMG, window=9, stride=9)
    h, w, _ = IMG.shape
    labels = np.full(found.squares.shape, found.label)
    other = (found.label or 0) + 1
    labels[1, 2] = other
    titles = {int(found.label or 0): "ash", other: "birch"}
    changed = dataclasses.replace(found, labels=labels, titles=titles)
    drawn = np.asarray(changed.label_picture())[2 : 5 * h : 5, 2 : 5 * w : 5]  # 160 px and more
    grey = np.ptp(drawn, axis=2) < 2
    rows, columns = found.squares.nearest(h, w)
    assert (grey == (labels[rows[:, None], columns] == found.label)).all()


def test_pictures_lie_over_a_larger_copy_of_the_photo(head: Net) -> None:
    found = occlude(head, IMG, window=9, stride=9)
    larger = oneiro.image.resampled(oneiro.Picture(IMG), 290, 370)
    for name, picture in found.pictures(larger).items():
        assert picture.shape[1] == 370, name
        assert picture.shape[0] > 290, name
    assert found._repr_png_()[:4] == b"\x89PNG"  # type: ignore[index]


# What is refused.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "window is 0: it must be 1..29"),
        ({"window": 30}, "window is 30"),
        ({"window": 4.5}, "window is 4.5: it must be a whole number"),
        ({"window": 9, "stride": 10}, "stride is 10: it must be 1..9, to cover every pixel"),
        ({"stride": 0}, "stride is 0"),
        ({"fill": "grey"}, "fill is 'grey': it must be mean, zero, blur, noise or a value"),
        ({"fill": 256}, "fill is 256: it must be one value of 0..255, or 3"),
        ({"fill": (1, 2)}, "fill is"),
        ({"fill": None}, "fill is None"),
        ({"fill": np.nan}, "fill is nan"),
        ({"channel": 4}, "channel is 4: maps has 0..3"),
        ({"channel": -1}, "channel is -1"),
        ({"blob": "mops"}, "no blob or layer 'mops'; near it: maps"),
        ({"target": 4}, "class 4 is not one of 0..3"),
        ({"target": "oak"}, "names of .* classes are not known"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    head: Net, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        occlude(head, IMG, **options)
