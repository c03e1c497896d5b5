"""The guard of a client: who it keeps from being written, where it runs, and what its failures leave behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from contacts_core import AsyncContacts, Contacts, connect, connect_async, errors
from contacts_core.config import plugins
from contacts_core.models import Contact, Outcome
from contacts_core.provider import Provider, hookimpl
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.core.fake_providers import Acme, Script, person
from tests.core.test_blocking_effect import KINDS, longest_stall

PEOPLE = [person(number, provider="", id="", lists=None) for number in range(1, 8)]
Guard = Callable[[Sequence[Contact]], Sequence[str]]


class Plugin:
    """Brings the vendor under its name."""

    @hookimpl
    def contacts_providers(self) -> list[type[Provider]]:
        return [Acme]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()
    plugins.manager().register(Plugin(), name="acme")
    yield
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()


def answer(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def upsert(kind: str, guard: Guard | None = None, script: Script | None = None, **options: Any) -> Outcome:
    provider, transport = Acme(script=script or Script()), httpx.MockTransport(answer)
    if kind == "sync":
        return Contacts(provider, httpx.Client(transport=transport), guard=guard).upsert_contacts(PEOPLE, **options)

    async def main() -> Outcome:
        async with httpx.AsyncClient(transport=transport) as client:
            return await AsyncContacts(provider, client, guard=guard).upsert_contacts(PEOPLE, **options)

    return asyncio.run(main())


def second_and_fifth(contacts: Sequence[Contact]) -> list[str]:
    return ["not this one" if contact in (PEOPLE[1], PEOPLE[4]) else "" for contact in contacts]


@pytest.mark.parametrize("kind", KINDS)
def test_contacts_with_a_reason_are_not_written_and_named_by_row(kind: str) -> None:
    script = Script()
    outcome = upsert(kind, second_and_fifth, script)
    assert (outcome.requested, outcome.failed_count) == (7, 2)
    assert ["row 2" in outcome.failed[0].reason, "row 5" in outcome.failed[1].reason] == [True, True]
    assert all("not this one" in failure.reason for failure in outcome.failed)
    assert sum(map(len, script.chunks("upsert"))) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_to_be_recreated_is_not_asked_about(kind: str) -> None:
    assert upsert(kind, second_and_fifth, recreate_erased=True).failed_count == 0


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_asynchronous_client_asks_in_a_thread(kind: str) -> None:
    threads: list[int] = []

    def guard(contacts: Sequence[Contact]) -> list[str]:
        threads.append(threading.get_ident())
        return [""] * len(contacts)

    upsert(kind, guard)
    assert len(threads) > 1
    assert (threading.get_ident() not in threads) is (kind == "async")


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_made_by_hand_has_no_guard_and_opens_no_database(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Tombstones(locate_storage()).add([i for contact in PEOPLE for i in contact.identifiers], "a-run")

    def opened(*_: Any) -> None:
        pytest.fail("a database was opened")

    monkeypatch.setattr(Tombstones, "__init__", opened)
    assert upsert(kind).succeeded_count == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("registered")
def test_a_client_that_is_connected_refuses_who_was_erased(kind: str) -> None:
    Tombstones(locate_storage()).add(PEOPLE[2].identifiers, "a-run")
    transport = httpx.MockTransport(answer)
    if kind == "sync":
        with httpx.Client(transport=transport) as client, connect("acme", client=client) as contacts:
            outcome = contacts.upsert_contacts(PEOPLE)
    else:

        async def main() -> Outcome:
            async with (
                httpx.AsyncClient(transport=transport) as client,
                connect_async("acme", client=client) as contacts,
            ):
                return await contacts.upsert_contacts(PEOPLE)

        outcome = asyncio.run(main())
    assert outcome.failed_count == 1
    assert "row 3 is held back, erased on" in outcome.failed[0].reason


@pytest.mark.usefixtures("registered")
def test_a_slow_look_up_of_tombstones_does_not_stall_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    Tombstones(locate_storage()).add(PEOPLE[2].identifiers, "a-run")
    real = Tombstones.reasons

    def slow(self: Tombstones, contacts: Sequence[Contact]) -> list[str]:
        time.sleep(0.5)
        return real(self, contacts)

    monkeypatch.setattr(Tombstones, "reasons", slow)

    async def main() -> float:
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
            connect_async("acme", client=client) as contacts,
        ):
            task = asyncio.ensure_future(contacts.upsert_contacts(PEOPLE[:3]))
            stall = await longest_stall(task)
            assert task.result().failed_count == 1
            return stall

    assert asyncio.run(main()) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_that_fails_on_the_way_leaves_the_outcome_so_far(kind: str) -> None:
    asked: list[int] = []

    def guard(contacts: Sequence[Contact]) -> list[str]:
        asked.append(len(contacts))
        if len(asked) == 2:
            raise errors.StorageError("the database is away")
        return [""] * len(contacts)

    script = Script()
    with pytest.raises(errors.Interrupted, match="the database is away") as caught:
        upsert(kind, guard, script)
    assert isinstance(caught.value.__cause__, errors.StorageError)
    assert caught.value.outcome.succeeded_count == asked[0] == 3
    assert caught.value.uncertain == ()
    assert list(caught.value.unsent) == PEOPLE[3:]
    assert sum(map(len, script.chunks("upsert"))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_that_fails_at_once_is_its_own_error(kind: str) -> None:
    def guard(_: Sequence[Contact]) -> list[str]:
        raise errors.ConfigurationError("another key")

    script = Script()
    with pytest.raises(errors.ConfigurationError, match="another key"):
        upsert(kind, guard, script)
    assert script.asked == []


def test_a_cancelled_guard_leaves_its_batch_unsent() -> None:
    begun = threading.Event()

    def guard(contacts: Sequence[Contact]) -> list[str]:
        begun.set()
        time.sleep(0.2)
        return [""] * len(contacts)

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            contacts = AsyncContacts(Acme(script=Script()), client, guard=guard)
            for times in (1, 2):
                begun.clear()
                task = asyncio.ensure_future(contacts.upsert_contacts(PEOPLE))
                await asyncio.to_thread(begun.wait)
                for _ in range(times):
                    task.cancel()
                    await asyncio.sleep(0.02)
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                why = caught.value.__cause__
                assert isinstance(why, errors.Interrupted)
                assert (why.outcome.succeeded_count, why.uncertain, list(why.unsent)) == (0, (), PEOPLE)

    asyncio.run(main())
