"""The page that a receipt becomes: complete, safe, and fetched from nowhere."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import ConfigurationError
from contacts_core.formats import pages
from contacts_core.plans import Receipt, ReceiptBroken
from contacts_core.plans.receipts.receipt import write
from contacts_core.plans.receipts.report import MAX_LISTED_PEOPLE, MAX_LISTED_STEPS, ReportSource, html, html_parts
from tests.browser import DESKTOP, FLAGS, PAPER, PHONE, Browser, chromium_path, open_browser
from tests.plans.samples import AT, JANE, KEY, events, text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def dom(address: str, profile: Path) -> str:
    """What a browser makes of a page."""
    command = [chromium_path(), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


def test_a_browser_shows_it_and_fetches_nothing_else(tmp_path: Path) -> None:
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
            shown = dom(f"http://127.0.0.1:{server.server_port}/report.html", tmp_path / "profile")
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
        "Deletion of contacts (step 1, attempt 2: accepted by the vendor)",
        "cut off: its result is not known",
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
        ("refused", "The run was refused."),
        ("cancelled", "The run was cancelled"),
        ("failed", "The run failed."),
    ],
)
def test_each_end_has_its_words(state: str, words: str) -> None:
    assert words in html(Receipt.parse(text(state=state)))


def with_everybody_absent(**changes: Any) -> list[dict[str, Any]]:
    lines = list(events(**changes))
    for line in lines:
        if line["type"] == "result":
            line["state"] = "absent"
            line["identifiers"] = [each | {"state": "absent"} for each in line["identifiers"]]
    lines[-1] |= {"absent": 4, "present": 0}
    return lines


def verdict(lines: list[dict[str, Any]]) -> str:
    page = html(Receipt.parse("".join(write(lines, KEY))))
    return page.partition('<p class="verdict ')[2].partition("</p>")[0]


class TestVerdict:
    def test_it_is_good_only_if_every_result_is(self) -> None:
        told = verdict(with_everybody_absent(state="done"))
        assert told.startswith('done"><strong>Everybody is verified to be absent from every account of the plan.')
        assert "4 absent, 0 present, 0 unknown" in told

    @pytest.mark.parametrize("state", ["incomplete", "refused", "cancelled", "failed"])
    def test_it_does_not_say_everybody_where_the_run_did_not_end_as_done(self, state: str) -> None:
        for lines in (list(events(state=state)), with_everybody_absent(state=state)):
            assert verdict(lines).startswith('open"')
            assert "Everybody" not in verdict(lines)

    def test_nobody_can_say_done_of_somebody_who_is_present(self) -> None:
        with pytest.raises(ReceiptBroken, match="says done"):
            verdict(list(events(state="done")))
        # Even if reading did not refuse it, the page is about the results.
        lines = Receipt.parse(text()).lines
        page = html(Receipt((*lines[:-1], {**lines[-1], "state": "done", "absent": 4, "present": 0})))
        assert "Everybody is verified" not in page
        assert "Not everything is verified. 3 absent, 1 present" in page.replace("</strong>", "")

    def test_refused_before_anything_was_changed_only_if_nothing_was(self) -> None:
        before = [line for line in events(state="refused") if line["type"] != "step"]
        assert "refused before anything was changed" in verdict(before)
        assert "before anything" not in verdict(list(events(state="refused")))


class TestProof:
    def test_it_says_what_was_checked(self) -> None:
        receipt = Receipt.parse(text())
        alone, sealed = html(receipt), html(receipt, sealed=True)
        assert "not checked when this page was made" in alone
        assert "Nothing that was checked for this page proves who wrote the file" in alone
        assert "checked when this page was made" in sealed
        assert "not checked" not in sealed
        assert "Nothing that was checked" not in sealed


INVISIBLE = "\u202e\u2066\u2069\u200f\u061c\u200b\ufeff\x00\x1b\x7f\x85\u2028"


def test_characters_that_cannot_be_seen_do_not_steer_the_page() -> None:
    odd = f"a{INVISIBLE}b"
    lines = list(events(reason=odd, title=odd))
    for line in lines:
        if line["type"] == "result":
            line["reason"] = odd
        if line["type"] == "scope":
            line["unreached"] = [{"what": odd, "why": odd}]
        if line["type"] == "step":
            line["reasons"], line["operation"] = [odd], odd
    page = html(Receipt.parse("".join(write(lines, KEY))), title=f"{odd}\ud800")
    assert not set(INVISIBLE) & set(page)
    assert page.count("a" + "\N{REPLACEMENT CHARACTER}" * len(INVISIBLE) + "b") > 10
    page.encode()


def test_the_policy_allows_its_own_style_and_nothing_else() -> None:
    page = html(Receipt.parse(text()))
    policy = page.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert " style=" not in page


@settings(deadline=None)  # the first page waits for the template engine
@given(st.text(), st.text())
def test_no_text_becomes_markup(reason: str, title: str) -> None:
    def tags(page: str) -> list[str]:
        found: list[str] = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs: found.append(f"{tag} {attrs}")  # type: ignore[method-assign]
        parser.feed(page)
        return found

    assert tags(html(Receipt.parse(text(reason=reason or "x", title=title)))) == tags(
        html(Receipt.parse(text(reason="x")))
    )


def test_of_many_people_only_those_who_are_left_are_listed() -> None:
    result = {"type": "result", "account": "marketing", "found": 1, "reason": "", "identifiers": []}
    first = next(events())
    first |= {"people": MAX_LISTED_PEOPLE + 2, "accounts": first["accounts"][:1]}
    known = [{"type": "person", "person": n, "identifiers": []} for n in range(1, MAX_LISTED_PEOPLE + 3)]
    people = [{**result, "person": n, "state": "absent"} for n in range(1, MAX_LISTED_PEOPLE + 2)]
    there = {**result, "person": MAX_LISTED_PEOPLE + 2, "state": "present", "reason": "still found"}
    counts = {"absent": MAX_LISTED_PEOPLE + 1, "present": 1, "unknown": 0}
    end = {"type": "end", "run": first["run"], "state": "incomplete", "reason": "", "ended_at": AT, **counts}
    page = html(Receipt.parse("".join(write([first, *known, *people, there, end], KEY))))
    assert f"{MAX_LISTED_PEOPLE + 1} of {MAX_LISTED_PEOPLE + 2} people are absent everywhere" in page
    assert page.count("still found") == 2  # in the row, and where the words are explained
    assert "Nothing was changed." in page


LONG = "W" * 300


def with_long_words() -> str:
    """A receipt in which everything that others name is one long word."""
    lines = [json.loads(json.dumps(line).replace("marketing", LONG)) for line in events(reason=LONG, title=LONG)]
    for line in lines:
        if line["type"] == "step":
            line["operation"], line["reasons"] = LONG, [LONG]
        if line["type"] == "result":
            line["reason"] = LONG
        if line["type"] == "scope":
            line["unreached"] = [{"what": LONG, "why": LONG}]
    return "".join(write(lines, KEY))


class TestLayout:
    @pytest.mark.parametrize(
        ("width", "media"), [(PHONE, "screen"), (320, "screen"), (DESKTOP, "screen"), (PAPER, "print")]
    )
    @pytest.mark.parametrize("content", [text(reason="a job is open"), with_long_words()])
    def test_it_is_no_wider_than_the_screen_or_the_paper(
        self, browser: Browser, tmp_path: Path, width: int, media: str, content: str
    ) -> None:
        path = tmp_path / "report.html"
        path.write_text(html(Receipt.parse(content)), encoding="utf-8")
        browser.open(path, width, media=media)
        assert browser.overflow() <= 0

    def test_dates_and_short_names_stay_in_one_line_on_paper(self, browser: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(html(Receipt.parse(text())), encoding="utf-8")
        browser.open(path, PAPER, media="print")
        assert set(browser.lines(".whole")) == {1}
        assert "2026-01-02 03:04:05" in browser.evaluate(
            "Array.from(document.querySelectorAll('td .whole')).at(-1).innerText"
        )
        assert browser.pdf().count(b"/Type /Page\n") in {1, 2, 3}

    def test_on_a_phone_each_value_stands_beside_the_name_of_its_column(self, browser: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(html(Receipt.parse(text())), encoding="utf-8")
        browser.open(path, PHONE)
        labels = "Array.from(document.querySelectorAll('td')).map(e => getComputedStyle(e, '::before').content)"
        shown = browser.evaluate(labels)
        assert {'"Account"', '"Verified"', '"Ended (UTC)"'} <= set(shown)
        assert "none" not in shown
        browser.open(path, DESKTOP)
        assert set(browser.evaluate(labels)) == {"none"}


def source(people: int, steps: int, state: str = "absent", step: str = "done") -> ReportSource:
    """A receipt that is never in memory as a whole."""
    first, *_, last = events()
    head = first | {"people": people, "accounts": first["accounts"][:1]}

    def of_type(kind: str) -> Iterable[dict[str, Any]]:
        if kind == "result":
            line = {"type": "result", "account": "marketing", "found": 1, "reason": "why", "state": state}
            for number in range(1, people + 1):
                yield {**line, "person": number, "identifiers": [{"kind": "email", "hash": "a" * 64, "state": state}]}
        if kind == "found":
            for number in range(1, people + 1):
                yield {"account": "marketing", "person": number, "contacts": [f"{number:064}"], "by": ["email"]}
        if kind == "step":
            for number in range(1, steps + 1):
                counts = {"confirmed": 1, "absent": 0, "failed": 0, "unconfirmed": 0, "reasons": [], "jobs": []}
                about = {"account": "marketing", "round": 1, "step": number, "attempt": 1, "contacts": 1, "state": step}
                touched = {"operation": "delete_contacts", "touched": [f"{number:064}"], "ended_at": AT}
                yield {**about, **counts, **touched}

    return ReportSource(
        head, last | {"state": "incomplete", "signature": "", "public_key": "", "hash": "a"}, 9, of_type
    )


class TestSize:
    def test_memory_does_not_grow_with_the_people(self) -> None:
        "".join(html_parts(source(10, 10)))

        def peak(people: int) -> int:
            tracemalloc.start()
            try:
                for _ in html_parts(source(people, people, state="unknown", step="failed")):
                    pass
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        few, many = peak(600), peak(1600)
        assert many - few < 250 * 1000  # bytes: the number of a person is remembered, and nothing else

    def test_nobody_who_is_not_absent_is_left_out(self) -> None:
        page = "".join(html_parts(source(MAX_LISTED_PEOPLE + 3, 0, state="present")))
        assert page.count("why</span>") == MAX_LISTED_PEOPLE + 3
        assert "Other people, not absent everywhere" in page
        assert "are not listed here" not in page

    def test_of_many_steps_those_that_went_well_are_only_counted(self) -> None:
        page = "".join(html_parts(source(1, MAX_LISTED_STEPS + 1)))
        assert f"{MAX_LISTED_STEPS + 1} of {MAX_LISTED_STEPS + 1} steps ended as they should" in page
        assert "Deletion of contacts: 1 contact" not in page
        page = "".join(html_parts(source(1, MAX_LISTED_STEPS + 1, step="failed")))
        assert page.count("Deletion of contacts: 1 contact") == MAX_LISTED_STEPS + 1


def test_an_operation_without_words_of_its_own_is_still_named_in_words() -> None:
    lines = list(events())
    for line in lines:
        if line["type"] == "step":
            line["operation"] = "rename_a_tag"
    page = html(Receipt.parse("".join(write(lines, KEY))))
    assert "Rename a tag" in page
    assert "rename_a_tag" not in page


def test_without_the_template_engine_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match="pages need the package jinja2") as caught:
        html(Receipt.parse(text()))
    assert "contacts-core[plans]" in caught.value.hint
