"""A real browser that tests drive as a person would: by keys, taps and reloads."""

import json
import re
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websocket import create_connection  # which comes with Jupyter

SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Browser:
    """One tab of a headless Chromium, by its DevTools protocol (https://chromedevtools.github.io/devtools-protocol)."""

    def __init__(self, address: str, downloads: Path) -> None:
        self.downloads, self._calls = downloads, 0
        self._socket = create_connection(address, timeout=30, suppress_origin=True)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := json.loads(self._socket.recv())).get("id") != self._calls:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path) -> None:
        self.call("Page.navigate", url=page.as_uri())
        self.until("document.readyState === 'complete'")

    def reload(self) -> None:
        self.run("window.old = true")
        self.call("Page.reload")
        self.until("!window.old && document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a condition in the page, at most 20 seconds."""
        for _ in range(400):
            if self.run(condition):
                return
            time.sleep(0.05)
        raise TimeoutError(condition)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text="\r" if key == "Enter" else "")

    def tap(self, selector: str) -> None:
        """A finger on the middle of an element."""
        box = f"document.querySelector({selector!r}).getBoundingClientRect()"
        x, y = self.run(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screen(self, width: int, height: int, *, phone: bool = False) -> None:
        """Be of a size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def shoot(self, path: Path) -> None:
        path.write_bytes(b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self._socket.close()


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile and downloads lie in `folder`; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    (folder / "downloads").mkdir()
    command = [program, *SWITCHES, f"--user-data-dir={folder}/profile", "--remote-debugging-port=0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        lines = (re.search(r"listening on (ws://\S+)", line) for line in process.stderr)
        opened = Browser(next(filter(None, lines))[1], folder / "downloads")
        yield opened
        opened.close()
        process.wait(20)
    finally:
        process.kill()
