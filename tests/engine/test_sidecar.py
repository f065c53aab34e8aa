"""What stands beside a model, and who is heard first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oneiro
from oneiro import ArgumentError, ModelError, Preprocess
from oneiro.models import registry
from oneiro.preprocess import PRESETS
from oneiro.sidecar import read_labels, read_sidecar, sidecar_path, write_sidecar
from oracle.small import Builder

CAFFE = {"mean": (104.0, 117.0, 123.0), "scale": 0.5, "order": "BGR"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The file of a network that nobody knows."""
    net = Builder("own", opset=18)
    made = net.model(net.conv("data", 7, 3, 2, 4))
    path = tmp_path / "own.v2.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def beside(model: Path) -> Callable[[str], Path]:
    """beside(text): the sidecar of the model holds this text."""

    def write(text: str) -> Path:
        path = sidecar_path(model)
        path.write_text(text, "utf-8")
        return path

    return write


def test_what_is_written_is_read(model: Path) -> None:
    labels = model.with_name("käse.txt")
    labels.write_text("tench\ngoldfish\n", "utf-8")
    said = {**CAFFE, "layout": "NCHW", "size": (224, 256), "labels": labels}
    path = write_sidecar(model, said)
    assert path == model.parent / "own.v2.oneiro.toml"
    read = read_sidecar(model)
    assert read.pop("mean") == [104, 117, 123]
    assert read == {key: value for key, value in said.items() if key != "mean"}
    net = oneiro.load(model)
    assert net.preprocessing == Preprocess(**CAFFE)  # type: ignore[arg-type]
    assert net.preprocessing.source == "own.v2.oneiro.toml"
    assert (net.size, net.labels) == ((224, 256), ("tench", "goldfish"))


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_folder_is_no_model(path: str) -> None:
    with pytest.raises(ModelError):
        oneiro.load(path)


def test_numbers_survive_to_the_last_bit(model: Path) -> None:
    way = PRESETS["torch"]
    write_sidecar(model, {"mean": way.mean, "scale": way.scale})
    assert oneiro.load(model).preprocessing == way
    write_sidecar(model, {"mean": 1e-7, "scale": -1e22, "size": 7})
    assert oneiro.load(model).preprocessing == Preprocess(1e-7, -1e22)


def test_without_a_sidecar_nothing_is_known(model: Path) -> None:
    net = oneiro.load(model)
    assert read_sidecar(model) == {}
    assert (net.preprocessing, net.size, net.labels) == (None, None, ())


def test_who_is_heard_first(model: Path, beside: Callable[[str], Path]) -> None:
    beside('preprocess = "caffe"\nscale = 0.5\nsize = 99')
    net = oneiro.load(model)
    assert net.preprocessing == Preprocess((104, 117, 123), 0.5, "BGR")
    assert net.preprocessing.source == "own.v2.oneiro.toml over preset caffe (own.v2.oneiro.toml)"
    net = oneiro.load(model, mean=7, size=(33, 44))
    assert net.preprocessing == Preprocess(7, 0.5, "BGR")
    assert net.preprocessing.source.startswith("given over own.v2.oneiro.toml")
    assert net.size == (33, 44)
    net = oneiro.load(model, preprocess="tf", order="BGR")
    assert net.preprocessing == Preprocess(127.5, 1 / 127.5, "BGR")
    assert net.preprocessing.source == "given over preset tf (given)"


def test_a_known_file_is_overruled_by_its_sidecar(tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(registry.path(registry.find("squeezenet1.1")).read_bytes())
    known = oneiro.load(copy)
    assert known.preprocessing == PRESETS["caffe"]
    assert known.preprocessing.source == "registry (squeezenet1.1)"
    assert known.size == (227, 227)
    assert known.labels[967] == "espresso"
    sidecar_path(copy).write_text("scale = 2")
    told = oneiro.load(copy)
    assert told.preprocessing == Preprocess((104, 117, 123), 2, "BGR")
    assert told.preprocessing.source == "copy.oneiro.toml over registry (squeezenet1.1)"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("meen = 3", "'meen'"),
        ("mean = ", "TOML"),
        ("mean = 'red'", "mean"),
        ("mean = [1, [2, 3]]", "mean"),
        ("mean = [1, 2]\nscale = [1, 2, 3]", "mean and scale"),
        ("mean = true", "mean"),
        ("mean = nan", "mean"),
        ("scale = 0", "scale"),
        ("order = 'RBG'", "'RBG'"),
        ("order = ['R']", "order"),
        ("preprocess = 'keras'", "'keras'"),
        ("preprocess = ['caffe']", "preprocess"),
        ("layout = 'CHWN'", "'CHWN'"),
        ("size = 0", "size"),
        ("size = 2.5", "size"),
        ("size = true", "size"),
        ("size = [1, 2, 3]", "size"),
        ("size = 'big'", "size"),
        ("labels = 3", "labels"),
        ("labels = '../secret.txt'", "secret"),
        ("labels = '/etc/passwd'", "passwd"),
        ("[mean]\nred = 1", "mean"),
        ("a = " + "[" * 3000, "TOML"),
    ],
)
def test_a_broken_sidecar_is_one_clear_line(
    model: Path, beside: Callable[[str], Path], text: str, word: str
) -> None:
    path = beside(text)
    with pytest.raises(ModelError, match=word) as caught:
        oneiro.load(model)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_sidecar_that_is_no_text(model: Path) -> None:
    sidecar_path(model).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is no TOML"):
        oneiro.load(model)
    sidecar_path(model).unlink()
    sidecar_path(model).mkdir()
    with pytest.raises(ModelError, match=r"own\.v2\.oneiro\.toml"):
        oneiro.load(model)


def test_labels_behind_a_link_that_leads_away_are_not_read(
    model: Path, beside: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("secret")
    model.with_name("labels.txt").symlink_to(secret)
    beside('labels = "labels.txt"')
    with pytest.raises(ModelError, match="does not lie beside"):
        oneiro.load(model)


def test_what_cannot_be_written(model: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    sidecar_path(model).write_text("scale = 2")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "labels.txt"
    elsewhere.write_text("tench")
    bad: list[dict[str, Any]] = [{"labels": elsewhere}, {"size": 0}, {"depth": 3}, {"scale": 0}]
    for said in bad:
        with pytest.raises(ArgumentError):
            write_sidecar(model, said)
    assert sidecar_path(model).read_text() == "scale = 2"


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("n01440764 tench, Tinca tinca\nn0144 cat\n\nüber-dog\n", "utf-8")
    assert read_labels(path) == ("tench, Tinca tinca", "n0144 cat", "", "über-dog")
    path.write_bytes(b"\xff\xff")
    with pytest.raises(ArgumentError, match=r"labels\.txt.*UTF-8"):
        read_labels(path)
    path.write_text("\n\n")
    with pytest.raises(ArgumentError, match="holds no labels"):
        read_labels(path)
    with pytest.raises(ArgumentError, match=r"absent\.txt"):
        read_labels(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"size": 0}, "size"),
        ({"size": (1, 2, 3)}, "size"),
        ({"layout": "CHW"}, "CHW"),
        ({"preprocess": "keras"}, "keras"),
        ({"preprocess": ""}, "preprocess"),
        ({"mean": "104"}, "mean"),
        ({"labels": "absent.txt"}, r"absent\.txt"),
    ],
)
def test_arguments_of_load_that_make_no_sense(
    model: Path, arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(ArgumentError, match=word):
        oneiro.load(model, **arguments)


def test_numbers_of_numpy_are_sizes(model: Path) -> None:
    assert oneiro.load(model, size=np.int64(33)).size == (33, 33)
