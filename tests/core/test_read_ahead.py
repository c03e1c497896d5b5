"""While a page is consumed, the next one is under way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from attrs import field, frozen

from contacts_core import AsyncContacts, Contacts
from contacts_core.errors import Rejected, UnexpectedPayload
from contacts_core.models import Contact, Page
from contacts_core.provider import ExportsPages, Flow, HttpSettings, base_url_setting, get, mapped
from tests.core.fake_providers import person

HOME = "https://api.acme.example"
LAST = 5


@frozen(kw_only=True)
class Pages(ExportsPages):
    """Five pages of two contacts; notes in which thread they are mapped."""

    name = "acme"
    base_url: str = base_url_setting(HOME)
    threads: list[int] = field(factory=list[int], repr=False)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        number = yield from get(f"/{cursor or 1}", int)
        self.threads.append(threading.get_ident())
        return Page((person(2 * number), person(2 * number + 1)), str(number + 1) if number < LAST else None)


@frozen(kw_only=True)
class MappedPages(Pages):
    """The same, mapped when they are used; notes what was asked by then, and cannot map one contact."""

    vendor: Any = field(repr=False)
    odd: int | None = None
    mapped: list[tuple[int, int]] = field(factory=list[tuple[int, int]], repr=False)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        number = yield from get(f"/{cursor or 1}", int)
        items = mapped(self._contact, [2 * number, 2 * number + 1])
        return Page(items, str(number + 1) if number < LAST else None)

    def _contact(self, number: int) -> Contact:
        self.mapped.append((number, max(self.vendor.asked)))
        if number == self.odd:
            raise UnexpectedPayload("an odd contact")
        return person(number)


class Vendor:
    """Answers pages, and holds an answer back until it is let go."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.came = threading.Event()
        self.held: int | None = None
        self.let_go = threading.Event()
        self.broken: int | None = None
        self.ended = 0

    def _page(self, request: httpx.Request) -> int:
        number = int(request.url.path[1:])
        self.asked.append(number)
        self.came.set()
        return number

    def __call__(self, request: httpx.Request) -> httpx.Response:
        number = self._page(request)
        if number == self.held:
            self.let_go.wait(5)
        return self._answer(number)

    async def slowly(self, request: httpx.Request) -> httpx.Response:
        number = self._page(request)
        if number == self.held:
            while not self.let_go.is_set():  # noqa: ASYNC110 - of threads, too
                await asyncio.sleep(0.001)
        return self._answer(number)

    def _answer(self, number: int) -> httpx.Response:
        self.ended += 1
        return httpx.Response(400 if number == self.broken else 200, json=number)


Consume = Callable[[Contact, Vendor], bool]


def export(
    kind: str, vendor: Vendor, consume: Consume, provider: Pages | None = None, **settings: Any
) -> tuple[list[str], Pages]:
    """Export, and stop where ``consume`` returns False; return the ids."""
    provider = provider or Pages(http=HttpSettings(attempts=1, cancel_timeout_s=0.2, **settings))
    found: list[str] = []
    if kind == "sync":
        with httpx.Client(transport=httpx.MockTransport(vendor)) as http, Contacts(provider, http) as client:
            for contact in client.export():
                found.append(contact.id)
                if not consume(contact, vendor):
                    break
        return found, provider

    async def main() -> None:
        transport = httpx.MockTransport(vendor.slowly)
        async with httpx.AsyncClient(transport=transport) as http, AsyncContacts(provider, http) as client:
            stream: Any = client.export()
            try:
                async for contact in stream:
                    found.append(contact.id)
                    await asyncio.sleep(0.005)  # what is under way gets its turn
                    if not consume(contact, vendor):
                        break
            finally:
                await stream.aclose()
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(main())
    return found, provider


def came(vendor: Vendor, number: int) -> bool:
    """Wait until this page is asked for."""
    end = time.monotonic() + 2
    while number not in vendor.asked and time.monotonic() < end:
        time.sleep(0.001)
    return number in vendor.asked


KINDS = ("sync", "async")


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_page_is_asked_for_while_one_is_consumed(kind: str) -> None:
    seen: dict[str, list[int]] = {}

    def consume(contact: Contact, vendor: Vendor) -> bool:
        if contact.id == "c4" and kind == "sync":
            assert came(vendor, 3)
        seen[contact.id] = list(vendor.asked)
        return True

    vendor = Vendor()
    found, provider = export(kind, vendor, consume)
    assert found == [f"c{n}" for n in range(2, 2 * LAST + 2)]
    assert vendor.asked == [1, 2, 3, 4, 5]
    assert seen["c3"] == [1], "nobody asked for a second page"
    assert seen["c5"] == [1, 2, 3], "one page ahead, and no more"
    assert set(provider.threads) == {threading.get_ident()}, "only the request is elsewhere"


@pytest.mark.parametrize("kind", KINDS)
def test_reading_ahead_is_off_by_a_setting(kind: str) -> None:
    def consume(contact: Contact, vendor: Vendor) -> bool:
        time.sleep(0.01)
        assert max(vendor.asked) == int(contact.id[1:]) // 2
        return True

    vendor = Vendor()
    found, _ = export(kind, vendor, consume, read_ahead=False)
    assert len(found) == 2 * LAST


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_page_ahead_comes_after_the_items_before_it(kind: str) -> None:
    vendor, found = Vendor(), list[str]()
    vendor.broken = 3

    def consume(contact: Contact, _: Vendor) -> bool:
        found.append(contact.id)
        return True

    with pytest.raises(Rejected):
        export(kind, vendor, consume)
    assert found == ["c2", "c3", "c4", "c5"]
    assert vendor.asked == [1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_mapped_once_the_next_one_is_asked_for(kind: str) -> None:
    vendor = Vendor()
    provider = MappedPages(vendor=vendor)
    found, _ = export(kind, vendor, lambda *_: True, provider)
    assert found == [f"c{n}" for n in range(2, 2 * LAST + 2)]
    assert provider.mapped[:6] == [(2, 1), (3, 1), (4, 3), (5, 3), (6, 4), (7, 4)]
    assert len(provider.mapped) == 2 * LAST


def test_a_page_is_asked_for_before_a_consumer_that_never_waits_has_its_turn() -> None:
    vendor, asked = Vendor(), dict[str, int]()
    provider = MappedPages(vendor=vendor)

    async def main() -> None:
        transport = httpx.MockTransport(vendor.slowly)
        async with httpx.AsyncClient(transport=transport) as http, AsyncContacts(provider, http) as client:
            async for contact in client.export():
                asked[contact.id] = max(vendor.asked)

    asyncio.run(main())
    assert [asked[f"c{n}"] for n in (2, 4, 6, 8, 10)] == [1, 3, 4, 5, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_contact_that_cannot_be_mapped_ends_the_export_after_the_pages_before_it(kind: str) -> None:
    vendor, found = Vendor(), list[str]()
    before = set(threading.enumerate())

    def consume(contact: Contact, _: Vendor) -> bool:
        found.append(contact.id)
        return True

    with pytest.raises(UnexpectedPayload, match="an odd contact"):
        export(kind, vendor, consume, MappedPages(vendor=vendor, odd=7))
    assert found == ["c2", "c3", "c4", "c5"]
    assert vendor.asked == [1, 2, 3, 4], "the page after it was under way, and no more"
    assert vendor.ended == 4
    assert {t for t in set(threading.enumerate()) - before if t.name == "contacts-read-ahead" and t.is_alive()} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_slowly_does_not_keep_the_page_before_from_being_used(kind: str) -> None:
    vendor = Vendor()
    vendor.held = 3
    provider = MappedPages(vendor=vendor)

    def consume(contact: Contact, vendor: Vendor) -> bool:
        if contact.id == "c5":
            vendor.let_go.set()
        return True

    found, _ = export(kind, vendor, consume, provider)
    assert len(found) == 2 * LAST


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_leaves_early_leaves_nothing_under_way(kind: str) -> None:
    vendor = Vendor()
    before = set(threading.enumerate())

    def consume(contact: Contact, vendor: Vendor) -> bool:
        return contact.id != "c4" or (kind == "sync" and not came(vendor, 3))

    found, _ = export(kind, vendor, consume)
    assert found == ["c2", "c3", "c4"]
    assert vendor.asked == [1, 2, 3]
    assert vendor.ended == 3
    assert {t for t in set(threading.enumerate()) - before if t.name == "contacts-read-ahead" and t.is_alive()} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_leaves_early_waits_no_longer_than_for_a_cancelled_exchange(kind: str) -> None:
    vendor = Vendor()
    vendor.held = 3

    def consume(contact: Contact, vendor: Vendor) -> bool:
        return contact.id != "c4" or (kind == "sync" and not came(vendor, 3))

    began = time.monotonic()
    found, _ = export(kind, vendor, consume)
    assert time.monotonic() - began < 2
    assert found == ["c2", "c3", "c4"]
    vendor.let_go.set()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_consumer_is_the_consumers(kind: str) -> None:
    def consume(contact: Contact, _: Vendor) -> bool:
        if contact.id == "c5":
            raise ZeroDivisionError
        return True

    vendor = Vendor()
    with pytest.raises(ZeroDivisionError):
        export(kind, vendor, consume)
    assert max(vendor.asked) <= 3


def test_ctrl_c_while_the_page_ahead_is_waited_for_ends_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            super().result(timeout)
            raise KeyboardInterrupt

    monkeypatch.setattr("contacts_core.http.blocking.Future", Interrupting)
    vendor, found = Vendor(), list[str]()

    def consume(contact: Contact, _: Vendor) -> bool:
        found.append(contact.id)
        return True

    with pytest.raises(KeyboardInterrupt):
        export("sync", vendor, consume)
    assert found == ["c2", "c3", "c4", "c5"]
    assert vendor.asked == [1, 2, 3]


def test_a_cancelled_task_ends_the_export_and_the_page_ahead() -> None:
    vendor = Vendor()
    vendor.held = 3
    provider = Pages(http=HttpSettings(attempts=1, cancel_timeout_s=0.05))
    found: list[str] = []

    async def main() -> None:
        transport = httpx.MockTransport(vendor.slowly)
        async with httpx.AsyncClient(transport=transport) as http, AsyncContacts(provider, http) as client:

            async def read() -> None:
                async for contact in client.export():
                    found.append(contact.id)  # noqa: PERF401 - what came before it was cancelled counts

            task = asyncio.ensure_future(read())
            while 3 not in vendor.asked or len(found) < 4:  # noqa: ASYNC110 - two things are waited for
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [each for each in asyncio.all_tasks() if each is not asyncio.current_task()] == []

    asyncio.run(main())
    assert found == ["c2", "c3", "c4", "c5"]
    assert vendor.asked == [1, 2, 3]
