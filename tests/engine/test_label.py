"""Labels of pictures: from their folders, or from a labels.json."""

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from oneiro import ArgumentError, PictureError
from oneiro.collection import Collection
from oneiro.label import labels_in, natural, shared_folder


def photos(folder: Path, *ids: str) -> None:
    """Plain pictures of these names."""
    for id in ids:
        (folder / id).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20)).save(folder / id)


def test_the_first_folder_in_which_they_differ_is_the_label(tmp_path: Path) -> None:
    photos(tmp_path, "all/cat 10/x/1.png", "all/cat 9/1.png", "all/lone.png")
    collection = Collection(tmp_path)
    labels, names = labels_in(collection, collection.ids)
    assert dict(zip(collection.ids, labels, strict=True)) == {
        "all/cat 10/x/1.png": "cat 10", "all/cat 9/1.png": "cat 9", "all/lone.png": ""
    }  # fmt: skip
    assert names == ["cat 9", "cat 10"]
    assert shared_folder(["a/b/1", "a/c/2", "a/3"]) == "a/"
    assert natural("b2") < natural("b10") < natural("c")


@pytest.mark.parametrize("inner", ["", "all/"])
def test_labels_json_says_more(tmp_path: Path, inner: str) -> None:
    photos(tmp_path, *(f"{inner}{name}.png" for name in "abcd"))
    told = {"a.png": [7, "tench, Tinca"], "b.png": [2, "hen"], "d.png": [7, "tench, Tinca"]}
    (tmp_path / inner / "labels.json").write_text(json.dumps(told))
    collection = Collection(tmp_path)
    labels, names = labels_in(collection, collection.ids)
    assert labels == ["tench, Tinca", "hen", "", "tench, Tinca"]
    assert names == ["hen", "tench, Tinca"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[1]", "must be"), ('{"a.png": [1, 2, 3]}', "no label")],
)
def test_a_broken_labels_json_is_named(tmp_path: Path, text: str, said: str) -> None:
    photos(tmp_path, "a.png")
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ArgumentError, match=rf"labels\.json: .*{said}"):
        labels_in(Collection(tmp_path), ["a.png"])


def archive(path: Path, labels: bytes) -> Path:
    """A zip of a plain picture and labels."""
    photos(path.parent, "a.png")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("labels.json", labels)
        file.write(path.parent / "a.png", "a.png")
    return path


def test_damaged_labels_of_an_archive_are_named(tmp_path: Path) -> None:
    source = archive(tmp_path / "photos.zip", b'{"a.png": "hen"}')
    data = bytearray(source.read_bytes())
    data[45] ^= 255
    source.write_bytes(data)
    with pytest.raises(PictureError, match=r"photos\.zip/labels\.json: cannot be read"):
        labels_in(Collection(source), ["a.png"])


def test_labels_too_large_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "photos.zip", b'{"a.png": "hen"}' + bytes(2000))
    monkeypatch.setattr("oneiro.collection.MAX_BYTES", 1000)
    with pytest.raises(PictureError, match=r"labels\.json: takes 2,016 bytes, more than 1,000"):
        labels_in(Collection(source), ["a.png"])
