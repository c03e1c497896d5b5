"""Answers that are not true: nobody else is touched, and nothing is claimed that was not shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from attrs import Factory, define, evolve, field, frozen

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.cli.plan_formatting import notes
from contacts_core.errors import ContactsError, InvalidInput, NotFound, PlanRefused, RateLimited, Unavailable
from contacts_core.models import ContactList, Outcome, Page
from contacts_core.plans import (
    Plan,
    Receipt,
    RunStopped,
    list_runs,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_removal,
    replan,
    resume,
)
from contacts_core.plans.execution import changes
from contacts_core.plans.model import checksum_of, converter
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
    hookimpl,
)
from tests.plans.environment import Ground

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 2.0}
HASTY: dict[str, Any] = {"pause": 0.01, "timeout": 0.05}


def email(name: str) -> Identifier:
    return Identifier.email(f"{name}@example.com")


def external(name: str) -> Identifier:
    return Identifier.external_id(name)


def person(name: str, *more: Identifier, lists: tuple[str, ...] | None = ("l1",)) -> Contact:
    return Contact(provider="desk", id=name, identifiers=(email(name), *more), lists=lists)


@define
class World:
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


def world(*people: Contact) -> World:
    return World({contact.id: contact for contact in people})


@frozen(kw_only=True)
class Desk(
    DeletesContacts, RemovesIdentifiers, RemovesFromLists, FindsContacts, GetsContacts, ExportsPages, ReadsLists
):
    """A vendor with a look-up, in memory."""

    name = "desk"
    title = "Desk"

    world: World = field(repr=False)
    base_url: str = base_url_setting("http://127.0.0.1:1")

    def account_id(self) -> Flow[str]:
        yield from ()
        return str(self.world.told("account", "", lambda: self.world.account))

    def cannot_find(self, identifier: Identifier) -> str:
        return self.world.cannot if identifier.kind.value == "external_id" else ""

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        yield from ()
        (wanted,) = identifiers
        found: list[Contact] = self.world.told(
            "find", wanted, lambda: [c for c in self.world.contacts.values() if wanted in c.identifiers]
        )
        return [(wanted, contact) for contact in found]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from ()
        (id,) = ids
        found: list[Contact] = self.world.told(
            "get", id, lambda: [self.world.contacts[id]] if id in self.world.contacts else []
        )
        return found

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        shown: list[Contact] = self.world.told(
            "list" if list_id else "page",
            list_id,
            lambda: [c for c in self.world.contacts.values() if list_id is None or list_id in (c.lists or ())],
        )
        return Page(shown)

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        lists: list[ContactList] = self.world.told(
            "lists", "", lambda: [ContactList(self.name, id, name) for id, name in self.world.names.items()]
        )
        return Page(lists)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        (id,) = ids
        self.world.told("delete", id, lambda: True)
        if self.world.contacts.pop(id, None) is None:
            raise NotFound("no such contact")
        return Outcome(operation="delete_contacts", requested=1, confirmed=(id,))

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        self.world.told("remove", (contact_id, identifier), lambda: True)
        there = self.world.contacts[contact_id]
        rest = tuple(each for each in there.identifiers if each != identifier)
        self.world.contacts[contact_id] = evolve(there, identifiers=rest)
        return Outcome(operation="remove_identifier", requested=1, confirmed=(identifier.value,))

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        (id,) = map(str, members)
        self.world.told("leave", (list_id, id), lambda: True)
        there = self.world.contacts[id]
        self.world.contacts[id] = evolve(there, lists=tuple(x for x in there.lists or () if x != list_id))
        return Outcome(operation="remove_from_list", requested=1, confirmed=(id,))


def desk(here: World, name: str = "desk", provider: type[Desk] = Desk) -> Contacts[Any]:
    return Contacts(provider(world=here), name=name)


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
def test_a_look_up_that_answers_with_others_makes_no_plan_for_them(here: Ground, name: str, fault: str) -> None:
    door = here.doors[name]
    everyone = {each.id for each in door.export()}
    target = next(c for c in door.export() if c.email)
    assert target.email
    here.sandbox.emulators[name].create([("email", target.email.partition("@")[0] + "@another.example.com")])
    here.sandbox.faults.set(fault, None)
    if name == "sendgrid" and fault != "wrong-person":  # answers name what they answer: the rest is no answer
        assert [
            each.contact for each in plan_erasure([Identifier.email(target.email)], [door]).accounts[0].targets
        ] == [target.id]
    else:
        with pytest.raises(PlanRefused, match=rf"{name}: .* that do not have them"):
            plan_erasure([Identifier.email(target.email)], [door])
    here.settle()
    assert everyone < {each.id for each in door.export()}


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
def test_a_gateway_that_knows_nothing_makes_no_plan(here: Ground, name: str, fault: str) -> None:
    door = here.doors[name]
    (someone,) = here.emails(1)
    here.sandbox.faults.set(fault, None)
    with pytest.raises(ContactsError):
        plan_erasure([someone], [door])
    with pytest.raises(ContactsError):
        plan_identifier_removal([someone], [door])


def test_a_look_up_that_shows_nobody_must_be_able_to_show_somebody() -> None:
    here = world(person("jane"), person("john"))
    here.lie = lambda what, _: [] if what == "find" else None
    with desk(here) as door, pytest.raises(PlanRefused, match=r"desk shows no contact.*did not show") as caught:
        plan_erasure([email("jane")], [door])
    assert "base_url" in caught.value.hint
    here.lie = lambda what, _: [] if what == "get" else None
    with desk(here) as door, pytest.raises(PlanRefused, match="desk shows no contact"):
        plan_deletion(door, ids=["jane"])


def test_who_is_not_there_is_found_out_with_one_contact_who_is() -> None:
    here = world(person("jane"))
    with desk(here) as door:
        assert plan_erasure([email("nobody")], [door]).contacts == 0
    assert here.sent("find") == [email("nobody"), email("jane")]


def test_an_empty_account_needs_nobody_to_be_shown() -> None:
    with desk(world()) as door:
        assert plan_erasure([email("nobody")], [door]).apply([door], **QUICK).complete


def test_a_kind_that_nobody_of_the_sample_has_is_vouched_for_by_another() -> None:
    here = world(person("jane"))
    with desk(here) as door:
        assert plan_erasure([Identifier.phone("+12025550123")], [door]).contacts == 0
    here.lie = lambda what, _: [] if what == "find" else None
    with desk(here) as door, pytest.raises(PlanRefused, match="shows no contact"):
        plan_erasure([Identifier.phone("+12025550123")], [door])


def test_a_sample_that_cannot_be_had_proves_nothing() -> None:
    here = world(person("jane"))
    here.lie = lambda what, _: Unavailable("for now", status=503) if what == "page" else None
    with desk(here) as door, pytest.raises(PlanRefused, match=r"could not be checked: Unavailable \[503\]"):
        plan_erasure([email("nobody")], [door])


def test_another_contact_than_the_one_asked_for_by_id_makes_no_plan() -> None:
    here = world(person("jane"), person("john"))
    here.lie = lambda what, _: [here.contacts["john"]] if what == "get" else None
    with desk(here) as door, pytest.raises(ContactsError, match="not asked for"):
        plan_deletion(door, ids=["jane"])


def test_a_contact_with_an_id_that_cannot_be_sent_makes_no_plan() -> None:
    odd = evolve(person("jane"), id="../jane")
    with desk(World({odd.id: odd})) as door, pytest.raises(PlanRefused, match="whose id cannot be sent"):
        plan_erasure([email("jane")], [door])


def test_an_id_that_nobody_has_is_said_beforehand() -> None:
    with desk(world(person("jane"))) as door:
        plan = plan_deletion(door, ids=["missing"])
        words = list(notes(plan))
        done = plan.apply([door], **QUICK)
    assert "there is no such contact in desk: missing" in words
    assert any(line.startswith("no contact was found") for line in words)
    assert answers(done) == {("absent", "was not there and is not: by id")}


def test_who_was_asked_for_by_id_and_is_there_later_is_not_absent() -> None:
    here = world(person("jane"))
    with desk(here) as door:
        plan = plan_deletion(door, ids=["late"])
        here.lie = once("get", lambda _: None)
        seen: list[int] = []

        def lie(what: str, about: Any) -> Any:
            if (what, about) == ("get", "late"):
                seen.append(1)
                if len(seen) == 2:  # the first is the check
                    here.contacts["late"] = person("late")

        here.lie = lie
        done = plan.apply([door], **HASTY)
    assert done.present == 1
    assert "late" in here.contacts


# -- what cannot be asked ----------------------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_unknown_beforehand_and_afterwards() -> None:
    here = world(person("jane", external("E1")), person("john"))
    here.cannot = "this vendor looks up e-mail addresses only"
    with desk(here) as door:
        plan = plan_erasure([[email("jane"), external("E1")], external("E2")], [door])
        assert any("could not be looked up in desk" in line and "only" in line for line in notes(plan))
        assert not any("not in desk" in line for line in notes(plan))
        assert Plan.from_json(plan.to_json()) == plan
        done = plan.apply([door], **QUICK)
    reason = "not looked up there: this vendor looks up e-mail addresses only"
    assert "jane" not in here.contacts
    assert (done.state, done.absent, done.unknown) == ("incomplete", 0, 2)
    assert answers(done) == {("unknown", reason)}
    assert [[each["state"] for each in line["identifiers"]] for line in done.of("result")] == [
        ["absent", "unknown"],
        ["unknown"],
    ]
    assert external("E1") not in here.sent("find")


def test_of_a_contact_given_by_id_what_cannot_be_asked_does_not_matter() -> None:
    here = world(person("jane", external("E1")), person("john"))
    here.cannot = "no such look-up"
    with desk(here) as door:
        done = plan_deletion(door, ids=["jane"]).apply([door], **QUICK)
    assert done.complete
    assert answers(done) == {("absent", "not found any more: by id and by look-up")}
    assert [each["kind"] for line in done.of("result") for each in line["identifiers"]] == ["email"]


# -- between reading and touching --------------------------------------------------------------------------------------


def stranger(here: World, id: str) -> None:
    here.contacts[id] = evolve(here.contacts[id], identifiers=(email("stranger"),))


def test_somebody_else_by_that_id_is_left_alone_and_named_in_the_receipt() -> None:
    here = world(person("jane"), person("jim"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane"), email("jim")], [door])
        checked: list[Any] = []

        def lie(what: str, about: Any) -> None:
            if what == "get" and not checked:  # the check looks up: the first read by id is the step's
                checked.append(about)
                stranger(here, "jane")

        here.lie = lie
        done = plan.apply([door], **HASTY)
        again = resume(done.run, [door])
    assert here.contacts.keys() == {"jane", "john"}
    assert here.sent("delete") == ["jim"]
    (step,) = [line for line in done.of("step") if line["round"] == 1]
    assert step["failed"] == 1
    assert any("other identifiers" in reason for reason in step["reasons"])
    (first, second) = done.of("result")
    assert (first["state"], second["state"]) == ("present", "absent")
    assert "other identifiers" in first["reason"]
    assert "other identifiers" in again.of("result")[0]["reason"]
    assert here.sent("delete") == ["jim"]


@pytest.mark.parametrize("kind", ["remove-identifier", "remove-from-list"])
def test_nor_is_anything_taken_off_somebody_else(kind: str) -> None:
    here = world(person("jane", Identifier.phone("+12025550123")), person("john"))
    with desk(here) as door:
        if kind == "remove-identifier":
            plan = plan_identifier_removal([email("jane")], [door])
        else:
            plan = plan_list_removal(door, "l1", [email("jane")])
        here.lie = once("get", lambda _: stranger(here, "jane"))
        done = plan.apply([door], **HASTY)
    assert here.contacts["jane"].identifiers == (email("stranger"),)
    assert here.contacts["jane"].lists == ("l1",)
    assert here.sent("remove") == here.sent("leave") == []
    assert done.absent == 0


def test_each_retry_reads_again() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        (part,) = plan.accounts

        def lie(what: str, about: Any) -> Any:
            if what == "delete":
                stranger(here, "jane")
                return Unavailable("for now")
            return None

        here.lie = lie
        outcome = door.run(changes.act(plan, part.targets, door.provider))
    assert here.sent("delete") == ["jane"]
    assert [failure.item for failure in outcome.failed] == ["jane"]
    assert "jane" in here.contacts


def test_a_step_that_is_tried_again_reads_again_and_waits_as_long_as_the_vendor_asks() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        left = [1]

        def lie(what: str, about: Any) -> Any:
            if what == "delete" and left:
                left.clear()
                return RateLimited("slowly", retry_after=30.0)
            if what == "get" and not left:
                stranger(here, "jane")
            return None

        here.lie = lie
        done = plan.apply([door], pause=0.01, timeout=0.3)
    assert here.sent("delete") == ["jane"]
    assert [line["attempt"] for line in done.of("step")] == [1, 2]
    assert "jane" in here.contacts


def test_who_is_gone_meanwhile_is_absent_and_not_sent() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        del here.contacts["jane"]
        outcome = door.run(changes.act(plan, plan.accounts[0].targets, door.provider))
    assert outcome.absent == ("jane",)
    assert here.sent("delete") == []


def test_two_identifiers_of_one_contact_go_one_after_the_other() -> None:
    phone = Identifier.phone("+12025550123")
    here = world(person("jane", phone), person("john"))
    with desk(here) as door:
        plan = plan_identifier_removal([email("jane"), phone], [door])
        assert plan.requests == 4
        here.asked.clear()
        outcome = door.run(changes.act(plan, plan.accounts[0].targets, door.provider))
        assert len(here.asked) == plan.requests
    assert outcome.succeeded_count == 2
    assert here.contacts["jane"].identifiers == ()


def test_a_request_that_changes_something_is_never_repeated_by_the_transport(here: Ground) -> None:
    door = here.doors["bird"]
    plan = plan_erasure(here.emails(1), [door])
    target = plan.accounts[0].targets[0].contact
    here.seen.clear()
    here.sandbox.faults.set("unavailable", 1, after=1)
    door.run(changes.act(plan, plan.accounts[0].targets, door.provider))
    sent = [exchange.method for exchange in here.seen if exchange.path.endswith(target)]
    assert sent == ["GET", "DELETE", "GET", "DELETE"]


def test_a_request_whose_turn_would_come_late_is_not_sent() -> None:
    class Slow(Desk):
        rate_limits: ClassVar = {"": RateLimit(1, 60)}

        def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
            with pytest.raises(RateLimited, match="its turn comes only in"):
                yield from Request("DELETE", "/late", type(None), patience=1.0)
            return (yield from super().get_contacts(ids))

    here = world(person("jane"))
    with desk(here, provider=Slow) as door:
        door.charge_rate_limit(1)
        assert door.get_contacts(["jane"])["jane"]

    async def awaited() -> None:
        late = AsyncContacts(Slow(world=here))
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

    with Contacts(Phonebook(base_url="http://127.0.0.1:1")) as door:
        plan = plan_erasure([email("jane"), email("jim")], [door])
        people["jane"] = evolve(people["jane"], identifiers=(email("stranger"),))
        asked.clear()
        outcome = door.run(changes.act(plan, plan.accounts[0].targets, door.provider))
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

    with Contacts(Shelf(base_url="http://127.0.0.1:1")) as door:
        plan = plan_erasure([email("jane"), email("jim")], [door])
        assert plan.requests == 3
        people["jane"] = evolve(people["jane"], identifiers=(email("stranger"),))
        asked.clear()
        outcome = door.run(changes.act(plan, plan.accounts[0].targets, door.provider))
    assert asked == ["page", "delete"]
    assert [failure.item for failure in outcome.failed] == ["jane"]
    assert people.keys() == {"jane", "john"}


# -- verifying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["get", "find"])
def test_a_read_that_shows_nobody_any_more_proves_nothing(path: str) -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        here.lie = lambda what, _: [] if what == path and "jane" not in here.contacts else None
        done = plan.apply([door], **HASTY)
        assert (done.state, done.unknown, done.absent) == ("incomplete", 1, 0)
        assert answers(done) == {("unknown", "the same look-up did not show a contact that is there")}
        here.lie = None
        assert resume(done.run, [door]).complete


def test_a_look_up_that_answers_with_others_afterwards_proves_nothing() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])

        def lie(what: str, about: Any) -> Any:
            return [here.contacts["john"]] if what == "find" and "jane" not in here.contacts else None

        here.lie = lie
        done = plan.apply([door], **HASTY)
    assert answers(done) == {("unknown", "the vendor answered with a contact that does not have it")}


def test_a_control_that_vanishes_meanwhile_leaves_it_to_the_next() -> None:
    here = world(person("jane"), person("jim"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])

        def lie(what: str, about: Any) -> None:
            if what == "get" and about == "jim":
                here.contacts.pop("jim", None)

        here.lie = lie
        assert plan.apply([door], **QUICK).complete
    assert here.contacts.keys() == {"john"}


def test_when_everybody_was_in_the_plan_an_empty_account_is_the_proof() -> None:
    here = world(person("jane"), person("jim"))
    with desk(here) as door:
        plan = plan_erasure([email("jane"), email("jim")], [door])
        assert plan.apply([door], **QUICK).complete
    here = world(person("jane"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        unclear = lambda what, _: None if here.contacts or what != "page" else NotFound("elsewhere")  # noqa: E731
        here.lie = unclear
        done = plan.apply([door], **HASTY)
    assert done.unknown == 1


@pytest.mark.parametrize("fault", ["not-found-everywhere", "not-found-everywhere-json", "not-found-everywhere-empty"])
@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_a_gateway_that_knows_nothing_any_more_verifies_nothing(
    here: Ground, register: Callable[[object], None], name: str, fault: str
) -> None:
    people, door = here.emails(1), here.doors[name]
    plan = plan_erasure(people, [door])

    begins = [fault]

    class Begins:
        @hookimpl
        def contacts_step_finished(self) -> None:
            while begins:
                here.sandbox.faults.set(begins.pop(), None)

    register(Begins())
    done = plan.apply([door], **HASTY)
    assert (done.state, done.absent, done.unknown) == ("incomplete", 0, 1)
    here.settle()
    assert resume(done.run, [door]).complete


def test_a_list_whose_members_are_not_told_is_unknown() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_list_removal(door, "l1", [email("jane")])

        def lie(what: str, about: Any) -> Any:
            left = "l1" not in (here.contacts["jane"].lists or ())
            return [evolve(here.contacts[about], lists=None)] if what == "get" and left else None

        here.lie = lie
        done = plan.apply([door], **HASTY)
        assert done.unknown == 1
        here.lie = None
        assert resume(done.run, [door]).complete


def test_a_list_may_be_named_and_must_exist() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_list_removal(door, "Newsletter", [email("jane")])
        assert plan.list_id == "l1"
        assert replan(plan, [door]).list_id == "l1"
        assert plan.apply([door], **QUICK).complete
        assert len(here.sent("leave")) == 1
        with pytest.raises(InvalidInput, match="no list"):
            plan_list_removal(door, "Newsletters", [email("jane")])
    assert here.contacts["jane"].lists == ()


def test_people_whom_nobody_was_found_of_are_looked_for_again_whatever_the_plan_is_for() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        for plan in (plan_identifier_removal([email("late")], [door]), plan_list_removal(door, "l1", [email("late")])):
            here.asked.clear()
            done = plan.apply([door], **QUICK)
            assert answers(done) == {("absent", "was not there and is not: by look-up")}
            assert here.sent("find").count(email("late")) == 2, "once by the check, once afterwards"


def test_a_second_round_that_cannot_be_checked_does_not_say_that_nothing_was_changed() -> None:
    here = world(person("jane"), person("jim"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane"), email("jim")], [door])
        here.lie = lambda what, id: Unavailable("no") if what == "delete" and id == "jim" else None
        done = plan.apply([door], **HASTY)
        assert done.state == "incomplete"
        assert here.contacts.keys() == {"jim", "john"}
        here.lie = lambda what, _: Unavailable("no") if what == "find" else None
        again = resume(done.run, [door])
    assert again.state == "failed"
    assert "nothing was changed" not in again.reason
    assert "this round changed nothing more" in again.reason


# -- another workspace -------------------------------------------------------------------------------------------------


def test_a_plan_for_another_workspace_is_refused_before_anybody_is_read() -> None:
    here, there = world(person("jane"), person("john")), world(person("jane"), person("john"))
    there.account = "workspace 2"
    with desk(here) as door, desk(there) as other:
        plan = plan_erasure([email("jane")], [door])
        with pytest.raises(PlanRefused, match="desk leads to another workspace"):
            plan.apply([other], **QUICK)
    assert {what for what, _ in there.asked} == {"account"}
    assert len(there.contacts) == 2


def test_so_is_a_run_that_was_interrupted_or_that_ended_incomplete() -> None:
    here, there = world(person("jane"), person("john")), world(person("john"))
    there.account = "workspace 2"

    def stop(progress: Any) -> None:
        if any(each.phase == "verifying" for each in progress):
            raise KeyboardInterrupt

    with desk(here) as door, desk(there) as other:
        plan = plan_erasure([email("jane")], [door])
        here.lie = lambda what, _: [person("jane")] if what == "get" and "jane" not in here.contacts else None
        with pytest.raises((RunStopped, KeyboardInterrupt)):
            plan.apply([door], pause=0.3, timeout=20, watch=stop)
        (run,) = list_runs()
        with pytest.raises(PlanRefused, match="another workspace"):
            resume(run.id, [other])
        assert [each.state for each in list_runs()] == ["interrupted"]
        here.lie = None
        assert resume(run.id, [door]).complete
    assert {what for what, _ in there.asked} == {"account"}


def test_the_account_is_asked_again_when_the_work_begins() -> None:
    here = world(person("jane"), person("john"))
    with desk(here) as door:
        plan = plan_erasure([email("jane")], [door])
        count = [0]

        def lie(what: str, about: Any) -> Any:
            count[0] += what == "account"
            return "workspace 2" if what == "account" and count[0] > 1 else None

        here.lie = lie
        done = plan.apply([door], **HASTY)
    assert (done.state, done.unknown) == ("incomplete", 1)
    assert "jane" in here.contacts
    assert "another workspace" in done.of("result")[0]["reason"]
    (named,) = done.of("run")[0]["accounts"]
    assert len(named["account_id"]) == 64
    assert named["account_id"] != plan.accounts[0].account_id, "it is keyed"
    assert "workspace 1" not in done.text


def test_two_providers_at_one_address_are_two_accounts() -> None:
    here = world(person("jane"))

    class Other(Desk):
        name = "other"

    with desk(here) as door, desk(here, "other", Other) as other:
        one, two = (door.run(lookup.account_id(each.provider)) for each in (door, other))
    assert one != two


def test_a_saved_plan_that_does_not_say_for_which_workspace_is_refused() -> None:
    with desk(world(person("jane"))) as door:
        plan = plan_erasure([email("jane")], [door])
    data = converter.unstructure(evolve(plan, accounts=(evolve(plan.accounts[0], account_id=""),)))
    with pytest.raises(PlanRefused, match="does not name the workspace"):
        Plan.from_json(json.dumps({**data, "checksum": checksum_of(data)}))
    with pytest.raises(PlanRefused, match="another version") as caught:
        Plan.from_json(json.dumps({**data, "format": 1}))
    assert "workspace" in caught.value.hint


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

    with Contacts(Shelf(base_url="http://127.0.0.1:1")) as door:
        done = plan_erasure([email("jane")], [door]).apply([door], **HASTY)
    assert people == {}
    assert answers(done) == {("unknown", "there is no contact to check the look-up with")}
