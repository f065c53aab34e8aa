"""The registry: names, files and the facts that a picture must be prepared by."""

import hashlib
import inspect
import re

import numpy as np
import onnx
import pytest

import oneiro
from oneiro.error import ModelError
from oneiro.models import registry


@pytest.mark.parametrize("name", registry.names())
def test_every_row_is_complete(name):
    entry = registry.find(name)
    assert entry.name == name
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert registry.recognize(entry.sha256) is entry
    assert entry.bytes > 0
    assert entry.size > 0
    assert sorted(entry.order) == ["B", "G", "R"]
    for value in (entry.mean, entry.scale):
        assert np.size(value) in (1, 3)
    hash(entry)  # usable as a key


def test_the_files_of_two_rows_differ():
    entries = [registry.find(name) for name in registry.names()]
    assert len({entry.sha256 for entry in entries}) == len(entries)
    assert len({entry.file for entry in entries}) == len(entries)


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


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ModelError) as caught:
        registry.find("goglenet")
    line = str(caught.value)
    assert "'goglenet'" in line
    assert all(name in line for name in registry.names())
    assert ".onnx" in line
    assert "\n" not in line


def test_a_network_that_is_not_embedded_says_what_to_do():
    with pytest.raises(ModelError, match=r"does not download: give the path .* googlenet\.onnx"):
        registry.path(registry.find("googlenet"))


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
    assert registry.find("mobilenetv1_0.25").dream == {}


def test_a_row_cannot_be_changed():
    with pytest.raises(TypeError):
        registry.find("squeezenet1.1").dream["iter_n"] = 1
