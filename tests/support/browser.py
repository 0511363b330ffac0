"""A real browser, driven over a pipe by its own protocol: no package and no port is needed for it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    *("--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
KEYS = {"Enter": 13, "Tab": 9, " ": 32, "ArrowRight": 39, "ArrowLeft": 37}

_START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads its commands from descriptor 3 and answers on 4."""


def executable() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are out of the way of descriptors 3 and 4."""
    low = os.pipe()
    ends = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low)
    for end in low:
        os.close(end)
    return ends[0], ends[1]


class Browser:
    """One headless browser with one tab; what the tab said and asked for is kept.

    Attributes:
        said: console messages, exceptions and violations of the page's policy since the last ``open``.
        asked: addresses requested since then.
    """

    def __init__(self, folder: Path, wait_s: float = 40.0, tries: int = 3) -> None:
        """Start one, its profile in this folder; where it does not answer, another: a cold start may hang."""
        self._wait_s = wait_s
        for left in reversed(range(tries)):
            try:
                self._start(folder / f"profile-{left}")
                break
            except TimeoutError:
                self._kill()
                if not left:
                    raise

    def _start(self, profile: Path) -> None:
        to_read, self._write = _pipe()
        self._read, to_write = _pipe()
        command = [sys.executable, "-c", _START, str(to_read), str(to_write), str(executable()), *FLAGS]
        command += [f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._left = 0, b""
        self._session: str | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser, whatever it is doing."""
        try:
            self._session = None
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            pass
        self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One command and its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._keep(answer)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + self._wait_s
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError("the browser does not answer")
            self._left += part
        line, _, self._left = self._left.partition(b"\0")
        return json.loads(line)

    def _keep(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                self.said.append(" ".join(str(a.get("value", a)) for a in given["args"]))
            case "Runtime.exceptionThrown":
                about = given["exceptionDetails"]
                self.said.append(about.get("exception", {}).get("description") or about["text"])
            case "Log.entryAdded":
                self.said.append(given["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.said.append(f"dialog: {given['message']}")
            case "Network.requestWillBeSent":
                self.asked.append(given["request"]["url"])

    def open(
        self, address: str, width: int = 1280, height: int = 900, theme: str = "light", phone: bool = False
    ) -> None:
        """Go to a page and wait until its script is through."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", media="screen", features=scheme)
        self.call("Page.navigate", url="about:blank")
        self.said, self.asked = [], []
        self.call("Page.navigate", url=address)
        until = time.monotonic() + self._wait_s
        ready = "location.href !== 'about:blank' && document.documentElement?.dataset.ready === 'yes'"
        while not self.run(ready):
            assert time.monotonic() < until, f"the page does not load: {self.said}"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and let go a key, as a person would: it reaches what has the focus."""
        code = {"key": key, "windowsVirtualKeyCode": KEYS[key], "code": "Space" if key == " " else key}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        spot = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], **button)

    def picture(self, path: Path | None = None, whole: bool = False) -> bytes:
        """What is seen, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        image = base64.b64decode(shot["data"])
        if path:
            path.write_bytes(image)
        return image
