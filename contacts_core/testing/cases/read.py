"""Cases: reading, searching, looking up."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from contacts_core.errors import IncompleteExport, IncompleteSearch, InvalidInput
from contacts_core.models import Contact, Identifier, IdentifierKind, Strategy
from contacts_core.provider import (
    Counts,
    CreatesLists,
    DeletesLists,
    Exports,
    FindsContacts,
    GetsContacts,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    UpsertsContacts,
)
from contacts_core.query import F, Query
from contacts_core.testing.cases.shared import Cases, case, repeated
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
POPULATION = 120


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


class ReadCases(Cases):
    """What reading promises."""

    @case(Exports, recorded=True)
    def test_export_has_everyone_once(self, harness: Harness) -> None:
        people = self.people(harness)
        exported = [contact.id for contact in harness.client.export()]
        assert {contact.id for contact in people} <= set(exported)
        assert repeated(exported) == [], "the export shows contacts more than once"

    @case(Exports, contacts=POPULATION)
    def test_export_has_every_identifier(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        assert len(everyone) == POPULATION, f"the export shows {len(everyone)} of {POPULATION} contacts"
        if issubclass(self.provider, GetsContacts):
            for contact in islice(everyone, 0, POPULATION, 10):
                assert set(harness.client.get_contacts([contact.id])[contact.id].identifiers) == set(
                    contact.identifiers
                )

    @case(Exports, contacts=POPULATION)
    def test_export_can_be_left_early(self, harness: Harness) -> None:
        first = list[Contact](islice(harness.client.export(), 3))
        assert len(first) == 3, f"the export gives {len(first)} contacts where 3 are taken"

    @case(Exports, contacts=0)
    def test_export_of_an_empty_account_is_empty(self, harness: Harness) -> None:
        assert list(harness.client.export()) == []

    @case(Exports, ReadsLists, contacts=POPULATION)
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

    @case(Exports, contacts=POPULATION)
    def test_search_means_what_the_query_means(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        for name, query in queries(everyone[0]).items():
            found = {contact.id for contact in harness.client.search(query, scan=True)}
            assert found == {contact.id for contact in everyone if query.matches(contact)}, name

    @case(Exports, ReadsLists, contacts=POPULATION)
    def test_search_by_list(self, harness: Harness) -> None:
        chosen = harness.client.lists()[1].id
        members = self.members(harness, chosen)
        assert members
        assert {c.id for c in harness.client.search(F.list == chosen, scan=True)} == members
        mixed = (F.list == chosen) & F.first_name.contains("a")
        assert {c.id for c in harness.client.search(mixed, scan=True)} <= members
        others = {c.id for c in harness.client.search(~(F.list == chosen), scan=True)}
        assert others == {c.id for c in harness.client.export()} - members

    @case(Exports, contacts=POPULATION)
    def test_search_is_complete_or_says_so(self, harness: Harness) -> None:
        everyone = ~(F.email == "nobody.at.all@example.com")
        try:
            assert len(list(harness.client.search(everyone))) == POPULATION
        except IncompleteSearch as sample:
            assert len(sample.found) < POPULATION
            assert sample.total in {POPULATION, None}
            assert sample.hint
        assert len(list(harness.client.search(everyone, scan=True))) == POPULATION

    @case(Exports, UpsertsContacts)
    @pytest.mark.parametrize("text", SPECIAL_TEXTS)
    def test_values_stay_in_their_quotes(self, harness: Harness, text: str) -> None:
        named, other = self.person(harness, 1, last_name=text), self.person(harness, 2)
        self.wait_done(harness, harness.client.upsert_contacts([named, other]))
        found = list(harness.client.search(F.last_name == text, scan=True))
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

    @case(FindsContacts, contacts=POPULATION)
    def test_find_many_at_once(self, harness: Harness) -> None:
        everyone = list(harness.client.export())
        wanted = {contact.identifiers[0]: contact.id for contact in everyone}
        found = harness.client.find(wanted)
        assert {each: contact and contact.id for each, contact in found.items()} == wanted
        assert not found.mismatched, f"contacts that do not have the identifier asked for: {found.mismatched}"

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
    @pytest.mark.parametrize("wrong", INVALID_IDS, ids=lambda value: repr(value[:12]))
    def test_what_is_no_id_is_refused_unsent(self, harness: Harness, wrong: str) -> None:
        with pytest.raises(InvalidInput):
            harness.client.get_contacts([wrong])
        assert harness.requests == 0

    @case(Counts, Exports, recorded=True)
    def test_count_agrees_with_export(self, harness: Harness) -> None:
        self.people(harness)
        count = harness.client.count()
        assert count == len(list(harness.client.export()))
        assert count.source in {"counter", "paged"}

    @case(Counts, Exports, contacts=POPULATION)
    def test_count_goes_beyond_one_page(self, harness: Harness) -> None:
        assert harness.client.count() == POPULATION

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

    @case(ReadsCustomFields, Exports, contacts=POPULATION)
    def test_custom_fields_are_what_contacts_carry(self, harness: Harness) -> None:
        known = {each.name for each in harness.client.custom_fields()}
        for contact in harness.client.export():
            assert contact.custom.keys() <= known

    @case(QueuesJobs, Exports, emulated=True, contacts=POPULATION)
    def test_an_export_without_its_contacts_is_no_empty_account(self, harness: Harness) -> None:
        harness.faults.set("empty-export", None)
        with pytest.raises(IncompleteExport) as raised:
            list(harness.client.export())
        assert (raised.value.found, raised.value.total) == (0, POPULATION)
