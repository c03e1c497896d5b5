"""Plans that write contacts, edited by hand with the right checksum: nobody who was not read and recognised is touched.

Whoever can write the file can ask for what any plan could ask for. What the file says of people, it only says: each
contact is read again before it is changed, and what people refused is read where they said it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.errors import ContactsError, PlanRefused
from contacts_core.models import FieldType
from contacts_core.plans import Plan, Receipt, SafetyLimits, apply, plan_copy, plan_erasure, plan_undo, plan_upsert
from contacts_core.testing.memory import MemoryProvider, Store
from tests.plans.plan_files import document, file_of

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 0.1}
ALL = SafetyLimits(share=1)
JANE, JOHN, NEW, VICTIM, LISA = (
    Identifier.email(f"{name}@example.com") for name in ("jane", "john", "new", "victim", "lisa")
)
SPELLED = {"kind": "email", "value": VICTIM.value}
KINDS = ("upsert", "copy", "undo")


def person(identifier: Identifier, **values: Any) -> Contact:
    id = identifier.value.partition("@")[0]
    return Contact(id=id, provider="memory", identifiers=(identifier,), **{"lists": (), "first_name": id, **values})


def said(identifier: Identifier, state: ConsentState) -> Consent:
    return Consent(identifier, Channel.EMAIL, state, at=datetime(2026, 1, 1, tzinfo=UTC))


@frozen
class World:
    """Two accounts, and the plan of one kind for the second one."""

    old: Contacts[MemoryProvider]
    new: Contacts[MemoryProvider]
    source: Store
    target: Store

    def planned(self, kind: str) -> Plan:
        given = [person(JOHN, first_name="Johnny", custom={"points": 2}), person(NEW), person(JANE)]
        match kind:
            case "copy":
                return plan_copy(self.old, self.new, limits=ALL)
            case "upsert":
                written = [evolve(each, id="", provider="", lists=None) for each in given]
                return plan_upsert(self.new, written, limits=ALL)
            case _:
                run = apply(plan_copy(self.old, self.new, limits=ALL), [self.old, self.new], **QUICK)
                assert run.complete
                return plan_undo(run.run, [self.new])

    def applied(self, plan: Plan) -> Receipt:
        return apply(plan, [self.old, self.new] if plan.kind == "copy" else [self.new], **QUICK)

    @property
    def refused(self) -> set[Identifier]:
        """Who refuses at the source."""
        return {each.identifier for each in self.source.consent if each.state is ConsentState.REVOKED}

    def mailable(self) -> set[Identifier]:
        """Who could be written to at the target."""
        refused = {each.identifier for each in self.target.consent if each.state is ConsentState.REVOKED}
        return {i for contact in self.target.contacts.values() for i in contact.identifiers} - refused


@contextmanager
def world() -> Iterator[World]:
    fields = {"points": FieldType.NUMBER}
    people = [person(JANE), person(JOHN, first_name="Johnny", custom={"points": 2}, lists=("s1",)), person(NEW)]
    source = Store(
        contacts={each.id: each for each in people},
        lists={"s1": "News"},
        fields=fields,
        consent={said(JANE, ConsentState.REVOKED): None, said(NEW, ConsentState.GRANTED): None},
    )
    others = [person(JOHN, custom={"points": 1}), person(VICTIM, custom={"points": 9}), person(LISA, lists=("t1",))]
    target = Store(contacts={each.id: each for each in others}, lists={"t1": "News", "t2": "Guests"}, fields=fields)
    with (
        Contacts(MemoryProvider(base_url="http://127.0.0.1:1", store=source), name="old") as old,
        Contacts(MemoryProvider(base_url="http://127.0.0.1:2", store=target), name="new") as new,
    ):
        yield World(old, new, source, target)


def part(data: Any) -> Any:
    return data["accounts"][0]


def changes(data: Any, operation: str) -> list[Any]:
    return [each for each in part(data)["changes"] if each["operation"] == operation]


def edited(plan: Plan, change: Callable[[Any], object]) -> Plan:
    data = document(plan)
    change(data)
    return Plan.parse(file_of(data))


# -- edits that contradict what stands beside them: they are no plans --------------------------------------------------


def update(data: Any) -> Any:
    """The change of the contact that exists."""
    return next(each for each in changes(data, "upsert_contacts") if each["contact"])


def creation(data: Any) -> Any:
    return next(each for each in changes(data, "upsert_contacts") if not each["contact"])


CONTRADICTIONS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "an update under another id": ("upsert", lambda d: update(d)["write"].update(id="victim")),
    "an update of another vendor's contact": ("upsert", lambda d: update(d)["write"].update(provider="other")),
    "an update without its values": ("upsert", lambda d: update(d).pop("before")),
    "an update that names nobody it is for": ("upsert", lambda d: update(d).update(identifiers=[SPELLED])),
    "a creation with an id": ("upsert", lambda d: creation(d)["write"].update(id="victim")),
    "a creation by another vendor's id": ("upsert", lambda d: creation(d)["write"].update(provider="memory")),
    "a creation of somebody else": ("upsert", lambda d: creation(d)["write"].update(identifiers=[SPELLED])),
    "a creation that was there before": ("upsert", lambda d: creation(d).update(before=update(d)["before"])),
    "what is written is no contact": ("upsert", lambda d: update(d)["write"].update(first_name=5)),
    "what was there is no contact": ("upsert", lambda d: update(d).update(before={"first_name": 5})),
    "what was there was somebody else": ("upsert", lambda d: update(d)["before"].update(identifiers=[SPELLED])),
    "contacts of an account that is not read": ("upsert", lambda d: part(d).update(source="old")),
    "consent that is not read": ("copy", lambda d: part(d).update(consent=None)),
    "consent of nobody": ("copy", lambda d: part(d).update(source="")),
    "an unheard-of way with refusals": ("copy", lambda d: part(d)["consent"].update(unsubscribed="forget")),
    "no place for consent": ("copy", lambda d: part(d)["consent"].update(place="nowhere")),
    "the account of nobody": ("copy", lambda d: part(d)["consent"].update(account_id="")),
    "a deletion whatever was done since": ("undo", lambda d: changes(d, "delete_contacts")[0].pop("before")),
    "values whatever was done since": ("undo", lambda d: changes(d, "change_contact")[0].pop("before")),
    "a deletion that writes": ("undo", lambda d: changes(d, "delete_contacts")[0].update(write={"set": {}})),
    "a deletion of nobody": ("undo", lambda d: changes(d, "delete_contacts")[0].update(contact="")),
    "values of nobody": ("undo", lambda d: changes(d, "change_contact")[0].update(contact="")),
    "a list of nobody": ("undo", lambda d: changes(d, "remove_from_list")[0].update(contact="")),
    "no field": ("undo", lambda d: changes(d, "change_contact")[0].pop("write")),
    "a list without a name": ("undo", lambda d: changes(d, "remove_from_list")[0].pop("list_id")),
}


@pytest.mark.parametrize(("kind", "change"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_plan_that_contradicts_itself_is_no_plan(kind: str, change: Callable[[Any], object]) -> None:
    with world() as there:
        plan = there.planned(kind)
        assert edited(plan, lambda _: None) == plan
        with pytest.raises(PlanRefused, match="contradicts itself"):
            edited(plan, change)


def test_a_plan_without_a_source_writes_nothing_but_refusals() -> None:
    with world() as there:
        plan = plan_erasure([LISA], [there.new], keep_suppressions=True, limits=ALL)
        (kept,) = changes(document(plan), "write_consent")
        assert kept["write"]["statements"][0]["state"] == "revoked"
        for state in ("granted", "pending"):
            data = document(plan)
            changes(data, "write_consent")[0]["write"]["statements"][0]["state"] = state
            with pytest.raises(PlanRefused, match="nobody says that they did"):
                Plan.parse(file_of(data))


# -- edits that only a read can tell: whoever is not as the plan says is left alone ------------------------------------


def victim(change: Any) -> None:
    """Aim a change at somebody whom the plan did not read."""
    change.update(contact="victim")
    for what in ("write", "before"):
        if "id" in change.get(what, {}):
            change[what]["id"] = "victim"


def without_identifiers_of_the_plan(data: Any) -> None:
    """Write to the contact that was read what belongs to another, by all that the vendor may look for."""
    update(data)["write"]["identifiers"] = [SPELLED]


UNREAD: dict[str, tuple[str, Callable[[Any], object]]] = {
    "an update of somebody else": ("upsert", lambda d: victim(update(d))),
    "a copy to somebody else": ("copy", lambda d: victim(update(d))),
    "another's address as well": ("upsert", lambda d: update(d)["write"]["identifiers"].append(SPELLED)),
    "another's address instead": ("upsert", without_identifiers_of_the_plan),
    "another's address in a copy": ("copy", without_identifiers_of_the_plan),
    "values that it never had": ("upsert", lambda d: update(d)["before"].update(first_name="Somebody")),
    "values that it has and the plan does not show": ("upsert", lambda d: update(d)["before"].pop("first_name")),
    "no values but its address": ("copy", lambda d: [update(d)["before"].pop(n) for n in ("first_name", "custom")]),
    "a deletion of somebody else": ("undo", lambda d: victim(changes(d, "delete_contacts")[0])),
    "fields of somebody else": ("undo", lambda d: victim(changes(d, "change_contact")[0])),
    "a list of somebody else": ("undo", lambda d: victim(changes(d, "remove_from_list")[0])),
    "a deletion of one with other values": (
        "undo",
        lambda d: changes(d, "delete_contacts")[0]["before"].pop("first_name"),
    ),
    "fields of one with other values": (
        "undo",
        lambda d: changes(d, "change_contact")[0]["before"].update(first_name="Somebody"),
    ),
    "fields that the plan does not show": ("undo", lambda d: changes(d, "change_contact")[0]["before"].pop("custom")),
}


@pytest.mark.parametrize(("kind", "change"), UNREAD.values(), ids=UNREAD)
def test_whoever_is_not_as_the_plan_says_is_left_alone(kind: str, change: Callable[[Any], object]) -> None:
    with world() as there:
        plan = edited(there.planned(kind), change)
        before = dict(there.target.contacts)
        receipt = there.applied(plan)
        assert receipt.state == "incomplete"
        assert there.target.contacts["victim"] == before["victim"]
        aimed = {each.contact for each in plan.accounts[0].changes if each.contact and each.before}
        there_now = {id: there.target.contacts.get(id, person(NEW)) for id in aimed & before.keys()}
        assert [id for id, now in there_now.items() if evolve(now, lists=before[id].lists) == before[id]]
        assert kind != "copy" or not there.mailable() & there.refused


@pytest.mark.parametrize("change", ["without statement", "without stage", "another place", "accepted"])
def test_no_edit_of_a_copy_makes_anybody_mailable_who_refused(change: str) -> None:
    def edit(data: Any) -> None:
        account = part(data)
        match change:
            case "without statement":
                changes(data, "write_consent")[0]["write"]["statements"][0].update(state="granted")
            case "without stage":
                number = next(n for n, each in enumerate(account["changes"]) if each["operation"] == "write_consent")
                del account["changes"][number]
                account["steps"] = [each for each in account["steps"] if each["first"] != number]
                for n, step in enumerate(account["steps"]):
                    step.update(number=n + 1, first=sum(each["count"] for each in account["steps"][:n]))
            case "another place":
                account["consent"].update(place="tag:customer")
            case _:
                accepted = ["revoked", "revoked.email"]
                account["consent"].update(accepted=accepted)
                account["losses"] = [{"field": each, "code": "NO_CONSENT", "count": 1} for each in accepted]

    with world() as there:
        plan = edited(there.planned("copy"), edit)
        try:
            receipt = there.applied(plan)
        except PlanRefused:
            receipt = None
        assert not there.mailable() & there.refused
        assert receipt is None or change == "accepted" or not receipt.complete


def test_a_contact_that_the_plan_held_and_the_file_does_not_is_not_merged() -> None:
    with world() as there:
        there.target.contacts["twin"] = evolve(person(NEW), id="twin")
        there.target.contacts["other"] = evolve(person(NEW, first_name="Other"), id="other")
        plan = plan_copy(there.old, there.new, limits=ALL)
        (held,) = plan.accounts[0].held
        assert held.identifiers == (NEW,)
        before = dict(there.target.contacts)

        def edit(data: Any) -> None:
            account = part(data)
            account["held"].clear()
            data["people"].append({"number": len(data["people"]) + 1, "asked": [{"kind": "email", "value": NEW.value}]})
            made = copy.deepcopy(creation(data))
            made.update(people=[len(data["people"])], source="new")
            made["identifiers"] = made["write"]["identifiers"] = [{"kind": "email", "value": NEW.value}]
            made["write"]["first_name"] = "Merged"
            number = max(n for n, each in enumerate(account["changes"]) if each["operation"] == "upsert_contacts") + 1
            account["changes"].insert(number, made)
            for step in account["steps"]:
                if step["operation"] == "upsert_contacts":
                    step["count"] += 1
                elif step["first"] >= number:
                    step["first"] += 1

        receipt = there.applied(edited(plan, edit))
        assert receipt.state == "incomplete"
        assert [there.target.contacts[each] for each in ("twin", "other")] == [before["twin"], before["other"]]


# -- any edit ----------------------------------------------------------------------------------------------------------


POOL: tuple[Any, ...] = (
    None, "", " ", 0, -1, 7, 10**12, True, {}, [], "victim", "lisa", "john", "memory", "other", "t1", "t2", "new",
    SPELLED, [SPELLED], [SPELLED, {"kind": "email", "value": JOHN.value}], {"kind": "phone", "value": "+12025550123"},
    "granted", "revoked", "skip", "tag:customer", "field:x", [1], [2], [1, 2], ["revoked"], ["t2"], ["t1"],
    {"set": {"first_name": "Mallory"}, "clear": []}, {"set": {}, "clear": ["first_name"]}, "../victim", "a,b", "\x00",
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a document, as what holds it and its key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def mangled(data: st.DataObject, whole: Any) -> None:
    """Replace, remove, repeat or swap something."""
    account = part(whole)
    lines = [*account["changes"], account["consent"] or {}, *whole["people"]]
    holder, key = data.draw(st.sampled_from(list(places(lines))))
    match data.draw(st.sampled_from(["pool", "pool", "remove", "swap", "add"])):
        case "pool":
            holder[key] = data.draw(st.sampled_from(POOL))
        case "remove":
            if isinstance(holder, dict):
                del holder[key]
        case "swap":
            alike = [(h, k) for h, k in places(lines) if k == key]
            other, place = data.draw(st.sampled_from(alike))
            holder[key], other[place] = copy.deepcopy((other[place], holder[key]))
        case _:
            change = data.draw(st.sampled_from(account["changes"]))
            name = data.draw(st.sampled_from(["before", "write", "identifiers", "contact", "list_id", "source"]))
            change[name] = data.draw(st.sampled_from([*POOL, *(each.get(name) for each in account["changes"])]))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
@seed(20260101)
@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_edited_nobody_is_touched_who_was_not_read_and_recognised(kind: str, data: st.DataObject) -> None:
    with world() as there:
        whole = document(there.planned(kind))
        for _ in range(data.draw(st.integers(1, 3))):
            mangled(data, whole)
        before = dict(there.target.contacts)
        try:
            plan = Plan.parse(file_of(whole))
        except PlanRefused:
            event("no plan")
            return
        except (KeyError, TypeError, AttributeError, ValueError) as error:  # of the test's own file_of
            event(type(error).__name__)
            return
        try:
            receipt = there.applied(plan)
        except ContactsError as error:
            event(type(error).__name__)
            assert there.target.contacts == before
            return
        event(receipt.state)
        judge(there, plan, before)
        if plan.kind == "copy":
            assert not there.mailable() & there.refused


def judge(there: World, plan: Plan, before: dict[str, Contact]) -> None:
    """Nobody is changed but those whom the plan names as they were."""
    planned = [each for each in plan.accounts[0].changes if each.operation != "write_consent"]
    for id in before.keys() | there.target.contacts.keys():
        was, now = before.get(id), there.target.contacts.get(id)
        if was == now:
            continue
        if was is None:
            assert now
            assert any(not each.contact and {*now.identifiers} <= {*each.identifiers} for each in planned)
            continue
        known = [each for each in planned if each.contact == id or not each.contact]
        assert any({*was.identifiers} <= {*each.identifiers} for each in known), f"{id} was not as the plan says"
        if now:
            added = {*now.identifiers} - {*was.identifiers}
            others = {i for other, contact in before.items() if other != id for i in contact.identifiers}
            assert not added & others, f"{id} got what is somebody else's"
