"""The scan for peaks: against a search by hand, with nets of every habit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

import oneiro
from oneiro import ArgumentError, Net, PictureError, Preprocess, save_image
from oneiro.collection import Collection
from oneiro.peak import BATCH, SHARD, SHARDS, Peaks, batches, layers, peak_job
from oneiro.top import NONE
from oracle.small import Builder

Nets = Callable[..., Net]
COUNT = 11


def tiny() -> ModelProto:
    net = Builder("tiny", opset=18)
    x = net.node("Relu", net.conv("data", 5, 3, 3, 2, strides=[2, 1]), out="one")
    x = net.node("MaxPool", x, kernel_shape=[2, 2], out="pool")
    a, b = net.conv(x, 3, 5, 1, 1, out="a"), net.conv(x, 4, 5, 1, 1, out="b")
    x = net.node("Relu", net.node("Concat", a, b, axis=1, out="both"), out="two")
    x = net.node("GlobalAveragePool", net.norm(net.conv(x, 6, 7, 1, 1, out="raw"), 6), out="mean")
    return net.model(net.node("Flatten", x, out="end"), "one")


def single() -> ModelProto:
    """A net whose Reshape takes one picture alone."""
    net = Builder("single", opset=18)
    x = net.node("Relu", net.conv("data", 4, 3, 2, 2), out="one")
    return net.model(net.node("Reshape", x, net.ints(1, 4, 11, -1), out="end"), "one")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eleven pictures of several sizes; the fourth is damaged, the last two are equal."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        random = np.random.default_rng(min(number, COUNT - 2))
        pixels = random.integers(0, 256, (13 + number % 3, 16, 3))
        save_image(folder / f"{number:02}.png", pixels if number < COUNT - 2 else pixels[:13])
    (folder / "03.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def net_for(net_of: Nets, model: ModelProto) -> Net:
    net = net_of(model)
    net.preprocessing = Preprocess(120.0, 0.01)
    return net


def found_by(job: Peaks, number: int = 0) -> dict[str, NDArray[Any]]:
    return job.start()(number)


def test_peaks_are_those_that_a_search_finds(net_of: Nets, photos: Path) -> None:
    net = net_for(net_of, tiny())
    collection = Collection(photos)
    job = peak_job(net, collection, ["one", "end"], 3, (12, 15))
    shard = found_by(job)
    assert job.units == {"one": 5, "end": 6}
    assert shard["scores"].shape == (11, 3)
    assert shard["skipped"].tolist() == [3]
    assert "is damaged" in shard["reasons"][0]
    assert str(photos) not in shard["reasons"][0]
    peaks: list[list[tuple[float, int, int, int]]] = [[] for _ in range(11)]
    for number, id in enumerate(collection.ids):
        if number == 3:
            continue
        x = net.preprocess(job.fitted(collection, id))
        assert x.shape == (1, 3, 12, 15)
        blobs = net.forward({"data": x}, end=["one", "end"])
        for unit in range(5):
            values = blobs["one"][0, unit]
            row, column = np.unravel_index(values.argmax(), values.shape)
            peaks[unit].append((-float(values.max()), number, int(row), int(column)))
        for unit in range(6):
            peaks[5 + unit].append((-float(blobs["end"][0, unit]), number, 0, 0))
    for unit, places in enumerate(peaks):
        best = np.array(sorted(places)[:3])
        np.testing.assert_allclose(shard["scores"][unit], -best[:, 0], rtol=1e-5)
        for part, name in enumerate(("pictures", "rows", "columns"), 1):
            assert shard[name][unit].tolist() == best[:, part].tolist(), (unit, name)


def test_the_layers_are_where_units_show_best(net_of: Nets, photos: Path) -> None:
    net = net_for(net_of, tiny())
    job = peak_job(net, Collection(photos), None, 2, None)
    normed = next(node.tops[0] for node in net.nodes if node.layer.kind == "BatchNormalization")
    assert list(job.units) == ["one", "two", normed, "mean"]
    squeezenet = oneiro.load("squeezenet1.1")
    names = layers(squeezenet, list(squeezenet.blobs))
    assert names[:4] == ["conv1", "fire2/squeeze1x1", "fire2/concat", "fire3/squeeze1x1"]
    assert squeezenet.outputs[0] in names


def test_a_net_for_one_picture_gets_one_at_a_time(net_of: Nets, photos: Path) -> None:
    job = peak_job(net_for(net_of, single()), Collection(photos), ["one", "end"], 2, 12)
    assert job.shape == (1, 3, 12, 12)
    shard = found_by(job)
    np.testing.assert_array_equal(shard["scores"][:4], shard["scores"][4:])


def test_what_is_no_map_and_no_vector_has_no_units(net_of: Nets, photos: Path) -> None:
    builder = Builder("flat", opset=18)
    net = net_for(
        net_of, builder.model(builder.node("ReduceMean", "data", builder.ints(1), keepdims=0))
    )
    with pytest.raises(ArgumentError, match="'reducemean_0' has no units"):
        peak_job(net, Collection(photos), net.outputs, 2, 12)


def test_fewer_pictures_than_patches(net_of: Nets, photos: Path) -> None:
    shard = found_by(peak_job(net_for(net_of, tiny()), Collection(photos), ["two"], 12, 12))
    assert (shard["pictures"][:, :10] != NONE).all()
    assert (shard["pictures"][:, 10:] == NONE).all()
    assert np.isnan(shard["scores"][:, 10:]).all()


def test_large_collections_make_larger_shards(net_of: Nets, photos: Path) -> None:
    class Many(Collection):
        def __len__(self) -> int:
            return 3 * SHARD * SHARDS - 5

    net = net_for(net_of, tiny())
    assert peak_job(net, Collection(photos), None, 2, 12).shard == SHARD
    assert peak_job(net, Many(photos), None, 2, 12).shard == 3 * SHARD


def test_batches_are_full() -> None:
    fed = [(number, np.full((1, 2), number)) for number in range(5)]
    found = [(members, x[:, 0].tolist()) for members, x in batches(fed, 3)]
    assert found == [([0, 1, 2], [0, 1, 2]), ([3, 4], [3, 4, 4])]
    assert list(batches([], BATCH)) == []


def test_another_process_refuses_what_is_not_the_same(
    net_of: Nets, photos: Path, tmp_path: Path
) -> None:
    job = peak_job(net_for(net_of, tiny()), Collection(photos), ["one"], 2, 12)
    sent = Peaks(**job.__getstate__())
    assert sent.net is None
    assert sent.key == job.key
    again = found_by(sent)
    for name, array in found_by(job).items():
        np.testing.assert_array_equal(again[name], array)
    save_image(photos / "more.png", np.zeros((9, 9, 3)))
    with pytest.raises(PictureError, match="holds other pictures than when the scan began"):
        sent.start()
    (photos / "more.png").unlink()
    net_of(single())  # in the place of the other
    with pytest.raises(oneiro.ModelError, match="is another file here"):
        sent.start()
