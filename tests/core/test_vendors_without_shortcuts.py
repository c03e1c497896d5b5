"""Operations on vendors that lack the easy way, and operations that stop on the way."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen

from contacts_core import errors, operations
from contacts_core.models import Identifier, Job, JobState, Outcome, OutcomeState, Strategy
from contacts_core.provider import (
    CountsByPaging,
    DeletesAllContactsById,
    FindsContactsByScan,
    Flow,
    PartialResult,
    Sleep,
    TakesIdentifiers,
    UnknownFields,
    base_url_setting,
    lines_decoder,
)
from contacts_core.provider.payloads import payload_converter
from contacts_core.query import F, RawQuery
from tests.core.fake_providers import (
    HOME,
    Acme,
    Asked,
    AskedSilent,
    Paged,
    PagedSilent,
    Script,
    fine,
    items,
    person,
    run,
)

PEOPLE = [
    person(1, lists=("l1",), first_name="Ann"),
    person(2, lists=("l1", "l2"), first_name="Bob"),
    person(3, lists=("l2",), first_name="Ann"),
    person(4, first_name="Cid"),
]
EMAIL = Identifier.email("person1@example.com")


@frozen(kw_only=True)
class ByIds(DeletesAllContactsById, FindsContactsByScan, CountsByPaging, Paged):
    """A vendor without a way to delete all, to look up, or to count."""

    base_url: str = base_url_setting(HOME)

    def delete_contacts(self, ids: Any) -> Flow[Outcome]:
        return self.script.act("delete_contacts", ids)


def test_without_a_way_to_delete_all_the_ids_are_gathered_first() -> None:
    script = Script(PEOPLE)
    outcome = run(operations.delete_all_contacts(ByIds(script=script), "acme", "acme"), fine)
    assert [name for name, _ in script.asked] == ["contacts_page"] * 2 + ["delete_contacts"] * 4
    assert outcome.confirmed == ("c1", "c2", "c3", "c4")
    assert outcome.operation == "delete_all_contacts"


def test_one_pass_finds_everybody_who_is_looked_for() -> None:
    twin = person(9, identifiers=(Identifier.email("PERSON1@example.com"), Identifier.phone("+12025550143")))
    script = Script([*PEOPLE, twin])
    phone, nobody = Identifier.phone("+1 202 555 0143"), Identifier.email("nobody@example.com")
    found = run(operations.find(ByIds(script=script), [EMAIL, phone, nobody]), fine)
    assert [each.id for each in found.get_all(EMAIL)] == ["c1", "c9"]
    assert [each.id for each in found.get_all(phone)] == ["c9"]
    assert found[nobody] is None
    assert len(script.asked) == 2


def test_counting_by_reading_says_so_and_explaining_does_not_count() -> None:
    vendor = ByIds(script=Script(PEOPLE))
    count = run(operations.count(vendor), fine)
    assert (count, count.source) == (4, "paged")
    explained = run(operations.explain(vendor, F.first_name == "Ann"))
    assert (explained.strategy, explained.requests) == (Strategy.SCAN, None)


@frozen(kw_only=True)
class Taking(Acme, TakesIdentifiers):
    """A vendor that takes identifiers for members."""

    base_url: str = base_url_setting(HOME)


def test_identifiers_go_out_as_they_are_where_the_vendor_takes_them() -> None:
    script = Script(PEOPLE)
    members: list[str | Identifier] = [EMAIL, "c2", Identifier.email("Person1@Example.com")]
    run(operations.add_to_list(Taking(script=script), "l1", members), fine)
    assert script.chunks("find") == []
    assert script.chunks("add_to_list") == [["c2", "<person1@example.com>"]]


@pytest.mark.parametrize("ids", [[], [""], [" ", "", "\t"]])
def test_nothing_and_blanks_send_nothing(ids: list[str]) -> None:
    script = Script(PEOPLE)
    vendor = Acme(script=script)
    for flow in (
        operations.delete_contacts(vendor, ids),
        operations.remove_from_list(vendor, "l1", ids),
        operations.add_to_list(vendor, "l1", iter(ids)),
    ):
        outcome = run(flow)
        assert outcome.requested == len(ids)
        assert outcome.state is (OutcomeState.FAILED if ids else OutcomeState.DONE)
    assert run(operations.find(vendor, [Identifier.email(each) for each in ids])) is not None
    assert run(operations.get_contacts(vendor, [])) == {}
    assert run(operations.upsert_contacts(vendor, [], [])).requested == 0
    assert script.asked == []


@pytest.mark.parametrize("bad", ["../../x", "a,b", "?x", "", " ", "x" * 10_000, "..", "a/b", "a%2Fb"])
def test_an_id_that_could_reach_another_place_is_refused_before_any_effect(bad: str) -> None:
    vendor = Acme()
    for flow in (
        operations.remove_identifier(vendor, bad, EMAIL),
        operations.change_contact(vendor, bad, {"title": "Baker"}),
        operations.get_contacts(vendor, ["c1", bad]),
        operations.get_job(vendor, bad),
    ):
        with pytest.raises(errors.InvalidInput, match="not sent") as caught:
            next(flow)
        assert "x" * 99 not in str(caught.value)


@pytest.mark.parametrize("bad", ["../../x", "a,b", "?x", "", " ", "x" * 10_000, "..", "a/b", "a%2Fb", "l3", "ONE"])
def test_a_list_that_is_not_there_is_an_error_and_nothing_but_the_lists_is_asked_for(bad: str) -> None:
    script = Script(PEOPLE)
    vendor = Acme(script=script)
    for flow in (
        operations.remove_from_list(vendor, bad, ["c1"]),
        operations.add_to_list(vendor, bad, ["c1"]),
        operations.delete_list(vendor, bad),
        operations.upsert_contacts(vendor, [person(1)], [bad]),
    ):
        with pytest.raises(errors.InvalidInput, match=r"there is no list|the list is blank") as caught:
            run(flow, fine)
        assert "x" * 200 not in str(caught.value)
        assert script.asked == []
    for stream in (operations.export(vendor, ["l1", bad]), operations.search(vendor, F.list == bad, scan=True)):
        with pytest.raises(errors.InvalidInput, match=r"there is no list|the list is blank") as caught:
            items(stream, fine)
        assert "x" * 200 not in str(caught.value)
        assert script.asked == []


def test_the_small_operations_on_lists_and_fields() -> None:
    vendor = Acme()
    assert run(operations.delete_list(vendor, "l1"), fine).operation == "delete_list"
    assert run(operations.delete_list(vendor, "Two"), fine).confirmed == ("l2",)
    assert run(operations.create_list(vendor, "New"), fine).name == "New"
    with pytest.raises(errors.InvalidInput, match="blank"):
        next(operations.create_list(vendor, " "))


# -- searching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [RawQuery("x"), RawQuery("x") & (F.id == "c1"), ~RawQuery("x")])
def test_a_native_query_is_refused_where_there_is_no_language_and_explained_no_other_way(query: Any) -> None:
    for flow in (operations.search(Acme(), query, scan=True), operations.explain(Acme(), query)):
        with pytest.raises(errors.UnsupportedOperation, match="no query language"):
            next(flow)


@pytest.mark.parametrize(
    ("query", "ids", "lists"),
    [
        (F.list == "l1", ["c1", "c2"], ["l1"]),
        (~(F.list == "l1"), ["c3", "c4"], ["l1"]),
        ((F.list == "l1") & (F.list == "l2"), ["c2"], ["l1", "l2"]),
        ((F.list == "l2") | (F.first_name == "Cid"), ["c2", "c3", "c4"], ["l2"]),
        (F.list.in_(["l2", "l1"]), ["c1", "c2", "c3"], ["l1", "l2"]),
        (F.list == "nobodys", [], ["nobodys"]),
        (F.first_name == "Ann", ["c1", "c3"], []),
    ],
)
def test_lists_that_contacts_do_not_tell_are_read_for_a_scan(query: Any, ids: list[str], lists: list[str]) -> None:
    script = Script(PEOPLE)
    found = items(operations.search(PagedSilent(script=script), query, scan=False), fine)
    assert [each.id for each in found] == ids
    assert [list_id for list_id, cursor in script.chunks("contacts_page") if cursor is None] == [*lists, None]


def test_lists_that_contacts_tell_are_not_read() -> None:
    script = Script(PEOPLE)
    found = items(operations.search(Paged(script=script), F.list.startswith("l"), scan=False), fine)
    assert [each.id for each in found] == ["c1", "c2", "c3"]
    assert {list_id for list_id, _ in script.chunks("contacts_page")} == {None}


def test_what_the_vendor_cannot_express_is_scanned_with_its_lists_without_asking() -> None:
    script = Script(PEOPLE)
    script.sample = PartialResult((), 9)
    found = items(operations.search(AskedSilent(script=script), F.list == "l2", scan=True), fine)
    assert [each.id for each in found] == ["c2", "c3"]
    assert script.chunks("search") == []


def test_a_sample_of_a_native_query_never_leads_to_a_scan() -> None:
    script = Script(PEOPLE)
    script.sample = PartialResult([PEOPLE[3]], 60)
    with pytest.raises(errors.IncompleteSearch) as caught:
        items(operations.search(Asked(script=script), RawQuery("x"), scan=True), fine)
    assert "scan" not in caught.value.hint
    assert caught.value.found == (PEOPLE[3],)


# -- writing and waiting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "unclear"),
    [
        (errors.Unauthenticated("revoked"), False),
        (errors.Unavailable("down"), True),
        (errors.UnexpectedPayload("a web page"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_writing_that_stops_in_a_later_batch_tells_what_the_earlier_ones_reached(
    error: errors.ProviderError, unclear: bool
) -> None:
    script = Script()
    script.errors["c4"] = error
    people = [person(number) for number in range(5)]
    with pytest.raises(errors.Interrupted) as caught:
        run(operations.upsert_contacts(Acme(script=script), people, []), fine)
    assert caught.value.outcome.confirmed == ("c0", "c1", "c2")
    assert caught.value.uncertain == (tuple(people[3:]) if unclear else ())
    assert caught.value.unsent == (() if unclear else tuple(people[3:]))
    assert caught.value.__cause__ is error
    assert str(error) in str(caught.value)


@frozen(kw_only=True)
class OneByOne(Acme):
    """Writes one contact at a time."""

    upsert_batch_size = 1


@pytest.mark.parametrize("streamed", [False, True])
def test_writing_that_stops_in_the_middle_of_a_later_batch_adds_everything_up(streamed: bool) -> None:
    script = Script()
    script.errors["c4"] = errors.Unreachable("cut")
    people = [person(number) for number in range(9)]
    source = iter(people)
    with pytest.raises(errors.Interrupted) as caught:
        run(operations.upsert_contacts(OneByOne(script=script), source if streamed else people, []), fine)
    assert caught.value.__cause__ is script.errors["c4"]
    assert caught.value.outcome.confirmed == ("c0", "c1", "c2", "c3")
    assert caught.value.uncertain == (people[4],)
    # What is behind the batch stays in a stream; of a list it is known.
    assert caught.value.unsent == tuple(people[5:6] if streamed else people[5:])
    assert list(source) == (people[6:] if streamed else people)


def test_writing_that_fails_before_anything_was_written_is_that_error() -> None:
    script = Script()
    script.errors["c0"] = errors.Unauthenticated("no key")
    with pytest.raises(errors.Unauthenticated) as caught:
        run(operations.upsert_contacts(Acme(script=script), [person(0), person(1), person(2)], []), fine)
    assert caught.value.__cause__ is None


def test_a_refused_contact_is_named_without_telling() -> None:
    script = Script()
    script.errors[""] = errors.Rejected("no such field")
    nameless = evolve(person(7), id="")
    outcome = run(operations.upsert_contacts(Acme(script=script), [nameless], []), fine)
    assert outcome.state is OutcomeState.FAILED
    assert "person7@" not in repr(outcome)


@pytest.mark.parametrize("timeout", [0, 0.2, 5, 100])
def test_waiting_never_takes_longer_than_it_may(timeout: float) -> None:
    script = Script()
    script.jobs = {"j1": [JobState.PENDING]}
    pending = Job(provider="acme", id="j1", operation="x", requested=1)
    slept: list[float] = []

    def answer(effect: Any) -> Any:
        if isinstance(effect, Sleep):
            slept.append(effect.seconds)

    with pytest.raises(errors.JobTimeout) as caught:
        run(operations.wait_for(Acme(script=script), pending, timeout), answer)
    assert sum(slept) == pytest.approx(timeout)
    assert caught.value.job == pending


# -- answers that hurt the reader -------------------------------------------------------------------------------------


class Leaf(UnknownFields):
    id: str


@pytest.mark.parametrize("type_", [Leaf, object, list[Leaf]])
def test_json_that_is_too_deep_is_unexpected(type_: Any) -> None:
    with pytest.raises(errors.UnexpectedPayload):
        payload_converter().structure(b"[" * 100_000, type_)


def test_a_broken_line_is_unexpected_and_its_value_is_not_repeated() -> None:
    with pytest.raises(errors.UnexpectedPayload) as caught:
        lines_decoder(Leaf)(b'{"id":"1"}\n{"id":["jane@example.com"]}\n')
    assert "$.id" in str(caught.value)
    assert "jane" not in str(caught.value)
