"""The server: to browsers on this machine, files as they are."""

import http.client
from collections.abc import Iterator, Mapping

import pytest

from oneiro import ArgumentError, ModelError
from oneiro.web.server import Server
from oracle.server import serving


class Files(dict[str, bytes]):
    def __getitem__(self, path: str) -> bytes:
        if path == "models/bad.onnx":
            raise ModelError("bad: no way back")
        return super().__getitem__(path)


FILES = Files({
    "index.html": b"<p>page", "page.js": b"1", "ort/a.wasm": b"\0asm", "ort/a.mjs": b"2",
    "weights": bytes(range(256)), "models/bad.onnx": b"",
})  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Server(FILES, 0)) as server:
        yield server


def ask(server: Server, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/page.js?again", "page.js", "text/javascript; charset=utf-8"),
        ("/ort/a.wasm", "ort/a.wasm", "application/wasm"),
        ("/ort/a.mjs", "ort/a.mjs", "text/javascript; charset=utf-8"),
        ("/weights", "weights", "application/octet-stream"),
    ],
)
def test_files(server: Server, path: str, name: str, kind: str) -> None:
    status, headers, content = ask(server, path)
    assert (status, headers["Content-Type"], content) == (200, kind, FILES[name])
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"  # or there are no threads
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize("path", ["/none", "/../pyproject.toml", "//etc/passwd", "/%2e%2e/a"])
def test_other_files(server: Server, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_what_cannot_be_made_is_told(server: Server) -> None:
    status, _, content = ask(server, "/models/bad.onnx")
    assert (status, content) == (500, b"bad: no way back")


def test_other_sites_may_not_call_it_theirs(server: Server) -> None:
    """A name of somebody else's that points here (DNS rebinding)."""
    assert ask(server, "/", Host="evil.example")[0] == 403
    assert ask(server, "/", Host="[")[0] == 403
    assert ask(server, "/", Host=f"localhost:{server.server_address[1]}")[0] == 200


def test_a_port_that_is_taken(server: Server) -> None:
    with pytest.raises(ArgumentError, match=r"port \d+ cannot be had: --port names another"):
        Server(FILES, server.server_address[1])


def test_a_browser_that_hangs_up(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is said on the terminal of somebody who closed a page."""
    for _ in range(3):
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
        connection.request("GET", "/weights")
        connection.sock.close()
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")
