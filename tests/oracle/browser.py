"""A headless Chromium, spoken to as the W3C's WebDriver says, by the standard library alone."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera
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

    def open(self, page: Path | str) -> None:
        """A file, or an address."""
        self.call("/url", url=page if isinstance(page, str) else page.resolve().as_uri())

    def run(self, script: str) -> Any:
        return self.call("/execute/sync", script=script, args=[])

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The first result that is true of a script that is run again and again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.run(script):
                return found
            time.sleep(0.05)
        raise TimeoutError(script)

    def press(self, key: str) -> None:
        events = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.call("/actions", actions=[{"type": "key", "id": "keys", "actions": events}])

    def find(self, selector: str) -> str:
        """The address of the first such element."""
        found = self.call("/element", using="css selector", value=selector)
        return f"/element/{next(iter(found.values()))}"

    def click(self, selector: str) -> None:
        self.call(f"{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Into an empty field; a path into a field for files."""
        self.call(f"{self.find(selector)}/value", text=text)

    def download_to(self, folder: Path) -> None:
        """Where to put what pages save."""
        command = {"behavior": "allow", "downloadPath": str(folder)}
        self.call("/goog/cdp/execute", cmd="Browser.setDownloadBehavior", params=command)

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
