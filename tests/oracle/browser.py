"""A headless Chromium, spoken to as the W3C's WebDriver says, by the standard library alone."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str:
    """Why there is no browser; empty where there is one."""
    if not any(shutil.which(name) for name in NAMES):
        return "no Chromium: install the packages chromium and chromium-driver"
    return "" if shutil.which("chromedriver") else "no chromedriver: install chromium-driver"


class Browser:
    """One window; `run` calls JavaScript, whose result comes back."""

    def __init__(self, address: str, arguments: list[str]) -> None:
        self.address = address
        options = {"args": arguments, "binary": next(filter(None, map(shutil.which, NAMES)))}
        wanted = {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}  # fmt: skip
        session = self.call("", capabilities=wanted)["sessionId"]
        self.address = f"{address}/{session}"

    def call(self, command: str, method: str = "POST", **body: Any) -> Any:
        content = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(f"{self.address}{command}", content, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, file: Path) -> None:
        self.call("/url", url=file.resolve().as_uri())

    def run(self, script: str) -> Any:
        return self.call("/execute/sync", script=script, args=[])

    def press(self, key: str) -> None:
        events = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.call("/actions", actions=[{"type": "key", "id": "keys", "actions": events}])

    def click(self, selector: str) -> None:
        found = self.call("/element", using="css selector", value=selector)
        self.call(f"/element/{next(iter(found.values()))}/click")

    def prefer(self, scheme: str) -> None:
        """Ask pages for a "light" or a "dark" face."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self.call("/goog/cdp/execute", **command)

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self.call("/goog/cdp/execute", **command)

    def errors(self) -> list[str]:
        """What the console holds, refused requests too."""
        return [entry["message"] for entry in self.call("/se/log", type="browser")]

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("/screenshot", "GET"))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, ended with the block."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout
        line = next(line for line in driver.stdout if "on port" in line and "success" in line)
        port = line.strip().rstrip(".").rpartition(" ")[2]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            window = Browser(
                f"http://127.0.0.1:{port}/session", [*ARGUMENTS, f"--user-data-dir={profile}"]
            )
            try:
                yield window
            finally:
                window.call("", "DELETE")
    finally:
        driver.terminate()
        driver.communicate()
