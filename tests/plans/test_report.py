"""The page that a receipt becomes: complete, safe, and fetched from nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contacts_core.plans import Receipt
from contacts_core.plans.receipts import write
from contacts_core.plans.report import MANY, html
from tests.plans.samples import AT, JANE, KEY, events, text

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


@pytest.fixture
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and "CONTACTS_REQUIRE_CHROMIUM" not in os.environ:
        pytest.skip("no Chromium on this machine")
    assert found, "Chromium is required here and is not installed"
    return found


def dom(chromium: str, address: str, profile: Path) -> str:
    """What a browser makes of a page."""
    command = [chromium, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


def test_a_browser_shows_it_and_fetches_nothing_else(chromium: str, tmp_path: Path) -> None:
    page = html(Receipt.parse(text(reason="a job is open", title="Acme & Sons")), title="Erasure of January").encode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            shown = dom(chromium, f"http://127.0.0.1:{server.server_port}/report.html", tmp_path / "profile")
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/report.html"]
    for words in (
        "Erasure of January",
        "Not everything is verified.",
        "a job is open",
        "3 absent, 1 present, 0 unknown",
        "Acme &amp; Sons",
        "1 of 1 contacts still there",
        "delete_contacts (step 1, attempt 2: accepted)",
        "cut off: its answers are not known",
        "out of reach",
        "The provider states nothing",
        KEY.id,
        KEY.identifier(JANE)[:12],
    ):
        assert words in shown, words


def test_nothing_in_it_points_anywhere() -> None:
    page = html(Receipt.parse(text()))
    for sign in ("http://", "https://", "src=", "@import", "url(", "<script", 'href="/', "//fonts"):
        assert sign not in page
    assert "default-src 'none'" in page


def test_what_vendors_wrote_is_never_taken_for_markup() -> None:
    nasty = '<script>alert("x")</script>&amp;\'"<img onerror=a>'
    page = html(Receipt.parse(text(reason=nasty, title=nasty)), title=nasty)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("refused", "The run was refused before anything was changed."),
        ("cancelled", "The run was cancelled"),
        ("failed", "The run failed."),
    ],
)
def test_each_end_has_its_words(state: str, words: str) -> None:
    assert words in html(Receipt.parse(text(state=state)))


def test_of_many_people_only_those_who_are_left_are_listed() -> None:
    result = {"type": "result", "account": "marketing", "found": 1, "reason": "", "identifiers": []}
    first = next(events())
    people = [{**result, "person": n, "state": "absent"} for n in range(1, MANY + 2)]
    there = {**result, "person": MANY + 2, "state": "present", "reason": "still shown"}
    counts = {"absent": MANY + 1, "present": 1, "unknown": 0}
    end = {"type": "end", "run": "r", "state": "incomplete", "reason": "", "ended_at": AT, **counts}
    page = html(Receipt.parse("".join(write([first, *people, there, end], KEY))))
    assert f"{MANY + 1} of {MANY + 2} people are absent everywhere" in page
    assert page.count("still shown") == 2  # in the row, and where the words are explained
    assert "Nothing was changed." in page
