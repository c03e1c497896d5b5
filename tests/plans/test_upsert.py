"""Contacts that are written by a plan: what it contains, what becomes of them, and what a receipt says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_carddav import CardDav
from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import CustomValue, FieldType, Outcome
from contacts_core.plans import (
    Plan,
    Receipt,
    SafetyLimits,
    apply,
    apply_async,
    plan_upsert,
    plan_upsert_async,
    replan,
    resume,
)
from contacts_core.plans.planning.transfer import LossesNotAccepted
from contacts_core.plans.receipts.report import html
from contacts_core.provider import Flow, done
from contacts_core.testing.memory import MemoryProvider, Store
from contacts_local import Local
from tests.plans.environment import Environment, open_environment
from tests.providers.dav_servers import Radicale

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 0.3}
JANE, JOHN, LISA, NEW = (Identifier.email(f"{name}@example.com") for name in ("jane", "john", "lisa", "new"))
VALUES: dict[str, CustomValue] = {
    "born": date(2000, 2, 29),
    "seen": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "points": 7,
    "interests": ("art", "music"),
}


@pytest.fixture
def store() -> Store:
    people = [
        Contact(id=i.value[:4], provider="memory", identifiers=(i,), first_name=i.value[:4], lists=("l1",))
        for i in (JANE, JOHN, LISA)
    ]
    fields = {"born": FieldType.DATE, "points": FieldType.NUMBER}
    return Store(contacts={each.id: each for each in people}, lists={"l1": "News"}, fields=fields)


@pytest.fixture
def client(store: Store) -> Iterator[Contacts[MemoryProvider]]:
    with Contacts(MemoryProvider(store=store)) as opened:
        yield opened


def given(*people: Identifier, **values: Any) -> list[Contact]:
    return [Contact(identifiers=(each,), **values) for each in people]


def states(receipt: Receipt) -> list[str]:
    return [line["state"] for line in receipt.of("result")]


def test_a_plan_creates_updates_leaves_alone_and_holds(client: Contacts[Any], store: Store) -> None:
    store.contacts["lisa2"] = Contact(id="lisa2", provider="memory", identifiers=(LISA,))
    contacts = [*given(JANE, first_name="Janet"), *given(JOHN, first_name="john"), *given(LISA, NEW, title="Dr")]
    plan = plan_upsert(client, contacts)
    (part,) = plan.accounts
    assert [(c.contact, c.reason) for c in part.changes] == [
        ("jane", "it differs in first_name"),
        ("", "it is not there yet"),
    ]
    assert [held.identifiers for held in part.held] == [(LISA,)]
    before = dict(store.contacts)
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, receipt.present, receipt.complete) == ("done", 2, True)
    assert store.contacts["jane"].first_name == "Janet"
    created = client.find([NEW])[NEW]
    assert created is not None
    assert created.title == "Dr"
    assert {id: store.contacts[id] for id in ("john", "lisa", "lisa2")} == {
        id: before[id] for id in ("john", "lisa", "lisa2")
    }


def test_nobody_is_given(client: Contacts[Any]) -> None:
    plan = plan_upsert(client, [])
    receipt = apply(plan, [client], **QUICK)
    assert (plan.contacts, receipt.state, list(receipt.of("result"))) == (0, "done", [])


def test_everybody_is_there_already(client: Contacts[Any], store: Store) -> None:
    before = dict(store.contacts)
    plan = plan_upsert(client, given(JANE, first_name="jane"))
    assert (plan.contacts, apply(plan, [client], **QUICK).state) == (0, "done")
    assert store.contacts == before


def test_fields_and_lists_come_before_the_contacts_that_need_them(store: Store) -> None:
    class Strict(MemoryProvider):
        fields_defined_first = True

        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            assert set(lists) <= self.store.lists.keys()
            assert all(each.custom.keys() <= self.store.fields.keys() for each in contacts)
            return (yield from super().upsert_contacts(contacts, lists))

    with Contacts(Strict(store=store)) as client:
        contacts = given(JANE, NEW, custom={"born": date(2000, 2, 29)}, lists=("Guests",))
        plan = plan_upsert(client, contacts, create_lists=True, create_fields=True)
        receipt = apply(plan, [client], **QUICK)
    assert [line["operation"] for line in receipt.of("stage")] == ["create_list", "upsert_contacts"]
    assert receipt.complete
    (guests,) = (id for id, name in store.lists.items() if name == "Guests")
    assert [guests in (each.lists or ()) for each in store.contacts.values()] == [True, False, False, True]
    page = html(receipt)
    assert "Creation of a list" in page
    assert "Writing of contacts" in page


def test_no_contact_is_written_where_a_list_could_not_be_created(store: Store) -> None:
    class Idle(MemoryProvider):
        def create_list(self, name: str) -> Flow[Any]:
            yield from ()
            return (yield from self.lists_page(None)).items[0]

    before = dict(store.contacts)
    with Contacts(Idle(store=store)) as client:
        plan = plan_upsert(client, given(JANE, first_name="Janet", lists=("Guests",)), create_lists=True)
        receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, states(receipt)) == ("incomplete", ["unknown"])
    assert "not begun" in receipt.of("result")[0]["reason"]
    assert store.contacts == before


def test_memberships_are_those_of_each_contact(client: Contacts[Any], store: Store) -> None:
    store.lists["l2"] = "Guests"
    plan = plan_upsert(client, [*given(JANE, lists=("Guests",)), *given(NEW, lists=("News", "l2")), *given(JOHN)])
    assert apply(plan, [client], **QUICK).complete
    lists = {each.email: set(each.lists or ()) for each in store.contacts.values()}
    assert lists == {
        JANE.value: {"l1", "l2"},
        JOHN.value: {"l1"},
        LISA.value: {"l1"},
        NEW.value: {"l1", "l2"},
    }


@pytest.mark.parametrize("name", VALUES)
def test_values_keep_their_types(name: str, client: Contacts[Any], store: Store) -> None:
    plan = Plan.parse(plan_upsert(client, given(JANE, NEW, custom={name: VALUES[name]})).text)
    assert apply(plan, [client], **QUICK).complete
    for identifier in (JANE, NEW):
        contact = client.find([identifier])[identifier]
        assert contact is not None
        assert (type(contact.custom[name]), contact.custom[name]) == (type(VALUES[name]), VALUES[name])


def test_what_is_not_given_stays(client: Contacts[Any], store: Store) -> None:
    store.contacts["jane"] = evolve(store.contacts["jane"], last_name="Doe", custom={"points": 1})
    plan = plan_upsert(client, given(JANE, first_name="Janet", last_name=None))
    assert apply(plan, [client], **QUICK).complete
    jane = store.contacts["jane"]
    assert (jane.first_name, jane.last_name, jane.custom.get("points")) == ("Janet", "Doe", 1)


class Lying(MemoryProvider):
    """It says that it has written contacts, and has not."""

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return done([contact.display_id for contact in contacts])


def test_a_vendor_that_accepts_and_does_nothing_is_found_out(store: Store) -> None:
    with Contacts(Lying(store=store)) as client:
        receipt = apply(plan_upsert(client, given(JANE, NEW, first_name="Janet")), [client], **QUICK)
    assert (receipt.state, states(receipt)) == ("incomplete", ["absent", "absent"])
    told = [line["reason"] for line in receipt.of("result")]
    assert told == [
        "1 of 1 contacts not as it was to be written; it differs in first_name",
        "1 of 1 contacts not as it was to be written; it is not there",
    ]
    with Contacts(MemoryProvider(store=store)) as honest:
        assert resume(receipt.run, [honest]).complete
    assert [each.first_name for each in store.contacts.values()] == ["Janet", "john", "lisa", "Janet"]


def test_a_vendor_that_writes_something_else_is_found_out(store: Store) -> None:
    class Cutting(MemoryProvider):
        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            cut = [evolve(contact, first_name=(contact.first_name or "")[:3]) for contact in contacts]
            return (yield from super().upsert_contacts(cut, lists))

    with Contacts(Cutting(store=store)) as client:
        receipt = apply(plan_upsert(client, given(JANE, first_name="Janet")), [client], **QUICK)
    assert (receipt.state, states(receipt)) == ("incomplete", ["absent"])
    assert "differs in first_name" in receipt.of("result")[0]["reason"]


@pytest.mark.parametrize(
    "changes", [{"first_name": "Johanna"}, {"identifiers": (NEW,)}], ids=["a value", "the identifier"]
)
def test_who_was_changed_meanwhile_is_left_alone_and_the_others_are_written(
    client: Contacts[Any], store: Store, changes: dict[str, Any]
) -> None:
    plan = plan_upsert(client, given(JANE, LISA, first_name="Janet"))
    store.contacts["jane"] = theirs = evolve(store.contacts["jane"], **changes)
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, states(receipt)) == ("incomplete", ["absent", "present"])
    assert "left alone" in receipt.of("result")[0]["reason"]
    assert (store.contacts["jane"], store.contacts["lisa"].first_name) == (theirs, "Janet")


def test_who_was_created_meanwhile_with_other_values_is_left_alone(client: Contacts[Any], store: Store) -> None:
    plan = plan_upsert(client, given(NEW, first_name="Janet"))
    store.contacts["new"] = theirs = Contact(id="new", provider="memory", identifiers=(NEW,), title="Dr")
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, states(receipt)) == ("incomplete", ["absent"])
    assert store.contacts["new"] == theirs


def test_who_was_deleted_meanwhile_is_not_created(client: Contacts[Any], store: Store) -> None:
    plan = plan_upsert(client, given(JANE, first_name="Janet"))
    del store.contacts["jane"]
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, states(receipt), set(store.contacts)) == ("incomplete", ["absent"], {"john", "lisa"})


def test_the_same_file_applied_twice_changes_nothing_more(client: Contacts[Any], store: Store, tmp_path: Path) -> None:
    plan = plan_upsert(client, given(JANE, NEW, first_name="Janet"))
    plan.save(tmp_path / "plan.jsonl")
    assert apply(plan, [client], **QUICK).complete
    after = dict(store.contacts)
    again = apply(Plan.load(tmp_path / "plan.jsonl"), [client], **QUICK)
    assert (again.complete, store.contacts) == (True, after)
    assert plan_upsert(client, given(JANE, NEW, first_name="Janet")).contacts == 0


def test_a_run_that_is_complete_is_not_repeated_by_resuming_it(client: Contacts[Any], store: Store) -> None:
    receipt = apply(plan_upsert(client, given(JANE, first_name="Janet")), [client], **QUICK)
    store.contacts["jane"] = evolve(store.contacts["jane"], first_name="Johanna")
    assert resume(receipt.run, [client]).text == receipt.text
    assert store.contacts["jane"].first_name == "Johanna"


def test_limits(client: Contacts[Any]) -> None:
    contacts = given(JANE, JOHN, NEW, first_name="Janet")
    with pytest.raises(PlanRefused, match="3 contacts would be changed, more than the limit of 2"):
        plan_upsert(client, contacts, limits=SafetyLimits(contacts=2))
    with pytest.raises(PlanRefused, match="2 of 3 contacts would be changed"):
        plan_upsert(client, contacts, limits=SafetyLimits(share=0.1, floor=1))
    assert plan_upsert(client, contacts, limits=SafetyLimits(contacts=3, share=0.7, floor=0)).contacts == 3


def test_what_gets_lost_is_refused_until_it_is_accepted(environment: Environment) -> None:
    client = environment.clients["sendgrid"]
    contact = Contact(identifiers=(NEW,), organization="Acme", custom={"favourite": "tea"})
    with pytest.raises(LossesNotAccepted, match=r"NO_FIELD:custom\.favourite") as caught:
        plan_upsert(client, [contact])
    accepted = sorted({f"{row.code.value}:{row.field}" for row in caught.value.losses})
    plan = plan_upsert(client, [contact], accept_losses=accepted)
    assert {(each.field, each.count) for each in plan.accounts[0].losses} >= {("custom.favourite", 1)}
    assert Plan.parse(plan.text).accounts[0].losses == plan.accounts[0].losses
    assert apply(plan, [client], pause=0.02, timeout=20).complete


@pytest.mark.parametrize("contacts", [["jane"], [None], "jane"])
def test_only_contacts_are_taken(client: Contacts[Any], contacts: Any) -> None:
    with pytest.raises(InvalidInput):
        plan_upsert(client, contacts)


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_at_every_vendor(environment: Environment, name: str) -> None:
    client = environment.clients[name]
    before = environment.everyone()[name]
    first = next(each for each in before.values() if each.email)
    contacts = [
        Contact(identifiers=(Identifier.email(first.email or ""),), first_name="Janet", lists=("Guests",)),
        Contact(identifiers=(NEW,), first_name="New", lists=("Guests",)),
    ]
    plan = plan_upsert(client, contacts, create_lists=True)
    receipt = apply(plan, [client], pause=0.02, timeout=20)
    assert receipt.complete, list(receipt.of("result"))
    after = environment.everyone()[name]
    assert after[first.id].first_name == "Janet"
    assert [each.first_name for id, each in after.items() if id not in before] == ["New"]
    assert {id: each for id, each in after.items() if id in before and id != first.id} == {
        id: each for id, each in before.items() if id != first.id
    }
    assert plan_upsert(client, contacts).contacts == 0


FURTHER, PHONE = Identifier.email("further.jane@example.com"), Identifier.phone("+12025550123")


def person(n: int) -> tuple[Identifier, Identifier, Identifier, Identifier]:
    """An address, another one, a phone, and an address that is still unknown."""
    first, other, new = (Identifier.email(f"{name}{n}@example.com") for name in ("jane", "other", "new"))
    return first, other, Identifier.phone(f"+120255501{n:02}"), new


def known_otherwise() -> list[tuple[Identifier, ...]]:
    """People by other identifiers than their first one alone, each another person."""
    ways: list[Callable[[Identifier, Identifier, Identifier, Identifier], tuple[Identifier, ...]]] = [
        lambda _first, other, _phone, _new: (other,),
        lambda first, other, _phone, _new: (other, first),
        lambda first, other, _phone, _new: (evolve(other, primary=True), first),
        lambda _first, other, _phone, new: (other, new),
        lambda _first, other, _phone, new: (evolve(new, primary=True), other),
        lambda _first, _other, phone, _new: (phone,),
        lambda _first, _other, phone, new: (phone, new),
        lambda _first, other, phone, _new: (other, phone),
        lambda first, _other, _phone, new: (first, new),
    ]
    return [way(*person(n)) for n, way in enumerate(ways)]


@pytest.fixture(params=["sendgrid", "bird", "user-api", "local", "carddav"])
def vendor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Contacts[Any], Callable[[], object]]]:
    """A client of an account with people who have several identifiers, and what lets everything happen."""
    settle: Callable[[], object] = int
    with ExitStack() as stack:
        if request.param == "local":
            client: Contacts[Any] = stack.enter_context(Contacts(Local(path=tmp_path / "people.db"), name="local"))
        elif request.param == "carddav":
            server = Radicale(tmp_path)
            stack.enter_context(server.running())
            made = server.account()
            client = stack.enter_context(Contacts(CardDav(**made.settings), name="carddav"))
            stack.enter_context(closing(made.http))
        else:
            environment = stack.enter_context(open_environment(0))
            client, settle = environment.clients[request.param], environment.settle
        people = [person(n)[:3] for n in range(len(known_otherwise()))]
        client.upsert_contacts(Contact(identifiers=each, first_name="Jane", last_name="Doe") for each in people)
        settle()
        yield client, settle


def named(client: Contacts[Any]) -> set[tuple[frozenset[Identifier], str | None, str | None]]:
    return {(frozenset(each.identifiers), each.first_name, each.last_name) for each in client.export()}


def test_who_is_known_by_any_identifier_is_updated_and_keeps_the_others(
    vendor: tuple[Contacts[Any], Callable[[], object]],
) -> None:
    client, settle = vendor
    contacts = [Contact(identifiers=each, first_name="Janet") for each in known_otherwise()]
    options: dict[str, Any] = {"limits": SafetyLimits(share=1)}
    plan = plan_upsert(client, contacts, **options)
    assert all(each.contact for each in plan.accounts[0].changes)
    receipt = apply(plan, [client], pause=0.02, timeout=20)
    assert receipt.complete, list(receipt.of("result"))
    settle()
    expected = {(frozenset({*person(n)[:3], *each}), "Janet", "Doe") for n, each in enumerate(known_otherwise())}
    assert named(client) == expected
    assert plan_upsert(client, contacts, **options).contacts == 0


def test_who_is_named_by_the_id_is_updated_by_a_client_as_well(
    vendor: tuple[Contacts[Any], Callable[[], object]],
) -> None:
    client, settle = vendor
    ids = {i: (each.provider, each.id) for each in client.export() for i in each.identifiers}
    contacts = [
        Contact(*ids[person(n)[0]], identifiers=each, first_name="Janet") for n, each in enumerate(known_otherwise())
    ]
    assert not client.upsert_contacts(contacts).failed
    settle()
    expected = {(frozenset({*person(n)[:3], *each}), "Janet", "Doe") for n, each in enumerate(known_otherwise())}
    assert named(client) == expected


def test_contacts_that_were_read_are_written_again_without_another_look(environment: Environment) -> None:
    client = environment.clients["sendgrid"]
    contacts = list(client.export())
    del environment.seen[:]
    client.upsert_contacts(contacts)
    assert "/v3/marketing/contacts/batch" not in {each.path for each in environment.seen}


def test_an_identifier_that_has_no_room_beside_those_there_is_a_loss(environment: Environment) -> None:
    client = environment.clients["sendgrid"]
    six = tuple(Identifier.email(f"jane{n}@example.com") for n in range(6))
    client.upsert_contacts([Contact(identifiers=(*six, PHONE), first_name="Jane")])
    environment.settle()
    before = environment.everyone()["sendgrid"]
    contacts = [Contact(identifiers=(six[3], FURTHER, Identifier.phone("+12025550124")), first_name="Janet")]
    with pytest.raises(LossesNotAccepted, match=r"TOO_MANY:email \(1\), TOO_MANY:phone \(1\)"):
        plan_upsert(client, contacts)
    accepted = ["TOO_MANY:email", "TOO_MANY:phone"]
    receipt = apply(plan_upsert(client, contacts, accept_losses=accepted), [client], pause=0.02, timeout=20)
    assert receipt.complete, list(receipt.of("result"))
    after = environment.everyone()["sendgrid"]
    assert {id: each.identifiers for id, each in after.items()} == {id: each.identifiers for id, each in before.items()}
    assert [each.first_name for each in after.values() if PHONE in each.identifiers] == ["Janet"]
    assert plan_upsert(client, contacts, accept_losses=accepted).contacts == 0


def test_a_local_file(tmp_path: Path) -> None:
    with Contacts(Local(path=tmp_path / "people.db")) as client:
        contacts = given(JANE, NEW, first_name="Janet", lists=("Guests",), custom=VALUES)
        plan = plan_upsert(client, contacts, create_lists=True, create_fields=True)
        assert apply(plan, [client], **QUICK).complete
        assert [each.custom for each in client.export()] == [VALUES, VALUES]
        assert plan_upsert(client, contacts).contacts == 0


def test_awaited_it_is_the_same(store: Store) -> None:
    contacts = given(JANE, NEW, first_name="Janet")

    async def made() -> tuple[Plan, Receipt]:
        async with AsyncContacts(MemoryProvider(store=store)) as client:
            plan = await plan_upsert_async(client, contacts)
            return plan, await apply_async(plan, [client], **QUICK)

    with Contacts(MemoryProvider(store=store)) as client:
        expected = plan_upsert(client, contacts)
    plan, receipt = asyncio.run(made())
    assert plan.accounts == expected.accounts
    assert receipt.complete
    assert store.contacts["jane"].first_name == "Janet"


def breaking(number: int, *, late: bool, calls: list[str]) -> type[MemoryProvider]:
    """A provider that fails at one write, before or after it reached the vendor."""

    class Breaking(MemoryProvider):
        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            calls.append(contacts[0].email or "")
            if len(calls) == number and not late:
                raise KeyboardInterrupt
            found = yield from super().upsert_contacts(contacts, lists)
            if len(calls) == number:
                raise KeyboardInterrupt
            return found

    return Breaking


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [1, 3])
def test_nobody_is_written_twice_wherever_it_breaks_off(number: int, late: bool) -> None:
    people = [Identifier.email(f"p{n}@example.com") for n in range(3)]
    store, calls = Store(), list[str]()
    with Contacts(breaking(number, late=late, calls=calls)(store=store)) as client:
        receipt = apply(plan_upsert(client, given(*people, first_name="Janet")), [client], **QUICK)
        assert resume(receipt.run, [client]).complete
    assert sorted(each.email or "" for each in store.contacts.values()) == [i.value for i in people]
    written = Counter(calls)
    assert sum(written.values()) == 3 + (not late)


def test_a_plan_that_writes_contacts_is_not_made_again_from_itself(environment: Environment) -> None:
    client = environment.clients["bird"]
    plan = plan_upsert(client, [Contact(identifiers=(NEW,), first_name="New")])
    with pytest.raises(PlanRefused, match="does not hold what it was made of"):
        replan(plan, [client])
