"""Which contact is which: plans tell it of those that are there, and runs of those that they write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.plans import Change, apply, plan_copy, plan_copy_async, plan_upsert
from contacts_core.plans.execution.context import Session
from contacts_core.storage.database import locate_storage
from contacts_local import Local
from tests.plans.environment import lively

DATES = ("DATE_LOST",)
Pairs = dict[str, str]


def person(n: int, id: str = "") -> Contact:
    return Contact("theirs" if id else "", id, identifiers=(Identifier.email(f"jane{n}@example.com"),), first_name="J")


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[tuple[Contacts[Local], Contacts[Local]]]:
    with (
        lively(),
        Contacts(Local(path=tmp_path / "old.db"), name="old") as old,
        Contacts(Local(path=tmp_path / "new.db"), name="new") as new,
    ):
        old.upsert_contacts(map(person, range(4)))
        new.upsert_contacts(map(person, range(2)))
        yield old, new


def expected(old: Contacts[Local], new: Contacts[Local]) -> Pairs:
    there = {contact.email: contact.id for contact in new.export()}
    return {contact.id: there[contact.email] for contact in old.export() if contact.email in there}


def test_a_plan_tells_those_who_are_there_and_a_run_those_it_writes(
    accounts: tuple[Contacts[Local], Contacts[Local]],
) -> None:
    old, new = accounts
    planned, written = Pairs(), Pairs()
    before = expected(old, new)
    plan = plan_copy(old, new, accept_losses=DATES, on_pair=planned.__setitem__)
    assert planned == before
    assert len(before) == 2
    assert apply(plan, [old, new], on_pair=written.__setitem__).complete
    assert planned | written == expected(old, new)
    assert planned.keys().isdisjoint(written)


def test_a_plan_tells_it_asynchronously_too(accounts: tuple[Contacts[Local], Contacts[Local]]) -> None:
    async def told() -> Pairs:
        pairs = Pairs()
        clients = [AsyncContacts(each.provider, name=each.name) for each in accounts]
        await plan_copy_async(*clients, accept_losses=DATES, on_pair=pairs.__setitem__)
        for client in clients:
            await client.close()
        return pairs

    assert asyncio.run(told()) == expected(*accounts)


def test_contacts_of_a_file_are_told_by_their_own_ids(accounts: tuple[Contacts[Local], Contacts[Local]]) -> None:
    _, new = accounts
    pairs = Pairs()
    given = [person(0, "a"), person(7, "b"), person(8)]
    plan = plan_upsert(new, given, on_pair=pairs.__setitem__)
    assert apply(plan, [new], on_pair=pairs.__setitem__).complete
    there = {contact.email: contact.id for contact in new.export()}
    assert pairs == {"a": there["jane0@example.com"], "b": there["jane7@example.com"]}


def test_whoever_is_told_cannot_break_the_run(
    accounts: tuple[Contacts[Local], Contacts[Local]], caplog: pytest.LogCaptureFixture
) -> None:
    old, new = accounts

    def broken(_old: str, _new: str) -> None:
        raise RuntimeError("jane@example.com")

    assert apply(plan_copy(old, new, accept_losses=DATES), [old, new], on_pair=broken).complete
    assert "on_pair failed: RuntimeError" in caplog.text
    assert "jane@example.com" not in caplog.text


def test_pairs_of_other_runs_that_a_process_works_on_are_not_told(tmp_path: Path) -> None:
    pairs = Pairs()
    session = Session(locate_storage(tmp_path), {}, on_pair=pairs.__setitem__)
    session.followed = "copy-1"
    change = Change("upsert_contacts", "", (Identifier.email("jane@example.com"),), (1,), "", source="old")
    session.paired("copy-2", change, "new")
    assert (pairs, session.tells_pairs("copy-2")) == ({}, False)
    session.paired("copy-1", change, "new")
    assert (pairs, session.tells_pairs("copy-1")) == ({"old": "new"}, True)
