"""Cases: what a change makes of everything that is stored, with and without faults on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from attrs import evolve

from contacts_core.errors import ContactsError, Interrupted, InvalidInput, JobTimeout, NotFound, Rejected
from contacts_core.models import (
    CHANGEABLE_FIELDS,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Outcome,
    OutcomeState,
    field_value,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    GetsContacts,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    clearable,
)
from contacts_core.testing.cases.shared import Cases, case, crowd
from contacts_core.testing.cases.write import VALUES, is_kept
from contacts_core.testing.harness import Harness
from contacts_core.testing.records import Change, Record, Records, judge, record_of

__all__ = ["ChangeCases", "Maker"]

T = TypeVar("T")

PEOPLE = 24
MEMBERS = 36  # so many that each turn finds somebody with a list or a phone number
STRUCK_REQUESTS = 3  # the first ones of a change, each of which a fault strikes
PASSING = ("rate-limit", "server-error", "cut")
OUTLASTED = ("rate-limit",)  # such a request was surely not processed, so it can be sent again
LASTING = ("rate-limit", "server-error", "cut", "html", "not-found-everywhere")
LASTING_LATER = ("server-error", "cut")  # on the requests after the first one
PROCESSED = ("cut",)  # the vendor does what it is asked, and the answer is lost
NEW_LISTS = "Contract kit: struck"
NEW_FIELD = "contract_kit"
NEW_VALUES: Mapping[FieldType, CustomValue] = {**VALUES, FieldType.CHOICES: ("one", "two")}
FEW = 3
FOLLOWED, FOLLOWER = {"first_name", "last_name"}, "full_name"  # which some vendors make of the other two

Maker = Callable[[Harness, Records, int], Change]


class ChangeCases(Cases):
    """What changes promise about everybody: those who are meant, and those who are not."""

    # -- without faults

    @case(DeletesContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_a_deletion_takes_one_contact_and_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.deletion)

    @case(DeletesContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_deletions_are_told_contact_by_contact(self, harness: Harness) -> None:
        records = self.records(harness)
        first, second, *_ = records.values()
        nobody = self.unknown_id(records)
        wanted = [first.id, nobody, second.id]
        change = Change(lambda client: client.delete_contacts(wanted), 3, {first.id: None, second.id: None})
        outcome: Outcome = harness.client.wait(change.act(harness.client))
        self.expect_change(harness, self.deletion, change, records)
        told = {*outcome.absent, *(failure.item for failure in outcome.failed)} & {first.id, second.id}
        assert told == set(), f"they are gone, and the outcome tells something else: {outcome}, {sorted(told)}"
        assert nobody not in outcome.confirmed, f"{nobody} never existed, and its deletion is confirmed"
        assert outcome.state is not OutcomeState.FAILED, f"two of three are gone, and the outcome is failed: {outcome}"
        self.check_numbers(outcome, change)

    @case(DeletesAllContacts, stored=True, contacts=crowd, one_client=True)
    def test_deleting_everyone_deletes_the_last_page_too(self, harness: Harness) -> None:
        population = self.population(harness)
        before = self.records(harness)
        assert len(before) == population, f"{len(before)} of {population} contacts are there before they are deleted"
        outcome = self.wait_done(harness, harness.client.delete_all_contacts(confirm=self.provider.name))
        left = self.records(harness)
        assert left == {}, f"{len(left)} of {population} contacts are left, and the outcome is done"
        counted = outcome.succeeded_count
        assert counted == population, f"{population} contacts are gone, and the outcome counts {counted}"

    @case(RemovesIdentifiers, stored=True, one_client=True, contacts=PEOPLE)
    def test_removing_an_identifier_changes_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.removal)

    @case(RemovesFromLists, stored=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_leaving_a_list_changes_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.leaving)

    @case(AddsToLists, stored=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_joining_a_list_changes_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.joining)

    @case(UpsertsContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_writing_somebody_new_changes_nobody_else(self, harness: Harness) -> None:
        self.change(harness, self.writing)

    @case(DeletesLists, stored=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_deleting_a_list_takes_its_members_off_it_and_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.list_deletion)

    @case(CreatesLists, stored=True, one_client=True, contacts=PEOPLE)
    def test_creating_a_list_changes_no_contact(self, harness: Harness) -> None:
        self.change(harness, self.list_creation)

    @case(ChangesContacts, stored=True, one_client=True, contacts=FEW)
    def test_changing_fields_reaches_one_contact_and_nobody_else(self, harness: Harness) -> None:
        before = self.records(harness)
        target, nobody = next(iter(before.values())), self.unknown_id(before)
        values = {self.text_fields()[0]: "Contract Kit"}
        outcome = self.wait_done(harness, harness.client.change_contact(target.id, set=values))
        assert (outcome.requested, outcome.absent) == (1, ()), f"one contact was to be changed: {outcome}"
        with pytest.raises(NotFound):
            self.wait_done(harness, harness.client.change_contact(nobody, set=values))
        after = self.records(harness)
        different = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert different == {target.id}, f"contact {target.id} was to be changed, and these were: {sorted(different)}"
        kept = (after[target.id].identifiers, after[target.id].lists)
        assert kept == (target.identifiers, target.lists), f"its identifiers and lists are {kept}"

    @case(ChangesContacts, GetsContacts, stored=True, one_client=True, contacts=PEOPLE)
    def test_changing_fields_changes_nothing_else(self, harness: Harness) -> None:
        self.change(harness, self.field_change)

    @case(ChangesContacts, GetsContacts, stored=True, one_client=True, contacts=FEW)
    def test_changing_fields_again_changes_nothing_more(self, harness: Harness) -> None:
        before = self.seen(harness, self.field_change)
        change = self.field_change(harness, before, 0)
        for turn in ("once", "twice"):
            outcome = self.wait_done(harness, change.act(harness.client))
            assert (outcome.requested, outcome.absent) == (1, ()), f"asked {turn}, the outcome is {outcome}"
            self.expect_change(harness, self.field_change, change, before)

    @case(ChangesContacts, GetsContacts, stored=True, one_client=True, contacts=FEW)
    def test_each_field_is_set_and_cleared_and_no_other(self, harness: Harness) -> None:
        target = next(iter(self.records(harness).values()))
        can_clear = clearable(harness.client.provider)
        for field in self._single_fields(harness):
            clears = ("custom" if field.startswith("custom.") else field) in can_clear
            for value in (f"New {len(field)}", None) if clears else (f"New {len(field)}",):
                before = self._contact(harness, target.id)
                given: dict[str, Any] = {"clear": [field]} if value is None else {"set": {field: value}}
                self.wait_done(harness, harness.client.change_contact(target.id, **given))
                self.expect(
                    harness,
                    lambda field=field: field_value(self._contact(harness, target.id), field),  # type: ignore[misc]
                    value,
                    f"the field {field} that was {'cleared' if value is None else 'set'}",
                )
                after = self._contact(harness, target.id)
                others = _different(before, after) - {field, *([FOLLOWER] if field in FOLLOWED else [])}
                assert others == set(), f"{field} was given alone, and these are different: {sorted(others)}"
        after_all = self.records(harness)[target.id]
        kept = (after_all.identifiers, after_all.lists)
        assert kept == (target.identifiers, target.lists), f"its identifiers and lists are {kept}"

    def _single_fields(self, harness: Harness) -> list[str]:
        """The names of the fields that can be set to a text."""
        provider = self.provider
        assert issubclass(provider, ChangesContacts)
        fields = [name for name in CHANGEABLE_FIELDS if name in provider.changeable_fields and name != "custom"]
        if "custom" not in provider.changeable_fields:
            return fields
        known: list[FieldDefinition] = harness.client.custom_fields() if issubclass(provider, ReadsCustomFields) else []
        texts = [each for each in known if each.type is FieldType.TEXT and not each.read_only]
        held = [each.contact_field for each in texts if each.contact_field not in {"", *fields}]
        return [*fields, *held, *[f"custom.{each.name}" for each in texts if not each.contact_field][-1:]]

    def _contact(self, harness: Harness, contact_id: str) -> Contact:
        found: Contact | None = harness.client.get_contacts([contact_id])[contact_id]
        assert found is not None, f"contact {contact_id} is gone"
        return found

    @case(CreatesCustomFields, ReadsCustomFields, ChangesContacts, GetsContacts, one_client=True, contacts=FEW)
    def test_a_new_field_is_listed_and_takes_values(self, harness: Harness) -> None:
        provider = self.provider
        assert issubclass(provider, CreatesCustomFields)
        target = next(iter(self.records(harness).values()))
        before = {each.id for each in harness.client.custom_fields()}
        for number, type_ in enumerate(provider.field_types):
            name = f"{NEW_FIELD}_{number}"
            made: FieldDefinition = harness.client.create_custom_field(name, type_)
            assert (made.name, made.type) == (name, type_), f"{name}, {type_} was to be created, and it is {made}"
            listed = {each.name: each for each in harness.client.custom_fields() if each.id not in before}
            assert listed.get(name) == made, f"{made} was created, and the new fields are {listed}"
            self.eventually(
                harness,
                lambda name=name, type_=type_: self._takes(harness, target.id, name, NEW_VALUES[type_]),  # type: ignore[misc]
                f"the new field {name} takes the {type_.value} {NEW_VALUES[type_]!r}",
            )

    def _takes(self, harness: Harness, contact_id: str, name: str, value: CustomValue) -> bool:
        """Whether a custom field takes a value; many vendors need a while for a new field."""
        try:
            self.wait_done(harness, harness.client.change_contact(contact_id, set={f"custom.{name}": value}))
        except (InvalidInput, Rejected):
            return False
        return is_kept(name, value, self._contact(harness, contact_id))

    @case(CreatesCustomFields, ReadsCustomFields, one_client=True, contacts=0)
    def test_a_field_that_is_there_is_not_created_again(self, harness: Harness) -> None:
        assert issubclass(self.provider, CreatesCustomFields)
        type_ = next(iter(self.provider.field_types))
        harness.client.create_custom_field(NEW_FIELD, type_)
        with pytest.raises((InvalidInput, Rejected)):
            harness.client.create_custom_field(NEW_FIELD, type_)
        names = [each.name for each in harness.client.custom_fields()]
        assert names.count(NEW_FIELD) == 1, f"{NEW_FIELD} was created twice, and the fields are {names}"

    @case(CreatesCustomFields, stored=True, one_client=True, contacts=FEW)
    def test_creating_a_field_changes_no_contact(self, harness: Harness) -> None:
        self.change(harness, self.field_creation)

    # -- with faults, each on each of the first requests of a change

    @case(DeletesContacts, stored=True, emulated=True, one_client=True, contacts=PEOPLE)
    def test_faults_strike_a_deletion(self, harness: Harness) -> None:
        self.strike(harness, self.deletion)

    @case(DeletesAllContacts, stored=True, emulated=True, one_client=True, contacts=3)
    def test_faults_strike_the_deletion_of_everyone(self, harness: Harness) -> None:
        self.strike(harness, self.deletion_of_everyone)

    @case(RemovesIdentifiers, stored=True, emulated=True, one_client=True, contacts=MEMBERS)
    def test_faults_strike_the_removal_of_an_identifier(self, harness: Harness) -> None:
        self.strike(harness, self.removal)

    @case(RemovesFromLists, stored=True, emulated=True, one_client=True, contacts=MEMBERS, lists=True)
    def test_faults_strike_a_removal_from_a_list(self, harness: Harness) -> None:
        self.strike(harness, self.leaving)

    @case(AddsToLists, stored=True, emulated=True, one_client=True, contacts=MEMBERS, lists=True)
    def test_faults_strike_an_addition_to_a_list(self, harness: Harness) -> None:
        self.strike(harness, self.joining)

    @case(UpsertsContacts, stored=True, emulated=True, one_client=True, contacts=3)
    def test_faults_strike_a_write(self, harness: Harness) -> None:
        self.strike(harness, self.writing)

    @case(ChangesContacts, GetsContacts, stored=True, emulated=True, one_client=True, contacts=FEW)
    def test_faults_strike_a_change_of_fields(self, harness: Harness) -> None:
        self.strike(harness, self.field_change)

    @case(CreatesCustomFields, stored=True, emulated=True, one_client=True, contacts=FEW)
    def test_faults_strike_the_creation_of_a_field(self, harness: Harness) -> None:
        self.strike(harness, self.field_creation)

    @case(CreatesLists, stored=True, emulated=True, one_client=True, contacts=3)
    def test_faults_strike_the_creation_of_a_list(self, harness: Harness) -> None:
        self.strike(harness, self.list_creation)

    @case(DeletesLists, stored=True, emulated=True, one_client=True, contacts=PEOPLE, lists=True)
    def test_faults_strike_the_deletion_of_a_list(self, harness: Harness) -> None:
        self.strike(harness, self.list_deletion)

    @case(QueuesJobs, stored=True, emulated=True, one_client=True, contacts=PEOPLE)
    def test_a_job_is_told_as_what_became_of_it(self, harness: Harness) -> None:
        for make in self.declared_changes():
            for fault, ends in (("job-never-ends", False), ("job-fails", True)):
                before = self.seen(harness, make)
                change = make(harness, before, 0)
                harness.faults.set(fault, None)
                outcome = change.act(harness.client)
                if isinstance(outcome, Outcome) and outcome.jobs:
                    self._judge_job(harness, make, change, before, outcome, ends=ends)
                harness.faults.clear()
                harness.time.sleep(3600)

    def _judge_job(
        self, harness: Harness, make: Maker, change: Change, before: Records, outcome: Outcome, *, ends: bool
    ) -> None:
        self.check_numbers(outcome, change)
        if not ends:
            try:
                finished = harness.client.wait(outcome, timeout=300)
            except JobTimeout:
                return
            judged = judge(change, before, self.seen(harness, make))
            assert judged.missing == [], f"the job still runs, and the outcome is {finished.state.value}: {finished}"
            return
        finished = harness.client.wait(outcome, timeout=600)
        judged = judge(change, before, self.seen(harness, make))
        assert judged.wrong == []
        if not judged.touched:
            assert finished.state is OutcomeState.FAILED, f"the job failed, and the outcome is {finished.state.value}"
            assert finished.succeeded_count == 0, f"the job failed, and {finished.succeeded_count} count as done"

    # -- the changes

    def declared_changes(self) -> list[Maker]:
        """The changes of contacts that the provider declares."""
        makers: dict[type, Maker] = {
            DeletesContacts: self.deletion,
            RemovesIdentifiers: self.removal,
            RemovesFromLists: self.leaving,
            AddsToLists: self.joining,
            UpsertsContacts: self.writing,
            ChangesContacts: self.field_change,
            DeletesAllContacts: self.deletion_of_everyone,
        }
        return [make for capability, make in makers.items() if issubclass(self.provider, capability)]

    def deletion(self, _: Harness, records: Records, turn: int) -> Change:
        """The deletion of one contact."""
        target = chosen(_most_lists_first(records.values()), turn, "a contact")
        return Change(lambda client: client.delete_contacts([target.id]), becomes={target.id: None})

    def deletion_of_everyone(self, harness: Harness, records: Records, _: int) -> Change:
        """The deletion of all contacts."""
        name = self.provider.name
        return Change(
            lambda client: client.delete_all_contacts(confirm=name), len(records), dict.fromkeys(records, None)
        )

    def removal(self, _: Harness, records: Records, turn: int) -> Change:
        """The removal of one of several identifiers: a phone number if anybody has one besides others."""
        several = [record for record in _most_lists_first(records.values()) if len(record.identifiers) > 1]
        phoned = [r for r in several if any(each.kind is IdentifierKind.PHONE for each in r.identifiers)]
        target = chosen(phoned or several, turn, "a contact with two identifiers")
        identifier = min(
            target.identifiers, key=lambda each: (each.kind is not IdentifierKind.PHONE, each.kind.value, each.value)
        )
        after = evolve(target, identifiers=target.identifiers - {identifier})
        return Change(lambda client: client.remove_identifier(target.id, identifier), becomes={target.id: after})

    def leaving(self, _: Harness, records: Records, turn: int) -> Change:
        """The removal of a member from one of its lists."""
        lists = set(self.used_lists(records))
        members = _most_lists_first(r for r in records.values() if r.lists & lists)
        target = chosen(members, turn, "a member of a list")
        list_id = min(target.lists & lists)
        after = evolve(target, lists=target.lists - {list_id})
        return Change(lambda client: client.remove_from_list(list_id, [target.id]), becomes={target.id: after})

    def joining(self, _: Harness, records: Records, turn: int) -> Change:
        """The addition of a contact to a list, preferably of one that is on another list."""
        list_id = chosen(self.used_lists(records), 0, "a list with members")
        others = _most_lists_first(r for r in records.values() if list_id not in r.lists)
        target = chosen(others, turn, "a contact that is not on every list")
        after = evolve(target, lists=target.lists | {list_id})
        return Change(lambda client: client.add_to_list(list_id, [target.id]), becomes={target.id: after})

    def writing(self, harness: Harness, _: Records, turn: int) -> Change:
        """The writing of a contact that is not there yet."""
        email = Identifier.email(f"{harness.case.replace('_', '-')}-new-{turn}@example.com")
        new = Contact(identifiers=(email,), first_name="Ada", last_name=f"Example {turn}")
        return Change(lambda client: client.upsert_contacts([new]), new=(email,))

    def list_deletion(self, _: Harness, records: Records, turn: int) -> Change:
        """The deletion of a list that has members."""
        list_id = chosen(self.used_lists(records), 0, "a list with members")
        becomes = {r.id: evolve(r, lists=r.lists - {list_id}) for r in records.values() if list_id in r.lists}
        return Change(lambda client: client.delete_list(list_id), becomes=becomes)

    def list_creation(self, _: Harness, __: Records, turn: int) -> Change:
        """The creation of a list."""
        return Change(lambda client: client.create_list(f"{NEW_LISTS} {turn}"))

    def field_change(self, _: Harness, records: Records, turn: int) -> Change:
        """The change of one field of a contact to a new value, and of another one that is cleared, or set again."""
        provider = self.provider
        assert issubclass(provider, ChangesContacts)
        fields = self.text_fields()
        target = chosen(_most_lists_first(records.values()), turn, "a contact")
        set: dict[str, CustomValue] = {chosen(fields, 0, "a field that can be set"): f"Changed {turn}"}
        clear: list[str] = []
        if other := next((name for name in reversed(fields[1:]) if name in provider.clearable_fields), ""):
            if target.fields.get(other):
                clear.append(other)
            else:
                set[other] = f"Set {turn}"
        after = evolve(target, fields={**target.fields, **set, **dict.fromkeys(clear)})
        return Change(lambda client: client.change_contact(target.id, set=set, clear=clear), becomes={target.id: after})

    def text_fields(self) -> list[str]:
        """The names of the fields that can be set, without custom fields and without one that follows others."""
        provider = self.provider
        assert issubclass(provider, ChangesContacts)
        names = [name for name in CHANGEABLE_FIELDS if name in provider.changeable_fields and name != "custom"]
        return [name for name in names if name != FOLLOWER or len(names) == 1]

    def field_creation(self, _: Harness, __: Records, turn: int) -> Change:
        """The creation of a custom field."""
        assert issubclass(self.provider, CreatesCustomFields)
        type_ = next(iter(self.provider.field_types))
        return Change(lambda client: client.create_custom_field(f"{NEW_FIELD}_{turn}", type_))

    def seen(self, harness: Harness, make: Maker) -> Records:
        """What is stored now, for a change of this kind.

        An emulator tells the fields of contacts as hashes, which show only that something is different. Whether a field
        has the value that it was given, a read by the provider tells.
        """
        records = self.records(harness)
        if make != self.field_change:
            return records
        found: dict[str, Contact | None] = harness.client.get_contacts(list(records))
        missing = [contact_id for contact_id, contact in found.items() if contact is None]
        assert missing == [], f"{len(missing)} contacts are stored, and are not found by id: {missing}"
        return {
            contact_id: evolve(record, fields=self._fields_by_name(contact))
            for contact_id, record in records.items()
            if (contact := found[contact_id])
        }

    def _fields_by_name(self, contact: Contact) -> dict[str, Any]:
        """The fields of a contact as a change names them, besides all others; without those that follow others."""
        provider = self.provider
        assert issubclass(provider, ChangesContacts)
        fields = {name: value for name, value in record_of(contact).fields.items() if name != "address"}
        fields |= {name: field_value(contact, name) for name in CHANGEABLE_FIELDS if name != "custom"}
        if FOLLOWED & {*provider.changeable_fields}:
            del fields[FOLLOWER]
        return fields

    def used_lists(self, records: Records) -> list[str]:
        """The ids of the lists that have members and are nothing else, such as tags, at the vendor."""
        return sorted({list_id for record in records.values() for list_id in record.lists})

    def unknown_id(self, records: Records) -> str:
        """An id of the vendor's syntax that nobody has."""
        known = next(iter(records))
        return next(found for end in range(9, -1, -1) if (found := f"{known[:-4]}{end}000") not in records)

    # -- how they are tried and judged

    def change(self, harness: Harness, make: Maker, turn: int = 0) -> None:
        """Make a change, and fail unless it is done, told rightly, and nothing else has changed."""
        before = self.seen(harness, make)
        change = make(harness, before, turn)
        outcome = change.act(harness.client)
        if isinstance(outcome, ContactList | FieldDefinition):
            self.expect_change(harness, make, change, before)
            return
        if harness.tells_truth and outcome.state is OutcomeState.DONE:
            missing = judge(change, before, self.seen(harness, make)).missing
            assert missing == [], f"the outcome is done, and the vendor has not done it: {missing}"
        self.check_numbers(outcome, change)
        finished = self.wait_done(harness, outcome)
        self.expect_change(harness, make, change, before)
        assert finished.absent == (), f"the change is done, and the outcome calls it absent: {finished.absent}"

    def check_numbers(self, outcome: Outcome, change: Change) -> None:
        """Fail unless the numbers of an outcome add up to the items that were given."""
        assert outcome.requested == change.items, (
            f"{change.items} items were given, and requested is {outcome.requested}"
        )
        if outcome.jobs:
            others = len(outcome.confirmed) + outcome.processed + len(outcome.absent) + len(outcome.failed)
            held = sum(job.requested for job in outcome.jobs)
            assert others + held == outcome.requested, (
                f"the jobs hold {held} items, and {outcome.requested - others} of {outcome.requested} were queued"
            )

    def expect_change(self, harness: Harness, make: Maker, change: Change, before: Records) -> None:
        """Fail unless all that should have changed has, sooner or later where only reads tell it, and nothing else."""
        judged = judge(change, before, self.seen(harness, make))
        waited = 0.0
        while (judged.missing or judged.wrong) and not harness.tells_truth and waited < SETTLE_S:
            harness.time.sleep(5)
            waited += 5
            judged = judge(change, before, self.seen(harness, make))
        assert judged.wrong == [], f"more has changed than was asked for: {judged.wrong}"
        assert judged.missing == [], f"the outcome is done, and it is not so: {judged.missing}"

    def strike(self, harness: Harness, make: Maker, count: int = STRUCK_REQUESTS) -> None:
        """Make the change again and again, with a fault on one of its requests, and judge what is told each time."""
        turn = 0
        requests = self._needed_requests(harness, make, turn)
        for place in range(min(requests, count)):
            for faults, times in ((PASSING, 1), (LASTING_LATER if place else LASTING, None)):
                for fault in faults:
                    turn += 1
                    self._strike_once(harness, make, turn, fault, times, place)

    def _needed_requests(self, harness: Harness, make: Maker, turn: int) -> int:
        sent = harness.requests
        make(harness, self.seen(harness, make), turn)
        reading = harness.requests - sent
        sent = harness.requests
        self.change(harness, make, turn)
        needed = harness.requests - sent
        return max(1, needed - 2 * reading)

    def _strike_once(self, harness: Harness, make: Maker, turn: int, fault: str, times: int | None, place: int) -> None:
        before = self.seen(harness, make)
        if make == self.deletion_of_everyone:
            before = self._with_people(harness, before)
        elif make == self.list_deletion:
            before = self._with_members(harness, before)
        if not before:
            return
        names = self._made_names(harness, make)
        change = make(harness, before, turn)
        struck = f"{fault} on request {place + 1}, " + ("once" if times else "lasting")
        harness.faults.set(fault, times, place)
        outcome: Outcome | ContactList | FieldDefinition | None = None
        error: ContactsError | None = None
        try:
            outcome = change.act(harness.client)
        except ContactsError as raised:
            error = raised
        if isinstance(outcome, Outcome):
            with suppress(ContactsError):  # of reading a job; what the outcome told before still has to be true
                outcome = harness.client.wait(outcome, timeout=600)
        harness.faults.clear()
        harness.time.sleep(60)
        judged = judge(change, before, self.seen(harness, make))
        assert judged.wrong == [], f"after {struck}: {judged.wrong}"
        created = [name for name in self._made_names(harness, make) if name not in names]
        assert len(created) == len({*created}), f"after {struck}: the same was created several times: {created}"
        happened = judged.touched or bool(created)
        if error is not None:
            assert times is None or fault not in OUTLASTED, f"{struck} is not outlasted: {error!r}"
            unclear = getattr(error, "unclear", False) or isinstance(error, (Interrupted, JobTimeout))
            assert unclear or not happened, (
                f"after {struck} the error says that nothing was done, and it was: {error!r}"
            )
            return
        if isinstance(outcome, Outcome):
            lost = fault in PROCESSED  # then a second request meets what the first has done
            self._judge_told(outcome, judged.missing, struck, happened=happened, lost=lost)
            outlasted = times is None or fault not in OUTLASTED or outcome.state is OutcomeState.DONE  # after all jobs
            assert outlasted, f"{struck} is not outlasted: {outcome}"
        if times is None and place == 0 and fault not in PROCESSED:
            told = not isinstance(outcome, Outcome) or outcome.state is OutcomeState.DONE
            assert not told, f"after {struck} nothing can have been done, and it is told as done: {outcome}"

    def _made_names(self, harness: Harness, make: Maker) -> list[str]:
        """The names of the lists or fields there are, where such a one is created."""
        if make == self.list_creation and issubclass(self.provider, ReadsLists):
            return [each.name for each in harness.client.lists()]
        if make == self.field_creation and issubclass(self.provider, ReadsCustomFields):
            return [each.name for each in harness.client.custom_fields()]
        return []

    def _judge_told(self, outcome: Outcome, missing: list[str], struck: str, *, happened: bool, lost: bool) -> None:
        """Fail unless an outcome tells what has become of it."""
        if outcome.state is OutcomeState.DONE:
            assert missing == [], f"after {struck} the outcome is done, and it is not so: {missing}, {outcome}"
        assert lost or outcome.absent == (), f"after {struck} the outcome calls absent who was there: {outcome.absent}"
        if outcome.state is OutcomeState.FAILED:
            assert not happened, f"after {struck} the outcome is failed, and it was done: {outcome}"

    def _with_people(self, harness: Harness, records: Records) -> Records:
        """The records, with people again where none are left; still none where nobody can bring any."""
        if records or not harness.tells_truth:
            return records
        assert harness.emulator
        for number in range(3):
            harness.emulator.create([("email", f"again-{number}@example.com")])
        return self.records(harness)

    def _with_members(self, harness: Harness, records: Records) -> Records:
        """The records, with a list that has members again where there is none; none where nobody can bring any."""
        if self.used_lists(records):
            return records
        if not (harness.tells_truth and issubclass(self.provider, CreatesLists)):
            return {}
        assert harness.emulator
        new_list = harness.client.create_list(f"Contract kit: again {harness.requests}")
        for contact_id in list(records)[:2]:
            harness.emulator.mutate(contact_id, lists=[new_list.id])
        return self.records(harness)


SETTLE_S = 120.0  # virtual seconds for a vendor to show what it did


def _different(before: Contact, after: Contact) -> set[str]:
    """The names of the fields that two reads of a contact tell differently."""
    custom = {f"custom.{name}" for name in before.custom.keys() | after.custom.keys()}
    names = custom | {name for name in CHANGEABLE_FIELDS if name != "custom"}
    different = {name for name in names if field_value(before, name) != field_value(after, name)}
    different |= {name for name in ("tags", "created_at") if getattr(before, name) != getattr(after, name)}
    return different | (before.extra.keys() ^ after.extra.keys())


def _most_lists_first(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda each: -len(each.lists))


def chosen(found: Sequence[T], turn: int, what: str) -> T:
    """The one whose turn it is."""
    assert found, f"there is no {what.removeprefix('a ')}, and the case needs one: let the emulator's people have it"
    return found[turn % len(found)]
