"""Patches: what is recorded is so, the pieces hold what counts, and pages show it."""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

import oneiro
from oneiro import ArgumentError, Net, Patches, Preprocess, patches, save_image
from oneiro.image import rgb_bytes
from oneiro.methods.patch import EMPTY, tile, unit_gradient
from oracle.measure import distance
from oracle.small import Builder

ROOT = Path(__file__).parents[3]
PHOTOS = ROOT.parent / "shared" / "images" / "test_only" / "imagenet1000_128px.zip"
Nets = Callable[..., Net]
SIZE = (44, 53)


def trunk() -> ModelProto:
    net = Builder("trunk", opset=18)
    x = net.node("Relu", net.conv("data", 5, 3, 3, 2, strides=[2, 1], pads=[1, 0, 1, 1]), out="one")
    x = net.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2])
    a, b = net.conv(x, 4, 5, 1, 1), net.conv(x, 3, 5, 3, 3, pads=[1, 1, 1, 1])
    x = net.node("Relu", net.node("Concat", a, b, axis=1), out="two")
    x = net.node("GlobalAveragePool", net.node("Relu", net.conv(x, 6, 7, 3, 3)))
    return net.model(net.node("Flatten", x, out="end"), "one", "two")


@pytest.fixture
def net(net_of: Nets) -> Net:
    made = net_of(trunk())
    made.preprocessing = Preprocess((90.0, 110.0, 130.0), -0.02, "BGR")
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Blocks of colours, larger and smaller than the size of the scan."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(13):
        random = np.random.default_rng(number)
        blocks = random.integers(0, 256, (8 + number, 11, 3)).repeat(6, 0).repeat(6, 1)
        save_image(folder / f"{number:02}.png", blocks)
    return folder


@pytest.fixture
def found(net: Net, photos: Path) -> Patches:
    return patches(net, photos, ["one", "two", "end"], 4, size=SIZE)


def test_a_net_with_the_channels_last(net_of: Nets, photos: Path) -> None:
    builder = Builder("last", opset=18)
    turned = builder.node("Transpose", "data", perm=[0, 3, 1, 2], out="turned")
    builder.node("Relu", builder.conv(turned, 5, 3, 3, 2), out="one")
    model = builder.model("one")
    declared = model.graph.input[0].type.tensor_type.shape.dim
    declared[1].dim_param, declared[3].dim_value = "H", 3
    net = net_of(model)
    net.preprocessing = Preprocess(120.0, 0.01)
    assert patches(net, photos, size=SIZE).blobs == {"one": 5}
    turned = next(name for name in net.blobs if net.find(name) and "nhwc" in name)
    strange = patches(net, photos, [turned], 2, size=SIZE)  # its rows are taken for channels
    strange.page(turned, [3])


def test_units_and_rules_that_are_not_there(found: Patches) -> None:
    for unit in (7, -1):
        with pytest.raises(ArgumentError, match=rf"unit {unit} is not one of two's 0\.\.6"):
            found.page("two", [unit])
    with pytest.raises(ArgumentError, match="rule 'smooth' is not one of"):
        found.page("two", [], "smooth")


def test_what_is_recorded_is_what_the_picture_gives(found: Patches, net: Net) -> None:
    assert found.blobs == {"one": 5, "two": 7, "end": 6}
    for blob, units in found.blobs.items():
        for unit in range(units):
            scores = found.of(blob).scores[unit]
            assert (np.diff(scores) <= 0).all()
            for place in found.places(blob, unit):
                x = net.preprocess(found.photo(place.number))
                assert x.shape == (1, 3, *SIZE)
                values = net.forward({"data": x}, end=blob)[blob][0, unit]
                np.testing.assert_allclose(place.score, values.max(), rtol=1e-5)
                if values.ndim:
                    np.testing.assert_allclose(values[place.row, place.column], values.max())


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconv"])
@pytest.mark.parametrize("blob", ["one", "two", "end"])
def test_a_drive_is_the_gradient_of_the_one_unit_in_its_patch(
    found: Patches, net: Net, blob: str, rule: str, recwarn: pytest.WarningsRecorder
) -> None:
    places = [place for unit in (0, found.blobs[blob] - 1) for place in found.places(blob, unit)]
    drives = list(found.drives(blob, places, rule))
    assert len(drives) == len(places) >= 7  # one is dead in a picture
    for place, drive in zip(places, drives, strict=True):
        x = net.preprocess(found.photo(place.number))
        y = net.forward({"data": x}, end=blob)[blob]
        diff = np.zeros_like(y)
        diff[(0, place.unit, place.row, place.column)[: y.ndim]] = 1
        net.blobs[blob].diff = diff
        g = net.backward(start=blob, rule=rule)["data"][0].transpose(1, 2, 0)[..., ::-1] * -0.02
        assert drive.shape == (place.box.height, place.box.width, 3)
        top, left, height, width = place.box
        rows, columns = slice(max(top, 0), top + height), slice(max(left, 0), left + width)
        inside = drive[max(-top, 0) :, max(-left, 0) :][: SIZE[0] - top, : SIZE[1] - left]
        inside = inside[: g[rows].shape[0], : g[:, columns].shape[1]]
        np.testing.assert_allclose(inside, g[rows, columns], rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(np.abs(drive).sum(), np.abs(g).sum(), rtol=1e-4)


def test_pieces_are_enough_to_see_what_drives_a_unit(found: Patches) -> None:
    assert found.window("one")[:2] == (4, 3)
    assert found.window("two").height < SIZE[0]
    assert found.window("end") == (*SIZE, 1)


def test_a_patch_is_the_receptive_field(found: Patches, net: Net) -> None:
    place = found.place("two", 6, 0)
    patch = found.patch("two", 6, 0)
    assert patch.shape == (*found.fields["two"].size, 3)
    photo = np.pad(found.photo(place.number), ((40, 40), (40, 40), (0, 0)), constant_values=-1)
    photo = np.where(photo == -1, (130, 110, 90), photo)  # the colour that is zero to the net
    top, left, height, width = place.box
    expected = photo[40 + top :, 40 + left :][:height, :width]
    np.testing.assert_allclose(patch, expected, atol=1e-3)
    assert found.patch("end", 0).shape == (*SIZE, 3)
    # a unit at the border is filled up
    assert found.box("one", 0, 0) == (-1, 0, 3, 2)
    assert found.box("end", 0, 0) == (0, 0, *SIZE)


def test_a_score_that_the_pictures_do_not_give_is_told(
    found: Patches, caplog: pytest.LogCaptureFixture
) -> None:
    right = found.place("one", 0, 0)
    with caplog.at_level(logging.WARNING, "oneiro"):
        list(found.drives("one", [right]))
        assert not caplog.records
        list(found.drives("one", [right._replace(score=right.score * 1.1)]))
    assert f"one:0 is not the same for {found.collection.ids[right.number]}" in caplog.text


def test_a_page_has_a_row_for_each_unit(found: Patches) -> None:
    page = found.page("two", [1, 5], rule="deconv")
    small = found.page("two", [1], rule=None)
    assert page.shape[1] > 1.8 * (small.shape[1] - 80)
    assert page.shape[0] > small.shape[0] + 70
    recipe = page.recipe
    assert recipe is not None
    assert recipe["method"] == "patches"
    assert recipe["parameters"]["units"] == [1, 5]
    assert recipe == found.page_recipe("two", range(1, 6, 4), "deconv")
    json.dumps(recipe)
    patch = tile(found.patch("two", 1, 0), 76)
    assert holds(rgb_bytes(small), patch)
    assert found.unit("two", 5).shape[0] > 3 * 176
    assert found._repr_png_() is not None


def holds(page: np.ndarray, part: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Is the part somewhere on the page?"""
    windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], part.shape[:2])
    return bool((windows[:, ::2] == part[..., 0]).all((2, 3)).any()) or bool(
        (windows[:, 1::2] == part[..., 0]).all((2, 3)).any()
    )


def test_a_unit_that_is_zero_has_no_patches(found: Patches) -> None:
    scores = found.top.scores.copy()
    scores[0, 2:] = 0
    scores[1] = 0
    dull = dataclasses.replace(found, top=found.top._replace(scores=scores))
    assert len(dull.places("one", 0)) == 2
    page = rgb_bytes(dull.page("one", [0, 1]))
    assert (page == EMPTY).all(2).sum() >= 2 * (2 + 4) * 76 * 76
    with pytest.raises(ArgumentError, match="one:1 is zero in every picture"):
        dull.unit("one", 1)


def test_arguments(net: Net, photos: Path, found: Patches) -> None:
    for call, words in (
        (lambda: patches(net, photos, k=0), "k is 0"),
        (lambda: patches(net, photos, ["on"]), "near it: one"),
        (lambda: found.of("conv_0"), "was not scanned"),
        (lambda: found.patch("one", 5), r"unit 5 is not one of one's 0\.\.4"),
        (lambda: found.patch("one", 0, 4), "has no patch 4"),
        (lambda: found.page("one", rule="guide"), "rule 'guide' is not one of"),
        (lambda: found.save("patches.txt"), r"\.npz or \.json"),
    ):
        with pytest.raises(ArgumentError, match=words):
            call()


def test_patches_are_saved(found: Patches, tmp_path: Path) -> None:
    found.save(tmp_path / "p.npz")
    found.save(tmp_path / "p.json")
    arrays = np.load(tmp_path / "p.npz")
    told = json.loads((tmp_path / "p.json").read_text())
    assert arrays["ids"].tolist() == found.collection.ids
    np.testing.assert_array_equal(arrays["two/scores"], found.of("two").scores)
    first = told["blobs"]["two"]["units"][3][1]
    place = found.place("two", 3, 1)
    assert first["id"] == found.collection.ids[place.number]
    assert (first["row"], first["column"]) == (place.row, place.column)
    np.testing.assert_allclose(first["score"], place.score)
    assert told["blobs"]["two"]["field"]["size"] == list(found.fields["two"].size)
    assert told["blobs"]["end"]["field"] is None
    assert told["model"]["sha256"] == found.net.model.sha256


def test_what_cannot_be_read_is_skipped_in_one_line(
    net: Net, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "05.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "oneiro"):
        found = patches(net, photos, ["two"], 20, size=SIZE)
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 13 pictures skipped: 05.png is empty"
    ]
    assert found.skipped == {"05.png": "is empty"}
    found.save(tmp_path / "p.npz")
    pictures = np.load(tmp_path / "p.npz")["two/pictures"]
    assert (pictures[:, 12:] == -1).all()
    assert 5 not in pictures


def test_a_folder_answers_for_fewer_blobs_without_a_new_scan(
    net: Net, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "scan"
    whole = patches(net, photos, ["one", "two"], 4, size=SIZE, folder=folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    part = patches(net, photos, ["two"], 4, size=SIZE, folder=folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    np.testing.assert_array_equal(part.of("two").pictures, whole.of("two").pictures)
    with pytest.raises(ArgumentError, match="holds another scan"):
        patches(net, photos, ["end"], 4, size=SIZE, folder=folder)
    with pytest.raises(ArgumentError, match="k was 4, is 5"):
        patches(net, photos, ["two"], 5, size=SIZE, folder=folder)


SCRIPT = """
import os
import signal
import sys

import oneiro
import oneiro.peak

oneiro.peak.SHARD = 3
MODEL, PHOTOS, OUT, HOW = sys.argv[1:]


def told(done, count):
    if HOW == "killed" and done == 2:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    net = oneiro.load(MODEL, preprocess="torch")
    options = {"killed": {}, "one": {}, "two": {"processes": 2}, "dask": {"dask": "local"}}[HOW]
    found = oneiro.patches(
        net, PHOTOS, None, 4, size=(44, 53), folder=OUT, on_shard=told, **options
    )
    found.save(os.path.join(OUT, "patches.npz"))
    oneiro.save_image(os.path.join(OUT, "page.png"), found.page("two", range(3)))
"""


def scanned(tmp_path: Path, photos: Path, out: str, how: str) -> dict[str, bytes]:
    """The files that a process of its own makes."""
    script, model = tmp_path / "script.py", tmp_path / "net.onnx"
    script.write_text(SCRIPT)
    onnx.save(trunk(), model)
    done = subprocess.run(
        [sys.executable, script, model, photos, tmp_path / out, how],
        capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
    return {path.name: path.read_bytes() for path in (tmp_path / out).glob("[!.]*")}


def test_killed_or_shared_a_scan_comes_to_the_same_bytes(tmp_path: Path, photos: Path) -> None:
    straight = scanned(tmp_path, photos, "straight", "one")
    assert len(straight) == 5 + 3  # shards; manifest, patches and page
    killed = scanned(tmp_path, photos, "killed", "killed")
    assert killed.keys() < straight.keys()
    assert scanned(tmp_path, photos, "killed", "two") == straight


def test_a_cluster_comes_to_the_same_bytes(tmp_path: Path, photos: Path) -> None:
    pytest.importorskip("distributed", reason="distributed is absent: no cluster to scan with")
    assert scanned(tmp_path, photos, "cluster", "dask") == scanned(tmp_path, photos, "one", "one")


@pytest.mark.emulator
def test_the_emulator_sees_the_same(net: Net, photos: Path, tmp_path: Path) -> None:
    onnx.save(trunk(), tmp_path / "net.onnx")
    device = Net(tmp_path / "net.onnx", device="emulator")
    device.preprocessing = net.preprocessing
    one, other = (patches(n, photos, ["one", "two"], 3, size=SIZE) for n in (net, device))
    np.testing.assert_allclose(other.top.scores, one.top.scores, rtol=1e-4)
    for blob in ("one", "two"):
        places = one.places(blob, 3)
        drives = zip(one.drives(blob, places), other.drives(blob, places), strict=True)
        assert all(distance(b, a) < 1e-4 for a, b in drives)


def test_the_gradient_of_a_unit_exports(net: Net) -> None:
    shape = net.shapes({"data": (2, 3, *SIZE)}, end="two")["two"]
    inputs = {"data": (np.float32, (2, 3, *SIZE)), "seed": (np.float32, shape)}
    model = oneiro.export_program(net, unit_gradient("two", "guided"), **inputs)
    assert {output.name for output in model.graph.output} == {"value", "gradient"}


@pytest.mark.skipif(not PHOTOS.exists(), reason="the thousand photos are not there")
def test_units_of_squeezenet_have_themes(tmp_path: Path) -> None:
    with zipfile.ZipFile(PHOTOS) as whole, zipfile.ZipFile(tmp_path / "part.zip", "w") as part:
        for name in whole.namelist()[::4]:
            part.writestr(name, whole.read(name))
    net = oneiro.load("squeezenet1.1")
    found = patches(net, tmp_path / "part.zip", ["pool10"], 1, size=96)
    best = [found.collection.ids[number] for number in found.of("pool10").pictures[:, 0]]
    own = [id.partition("_")[2].removesuffix(".jpg").replace("_", " ") for id in best]
    names = [label.split(",")[0].lower() for label in net.labels]
    right = sum(a.lower() == b for a, b in zip(own, names, strict=True))
    assert right > 25, right  # of 250, where chance is one
