"""Putting contacts on a list by a plan: the kind whose goal is to be there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.models import Outcome
from contacts_core.plans import Plan, Receipt, apply, plan_list_addition, plan_list_addition_async, resume
from contacts_core.provider import Flow, done
from contacts_core.testing.memory import MemoryProvider, Store
from tests.plans.environment import Environment

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 0.3}
JANE, JOHN, NOBODY = (Identifier.email(f"{name}@example.com") for name in ("jane", "john", "nobody"))


@pytest.fixture
def store() -> Store:
    people = [Contact(id=i.value[:4], identifiers=(i,), lists=("l2",)) for i in (JANE, JOHN)]
    return Store(contacts={contact.id: contact for contact in people}, lists={"l1": "Attendees", "l2": "News"})


def added(store: Store, *people: Identifier) -> tuple[Plan, Receipt]:
    with Contacts(MemoryProvider(store=store)) as client:
        plan = plan_list_addition(client, "Attendees", people)
        return plan, apply(plan, [client], **QUICK)


def test_those_who_are_found_are_on_the_list_afterwards_and_nobody_else(store: Store) -> None:
    plan, receipt = added(store, JANE)
    assert [(c.operation, c.contact, c.list_id) for c in plan.accounts[0].changes] == [("add_to_list", "jane", "l1")]
    assert (receipt.state, receipt.present, receipt.complete) == ("done", 1, True)
    assert store.contacts["jane"].lists == ("l2", "l1")
    assert store.contacts["john"].lists == ("l2",)


def test_nobody_is_created(store: Store) -> None:
    _, receipt = added(store, JANE, NOBODY)
    assert (receipt.state, receipt.present, receipt.absent) == ("incomplete", 1, 1)
    assert [line["reason"] for line in receipt.of("result")][1] == "no contact was found"
    assert store.contacts.keys() == {"jane", "john"}


def test_a_plan_that_was_saved_is_the_same(store: Store) -> None:
    plan, _ = added(store, JANE)
    assert Plan.parse(plan.text) == plan


def test_who_is_on_the_list_already_stays_there(store: Store) -> None:
    added(store, JANE)
    _, receipt = added(store, JANE)
    assert receipt.complete
    assert store.contacts["jane"].lists == ("l2", "l1")


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_at_every_vendor(environment: Environment, name: str) -> None:
    client = environment.clients[name]
    lists = {each.id: {c.id for c in client.export(lists=[each.id])} for each in client.lists()}
    list_id, members = min(lists.items(), key=lambda item: len(item[1]))
    outside = [contact for contact in environment.everyone()[name].values() if contact.id not in members][:2]
    plan = plan_list_addition(client, list_id, ids=[contact.id for contact in outside])
    receipt = apply(plan, [client], pause=0.02, timeout=20)
    assert receipt.complete, receipt.text
    assert {c.id for c in client.export(lists=[list_id])} == members | {contact.id for contact in outside}


def test_a_vendor_that_accepts_and_does_nothing_is_found_out(store: Store) -> None:
    class Idle(MemoryProvider):
        def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
            yield from ()
            return done(map(str, members))

    with Contacts(Idle(store=store)) as client:
        receipt = apply(plan_list_addition(client, "l1", [JANE]), [client], **QUICK)
        assert (receipt.state, receipt.absent) == ("incomplete", 1)
        assert "not on the list" in receipt.of("result")[0]["reason"]
    with Contacts(MemoryProvider(store=store)) as honest:
        assert resume(receipt.run, [honest]).complete


def test_who_became_somebody_else_meanwhile_is_left_alone(store: Store) -> None:
    with Contacts(MemoryProvider(store=store)) as client:
        plan = plan_list_addition(client, "l1", [JANE])
        store.contacts["jane"] = Contact(id="jane", identifiers=(JOHN,), lists=("l2",))
        with pytest.raises(PlanRefused, match="changed since"):
            apply(plan, [client], **QUICK)
    assert store.contacts["jane"].lists == ("l2",)


def test_awaited_it_is_the_same(store: Store) -> None:
    async def made() -> Plan:
        async with AsyncContacts(MemoryProvider(store=store)) as client:
            return await plan_list_addition_async(client, "l1", [JANE])

    with Contacts(MemoryProvider(store=store)) as client:
        assert asyncio.run(made()).accounts == plan_list_addition(client, "l1", [JANE]).accounts


def test_identifiers_that_no_contact_has_do_not_matter_and_are_not_called_present(store: Store) -> None:
    with Contacts(MemoryProvider(store=store)) as client:
        plan = plan_list_addition(client, "l1", [(JANE, Identifier.phone("+12025550123"))])
        receipt = apply(plan, [client], **QUICK)
    (line,) = receipt.of("result")
    assert (receipt.complete, line["state"]) == (True, "present")
    assert [item["state"] for item in line["identifiers"]] == ["present", "absent"]


def test_one_of_two_contacts_that_is_not_put_on_the_list_is_told(store: Store) -> None:
    store.contacts["jane2"] = Contact(id="jane2", identifiers=(JANE,), lists=())

    class Half(MemoryProvider):
        def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
            if "jane2" in members:
                yield from ()
                return done(map(str, members))
            return (yield from super().add_to_list(list_id, members))

    with Contacts(Half(store=store)) as client:
        receipt = apply(plan_list_addition(client, "l1", [JANE]), [client], **QUICK)
    (line,) = receipt.of("result")
    assert (receipt.state, line["state"]) == ("incomplete", "absent")
    assert line["reason"].startswith("1 of 2 contacts not on the list")
