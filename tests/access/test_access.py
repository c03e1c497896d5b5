"""What the accounts hold about a person: everything of theirs, nothing of others, and nothing is changed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.access import AccessReport, access_report, access_report_async
from contacts_core.access.archive import archive_files
from contacts_core.access.page import report_page
from contacts_core.errors import Forbidden, InvalidInput, NotFound, Unavailable
from contacts_core.formats import plain
from contacts_core.models import Address, Channel, Consent, ConsentReason, ConsentState, ContactList, Page
from contacts_core.plans import IdentifierExpansion, Receipt, ReceiptBroken
from contacts_core.plans.receipts.receipt import write
from contacts_core.provider import Flow, RawContact, Stream
from contacts_core.storage.database import locate_storage
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.testing.memory import MemoryProvider, Store
from tests.browser import DESKTOP, PAPER, PHONE, open_browser
from tests.plans.environment import Environment, open_environment

KEY = PseudonymKey(b"a key for tests, of no other use")
JANE, WORK, JOHN = map(Identifier.email, ("jane@example.com", "jane.doe@example.org", "john@example.com"))
NUMBER = Identifier.phone("+12025550123")
READING = re.compile(r".*/(contacts/search|contacts/search/emails|contacts/batch)")  # POST, and nothing is changed


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))


@pytest.fixture
def environment() -> Iterator[Environment]:
    with open_environment() as served:
        yield served


def account(*contacts: Contact, name: str = "crm", kind: type[MemoryProvider] = MemoryProvider) -> Contacts[Any]:
    store = Store({contact.id: contact for contact in contacts}, {"l1": "Newsletter", "l2": "VIPs"})
    return Contacts(kind(store=store), name=name)


def contact(id: str, *identifiers: Identifier, **fields: Any) -> Contact:
    return Contact(provider="memory", id=id, identifiers=identifiers, **fields)


def files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def text(report: AccessReport) -> str:
    return "".join(report_page(report))


class TestOnEmulators:
    def test_the_archive_holds_everything_of_the_person_and_nothing_of_others(
        self, environment: Environment, tmp_path: Path
    ) -> None:
        before = environment.everyone()
        (person,) = environment.emails(1)
        environment.seen.clear()
        report = access_report(person, environment.accounts)
        requests = list(environment.seen)
        assert report.complete

        # Nothing is changed.
        assert {each.method for each in requests} == {"GET", "POST"}
        assert all(READING.fullmatch(each.path) for each in requests if each.method == "POST")
        assert environment.everyone() == before

        report.save(tmp_path / "jane.zip")
        content = files(tmp_path / "jane.zip")
        for number, (name, contacts) in enumerate(before.items(), 1):
            (own,) = (each for each in contacts.values() if person in each.identifiers)
            shown = json.loads(content[f"accounts/{number}-{name}/contact-1.json"])
            assert shown["contact"] == plain(environment.clients[name].get_contacts([own.id])[own.id])
            assert {each["name"] for each in shown["lists"]} <= {"Newsletter", "Customers", "VIPs"}
            assert shown["lists"]
            raw = json.loads(content[f"accounts/{number}-{name}/contact-1.raw.json"])
            assert own.id in {raw.get("id"), raw.get("data", {}).get("id")}

        everything = b"\n".join(content.values()).decode()
        page = content["report.html"].decode()
        for contacts in before.values():
            for each in contacts.values():
                if person in each.identifiers:
                    assert all(identifier.value in page for identifier in each.identifiers)
                else:
                    assert each.id not in everything
                    assert not any(identifier.value in everything for identifier in each.identifiers)

    def test_the_asynchronous_form_reads_the_same(self, environment: Environment) -> None:
        (person,) = environment.emails(1)

        async def read() -> AccessReport:
            clients = [AsyncContacts(client.provider, name=name) for name, client in environment.clients.items()]
            try:
                return await access_report_async([person], clients)
            finally:
                for client in clients:
                    await client.close()

        expected = access_report([person], environment.accounts)
        assert evolve(asyncio.run(read()), made_at=expected.made_at) == expected

    def test_requests_by_method(self, environment: Environment) -> None:
        (person,) = environment.emails(1)
        environment.seen.clear()
        access_report(person, environment.accounts, follow=IdentifierExpansion.ALL)
        methods = Counter(each.method for each in environment.seen)
        assert methods.keys() == {"GET", "POST"}
        assert sum(methods.values()) < 40


class TestArchive:
    def report(self) -> AccessReport:
        jane = contact(
            "c1",
            JANE,
            NUMBER,
            first_name="Jane",
            lists=("l1",),
            custom={"shoe size": 38},
            address=Address(line1="1 Main Street", city="Springfield"),
            tags=("friend",),
            extra={"score": {"value": 7}},
        )
        return access_report(JANE, [account(jane, contact("c2", JOHN, lists=("l1", "l2")), name="a/../b")])

    def test_only_its_owner_can_read_it_and_the_same_report_gives_the_same_bytes(self, tmp_path: Path) -> None:
        report = self.report()
        report.save(tmp_path / "one.zip")
        report.save(tmp_path / "two.zip")
        assert stat.S_IMODE((tmp_path / "one.zip").stat().st_mode) == 0o600
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "one.zip") as archive:
            assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {each.external_attr >> 16 for each in archive.infolist()} == {0o100600}
            assert not any(".." in Path(each.filename).parts for each in archive.infolist())

    def test_a_write_that_fails_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "jane.zip"
        path.write_text("before")

        def fail(*_: object) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
        with pytest.raises(OSError, match="disk is full"):
            self.report().save(path)
        assert path.read_text() == "before"
        assert {each.name for each in tmp_path.iterdir()} <= {"jane.zip", "state"}

    def test_the_checksums_and_the_receipt_cover_every_file(self, tmp_path: Path) -> None:
        returned = self.report().save(tmp_path / "jane.zip")
        content = files(tmp_path / "jane.zip")
        lines = [line.split("  ") for line in content["SHA256SUMS"].decode().splitlines()]
        sums = {name: digest for digest, name in lines}
        assert sums == {
            name: hashlib.sha256(data).hexdigest()
            for name, data in content.items()
            if name not in {"SHA256SUMS", "receipt.jsonl"}
        }
        receipt = Receipt.parse(content["receipt.jsonl"])
        assert receipt == returned
        assert (receipt.kind, receipt.state, receipt.present) == ("access", "done", 1)
        assert receipt.plan == hashlib.sha256(content["SHA256SUMS"]).hexdigest()
        key = locate_storage().key()
        assert receipt.sealed_by(key)
        assert [each.state for each in receipt.find([JANE, JOHN], key)] == ["present"]
        for secret in (JANE.value, NUMBER.value, "Jane", "c1"):
            assert f'"{secret}"' not in receipt.text

    def test_the_page_and_the_json_name_lists_and_fields(self) -> None:
        content, _ = archive_files(self.report(), KEY)
        shown = json.loads(content["accounts/1-a%2F..%2Fb/contact-1.json"])
        assert shown["lists"] == [{"id": "l1", "name": "Newsletter"}]
        page = content["report.html"].decode()
        for words in ("Newsletter", "shoe size", "38", "1 Main Street, Springfield", "friend", "score.value"):
            assert words in page, words
        assert "VIPs" not in page
        assert "not in the archive by itself" in page  # this provider keeps contacts and no answers


class FailingProvider(MemoryProvider):
    """Cannot be read."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        yield from ()
        raise Unavailable("jane@example.com is on fire", provider="memory", status=503)


class ForgetfulProvider(MemoryProvider):
    """Cannot read contacts by id, nor lists."""

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from ()
        raise Unavailable("down", provider="memory", status=503)

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        raise Unavailable("down", provider="memory", status=503)


class SilentProvider(MemoryProvider):
    """A vendor that refuses to tell its statements of consent."""

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        yield from ()
        raise Forbidden("no access to suppressions")


@frozen(kw_only=True)
class RawProvider(MemoryProvider):
    """Sends a raw contact, which may be another one."""

    answer: RawContact | None = None

    def raw_contact(self, contact_id: str) -> Flow[RawContact | None]:
        yield from ()
        if self.answer is None:
            raise NotFound("gone", provider="memory")
        return self.answer


class TestGaps:
    def test_an_account_that_cannot_be_read_does_not_stop_the_others(self) -> None:
        crm, broken = account(contact("c1", JANE)), account(name="marketing", kind=FailingProvider)
        report = access_report(JANE, [crm, broken])
        assert [each.complete for each in report.accounts] == [True, False]
        assert not report.complete
        page = text(report)
        first = page.partition("</div>")[0]
        assert "This report is not complete." in first
        assert "marketing: could not be read: the vendor failed (Unavailable [503])" in first
        assert "on fire" not in page
        _, receipt = archive_files(report, KEY)
        assert (receipt.state, receipt.present, receipt.unknown) == ("incomplete", 1, 1)

    def test_what_cannot_be_read_of_a_contact_is_named_and_the_rest_is_there(self) -> None:
        report = access_report(JANE, [account(contact("c1", JANE, lists=("l1",)), kind=ForgetfulProvider)])
        (read,) = report.accounts
        assert read.contacts[0].lists == {"l1": ""}
        assert [gap.partition(":")[0] for gap in read.gaps] == [
            "contacts could not be read whole",
            "the names of lists could not be read",
        ]
        assert "the names of lists could not be read" in text(report).partition("</div>")[0]

    def test_a_raw_answer_about_somebody_else_is_left_out(self) -> None:
        for answer, kept in (
            (RawContact(b'{"result": [{"id": "c1"}]}', "application/json"), True),
            (RawContact(b'{"id": "c2", "email": "john@example.com"}', "application/json"), False),
            (RawContact(b"{", "application/json"), False),
            (None, False),
        ):
            store = Store({"c1": contact("c1", JANE)})
            report = access_report(JANE, [Contacts(RawProvider(store=store, answer=answer), name="crm")])
            content, _ = archive_files(report, KEY)
            assert ("accounts/1-crm/contact-1.raw.json" in content) is kept
            assert report.complete is kept
            assert "john" not in text(report)

    def test_an_empty_account_is_complete(self) -> None:
        report = access_report(JANE, [account(contact("c2", JOHN))])
        assert report.complete
        assert report.contact_count == 0
        assert "Nothing was found." in text(report)
        _, receipt = archive_files(report, KEY)
        assert (receipt.state, receipt.absent) == ("done", 1)

    def test_a_vendor_that_shows_nobody_at_all_is_not_believed(self) -> None:
        class Filtered(MemoryProvider):
            def contacts(self, list_id: str | None) -> Stream[Contact]:
                yield from ()

        report = access_report(JANE, [account(contact("c1", JANE), kind=Filtered)])
        assert not report.complete
        assert "proves nothing" in text(report).partition("</div>")[0]


def test_statements_of_consent_are_shown_and_written_where_there_are_some() -> None:
    report = access_report(JANE, [account(contact("c1", JANE), kind=SilentProvider)])
    assert "Statements of consent were not read in: crm." in text(report)
    statement = {"Channel": "email", "State": "revoked", "Reason": "unsubscribe <b>"}
    report = evolve(report, accounts=(evolve(report.accounts[0], consent=(statement,)),))
    page = text(report)
    assert "not read in" not in page
    assert "<dt>Reason</dt><dd>unsubscribe &lt;b&gt;</dd>" in page
    content, _ = archive_files(report, KEY)
    assert json.loads(content["report.json"])["accounts"][0]["consent"] == [statement]


def test_statements_are_read_also_of_who_is_no_contact_and_never_of_others() -> None:
    about = [Consent(who, Channel.EMAIL, ConsentState.REVOKED, reason=ConsentReason.COMPLAINT) for who in (JANE, JOHN)]
    client = account()
    client.provider.store.consent |= dict.fromkeys(about)
    (read,) = access_report(JANE, [client]).accounts
    assert read.consent is not None
    (statement,) = read.consent
    assert statement == {
        "address or number": JANE.value,
        "channel": "email",
        "says": "revoked",
        "reason": "complaint",
    }


def test_a_receipt_cannot_say_done_if_something_is_unknown() -> None:
    _, receipt = archive_files(access_report(JANE, [account(kind=FailingProvider)]), KEY)
    lines = [{name: line[name] for name in line.keys() - {"n", "prev", "hash"}} for line in receipt.lines]
    for state, valid in (("incomplete", True), ("done", False)):
        written = "".join(write([*lines[:-1], lines[-1] | {"state": state}], KEY))
        if valid:
            assert Receipt.parse(written).state == state
        else:
            with pytest.raises(ReceiptBroken, match="says done"):
                Receipt.parse(written)


class TestOthers:
    def test_a_colleague_with_the_same_number_is_left_out(self) -> None:
        crm = account(contact("c1", JANE, NUMBER), contact("colleague", JOHN, NUMBER, first_name="Johnny"))
        report = access_report([JANE, NUMBER], [crm])
        assert [each.contact.id for each in report.accounts[0].contacts] == ["c1"]
        assert report.accounts[0].withheld == ("colleague",)
        content, receipt = archive_files(report, KEY)
        everything = b"".join(content.values()).decode()
        for words in ("john", "Johnny", "colleague"):
            assert words not in everything
        assert "1 contact(s) share an address or a number" in text(report).partition("</div>")[0]
        assert receipt.state == "incomplete"

    def test_an_identifier_of_its_own_brings_a_contact_in(self) -> None:
        crm = account(contact("c1", JANE, NUMBER), contact("c2", WORK, NUMBER))
        assert access_report([JANE, NUMBER], [crm]).accounts[0].withheld == ("c2",)
        report = access_report([JANE, WORK, NUMBER], [crm])
        assert report.complete
        assert report.contact_count == 2

    def test_expansion_follows_the_contacts_of_the_person_only(self) -> None:
        crm = account(contact("c1", JANE, WORK, NUMBER), contact("c2", JOHN, NUMBER))
        marketing = account(contact("m1", WORK), name="marketing")
        report = access_report(JANE, [crm, marketing])
        assert (report.contact_count, report.followed) == (1, ())
        assert set(report.suggestions) == {WORK, NUMBER}
        assert "were not looked up themselves: jane.doe@example.org, +12025550123." in text(report)
        report = access_report(JANE, [crm, marketing], follow=IdentifierExpansion.ALL)
        assert {each.contact.id for part in report.accounts for each in part.contacts} == {"c1", "m1"}
        assert set(report.followed) == {WORK, NUMBER}
        assert JOHN not in report.suggestions
        assert report.accounts[0].withheld == ("c2",)


@pytest.mark.parametrize(
    ("person", "accounts"),
    [([], ["crm"]), ([Identifier.email(" ")], ["crm"]), ("jane", ["crm"]), ([JANE], []), ([JANE], "crm")],
)
def test_what_is_asked_in_vain_is_refused(person: Any, accounts: Any) -> None:
    with pytest.raises(InvalidInput):
        access_report(person, accounts)


def test_an_account_is_asked_once() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        access_report(JANE, [account(), account()])


NASTY = "<script>alert(1)</script><img src=x onerror=y>\"'&\u202e\x00"


def hostile() -> AccessReport:
    """A person about whom everything is written by somebody who means harm."""
    own = contact(
        NASTY,
        evolve(JANE, label=NASTY),
        Identifier.other(NASTY, NASTY),
        first_name=NASTY,
        lists=("l1", NASTY),
        tags=(NASTY,),
        custom={NASTY: NASTY, "long": "W" * 500},
        extra={NASTY: {NASTY: [NASTY, "W" * 500]}},
    )
    crm = account(own, name="crm")
    crm.provider.store.lists["l1"] = NASTY
    return access_report(JANE, [crm])


def test_no_text_becomes_markup() -> None:
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(f"{tag} {dict(attrs).keys()}")  # type: ignore[method-assign]
    page = text(hostile())
    parser.feed(page)
    assert not [tag for tag in seen if tag.startswith(("script", "img")) or "onerror" in tag or "src" in tag]
    assert not set("\u202e\x00") & set(page)
    assert page.count("&lt;script&gt;") > 8


def test_a_browser_shows_it_on_phone_desk_and_paper(tmp_path: Path) -> None:
    crm = account(contact("c1", JANE, first_name="Jane", lists=("l1",), custom={"shoe size": 38}))
    broken = account(name="marketing", kind=FailingProvider)
    path, nasty = tmp_path / "report.html", tmp_path / "nasty.html"
    path.write_text(text(access_report(JANE, [crm, broken])), encoding="utf-8")
    nasty.write_text(text(hostile()), encoding="utf-8")
    with open_browser(tmp_path / "profile") as browser:
        for width, media in ((PHONE, "screen"), (DESKTOP, "screen"), (PAPER, "print")):
            for page in (path, nasty):
                browser.open(page, width, media=media)
                assert browser.overflow() <= 0, (page.name, width)
            browser.open(path, width, media=media)
            lines = [line for line in browser.text().splitlines() if line.strip()]
            assert any("This report is not complete." in line for line in lines[:4])
            assert any(line.startswith("marketing: could not be read") for line in lines[:5])
            for words in ("Jane", "Newsletter", "shoe size", "What is not covered"):
                assert words in browser.text()
        assert browser.pdf().startswith(b"%PDF")
