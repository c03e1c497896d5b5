"""Runs that wrote contacts are undone, as far as nobody changed these since."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Channel, Consent, ConsentState, FieldType, Outcome
from contacts_core.plans import (
    Plan,
    Receipt,
    apply,
    forget,
    get_receipt,
    list_runs,
    plan_copy,
    plan_erasure,
    plan_list_addition,
    plan_list_removal,
    plan_undo,
    plan_undo_async,
    plan_upsert,
    resume,
)
from contacts_core.plans.receipts.report import html
from contacts_core.provider import Flow, done
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import FOUND_THERE, Journal
from contacts_core.testing.memory import MemoryProvider, Store
from contacts_local import Local
from tests.plans.environment import Environment

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 0.3}
JANE, JOHN, LISA, NEW, OTHER = (
    Identifier.email(f"{name}@example.com") for name in ("jane", "john", "lisa", "new", "other")
)


@pytest.fixture
def store() -> Store:
    people = [
        Contact(
            id=i.value[:4],
            provider="memory",
            identifiers=(i,),
            first_name=i.value[:4],
            lists=("l1",),
            custom={"points": 1},
        )
        for i in (JANE, JOHN, LISA)
    ]
    fields = {"born": FieldType.DATE, "points": FieldType.NUMBER}
    return Store(contacts={each.id: each for each in people}, lists={"l1": "News", "l2": "Guests"}, fields=fields)


@pytest.fixture
def client(store: Store) -> Iterator[Contacts[MemoryProvider]]:
    with Contacts(MemoryProvider(store=store)) as opened:
        yield opened


def written(client: Contacts[Any], *people: Identifier, **values: Any) -> Receipt:
    """The receipt of a run that wrote these."""
    values = values or {
        "first_name": "Janet",
        "last_name": "Doe",
        "custom": {"points": 2, "born": date(2000, 2, 29)},
        "lists": ("Guests",),
    }
    plan = plan_upsert(client, [Contact(identifiers=(each,), **values) for each in people])
    receipt = apply(plan, [client], **QUICK)
    assert receipt.complete
    return receipt


def undone(client: Contacts[Any], run: str) -> Receipt:
    return apply(Plan.parse(plan_undo(run, [client]).text), [client], **QUICK)


def test_all_is_as_it_was(client: Contacts[Any], store: Store) -> None:
    before = dict(store.contacts)
    run = written(client, JANE, JOHN, NEW).run
    assert len(store.contacts) == 4
    plan = plan_undo(run, [client])
    assert [(c.operation, c.contact, c.list_id) for c in plan.accounts[0].changes] == [
        ("remove_from_list", "jane", "l2"),
        ("remove_from_list", "john", "l2"),
        ("change_contact", "jane", ""),
        ("change_contact", "john", ""),
        ("delete_contacts", "contact-1", ""),
    ]
    changes = plan.accounts[0].changes
    assert changes[2].write == {
        "set": {"first_name": "jane", "custom.points": 1},
        "clear": ["last_name", "custom.born"],
    }
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, receipt.complete, receipt.absent) == ("done", True, 5)
    assert store.contacts == before


def test_values_are_verified_by_reading_the_contact_and_nothing_else_is_waited_for(client: Contacts[Any]) -> None:
    plan = plan_undo(written(client, JANE, NEW).run, [client])
    receipt = apply(plan, [client], pause=0.01, timeout=1.0)
    assert receipt.complete
    ways = [line["path"] for line in receipt.of("read") if line["path"] in {"list", "get", "find"}]
    assert ways == ["list", "get", "get", "find", "list", "get"]  # each stage, and the first two once more
    changed = [line["reason"] for line in receipt.of("result") if "values" in line["reason"]]
    assert set(changed) == {"with the values that it was to have: by id, the only way there is"}


def test_the_second_time_nothing_is_left_to_undo(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE, NEW).run
    undone(client, run)
    after = dict(store.contacts)
    plan = plan_undo(run, [client])
    assert (plan.contacts, list(plan.accounts[0].held)) == (0, [])
    assert apply(plan, [client], **QUICK).state == "done"
    assert store.contacts == after


@pytest.mark.parametrize(
    "changes", [{"first_name": "Johanna"}, {"title": "Dr"}, {"lists": ("l1", "l2")}], ids=["written", "other", "list"]
)
def test_who_was_created_and_changed_since_stays(client: Contacts[Any], store: Store, changes: dict[str, Any]) -> None:
    run = written(client, JANE, NEW).run
    store.contacts["contact-1"] = theirs = evolve(store.contacts["contact-1"], **changes)
    plan = plan_undo(run, [client])
    assert [(each.identifiers, each.reason) for each in plan.accounts[0].held] == [
        ((NEW,), "it was changed since it was created, and stays")
    ]
    assert apply(plan, [client], **QUICK).complete
    assert (store.contacts["contact-1"], store.contacts["jane"].first_name) == (theirs, "jane")


def test_who_was_updated_and_changed_since_is_left_alone(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE, JOHN).run
    store.contacts["jane"] = theirs = evolve(store.contacts["jane"], first_name="Johanna")
    plan = plan_undo(run, [client])
    assert [(each.identifiers, each.reason) for each in plan.accounts[0].held] == [
        ((JANE,), "it was changed since it was written, and stays as it is")
    ]
    assert apply(plan, [client], **QUICK).complete
    assert (store.contacts["jane"], store.contacts["john"].first_name) == (theirs, "john")


@pytest.mark.parametrize("theirs", [{}, {"first_name": "Newton"}], ids=["part", "all"])
def test_whom_somebody_else_created_before_the_run_stays(
    client: Contacts[Any], store: Store, theirs: dict[str, Any]
) -> None:
    plan = plan_upsert(client, [Contact(identifiers=(each,), first_name="Newton") for each in (JANE, NEW, OTHER)])
    client.upsert_contacts([Contact(identifiers=(NEW,), **theirs)])
    receipt = apply(plan, [client], **QUICK)
    assert receipt.complete
    undo = plan_undo(receipt.run, [client])
    assert [(each.identifiers, each.reason) for each in undo.accounts[0].held] == [
        ((NEW,), "it was there before the run wrote it, and it stays")
    ]
    assert apply(undo, [client], **QUICK).complete
    left = {each for contact in store.contacts.values() for each in contact.identifiers}
    assert (NEW in left, OTHER in left, store.contacts["jane"].first_name) == (True, False, "jane")


def test_whom_a_run_created_before_it_was_cut_off_is_taken_back(client: Contacts[Any], store: Store) -> None:
    plan = plan_upsert(client, [Contact(identifiers=(NEW,), first_name="Newton")])
    receipt = apply(plan, [client], **QUICK)
    journal = Journal(locate_storage())
    step = next(journal.events(receipt.run, "step"))
    for _ in range(2):  # as after a restart: a second attempt at the step, which finds what the first one created
        journal.ended(journal.began(receipt.run, step.account, "step", step.body), step.body)
        journal.note(receipt.run, step.account, FOUND_THERE, {"step": step.body["step"], "changes": [0]})
    assert [each.operation for each in plan_undo(receipt.run, [client]).accounts[0].changes] == ["delete_contacts"]


def test_fields_that_the_run_did_not_write_are_not_touched(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE).run
    store.contacts["jane"] = evolve(store.contacts["jane"], title="Dr")
    assert undone(client, run).complete
    assert (store.contacts["jane"].title, store.contacts["jane"].first_name) == ("Dr", "jane")


@pytest.mark.parametrize("person", [JANE, NEW], ids=["updated", "created"])
def test_who_is_changed_between_the_plan_and_its_work_is_left_alone(
    client: Contacts[Any], store: Store, person: Identifier
) -> None:
    run = written(client, JANE, NEW, first_name="Janet").run
    plan = plan_undo(run, [client])
    (id,) = (each.id for each in store.contacts.values() if person in each.identifiers)
    store.contacts[id] = theirs = evolve(store.contacts[id], title="Dr", first_name="Johanna")
    receipt = apply(plan, [client], **QUICK)
    assert (receipt.state, receipt.absent, receipt.present) == ("incomplete", 1, 1)
    assert store.contacts[id] == theirs


def test_who_got_another_value_between_the_plan_and_its_work_is_not_deleted(
    client: Contacts[Any], store: Store
) -> None:
    run = written(client, NEW, first_name="Janet").run
    plan = plan_undo(run, [client])
    store.contacts["contact-1"] = theirs = evolve(store.contacts["contact-1"], title="Dr")
    assert apply(plan, [client], **QUICK).state == "incomplete"
    assert store.contacts["contact-1"] == theirs


def test_a_field_that_was_cleared_is_filled_again(client: Contacts[Any], store: Store) -> None:
    before = dict(store.contacts)
    run = written(client, JANE, first_name="Janet", custom={"points": None}).run
    assert store.contacts["jane"].custom == {}
    assert undone(client, run).complete
    assert store.contacts == before


def test_who_is_gone_is_listed(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE, NEW).run
    del store.contacts["jane"], store.contacts["contact-1"]
    plan = plan_undo(run, [client])
    assert (plan.contacts, [each.reason for each in plan.accounts[0].held]) == (0, ["it is not there any more"])


def test_who_was_never_written_has_nothing_to_be_undone(store: Store) -> None:
    class Half(MemoryProvider):
        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            if contacts[0].id == "jane":
                yield from ()
                return done([contacts[0].display_id])
            return (yield from super().upsert_contacts(contacts, lists))

    before = dict(store.contacts)
    with Contacts(Half(store=store)) as client:
        plan = plan_upsert(client, [Contact(identifiers=(each,), first_name="Janet") for each in (JANE, JOHN)])
        receipt = apply(plan, [client], **QUICK)
        assert receipt.state == "incomplete"
        undo = plan_undo(receipt.run, [client])
        assert [each.contact for each in undo.accounts[0].changes] == ["john"]
        assert list(undo.accounts[0].held) == []
        assert apply(undo, [client], **QUICK).complete
    assert store.contacts == before


def test_lists_stay_and_the_plan_says_so(client: Contacts[Any], store: Store) -> None:
    plan = plan_upsert(client, [Contact(identifiers=(JANE,), lists=("Friends",))], create_lists=True)
    run = apply(plan, [client], **QUICK).run
    undo = plan_undo(run, [client])
    assert [each.reason for each in undo.accounts[0].held] == [
        "the list Friends stays, because others may use it by now"
    ]
    assert apply(undo, [client], **QUICK).complete
    assert "Friends" in store.lists.values()
    assert store.contacts["jane"].lists == ("l1",)


def test_suppressions_of_a_copy_are_not_lifted(store: Store) -> None:
    optout = Consent(identifier=NEW, channel=Channel.EMAIL, state=ConsentState.REVOKED)
    source = Store(
        contacts={"new": Contact(id="new", provider="memory", identifiers=(NEW,), first_name="New")},
        consent={optout: None},
    )
    with (
        Contacts(MemoryProvider(store=source), name="source") as old,
        Contacts(MemoryProvider(store=store), name="target") as new,
    ):
        receipt = apply(plan_copy(old, new), [old, new], **QUICK)
        assert receipt.complete
        assert len(store.consent) == 1
        kept = dict(store.consent)
        undo = plan_undo(receipt.run, [new])
        assert "what was written of their consent stays: only they can take it back" in [
            each.reason for each in undo.accounts[0].held
        ]
        assert {change.operation for change in undo.accounts[0].changes} <= {"delete_contacts"}
        assert apply(undo, [new], **QUICK).complete
    assert (store.consent, set(store.contacts)) == (kept, {"jane", "john", "lisa"})


def test_what_a_vendor_cannot_take_back_is_listed(store: Store) -> None:
    class Fixed(MemoryProvider):
        clearable_fields = ("custom",)

    with Contacts(Fixed(store=store)) as client:
        run = written(client, JANE).run
        plan = plan_undo(run, [client])
        assert [each.reason for each in plan.accounts[0].held] == [
            "not taken back, because the vendor cannot: last_name"
        ]
        assert apply(plan, [client], **QUICK).complete
    jane = store.contacts["jane"]
    assert (jane.first_name, jane.last_name, jane.custom) == ("jane", "Doe", {"points": 1})


def test_other_kinds_cannot_be_undone(client: Contacts[Any], store: Store) -> None:
    runs = [
        apply(plan, [client], **QUICK).run
        for plan in (
            plan_list_addition(client, "l2", [JANE]),
            plan_list_removal(client, "l2", [JANE]),
            plan_erasure([LISA], [client]),
        )
    ]
    runs.append(undone(client, written(client, NEW).run).run)
    reasons = ["who was on the list", "who was on the list", "not kept anywhere", "took back what another run wrote"]
    for run, reason in zip(runs, reasons, strict=True):
        with pytest.raises(PlanRefused, match=f"cannot be undone: .*{reason}") as caught:
            plan_undo(run, [client])
        assert caught.value.hint


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_run_that_is_not_over_cannot_be_undone_or_forgotten(
    client: Contacts[Any], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(client, JANE).run
    journal = Journal(locate_storage())
    journal.again(run, next_round=False)
    if state == "interrupted":
        journal.interrupted(run)
    for work in (lambda: plan_undo(run, [client]), lambda: forget(run)):
        with pytest.raises(PlanRefused, match=r"is still going on|was interrupted") as caught:
            work()
        assert f"contacts runs cancel {run}" in caught.value.hint


def test_a_forgotten_run_keeps_its_receipt_and_cannot_be_undone(client: Contacts[Any], store: Store) -> None:
    receipt = written(client, JANE)
    journal = Journal(locate_storage())
    assert journal.plan(receipt.run) is not None
    assert forget(receipt.run).id == receipt.run
    assert journal.plan(receipt.run) is None
    with pytest.raises(PlanRefused, match="its plan was deleted"):
        plan_undo(receipt.run, [client])
    assert get_receipt(receipt.run).text == receipt.text
    assert resume(receipt.run, [client]).text == receipt.text
    assert [run.state for run in list_runs()] == ["done"]


def test_there_is_no_such_run(client: Contacts[Any]) -> None:
    for work in (plan_undo, forget):
        with pytest.raises(InvalidInput, match="no run upsert-1"):
            work("upsert-1")


def test_other_accounts_are_refused(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE).run
    with (
        Contacts(MemoryProvider(store=store), name="other") as other,
        pytest.raises(InvalidInput, match="not about other"),
    ):
        plan_undo(run, [other])
    with (
        Contacts(MemoryProvider(base_url="http://localhost:1", store=store)) as elsewhere,
        pytest.raises(PlanRefused, match="another workspace"),
    ):
        plan_undo(run, [elsewhere])


def test_awaited_it_is_the_same(client: Contacts[Any], store: Store) -> None:
    run = written(client, JANE, NEW).run

    async def made() -> Plan:
        async with AsyncContacts(MemoryProvider(store=store)) as opened:
            return await plan_undo_async(run, [opened])

    assert asyncio.run(made()).accounts == plan_undo(run, [client]).accounts


def test_the_page_says_that_it_was_taken_back(client: Contacts[Any]) -> None:
    page = html(undone(client, written(client, JANE, NEW).run))
    assert "Undoing of a run" in page
    assert "Everything that could be taken back is verified to be taken back." in page
    assert "taken back" in page
    assert "Change of fields" in page


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_at_every_vendor(environment: Environment, name: str) -> None:
    client = environment.clients[name]
    before = environment.everyone()[name]
    first = next(each for each in before.values() if each.email and each.first_name)
    people = [Identifier.email(first.email or ""), NEW]
    plan = plan_upsert(client, [Contact(identifiers=(each,), first_name="Janet") for each in people])
    receipt = apply(plan, [client], pause=0.02, timeout=20)
    assert receipt.complete
    undo = plan_undo(receipt.run, [client])
    told = apply(undo, [client], pause=0.02, timeout=20)
    assert told.complete, list(told.of("result"))
    environment.settle()
    after = environment.everyone()[name]
    assert after.keys() == before.keys()
    held = [each.reason for each in undo.accounts[0].held]
    assert (after[first.id].first_name == first.first_name) == (not held), held
    assert plan_undo(receipt.run, [client]).contacts == 0


def test_a_local_file(tmp_path: Path) -> None:
    with Contacts(Local(path=tmp_path / "people.db")) as client:
        client.create_list("Guests")
        client.upsert_contacts([Contact(identifiers=(JANE,), first_name="jane")])
        before = [evolve(each, updated_at=None) for each in client.export()]
        run = written(client, JANE, NEW, first_name="Janet", last_name="Doe", lists=("Guests",)).run
        assert undone(client, run).complete
        assert [evolve(each, updated_at=None) for each in client.export()] == before


@pytest.mark.parametrize("name", ["sendgrid", "bird"])
def test_a_look_up_that_answers_with_others_leaves_a_receipt_that_says_so(environment: Environment, name: str) -> None:
    client = environment.clients[name]
    given = Contact(identifiers=(Identifier.email("janet@example.com"),), first_name="Janet")
    run = apply(plan_upsert(client, [given]), [client], pause=0.02, timeout=20).run
    undo = plan_undo(run, [client])
    environment.sandbox.faults.set("wrong-person", None)
    receipt = apply(undo, [client], **QUICK)
    assert (receipt.state, receipt.unknown) == ("incomplete", 1)
