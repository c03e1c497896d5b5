"""A headless Chromium that shows pages at a chosen width, driven by its DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The protocol is spoken on the file descriptors 3 and 4.
START = (
    "import fcntl, os, sys; "
    "ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
    "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
PHONE, DESKTOP = 390, 1280  # CSS pixels
PAPER = 658  # CSS pixels between the margins of A4, 174 mm


def chromium_path() -> str:
    """The browser; the test is skipped where there is none, unless the environment requires it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and "CONTACTS_REQUIRE_CHROMIUM" not in os.environ:
        pytest.skip("no Chromium on this machine")
    assert found, "Chromium is required here and is not installed"
    return found


class Browser:
    """One page of a browser."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._numbers = count(1)
        self._session = ""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._send("Page.enable")

    def open(self, page: str | Path, width: int, *, media: str = "screen") -> None:
        """Show a page, given as a file, at this width, on a screen or on paper."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=844,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self._send("Emulation.setEmulatedMedia", media=media)
        self._send("Page.navigate", url=Path(page).absolute().as_uri())
        self._wait("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """The text that is seen."""
        return str(self.evaluate("document.body.innerText"))

    def overflow(self) -> int:
        """By how many pixels the page is wider than what is seen of it."""
        root = "document.documentElement"
        return int(self.evaluate(f"Math.max({root}.scrollWidth, document.body.scrollWidth) - {root}.clientWidth"))

    def lines(self, selector: str) -> list[int]:
        """How many lines each of these elements has."""
        told = self.evaluate(
            f"Array.from(document.querySelectorAll({json.dumps(selector)})).map(e => {{"
            "const r = document.createRange(); r.selectNodeContents(e);"
            "return new Set(Array.from(r.getClientRects()).map(q => Math.round(q.bottom))).size})"
        )
        return list(told)

    def pdf(self) -> bytes:
        """The page as it is printed."""
        printed = self._send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(printed["data"])

    def screenshot(self, height: int | None = None) -> bytes:
        """The page as a PNG: whole, or this many pixels from its top."""
        width = self.evaluate("document.documentElement.clientWidth")
        whole = height or self.evaluate("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": whole, "scale": 1}
        shot = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _wait(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser ended"
            message += byte
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in this folder."""
    path = chromium_path()
    command_end, commands = os.pipe()
    answers, answer_end = os.pipe()
    ends = (command_end, answer_end)
    flags = [*FLAGS, "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", START, *map(str, ends), path, *flags], pass_fds=ends, stderr=subprocess.DEVNULL
    )
    for end in ends:
        os.close(end)
    try:
        with os.fdopen(commands, "wb") as sent, os.fdopen(answers, "rb") as received:
            yield Browser(sent, received)
    finally:
        process.terminate()
        process.wait(20)
