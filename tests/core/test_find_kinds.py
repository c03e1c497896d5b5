"""What a provider can only do in part: look up some kinds, tell no totals, export without pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve, field, frozen

from contacts_core import Contacts, operations
from contacts_core.config import matrix
from contacts_core.errors import IncompleteExport, IncompleteSearch, PlanRefused, UnexpectedPayload
from contacts_core.models import Contact, Identifier, IdentifierKind, Outcome, Page
from contacts_core.plans import plan_erasure
from contacts_core.plans.execution import attempts, verification
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.kinds import kind_of
from contacts_core.provider import (
    CountsByPaging,
    DeletesAllContactsById,
    DeletesContacts,
    Emit,
    Exports,
    ExportsPages,
    FindsContacts,
    Flow,
    PartialResult,
    Stream,
    base_url_setting,
)
from contacts_core.query import F
from tests.core.fake_providers import Asked, Script, fine, items, person, run

HOME = "http://127.0.0.1:1"


def email(name: str) -> Identifier:
    return Identifier.email(f"{name}@example.com")


PHONE = Identifier.phone("+12025550101")
JANE = Contact(provider="acme", id="jane", identifiers=(email("jane"), PHONE), lists=())
JIM = Contact(provider="acme", id="jim", identifiers=(Identifier.phone("+12025550102"),), lists=())
JOHN = Contact(provider="acme", id="john", identifiers=(email("john"),), lists=())


class Shelf:
    """What a vendor holds, and what it was asked."""

    def __init__(self, *people: Contact) -> None:
        self.people = {contact.id: contact for contact in people}
        self.asked: list[str] = []


@frozen(kw_only=True)
class Blind(DeletesContacts, FindsContacts):
    """Looks e-mail addresses up, and nothing else."""

    name = "acme"
    title = "Acme"
    find_kinds = (IdentifierKind.EMAIL,)
    base_url: str = base_url_setting(HOME)
    shelf: Shelf = field(factory=Shelf, repr=False)

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        yield from ()
        assert {i.kind for i in identifiers} == {IdentifierKind.EMAIL}
        self.shelf.asked.append("find")
        return [(i, c) for i in identifiers for c in self.shelf.people.values() if i in c.identifiers]

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        self.shelf.asked.append("delete")
        del self.shelf.people[ids[0]]
        return Outcome(requested=1, confirmed=tuple(ids))


@frozen(kw_only=True)
class Reader(Blind, Exports):
    """The same, and streams all contacts."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        yield from ()
        self.shelf.asked.append("scan")
        yield Emit(list(self.shelf.people.values()))


def test_kinds_that_are_looked_up_are_not_scanned() -> None:
    shelf = Shelf(JANE, JIM)
    found = run(operations.find(Reader(shelf=shelf), [email("jane"), email("nobody")]))
    assert (found[email("jane")], found[email("nobody")]) == (JANE, None)
    assert shelf.asked == ["find", "find"]


def test_one_scan_answers_every_kind_that_cannot_be_looked_up() -> None:
    shelf = Shelf(JANE, JIM)
    found = run(operations.find(Reader(shelf=shelf), [email("jane"), PHONE, *JIM.identifiers]))
    assert [found[email("jane")], found[PHONE], found[JIM.identifiers[0]]] == [JANE, JANE, JIM]
    assert shelf.asked == ["scan"]
    assert not found.unasked


def test_without_an_export_other_kinds_are_not_looked_for_and_the_result_says_so() -> None:
    shelf = Shelf(JANE)
    found = run(operations.find(Blind(shelf=shelf), [email("jane"), PHONE]))
    assert found[email("jane")] == JANE
    assert found.unasked == {PHONE: "Acme cannot look up this kind of identifier"}
    assert shelf.asked == ["find"]


def test_the_matrix_shows_which_kinds_are_scanned() -> None:
    class Finder(Blind):
        find_kinds = tuple(IdentifierKind)  # type: ignore[assignment]  # wider than its base

    assert matrix.cell(Blind, FindsContacts) == "some kinds"
    assert matrix.cell(Reader, FindsContacts) == "yes, some kinds by scan"
    assert matrix.cell(Finder, FindsContacts) == "yes"


def test_a_plan_scans_once_where_a_kind_cannot_be_looked_up() -> None:
    shelf = Shelf(JANE, JIM, JOHN)
    with Contacts(Reader(shelf=shelf)) as client:
        plan = plan_erasure([(email("jane"), PHONE), JIM.identifiers], [client])
        assert plan.accounts[0].read == "scan"
        assert {target.contact for target in plan.accounts[0].changes} == {"jane", "jim"}
        assert set(shelf.asked) == {"scan"}
        shelf.asked.clear()
        client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
    assert shelf.asked == ["scan", "delete", "delete"], "Jim can only be read again by a scan"
    assert shelf.people.keys() == {"john"}


def test_a_contact_is_read_again_by_an_identifier_that_can_be_looked_up() -> None:
    shelf = Shelf(JANE, JOHN)
    with Contacts(Reader(shelf=shelf)) as client:
        plan = plan_erasure([email("jane")], [client])
        assert plan.accounts[0].read == "look-up"
        shelf.asked.clear()
        client.run(attempts.act(kind_of(plan.kind).changes_by, plan.accounts[0].changes, client.provider))
    assert shelf.asked == ["find", "delete"]


def test_what_is_verified_by_a_scan_is_verified_at_once() -> None:
    shelf = Shelf(JANE, JIM, JOHN)
    with Contacts(Reader(shelf=shelf)) as client:
        for people, whole in (([email("jane")], False), ([PHONE], True)):
            plan = plan_erasure(people, [client])
            (stage,) = plan.accounts[0].stages(kind_of(plan.kind))
            view = AccountView(plan, plan.accounts[0], stage)
            assert verification.reads_all(view, client.provider, "find") is whole
            assert verification.reads_all(view, client.provider, "get")


# -- totals that are not known


def test_a_search_that_has_more_but_not_how_many_is_incomplete() -> None:
    script = Script([person(1), person(2)])
    script.sample = PartialResult([person(1)], None)
    provider = Asked(script=script)
    with pytest.raises(IncompleteSearch, match="showed 1 matching contacts, and has more") as caught:
        items(operations.search(provider, F.email == "person1@example.com", scan=False), fine)
    assert (caught.value.found, caught.value.total) == ((person(1),), None)
    assert items(operations.search(provider, F.email == "person2@example.com", scan=True), fine) == [person(2)]


def test_an_export_may_end_early_without_a_total() -> None:
    error = IncompleteExport(3, None)
    assert (error.found, error.total) == (3, None)
    assert str(error).startswith("the export held 3 contacts, and the vendor has more")


# -- exports without pages


@frozen(kw_only=True)
class Streamed(DeletesAllContactsById, CountsByPaging):
    """Streams its contacts; there are no pages."""

    name = "acme"
    delete_batch_size = 2
    base_url: str = base_url_setting(HOME)
    shelf: Shelf = field(factory=Shelf, repr=False)

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        yield from ()
        for contact in list(self.shelf.people.values()):
            yield Emit([contact])

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        for each in ids:
            del self.shelf.people[each]
        return Outcome(requested=len(ids), confirmed=tuple(ids))


def test_counting_and_deletion_by_id_need_an_export_only() -> None:
    shelf = Shelf(*(person(n) for n in range(5)))
    with Contacts(Streamed(shelf=shelf)) as client:
        assert (client.count(), client.count().source) == (5, "paged")
        assert len(client.delete_all_contacts(confirm="acme").confirmed) == 5
    assert not shelf.people


# -- cursors and ids


@frozen(kw_only=True)
class Circling(ExportsPages, CountsByPaging):
    """Its pages have new contacts each time, and go round in circles."""

    name = "acme"
    base_url: str = base_url_setting(HOME)
    cursors: tuple[str, ...] = ("a",)
    shelf: Shelf = field(factory=Shelf, repr=False)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        turn = len(self.shelf.asked)
        self.shelf.asked.append(cursor or "")
        return Page([person(turn)], self.cursors[turn % len(self.cursors)])


@pytest.mark.parametrize("cursors", [("a",), ("a", "b"), ("a", "b", "c", "b")])
@pytest.mark.parametrize("read", ["export", "count"])
def test_the_same_cursor_twice_ends_reading(cursors: tuple[str, ...], read: str) -> None:
    shelf = Shelf()
    with (
        Contacts(Circling(cursors=cursors, shelf=shelf)) as client,
        pytest.raises(UnexpectedPayload, match="cursor twice"),
    ):
        client.count() if read == "count" else list(client.export())
    assert len(shelf.asked) <= len(cursors) + 2


def test_an_id_that_cannot_be_sent_is_refused_when_the_plan_is_made() -> None:
    class Wide(Reader):
        id_pattern = r"[\w@.]+"

    odd: Any = evolve(JANE, id="jane@example.com")
    with Contacts(Wide(shelf=Shelf(odd))) as client:
        assert plan_erasure([email("jane")], [client]).contacts == 1
    with Contacts(Reader(shelf=Shelf(odd))) as narrow, pytest.raises(PlanRefused, match="whose id cannot be sent"):
        plan_erasure([email("jane")], [narrow])
