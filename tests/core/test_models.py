"""Models: outcomes claim no more than the vendor said, and nothing shows what is personal or secret."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from cattrs.preconf.json import make_converter
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.models import (
    Address,
    Contact,
    ContactList,
    Count,
    Explanation,
    Failure,
    FieldDefinition,
    FieldType,
    Found,
    Identifier,
    IdentifierKind,
    Job,
    JobState,
    Outcome,
    OutcomeState,
    Page,
    Strategy,
)
from contacts_core.provider import queued

ACCEPTED, DONE, PARTIAL, FAILED = (
    OutcomeState.ACCEPTED,
    OutcomeState.DONE,
    OutcomeState.PARTIAL,
    OutcomeState.FAILED,
)
WHEN = datetime(2025, 11, 18, 14, 50, tzinfo=UTC)


def job(state: JobState, requested: int = 2, succeeded: int | None = None, failed: int | None = None) -> Job:
    return Job(
        provider="acme",
        id=f"j-{state.value}",
        operation="delete_contacts",
        state=state,
        requested=requested,
        succeeded=succeeded,
        failed=failed,
    )


def outcome(requested: int, **fields: Any) -> Outcome:
    return Outcome(operation="delete_contacts", provider="acme", requested=requested, **fields)


F1, F2 = Failure("a", "no"), Failure("b", "no")


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (outcome(0), DONE),
        (outcome(2, confirmed=("a", "b")), DONE),
        (outcome(2, processed=2), DONE),
        (outcome(2, confirmed=("a",), processed=1), DONE),
        (outcome(2, absent=("a", "b")), DONE),
        (outcome(2, confirmed=("a",), absent=("b",)), DONE),
        (outcome(2, processed=3), DONE),
        (outcome(2, jobs=(job(JobState.PENDING),)), ACCEPTED),
        (outcome(4, confirmed=("a", "b"), jobs=(job(JobState.PENDING),)), ACCEPTED),
        (outcome(4, failed=(F1, F2), jobs=(job(JobState.PENDING),)), ACCEPTED),
        (outcome(4, jobs=(job(JobState.FAILED), job(JobState.PENDING))), ACCEPTED),
        (outcome(2, jobs=(job(JobState.DONE),)), DONE),
        (outcome(2, jobs=(job(JobState.DONE, succeeded=2),)), DONE),
        (outcome(2, jobs=(job(JobState.DONE, succeeded=1),)), PARTIAL),
        (outcome(2, jobs=(job(JobState.DONE, succeeded=1, failed=1),)), PARTIAL),
        (outcome(2, jobs=(job(JobState.DONE, succeeded=0, failed=2),)), FAILED),
        (outcome(2, jobs=(job(JobState.DONE, failed=1),)), PARTIAL),
        (outcome(4, jobs=(job(JobState.DONE),)), PARTIAL),
        (outcome(4, jobs=(job(JobState.DONE), job(JobState.DONE))), DONE),
        (outcome(2, processed=1), PARTIAL),
        (outcome(2), PARTIAL),
        (outcome(2, confirmed=("a",), failed=(F2,)), PARTIAL),
        (outcome(2, absent=("a",), failed=(F2,)), PARTIAL),
        (outcome(2, failed=(F1,)), PARTIAL),
        (outcome(2, failed=(F1, F2)), FAILED),
        (outcome(2, jobs=(job(JobState.PARTIAL),)), PARTIAL),
        (outcome(2, jobs=(job(JobState.PARTIAL, failed=2),)), PARTIAL),
        (outcome(2, jobs=(job(JobState.FAILED),)), FAILED),
        (outcome(4, jobs=(job(JobState.FAILED), job(JobState.FAILED))), FAILED),
        (outcome(4, confirmed=("a", "b"), jobs=(job(JobState.FAILED),)), PARTIAL),
        (outcome(4, jobs=(job(JobState.FAILED), job(JobState.DONE, succeeded=2))), PARTIAL),
        (outcome(4, jobs=(job(JobState.FAILED), job(JobState.DONE))), PARTIAL),
        (outcome(4, jobs=(job(JobState.FAILED), job(JobState.PARTIAL))), PARTIAL),
        (outcome(2, jobs=(job(JobState.UNKNOWN),)), PARTIAL),
        (outcome(4, confirmed=("a", "b"), jobs=(job(JobState.UNKNOWN),)), PARTIAL),
        (outcome(4, jobs=(job(JobState.UNKNOWN), job(JobState.FAILED))), PARTIAL),
    ],
)
def test_the_state_of_an_outcome_follows_from_what_the_vendor_said(what: Outcome, state: OutcomeState) -> None:
    assert what.state is state


def test_the_numbers_of_an_outcome_add_items_and_jobs() -> None:
    what = outcome(
        12,
        confirmed=("a", "b"),
        processed=1,
        absent=("c",),
        failed=(F1,),
        jobs=(job(JobState.DONE, succeeded=3, failed=1), job(JobState.PENDING)),
    )
    assert (what.succeeded_count, what.failed_count, what.unconfirmed) == (6, 2, 3)
    assert [each.state for each in what.pending] == [JobState.PENDING]


def test_unconfirmed_is_never_negative() -> None:
    assert outcome(1, processed=5).unconfirmed == 0


def test_a_job_that_gave_no_count_is_taken_at_its_word_but_stays_unconfirmed() -> None:
    what = outcome(2, jobs=(job(JobState.DONE),))
    assert what.state is DONE
    assert what.unconfirmed == 2


OUTCOMES = st.builds(
    Outcome,
    operation=st.just("delete_contacts"),
    requested=st.integers(0, 9),
    confirmed=st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    processed=st.integers(0, 3),
    absent=st.lists(st.sampled_from("def"), max_size=3).map(tuple),
    failed=st.lists(st.just(F1), max_size=2).map(tuple),
    jobs=st.lists(
        st.builds(
            job, st.sampled_from(JobState), st.integers(0, 3), st.none() | st.integers(0, 3), st.none() | st.just(1)
        ),
        max_size=2,
    ).map(tuple),
    dropped_fields=st.lists(st.sampled_from(("title", "tags")), max_size=2, unique=True).map(tuple),
    emulated=st.booleans(),
)


@settings(max_examples=100)
@given(st.lists(OUTCOMES, max_size=5))
def test_a_total_is_the_sum_of_its_parts(parts: list[Outcome]) -> None:
    total = Outcome.merge("delete_contacts", "acme", parts)
    assert total.provider == "acme"
    assert total.requested == sum(part.requested for part in parts)
    assert total.succeeded_count == sum(part.succeeded_count for part in parts)
    assert total.failed_count == sum(part.failed_count for part in parts)
    assert len(total.absent) == sum(len(part.absent) for part in parts)
    assert total.jobs == tuple(each for part in parts for each in part.jobs)
    assert set(total.dropped_fields) == {name for part in parts for name in part.dropped_fields}
    assert len(total.dropped_fields) == len(set(total.dropped_fields))
    assert total.emulated is any(part.emulated for part in parts)
    if any(part.state is ACCEPTED for part in parts):
        assert total.state is ACCEPTED


@settings(max_examples=100)
@given(st.lists(OUTCOMES, max_size=4), st.integers(0, 4))
def test_totals_of_totals_are_totals(parts: list[Outcome], cut: int) -> None:
    halves = [Outcome.merge("x", "acme", parts[:cut]), Outcome.merge("x", "acme", parts[cut:])]
    assert Outcome.merge("x", "acme", halves) == Outcome.merge("x", "acme", parts)


def test_a_queued_outcome_knows_its_job_and_nothing_more() -> None:
    outcome = queued(job(JobState.PENDING, 7))
    assert (outcome.requested, outcome.succeeded_count) == (7, 0)
    assert outcome.state is ACCEPTED
    assert outcome.with_jobs([job(JobState.DONE, 7, 7)]).state is DONE


def test_only_a_pending_job_is_unfinished() -> None:
    assert {state for state in JobState if not job(state).finished} == {JobState.PENDING}


def test_a_job_goes_through_json_and_comes_back_equal() -> None:
    converter = make_converter()
    whole = Job(
        provider="acme",
        id="j1",
        operation="export",
        state=JobState.PARTIAL,
        requested=5,
        succeeded=3,
        failed=2,
        counts={"updated": 3},
        created_at=WHEN,
        finished_at=WHEN,
        expires_at=None,
        errors_url="https://files.example.com/e?sig=1",
        files=("https://files.example.com/f?sig=2",),
        detail="two were refused",
    )
    assert converter.loads(converter.dumps(whole), Job) == whole


CONTACT = Contact(
    provider="acme",
    id="c1",
    identifiers=(
        Identifier.email("other@example.com"),
        Identifier(IdentifierKind.EMAIL, "Jane@example.com", primary=True),
        Identifier.phone("(202) 555-0143", "+1"),
    ),
    first_name="Jane",
    last_name="Smith",
    address=Address(line1="1 Main St"),
    custom={"score": 1},
)
FROZEN = [
    (Address(), "city"),
    (CONTACT, "id"),
    (ContactList("acme", "l", "n"), "name"),
    (FieldDefinition("acme", "f", "n", FieldType.TEXT), "name"),
    (Page(()), "next"),
    (job(JobState.DONE), "state"),
    (F1, "reason"),
    (outcome(1), "requested"),
    (Found({}), "matches"),
    (Explanation(Strategy.SCAN, 1), "requests"),
    (Identifier.email("a@example.com"), "value"),
]


@pytest.mark.parametrize(("model", "name"), FROZEN, ids=lambda value: type(value).__name__)
def test_models_cannot_be_changed(model: Any, name: str) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, name, "other")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(model, name)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        model.brand_new = 1


@pytest.mark.parametrize("model", [model for model, _ in FROZEN], ids=lambda value: type(value).__name__)
def test_models_can_be_copied_and_pickled(model: Any) -> None:
    assert pickle.loads(pickle.dumps(model)) == model  # noqa: S301 - our own
    assert copy.copy(model) == model
    assert copy.deepcopy(model) == model


def test_nothing_shown_holds_personal_data_or_signed_addresses() -> None:
    secret = "https://files.example.com/f?signature=abc"
    shown = repr(
        [
            CONTACT,
            CONTACT.address,
            Outcome(operation="x", deleted=(CONTACT,), confirmed=("Jane@example.com",), absent=("Jane@example.com",)),
            Failure("Jane@example.com", "no"),
            Found({Identifier.email("Jane@example.com"): (CONTACT,)}),
            Job(provider="acme", id="j1", errors_url=secret, files=(secret,)),
            ContactList("acme", "l", "News", extra={"owner": "Jane@example.com"}),
        ]
    )
    for personal in ("Jane@", "jane@", "Smith", "5550143", "Main St", "signature"):
        assert personal not in shown
    assert "c1" in shown


def test_a_contact_shows_who_it_is_without_telling() -> None:
    assert repr(CONTACT) == ("Contact(acme c1: email:o***@example.com, email:j***@example.com, phone:+1***43)")
    assert repr(Contact()) == "Contact(- -: no identifier)"


def test_the_primary_identifier_is_the_marked_one_else_the_first() -> None:
    assert CONTACT.email == "Jane@example.com"
    assert CONTACT.phone == "+12025550143"
    assert CONTACT.primary(IdentifierKind.EXTERNAL_ID) is None
    assert [each.value for each in CONTACT.identifiers_of(IdentifierKind.EMAIL)] == [
        "other@example.com",
        "Jane@example.com",
    ]
    assert Contact().email is None
    assert Contact().phone is None


def test_the_name_is_the_full_one_else_first_and_last() -> None:
    assert CONTACT.name == "Jane Smith"
    assert attrs.evolve(CONTACT, full_name="Dr Jane Smith").name == "Dr Jane Smith"
    assert Contact(last_name="Smith").name == "Smith"
    assert Contact().name == ""


def test_found_tells_first_every_and_nobody() -> None:
    jane, nobody = Identifier.email("jane@example.com"), Identifier.email("nobody@example.com")
    found = Found({jane: (CONTACT, Contact(id="c2")), nobody: ()})
    assert found[jane] is CONTACT
    assert [contact.id for contact in found.get_all(jane)] == ["c1", "c2"]
    assert found[nobody] is None
    assert list(found) == [jane, nobody]
    assert len(found) == 2
    assert repr(found) == "Found(1 of 2)"
    with pytest.raises(KeyError):
        found[Identifier.email("unasked@example.com")]


def test_a_count_is_a_number_that_knows_how_it_was_had() -> None:
    count = Count(3, "counter")
    assert count == 3
    assert count + 1 == 4
    assert count.source == "counter"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda count: pickle.loads(pickle.dumps(count))])  # noqa: S301
def test_a_count_survives_copying_and_pickling(again: Any) -> None:
    count = again(Count(3, "paged"))
    assert (count, count.source) == (3, "paged")
