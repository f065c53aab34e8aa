"""A server of a page's files, for browsers on this machine."""

from __future__ import annotations

import errno
import http.server
import sys
import urllib.parse
from collections.abc import Mapping
from typing import Any

from ..error import ArgumentError, OneiroError

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # by which a browser here calls it: another site may not
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "png": "image/png",
    "wasm": "application/wasm",
}
HEADERS = {
    "Cache-Control": "no-store",  # the next network has files of the same names
    "X-Content-Type-Options": "nosniff",
    # a page that is isolated from others may share memory between threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Server(http.server.ThreadingHTTPServer):
    """Serves files, {path: content}, at `url`; port 0 is any that is free.

    Raises ArgumentError where the port is taken.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], port: int) -> None:
        self.files = files
        try:
            super().__init__((HOST, port), Answer)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise ArgumentError(f"port {port} cannot be had: --port names another") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that is closed may hang up in the middle of a file."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


class Answer(http.server.BaseHTTPRequestHandler):
    """What is said to a request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        path = urllib.parse.urlsplit(self.path).path.removeprefix("/") or "index.html"
        if host not in NAMES:
            self.give(403, b"only this machine is served", "txt")
        elif path not in self.server.files:
            self.give(404, f"there is no {path}".encode(), "txt")
        else:
            try:
                content = self.server.files[path]
            except OneiroError as error:
                self.give(500, str(error).encode(), "txt")
            else:
                self.give(200, content, path.rpartition(".")[2])

    def give(self, status: int, content: bytes, suffix: str) -> None:
        self.send_response(status)
        kind = "text/plain; charset=utf-8" if suffix == "txt" else "application/octet-stream"
        self.send_header("Content-Type", TYPES.get(suffix, kind))
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet: what goes wrong stands on the page."""
