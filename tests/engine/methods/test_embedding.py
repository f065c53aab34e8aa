"""Embedding: the right blob by default, the right numbers in it, and labels that stay together."""

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

import oneiro
from oneiro import ArgumentError, Codes, ModelError, Net, PictureError, Preprocess, embed
from oneiro.collection import Collection
from oneiro.image import middle
from oneiro.methods.embedding import Step, code, code_blob
from oracle import light, small
from oracle.measure import distance

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "images" / "test_only" / "imagenet1000_128px.zip"
SIZE = (13, 18)

Maker = Callable[..., Net]


@pytest.fixture
def branches(net_of: Maker) -> Net:
    net = net_of(small.branches())
    net.preprocessing = Preprocess(120.0, 0.01)
    return net


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures of noise, of different sizes, in two folders."""
    random = np.random.default_rng(0)
    path = tmp_path / "pictures"
    for k, kind in enumerate(("a", "a", "b", "b", "b")):
        (path / kind).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (20 + 3 * k, 40 - 4 * k, 3), np.uint8)
        Image.fromarray(pixels).save(path / kind / f"{k}.png")
    return path


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1")


def fed(net: Net, path: Path, size: tuple[int, int] = SIZE) -> NDArray[Any]:
    """A picture as the net takes it."""
    return np.asarray(net.preprocess(middle(oneiro.load_image(path), *size)))


def agreement(codes: Codes, k: int = 5) -> float:
    """How many of the k nearest have the label of the one whose they are."""
    numbers = np.array(codes.numbers)
    return float((numbers[codes.neighbours(k).indices] == numbers[:, None]).mean())


# Numbers.


@pytest.mark.parametrize("batch", [None, 1, 2, 3, 64])
def test_a_code_is_the_mean_of_the_maps_over_their_places(
    branches: Net, folder: Path, batch: int | None
) -> None:
    codes = embed(branches, folder, blob="mixed", size=SIZE, batch=batch)
    assert codes.ids == ("a/0.png", "a/1.png", "b/2.png", "b/3.png", "b/4.png")
    assert codes.labels == ("a", "a", "b", "b", "b")
    for id, row in zip(codes.ids, codes.vectors, strict=True):
        maps = branches.forward({"data": fed(branches, folder / id)}, end="mixed")["mixed"]
        np.testing.assert_allclose(row, maps[0].mean((1, 2)), rtol=1e-5, atol=1e-5)


def test_flat_keeps_the_places(branches: Net, folder: Path) -> None:
    codes = embed(branches, folder, blob="data", flat=True, size=SIZE, batch=2)
    for id, row in zip(codes.ids, codes.vectors, strict=True):
        np.testing.assert_array_equal(row, fed(branches, folder / id).ravel())


def test_the_recipe_tells_what_was_seen(branches: Net, folder: Path) -> None:
    recipe = embed(branches, folder, blob="mixed", size=SIZE).recipe
    expected = {"blob": "mixed", "flat": False, "size": [13, 18], "count": 5}
    assert recipe["parameters"] == expected
    assert recipe == embed(branches, folder, blob="mixed", size=SIZE, batch=3).recipe
    Image.new("RGB", (30, 30)).save(folder / "a" / "0.png")
    other = embed(branches, folder, blob="mixed", size=SIZE).recipe
    assert other["pictures"] != recipe["pictures"]


def test_steps_hold_the_codes_so_far(branches: Net, folder: Path) -> None:
    steps: list[Step] = []

    def stop(step: Step) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(branches, folder, blob="mixed", size=SIZE, batch=2, on_step=stop)
    assert [(step.done, step.total) for step in steps] == [(2, 5), (4, 5)]
    part, whole = steps[1].codes(), embed(branches, folder, blob="mixed", size=SIZE, batch=2)
    assert part.ids == whole.ids[:4]
    np.testing.assert_array_equal(part.vectors, whole.vectors[:4])


def test_damaged_pictures_are_left_out(
    branches: Net, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "b" / "3.png").write_bytes(b"none")
    with caplog.at_level(logging.WARNING):
        codes = embed(branches, folder, blob="mixed", size=SIZE, batch=2)
    assert codes.ids == ("a/0.png", "a/1.png", "b/2.png", "b/4.png")
    (record,) = caplog.records
    assert "3.png" in record.getMessage()
    for path in folder.rglob("*.png"):
        path.write_bytes(b"none")
    with pytest.raises(PictureError, match="none of its pictures can be read"):
        embed(branches, folder, blob="mixed", size=SIZE)


def test_a_code_that_is_not_finite_is_refused_by_its_picture(branches: Net, folder: Path) -> None:
    branches.preprocessing = Preprocess(0.0, 1e36)
    with pytest.raises(ModelError, match=r"mixed of 'a/0\.png' holds NaN"):
        embed(branches, folder, blob="mixed", size=SIZE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"blob": "none"}, "no blob or layer"), ({"batch": 0}, "batch is 0"), ({"size": 0}, "size")],
)
def test_what_makes_no_sense(
    branches: Net, folder: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        embed(branches, folder, **arguments)


@pytest.mark.emulator
def test_it_runs_on_a_device(tmp_path: Path, folder: Path) -> None:
    onnx.save(small.branches(), tmp_path / "model.onnx")
    found = []
    for device in ("cpu", "emulator"):
        net = Net(tmp_path / "model.onnx", device=device)
        net.preprocessing = Preprocess(120.0, 0.01)
        found.append(embed(net, folder, blob="mixed", size=SIZE).vectors)
    assert distance(found[1], found[0]) < 1e-4


def test_it_is_a_program_that_exports(branches: Net, folder: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is the judge")

    def program(net: Net, x: Any) -> dict[str, Any]:
        return {"code": code(net, x, "mixed")}

    model = oneiro.export_program(branches, program, x=(np.float32, ("n", 3, "h", "w")))
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.concatenate([fed(branches, path) for path in sorted(folder.rglob("*.png"))])
    (found,) = session.run(["code"], {"x": x})
    assert distance(found, embed(branches, folder, blob="mixed", size=SIZE).vectors) < 1e-5


# The code before the classifier.


@pytest.mark.parametrize(
    ("file", "blob", "length"),
    [
        ("squeezenet1.1", "fire9/concat", 512),
        ("mobilenetv2_dogs", "pool", 1280),  # its 1280 features, before they are flattened
        ("googlenet", "pool5/7x7_s1", 1024),
        ("mobilenetv1_0.25", "pool", 256),
        ("vgg16_conv4_2", "conv4_2", 512),  # does not classify
    ],
)
def test_the_usual_blob(file: str, blob: str, length: int) -> None:
    path = SHARED / "models" / f"{file}.onnx"
    if file != "squeezenet1.1" and not path.exists():
        pytest.skip(f"{path.name} is not among the shared models")
    net = oneiro.load(file if file == "squeezenet1.1" else path)
    assert code_blob(net) == net.resolve(blob)
    assert net.shapes({net.input: (1, 3, 224, 224)}, end=blob)[net.resolve(blob)][1] == length


@pytest.mark.parametrize(
    ("name", "blob"),
    [
        ("bvlc_alexnet", "r21"),  # fc7 after its ReLU
        ("vgg19", "r43"),
        ("zfnet512", "r19"),
        ("inception_v1", "r138"),  # pool5
        ("resnet50", "r172"),
        ("densenet121", "r908"),
        ("squeezenet", "r60"),
    ],
)
def test_the_usual_blob_of_light_networks(name: str, blob: str) -> None:
    assert code_blob(Net(light.FOLDER / f"light_{name}.onnx")) == blob


def test_fc7_of_alexnet_at_its_fixed_size(net_of: Maker, folder: Path) -> None:
    net = net_of(light.light("bvlc_alexnet", end="prob_1"))
    net.preprocessing = Preprocess((104.0, 117.0, 123.0), 1.0, "BGR")
    steps: list[Step] = []
    collection = Collection(folder)
    collection.ids = collection.ids[1:4]
    codes = embed(net, collection, batch=3, on_step=steps.append)
    assert codes.vectors.shape == (3, 4096)
    assert len(steps) == 3  # its Reshape is for one picture
    assert codes.vectors.min() == 0
    assert 0.2 < (codes.vectors > 0).mean() < 0.8
    x = fed(net, folder / codes.ids[2], (224, 224))
    rectified = net.forward({net.input: x}, end="r21")["r21"]
    np.testing.assert_array_equal(codes.vectors[2], rectified[0])
    assert len(np.unique(codes.vectors, axis=0)) == 3
    with pytest.raises(ModelError, match=r"n\d+"):
        embed(net, folder, size=200)


# What is alike is near.


def test_patches_of_a_photo_are_near_each_other(squeezenet: Net, tmp_path: Path) -> None:
    names = ("chelsea_cat.png", "coffee.png", "flower_dahlia.jpg", "mountains.jpg")
    random = np.random.default_rng(0)
    for name in names:
        with Image.open(ROOT / "examples" / name) as photo:
            photo.thumbnail((300, 300))
            (tmp_path / name[:4]).mkdir()
            for k in range(12):
                left, top = (random.integers(0, side - 96) for side in photo.size)
                patch = photo.crop((left, top, left + 96, top + 96))
                patch.save(tmp_path / name[:4] / f"{k}.png")
    codes = embed(squeezenet, tmp_path, size=96)
    assert codes.names == ("chel", "coff", "flow", "moun")
    assert agreement(codes) > 0.8  # 0.23 by chance


@pytest.mark.skipif(not PHOTOS.exists(), reason="the 1000 photos are not among the shared images")
def test_dogs_are_near_dogs(squeezenet: Net) -> None:
    with zipfile.ZipFile(PHOTOS) as archive:
        number = {id: told[0] for id, told in json.loads(archive.read("labels.json")).items()}
    collection = Collection(PHOTOS)
    kinds = {"dog": range(151, 251, 3), "thing": range(510, 710, 6)}  # cars, boats, tools
    kind = {id: name for name, held in kinds.items() for id in number if number[id] in held}
    collection.ids = sorted(kind)
    codes = embed(squeezenet, collection, size=160)
    assert len(codes) == len(codes.labels) == 68
    assert all(codes.labels)
    named = Codes(codes.ids, codes.vectors, [kind[id] for id in codes.ids])
    assert agreement(named) > 0.75  # 0.5 by chance
