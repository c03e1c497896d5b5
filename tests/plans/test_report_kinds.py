"""The pages of receipts of plans that write contacts: what was known before, on a screen, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from contacts_core import Contact, Contacts, Identifier
from contacts_core.plans import Hold, Receipt, apply, plan_undo, plan_upsert
from contacts_core.plans.planning.undo import STAYS
from contacts_core.plans.receipts.reasons import OTHER_HOLD, public_hold
from contacts_core.plans.receipts.receipt import write
from contacts_core.plans.receipts.report import html
from contacts_core.provider import CreatesLists, UpsertsContacts
from contacts_core.testing.memory import MemoryProvider, Store
from tests.browser import DESKTOP, PAPER, PHONE, Browser, open_browser
from tests.plans.environment import lively
from tests.plans.samples import KEY, events
from tests.plans.test_copy import copy, two_accounts

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 0.3}
NASTY = '<script>alert("x")</script><img src=x onerror=a>'


class Unkeyed(MemoryProvider):
    """A vendor that has no unique keys."""

    title = NASTY
    non_idempotent = (UpsertsContacts, CreatesLists)


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Receipt]:
    folder = tmp_path_factory.mktemp("pages")
    with lively(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTACTS_STORAGE", str(folder / "storage"))
        with two_accounts("sendgrid", "user-api", folder, contacts=12) as (old, new, *_):
            copied = copy(old, new)[1]
        twice = Identifier.email("lisa@example.com")
        store = Store(contacts={n: Contact(id=n, provider="memory", identifiers=(twice,)) for n in ("a", "b")})
        with Contacts(Unkeyed(store=store)) as client:
            people = [Contact(identifiers=(Identifier.email(f"p{n}@example.com"),), lists=(NASTY,)) for n in range(3)]
            plan = plan_upsert(client, [*people, Contact(identifiers=(twice,), title="Dr")], create_lists=True)
            written = apply(plan, [client], **QUICK)
            undone = apply(plan_undo(written.run, [client]), [client], **QUICK)
    return {"copy": copied, "upsert": written, "undo": undone}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def known(page: str) -> str:
    """What the page says of what was known before the work."""
    return unescape(page.partition("<h2>Known before the work</h2>")[2].partition("<h2>")[0])


def test_a_copy_tells_its_source_its_losses_and_what_may_be_there_twice(receipts: Mapping[str, Receipt]) -> None:
    page = known(html(receipts["copy"]))
    assert receipts["copy"].state == "done"
    (scope,) = receipts["copy"].of("scope")
    assert scope["source"] == "old"
    for words in (
        "Copied from</dt><dd>old",
        "People who refused</dt><dd>copied, with their refusal",
        "Accepted by name before anything was written",
        "the time of a statement is not kept",
        "there may be a second custom field or contact afterwards",
    ):
        assert words in page, words
    for loss in scope["losses"]:
        assert f">{loss['field']}<" in page
        assert loss["count"] > 0


def test_whom_an_upsert_left_alone_is_counted_and_not_named(receipts: Mapping[str, Receipt]) -> None:
    page = html(receipts["upsert"])
    assert receipts["upsert"].state == "done"
    assert "Left alone" in known(page)
    assert Hold.SEVERAL_IN_TARGET.value in known(page)
    assert "a second list or contact" in known(page)
    assert "example.com" not in page
    assert "example.com" not in receipts["upsert"].text


@pytest.mark.parametrize("kind", ["copy", "upsert"])
def test_who_was_created_shows_the_work_that_did_it(receipts: Mapping[str, Receipt], kind: str) -> None:
    page = html(receipts[kind])
    people = page.partition("<h2>People</h2>")[2].partition("<h2>")[0]
    assert "Writing of contacts (step" in people
    assert "nothing" not in people


def test_an_undo_tells_what_it_cannot_take_back(receipts: Mapping[str, Receipt]) -> None:
    page = known(html(receipts["undo"]))
    assert receipts["undo"].state == "done"
    assert "Not taken back" in page
    assert "a list stays, because others may use it by now" in page
    assert "second" not in page


def test_what_is_not_known_before_has_no_heading() -> None:
    assert "Known before the work" not in html(Receipt.parse("".join(write(events(), KEY))))


def test_every_reason_that_the_library_gives_has_words_without_names() -> None:
    named = [each.value + " (j***@example.com)" for each in Hold]
    named += [words.format(name="Jane Doe") for words in STAYS.values()]
    told = [public_hold(reason) for reason in named]
    assert OTHER_HOLD not in told
    assert not any("Jane" in words or "@" in words for words in told)
    assert public_hold("Jane Doe of the vendor's own words") == OTHER_HOLD


@pytest.mark.parametrize("kind", ["copy", "upsert", "undo"])
class TestPages:
    def test_nothing_is_taken_for_markup(self, receipts: Mapping[str, Receipt], kind: str) -> None:
        page = html(receipts[kind], title=NASTY)
        assert "<script" not in page
        assert "<img" not in page

    def test_operations_are_named_in_words(self, receipts: Mapping[str, Receipt], kind: str) -> None:
        page = html(receipts[kind])
        for operation in {line["operation"] for line in receipts[kind].of("step")}:
            assert operation not in page

    @pytest.mark.parametrize(
        ("width", "media"), [(PHONE, "screen"), (320, "screen"), (DESKTOP, "screen"), (PAPER, "print")]
    )
    def test_it_is_no_wider_than_the_screen_or_the_paper(
        self, receipts: Mapping[str, Receipt], kind: str, browser: Browser, tmp_path: Path, width: int, media: str
    ) -> None:
        path = tmp_path / "report.html"
        path.write_text(html(receipts[kind]), encoding="utf-8")
        browser.open(path, width, media=media)
        assert browser.overflow() <= 0


@pytest.mark.parametrize(
    "field",
    [
        {"losses": [{"code": "NO_PLACE", "field": "title"}]},
        {"losses": None},
        {"held": [{"reason": 1, "count": 1}]},
        {"source": ["a"]},
        {"non_idempotent": "upsert_contacts"},
    ],
)
def test_a_field_that_is_not_of_its_type_is_refused(field: dict[str, Any]) -> None:
    from contacts_core.plans import ReceiptBroken

    lines = [line | (field if line["type"] == "scope" else {}) for line in events()]
    with pytest.raises(ReceiptBroken, match="is missing or is not of its type"):
        Receipt.parse("".join(write(lines, KEY)))


def test_what_others_wrote_there_is_shown_as_text() -> None:
    more = {
        "source": NASTY,
        "unsubscribed": NASTY,
        "losses": [{"code": NASTY, "field": "W" * 300, "count": 1}],
        "held": [{"reason": NASTY, "count": 2}],
        "non_idempotent": [NASTY],
    }
    lines = [line | (more if line["type"] == "scope" else {}) for line in events()]
    page = html(Receipt.parse("".join(write(lines, KEY))))
    assert "<script" not in page
    assert known(page).count(NASTY) == 2 * 4
