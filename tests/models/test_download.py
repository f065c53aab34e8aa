"""Fetching by name, from servers on this machine that behave well and badly."""

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oneiro.error import ModelError
from oneiro.models import Entry, download, registry
from oracle.server import serving

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at /good, and what is wrong with it elsewhere; `asked` lists the paths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.go_on = threading.Event()  # what /slow waits for

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class Answer(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = {
            "/good": CONTENT,
            "/slow": CONTENT,
            "/cut": CONTENT[:100_000],
            "/short": CONTENT[:-1],
            "/long": CONTENT + b"!",
            "/other": CONTENT[::-1],
        }.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT if self.path == "/cut" else body)))
        self.end_headers()
        if self.path == "/slow":
            self.wfile.write(body[:1000])
            self.server.go_on.wait(60)
            body = body[1000:]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server
        server.go_on.set()


Published = Callable[..., Entry]


@pytest.fixture
def published(server: Server) -> Published:
    """published("cut", "good"): a network with these addresses on the server."""

    def make(*pages: str) -> Entry:
        urls = tuple(f"http://127.0.0.1:{server.server_port}/{page}" for page in pages)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        row = registry.find("squeezenet1.1-zoo")
        return replace(row, name="toy", file="toy-7.onnx", bytes=300_000, sha256=sha256, urls=urls)

    return make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deep" / "cache"  # not there yet
    monkeypatch.setenv("ONEIRO_CACHE", str(folder))
    monkeypatch.setenv("NO_PROXY", "*")
    return folder


def kept(cache: Path) -> list[str]:
    """What a download leaves in the cache, its lock aside."""
    return [path.name for path in cache.iterdir() if path.suffix != ".lock"]


def refused(entry: Entry) -> str:
    """The one line that says why a network cannot be had."""
    with pytest.raises(ModelError) as caught:
        registry.path(entry)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_network_is_fetched_once(
    published: Published, server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = published("good")
    path = registry.path(entry)
    assert path == cache / "toy-7.onnx"
    assert path.read_bytes() == CONTENT
    assert kept(cache) == ["toy-7.onnx"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"oneiro: fetching toy, 0.3 MB, from {entry.urls[0]} to {path}\n"

    assert registry.path(entry) == path
    assert server.asked == ["/good"]
    assert capsys.readouterr().err == ""


def test_progress_is_shown_to_who_watches(
    published: Published, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(download, "SECONDS", 0)
    registry.path(published("good"))
    *shown, last = capsys.readouterr().err.split("\r")[1:]
    assert all("of 0.3 MB" in text and "\n" not in text for text in shown)
    assert last.startswith("0.3 of 0.3 MB, ")
    assert last.endswith("\n")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("absent", "404 Not Found"),
        ("cut", "broke off after 0.1 of 0.3 MB"),
        ("short", "sends 299,999 bytes instead of 300,000"),
        ("long", "more than 300,000 bytes"),
        ("other", f"sha256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_left(
    published: Published, cache: Path, page: str, said: str
) -> None:
    entry = published(page)
    line = refused(entry)
    assert f"{entry.urls[0]}: " in line
    assert said in line
    assert f"place the file at {cache / 'toy-7.onnx'}" in line
    assert entry.sha256 in line
    assert kept(cache) == []


def test_each_address_is_tried_in_turn(published: Published, server: Server, cache: Path) -> None:
    path = registry.path(published("absent", "cut", "other", "good", "short"))
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/absent", "/cut", "/other", "/good"]
    assert kept(cache) == ["toy-7.onnx"]


def test_every_address_is_named_with_its_fault(published: Published) -> None:
    entry = published("absent", "cut")
    line = refused(entry)
    assert f"{entry.urls[0]}: 404 Not Found; {entry.urls[1]}: the connection broke off" in line


def test_without_a_network_the_error_says_so(published: Published, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # nobody listens there a moment later
    entry = replace(published("good"), urls=(f"http://127.0.0.1:{port}/",))
    assert f"{entry.urls[0]}: no connection" in refused(entry)
    assert kept(cache) == []


def test_an_interrupted_download_leaves_nothing(
    published: Published, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(incoming: download.Incoming, chunk: bytes) -> None:
        incoming.file.write(chunk)
        assert len(kept(cache)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(download.Incoming, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        registry.path(published("good"))
    assert kept(cache) == []
    monkeypatch.undo()
    monkeypatch.setenv("ONEIRO_CACHE", str(cache))
    assert registry.path(published("good")).read_bytes() == CONTENT  # the lock is free again


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT[:7], b""])
def test_a_damaged_file_is_fetched_anew(
    published: Published, cache: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir(parents=True)
    (cache / "toy-7.onnx").write_bytes(content)
    assert registry.path(published("good")).read_bytes() == CONTENT
    assert "not what it should be" in capsys.readouterr().err


def test_a_file_placed_by_hand_is_taken(published: Published, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "toy-7.onnx").write_bytes(CONTENT)
    assert registry.path(published()) == cache / "toy-7.onnx"


def test_a_cache_that_cannot_be_made(published: Published, cache: Path, server: Server) -> None:
    cache.parent.write_text("a file where a folder should be")
    line = refused(published("good"))
    assert str(cache) in line
    assert "ONEIRO_CACHE" in line
    assert server.asked == []


def test_a_cache_that_cannot_be_written(published: Published, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o555)
    if os.access(cache, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert "ONEIRO_CACHE" in refused(published("good"))


def test_a_full_disk(published: Published, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.Incoming, "write", full)
    assert "No space left on device" in refused(published("good", "good"))
    assert kept(cache) == []


def test_the_cache_is_the_users_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEIRO_CACHE")
    place = download.place(registry.find("googlenet"))
    assert place.name == "googlenet-12.onnx"
    assert "oneiro" in place.parent.name


TWIN = """
import sys
from dataclasses import replace
from oneiro.models import registry

name, sha256, url = sys.argv[1:]
row = registry.find(name)
print(registry.path(replace(row, file="toy-7.onnx", bytes=300_000, sha256=sha256, urls=(url,))))
"""


def test_of_two_processes_one_fetches_and_one_waits(
    published: Published, server: Server, cache: Path, tmp_path: Path
) -> None:
    entry = published("slow")
    arguments = ["squeezenet1.1-zoo", entry.sha256, *entry.urls]
    log = tmp_path / "log"
    with log.open("w") as err:
        twins = [
            subprocess.Popen(
                [sys.executable, "-c", TWIN, *arguments], stdout=subprocess.PIPE, stderr=err
            )
            for _ in range(2)
        ]
    deadline = time.monotonic() + 60
    while "waiting for it" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    server.go_on.set()
    outs = [twin.communicate(timeout=60)[0].decode().strip() for twin in twins]
    assert outs == [str(cache / "toy-7.onnx")] * 2, log.read_text()
    assert [twin.returncode for twin in twins] == [0, 0]
    assert "waiting for it" in log.read_text()
    assert (cache / "toy-7.onnx").read_bytes() == CONTENT
    assert server.asked == ["/slow"]
    assert kept(cache) == ["toy-7.onnx"]
