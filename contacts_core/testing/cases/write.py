"""Cases: deleting, removing, adding, writing, and the vendor's jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import attrs
import pytest
from cattrs.preconf.json import make_converter

from contacts_core.errors import InvalidInput, NotFound
from contacts_core.models import (
    Address,
    Contact,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Job,
    JobState,
    OutcomeState,
)
from contacts_core.provider import (
    AddsToLists,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    Exports,
    FindsContacts,
    GetsContacts,
    QueuesJobs,
    ReadsCustomFields,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
)
from contacts_core.testing.cases.read import INVALID_IDS
from contacts_core.testing.cases.shared import Cases, case, lost_fields, several_batches, shared_fields
from contacts_core.testing.harness import Harness

SEVERAL = 8  # contacts
NOT_GIVEN = {"first_name", "full_name", "updated_at", "extra", "identifiers", "lists"}  # by a write of a first name
ADDRESS_PARTS = {
    "line1": "1 Example Street",
    "line2": "Floor 7",
    "city": "Springfield",
    "region": "Oregon",
    "postal_code": "97403",
    "country": "United States",
}
VALUES: Mapping[FieldType, CustomValue] = {
    FieldType.TEXT: "a text",
    FieldType.NUMBER: 7,
    FieldType.DATE: date(2024, 2, 29),
    FieldType.BOOLEAN: True,
}


def single_fields(fields: Iterable[FieldDefinition]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a contact that can be written, one by one: its name, and what is written."""
    yield "first_name", {"first_name": "Grace"}
    yield "last_name", {"last_name": "Hopper-Example"}
    yield "full_name", {"full_name": "Grace Brewster Example"}
    yield "organization", {"organization": "Example Inc."}
    yield "title", {"title": "Engineer"}
    yield "tags", {"tags": ("first-tag", "second-tag")}
    for part, text in ADDRESS_PARTS.items():
        yield "address", {"address": Address(**({"line1": "1 Example Street"} | {part: text}))}
    yield "address", {"address": Address(formatted="1 Example Street, Springfield")}
    yield "identifiers", {"identifiers": (Identifier.email("a-second-address@example.com"),)}
    yield (
        "identifiers",
        {"identifiers": (Identifier.phone("+12025550143"), Identifier.phone("+12025550144"))},
    )
    yield "identifiers", {"identifiers": (Identifier.external_id("contract-kit-1"),)}
    yield "identifiers", {"identifiers": (Identifier.anonymous_id("contract-kit-2"),)}
    yield "identifiers", {"identifiers": (Identifier.other("nokey", "contract-kit-3"),)}
    for each in fields:
        if not (each.read_only or each.contact_field) and each.type in VALUES:
            yield "custom", {"custom": {each.name: VALUES[each.type]}}


def _untrue(name: str, given: Contact, stored: Contact, dropped: Sequence[str]) -> Iterator[str]:
    """What of an outcome is not true about the one field that was written."""
    match name:
        case "identifiers":
            lost = [each for each in given.identifiers if each not in stored.identifiers]
            for each in lost:
                if not any(word in text for text in dropped for word in (each.kind.value, each.key or "identifier")):
                    yield f"the {each.kind.value} {each.value} is lost, and the outcome names only {dropped}"
        case "custom":
            ((field, value),) = given.custom.items()
            named = any(field in text for text in dropped)
            kept = is_kept(field, value, stored)
            if not kept and not named:
                yield f"the custom field {field} was {value!r}, is {stored.custom.get(field)!r}, and is not named"
            if kept and named:
                yield f"the custom field {field} is kept, and is named as dropped: {dropped}"
        case "full_name":
            if stored.name != given.full_name and name not in dropped:
                yield f"the full name was {given.full_name!r}, is {stored.name!r}, and is not named"
        case _:
            lost_here = name in lost_fields(given, stored)
            named = name in sections(dropped)
            if lost_here and not named:
                yield f"{name} was {shown(given, name)}, is {shown(stored, name)}, and the outcome names only {dropped}"
            if not lost_here and named:
                yield f"{name} is kept, and is named as dropped: {dropped}"


def sections(dropped: Iterable[str]) -> set[str]:
    """The names of dropped fields, and those of the fields that they are parts of, such as that of an address."""
    names = set(dropped)
    return names | {name.partition(".")[0] for name in names}


def is_kept(field: str, value: CustomValue, stored: Contact) -> bool:
    """Whether a custom value is stored: dates also as text, and texts also as the name that the field stands for."""
    found = stored.custom.get(field)
    if isinstance(value, date):
        return str(found).startswith(value.isoformat())
    return found == value or value in {stored.first_name, stored.last_name, stored.full_name}


def shown(contact: Contact, name: str) -> str:
    """The value of a field, also of those that repr hides."""
    value = getattr(contact, name)
    return repr(attrs.asdict(value)) if isinstance(value, Address) else repr(value)


class WriteCases(Cases):
    """What changing promises."""

    @case(DeletesContacts, Exports, recorded=True)
    def test_a_deleted_contact_is_gone_and_others_stay(self, harness: Harness) -> None:
        target, other = self.people(harness)
        outcome = self.wait_done(harness, harness.client.delete_contacts([target.id]))
        assert (outcome.requested, outcome.unconfirmed) == (1, 0)
        self.expect_gone(harness, target)
        self.expect_there(harness, other)

    @case(DeletesContacts, Exports)
    def test_deleting_again_harms_nobody(self, harness: Harness) -> None:
        target, other = self.people(harness)
        first, second = (harness.client.wait(harness.client.delete_contacts([target.id, target.id])) for _ in range(2))
        assert (first.requested, first.succeeded_count, first.failed_count) == (1, 1, 0)
        assert (second.succeeded_count, second.failed_count) == (0, 0), (
            "what was gone already is not counted as deleted"
        )
        self.expect_there(harness, other)

    @case(DeletesContacts, contacts=0)
    def test_deleting_nobody_sends_nothing(self, harness: Harness) -> None:
        assert harness.client.delete_contacts([]).state is OutcomeState.DONE
        blanks = harness.client.delete_contacts(["", " ", "\t"])
        assert (blanks.state, len(blanks.failed)) == (OutcomeState.FAILED, 3)
        assert harness.requests == 0

    @case(DeletesContacts, contacts=0, proves=False)
    def test_a_bare_text_is_not_taken_for_ids(self, harness: Harness) -> None:
        with pytest.raises(InvalidInput):
            harness.client.delete_contacts("abc")
        assert harness.requests == 0

    @case(DeletesContacts, Exports)
    def test_what_is_no_id_reaches_nobody(self, harness: Harness) -> None:
        people = self.people(harness)
        sent = harness.requests
        refused = [each for each in INVALID_IDS if harness.provider.validate_id(each)]
        outcome = harness.client.delete_contacts(refused)
        assert (outcome.state, len(outcome.failed)) == (OutcomeState.FAILED, len(refused))
        assert harness.requests == sent
        wider = [each for each in INVALID_IDS if each not in refused]  # than most vendors' ids
        assert set(harness.client.delete_contacts(wider).absent) == set(wider)
        self.expect_there(harness, *people)

    @case(DeletesContacts, Exports, emulated=True, contacts=several_batches)
    def test_many_deletions_go_out_in_the_vendors_batches(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        kept, *targets = everyone
        before = harness.requests
        outcome = harness.client.delete_contacts(contact.id for contact in targets)
        assert issubclass(self.provider, DeletesContacts)
        batches = -(-len(targets) // self.provider.delete_batch_size)
        each = sum(self.provider.costs.get(DeletesContacts, {"": 1}).values())
        sent = harness.requests - before
        assert sent == batches * each, (
            f"{len(targets)} deletions took {sent} requests: {batches} batches of {each} each"
        )
        self.wait_done(harness, outcome)
        assert [contact.id for contact in harness.client.export()] == [kept.id]

    @case(DeletesAllContacts, Exports, contacts=SEVERAL)
    def test_deleting_everyone_wants_the_exact_name(self, harness: Harness) -> None:
        before, name = harness.requests, harness.client.name
        for wrong in ("", "yes", name.upper(), f" {name}"):
            with pytest.raises(InvalidInput):
                harness.client.delete_all_contacts(confirm=wrong)
        assert harness.requests == before
        outcome = self.wait_done(harness, harness.client.delete_all_contacts(confirm=name))
        assert outcome.succeeded_count == SEVERAL, f"{outcome.succeeded_count} of {SEVERAL} counted as deleted"
        assert list(harness.client.export()) == []

    @case(RemovesIdentifiers, UpsertsContacts, GetsContacts, FindsContacts, recorded=True)
    def test_a_removed_identifier_is_gone_and_the_contact_stays(self, harness: Harness) -> None:
        target, other = self.people(harness)
        target, removed, spelled = self._removable(harness, target)
        self.wait_done(harness, harness.client.remove_identifier(target.id, spelled))

        def left() -> set[Identifier]:
            return set(self.reread(harness, target).identifiers)

        self.eventually(harness, lambda: removed not in left(), f"{removed.value} is removed")
        assert left() == set(target.identifiers) - {removed}, "the wrong identifiers are left"
        assert set(self.reread(harness, other).identifiers) == set(other.identifiers)

    def _removable(self, harness: Harness, target: Contact) -> tuple[Contact, Identifier, Identifier]:
        """Somebody with one identifier to spare: the contact, that identifier, and the same one in other letters.

        It is the phone number, or a second address where the vendor keeps none.
        """
        if phone := target.primary(IdentifierKind.PHONE):
            return target, phone, Identifier.phone(f"{phone.normal[:5]} {phone.normal[5:]}")
        second = Identifier.email(f"second-{target.email}")
        given = Contact(target.provider, target.id, (*target.identifiers, second))
        self.wait_done(harness, harness.client.upsert_contacts([given]))
        stored = self.reread(harness, target)
        assert second in stored.identifiers, (
            "the provider keeps neither a phone number nor a second address, so no contact has an identifier to spare: "
            "set the case to None, and say so in a comment"
        )
        return stored, second, Identifier.email(second.value.upper())

    @case(RemovesIdentifiers, UpsertsContacts, GetsContacts, FindsContacts)
    def test_removing_an_identifier_keeps_the_other_fields(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        target, removed, _ = self._removable(harness, target)
        self.wait_done(harness, harness.client.remove_identifier(target.id, removed))
        self.eventually(
            harness, lambda: removed not in self.reread(harness, target).identifiers, f"{removed.value} is removed"
        )
        assert shared_fields(self.reread(harness, target)) == shared_fields(target)

    @case(RemovesIdentifiers, UpsertsContacts, GetsContacts, FindsContacts)
    def test_an_identifier_that_is_not_there_is_absent(self, harness: Harness) -> None:
        target, other = self.people(harness)
        for wrong in (Identifier.email(other.email or ""), Identifier.other("nokey", "x")):
            outcome = harness.client.remove_identifier(target.id, wrong)
            assert outcome.absent == (wrong.value,)
        self.expect_there(harness, target, other)

    @case(RemovesIdentifiers, UpsertsContacts, GetsContacts, FindsContacts)
    def test_nobodys_identifier_is_not_found(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        with pytest.raises(NotFound):
            harness.client.remove_identifier(f"{target.id[:-4]}0000", target.identifiers[0])

    @case(RemovesIdentifiers, UpsertsContacts, GetsContacts, FindsContacts, recorded=True)
    def test_the_last_identifier_is_removed_or_refused_but_never_both(self, harness: Harness) -> None:
        alone = self.person(harness, identifiers=(Identifier.email("the-last-identifier@example.com"),))
        self.wait_done(harness, harness.client.upsert_contacts([alone]))
        found: Contact = harness.client.find(alone.identifiers)[alone.identifiers[0]]
        outcome = harness.client.wait(harness.client.remove_identifier(found.id, alone.identifiers[0]))
        left = harness.client.get_contacts([found.id])[found.id]
        if outcome.state is OutcomeState.DONE:
            assert left.identifiers == ()
        else:
            assert outcome.state is OutcomeState.FAILED
            assert left.identifiers == found.identifiers

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, GetsContacts, FindsContacts, recorded=True)
    def test_members_leave_a_list_and_stay_contacts(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: leaving")
        by_id, by_email, stays = self.people(harness, 3, lists=[new_list.id])
        self.expect_members(harness, new_list.id, by_id, by_email, stays)
        outcome = harness.client.remove_from_list(
            new_list.id, [by_id.id, Identifier.email((by_email.email or "").upper())]
        )
        assert outcome.requested == 2
        self.wait_done(harness, outcome)
        self.expect_members(harness, new_list.id, stays)
        self.expect_there(harness, by_id)
        self.expect_there(harness, by_email)

    @case(AddsToLists, UpsertsContacts, CreatesLists, Exports, GetsContacts, FindsContacts, recorded=True)
    def test_members_join_a_list(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: joining")
        by_id, by_email, stays = self.people(harness, 3)
        self.wait_done(harness, harness.client.add_to_list(new_list.id, [by_id.id, by_email.identifiers[0]]))
        self.expect_members(harness, new_list.id, by_id, by_email)
        again = self.reread(harness, by_id)
        assert (again.first_name, set(again.identifiers)) == (by_id.first_name, set(by_id.identifiers))
        self.expect_there(harness, stays)

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, GetsContacts, FindsContacts)
    def test_leaving_a_list_keeps_the_other_lists(self, harness: Harness) -> None:
        left, kept = (harness.client.create_list(f"Contract kit: {name}") for name in ("left", "kept"))
        target, other = self.people(harness, lists=[left.id, kept.id])
        self.wait_done(harness, harness.client.remove_from_list(left.id, [target.id]))
        self.expect_members(harness, left.id, other)
        self.expect_members(harness, kept.id, target, other)

    @case(AddsToLists, UpsertsContacts, CreatesLists, Exports, GetsContacts, FindsContacts)
    def test_joining_a_list_keeps_the_other_lists(self, harness: Harness) -> None:
        first, second = (harness.client.create_list(f"Contract kit: {name}") for name in ("first", "second"))
        target, other = self.people(harness, lists=[first.id])
        self.wait_done(harness, harness.client.add_to_list(second.id, [target.id]))
        self.expect_members(harness, second.id, target)
        self.expect_members(harness, first.id, target, other)

    @case(RemovesFromLists, AddsToLists, CreatesLists, FindsContacts)
    def test_unknown_identifiers_neither_join_nor_leave_a_list(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: unknown identifiers")
        nobody = Identifier.email("nobody.at.all@example.com")
        for change in (harness.client.remove_from_list, harness.client.add_to_list):
            outcome = harness.client.wait(change(new_list.id, [nobody]))
            assert outcome.succeeded_count == 0, f"a change of nobody counts as done: {outcome}"
            assert (len(outcome.absent), outcome.requested) == (1, 1)
        before = harness.requests
        assert harness.client.remove_from_list(new_list.id, []).state is OutcomeState.DONE
        assert harness.requests == before

    @case(UpsertsContacts, FindsContacts, Exports, recorded=True)
    def test_writing_twice_makes_one_contact(self, harness: Harness) -> None:
        first = self.person(harness, first_name="Zoë", last_name="O'Brien-Müller 李")
        dropped: set[str] = set()
        again = self.person(harness, first_name="Zoë 2", last_name="O'Brien-Müller 李")
        for contact in (first, again):
            dropped |= {*self.wait_done(harness, harness.client.upsert_contacts([contact])).dropped_fields}
        wanted = [each for each in first.identifiers if not any(each.kind.value in name for name in dropped)]
        found = harness.client.find(wanted)
        stored = found[first.identifiers[0]]
        assert stored is not None, "a look-up does not find who was written"
        assert {i: c and c.id for i, c in found.items()} == dict.fromkeys(wanted, stored.id)
        self.expect_names(stored, again, dropped)
        assert sum(stored.id == contact.id for contact in harness.client.export()) == 1

    @case(UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts)
    def test_writing_again_keeps_lists_and_identifiers(self, harness: Harness) -> None:
        first, second = (harness.client.create_list(f"Contract kit: {name}") for name in ("first", "second"))
        target, _ = self.people(harness, lists=[first.id])
        again = self.person(harness, identifiers=target.identifiers[:1], first_name="Grace")
        outcome = self.wait_done(harness, harness.client.upsert_contacts([again], lists=[second.id]))
        self.expect_members(harness, second.id, target)
        assert target.id in self.members(harness, first.id)
        stored = self.reread(harness, target)
        self.expect_names(stored, again, outcome.dropped_fields)
        assert set(stored.identifiers) == set(target.identifiers)

    @case(UpsertsContacts, FindsContacts, GetsContacts)
    def test_writing_one_contact_leaves_the_others(self, harness: Harness) -> None:
        others = self.people(harness)
        new = self.person(harness, 3, first_name="Grace", last_name="Example")
        self.wait_done(harness, harness.client.upsert_contacts([new]))
        wanted = new.identifiers[0]
        self.eventually(harness, lambda: harness.client.find([wanted])[wanted], "a look-up finds who was written")
        for contact in others:
            stored = self.reread(harness, contact)
            assert (set(stored.identifiers), shared_fields(stored)) == (
                set(contact.identifiers),
                shared_fields(contact),
            )

    @case(UpsertsContacts, FindsContacts)
    def test_every_field_is_written_or_named_as_dropped(self, harness: Harness) -> None:
        full = self.person(
            harness,
            address=Address(line1="1 Example Street", city="Springfield", postal_code="12345", country="US"),
            organization="Example Inc.",
            title="Engineer",
            tags=("contract-kit",),
        )
        outcome = self.wait_done(harness, harness.client.upsert_contacts([full]))
        wanted = full.identifiers[:1]
        self.eventually(harness, lambda: harness.client.find(wanted)[wanted[0]], "a look-up finds who was written")
        stored: Contact = harness.client.find(wanted)[wanted[0]]
        lost = lost_fields(full, stored)
        assert lost <= sections(outcome.dropped_fields), (
            f"lost {sorted(lost)}, but the outcome names only {outcome.dropped_fields}"
        )

    @case(UpsertsContacts, FindsContacts, one_client=True)
    def test_each_field_alone_is_written_or_named_as_dropped(self, harness: Harness) -> None:
        problems: list[str] = []
        for number, (name, changes) in enumerate(single_fields(self._fields(harness)), 1):
            given = self._alone(harness, number, changes)
            outcome = self.wait_done(harness, harness.client.upsert_contacts([given]))
            wanted = given.identifiers[0]
            stored = self._written(harness, wanted)
            problems.extend(_untrue(name, given, stored, outcome.dropped_fields))
        assert problems == [], "; ".join(problems)

    def _written(self, harness: Harness, wanted: Identifier) -> Contact:
        """The contact that was written, as soon as a look-up finds it."""
        self.eventually(harness, lambda: harness.client.find([wanted])[wanted], "a look-up finds who was written")
        stored: Contact = harness.client.find([wanted])[wanted]
        return stored

    def _fields(self, harness: Harness) -> list[FieldDefinition]:
        return list(harness.client.custom_fields()) if issubclass(self.provider, ReadsCustomFields) else []

    def _alone(self, harness: Harness, number: int, changes: Mapping[str, Any]) -> Contact:
        """A contact with an address, one field, and a name where the field is none."""
        email = Identifier.email(f"one-field-{number}@example.com")
        named = {"first_name", "last_name", "full_name"}.intersection(changes)
        given: dict[str, Any] = {} if named else {"first_name": "Ada", "last_name": "Example"}
        further = changes.get("identifiers", ())
        given |= {**changes, "identifiers": (email, *further)}
        return Contact(**given)

    @case(UpsertsContacts, stored=True, one_client=True, contacts=SEVERAL)
    def test_writing_again_changes_only_what_is_given(self, harness: Harness) -> None:
        before = self.records(harness)
        emails = [
            (record, each)
            for record in sorted(before.values(), key=lambda each: bool(harness.emulator) and len(each.identifiers) < 2)
            for each in sorted(record.identifiers, key=lambda each: each.value)
            if each.kind is IdentifierKind.EMAIL
        ]
        assert emails, "nobody has an e-mail address, and the case needs one: let the emulator's people have it"
        target, email = emails[0]
        was = self.read(harness, target.id, email)
        again = Contact(identifiers=(email,), first_name="Grace-Contract")
        outcome = self.wait_done(harness, harness.client.upsert_contacts([again]))
        assert (outcome.requested, outcome.absent) == (1, ()), f"one contact was given, and the outcome is {outcome}"
        after = self.records(harness)
        others = [key for key in before.keys() | after.keys() if key != target.id and before.get(key) != after.get(key)]
        assert others == [], f"others have changed, come or gone: {others}"
        stored = after[target.id]
        assert stored.identifiers == target.identifiers
        assert stored.lists == target.lists
        now = self.read(harness, target.id, email)
        if was is None or now is None:
            return
        if "first_name" in outcome.dropped_fields:
            self.expect_names(now, again, outcome.dropped_fields)
        else:
            assert now.first_name == "Grace-Contract", (
                f"the first name is {now.first_name!r}, 'Grace-Contract' was written"
            )
        names = sorted({each.name for each in attrs.fields(Contact)} - NOT_GIVEN)
        changed = {name: (getattr(was, name), getattr(now, name)) for name in names}
        changed = {name: values for name, values in changed.items() if values[0] != values[1]}
        assert changed == {}, f"fields that were not given have changed: {changed}"

    @case(UpsertsContacts, FindsContacts)
    def test_what_has_no_place_is_named(self, harness: Harness) -> None:
        odd = self.person(harness, custom={"no_such_field_anywhere": "x"}, extra={"shoe_size": 43})
        outcome = self.wait_done(harness, harness.client.upsert_contacts([odd]))
        stored = harness.client.find(odd.identifiers)[odd.identifiers[0]]
        assert {"shoe_size", "extra.shoe_size"} & {*outcome.dropped_fields, *stored.extra}, (
            "a field is neither stored nor named as dropped"
        )
        assert stored.custom.get("no_such_field_anywhere") == "x" or any(
            "no_such" in name for name in outcome.dropped_fields
        )

    @case(UpsertsContacts, contacts=0, proves=False)
    def test_writing_nobody_sends_nothing(self, harness: Harness) -> None:
        assert harness.client.upsert_contacts([]).state is OutcomeState.DONE
        assert harness.requests == 0

    @case(QueuesJobs, UpsertsContacts, recorded=True)
    def test_a_job_can_be_stored_and_checked_elsewhere(self, harness: Harness) -> None:
        outcome = harness.client.upsert_contacts([self.person(harness)])
        assert outcome.state is OutcomeState.ACCEPTED
        converter = make_converter()
        stored = converter.dumps(outcome.jobs[0])
        elsewhere = harness.open_client()
        finished = elsewhere.wait(converter.loads(stored, Job))
        assert finished.state is JobState.DONE, f"the job of a write is {finished.state.value}, not done"
        assert elsewhere.get_job(finished.id).state is JobState.DONE

    @case(QueuesJobs, contacts=0, proves=False)
    def test_the_job_of_another_provider_is_refused(self, harness: Harness) -> None:
        with pytest.raises(InvalidInput):
            harness.client.get_job(Job(provider="another", id="1"))
        assert harness.requests == 0
