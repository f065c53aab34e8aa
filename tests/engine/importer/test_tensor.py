"""Weights in files of their own: what is read, and what never is."""

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from oneiro import ModelError, Net
from oneiro.importer import ModelWarning
from oracle.notation import network

W = np.random.default_rng(1).normal(size=(4, 3, 2, 1)).astype(np.float32)
X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)
AHEAD = 12  # bytes in front of the weights


def model(**entries: str) -> ModelProto:
    """A convolution whose filters lie where the entries say."""
    result = network("y = Conv (x, w)", w=W)
    tensor = result.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the model, with a secret outside of it that looks like its weights."""
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.bin").write_bytes(bytes(AHEAD) + W.tobytes())
    (tmp_path / "secret.bin").write_bytes(bytes(AHEAD) + W.tobytes())
    return inside


def load(folder: Path, proto: ModelProto, **options: object) -> Net:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return Net(path, **options)  # type: ignore[arg-type]


def refused(folder: Path, proto: ModelProto, reason: str, **options: object) -> None:
    with pytest.raises(ModelError, match=re.escape(reason)) as caught:
        load(folder, proto, **options)
    assert str(caught.value).startswith(f"{folder / 'net.onnx'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [{}, {"length": str(W.nbytes)}])
def test_weights_beside_the_model(folder: Path, dtype: type, length: dict[str, str]) -> None:
    net = load(folder, model(location="w.bin", offset=str(AHEAD), **length), dtype=dtype)
    np.testing.assert_array_equal(net.params["y"][0], W)
    assert net.params["y"][0].dtype == dtype


def test_weights_in_a_folder_below(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "w.bin").rename(folder / "deep" / "w.bin")
    net = load(folder, model(location="deep/w.bin", offset=str(AHEAD)))
    np.testing.assert_array_equal(net.params["y"][0], W)


def test_the_hash_of_a_model_is_that_of_its_weights_too(folder: Path) -> None:
    proto = model(location="w.bin", offset=str(AHEAD))
    before = load(folder, proto).model.sha256
    (folder / "w.bin").write_bytes(bytes(AHEAD) + (W + 1).tobytes())
    assert load(folder, proto).model.sha256 != before


def test_weights_in_a_constant_node_are_read_alike(folder: Path) -> None:
    proto = network("k = Constant <value = float[1] {0}> () y = Mul (x, k)")
    tensor = proto.graph.node[0].attribute[0].t
    for field in ("float_data", "raw_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    refused(folder, proto, "not inside the folder")
    tensor.external_data[0].value = "w.bin"
    tensor.external_data.add(key="offset", value=str(AHEAD))
    np.testing.assert_allclose(load(folder, proto).forward(x=X)["y"], X * W.flat[0])


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin", "model/../../secret.bin", "/etc/passwd", "", "..\\secret.bin",
        "C:secret.bin", "C:\\secret.bin", "./../secret.bin", "w.bin/..", "\0w.bin",
    ],
)  # fmt: skip
def test_weights_outside_are_refused(folder: Path, location: str) -> None:
    """CVE-2022-25882, CVE-2024-27318."""
    refused(folder, model(location=location, offset=str(AHEAD)), "not inside the folder")


def as_link(folder: Path) -> str:
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    return "link.bin"


def as_inner_link(folder: Path) -> str:
    (folder / "link.bin").symlink_to(folder / "w.bin")
    return "link.bin"


def below_link(folder: Path) -> str:
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    return "up/secret.bin"


def as_hard_link(folder: Path) -> str:
    os.link(folder.parent / "secret.bin", folder / "hard.bin")
    return "hard.bin"


@pytest.mark.parametrize("place", [as_link, as_inner_link, below_link, as_hard_link])
def test_links_are_refused_unless_their_folder_is_named(
    folder: Path, place: Callable[[Path], str]
) -> None:
    """CVE-2026-27489, CVE-2026-34447 (symbolic links), CVE-2026-34446 (hard links)."""
    proto = model(location=place(folder), offset=str(AHEAD))
    refused(folder, proto, "give weights_dir")
    net = load(folder, proto, weights_dir=folder.parent)
    np.testing.assert_array_equal(net.params["y"][0], W)


def test_a_link_out_of_the_named_folder_is_refused(folder: Path) -> None:
    proto = model(location=as_link(folder), offset=str(AHEAD))
    refused(folder, proto, "outside of weights_dir", weights_dir=folder)


def test_weights_that_lie_in_the_named_folder_alone(folder: Path, tmp_path: Path) -> None:
    proto = model(location="secret.bin", offset=str(AHEAD))
    refused(folder, proto, "No such file")
    net = load(folder, proto, weights_dir=tmp_path)
    np.testing.assert_array_equal(net.params["y"][0], W)


def test_weights_that_are_no_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe.bin")
    refused(folder, model(location="pipe.bin"), "no regular file")
    (folder / "dir.bin").mkdir()
    refused(folder, model(location="dir.bin"), "'dir.bin'")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"offset": "13"}, "109 bytes are read of 'w.bin', which has 108"),
        ({"offset": "-12"}, "no number of bytes"),
        ({"offset": "1e1"}, "no number of bytes"),
        ({"offset": "١٢"}, "no number of bytes"),
        ({"offset": "9" * 19}, "which has 108"),
        ({"offset": "9" * 99}, "no number of bytes"),
        ({"length": "95"}, "length 95 does not fit [4, 3, 2, 1]: 96 bytes"),
        ({"length": str(1 << 50)}, "does not fit"),
    ],
)
def test_bytes_that_do_not_fit(folder: Path, entries: dict[str, str], reason: str) -> None:
    """CVE-2026-34445: a length of petabytes."""
    refused(folder, model(location="w.bin", **entries), reason)


def test_other_keys_change_nothing(folder: Path) -> None:
    """CVE-2026-34445: keys that name attributes of the reader."""
    entries = {"basepath": "/etc", "__class__": "evil", "max_bytes": "0", "folder": "/"}
    net = load(folder, model(location="w.bin", offset=str(AHEAD), **entries))
    np.testing.assert_array_equal(net.params["y"][0], W)


def test_packed_integers_outside(folder: Path) -> None:
    """Five values of 4 bits take three bytes."""
    proto = network("f = Cast <to = 1> (q) y = Mul (x, f)", opset=21)
    inside = numpy_helper.from_array(np.array([2], np.int8), "q")
    inside.ClearField("raw_data")
    inside.data_type = TensorProto.INT4
    inside.dims[:] = [5, 1]
    inside.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "q.bin", "length": "3"}.items():
        inside.external_data.add(key=key, value=value)
    (folder / "q.bin").write_bytes(bytes([0x21, 0x43, 0x0F]))
    proto.graph.initializer.append(inside)
    expected = X * np.float32([[1], [2], [3], [4], [-1]])
    np.testing.assert_array_equal(load(folder, proto).forward(x=X)["y"], expected)


def test_weights_that_are_not_finite_are_named(folder: Path) -> None:
    broken = W.copy()
    broken[1, 2, 0, 0] = np.nan
    with pytest.warns(ModelWarning, match="tensor 'w' holds values that are not finite"):
        load(folder, network("y = Conv (x, w)", w=broken))
    with warnings.catch_warnings():
        load(folder, network("y = Conv (x, w)", w=W))


def test_a_tensor_of_more_elements_than_bytes(folder: Path) -> None:
    proto = network("y = Conv (x, w)", w=W)
    proto.graph.initializer[0].dims[:] = [1 << 60]
    refused(folder, proto, "more than max_bytes")


def test_constants_together_are_bounded(folder: Path) -> None:
    proto = network("a = Add (x, h) b = Cast <to = 1> (h) y = Add (a, b)", h=X.astype(np.float16))
    load(folder, proto, max_bytes=900)
    reason = "node b (Cast): the constants up to here take 840 bytes, more than max_bytes=800"
    refused(folder, proto, reason, max_bytes=800)
