"""Operations against vendors whose answers are not to be taken at their word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from attrs import evolve, frozen

from contacts_core import errors, operations
from contacts_core.models import Contact, ContactList, Identifier, Outcome, OutcomeState, Page
from contacts_core.provider import Flow, base_url_setting, get
from contacts_core.provider.base import check_id
from contacts_core.query import F
from tests.core.fake_providers import HOME, Acme, Script, fine, items, person, run

PEOPLE = [person(n, lists=("l1",)) for n in range(1, 4)]
FIRST = Identifier.email("person1@example.com")
NOBODY = Identifier.email("nobody@example.com")


@frozen(kw_only=True)
class MatchesTooMuch(Acme):
    """Answers every look-up with everybody."""

    base_url: str = base_url_setting(HOME)

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        yield from get("/find", object)
        return [(identifier, contact) for identifier in identifiers for contact in self.script.people.values()]

    def cannot_find(self, identifier: Identifier) -> str:
        return "it has no external ids" if identifier == Identifier.external_id("x") else ""


def test_who_does_not_have_the_identifier_asked_for_is_no_answer() -> None:
    found = run(operations.find(MatchesTooMuch(script=Script(PEOPLE)), [FIRST, NOBODY]), fine)
    assert [contact.id for contact in found.get_all(FIRST)] == ["c1"]
    assert found.get_all(NOBODY) == ()
    assert found.mismatched == {FIRST: 2, NOBODY: 3}


def test_what_cannot_be_asked_is_not_said_to_be_absent() -> None:
    vendor = MatchesTooMuch(script=Script(PEOPLE))
    external = Identifier.external_id("x")
    found = run(operations.find(vendor, [FIRST, external]), fine)
    assert found.unasked == {external: "it has no external ids"}
    assert list(found) == [FIRST]
    with pytest.raises(KeyError):
        found[external]


@pytest.mark.parametrize("operation", [operations.remove_from_list, operations.add_to_list])
def test_members_of_whom_the_look_up_said_nothing_sure_fail_and_are_not_called_absent(operation: object) -> None:
    script = Script(PEOPLE)
    members = [FIRST, NOBODY, Identifier.external_id("x")]
    outcome: Outcome = run(operation(MatchesTooMuch(script=script), "l1", members), fine)  # type: ignore[operator]
    assert outcome.absent == ()
    assert {failure.item for failure in outcome.failed} == {NOBODY.value, "x"}
    assert [ids for name, ids in script.asked if name.endswith("list")] == [["c1"]]


@frozen(kw_only=True)
class AnswersWithAnother(Acme):
    """Answers with somebody who was not asked for."""

    base_url: str = base_url_setting(HOME)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from get("/get", object)
        return [person(9)]


def test_an_answer_about_another_id_is_not_taken_for_absence() -> None:
    with pytest.raises(errors.UnexpectedPayload, match="not asked for"):
        run(operations.get_contacts(AnswersWithAnother(), ["c1"]), fine)


@frozen(kw_only=True)
class KeepsListsBack(Acme):
    """Says that contacts come with their lists, and leaves them out."""

    base_url: str = base_url_setting(HOME)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from get("/contacts", object)
        return Page([evolve(person(1), lists=None)])


def test_a_search_by_list_does_not_take_lists_that_were_not_told_for_none() -> None:
    with pytest.raises(errors.UnexpectedPayload, match="leaves out which lists"):
        items(operations.search(KeepsListsBack(), F.list == "l1", scan=True), fine)


def test_an_address_is_not_an_id() -> None:
    assert "e-mail address" in check_id("jane@example.com")
    outcome = run(operations.delete_contacts(Acme(), ["jane@example.com"]))
    assert (outcome.state, outcome.absent) == (OutcomeState.FAILED, ())


# -- lists by name


def test_a_list_may_be_named_by_its_name_everywhere() -> None:
    script = Script(PEOPLE)
    vendor = Acme(script=script)
    run(operations.remove_from_list(vendor, "One", ["c1"]), fine)
    run(operations.add_to_list(vendor, "Two", ["c1"]), fine)
    assert script.chunks("contacts_page") == []
    assert [c.id for c in items(operations.export(vendor, ["One"]), fine)] == ["c1", "c2", "c3"]
    assert [c.id for c in items(operations.search(vendor, F.list == "One", scan=True), fine)] == ["c1", "c2", "c3"]


@frozen(kw_only=True)
class SameNames(Acme):
    """Two lists of one name."""

    base_url: str = base_url_setting(HOME)

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from get("/lists", object)
        return Page([ContactList("acme", "l1", "Same"), ContactList("acme", "l2", "Same")])


def test_a_name_that_two_lists_have_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="2 lists are named"):
        run(operations.remove_from_list(SameNames(), "Same", ["c1"]), fine)


# -- upserts


def test_contacts_that_share_an_identifier_are_never_written_side_by_side() -> None:
    script = Script()
    twins = [person(n, identifiers=(FIRST,), provider="", id="") for n in range(3)]
    others = [person(n, provider="", id="") for n in range(5, 8)]
    run(operations.upsert_contacts(Acme(script=script), [*twins, *others], []), fine)
    assert [len(chunk) for chunk in script.chunks("upsert")] == [1, 1, 1, 2, 1]


def test_contacts_are_put_on_the_lists_that_they_name_and_an_unknown_one_fails_alone() -> None:
    seen: list[tuple[int, tuple[str, ...]]] = []

    @frozen(kw_only=True)
    class Noting(Acme):
        base_url: str = base_url_setting(HOME)

        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            seen.append((len(contacts), tuple(lists)))
            yield from get("/upsert", object)
            return Outcome(operation="upsert", requested=len(contacts), processed=len(contacts))

    ours = [person(1, provider="", lists=("Two",)), person(2, provider="", lists=("nowhere",)), person(3, provider="")]
    outcome = run(operations.upsert_contacts(Noting(), ours, ["l1"]), fine)
    assert sorted(seen) == [(1, ("l1",)), (1, ("l1", "l2"))]
    assert [failure.reason for failure in outcome.failed] == [
        "not sent: row 2 names a list: there is no list 'nowhere'"
    ]
    assert outcome.state is OutcomeState.PARTIAL


def test_a_contact_that_was_read_is_written_without_a_list_that_is_gone_and_that_is_named() -> None:
    script = Script()
    outcome = run(operations.upsert_contacts(Acme(script=script), [person(1, lists=("l1", "gone"))], []), fine)
    assert outcome.state is OutcomeState.DONE
    assert outcome.dropped_fields == ("lists.gone",)


def test_what_an_upsert_does_not_write_is_named() -> None:
    script = Script()
    foreign = person(1, provider="other", lists=("x",), created_at=datetime(2026, 1, 2, tzinfo=UTC))
    outcome = run(operations.upsert_contacts(Acme(script=script), [foreign], []), fine)
    assert set(outcome.dropped_fields) >= {"created_at", "lists.x"}
