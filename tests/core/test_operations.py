"""The library's own flows, performed step by step without any I/O."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, ClassVar

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import F, Identifier, Query, RawQuery, errors, operations
from contacts_core.models import Contact, Count, FieldType, Job, JobState, Outcome, OutcomeState, Page, Strategy
from contacts_core.provider import (
    AddsToLists,
    Counts,
    DeletesAllContacts,
    DeletesContacts,
    Emit,
    Exports,
    FindsContacts,
    Flow,
    Gather,
    GetsContacts,
    NativeQuery,
    PartialResult,
    Provider,
    QueuesJobs,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    Settled,
    Sleep,
    Stream,
    UpsertsContacts,
    base_url_setting,
    flows,
)


def perform(flow: Generator[Any, Any, Any], answers: dict[str, Any] | None = None) -> tuple[Any, list[Any]]:
    """Run a flow; calls are answered by path, an exception is thrown in. Emitted items are gathered as its result."""
    answers, seen, emitted = answers or {}, list[Any](), list[Any]()
    answer: Any = None
    thrown: Exception | None = None
    try:
        while True:
            effect = flow.throw(thrown) if thrown else flow.send(answer)
            answer, thrown = None, None
            match effect:
                case Emit(items):
                    emitted.extend(items)
                case Gather(flows, _):
                    answer = []
                    stopped = False
                    for each in flows:
                        if stopped:
                            answer.append(Settled(started=False))
                            continue
                        try:
                            value, more = perform(each, answers)
                            answer.append(Settled(value))
                            seen.extend(more)
                        except errors.ContactsError as error:
                            answer.append(Settled(error=error))
                            stopped = not error.per_item
                case Request():
                    seen.append(effect.path)
                    answer = answers.get(effect.path)
                    if isinstance(answer, Exception):
                        thrown = answer
                case _:
                    seen.append(effect)
    except StopIteration as stop:
        return (emitted if emitted or stop.value is None else stop.value), seen


@frozen(kw_only=True)
class Fake(
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    Searches,
    FindsContacts,
    GetsContacts,
    Exports,
    UpsertsContacts,
    Counts,
    QueuesJobs,
):
    """Asks for paths that tell what it was asked."""

    name = "fake"
    delete_batch_size = 2
    find_batch_size = 2
    get_batch_size = 2
    member_batch_size = 2
    upsert_batch_size = 2
    export_includes_lists: ClassVar[bool] = False
    base_url: str = base_url_setting("https://fake.example")
    native: bool = True
    people: tuple[Contact, ...] = ()
    members: dict[str, tuple[str, ...]] = field(factory=dict)
    total: int = 0

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from Request("DELETE", f"/{','.join(ids)}", object)
        return Outcome(operation="delete_contacts", requested=len(ids), confirmed=tuple(ids))

    def delete_all_contacts(self) -> Flow[Outcome]:
        yield from Request("DELETE", "/everyone", object)
        return Outcome(operation="?", requested=1, processed=1)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from Request("DELETE", f"/{contact_id}/{identifier.value}", object)
        return Outcome(operation="?", requested=1, processed=1)

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from Request("DELETE", f"/{list_id}:{','.join(map(str, members))}", object)
        return Outcome(operation="remove_from_list", requested=len(members), processed=len(members))

    add_to_list = remove_from_list

    def translate(self, query: Query) -> NativeQuery | None:
        return NativeQuery("said") if self.native else None

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        yield from Request("GET", "/search", object)
        return PartialResult(self.people[:2], self.total or len(self.people[:2]))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        yield from Request("GET", "/find/" + ",".join(i.value for i in identifiers), object)
        return [(i, c) for i in identifiers for c in self.people if i in c.identifiers]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from Request("GET", "/get/" + ",".join(ids), object)
        return [c for c in self.people if c.id in ids]

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        yield from Request("GET", f"/export/{list_id}", object)
        chosen = self.people if list_id is None else [c for c in self.people if c.id in self.members.get(list_id, ())]
        yield Emit(chosen)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from Request("PUT", f"/{len(contacts)}", object)
        return Outcome(operation="upsert_contacts", requested=len(contacts), processed=len(contacts))

    def count(self) -> Flow[Count]:
        yield from Request("GET", "/count", object)
        return Count(250, "counter")

    def get_job(self, job: Job) -> Flow[Job]:
        state = yield from Request("GET", f"/job/{job.id}", object)
        return Job(provider="fake", id=job.id, state=JobState(state))


@frozen(kw_only=True)
class Nothing(Provider):
    """Can do nothing."""

    name = "nothing"
    base_url: str = base_url_setting("https://nothing.example")


def contact(number: int, **changes: Any) -> Contact:
    return Contact("fake", f"c{number}", (Identifier.email(f"p{number}@example.com"),), **changes)


PEOPLE = tuple(contact(n, first_name="A" if n % 2 else "B") for n in range(4))
FAKE = Fake(people=PEOPLE)


@given(st.lists(st.integers()), st.integers(1, 10))
def test_chunks_lose_nothing_and_are_full_but_the_last(items: list[int], size: int) -> None:
    parts = list(flows.chunks(items, size))
    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])
    assert all(parts)


def test_pauses_grow_up_to_the_longest() -> None:
    pauses = [pause for pause, _ in zip(flows.pauses(2.0), range(9), strict=False)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 2.0)
    assert next(flows.pauses(0.1)) == 0.1


def test_pages_are_gathered_to_the_last() -> None:
    pages = {None: Page([1, 2], "a"), "a": Page([], "b"), "b": Page([3])}

    def page(cursor: str | None) -> Flow[Page[int]]:
        yield from ()
        return pages[cursor]

    assert perform(flows.gather(page))[0] == [1, 2, 3]


class TestDeleting:
    def test_goes_out_in_batches_and_adds_up(self) -> None:
        outcome, seen = perform(operations.delete_contacts(FAKE, (f"c{n}" for n in range(5))))
        assert seen == ["/c0,c1", "/c2,c3", "/c4"]
        assert (outcome.requested, outcome.succeeded_count, outcome.state) == (5, 5, OutcomeState.DONE)

    def test_a_contact_named_twice_is_deleted_once(self) -> None:
        assert perform(operations.delete_contacts(FAKE, ["a", "a"]))[1] == ["/a"]

    def test_a_refused_chunk_is_a_failure_and_the_others_go_on(self) -> None:
        refusal = errors.Rejected("no such thing")
        outcome, _ = perform(operations.delete_contacts(FAKE, ["a", "b", "c"]), {"/a,b": refusal})
        assert outcome.state is OutcomeState.PARTIAL
        assert [failure.item for failure in outcome.failed] == ["a", "b"]
        assert outcome.confirmed == ("c",)

    def test_a_single_item_that_is_not_there_is_absent(self) -> None:
        outcome, _ = perform(operations.delete_contacts(FAKE, ["a", "b", "c"]), {"/c": errors.NotFound("gone")})
        assert (outcome.absent, outcome.state) == (("c",), OutcomeState.DONE)

    def test_a_fault_half_way_tells_what_is_done_unclear_and_unsent(self) -> None:
        fault = errors.Unavailable("out of order")
        with pytest.raises(errors.Interrupted) as raised:
            perform(operations.delete_contacts(FAKE, [f"c{n}" for n in range(8)]), {"/c2,c3": fault})
        assert raised.value.outcome.confirmed == ("c0", "c1")
        assert raised.value.uncertain == ("c2", "c3")
        assert raised.value.unsent == ("c4", "c5", "c6", "c7")
        assert raised.value.__cause__ is fault

    def test_what_was_surely_not_processed_is_unsent(self) -> None:
        with pytest.raises(errors.Interrupted) as raised:
            perform(operations.delete_contacts(FAKE, ["a", "b", "c"]), {"/c": errors.Unauthenticated("revoked")})
        assert (raised.value.uncertain, raised.value.unsent) == ((), ("c",))

    @pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]])
    def test_a_fault_before_anything_is_done_is_just_that(self, ids: list[str]) -> None:
        with pytest.raises(errors.Unauthenticated):
            perform(operations.delete_contacts(FAKE, ids), dict.fromkeys(["/a", "/a,b"], errors.Unauthenticated("no")))

    def test_everyone_wants_the_exact_name(self) -> None:
        outcome, seen = perform(operations.delete_all_contacts(FAKE, "mine", "mine"))
        assert (outcome.operation, seen) == ("delete_all_contacts", ["/everyone"])
        for wrong in ("", "yes", "Mine", FAKE.name, "min"):
            with pytest.raises(errors.InvalidInput, match="nothing was sent") as raised:
                perform(operations.delete_all_contacts(FAKE, wrong, "mine"))
            assert "confirm='mine'" in raised.value.hint

    def test_a_blank_identifier_is_refused(self) -> None:
        with pytest.raises(errors.InvalidInput):
            perform(operations.remove_identifier(FAKE, "a", Identifier.email(" ")))


class TestLists:
    def test_identifiers_become_the_ids_of_everyone_who_has_them(self) -> None:
        shared = Identifier.email("shared@example.com")
        people = tuple(Contact("fake", name, (shared,)) for name in ("x", "y"))
        unknown = Identifier.email("nobody@example.com")
        outcome, seen = perform(
            operations.remove_from_list(Fake(people=people), "l", ["a", shared, shared, unknown, Identifier.email("")])
        )
        assert seen == ["/find/shared@example.com,nobody@example.com", "/l:a,x", "/l:y"]
        assert (outcome.requested, outcome.succeeded_count, outcome.absent) == (5, 3, ("nobody@example.com",))
        assert len(outcome.failed) == 1

    def test_a_list_that_is_no_id_is_refused(self) -> None:
        with pytest.raises(errors.InvalidInput):
            perform(operations.add_to_list(FAKE, "../x", ["a"]))


class TestSearching:
    def test_the_vendors_answer_is_filtered_by_the_meaning(self) -> None:
        found, seen = perform(operations.search(FAKE, F.first_name == "A", scan=False))
        assert ([c.id for c in found], seen) == (["c1"], ["/search"])

    def test_a_native_query_is_taken_as_the_vendor_answers_it(self) -> None:
        found, _ = perform(operations.search(FAKE, RawQuery("x"), scan=False))
        assert [c.id for c in found] == ["c0", "c1"]

    def test_a_sample_raises_or_leads_to_a_scan(self) -> None:
        sampled = Fake(people=PEOPLE, total=4)
        with pytest.raises(errors.IncompleteSearch) as raised:
            perform(operations.search(sampled, F.first_name == "A", scan=False))
        assert ([c.id for c in raised.value.found], raised.value.total) == (["c1"], 4)
        found, seen = perform(operations.search(sampled, F.first_name == "A", scan=True))
        assert ([c.id for c in found], seen) == (["c1", "c3"], ["/search", "/export/None"])
        with pytest.raises(errors.IncompleteSearch):
            perform(operations.search(sampled, RawQuery("x"), scan=True))

    def test_what_the_vendor_cannot_say_is_scanned(self) -> None:
        found, seen = perform(operations.search(Fake(native=False, people=PEOPLE), F.first_name == "B", scan=False))
        assert ([c.id for c in found], seen) == (["c0", "c2"], ["/export/None"])

    def test_a_native_query_where_there_is_no_language_is_refused(self) -> None:
        with pytest.raises(errors.UnsupportedOperation):
            perform(operations.search(Fake(native=False), RawQuery("x"), scan=True))

    def test_lists_that_contacts_do_not_tell_are_read(self) -> None:
        fake = Fake(native=False, people=PEOPLE, members={"l": ("c0", "c1")})
        found, seen = perform(operations.search(fake, (F.list == "l") & (F.first_name == "A"), scan=True))
        assert [c.id for c in found] == ["c1"]
        assert found[0].lists is None, "the contact is given as it was read"
        assert seen == ["/export/l", "/export/None"]
        found, _ = perform(operations.search(fake, ~(F.list == "l"), scan=True))
        assert [c.id for c in found] == ["c2", "c3"]
        with pytest.raises(errors.UnsupportedOperation):
            perform(operations.search(fake, F.list.startswith("l"), scan=True))

    def test_explaining(self) -> None:
        explained, seen = perform(operations.explain(FAKE, F.first_name == "A"))
        assert (explained.strategy, explained.requests, explained.text, seen) == (Strategy.NATIVE, 1, "said", [])
        explained, seen = perform(operations.explain(Fake(native=False), F.first_name == "A"))
        assert (explained.strategy, explained.requests, seen) == (Strategy.SCAN, 3, ["/count"])


class TestReading:
    def test_several_lists_give_each_contact_once(self) -> None:
        fake = Fake(people=PEOPLE, members={"l": ("c0", "c1"), "m": ("c1", "c2")})
        found, seen = perform(operations.export(fake, ["l", "m", "l"]))
        assert ([c.id for c in found], seen) == (["c0", "c1", "c2"], ["/export/l", "/export/m"])
        with pytest.raises(errors.InvalidInput):
            perform(operations.export(fake, [" "]))

    def test_identifiers_are_looked_up_by_kind_and_in_batches(self) -> None:
        wanted = [
            Identifier.phone("+12025550100"),
            *(Identifier.email(f"p{n}@example.com") for n in range(3)),
            Identifier.other("k", "v"),
            Identifier.email(" "),
        ]
        found, seen = perform(operations.find(FAKE, wanted))
        emails = ["/find/p0@example.com,p1@example.com", "/find/p2@example.com"]
        assert sorted(seen) == ["/find/+12025550100", *emails, "/find/v"]
        assert [found[i] and found[i].id for i in wanted[:-1]] == [None, "c0", "c1", "c2", None]
        assert found.unasked == {wanted[-1]: "the identifier is blank"}
        assert wanted[-1] not in found

    def test_ids_are_read_in_batches(self) -> None:
        got, seen = perform(operations.get_contacts(FAKE, ["c0", "c9", "c1", "c0"]))
        assert ([key for key, value in got.items() if value], seen) == (["c0", "c1"], ["/get/c0,c9", "/get/c1"])

    def test_the_first_error_of_reading_ends_it(self) -> None:
        with pytest.raises(errors.Rejected):
            perform(operations.get_contacts(FAKE, ["c0", "c1", "c2"]), {"/get/c2": errors.Rejected("no")})


class TestJobs:
    def test_waiting_asks_until_the_vendor_is_finished(self) -> None:
        states = iter(["pending", "pending", "done"])

        class Slow(Fake):
            def get_job(self, job: Job) -> Flow[Job]:
                yield from ()
                return Job(provider="fake", id=job.id, state=JobState(next(states)))

        outcome = Outcome(
            operation="delete_contacts",
            provider="fake",
            requested=1,
            jobs=(Job(provider="fake", id="1", operation="delete_contacts", requested=1),),
        )
        finished, seen = perform(operations.wait_for(Slow(), outcome, 60))
        assert finished.state is OutcomeState.DONE
        assert [type(each) for each in seen] == [Sleep] * 3

    def test_waiting_ends_at_the_timeout_with_the_job(self) -> None:
        job = Job(provider="fake", id="1")
        with pytest.raises(errors.JobTimeout) as raised:
            perform(operations.wait_for(FAKE, job, 5), {"/job/1": "pending"})
        assert raised.value.job == job

    def test_what_has_no_open_job_is_not_waited_for(self) -> None:
        done = Outcome(operation="x", requested=1, processed=1)
        assert perform(operations.wait_for(Nothing(), done, 5)) == (done, [])

    def test_a_job_is_asked_for_by_its_bare_id_too(self) -> None:
        assert perform(operations.get_job(FAKE, "7"), {"/job/7": "done"})[0].state is JobState.DONE
        with pytest.raises(errors.InvalidInput):
            perform(operations.get_job(FAKE, Job(provider="other", id="7")))
        with pytest.raises(errors.InvalidInput):
            perform(operations.get_job(FAKE, "../7"))


def test_writing_goes_out_in_batches() -> None:
    outcome, seen = perform(operations.upsert_contacts(FAKE, (contact(n) for n in range(11)), []))
    assert sum(int(path[1:]) for path in seen) == 11
    assert max(int(path[1:]) for path in seen) == 2
    assert outcome.succeeded_count == 11


def test_outcomes_of_many_batches_are_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    merge = Outcome.merge

    def noted(operation: str, provider: str, parts: Iterable[Outcome]) -> Outcome:
        total = merge(operation, provider, parts)
        added.append(total.requested)
        return total

    monkeypatch.setattr(Outcome, "merge", noted)
    outcome, _ = perform(operations.upsert_contacts(FAKE, (contact(n) for n in range(400)), []))
    assert outcome.requested == 400
    assert sum(added) <= 3 * 400


def test_a_fault_in_a_later_batch_tells_of_all_batches() -> None:
    people = [contact(n) for n in range(11)]
    for fault, uncertain in [(errors.Unavailable("down"), people[8:10]), (errors.Unauthenticated("no"), [])]:
        with pytest.raises(errors.Interrupted) as raised:
            perform(_failing_after(people, 4, fault))
        assert raised.value.outcome.succeeded_count == 8
        assert list(raised.value.uncertain) == uncertain
        assert list(raised.value.unsent) == people[8 + len(uncertain) :]


def test_contacts_not_yet_taken_from_an_iterator_stay_there() -> None:
    people = iter([contact(n) for n in range(30)])
    with pytest.raises(errors.Interrupted) as raised:
        perform(_failing_after(people, 4, errors.Unauthenticated("no")))
    taken = raised.value.outcome.succeeded_count + len(raised.value.unsent)
    assert taken + len(list(people)) == 30


def _failing_after(people: Any, calls: int, fault: Exception) -> Generator[Any, Any, Any]:
    """Write, with a fault instead of an answer from some call on."""
    left = [calls]

    class Failing(Fake):
        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            left[0] -= 1
            if left[0] < 0:
                raise fault
            return (yield from super().upsert_contacts(contacts, lists))

    return operations.upsert_contacts(Failing(), people, [])


def test_what_is_not_declared_is_refused_before_anything_is_asked() -> None:
    nothing = Nothing()
    identifier = Identifier.email("a@example.com")
    flows: list[Generator[Any, Any, Any]] = [
        operations.delete_contacts(nothing, ["a"]),
        operations.delete_all_contacts(nothing, "nothing", "nothing"),
        operations.remove_identifier(nothing, "a", identifier),
        operations.remove_from_list(nothing, "l", ["a"]),
        operations.add_to_list(nothing, "l", ["a"]),
        operations.search(nothing, F.email == "a", scan=True),
        operations.explain(nothing, F.email == "a"),
        operations.export(nothing, []),
        operations.get_contacts(nothing, ["a"]),
        operations.find(nothing, [identifier]),
        operations.count(nothing),
        operations.lists(nothing),
        operations.create_list(nothing, "x"),
        operations.ensure_list(nothing, "x"),
        operations.change_contact(nothing, "a", {"title": "x"}),
        operations.create_custom_field(nothing, "x", FieldType.TEXT),
        operations.delete_list(nothing, "x"),
        operations.custom_fields(nothing),
        operations.upsert_contacts(nothing, [contact(1)], []),
        operations.get_job(nothing, "1"),
    ]
    for flow in flows:
        with pytest.raises(errors.UnsupportedOperation, match="nothing cannot") as raised:
            next(flow)
        assert raised.value.hint


def test_a_bare_text_is_never_taken_for_several() -> None:
    for flow in (
        operations.delete_contacts(FAKE, "abc"),
        operations.remove_from_list(FAKE, "l", "abc"),
        operations.get_contacts(FAKE, "abc"),
        operations.export(FAKE, "abc"),
        operations.upsert_contacts(FAKE, [], "abc"),
    ):
        with pytest.raises(errors.InvalidInput, match="expected a list of ids, got a str"):
            perform(flow)


def test_a_bare_text_is_not_several_values() -> None:
    with pytest.raises(errors.InvalidInput, match="expected a list of values, got a str"):
        F.tag.in_("vip")


def test_streams_pass_errors_on_and_close_what_they_wrap() -> None:
    closed: list[str] = []

    def inner() -> Stream[int]:
        try:
            yield Emit([1, 2])
            try:
                yield from Request("GET", "/x", object)
            except errors.NotFound:
                yield Emit([3])
        finally:
            closed.append("inner")

    found, _ = perform(flows.through(inner(), lambda items: [i for i in items if i != 2]), {"/x": errors.NotFound("")})
    assert (found, closed) == ([1, 3], ["inner"])
    kept: list[int] = []
    perform(flows.drain(inner(), kept.extend), {"/x": errors.NotFound("")})
    assert kept == [1, 2, 3]
    left = flows.through(inner(), list)
    next(left)
    left.close()
    assert closed == ["inner"] * 3
