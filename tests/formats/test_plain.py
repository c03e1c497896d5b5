"""Models as plain data, and back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from attrs import asdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.formats import contact_from_plain, job_from_plain, plain
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
    Strategy,
)

TEXT = st.text(max_size=20)
NAME = st.none() | TEXT
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
IDENTIFIERS = st.builds(
    Identifier,
    kind=st.sampled_from(IdentifierKind),
    value=TEXT,
    primary=st.booleans(),
    label=TEXT,
    key=TEXT,
    country_code=TEXT,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXT, of, max_size=3), max_leaves=6)
CONTACTS = st.builds(
    Contact,
    provider=TEXT,
    id=TEXT,
    identifiers=st.lists(IDENTIFIERS, max_size=4).map(tuple),
    first_name=NAME,
    last_name=NAME,
    full_name=NAME,
    address=st.none() | st.builds(Address, line1=TEXT, city=TEXT, formatted=TEXT),
    organization=NAME,
    title=NAME,
    lists=st.none() | st.lists(TEXT, max_size=3).map(tuple),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    custom=st.dictionaries(TEXT, SCALARS | st.lists(TEXT, max_size=3).map(tuple), max_size=3),
    created_at=TIMES,
    updated_at=TIMES,
    extra=st.dictionaries(TEXT, JSON, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # many values in each, on a machine that may be busy
@given(CONTACTS)
def test_a_contact_comes_back_as_it_was(contact: Contact) -> None:
    back = contact_from_plain(json.loads(json.dumps(plain(contact))))
    assert asdict(back) == asdict(contact)


@given(
    st.builds(Job, provider=TEXT, id=TEXT, state=st.sampled_from(JobState), created_at=TIMES, counts=st.just({"a": 1}))
)
def test_a_job_comes_back_as_it_was(job: Job) -> None:
    assert job_from_plain(json.loads(json.dumps(plain(job)))) == job


def test_an_outcome_tells_what_is_derived_as_well() -> None:
    jobs = (Job(provider="acme", id="j1", requested=2), Job(provider="acme", id="j2", state=JobState.DONE, succeeded=1))
    outcome = Outcome(
        operation="delete_contacts",
        requested=6,
        confirmed=("a",),
        failed=(Failure("b", "no"),),
        jobs=jobs,
        deleted=(Contact(id="a"),),
    )
    said = plain(outcome)
    assert said["state"] == "accepted"
    assert (said["succeeded_count"], said["failed_count"], said["unconfirmed"]) == (2, 1, 3)
    assert said["pending"] == ["j1"]
    assert said["failed"] == [{"item": "b", "reason": "no"}]
    assert said["deleted"][0]["id"] == "a"
    assert [job_from_plain(each) for each in said["jobs"]] == list(jobs)
    assert json.loads(json.dumps(said)) == said


def test_the_other_models() -> None:
    jane = Contact("acme", "1", (Identifier.email("Jane@example.com"),))
    email, phone = Identifier.email("jane@example.com"), Identifier.phone("+15550100")
    found = plain(Found({email: (jane,), phone: ()}))
    assert (found["asked"], found["found"]) == (2, 1)
    assert [len(match["contacts"]) for match in found["matches"]] == [1, 0]
    assert plain(Count(3, source="paged")) == {"count": 3, "source": "paged"}
    assert plain(Explanation(Strategy.SCAN, None, reason="so"))["strategy"] == "scan"
    assert plain(ContactList("acme", "l", "All", 3))["count"] == 3
    assert plain([FieldDefinition("acme", "f", "size", FieldType.CHOICE, ("s", "m"))])[0]["options"] == ["s", "m"]


def test_what_json_does_not_know_becomes_something_it_knows() -> None:
    said = plain(Contact(custom={"day": date(2025, 1, 31), "at": datetime(2025, 1, 31, tzinfo=UTC), "n": float("inf")}))
    assert said["custom"] == {"day": "2025-01-31", "at": "2025-01-31T00:00:00+00:00", "n": None}
    assert plain({"a": (1, {2: {3}})}) == {"a": [1, {"2": [3]}]}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ([], "JSON object"),
        ({"id": 3}, "$.id"),
        ({"identifiers": [{"kind": "fax", "value": "1"}]}, "kind"),
        ({"created_at": "2025-01-31T00:00:00"}, "$.created_at"),
        ({"lists": "abc"}, "$.lists"),
        ({"custom": {"a": {}}}, "custom"),
    ],
)
def test_what_is_no_contact_is_refused_with_the_place(data: object, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        contact_from_plain(data)
    assert where in str(refused.value)


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no job"):
        job_from_plain({"provider": "acme"})
