"""Collections of pictures: the same ones from a folder, a zip and every kind of tar."""

import io
import logging
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneiro import PictureError
from oneiro.collection import Collection, is_picture, pictures

IDS = ["a.png", "b/a.JPG", "b/c/z.npy", "b.png", "ä b.gif"]


def png(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


def npy() -> bytes:
    data = io.BytesIO()
    np.save(data, np.full((4, 6, 3), 99.5, np.float32))
    return data.getvalue()


FILES = {
    "b.png": png(1),
    "ä b.gif": png(2, "GIF"),
    "b/c/z.npy": npy(),
    "a.png": png(3),
    "b/a.JPG": png(4, "JPEG"),
    "notes.txt": b"none",
    ".hidden.png": png(5),
    "__MACOSX/a.png": b"none",
}


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("b")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


MAKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "folder": folder,
    "zip": zipped,
    "tar": tarred,
    **{
        f"tar.{kind}": lambda path, files, kind=kind: tarred(path, files, f"w:{kind}")
        for kind in ("gz", "bz2", "xz")
    },
}


@pytest.mark.parametrize("kind", MAKERS)
def test_all_sources_hold_the_same_pictures(tmp_path: Path, kind: str) -> None:
    source = MAKERS[kind](tmp_path / "photos", FILES)
    collection = Collection(source)
    assert collection.ids == sorted(IDS)
    assert len(collection) == 5
    assert collection.sizes == {id: len(FILES[id]) for id in sorted(IDS)}
    for id in reversed(IDS):
        with (
            Image.open(io.BytesIO(FILES[id]))
            if id != "b/c/z.npy"
            else Image.new("RGB", (6, 4), (99, 99, 99)) as image
        ):
            expected = np.asarray(image.convert("RGB"), np.float32)
        np.testing.assert_allclose(collection.load(id), expected, atol=0.5)
    found = list(pictures(source, 1))
    assert [id for id, _ in found] == sorted(IDS)
    assert {picture.shape for _, picture in found} == {(5, 7, 1), (4, 6, 1)}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_damaged_picture_is_skipped_in_one_line(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"a.png": png(0), "b.png": png(1)[:60], "c.png": b"", "d.png": png(2)}
    source = MAKERS[kind](tmp_path / "photos", files)
    with caplog.at_level(logging.WARNING, "oneiro"):
        assert [id for id, _ in pictures(source)] == ["a.png", "d.png"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("\n" not in line for line in lines)
    assert "photos/b.png" in lines[0]
    assert "photos/c.png: is empty" in lines[1]


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path) -> None:
    source = zipped(tmp_path / "photos.zip", {"a.png": png(0)})
    data = bytearray(source.read_bytes())
    data[60] ^= 255
    source.write_bytes(data)
    with pytest.raises(PictureError, match=r"photos\.zip/a\.png: cannot be read"):
        Collection(source).load("a.png")


@pytest.mark.parametrize("kind", MAKERS)
def test_files_that_are_no_pictures_are_read_too(tmp_path: Path, kind: str) -> None:
    collection = Collection(MAKERS[kind](tmp_path / "photos", FILES))
    assert collection.read("notes.txt") == b"none"
    assert collection.read("b.png") == FILES["b.png"]
    with pytest.raises(PictureError, match=r"photos: has no file '\.\./b\.png'"):
        collection.read("../b.png")
    with pytest.raises(PictureError, match=r"photos: has no picture 'notes\.txt'"):
        collection.load("notes.txt")


def test_a_member_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = zipped(tmp_path / "photos.zip", {"a.png": png(0)})
    monkeypatch.setattr("oneiro.collection.MAX_BYTES", 10)
    with pytest.raises(PictureError, match=r"a\.png: takes .* bytes, more than 10"):
        Collection(source).load("a.png")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_that_unpacks_to_far_more_than_it_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = MAKERS[kind](tmp_path / "photos", {"a.png": png(0), "b.bmp": bytes(10**6)})
    assert len(Collection(source)) == 2
    monkeypatch.setattr("oneiro.collection.MAX_BYTES", 1000)
    with pytest.raises(PictureError, match=r"photos: .*unpacks to more than"):
        Collection(source)


def test_no_path_in_an_archive_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0))
    source = tmp_path / "photos.tar"
    with tarfile.open(source, "w") as archive:
        for name, kind in (("b.png", tarfile.SYMTYPE), ("c.png", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "a.png")
            archive.addfile(member)
        archive.add(tmp_path / "a.png", "d.png")
        archive.add(tmp_path / "a.png", "../e.png")
    assert Collection(source).ids == ["d.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "photos.tar"]


def test_links_are_read_and_links_that_lead_nowhere_are_not(tmp_path: Path) -> None:
    source = folder(tmp_path / "photos", {"a.png": png(0)})
    (source / "b.png").symlink_to("a.png")
    (source / "c.png").symlink_to("nothing")
    (source / "d").symlink_to(source)
    assert Collection(source).ids == ["a.png", "b.png"]


def test_what_is_no_collection_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b" + bytes(20))
    for name, words in {
        "absent": "there is no such",
        "text.zip": "no zip or tar that can be read",
        "broken.tar.gz": "no zip or tar that can be read",
        "empty": "holds no pictures",
    }.items():
        with pytest.raises(PictureError, match=f"{name}: .*{words}") as raised:
            Collection(tmp_path / name)
        assert "\n" not in str(raised.value)
    with pytest.raises(PictureError, match="has no picture 'x'"):
        Collection(folder(tmp_path / "one", {"a.png": png(0)})).load("x")


def test_hidden_and_other_files_are_no_pictures() -> None:
    assert is_picture("a/b.WEBP")
    assert not any(map(is_picture, ["a.txt", "png", ".a.png", ".git/a.png", "a/.png", ""]))
