"""A step that is repeated after a crash changes nothing more; where that cannot be promised, the plan says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_core import Contact, Contacts, Identifier
from contacts_core.cli.plan_formatting import notes
from contacts_core.formats import plain
from contacts_core.models import Channel, Consent, ConsentState, FieldDefinition, FieldType
from contacts_core.plans import Change, Plan, SafetyLimits, apply, plan_upsert
from contacts_core.plans.change_operations import OPERATIONS, operation_of
from contacts_core.plans.change_operations.account import consent_change, field_change, list_change, scope_change
from contacts_core.plans.change_operations.contacts import fields_written
from contacts_core.plans.change_operations.mail_data import mail_data_change
from contacts_core.plans.execution import attempts
from contacts_core.plans.payload import packed
from contacts_core.plans.planning.planner import cut_steps
from contacts_core.provider import (
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    Flow,
    ReadsConsent,
    ReadsCustomFields,
    UpsertsContacts,
)
from contacts_core.testing.memory import MemoryProvider, Store
from contacts_local import Local
from tests.plans.environment import CHANGING, Environment, open_environment

VENDORS = ("bird", "local", "sendgrid", "user-api")
READS = ("/search", "/batch", "/exports")  # what is sent by POST and only reads
NAME, LIST = "repeated_once", "Repeated once"
NEW = tuple(Identifier.email(f"repeated-{number}@example.com") for number in range(9))
ALL = SafetyLimits(contacts=100, share=1)
# A membership is there or it is not, and mail data too: what is asked for again is sent again, and changes nothing.
SENT_AGAIN = {
    ("bird", "add_to_list"),
    ("bird", "remove_from_list"),
    ("bird", "write_consent"),
    ("sendgrid", "add_to_list"),
    ("sendgrid", "remove_from_list"),
    ("sendgrid", "write_consent"),
    ("sendgrid", "erase_mail_data"),
}


class Vendor:
    """A client, what was sent by it, and what is there."""

    def __init__(self, client: Contacts[Any], environment: Environment) -> None:
        self.client, self._environment = client, environment

    def run(self, changes: Sequence[Change]) -> int:
        """Make the changes of a step, and return how many requests changed something."""
        self._environment.seen.clear()
        operation, provider = operation_of(changes[0].operation), self.client.provider
        outcome = self.client.run(attempts.act(operation, changes, provider))
        self.client.wait(outcome)
        self._environment.settle()
        assert not outcome.failed
        return sum(
            each.method in CHANGING and not any(path in each.path for path in READS) for each in self._environment.seen
        )

    def everything(self) -> dict[str, Any]:
        """All that a step may change, but for the times of the last change."""
        client, provider = self.client, self.client.provider
        contacts = [evolve(each, updated_at=None, extra={}) for each in client.export()]
        found: dict[str, Any] = {
            "contacts": sorted((plain(each) for each in contacts), key=lambda each: each["id"]),
            "memberships": {each.id: sorted(c.id for c in client.export(lists=[each.id])) for each in client.lists()},
            "lists": sorted((each.id, each.name) for each in client.lists()),
        }
        if isinstance(provider, ReadsCustomFields):
            found["fields"] = sorted((each.id, each.name) for each in client.custom_fields())
        if isinstance(provider, ReadsConsent):
            found["consent"] = sorted(repr(plain(evolve(each, at=None))) for each in client.consent())
        if isinstance(provider, CreatesConsentScopes):
            found["scopes"] = list(client.run(provider.consent_scopes()))
        return found


@pytest.fixture(scope="module")
def served() -> Iterator[Environment]:
    with open_environment() as opened:
        yield opened


@pytest.fixture
def vendor(request: pytest.FixtureRequest, served: Environment, tmp_path: Path) -> Iterator[Vendor]:
    if request.param != "local":
        with served.client(request.param) as client:
            yield Vendor(client, served)
        return
    with Contacts(Local(path=tmp_path / "people.db")) as client:
        news = client.create_list("News").id
        people = [
            Contact(identifiers=(Identifier.email(f"p{n}@example.com"), Identifier.phone(f"+1202555010{n}")))
            for n in range(4)
        ]
        client.upsert_contacts(people[:3], lists=[news])
        client.upsert_contacts(people[3:])
        yield Vendor(client, served)


def of(contact: Contact, operation: str, **values: Any) -> Change:
    return Change(operation, contact.id, contact.identifiers, (1,), "", **values)


def written(client: Contacts[Any], contact: Contact) -> Change:
    return plan_upsert(client, [contact], limits=ALL).accounts[0].changes[0]


def somebody(client: Contacts[Any]) -> Contact:
    """Somebody with an address that can be looked up, and more than one identifier."""
    return next(each for each in client.export() if each.email and each.phone)


def creation(client: Contacts[Any]) -> Change:
    free = next(each for each in NEW if client.find([each])[each] is None)
    return written(client, Contact(identifiers=(free,), first_name="Ada"))


def update(client: Contacts[Any]) -> Change:
    return written(client, Contact(identifiers=(Identifier.email(str(somebody(client).email)),), last_name="Repeated"))


def field_values(client: Contacts[Any]) -> Change:
    known = client.get_contacts([somebody(client).id])
    (contact,) = (each for each in known.values() if each)
    return of(contact, "change_contact", write=fields_written({"last_name": "Changed"}, []), before=packed(contact))


def addition(client: Contacts[Any]) -> Change:
    *_, last = client.lists()
    members = {each.id for each in client.export(lists=[last.id])}
    other = next(each for each in client.export() if each.id not in members and each.email)
    return of(other, "add_to_list", list_id=last.id)


def leaving(client: Contacts[Any]) -> Change:
    found = ((each.id, next(iter(client.export(lists=[each.id])), None)) for each in client.lists())
    list_id, member = next((list_id, member) for list_id, member in found if member)
    return of(client.get_contacts([member.id])[member.id] or member, "remove_from_list", list_id=list_id)


def removal(client: Contacts[Any]) -> Change:
    contact = somebody(client)
    phone = next(each for each in contact.identifiers if each.kind.value == "phone")
    return of(contact, "remove_identifier", removes=(phone,))


def refusal(client: Contacts[Any]) -> Change:
    address = Identifier.email(str(somebody(client).email))
    accept = ("DATE_LOST", "REASON_LOST", "NO_PLACE", "RETYPED")
    return consent_change([Consent(address, Channel.EMAIL, ConsentState.REVOKED)], (1,), "", accept)


CHANGES: dict[str, Callable[[Contacts[Any]], Change]] = {
    "create_custom_field": lambda _: field_change(FieldDefinition("", "", NAME, FieldType.TEXT), ""),
    "create_list": lambda _: list_change(LIST, ""),
    "ensure_consent_scopes": lambda _: scope_change(NAME, ""),
    "write_consent": refusal,
    "upsert_contacts": creation,
    "update": update,
    "change_contact": field_values,
    "add_to_list": addition,
    "remove_from_list": leaving,
    "remove_identifier": removal,
    "delete_contacts": lambda client: of(somebody(client), "delete_contacts"),
    "erase_mail_data": lambda client: mail_data_change(Identifier.email(str(somebody(client).email)), (1,)),
}


def test_every_operation_is_repeated_here() -> None:
    writes_nothing = {"confirm_consent"}
    assert {*CHANGES} - {"update"} == {*OPERATIONS} - writes_nothing


@pytest.mark.parametrize("vendor", VENDORS, indirect=True)
@pytest.mark.parametrize("name", CHANGES)
def test_a_repeated_step_changes_nothing_more(vendor: Vendor, name: str) -> None:
    operation, client = operation_of("upsert_contacts" if name == "update" else name), vendor.client
    if not isinstance(client.provider, operation.capability):
        return
    change = CHANGES[name](client)
    before = vendor.everything()
    sent = vendor.run([change])
    once = vendor.everything()
    assert sent or client.name == "local"
    assert (once != before) or name == "erase_mail_data"
    again = vendor.run([change])
    assert vendor.everything() == once
    assert bool(again) == ((client.name, operation.name) in SENT_AGAIN)


@pytest.mark.parametrize(
    ("name", "creates"),
    [
        ("bird", {"create_list"}),
        ("local", set[str]()),
        ("sendgrid", {"create_list"}),
        ("user-api", {"create_custom_field", "create_list", "upsert_contacts"}),
    ],
)
@pytest.mark.parametrize("vendor", ["bird"], indirect=True)
def test_a_step_says_whether_it_can_be_repeated(
    vendor: Vendor, served: Environment, tmp_path: Path, name: str, creates: set[str]
) -> None:
    provider = served.clients[name].provider if name != "local" else Local(path=tmp_path / "people.db")
    changes = {kind: make(vendor.client) for kind, make in CHANGES.items()}
    able = {n: c for n, c in changes.items() if isinstance(provider, operation_of(c.operation).capability)}
    told = {n: cut_steps(operation_of(c.operation), provider, [c])[0][0].idempotent for n, c in able.items()}
    assert {n for n, idempotent in told.items() if not idempotent} == creates
    assert told["update"], "an update names the contact by its id"


class TestPlan:
    def test_it_names_the_operations_and_keeps_them_in_its_file(self, served: Environment) -> None:
        contact = Contact(identifiers=(Identifier.email("plan@example.com"),), lists=("Plan",))
        plan = plan_upsert(served.clients["user-api"], [contact], create_lists=True, limits=ALL)
        assert plan.accounts[0].non_idempotent == ("create_list", "upsert_contacts")
        assert Plan.parse(plan.text).accounts[0].non_idempotent == ("create_list", "upsert_contacts")
        assert plan.text.count('"idempotent": false') == 2
        told = [note for note in notes(plan) if note.startswith("user-api: ")]
        assert len(told) == 1
        assert "there may be a second list or contact afterwards" in told[0]

    def test_of_one_that_can_be_repeated_nothing_is_said(self, served: Environment) -> None:
        plan = plan_upsert(served.clients["sendgrid"], [Contact(identifiers=(Identifier.email("plan@example.com"),))])
        assert plan.accounts[0].non_idempotent == ()
        assert "idempotent" not in plan.text
        assert not any("a second" in note for note in notes(plan))


class Late(MemoryProvider):
    """A vendor that shows late what it created, so that a second one comes into being."""

    non_idempotent = (UpsertsContacts, CreatesLists, CreatesCustomFields)

    def create_list(self, name: str) -> Flow[Any]:
        yield from super().create_list(name)
        return (yield from super().create_list(name))


def test_a_second_list_is_found_by_the_read_at_the_end() -> None:
    with Contacts(Late(store=Store())) as client:
        plan = plan_upsert(client, [Contact(identifiers=NEW[:1], lists=("Guests",))], create_lists=True)
        receipt = apply(plan, [client], pause=0.01, timeout=0.1)
    (lists, contacts) = receipt.of("stage")
    assert (receipt.state, lists["unmade"], lists["reasons"]) == ("incomplete", 1, ["there are 2 of this name"])
    assert (contacts["verified"], receipt.present) == (0, 0)
