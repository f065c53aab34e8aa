"""Many pictures: those of a folder, a zip or a tar, one after another or by their names."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import logging
import lzma
import os
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from .error import PictureError, printable
from .image import MAX_PIXELS, WRITERS, FilePath, Picture, load_image

log = logging.getLogger(__name__)

SUFFIXES = (*WRITERS, ".npy")
MAX_BYTES = 16 * MAX_PIXELS  # of one file: that many pixels of four float32
MAX_RATIO = 100  # of what a large tar takes unpacked and packed: pictures do not shrink so far
CHUNK = 1 << 20  # bytes that are unpacked at a time

PACKED: dict[bytes, Callable[..., Any]] = {  # by the first bytes
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
DAMAGES = (  # what archives raise
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError, lzma.LZMAError,
    tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Collection:
    """The pictures of a folder and the folders in it, or of a .zip or .tar (.gz, .bz2, .xz) file.

    `ids` are their paths in it, in order, with "/" between folders; `sizes` what each takes in
    bytes; `files` what every file takes, picture or not. A picture is what has the extension of
    one, whatever is in it; hidden files are none, links to folders are not followed, and nothing is
    unpacked but a compressed tar, into a temporary file. Raises PictureError where there is no such
    source, or no picture in it.
    """

    ids: list[str]
    sizes: dict[str, int]
    files: dict[str, int]

    def __init__(self, source: FilePath) -> None:
        self.source = Path(source)
        self.archive: _Folder | _Zip | _Tar = _opened(self.source)
        self.files = self.archive.sizes()
        self.ids = sorted(filter(is_picture, self.files))
        self.sizes = {id: self.files[id] for id in self.ids}
        if not self.ids:
            known = " ".join(SUFFIXES)
            raise PictureError(f"{source}: holds no pictures (files that end in {known})")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """sha256 of the ids and the sizes."""
        told = "".join(f"{id}\n{size}\n" for id, size in self.sizes.items())
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()

    def load(self, id: str, channels: int = 3) -> Picture:
        """The picture of that id, as load_image reads it; raises PictureError, which names it."""
        if id not in self.sizes:
            raise PictureError(f"{self.source}: has no picture {id!r}")
        return load_image(self.source / id, channels, io.BytesIO(self.read(id)))

    def read(self, name: str) -> bytes:
        """What the file of that name holds, picture or not; raises PictureError, which names it.

        One of more than MAX_BYTES is refused before it is read.
        """
        if name not in self.files:
            raise PictureError(f"{self.source}: has no file {name!r}")
        path, size = self.source / name, self.files[name]
        if size > MAX_BYTES:
            raise PictureError(f"{path}: takes {size:,} bytes, more than {MAX_BYTES:,}")
        try:
            return self.archive.read(name)
        except DAMAGES as error:
            raise PictureError(f"{path}: cannot be read ({error})") from error


def pictures(source: FilePath | Collection, channels: int = 3) -> Iterator[tuple[str, Picture]]:
    """(id, picture) of every picture in a folder, a zip or a tar, in the order of the ids.

    One that cannot be read is skipped, with a warning of one line. Raises PictureError as
    Collection does.
    """
    collection = source if isinstance(source, Collection) else Collection(source)
    for id in collection.ids:
        try:
            picture = collection.load(id, channels)
        except PictureError as error:
            log.warning("skipped: %s", error)
        else:
            yield id, picture


def is_picture(id: str) -> bool:
    """Does it end as pictures do, and is nothing of its path hidden?"""
    path = PurePosixPath(id)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _opened(source: Path) -> _Folder | _Zip | _Tar:
    if source.is_dir():
        return _Folder(source)
    try:
        if zipfile.is_zipfile(source):
            return _Zip(source)
        return _Tar(source)
    except FileNotFoundError:
        raise PictureError(f"{source}: there is no such folder, zip or tar") from None
    except DAMAGES as error:
        text = f"is no folder, and no zip or tar that can be read ({error})"
        raise PictureError(printable(f"{source}: {text}")) from error


class _Folder:
    """A folder on the disk."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self.source):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):  # a link to nothing
                    if path.is_file():
                        found[path.relative_to(self.source).as_posix()] = path.stat().st_size
        return found

    def read(self, id: str) -> bytes:
        return (self.source / id).read_bytes()


class _Zip:
    """A zip; of members of one name the last counts."""

    def __init__(self, source: Path) -> None:
        self.file = zipfile.ZipFile(source)

    def sizes(self) -> dict[str, int]:
        return {m.filename: m.file_size for m in self.file.infolist() if not m.is_dir()}

    def read(self, id: str) -> bytes:
        return self.file.read(id)


class _Tar:
    """A tar; of members of one name the last counts."""

    def __init__(self, source: Path) -> None:
        self.file = _unpacked(source)
        weakref.finalize(self, self.file.close)
        with tarfile.open(fileobj=self.file, mode="r:") as tar:
            self.members = {
                PurePosixPath(member.name).as_posix(): member
                for member in tar.getmembers()
                if member.isreg() and not member.issparse()
            }

    def sizes(self) -> dict[str, int]:
        return {id: member.size for id, member in self.members.items()}

    def read(self, id: str) -> bytes:
        member = self.members[id]
        self.file.seek(member.offset_data)
        return self.file.read(member.size)


def _unpacked(source: Path) -> BinaryIO:
    """The file itself, or what is packed in it: only a plain tar can be read in any order."""
    with open(source, "rb") as file:
        head = file.read(6)
    unpack = next((opener for magic, opener in PACKED.items() if head.startswith(magic)), None)
    if unpack is None:
        return open(source, "rb")
    limit = max(MAX_RATIO * source.stat().st_size, MAX_BYTES)
    draft: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as what reads it)
    try:
        with unpack(source) as packed:
            while chunk := packed.read(CHUNK):
                draft.write(chunk)
                if draft.tell() > limit:
                    raise tarfile.ReadError(f"it unpacks to more than {limit:,} bytes")
        draft.seek(0)
    except BaseException:
        draft.close()
        raise
    return draft
