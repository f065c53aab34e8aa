"""`oneiro web` as it is typed."""

import http.client
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from oneiro.cli import web
from oneiro.web.server import Server
from oracle import small

PHOTO = 60, 40
Told = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-web without a network."""
    from oneiro.models import download

    monkeypatch.setattr(download, "fetch", lambda archive: Path(archive.file))
    monkeypatch.setattr(web, "unpacked", lambda path: {"ort.wasm.min.mjs": str(path).encode()})


def test_a_folder_for_any_server(told: Told, small_photo: Path) -> None:
    onnx.save(small.unet(), "own.onnx")
    own = ("--model", "own.onnx", "--preprocess", "torch")
    code, said = told("web", small_photo, *own, "--out", "site")
    assert code == 0
    assert re.fullmatch(
        r"wrote site \(\d\.\d MB\): python -m http\.server -d site shows it\n", said
    )
    assert json.loads(Path("site/net.json").read_text())["photo"] == "photo.png"
    assert Path("site/photo.png").exists()
    assert Path("site/ort/ort.wasm.min.mjs").read_text().startswith("onnxruntime-web-1.")
    onnx.load("site/models/step/0.onnx", load_external_data=False)
    code, said = told("web", *own, "--out", "site")
    assert (code, said) == (1, "oneiro: site is not empty: name a new folder\n")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Servers that end by Ctrl-C, once a page was asked of them: what they said."""
    answers: list[Any] = []

    def serve(server: Any) -> None:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answers.append((answer.status, answer.read()))
        connection.close()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", serve)
    return answers


def test_a_page_until_ctrl_c(typed: Callable[..., Any], ended: list[Any]) -> None:
    code, out, err = typed("web", "--port", 0)
    assert re.fullmatch(r"squeezenet1\.1 is at http://127\.0\.0\.1:\d+/\n", out)
    assert (code, err) == (0, "Ctrl-C ends it\n")
    ((status, content),) = ended
    assert (status, content[:15]) == (200, b"<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("none.jpg",), 1, "none.jpg"),
        (("-m", "none.onnx"), 1, "none.onnx"),
        (("-m", "own.onnx"), 1, "give --preprocess"),
        (("--out", "no/where"), 1, "no such folder"),
        (("--port", "70000"), 2, "70000"),
    ],
)
def test_what_cannot_be(
    told: Told, small_photo: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    onnx.save(small.unet(), "own.onnx")
    found = told("web", *arguments)
    assert found[0] == code
    assert said in found[1]
    assert "Traceback" not in found[1]
