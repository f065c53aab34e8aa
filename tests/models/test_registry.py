"""The registry: names, files and the facts that a picture must be prepared by."""

import dataclasses
import hashlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import oneiro
from oneiro.error import ModelError
from oneiro.models import registry
from oneiro.preprocess import Preprocess

ZOO = Path(__file__).parents[3] / "shared" / "zoo_registry.json"


@pytest.mark.parametrize("name", registry.names())
def test_every_row_is_complete(name):
    entry = registry.find(name)
    assert entry.name == name
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert registry.recognize(entry.sha256) is entry
    assert re.fullmatch(r"[\w.-]+\.onnx", entry.file)
    assert entry.bytes > 0
    assert entry.size > 0
    assert entry.opset >= 6
    assert entry.licence
    assert entry.source
    assert entry.layout in ("NCHW", "NHWC")
    assert entry.task in ("classification", "detection", "features", "style transfer")
    assert (entry.classes > 0) == (entry.task in ("classification", "detection"))
    hash(entry)  # usable as a key


@pytest.mark.parametrize("name", registry.names())
def test_every_row_prepares_a_picture(name):
    entry = registry.find(name)
    fed = Preprocess(entry.mean, entry.scale, entry.order)
    assert sorted(fed.order) == ["B", "G", "R"]
    low, high = fed.bounds(3)
    assert (low < high).all()
    assert (np.abs(high) <= 255).all()


@pytest.mark.parametrize("name", registry.names())
def test_a_network_is_published_over_https_or_comes_with_its_user(name):
    entry = registry.find(name)
    assert len(set(entry.urls)) == len(entry.urls)
    for url in entry.urls:
        assert url.startswith("https://")
        assert url.endswith(".onnx")
        assert not re.search(r"[{}\s]", url)
    assert not (entry.urls and entry.embedded)


def test_the_files_of_two_rows_differ():
    entries = [registry.find(name) for name in registry.names()]
    assert len({entry.sha256 for entry in entries}) == len(entries)
    assert len({entry.file for entry in entries}) == len(entries)


@pytest.mark.skipif(not ZOO.exists(), reason=f"{ZOO} is not here")
def test_the_zoos_rows_are_those_of_the_zoo():
    rows = json.loads(ZOO.read_text("utf-8"))["models"]
    assert len(rows) == 43
    for row in rows:
        entry = registry.recognize(row["sha256"])
        assert entry is not None, row["name"]
        assert entry.name == row["name"] + ("-zoo" if row["name"] == "squeezenet1.1" else "")
        assert (entry.file, entry.bytes, entry.opset) == (row["file"], row["size"], row["opset"])
        assert (entry.licence, entry.classes) == (row["licence"], row["classes"] or 0)
        assert entry.urls == tuple(row["urls"])
        inputs = row["io"].get("inputs", [[None]])
        assert entry.input == inputs[0][0]
        assert entry.numbered == str(entry.input).endswith("data_0")

        fed = row["preprocessing"]
        unit = 255 if fed["range"] == "0..1" else 1  # of a mean and a std, in 0..255
        scale = 1 / (np.float64(fed["std"]) * unit) if "std" in fed else fed["scale"]
        assert (entry.order, entry.layout) == (fed["color"], fed["layout"])
        assert entry.size == (224 if isinstance(fed["size"], str) else fed["size"])
        np.testing.assert_allclose(np.full(3, entry.mean), np.float64(fed["mean"]) * unit, 1e-12)
        np.testing.assert_allclose(np.full(3, entry.scale), scale, 1e-12)

        said = row["preprocessing_source"]
        assert entry.verified == (not said.startswith("UNVERIFIED"))
        assert entry.source == (said if entry.verified else "a guess")


def test_the_embedded_network_comes_first():
    assert registry.names()[0] == "squeezenet1.1"


@pytest.mark.parametrize("name", [n for n in registry.names() if registry.find(n).embedded])
def test_an_embedded_file_is_the_one_of_its_row(name):
    entry = registry.find(name)
    data = registry.path(entry).read_bytes()
    assert len(data) == entry.bytes
    assert hashlib.sha256(data).hexdigest() == entry.sha256

    graph = onnx.load_from_string(data).graph
    blobs = {blob for node in graph.node for blob in node.output}
    assert entry.input in {value.name for value in graph.input}
    assert set(entry.aliases.values()) <= blobs
    assert set(entry.dream) <= set(inspect.signature(oneiro.deepdream).parameters)
    for end in entry.dream["end"]:
        blob, _, weight = end.partition("=")
        assert blob in blobs
        assert not weight or float(weight)


def test_an_unknown_name_is_answered_with_what_is_near():
    with pytest.raises(ModelError) as caught:
        registry.find("goglenet")
    line = str(caught.value)
    assert "'goglenet'" in line
    assert "googlenet" in line.replace("goglenet", "")
    assert "zfnet512" not in line
    assert "oneiro models" in line
    assert ".onnx" in line
    assert "\n" not in line


def test_a_network_that_is_published_nowhere_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("ONEIRO_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"published nowhere: give the path .* googlenet\.onnx"):
        registry.path(registry.find("googlenet-caffe"))


def test_an_unknown_file_is_not_recognized():
    assert registry.recognize("0" * 64) is None


def test_labels_are_names_in_the_order_of_the_output():
    classes = registry.labels(registry.find("squeezenet1.1"))
    assert len(classes) == 1000
    assert classes[0] == "tench, Tinca tinca"
    assert classes[285] == "Egyptian cat"
    assert classes[967] == "espresso"
    assert all(classes)


def test_a_network_without_labels_or_favourites_has_none():
    assert registry.labels(registry.find("vgg16_conv4_2")) == ()
    assert registry.labels(registry.find("rcnn_ilsvrc13")) == ()
    assert registry.find("mobilenetv1_0.25").dream == {}


def test_a_row_cannot_be_changed():
    with pytest.raises(TypeError):
        registry.find("squeezenet1.1").dream["iter_n"] = 1


def test_of_blobs_that_caffe_wrote_several_times_the_last_one_has_the_name():
    blobs = ["data_0", "conv1/7x7_s2_1", "conv1/7x7_s2_2", "conv2_1_1", "fc6_1", "_fc6_mask_1", "x"]
    found = registry.aliases(registry.find("googlenet"), blobs)
    assert found["data"] == "data_0"
    assert found["conv1/7x7_s2"] == "conv1/7x7_s2_2"
    assert found["conv2_1"] == "conv2_1_1"
    assert found["fc6"] == "fc6_1"
    assert "x" not in found


def test_a_graphics_card_in_front_of_a_name_is_left_out():
    found = registry.aliases(registry.find("zfnet512"), ["gpu_0/data_0", "gpu_0/conv1_1"])
    assert found == {"data": "gpu_0/data_0", "conv1": "gpu_0/conv1_1"}


def test_other_names_are_those_of_blobs_that_the_file_has():
    vgg = registry.find("vgg19")
    assert vgg.aliases["conv4_2"] == "vgg0_relu9_fwd"  # as the zoo's readers know them
    assert vgg.aliases["conv5_1"] == "vgg0_relu12_fwd"
    assert vgg.aliases["fc8"] == "vgg0_dense2_fwd"
    assert registry.aliases(vgg, ["data", "vgg0_relu9_fwd"]) == {"conv4_2": "vgg0_relu9_fwd"}
    zoo = registry.find("squeezenet1.1-zoo")
    assert zoo.aliases["fire2/concat"] == "squeezenet0_concat0"
    assert zoo.aliases["fire9/concat"] == "squeezenet0_concat7"


def test_a_file_of_the_registry_answers_to_its_other_names(tmp_path, monkeypatch, caplog):
    """The way through load, with a row made up for a small file."""
    make = helper.make_node
    graph = helper.make_graph(
        [make("Conv", ["data_0", "w"], ["conv1_1"]), make("Relu", ["conv1_1"], ["conv1_2"])],
        "small",
        [helper.make_tensor_value_info("data_0", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_empty_tensor_value_info("conv1_2")],
        [numpy_helper.from_array(np.ones((5, 3, 2, 2), np.float32), "w")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 12)])
    file = tmp_path / "small.onnx"
    file.write_bytes(model.SerializeToString())
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    row = dataclasses.replace(registry.find("zfnet512"), sha256=sha256)
    monkeypatch.setattr(registry, "_entries", lambda: {row.name: row})

    net = oneiro.load(file)
    net.forward(data=net.preprocess(np.full((6, 7, 3), 9, np.float32)), end="conv1")
    assert net.blobs["conv1_2"].shape == (1, 5, 5, 6)
    assert net.preprocessing is not None
    assert net.preprocessing.source == "registry (zfnet512, a guess)"
    (line,) = caplog.messages
    assert line.startswith("zfnet512: ")

    caplog.clear()
    assert oneiro.load(file, preprocess="torch").preprocessing.source == "preset torch (given)"
    assert caplog.messages == []
