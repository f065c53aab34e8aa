"""Networks fetched by name: from the first address that gives the right bytes, and only once."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from oneiro.error import ModelError
from oneiro.file import atomic_write, check_folder
from oneiro.kernels.cache import folder

SECONDS = 0.1  # between two looks at the progress


class Published(Protocol):
    """What is fetched: a network of the registry, or another file that is published somewhere."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def urls(self) -> tuple[str, ...]: ...


class Incoming:
    """The bytes of a file as they come: counted, hashed, written, and told to who watches."""

    def __init__(self, file: BinaryIO, entry: Published) -> None:
        self.file = file
        self.entry = entry
        self.count = 0
        self.hash = hashlib.sha256()
        self.begun = self.told = time.monotonic()
        self.watched = sys.stderr.isatty()

    def write(self, chunk: bytes) -> None:
        self.count += len(chunk)
        if self.count > self.entry.bytes:
            raise ModelError(f"it sends more than {self.entry.bytes:,} bytes")
        self.hash.update(chunk)
        self.file.write(chunk)
        if self.watched and time.monotonic() - self.told > SECONDS:
            self.tell()

    def flush(self) -> None:
        """The downloader asks for this after each chunk; once at the end is enough."""

    def tell(self, end: str = "") -> None:
        self.told = time.monotonic()
        rate = self.count / max(self.told - self.begun, 1e-9)
        text = f"{self.count / 1e6:.1f} of {megabytes(self.entry)}, {rate / 1e6:.1f} MB/s"
        sys.stderr.write(f"\r{text:<50}{end}")
        sys.stderr.flush()

    def check(self) -> None:
        """Raise ModelError unless these were the bytes that were published."""
        if self.count != self.entry.bytes:
            raise ModelError(f"it sends {self.count:,} bytes instead of {self.entry.bytes:,}")
        if self.hash.hexdigest() != self.entry.sha256:
            raise ModelError(f"it sends another file, of sha256 {self.hash.hexdigest()}")


def place(entry: Published) -> Path:
    """Where it is kept: in $ONEIRO_CACHE, or in this user's cache folder."""
    return folder() / entry.file


def fetch(entry: Published) -> Path:
    """A file whose bytes are those that were published; fetched if it is not kept yet.

    Of several processes one fetches and the others wait. Nothing is left over of a download that
    fails or is interrupted. Raises ModelError, which says what went wrong at each address and how
    to place the file by hand.
    """
    path = place(entry)
    if is_whole(path, entry):
        return path
    if not entry.urls:
        raise ModelError(
            f"{entry.name} cannot be fetched, it is published nowhere: "
            f"give the path of your copy of {entry.file}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_folder(path)
        with alone(path):
            if not is_whole(path, entry):  # now that nobody else is at it
                if path.exists():
                    tell(f"{path} is not what it should be: fetching it anew")
                download(path, entry)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written: {error.strerror or error}; "
            "the variable ONEIRO_CACHE names another folder"
        ) from error
    return path


def is_whole(path: Path, entry: Published) -> bool:
    """Say whether the file is there, with the size and the sha256 that were published."""
    if not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file, after whoever holds it."""
    import filelock

    lock = filelock.FileLock(f"{path}.lock")
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        tell(f"another process is fetching {path}: waiting for it")
        held = lock.acquire()
    with held:
        yield


def download(path: Path, entry: Published) -> None:
    """Fetch a file from the first address that gives it; ModelError if none does."""
    failures = []
    for url in entry.urls:
        tell(f"fetching {entry.name}, {megabytes(entry)}, from {url} to {path}")
        try:
            receive(url, path, entry)
            return
        except ModelError as error:
            failures.append(f"{url}: {error}")
    raise ModelError(
        f"{entry.name} could not be fetched: place the file at {path} by hand "
        f"({entry.bytes:,} bytes, sha256 {entry.sha256}); tried {'; '.join(failures)}"
    )


def receive(url: str, path: Path, entry: Published) -> None:
    """Fetch a file from one address; ModelError says what went wrong there."""
    import pooch
    import requests  # pooch's own dependency

    with atomic_write(path) as file, contextlib.ExitStack() as stack:

        def close_later(response: requests.Response, **_: Any) -> None:
            stack.callback(response.close)  # pooch does not, where a transfer ends early

        incoming = Incoming(file, entry)
        http = pooch.HTTPDownloader(chunk_size=1 << 16, hooks={"response": close_later})
        try:
            http(url, incoming, None)
        except requests.RequestException as error:
            if error.response is not None:
                text = f"{error.response.status_code} {error.response.reason}"
            elif incoming.count:
                come = f"{incoming.count / 1e6:.1f} of {megabytes(entry)}"
                text = f"the connection broke off after {come}"
            elif isinstance(error, requests.exceptions.SSLError):
                text = "its certificate is not trusted"
            else:
                text = "no answer" if isinstance(error, requests.Timeout) else "no connection"
            raise ModelError(text) from error
        finally:
            if incoming.watched and incoming.count:
                incoming.tell("\n")
        incoming.check()


def megabytes(entry: Published) -> str:
    return f"{entry.bytes / 1e6:.1f} MB"


def tell(text: str) -> None:
    """A line on stderr, where it is in nobody's way."""
    sys.stderr.write(f"oneiro: {text}\n")
