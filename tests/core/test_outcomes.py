"""What a provider says of a change, and what the core makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from attrs import field, frozen

from contacts_core import Contact, Contacts, Failure, Identifier, Job, JobState, Outcome, OutcomeState, errors
from contacts_core.models import Page
from contacts_core.provider import (
    AddsToLists,
    DeletesAllContactsById,
    DeletesLists,
    ExportsPages,
    Flow,
    QueuesJobs,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    absent,
    base_url_setting,
    combined,
    done,
    failed,
    queued,
    unconfirmed,
)

Say = Callable[[Sequence[str]], Outcome]
IDENTIFIER = Identifier.email("jane@example.com")


@frozen(kw_only=True)
class Scripted(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    DeletesLists,
    UpsertsContacts,
    QueuesJobs,
    ExportsPages,
):
    """Says of every change what the test wants it to say."""

    name = "scripted"
    delete_batch_size = member_batch_size = upsert_batch_size = 3
    read_modify_write = (RemovesFromLists,)
    base_url: str = base_url_setting("http://localhost")
    say: Say = field(repr=False)
    ids: tuple[str, ...] = ()

    def _said(self, items: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return self.say(items)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return self._said(ids)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        return self._said([identifier.value])

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return self._said([str(member) for member in members])

    add_to_list = remove_from_list

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        return self._said([list_id])

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return self._said([f"new-{contact.identifiers[0].value}" for contact in contacts])

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        return Page([Contact(self.name, id) for id in self.ids])

    def get_job(self, job: Job) -> Flow[Job]:
        yield from ()
        return Job(provider="another", id=job.id, operation="another", state=JobState.DONE, requested=99)


def client(say: Say, **settings: Any) -> Contacts[Scripted]:
    return Contacts(Scripted(say=say, **settings))


PEOPLE = [Contact("", "", (Identifier.email(f"p{number}@example.com"),)) for number in range(4)]
CHANGES: dict[str, tuple[Callable[[Contacts[Any]], Outcome], int]] = {
    "delete_contacts": (lambda client: client.delete_contacts(["a", "b", "c", "d"]), 4),
    "remove_identifier": (lambda client: client.remove_identifier("a", IDENTIFIER), 1),
    "remove_from_list": (lambda client: client.remove_from_list("l", ["a", "b", "c", "d"]), 4),
    "add_to_list": (lambda client: client.add_to_list("l", ["a", "b", "c", "d"]), 4),
    "delete_list": (lambda client: client.delete_list("l"), 1),
    "upsert_contacts": (lambda client: client.upsert_contacts(PEOPLE), 4),
}


def _queued(job: Job | str, _: Sequence[str]) -> Outcome:
    return queued(job)


def wrong(items: Sequence[str]) -> Outcome:
    return Outcome(operation="another", provider="another", requested=77, confirmed=tuple(items), emulated=True)


@pytest.mark.parametrize("operation", CHANGES)
def test_a_provider_cannot_get_operation_provider_and_requested_wrong(operation: str) -> None:
    change, count = CHANGES[operation]
    outcome = change(client(wrong))
    assert (outcome.operation, outcome.provider, outcome.requested) == (operation, "scripted", count)
    assert (len(outcome.confirmed), outcome.state) == (count, OutcomeState.DONE)
    assert outcome.emulated is (operation == "remove_from_list")


@pytest.mark.parametrize("operation", CHANGES)
def test_a_job_is_completed_with_what_the_caller_asked_for(operation: str) -> None:
    change, count = CHANGES[operation]
    jobs: list[Job | str] = ["j1", Job(provider="another", id="j1", operation="another", requested=77)]
    for queued_job in jobs:
        outcome = change(client(partial(_queued, queued_job)))
        assert {(job.provider, job.operation) for job in outcome.jobs} == {("scripted", operation)}
        assert sum(job.requested for job in outcome.jobs) == outcome.requested == count
        assert (outcome.state, outcome.unconfirmed) == (OutcomeState.ACCEPTED, count)


def test_a_job_holds_the_items_that_nothing_else_is_said_of() -> None:
    outcome = client(lambda ids: combined([absent(ids[0]), failed(ids[1], "no"), queued("j1")])).delete_contacts(
        ["a", "b", "c"]
    )
    assert [job.requested for job in outcome.jobs] == [1]
    assert (outcome.absent, outcome.failed, outcome.requested) == (("a",), (Failure("b", "no"),), 3)


def test_a_job_holds_no_more_items_than_the_provider_says() -> None:
    scripted = client(lambda _: combined([queued("j1", 1), unconfirmed(2)]))
    outcome = scripted.delete_contacts(["a", "b", "c"])
    assert [job.requested for job in outcome.jobs] == [1]
    ended = outcome.with_jobs(map(scripted.get_job, outcome.jobs))
    assert (ended.requested, ended.unconfirmed, ended.state) == (3, 3, OutcomeState.PARTIAL)


@pytest.mark.parametrize("operation", CHANGES)
def test_what_is_accepted_without_a_word_is_unconfirmed(operation: str) -> None:
    change, count = CHANGES[operation]
    outcome = change(client(lambda _: unconfirmed()))
    assert (outcome.requested, outcome.unconfirmed, outcome.state) == (count, count, OutcomeState.PARTIAL)


@pytest.mark.parametrize("operation", [name for name in CHANGES if name != "upsert_contacts"])
@pytest.mark.parametrize("say", [done, absent, lambda items: failed(items, "no")], ids=["done", "absent", "failed"])
def test_what_is_said_of_items_that_were_not_asked_for_is_dropped(operation: str, say: Say) -> None:
    change, count = CHANGES[operation]
    outcome = change(client(lambda items: say(["x", *items[1:], *items[1:], "y"])))
    said = [*outcome.confirmed, *outcome.absent, *(failure.item for failure in outcome.failed)]
    assert not {"x", "y"} & set(said)
    assert len(said) == len(set(said)) < count
    assert outcome.unconfirmed == count - len(said)


@pytest.mark.parametrize("refused", [0, 1])
def test_no_more_contacts_are_written_than_were_given(refused: int) -> None:
    said = combined([failed(["x"] * refused, "no"), done(["1", "2"]), done(["3", "4", "5"])])
    outcome = client(lambda _: said).upsert_contacts(PEOPLE[:2])
    assert (outcome.requested, outcome.succeeded_count, outcome.failed_count) == (2, 2 - refused, refused)
    assert outcome.state is (OutcomeState.PARTIAL if refused else OutcomeState.DONE)


def test_copies_of_contacts_that_were_not_asked_for_are_dropped() -> None:
    copies = [Contact("scripted", id) for id in ("x", "a", "a", "b")]
    outcome = client(lambda ids: done(ids, deleted=copies)).delete_contacts(["a", "b"])
    assert [contact.id for contact in outcome.deleted] == ["a", "b"]


@pytest.mark.parametrize("operation", CHANGES)
def test_no_more_items_are_processed_than_were_asked_for(operation: str) -> None:
    change, count = CHANGES[operation]
    outcome = change(client(lambda _: Outcome(processed=1000)))
    assert (outcome.succeeded_count, outcome.unconfirmed) == (count, 0)


def test_all_contacts_are_counted_by_the_core_where_it_deletes_them_one_by_one() -> None:
    ids = tuple(f"c{number}" for number in range(7))
    outcome = client(lambda _: queued("j"), ids=ids).delete_all_contacts(confirm="scripted")
    assert (outcome.operation, outcome.provider, outcome.requested) == ("delete_all_contacts", "scripted", 7)
    assert [(job.operation, job.requested) for job in outcome.jobs] == [
        ("delete_all_contacts", 3),
        ("delete_all_contacts", 3),
        ("delete_all_contacts", 1),
    ]
    lied = client(lambda _: done(["x", "y", "z", "z", "z"]), ids=ids).delete_all_contacts(confirm="scripted")
    assert (lied.requested, lied.succeeded_count) == (7, 0)


@frozen(kw_only=True)
class AtOnce(Scripted):
    def delete_all_contacts(self) -> Flow[Outcome]:
        return self._said([])


@pytest.mark.parametrize(
    ("say", "state"),
    [(lambda _: unconfirmed(), OutcomeState.PARTIAL), (done, OutcomeState.DONE)],
    ids=["silent", "none"],
)
def test_the_deletion_of_all_contacts_is_not_done_where_nothing_is_said_of_it(say: Say, state: OutcomeState) -> None:
    outcome = Contacts(AtOnce(say=say)).delete_all_contacts(confirm="scripted")
    assert (outcome.state, outcome.succeeded_count) == (state, 0)


def test_a_job_that_was_read_again_is_still_the_callers() -> None:
    known = Job(provider="scripted", id="j", operation="delete_contacts", requested=3)
    job = client(done).get_job(known)
    assert (job.provider, job.operation, job.requested) == ("scripted", "delete_contacts", 3)


def test_the_outcome_of_an_interruption_inside_a_provider_is_completed() -> None:
    def stopped(_: Sequence[str]) -> Outcome:
        raise errors.Interrupted(Outcome(requested=1, confirmed=("a",)), ["b"], ["c"], "cut")

    for change in (CHANGES["delete_contacts"][0], CHANGES["remove_from_list"][0], CHANGES["upsert_contacts"][0]):
        with pytest.raises(errors.Interrupted) as caught:
            change(client(stopped))
        outcome = caught.value.outcome
        assert (outcome.provider, bool(outcome.operation)) == ("scripted", True)
        assert str(caught.value).startswith(f"{outcome.operation} stopped: ")


@pytest.mark.parametrize("operation", CHANGES)
def test_jobs_of_an_interruption_inside_a_provider_are_the_callers(operation: str) -> None:
    def stopped(_: Sequence[str]) -> Outcome:
        raise errors.Interrupted(queued(Job(provider="another", id="j1", operation="another")), ["b"], ["c"], "cut")

    scripted = client(stopped)
    with pytest.raises(errors.Interrupted) as caught:
        CHANGES[operation][0](scripted)
    jobs = caught.value.outcome.jobs
    assert {(job.provider, job.operation, job.id) for job in jobs} == {("scripted", operation, "j1")}
    assert [job.state for job in map(scripted.get_job, jobs)] == [JobState.DONE] * len(jobs)


@pytest.mark.parametrize("operation", [name for name in CHANGES if name != "upsert_contacts"])
@pytest.mark.parametrize("say", [done, absent, lambda items: failed(items, "no")], ids=["done", "absent", "failed"])
def test_an_interruption_says_nothing_of_items_that_were_not_asked_for(operation: str, say: Say) -> None:
    def stopped(items: Sequence[str]) -> Outcome:
        raise errors.Interrupted(say(["x", *items[:1], *items[:1], "y"]), items[1:], [], "cut")

    with pytest.raises(errors.Interrupted) as caught:
        CHANGES[operation][0](client(stopped))
    outcome = caught.value.outcome
    said = [*outcome.confirmed, *outcome.absent, *(failure.item for failure in outcome.failed)]
    assert said
    assert not {"x", "y"} & set(said)
    assert len(said) == len(set(said))


def test_one_item_may_be_named_by_itself() -> None:
    assert done("abc") == done(["abc"]) == Outcome(requested=1, confirmed=("abc",))
    assert absent("abc") == Outcome(requested=1, absent=("abc",))
    assert failed("abc", "no").failed == (Failure("abc", "no"),)
    assert done(iter("ab"), dropped_fields={"z", "a"}).dropped_fields == ("a", "z")
