"""onnxruntime-web as it comes from npm."""

import hashlib
import http.server
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from oneiro import ModelError
from oneiro.models import download
from oneiro.web import ARCHIVE, unpacked
from oneiro.web.archive import FILES
from oracle.server import serving


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return file.getvalue()


def test_what_the_page_wants_of_it(tmp_path: Path) -> None:
    path = tmp_path / "archive.tgz"
    wanted = [f"package/dist/{name}" for name in FILES]
    path.write_bytes(packed("package/README.md", "package/docs/ort.wasm.min.mjs", *wanted))
    found = unpacked(path)
    assert found == {name: f"package/dist/{name}".encode() for name in FILES}


def test_another_archive(tmp_path: Path) -> None:
    path = tmp_path / "archive.tgz"
    path.write_bytes(packed("package/dist/ort.wasm.min.mjs"))
    with pytest.raises(ModelError, match=r"archive\.tgz: there is no dist/ort-wasm"):
        unpacked(path)


def test_it_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIRO_CACHE", str(tmp_path))
    content = packed("package/a")
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    with serving(http.server.HTTPServer(("127.0.0.1", 0), Answer)) as server:
        published = ARCHIVE._replace(
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            urls=(f"http://127.0.0.1:{server.server_address[1]}/ort.tgz",),
        )
        paths = {download.fetch(published) for _ in range(2)}
    assert asked == ["/ort.tgz"]
    assert paths == {tmp_path / ARCHIVE.file}
    assert paths.pop().read_bytes() == content
