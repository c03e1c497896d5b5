"""Must type-check, in mypy and in pyright: what the public interface promises about types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, assert_type

import httpx
import httpx2

from contacts_bird import Bird
from contacts_core import (
    AsyncContacts,
    Contact,
    ContactList,
    Contacts,
    Count,
    F,
    FieldDefinition,
    FieldType,
    Found,
    Identifier,
    Job,
    Outcome,
    Query,
    connect,
    connect_async,
)
from contacts_core.plans import (
    AccountPlan,
    IdentifierExpansion,
    Plan,
    Receipt,
    apply,
    apply_async,
    plan_erasure,
    plan_erasure_async,
)
from contacts_core.provider import DeletesContacts, Flow
from contacts_sendgrid import SendGrid, api
from contacts_sendgrid.payloads import Accepted


def clients(key: str) -> None:
    sendgrid = Contacts(SendGrid(api_key=key))
    assert_type(sendgrid, Contacts[SendGrid])
    assert_type(sendgrid.delete_contacts(["1"]), Outcome)
    assert_type(sendgrid.search(F.email == "jane@example.com"), Iterator[Contact])
    assert_type(sendgrid.find([Identifier.email("jane@example.com")]), Found)
    assert_type(sendgrid.get_contacts(["1"]), dict[str, Contact | None])
    assert_type(sendgrid.count(), Count)
    outcome = sendgrid.delete_contacts(["1"])
    assert_type(sendgrid.wait(outcome), Outcome)
    assert_type(sendgrid.wait(outcome.jobs[0]), Job)
    assert_type(sendgrid.get_job("1"), Job)
    assert_type(
        sendgrid.change_contact("1", set={"address.city": "Springfield", "custom.score": 3}, clear=["title"]), Outcome
    )
    assert_type(sendgrid.create_custom_field("score", FieldType.NUMBER), FieldDefinition)
    assert_type(sendgrid.ensure_list("News"), ContactList)


async def awaited(key: str) -> None:
    async with AsyncContacts(Bird(access_key=key, workspace_id=key)) as bird:
        assert_type(await bird.delete_contacts(["1"]), Outcome)
        assert_type(await bird.change_contact("1", clear=["title"]), Outcome)
        assert_type(bird.export(), AsyncIterator[Contact])
        async for contact in bird.search(F.email == "jane@example.com"):
            assert_type(contact, Contact)
        assert_type(await bird.wait(await bird.delete_contacts([])), Outcome)


async def async_iterables(
    bird: AsyncContacts[Bird], contacts: Iterable[Contact], ids: AsyncIterator[str], identifiers: list[Identifier]
) -> None:
    assert_type(await bird.upsert_contacts(bird.export()), Outcome)
    assert_type(await bird.upsert_contacts(contacts), Outcome)
    assert_type(await bird.delete_contacts(ids), Outcome)
    assert_type(await bird.get_contacts(ids), dict[str, Contact | None])
    assert_type(await bird.find(identifiers), Found)
    assert_type(await bird.add_to_list("1", ids), Outcome)
    assert_type(await bird.remove_from_list("1", identifiers), Outcome)


def by_name(client: httpx.Client, other: httpx2.Client) -> None:
    assert_type(connect("acme"), Contacts[Any])
    assert_type(connect_async("acme"), AsyncContacts[Any])
    _ = connect("acme", client=client), connect("acme", client=other)


async def by_class(client: httpx.AsyncClient, other: httpx2.AsyncClient) -> None:
    assert_type(connect(SendGrid, api_key="key"), Contacts[SendGrid])
    assert_type(connect(SendGrid).count(), Count)
    assert_type(connect_async(Bird, access_key="key", http={"attempts": 2}), AsyncContacts[Bird])
    assert_type(await connect_async(Bird, client=client).count(), Count)
    _ = connect_async(Bird, client=other)


def by_capability(able: Contacts[DeletesContacts]) -> None:
    """A function may ask for the capability that it needs, and take any client that has it."""
    assert_type(able.delete_contacts(["1"]), Outcome)


def capable(key: str) -> None:
    by_capability(connect(SendGrid))
    by_capability(Contacts(Bird(access_key=key, workspace_id=key)))
    by_capability(connect("acme"))


def queries() -> None:
    query: Query = (F.email == "a") & ~(F.list == "b") | (F.custom["score"] > 10)
    _ = query


def flows() -> Flow[str | None]:
    accepted = yield from api.delete_contacts(["1"])
    assert_type(accepted, Accepted)
    return accepted.job_id


def plans(client: Contacts[SendGrid]) -> None:
    jane = Identifier.email("jane@example.com")
    plan = plan_erasure(
        [jane, [jane, Identifier.phone("+12025550123")]], ["marketing", client], follow=IdentifierExpansion.ONCE
    )
    assert_type(plan, Plan)
    assert_type(plan.accounts, tuple[AccountPlan, ...])
    assert_type(plan.apply([client]), Receipt)
    assert_type(apply(plan, timeout=60.0), Receipt)


async def awaited_plans(client: AsyncContacts[SendGrid]) -> None:
    plan = await plan_erasure_async([Identifier.email("jane@example.com")], [client])
    assert_type(plan, Plan)
    assert_type(await apply_async(plan, [client]), Receipt)
