"""Codes: files that come back, components, t-SNE, and pictures that make sense."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oneiro import ArgumentError, Codes, load_codes
from oneiro.mosaic import snapped

RECIPE = {
    "method": "embed", "model": {"name": "net.onnx"}, "parameters": {"blob": "fc7"}
}  # fmt: skip


def made(n: int = 7, d: int = 3, **more: Any) -> Codes:
    vectors = np.random.default_rng(0).normal(size=(n, d))
    return Codes([f"f/{k}.png" for k in range(n)], vectors, **more)


def photos(folder: Path, shades: dict[str, int]) -> Path:
    """Plain pictures of these greys."""
    for id, shade in shades.items():
        (folder / id).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), (shade, shade, shade)).save(folder / id)
    return folder


@pytest.fixture(scope="module")
def digits() -> Codes:
    """Raw pixels of 8 x 8 handwritten digits, and what they are."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn brings the digits")
    pixels, labels = datasets.load_digits(return_X_y=True)
    return Codes(range(360), pixels[:360], labels[:360])


def agreement(codes: Codes, index: np.ndarray) -> float:
    """How many of the neighbours have the label of the one whose they are."""
    numbers = np.array(codes.numbers)
    return float((numbers[index] == numbers[:, None]).mean())


# What codes are.


def test_labels_have_an_order_and_numbers() -> None:
    codes = made(5, labels=["b10", "", "b9", "b10", "a"])
    assert codes.names == ("a", "b9", "b10")
    assert codes.numbers == [2, -1, 1, 2, 0]
    given = made(3, labels=["x", "y", "x"], names=["y", "unused", "x"])
    assert given.names == ("y", "x")
    assert made(2, labels=["", ""]).labels == ()
    assert made(2).numbers == []


def test_titles_and_finding() -> None:
    codes = made(3, labels=["tench, Tinca", "", "hen"])
    assert [codes.title(k) for k in range(3)] == ["tench", "1", "hen"]
    assert [codes.find(text) for text in ("f/1.png", "Tinca", "2.p")] == [1, 0, 2]
    for text, said in (("png", "3 pictures may be meant: f/0.png"), ("dog", "no picture has it")):
        with pytest.raises(ArgumentError, match=said):
            codes.find(text)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((["a"], np.zeros((2, 3))), "1 ids, 0 labels and 2 vectors"),
        ((["a", "b"], np.zeros((2, 3)), ["x"]), "2 ids, 1 labels and 2 vectors"),
        ((["a"], np.zeros(3)), r"vectors are \(3,\)"),
        (([], np.zeros((0, 3))), r"\(0, 3\)"),
        ((["a"], np.array([[np.inf]])), "finite"),
    ],
)
def test_what_makes_no_codes(parts: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Codes(*parts)


def test_a_notebook_shows_them_and_names_are_escaped() -> None:
    text = made(6, labels=["<b>"] * 5 + [""], recipe=RECIPE)._repr_html_()
    assert "6 pictures, 3 numbers each, fc7 of net.onnx" in text
    assert "&lt;b&gt; (5)" in text
    assert "data:image/png;base64," in text
    assert made(1)._repr_html_().startswith("<b>Codes</b>")


# Files.


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"labels": ["ä", "", "b", "ä", "b", "b", ""], "names": ["b", "ä"], "recipe": RECIPE},
    ],
    ids=["plain", "labelled"],
)
def test_they_come_back_from_a_file(tmp_path: Path, suffix: str, more: dict[str, Any]) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="Parquet is written by PyArrow")
    codes = made(**more)
    path = tmp_path / f"codes{suffix}"
    codes.save(path)
    again = load_codes(path)
    np.testing.assert_array_equal(again.vectors, codes.vectors)
    for name in ("ids", "labels", "names", "recipe"):
        assert getattr(again, name) == getattr(codes, name)
    first = path.read_bytes()
    codes.save(path)
    assert path.read_bytes() == first


def test_others_read_them(tmp_path: Path) -> None:
    codes = made(labels=["a", "", "b", "a", "b", "b", ""], recipe=RECIPE)
    codes.save(tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as held:
        assert held["ids"].tolist() == list(codes.ids)
        assert held["labels"].tolist() == list(codes.labels)
        assert held["vectors"].dtype == np.float32
        assert json.loads(str(held["recipe"])) == RECIPE
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is written by PyArrow")
    codes.save(tmp_path / "codes.parquet")
    table = parquet.read_table(tmp_path / "codes.parquet")
    assert table.column_names == ["id", "label", "vector"]
    assert table["label"].to_pylist() == ["a", None, "b", "a", "b", "b", None]
    np.testing.assert_array_equal(table["vector"].to_pylist(), codes.vectors)


def npz(**arrays: Any) -> bytes:
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def bomb() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", bytes(10**7))
    return data.getvalue()


ONE = np.ones((1, 2), np.float32)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "holds no codes, or is damaged"),
        (npz(ids=["a"]), "no array 'vectors'"),
        (npz(ids=["a", "b"], vectors=ONE), "2 ids"),
        (npz(ids=["a"], vectors=ONE * np.nan), "finite"),
        (npz(ids=np.array(["a"], object), vectors=ONE), "holds no codes, or is damaged"),
        (npz(ids=["a"], vectors=ONE, recipe="[1"), "damaged"),
        (npz(ids=["a"], vectors=ONE, recipe="[1]"), "damaged|broken"),
        (npz(ids=["a"], vectors=ONE, recipe='{"model": 3}'), "its recipe is broken"),
        (npz(ids=["a"], vectors=ONE, recipe='{"model": {"name": NaN}}'), "damaged"),
        (npz(ids=["a"], vectors=ONE)[:-30], "damaged"),
        (bomb(), "200 times its own size"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "codes.npz"
    path.write_bytes(data)
    with pytest.raises(ArgumentError, match=rf"codes\.npz: .*({said})"):
        load_codes(path)


def test_files_that_are_not_there_or_have_another_name(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no such file"):
        load_codes(tmp_path / "codes.npz")
    for path in (tmp_path / "codes.csv", tmp_path):
        with pytest.raises(ArgumentError, match=r"\.npz or \.parquet"):
            made().save(path)
    with pytest.raises(FileNotFoundError):
        made().save(tmp_path / "none" / "codes.npz")


# The plane.


def test_principal_components_are_those_of_the_covariance() -> None:
    codes = made(40, 6)
    rows = codes.vectors.astype(np.float64)
    found = codes.pca(3)
    spread, axes = np.linalg.eigh(np.cov(rows.T))
    np.testing.assert_allclose(found.var(0, ddof=1), spread[::-1][:3], rtol=1e-6)
    expected = (rows - rows.mean(0)) @ axes[:, ::-1][:, :3]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6)
    weights = np.linalg.lstsq(rows - rows.mean(0), found, rcond=None)[0]
    assert (np.take_along_axis(weights, np.abs(weights).argmax(0)[None], 0) > 0).all()


def test_components_that_there_are_not_are_zero() -> None:
    assert not made(1, 4).pca().any()
    points = made(5, 1).pca(3)
    assert points.shape == (5, 3)
    assert points[:, 0].any()
    assert not points[:, 1:].any()
    with pytest.raises(ArgumentError, match="dims is 0"):
        made().pca(0)


def test_tsne_parts_the_digits(digits: Codes) -> None:
    points = digits.tsne()
    near = Codes(digits.ids, points, digits.labels).neighbours(8, "l2")
    assert agreement(digits, near.indices) > 0.9
    flat = Codes(digits.ids, digits.pca(), digits.labels).neighbours(8, "l2")
    assert agreement(digits, near.indices) > agreement(digits, flat.indices) + 0.2
    # their grid: cells next to each other mostly show the same digit
    cells = Codes(digits.ids, snapped(points, 18, 20), digits.labels)
    assert agreement(digits, cells.neighbours(4, "l2").indices) > 0.75


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_neighbours_of_digits_are_the_same_digits(digits: Codes, metric: str) -> None:
    assert agreement(digits, digits.neighbours(5, metric).indices) > 0.93


def test_tsne_of_few_and_of_equal_ones() -> None:
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    codes = made(12)
    points = codes.tsne()
    assert points.shape == (12, 2)
    np.testing.assert_array_equal(points, codes.tsne(seed=0))
    assert not np.array_equal(points, codes.tsne(seed=1))
    assert made(5).tsne().shape == (5, 2)
    assert not Codes("abcdef", np.ones((6, 3))).tsne().any()
    for parts, said in (
        ((made(4).tsne, {}), "4 pictures: take pca"),
        ((made(9).tsne, {"perplexity": 9}), "lie in 1..8"),
        ((made(9).tsne, {"metric": "l3"}), "metric"),
        ((made(9).tsne, {"seed": -1}), "seed is -1"),
    ):
        function, arguments = parts
        with pytest.raises(ArgumentError, match=said):
            function(**arguments)


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"oneiro\[embed\]"):
        made().tsne()
    with pytest.raises(ArgumentError, match=r"oneiro\[parquet\]"):
        made().save(tmp_path / "codes.parquet")


# Pictures.


@pytest.fixture
def grey(tmp_path: Path) -> Codes:
    """Six pictures whose only number is their grey."""
    shades = {f"{kind}/{k}.png": 40 * k for k, kind in enumerate(["a", "a", "b", "b", "b", "c"])}
    ids = sorted(shades)
    vectors = np.array([[shades[id], 1] for id in ids])
    codes = Codes(ids, vectors, [id[0] for id in ids], recipe=RECIPE)
    return codes.with_pictures(photos(tmp_path, shades))


def test_a_sheet_shows_each_query_and_then_its_nearest(grey: Codes) -> None:
    sheet = grey.sheet(["a/0.png", "c", 2], k=2, metric="l2")
    assert sheet.recipe["parameters"] == {"blob": "fc7", "picture": "neighbours"}
    rows = [0, 5, 2]
    near = [[1, 2], [4, 3], [1, 3]]
    step_x, step_y = (sheet.shape[1] - 13) // 3, (sheet.shape[0] - 13) // 3
    middles = np.asarray(sheet)[13 + 56 :: step_y, 13 + 56 :: step_x, 0][:3, :3]
    np.testing.assert_array_equal(middles, [[40 * k for k in (q, *n)] for q, n in zip(rows, near)])


def test_a_sheet_of_pictures_that_are_all_alike(grey: Codes) -> None:
    alike = Codes(grey.ids, np.ones((6, 2)), collection=grey.collection)
    assert alike.sheet([5], k=3).shape == grey.sheet([5], k=3).shape


def test_a_grid_shows_the_pictures_in_their_order(grey: Codes) -> None:
    grid = grey.grid(grey.pca(), side=20)
    assert grid.recipe["parameters"]["picture"] == "grid"
    shown = np.asarray(grid)[12::22, 12::22, 0]
    assert shown.shape == (2, 3)
    assert sorted(shown.ravel()) == [0, 40, 80, 120, 160, 200]
    assert (np.diff(shown, axis=1) > 0).all()


def test_a_scatter_knows_its_labels(grey: Codes) -> None:
    scatter = grey.scatter()
    assert scatter.recipe["parameters"]["picture"] == "scatter"
    assert scatter.shape[1] > scatter.shape[0]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda codes: codes.sheet([6]), "numbers below 6"),
        (lambda codes: codes.sheet([]), "queries"),
        (lambda codes: codes.grid(np.zeros((5, 2))), r"must be \(6, 2\)"),
        (lambda codes: codes.scatter(np.zeros((6, 3))), r"must be \(6, 2\)"),
        (lambda codes: Codes(codes.ids, codes.vectors).sheet(), "not known"),
        (lambda codes: made(2).with_pictures(codes.collection), "2 of 2 pictures are not in it"),
    ],
)
def test_what_cannot_be_drawn(grey: Codes, ask: Callable[[Codes], Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        ask(grey)
