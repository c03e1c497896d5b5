"""Answers that are not true: nobody else is touched, and nothing is claimed that was not shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from attrs import Factory, define, evolve, field, frozen

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.cli.plan_formatting import notes
from contacts_core.config import plugins
from contacts_core.errors import ContactsError, InvalidInput, NotFound, PlanRefused, RateLimited, Unavailable
from contacts_core.models import Channel, Consent, ConsentState, ContactList, Outcome, Page
from contacts_core.plans import (
    Plan,
    Receipt,
    RunStopped,
    SafetyLimits,
    list_runs,
    plan_copy,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_removal,
    plan_upsert,
    replan,
    resume,
)
from contacts_core.plans.execution import attempts
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.planning import lookup
from contacts_core.provider import (
    DeletesContacts,
    Emit,
    Exports,
    ExportsPages,
    FindsContacts,
    Flow,
    GetsContacts,
    RateLimit,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Stream,
    base_url_setting,
    done,
    hookimpl,
)
from contacts_core.testing.memory import MemoryProvider, Store
from tests.plans.environment import Environment

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 2.0}
HASTY: dict[str, Any] = {"pause": 0.01, "timeout": 0.05}


def email(name: str) -> Identifier:
    return Identifier.email(f"{name}@example.com")


def external(name: str) -> Identifier:
    return Identifier.external_id(name)


def person(name: str, *more: Identifier, lists: tuple[str, ...] | None = ("l1",)) -> Contact:
    return Contact(provider="desk", id=name, identifiers=(email(name), *more), lists=lists)


@define
class FakeVendor:
    """What a vendor has, what it was sent, and how it lies: each lie is asked for the name of what is read."""

    contacts: dict[str, Contact]
    names: dict[str, str] = field(default=Factory(lambda: {"l1": "Newsletter"}))
    account: str = "workspace 1"
    asked: list[tuple[str, Any]] = field(factory=list[tuple[str, Any]])
    lie: Callable[[str, Any], Any] | None = None
    cannot: str = ""

    def told(self, what: str, about: Any, truth: Any) -> Any:
        self.asked.append((what, about))
        lied = self.lie(what, about) if self.lie else None
        if isinstance(lied, Exception):
            raise lied
        return truth() if lied is None else lied

    def sent(self, what: str) -> list[Any]:
        return [about for name, about in self.asked if name == what]


def fake_vendor(*people: Contact) -> FakeVendor:
    return FakeVendor({contact.id: contact for contact in people})


@frozen(kw_only=True)
class Desk(
    DeletesContacts, RemovesIdentifiers, RemovesFromLists, FindsContacts, GetsContacts, ExportsPages, ReadsLists
):
    """A vendor with a look-up, in memory."""

    name = "desk"
    title = "Desk"

    vendor: FakeVendor = field(repr=False)
    base_url: str = base_url_setting("http://127.0.0.1:1")

    def account_id(self) -> Flow[str]:
        yield from ()
        return str(self.vendor.told("account", "", lambda: self.vendor.account))

    def cannot_find(self, identifier: Identifier) -> str:
        return self.vendor.cannot if identifier.kind.value == "external_id" else ""

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        yield from ()
        (wanted,) = identifiers
        found: list[Contact] = self.vendor.told(
            "find", wanted, lambda: [c for c in self.vendor.contacts.values() if wanted in c.identifiers]
        )
        return [(wanted, contact) for contact in found]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from ()
        (id,) = ids
        found: list[Contact] = self.vendor.told(
            "get", id, lambda: [self.vendor.contacts[id]] if id in self.vendor.contacts else []
        )
        return found

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        shown: list[Contact] = self.vendor.told(
            "list" if list_id else "page",
            list_id,
            lambda: [c for c in self.vendor.contacts.values() if list_id is None or list_id in (c.lists or ())],
        )
        return Page(shown)

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        lists: list[ContactList] = self.vendor.told(
            "lists", "", lambda: [ContactList(self.name, id, name) for id, name in self.vendor.names.items()]
        )
        return Page(lists)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        (id,) = ids
        self.vendor.told("delete", id, lambda: True)
        if self.vendor.contacts.pop(id, None) is None:
            raise NotFound("no such contact")
        return Outcome(operation="delete_contacts", requested=1, confirmed=(id,))

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        self.vendor.told("remove", (contact_id, identifier), lambda: True)
        there = self.vendor.contacts[contact_id]
        rest = tuple(each for each in there.identifiers if each != identifier)
        self.vendor.contacts[contact_id] = evolve(there, identifiers=rest)
        return Outcome(operation="remove_identifier", requested=1, confirmed=(identifier.value,))

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        (id,) = map(str, members)
        self.vendor.told("leave", (list_id, id), lambda: True)
        there = self.vendor.contacts[id]
        self.vendor.contacts[id] = evolve(there, lists=tuple(x for x in there.lists or () if x != list_id))
        return Outcome(operation="remove_from_list", requested=1, confirmed=(id,))


def desk(vendor: FakeVendor, name: str = "desk", provider: type[Desk] = Desk) -> Contacts[Any]:
    return Contacts(provider(vendor=vendor), name=name)


def answers(done: Receipt) -> set[tuple[str, str]]:
    return {(line["state"], line["reason"]) for line in done.of("result")}


def once(what: str, do: Callable[[Any], object]) -> Callable[[str, Any], Any]:
    """Do something at the first question of this sort, before it is answered."""
    left = [True]

    def lie(asked: str, about: Any) -> Any:
        if asked == what and left:
            left.clear()
            do(about)

    return lie


# -- planning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["matches-too-much", "ignored-filter", "wrong-person"])
@pytest.mark.parametrize("name", ["sendgrid", "bird"])
def test_a_look_up_that_answers_with_others_makes_no_plan_for_them(
    environment: Environment, name: str, fault: str
) -> None:
    client = environment.clients[name]
    everyone = {each.id for each in client.export()}
    target = next(c for c in client.export() if c.email)
    assert target.email
    environment.sandbox.emulators[name].create([("email", target.email.partition("@")[0] + "@another.example.com")])
    environment.sandbox.faults.set(fault, None)
    if name == "sendgrid" and fault != "wrong-person":  # answers name what they answer: the rest is no answer
        assert [
            each.contact for each in plan_erasure([Identifier.email(target.email)], [client]).accounts[0].changes
        ] == [target.id]
    else:
        with pytest.raises(PlanRefused, match=rf"{name}: .* that do not have them"):
            plan_erasure([Identifier.email(target.email)], [client])
    environment.settle()
    assert everyone < {each.id for each in client.export()}


@pytest.mark.parametrize(
    "fault",
    [
        "not-found-everywhere",
        "not-found-everywhere-text",
        "not-found-everywhere-json",
        "not-found-everywhere-empty",
    ],
)
@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_a_gateway_that_knows_nothing_makes_no_plan(environment: Environment, name: str, fault: str) -> None:
    client = environment.clients[name]
    (someone,) = environment.emails(1)
    environment.sandbox.faults.set(fault, None)
    with pytest.raises(ContactsError):
        plan_erasure([someone], [client])
    with pytest.raises(ContactsError):
        plan_identifier_removal([someone], [client])


def test_a_look_up_that_shows_nobody_must_be_able_to_show_somebody() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    vendor.lie = lambda what, _: [] if what == "find" else None
    with desk(vendor) as client, pytest.raises(PlanRefused, match=r"desk shows no contact.*did not show") as caught:
        plan_erasure([email("jane")], [client])
    assert "base_url" in caught.value.hint
    vendor.lie = lambda what, _: [] if what == "get" else None
    with desk(vendor) as client, pytest.raises(PlanRefused, match="desk shows no contact"):
        plan_deletion(client, ids=["jane"])


def test_who_is_not_there_is_found_out_with_one_contact_who_is() -> None:
    vendor = fake_vendor(person("jane"))
    with desk(vendor) as client:
        assert plan_erasure([email("nobody")], [client]).contacts == 0
    assert vendor.sent("find") == [email("nobody"), email("jane")]


def test_an_empty_account_needs_nobody_to_be_shown() -> None:
    with desk(fake_vendor()) as client:
        assert plan_erasure([email("nobody")], [client]).apply([client], **QUICK).complete


def test_a_kind_that_nobody_of_the_sample_has_is_vouched_for_by_another() -> None:
    vendor = fake_vendor(person("jane"))
    with desk(vendor) as client:
        assert plan_erasure([Identifier.phone("+12025550123")], [client]).contacts == 0
    vendor.lie = lambda what, _: [] if what == "find" else None
    with desk(vendor) as client, pytest.raises(PlanRefused, match="shows no contact"):
        plan_erasure([Identifier.phone("+12025550123")], [client])


def test_a_sample_that_cannot_be_had_proves_nothing() -> None:
    vendor = fake_vendor(person("jane"))
    vendor.lie = lambda what, _: Unavailable("for now", status=503) if what == "page" else None
    with desk(vendor) as client, pytest.raises(PlanRefused, match=r"could not be checked: Unavailable \[503\]"):
        plan_erasure([email("nobody")], [client])


def test_another_contact_than_the_one_asked_for_by_id_makes_no_plan() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    vendor.lie = lambda what, _: [vendor.contacts["john"]] if what == "get" else None
    with desk(vendor) as client, pytest.raises(ContactsError, match="not asked for"):
        plan_deletion(client, ids=["jane"])


def test_a_contact_with_an_id_that_cannot_be_sent_makes_no_plan() -> None:
    odd = evolve(person("jane"), id="../jane")
    with desk(FakeVendor({odd.id: odd})) as client, pytest.raises(PlanRefused, match="whose id cannot be sent"):
        plan_erasure([email("jane")], [client])


def test_an_id_that_nobody_has_is_said_beforehand() -> None:
    with desk(fake_vendor(person("jane"))) as client:
        plan = plan_deletion(client, ids=["missing"])
        words = list(notes(plan))
        done = plan.apply([client], **QUICK)
    assert "there is no such contact in desk: missing" in words
    assert any(line.startswith("no contact was found") for line in words)
    assert answers(done) == {("absent", "was not there and is not: by id")}


def test_who_was_asked_for_by_id_and_is_there_later_is_not_absent() -> None:
    vendor = fake_vendor(person("jane"))
    with desk(vendor) as client:
        plan = plan_deletion(client, ids=["late"])
        vendor.lie = once("get", lambda _: None)
        seen: list[int] = []

        def lie(what: str, about: Any) -> Any:
            if (what, about) == ("get", "late"):
                seen.append(1)
                if len(seen) == 2:  # the first is the check
                    vendor.contacts["late"] = person("late")

        vendor.lie = lie
        done = plan.apply([client], **HASTY)
    assert done.present == 1
    assert "late" in vendor.contacts


# -- what cannot be asked ----------------------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_unknown_beforehand_and_afterwards() -> None:
    vendor = fake_vendor(person("jane", external("E1")), person("john"))
    vendor.cannot = "this vendor looks up e-mail addresses only"
    with desk(vendor) as client:
        plan = plan_erasure([[email("jane"), external("E1")], external("E2")], [client])
        assert any("could not be looked up in desk" in line and "only" in line for line in notes(plan))
        assert not any("not in desk" in line for line in notes(plan))
        assert Plan.parse(plan.text) == plan
        done = plan.apply([client], **QUICK)
    reason = "not looked up there: this vendor looks up e-mail addresses only"
    assert "jane" not in vendor.contacts
    assert (done.state, done.absent, done.unknown) == ("incomplete", 0, 2)
    assert answers(done) == {("unknown", reason)}
    assert [[each["state"] for each in line["identifiers"]] for line in done.of("result")] == [
        ["absent", "unknown"],
        ["unknown"],
    ]
    assert external("E1") not in vendor.sent("find")


def test_of_a_contact_given_by_id_what_cannot_be_asked_does_not_matter() -> None:
    vendor = fake_vendor(person("jane", external("E1")), person("john"))
    vendor.cannot = "no such look-up"
    with desk(vendor) as client:
        done = plan_deletion(client, ids=["jane"]).apply([client], **QUICK)
    assert done.complete
    assert answers(done) == {("absent", "not found any more: by id and by look-up")}
    assert [each["kind"] for line in done.of("result") for each in line["identifiers"]] == ["email"]


# -- between reading and touching --------------------------------------------------------------------------------------


def stranger(vendor: FakeVendor, id: str) -> None:
    vendor.contacts[id] = evolve(vendor.contacts[id], identifiers=(email("stranger"),))


def test_somebody_else_by_that_id_is_left_alone_and_named_in_the_receipt() -> None:
    vendor = fake_vendor(person("jane"), person("jim"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane"), email("jim")], [client])
        checked: list[Any] = []

        def lie(what: str, about: Any) -> None:
            if what == "get" and not checked:  # the check looks up: the first read by id is the step's
                checked.append(about)
                stranger(vendor, "jane")

        vendor.lie = lie
        done = plan.apply([client], **HASTY)
        again = resume(done.run, [client])
    assert vendor.contacts.keys() == {"jane", "john"}
    assert vendor.sent("delete") == ["jim"]
    (step,) = [line for line in done.of("step") if line["round"] == 1]
    assert step["failed"] == 1
    assert any("other identifiers" in reason for reason in step["reasons"])
    (first, second) = done.of("result")
    assert (first["state"], second["state"]) == ("present", "absent")
    assert "other identifiers" in first["reason"]
    assert "other identifiers" in again.of("result")[0]["reason"]
    assert vendor.sent("delete") == ["jim"]


@pytest.mark.parametrize("kind", ["remove-identifier", "remove-from-list"])
def test_nor_is_anything_taken_off_somebody_else(kind: str) -> None:
    vendor = fake_vendor(person("jane", Identifier.phone("+12025550123")), person("john"))
    with desk(vendor) as client:
        if kind == "remove-identifier":
            plan = plan_identifier_removal([email("jane")], [client])
        else:
            plan = plan_list_removal(client, "l1", [email("jane")])
        vendor.lie = once("get", lambda _: stranger(vendor, "jane"))
        done = plan.apply([client], **HASTY)
    assert vendor.contacts["jane"].identifiers == (email("stranger"),)
    assert vendor.contacts["jane"].lists == ("l1",)
    assert vendor.sent("remove") == vendor.sent("leave") == []
    assert done.absent == 0


def test_each_retry_reads_again() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        (part,) = plan.accounts

        def lie(what: str, about: Any) -> Any:
            if what == "delete":
                stranger(vendor, "jane")
                return Unavailable("for now")
            return None

        vendor.lie = lie
        outcome = client.run(attempts.act(kind_of(plan.kind).changes_by, part.changes, client.provider))
    assert vendor.sent("delete") == ["jane"]
    assert [failure.item for failure in outcome.failed] == ["jane"]
    assert "jane" in vendor.contacts


def test_a_step_that_is_tried_again_reads_again_and_waits_as_long_as_the_vendor_asks() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        left = [1]

        def lie(what: str, about: Any) -> Any:
            if what == "delete" and left:
                left.clear()
                return RateLimited("slowly", retry_after=30.0)
            if what == "get" and not left:
                stranger(vendor, "jane")
            return None

        vendor.lie = lie
        done = plan.apply([client], pause=0.01, timeout=0.3)
    assert vendor.sent("delete") == ["jane"]
    assert [line["attempt"] for line in done.of("step")] == [1, 2]
    assert "jane" in vendor.contacts


def test_who_is_gone_meanwhile_is_absent_and_not_sent() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        del vendor.contacts["jane"]
        outcome = client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
    assert outcome.absent == ("jane",)
    assert vendor.sent("delete") == []


def test_two_identifiers_of_one_contact_go_one_after_the_other() -> None:
    phone = Identifier.phone("+12025550123")
    vendor = fake_vendor(person("jane", phone), person("john"))
    with desk(vendor) as client:
        plan = plan_identifier_removal([email("jane"), phone], [client])
        assert plan.requests == 4
        vendor.asked.clear()
        outcome = client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
        assert len(vendor.asked) == plan.requests
    assert outcome.succeeded_count == 2
    assert vendor.contacts["jane"].identifiers == ()


def test_a_request_that_changes_something_is_never_repeated_by_the_transport(environment: Environment) -> None:
    client = environment.clients["bird"]
    plan = plan_erasure(environment.emails(1), [client])
    target = plan.accounts[0].changes[0].contact
    environment.seen.clear()
    environment.sandbox.faults.set("unavailable", 1, after=1)
    client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
    sent = [exchange.method for exchange in environment.seen if exchange.path.endswith(target)]
    assert sent == ["GET", "DELETE", "GET", "DELETE"]


def test_a_request_whose_turn_would_come_late_is_not_sent() -> None:
    class Slow(Desk):
        rate_limits: ClassVar = {"": RateLimit(1, 60)}

        def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
            with pytest.raises(RateLimited, match="its turn comes only in"):
                yield from Request("DELETE", "/late", type(None), patience=1.0)
            return (yield from super().get_contacts(ids))

    vendor = fake_vendor(person("jane"))
    with desk(vendor, provider=Slow) as client:
        client.charge_rate_limit(1)
        assert client.get_contacts(["jane"])["jane"]

    async def awaited() -> None:
        late = AsyncContacts(Slow(vendor=vendor))
        late.charge_rate_limit(1)
        assert (await late.get_contacts(["jane"]))["jane"]
        await late.close()

    asyncio.run(awaited())


def test_a_vendor_without_reading_by_id_is_looked_up_before_each_attempt() -> None:
    people = {c.id: c for c in (person("jane"), person("jim"), person("john"))}
    asked: list[str] = []

    class Phonebook(DeletesContacts, FindsContacts, ExportsPages):
        name = "phonebook"

        def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
            yield from ()
            asked.append("find")
            return [(i, c) for i in identifiers for c in people.values() if i in c.identifiers]

        def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
            yield from ()
            asked.append("page")
            return Page(list(people.values()))

        def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
            yield from ()
            asked.append("delete")
            del people[ids[0]]
            return Outcome(operation="delete_contacts", requested=1, confirmed=tuple(ids))

    with Contacts(Phonebook(base_url="http://127.0.0.1:1")) as client:
        plan = plan_erasure([email("jane"), email("jim")], [client])
        people["jane"] = evolve(people["jane"], identifiers=(email("stranger"),))
        asked.clear()
        outcome = client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
        assert len(asked) == plan.requests - 1, "one deletion was left out"
    assert people.keys() == {"jane", "john"}
    assert outcome.absent == ("jane",)


def test_a_vendor_that_only_lists_is_read_once_for_a_step() -> None:
    people = {c.id: c for c in (person("jane"), person("jim"), person("john"))}
    asked: list[str] = []

    class Shelf(DeletesContacts, ExportsPages):
        name = "shelf"

        def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
            yield from ()
            asked.append("page")
            return Page(list(people.values()))

        def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
            yield from ()
            asked.append("delete")
            del people[ids[0]]
            return Outcome(operation="delete_contacts", requested=1, confirmed=tuple(ids))

    with Contacts(Shelf(base_url="http://127.0.0.1:1")) as client:
        plan = plan_erasure([email("jane"), email("jim")], [client])
        assert plan.requests == 3
        people["jane"] = evolve(people["jane"], identifiers=(email("stranger"),))
        asked.clear()
        outcome = client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
    assert asked == ["page", "delete"]
    assert [failure.item for failure in outcome.failed] == ["jane"]
    assert people.keys() == {"jane", "john"}


# -- verifying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["get", "find"])
def test_a_read_that_shows_nobody_any_more_proves_nothing(path: str) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        vendor.lie = lambda what, _: [] if what == path and "jane" not in vendor.contacts else None
        done = plan.apply([client], **HASTY)
        assert (done.state, done.unknown, done.absent) == ("incomplete", 1, 0)
        assert answers(done) == {("unknown", "the same look-up did not show a contact that is there")}
        vendor.lie = None
        assert resume(done.run, [client]).complete


def test_a_look_up_that_answers_with_others_afterwards_proves_nothing() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])

        def lie(what: str, about: Any) -> Any:
            return [vendor.contacts["john"]] if what == "find" and "jane" not in vendor.contacts else None

        vendor.lie = lie
        done = plan.apply([client], **HASTY)
    assert answers(done) == {("unknown", "the vendor answered with a contact that does not have it")}


def test_a_control_that_vanishes_meanwhile_leaves_it_to_the_next() -> None:
    vendor = fake_vendor(person("jane"), person("jim"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])

        def lie(what: str, about: Any) -> None:
            if what == "get" and about == "jim":
                vendor.contacts.pop("jim", None)

        vendor.lie = lie
        assert plan.apply([client], **QUICK).complete
    assert vendor.contacts.keys() == {"john"}


def test_when_everybody_was_in_the_plan_an_empty_account_is_the_proof() -> None:
    vendor = fake_vendor(person("jane"), person("jim"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane"), email("jim")], [client])
        assert plan.apply([client], **QUICK).complete
    vendor = fake_vendor(person("jane"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        unclear = lambda what, _: None if vendor.contacts or what != "page" else NotFound("elsewhere")  # noqa: E731
        vendor.lie = unclear
        done = plan.apply([client], **HASTY)
    assert done.unknown == 1


@pytest.mark.parametrize("fault", ["not-found-everywhere", "not-found-everywhere-json", "not-found-everywhere-empty"])
@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_a_gateway_that_knows_nothing_any_more_verifies_nothing(
    environment: Environment, register: Callable[[object], None], name: str, fault: str
) -> None:
    people, client = environment.emails(1), environment.clients[name]
    plan = plan_erasure(people, [client])

    begins = [fault]

    class Begins:
        @hookimpl
        def contacts_step_finished(self) -> None:
            while begins:
                environment.sandbox.faults.set(begins.pop(), None)

    register(Begins())
    done = plan.apply([client], **HASTY)
    assert (done.state, done.absent, done.unknown) == ("incomplete", 0, 1)
    environment.settle()
    assert resume(done.run, [client]).complete


def test_a_list_whose_members_are_not_told_is_unknown() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_list_removal(client, "l1", [email("jane")])

        def lie(what: str, about: Any) -> Any:
            left = "l1" not in (vendor.contacts["jane"].lists or ())
            return [evolve(vendor.contacts[about], lists=None)] if what == "get" and left else None

        vendor.lie = lie
        done = plan.apply([client], **HASTY)
        assert done.unknown == 1
        vendor.lie = None
        assert resume(done.run, [client]).complete


def test_a_list_may_be_named_and_must_exist() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_list_removal(client, "Newsletter", [email("jane")])
        assert plan.list_id == "l1"
        assert replan(plan, [client]).list_id == "l1"
        assert plan.apply([client], **QUICK).complete
        assert len(vendor.sent("leave")) == 1
        with pytest.raises(InvalidInput, match="no list"):
            plan_list_removal(client, "Newsletters", [email("jane")])
    assert vendor.contacts["jane"].lists == ()


def test_people_whom_nobody_was_found_of_are_looked_for_again_whatever_the_plan_is_for() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        for plan in (
            plan_identifier_removal([email("late")], [client]),
            plan_list_removal(client, "l1", [email("late")]),
        ):
            vendor.asked.clear()
            done = plan.apply([client], **QUICK)
            assert answers(done) == {("absent", "was not there and is not: by look-up")}
            assert vendor.sent("find").count(email("late")) == 2, "once by the check, once afterwards"


def test_a_second_round_that_cannot_be_checked_does_not_say_that_nothing_was_changed() -> None:
    vendor = fake_vendor(person("jane"), person("jim"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane"), email("jim")], [client])
        vendor.lie = lambda what, id: Unavailable("no") if what == "delete" and id == "jim" else None
        done = plan.apply([client], **HASTY)
        assert done.state == "incomplete"
        assert vendor.contacts.keys() == {"jim", "john"}
        vendor.lie = lambda what, _: Unavailable("no") if what == "find" else None
        again = resume(done.run, [client])
    assert again.state == "failed"
    assert "nothing was changed" not in again.reason
    assert "this round changed nothing more" in again.reason


# -- another workspace -------------------------------------------------------------------------------------------------


def test_a_plan_for_another_workspace_is_refused_before_anybody_is_read() -> None:
    vendor, there = fake_vendor(person("jane"), person("john")), fake_vendor(person("jane"), person("john"))
    there.account = "workspace 2"
    with desk(vendor) as client, desk(there) as other:
        plan = plan_erasure([email("jane")], [client])
        with pytest.raises(PlanRefused, match="desk leads to another workspace"):
            plan.apply([other], **QUICK)
    assert {what for what, _ in there.asked} == {"account"}
    assert len(there.contacts) == 2


def test_so_is_a_run_that_was_interrupted_or_that_ended_incomplete() -> None:
    vendor, there = fake_vendor(person("jane"), person("john")), fake_vendor(person("john"))
    there.account = "workspace 2"

    def stop(progress: Any) -> None:
        if any(each.phase == "verifying" for each in progress):
            raise KeyboardInterrupt

    with desk(vendor) as client, desk(there) as other:
        plan = plan_erasure([email("jane")], [client])
        vendor.lie = lambda what, _: [person("jane")] if what == "get" and "jane" not in vendor.contacts else None
        with pytest.raises((RunStopped, KeyboardInterrupt)):
            plan.apply([client], pause=0.3, timeout=20, watch=stop)
        (run,) = list_runs()
        with pytest.raises(PlanRefused, match="another workspace"):
            resume(run.id, [other])
        assert [each.state for each in list_runs()] == ["interrupted"]
        vendor.lie = None
        assert resume(run.id, [client]).complete
    assert {what for what, _ in there.asked} == {"account"}


def test_the_account_is_asked_again_when_the_work_begins() -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        count = [0]

        def lie(what: str, about: Any) -> Any:
            count[0] += what == "account"
            return "workspace 2" if what == "account" and count[0] > 1 else None

        vendor.lie = lie
        done = plan.apply([client], **HASTY)
    assert (done.state, done.unknown) == ("incomplete", 1)
    assert "jane" in vendor.contacts
    assert "another workspace" in done.of("result")[0]["reason"]
    (named,) = done.of("run")[0]["accounts"]
    assert len(named["account_id"]) == 64
    assert named["account_id"] != plan.accounts[0].account_id, "it is keyed"
    assert "workspace 1" not in done.text


def test_two_providers_at_one_address_are_two_accounts() -> None:
    vendor = fake_vendor(person("jane"))

    class Other(Desk):
        name = "other"

    with desk(vendor) as client, desk(vendor, "other", Other) as other:
        one, two = (client.run(lookup.account_id(each.provider)) for each in (client, other))
    assert one != two


def test_a_saved_plan_that_does_not_say_for_which_workspace_is_refused() -> None:
    with desk(fake_vendor(person("jane"))) as client:
        plan = plan_erasure([email("jane")], [client])
    nameless = evolve(plan, accounts=(evolve(plan.accounts[0], account_id=""),))
    with pytest.raises(PlanRefused, match="does not name the workspace"):
        Plan.parse(nameless.summed().text)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_plan_of_an_earlier_version_is_refused_with_what_to_do(version: int, indent: int | None) -> None:
    with pytest.raises(PlanRefused, match="another version") as caught:
        Plan.parse(json.dumps({"format": version, "kind": "erase", "people": []}, indent=indent))
    assert "make a new plan" in caught.value.hint


def test_nobody_outside_is_needed_where_the_vendor_cannot_show_any() -> None:
    people = {"jane": person("jane")}

    class Shelf(DeletesContacts, Exports):
        name = "shelf"

        def contacts(self, list_id: str | None) -> Stream[Contact]:
            yield Emit(list(people.values()))

        def delete_contacts(self, ids: Any) -> Flow[Outcome]:
            yield from ()
            del people[ids[0]]
            return Outcome(operation="delete_contacts", requested=1, confirmed=tuple(ids))

    with Contacts(Shelf(base_url="http://127.0.0.1:1")) as client:
        done = plan_erasure([email("jane")], [client]).apply([client], **HASTY)
    assert people == {}
    assert answers(done) == {("unknown", "there is no contact to check the look-up with")}


# -- plans that write --------------------------------------------------------------------------------------------------

WRITTEN = SafetyLimits(share=1)
JANE, NEW = email("jane"), email("new")


def kept(identifier: Identifier, **values: Any) -> Contact:
    id = identifier.value.partition("@")[0]
    return Contact(id=id, provider="memory", identifiers=(identifier,), lists=(), **{"first_name": id, **values})


@frozen(kw_only=True)
class Liar(MemoryProvider):
    """A vendor in memory that lies as long as ``lie`` says so."""

    lie: ClassVar[str] = ""

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        match self.lie:
            case "says yes":
                yield from ()
                return done(contacts[0].display_id)
            case "other values":
                contacts = [evolve(each, first_name="Other") for each in contacts]
            case "hides":  # and recognises nobody by address
                yield from ()
                id = f"again-{next(self.store.ids)}"
                self.store.contacts[id] = evolve(contacts[0], id=id, provider=self.name)
                return done(id)
            case _:
                pass
        return (yield from super().upsert_contacts(contacts, lists))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        if self.lie == "hides":
            return Page([each for each in page.items if each.id != "new"])
        return evolve(page, items=page.items[:-1]) if self.lie == "fewer contacts" else page

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        page = yield from super().consent_page(cursor)
        return evolve(page, items=page.items[:-1]) if self.lie == "fewer statements" else page


def liar(name: str, *people: Contact, consent: Sequence[Consent] = ()) -> Contacts[Liar]:
    store = Store(contacts={each.id: each for each in people}, consent=dict.fromkeys(consent))
    return Contacts(Liar(base_url=f"http://localhost/{name}", store=store), name=name)


@pytest.mark.parametrize("lie", ["says yes", "other values"])
def test_what_a_target_of_an_upsert_only_says_is_not_there(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with liar("new", kept(JANE)) as client:
        plan = plan_upsert(client, [Contact(identifiers=(NEW,), first_name="New")], limits=WRITTEN)
        monkeypatch.setattr(Liar, "lie", lie)
        receipt = plan.apply([client], **HASTY)
        assert (receipt.state, receipt.present) == ("incomplete", 0)


def test_a_contact_that_a_look_up_hid_is_told_when_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    with liar("new", kept(JANE)) as client:
        plan = plan_upsert(client, [Contact(identifiers=(NEW,), first_name="New")], limits=WRITTEN)
        client.provider.store.contacts["new"] = kept(NEW, first_name="Somebody else")
        monkeypatch.setattr(Liar, "lie", "hides")

        class Watcher:
            @hookimpl
            def contacts_step_finished(self) -> None:
                monkeypatch.setattr(Liar, "lie", "")

        plugins.manager().register(Watcher(), name="Watcher")
        try:
            receipt = plan.apply([client], **HASTY)
        finally:
            plugins.manager().unregister(name="Watcher")
        assert (receipt.state, receipt.present) == ("incomplete", 0)
        (line,) = receipt.of("result")
        assert "2 contacts have its identifiers" in line["reason"]


@pytest.mark.parametrize("lie", ["fewer contacts", "fewer statements"])
def test_a_source_that_is_read_in_part_is_not_copied(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Consent(NEW, Channel.EMAIL, ConsentState.REVOKED)
    with liar("old", kept(JANE), kept(NEW), consent=[refused]) as old, liar("new") as new:
        plan = plan_copy(old, new, limits=WRITTEN)
        monkeypatch.setattr(Liar, "lie", lie)
        with pytest.raises(ContactsError):
            plan_copy(old, new, limits=WRITTEN)
        if lie == "fewer statements":
            assert plan.apply([old, new], **HASTY).state != "done"
            assert not new.provider.store.contacts


def test_a_grant_that_is_withdrawn_after_the_plan_is_not_written() -> None:
    granted = Consent(NEW, Channel.EMAIL, ConsentState.GRANTED, at=datetime(2026, 1, 1, tzinfo=UTC))
    with liar("old", kept(JANE), kept(NEW), consent=[granted]) as old, liar("new") as new:
        plan = plan_copy(old, new, limits=WRITTEN)
        later = evolve(granted, state=ConsentState.REVOKED, at=datetime(2026, 2, 1, tzinfo=UTC))
        old.provider.store.consent[later] = None
        receipt = plan.apply([old, new], **HASTY)
        assert receipt.state == "incomplete"
        assert [each.state for each in new.provider.store.consent] == []
        assert {i for each in new.provider.store.contacts.values() for i in each.identifiers} == {JANE}


def test_a_value_that_somebody_filled_in_after_the_plan_is_not_overwritten() -> None:
    with liar("new", kept(JANE, first_name=None)) as client:
        plan = plan_upsert(client, [Contact(identifiers=(JANE,), first_name="Janet")], limits=WRITTEN)
        client.provider.store.contacts["jane"] = kept(JANE, first_name="Jana")
        receipt = plan.apply([client], **HASTY)
        assert (receipt.state, receipt.present) == ("incomplete", 0)
        assert client.provider.store.contacts["jane"].first_name == "Jana"


def test_an_address_that_somebody_else_got_after_the_plan_is_not_given_to_two() -> None:
    with liar("new", kept(JANE)) as client:
        plan = plan_upsert(client, [Contact(identifiers=(JANE, NEW), first_name="Janet")], limits=WRITTEN)
        client.provider.store.contacts["new"] = kept(NEW)
        before = dict(client.provider.store.contacts)
        assert plan.apply([client], **HASTY).state == "incomplete"
        assert client.provider.store.contacts == before
