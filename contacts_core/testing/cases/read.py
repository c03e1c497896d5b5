"""Cases: reading, searching, looking up."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from attrs import evolve

from contacts_core.errors import IncompleteExport, IncompleteSearch, InvalidInput
from contacts_core.models import Contact, Identifier, IdentifierKind, Strategy
from contacts_core.provider import (
    Counts,
    CreatesLists,
    DeletesLists,
    Exports,
    FindsContacts,
    GetsContacts,
    Provider,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    Searches,
    UpsertsContacts,
)
from contacts_core.query import F, Query
from contacts_core.testing.cases.shared import Cases, case, crowd, many, repeated
from contacts_core.testing.harness import Harness

SPECIAL_TEXTS = [
    "O'Brien",
    'Say "hi"',
    r"back\slash",
    "100%",
    "under_score",
    "a,b;c",
    "Ünïcödé 李",
    "+plus",
    "x' OR '1'='1",
]
INVALID_IDS = ["", "  ", ".", "..", "../../x", "a,b", "?x", "x#y", "a/b", "%2e%2e%2f", "x\r\ny", "é", "x" * 10_000]
SEARCHED = 40  # contacts among whom each kind of query is answered
LOOKED_UP = 30  # identifiers at once, at least


def queries(someone: Contact) -> dict[str, Query]:
    """One query of each kind, about the emulator's synthetic contacts."""
    email = someone.email or "nobody@example.com"
    return {
        "an address": F.email == email.upper(),
        "nobody": F.email == "nobody.at.all@example.com",
        "a quoted name": F.last_name == "O'Brien",
        "a beginning": F.email.startswith("person1"),
        "a part": F.first_name.contains("a"),
        "two conditions": (F.first_name == (someone.first_name or "")) & (F.email == email),
        "one of two": (F.email == email) | (F.last_name == "O'Brien"),
        "a negation": (F.last_name == "O'Brien") & ~(F.email == email),
        "several": F.last_name.in_(["O'Brien", "nobody"]),
        "a number": F.custom["score"] > 90,
        "something set": F.phone.is_set() & (F.custom["score"] > 80),
        "a time": F.updated_at >= datetime(2000, 1, 1, tzinfo=UTC),
        "all but": ~F.email.is_set(),
    }


def _rank(identifier: Identifier) -> tuple[int, str]:
    """Addresses first, then numbers, then the rest."""
    first = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
    return (first.index(identifier.kind) if identifier.kind in first else len(first), identifier.value)


def _resembling(identifier: Identifier) -> list[Identifier]:
    """Identifiers that hold a part of this one, or of which this one is a part."""
    value = identifier.normal
    match identifier.kind:
        case IdentifierKind.EMAIL:
            texts = [
                value[1:],
                f"x{value}",
                f"{value}.example",
                value.replace("@", "x@"),
                f"x@{value.partition('@')[2]}",
            ]
        case IdentifierKind.PHONE:
            texts = [value[:-1] + str((int(value[-1]) + 1) % 10), value[:-2] + value[-1] + value[-2]]
        case _:
            texts = [value[1:], value[:-1], f"{value}0", value.swapcase()]
    return [evolve(identifier, value=text, country_code="") for text in texts if text.strip() and text != value]


class ReadCases(Cases):
    """What reading promises."""

    @case(Exports, recorded=True)
    def test_export_has_everyone_once(self, harness: Harness) -> None:
        people = self.people(harness)
        exported = [contact.id for contact in harness.client.export()]
        assert {contact.id for contact in people} <= set(exported)
        assert repeated(exported) == [], "the export shows contacts more than once"

    @case(Exports, contacts=crowd)
    def test_export_has_every_identifier(self, harness: Harness) -> None:
        population = self.population(harness)
        everyone = list(harness.client.export())
        shown = len({contact.id for contact in everyone})
        assert shown == population, f"the export shows {shown} of {population} contacts"
        if harness.tells_truth:
            stored = self.records(harness)
            for contact in everyone:
                assert set(contact.identifiers) == stored[contact.id].identifiers
        if issubclass(self.provider, GetsContacts):
            for contact in islice(everyone, 0, population, population // 10):
                assert set(harness.client.get_contacts([contact.id])[contact.id].identifiers) == set(
                    contact.identifiers
                )

    @case(Exports, contacts=many)
    def test_export_can_be_left_early(self, harness: Harness) -> None:
        first = list[Contact](islice(harness.client.export(), 3))
        assert len(first) == 3, f"the export gives {len(first)} contacts where 3 are taken"

    @case(Exports, contacts=0)
    def test_export_of_an_empty_account_is_empty(self, harness: Harness) -> None:
        assert list(harness.client.export()) == []

    @case(Exports, ReadsLists, contacts=crowd, lists=True, one_client=True)
    def test_export_of_a_list_goes_beyond_one_page(self, harness: Harness) -> None:
        assert issubclass(self.provider, Exports)
        everyone = list(harness.client.export())
        for each in harness.client.lists():
            told = {contact.id for contact in everyone if each.id in (contact.lists or ())}
            members = self.members(harness, each.id)
            if harness.tells_truth:
                told = {record.id for record in self.records(harness).values() if each.id in record.lists}
            elif not self.provider.export_includes_lists:
                continue
            assert members == told, f"the export of the list {each.name} shows {len(members)} of {len(told)} members"

    @case(Exports, ReadsLists, contacts=many, lists=True)
    def test_export_of_lists_has_their_members_once(self, harness: Harness) -> None:
        first, second, *_ = (each.id for each in harness.client.lists())
        exported = [contact.id for contact in harness.client.export(lists=[first, second, first])]
        members = self.members(harness, first), self.members(harness, second)
        assert members[0] != members[1], "two lists have the same members: is the list ignored?"
        assert set(exported) == members[0] | members[1]
        assert repeated(exported) == [], "the export shows contacts more than once"

    @case(Exports, recorded=True)
    def test_search_by_address(self, harness: Harness) -> None:
        someone, _ = self.people(harness)
        assert someone.email
        found = list(harness.client.search(F.email == someone.email.upper()))
        assert [contact.id for contact in found] == [someone.id]

    @case(Exports, contacts=SEARCHED)
    def test_search_means_what_the_query_means(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        for name, query in queries(everyone[0]).items():
            found = {contact.id for contact in harness.client.search(query, scan=True)}
            assert found == {contact.id for contact in everyone if query.matches(contact)}, name

    @case(Searches, Exports, contacts=SEARCHED, one_client=True)
    def test_a_native_search_finds_what_a_scan_finds(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        native = 0
        for name, query in queries(everyone[0]).items():
            native += harness.client.explain(query).strategy is Strategy.NATIVE
            found = {contact.id for contact in harness.client.search(query)}
            wanted = {contact.id for contact in everyone if query.matches(contact)}
            assert found == wanted, f"{name}: the search finds {len(found)} contacts, {len(wanted)} match"
        assert native > 0, f"the provider declares Searches, and it translates {native} of {len(queries(everyone[0]))}"

    @case(Exports, ReadsLists, contacts=SEARCHED, lists=True)
    def test_search_by_list(self, harness: Harness) -> None:
        chosen = harness.client.lists()[1].id
        members = self.members(harness, chosen)
        assert members
        assert {c.id for c in harness.client.search(F.list == chosen, scan=True)} == members
        mixed = (F.list == chosen) & F.first_name.contains("a")
        assert {c.id for c in harness.client.search(mixed, scan=True)} <= members
        others = {c.id for c in harness.client.search(~(F.list == chosen), scan=True)}
        assert others == {c.id for c in harness.client.export()} - members

    @case(Exports, contacts=many)
    def test_search_is_complete_or_says_so(self, harness: Harness) -> None:
        population = self.population(harness)
        everyone = ~(F.email == "nobody.at.all@example.com")
        try:
            assert len(list(harness.client.search(everyone))) == population
        except IncompleteSearch as sample:
            assert len(sample.found) < population
            assert sample.total in {population, None}
            assert sample.hint
        assert len(list(harness.client.search(everyone, scan=True))) == population

    @case(Exports, UpsertsContacts)
    @pytest.mark.parametrize("text", SPECIAL_TEXTS)
    def test_values_stay_in_their_quotes(self, harness: Harness, text: str) -> None:
        named, other = self.person(harness, 1, last_name=text), self.person(harness, 2)
        outcome = self.wait_done(harness, harness.client.upsert_contacts([named, other]))
        one_name = "last_name" in outcome.dropped_fields  # the vendor has first and last name together, or neither
        written = F.full_name == named.name if one_name else F.last_name == text
        found = list(harness.client.search(written, scan=True))
        assert [contact.email for contact in found] == [named.identifiers[0].value]
        assert list(harness.client.search(F.email == f"{text}@example.com")) == []

    @case(Exports)
    def test_explain_tells_strategy_and_cost(self, harness: Harness) -> None:
        explained = harness.client.explain(F.first_name.contains("zz"))
        assert explained.reason
        assert explained.requests is None or explained.requests >= 1
        assert bool(explained.text) is (explained.strategy is Strategy.NATIVE)

    @case(FindsContacts, recorded=True)
    def test_find_gives_none_for_nobody(self, harness: Harness) -> None:
        someone, _ = self.people(harness)
        shouted = Identifier.email((someone.email or "").upper())
        nobody, odd, blank = (Identifier.email(e) for e in ("nobody.at.all@example.com", "no address", " "))
        found = harness.client.find([shouted, nobody, odd, blank])
        assert not found.mismatched, f"contacts that do not have the identifier asked for: {found.mismatched}"
        assert found[shouted] is not None, f"{shouted.value!r} is not found, but {someone.email!r} is there"
        assert found[shouted].id == someone.id
        assert found[nobody] is None
        assert found.get(odd) is None
        assert blank in found.unasked, "a blank identifier was looked up"
        assert found.keys() | found.unasked.keys() == {shouted, nobody, odd, blank}

    @case(FindsContacts, recorded=True)
    def test_find_knows_every_kind_of_identifier(self, harness: Harness) -> None:
        for contact in self.people(harness):
            found = harness.client.find(contact.identifiers)
            assert {i: c and c.id for i, c in found.items()} == dict.fromkeys(contact.identifiers, contact.id)
            assert not found.mismatched, f"contacts that do not have the identifier asked for: {found.mismatched}"
        unknown = [Identifier(kind, "nobody-has-this", key="nokey") for kind in IdentifierKind]
        assert not any(harness.client.find(unknown).values())

    @case(FindsContacts, contacts=crowd, stored=True)
    def test_find_many_at_once(self, harness: Harness) -> None:
        everyone = list(self.records(harness).values())
        assert issubclass(self.provider, FindsContacts)
        step = max(1, len(everyone) // max(LOOKED_UP, 2 * self.provider.find_batch_size + 1))
        firsts = {record.id: min(record.identifiers, key=_rank) for record in [*everyone[::step], everyone[-1]]}
        wanted = {identifier: contact_id for contact_id, identifier in firsts.items()}
        found = harness.client.find(wanted)
        assert {each: contact and contact.id for each, contact in found.items()} == wanted
        assert not found.mismatched, f"contacts that do not have the identifier asked for: {found.mismatched}"

    @case(FindsContacts, contacts=SEARCHED, stored=True, one_client=True)
    def test_find_takes_an_identifier_as_a_whole(self, harness: Harness) -> None:
        everyone = self.records(harness)
        stored = {identifier for record in everyone.values() for identifier in record.identifiers}
        someone = max(everyone.values(), key=lambda record: len({each.kind for each in record.identifiers}))
        for identifier in sorted(someone.identifiers, key=_rank):
            asked = [identifier, *(each for each in _resembling(identifier) if each not in stored)]
            found = harness.client.find(asked)
            assert found.mismatched == {}, (
                f"asked for {identifier.kind.value} {identifier.value} and what resembles it, the provider gives "
                f"contacts without it: { {each.value: count for each, count in found.mismatched.items()} }"
            )
            answers = {each.value: contact and contact.id for each, contact in found.items()}
            assert answers == {each.value: someone.id if each == identifier else None for each in found}

    @case(FindsContacts, UpsertsContacts, one_client=True)
    def test_find_tells_ids_of_other_case_apart(self, harness: Harness) -> None:
        for make in (Identifier.external_id, Identifier.anonymous_id):
            wanted = make("Contract-Kit-A1")
            contact = self.person(harness, identifiers=(*self.person(harness).identifiers[:1], wanted))
            self.wait_done(harness, harness.client.upsert_contacts([contact]))
            swapped = make(wanted.value.swapcase())
            found = harness.client.find([wanted, swapped])
            assert not found.get(swapped), f"{wanted.value!r} is stored, and {swapped.value!r} is found"
            assert found.mismatched == {}, f"{swapped.value!r} is answered with a contact that has {wanted.value!r}"

    @case(GetsContacts, recorded=True)
    def test_get_gives_none_for_nobody(self, harness: Harness) -> None:
        someone, other = self.people(harness)
        nobody = someone.id[:-4] + "0000"
        got = harness.client.get_contacts([other.id, nobody, someone.id])
        assert {key: contact and contact.id for key, contact in got.items()} == {
            other.id: other.id,
            nobody: None,
            someone.id: someone.id,
        }
        assert set(got[someone.id].identifiers) == set(someone.identifiers)

    @case(GetsContacts)
    def test_a_raw_contact_is_the_contact_and_names_nobody_else(self, harness: Harness) -> None:
        someone, other = self.people(harness)
        assert isinstance(harness.provider, GetsContacts)
        raw = harness.client.run(harness.provider.raw_contact(someone.id))
        if raw is None:  # the vendor sends contacts only together with other data
            return
        content = raw.content.decode()
        assert any(identifier.value in content for identifier in someone.identifiers), "it is not the contact"
        named = [identifier.kind.value for identifier in other.identifiers if identifier.value in content]
        assert not named, f"it has another contact's {', '.join(named)}"

    @case(GetsContacts)
    @pytest.mark.parametrize("wrong", INVALID_IDS, ids=lambda value: repr(value[:12]))
    def test_what_is_no_id_is_refused_unsent(self, harness: Harness, wrong: str) -> None:
        vendor = harness.provider
        if not (Provider.validate_id(vendor, wrong) or vendor.validate_id(wrong)):  # its ids are declared to be wider
            assert harness.client.get_contacts([wrong]) == {wrong: None}
            return
        with pytest.raises(InvalidInput):
            harness.client.get_contacts([wrong])
        assert harness.requests == 0

    @case(Counts, Exports, recorded=True)
    def test_count_agrees_with_export(self, harness: Harness) -> None:
        self.people(harness)
        count = harness.client.count()
        assert count == len(list(harness.client.export()))
        assert count.source in {"counter", "paged"}

    @case(Counts, contacts=crowd)
    def test_count_goes_beyond_one_page(self, harness: Harness) -> None:
        population = self.population(harness)
        count = harness.client.count()
        assert count == population, f"the count is {count}, and there are {population} contacts"

    @case(ReadsLists, CreatesLists, recorded=True)
    def test_a_new_list_is_listed(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: O'Brien")
        listed = {each.id: each.name for each in harness.client.lists()}
        assert new_list.name == "Contract kit: O'Brien", f"the new list has another name: {new_list.name!r}"
        assert listed.get(new_list.id) == new_list.name, f"list {new_list.id} is not listed as it was created: {listed}"

    @case(ReadsLists, CreatesLists, DeletesLists, UpsertsContacts, GetsContacts, recorded=True)
    def test_a_deleted_list_leaves_its_contacts(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: to be deleted")
        member, _ = self.people(harness, lists=[new_list.id])
        self.wait_done(harness, harness.client.delete_list(new_list.id))
        assert new_list.id not in {each.id for each in harness.client.lists()}
        self.expect_there(harness, member)

    @case(ReadsLists, CreatesLists, DeletesLists)
    def test_deleting_a_list_leaves_the_other_lists(self, harness: Harness) -> None:
        kept, removed = (harness.client.create_list(f"Contract kit: {name}") for name in ("kept", "removed"))
        self.wait_done(harness, harness.client.delete_list(removed.id))
        listed = {each.id for each in harness.client.lists()}
        assert listed & {kept.id, removed.id} == {kept.id}

    @case(ReadsCustomFields, recorded=True)
    def test_custom_fields_have_unique_names(self, harness: Harness) -> None:
        names = [each.name for each in harness.client.custom_fields()]
        assert repeated(names) == [], "several custom fields have the same name"

    @case(ReadsCustomFields, Exports, contacts=many)
    def test_custom_fields_are_what_contacts_carry(self, harness: Harness) -> None:
        known = {each.name: each for each in harness.client.custom_fields()}
        for contact in harness.client.export():
            assert contact.custom.keys() <= known.keys()
            held = [
                name for name, value in contact.custom.items() if isinstance(value, str) and known[name].contact_field
            ]
            assert held == [], f"these texts are shown as custom values, and the fields hold others: {held}"

    @case(QueuesJobs, Exports, emulated=True, contacts=many)
    def test_an_export_without_its_contacts_is_no_empty_account(self, harness: Harness) -> None:
        harness.faults.set("empty-export", None)
        with pytest.raises(IncompleteExport) as raised:
            list(harness.client.export())
        assert (raised.value.found, raised.value.total) == (0, self.population(harness))
