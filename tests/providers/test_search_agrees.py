"""What a vendor answers itself, filtered, is what a scan of everybody gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts_core import Contact, Contacts, F, Identifier, Query, errors
from contacts_core.models import Address
from contacts_core.query import Compare, Op
from tests.providers.conftest import SEEN
from tests.providers.test_on_emulators import account

# 300 searches, each beside an export
pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]

TEXTS = ["a", "A", "ab", "aB", "a%b", "a_b", "%", "_", "o'b", "a\\b", "ä", " a", "a ", "a\nb", '"']
LOCALS = ["a", "ab", "a_b", "a%b", "b.a", "x+a", "o'b"]
HOSTS = ["example.com", "sub.example.com", "a.example.org"]
ADDRESSES = [f"{local}@{host}" for local in LOCALS for host in HOSTS]
VALUES: list[Any] = [
    *TEXTS,
    "",
    "10",
    10,
    1.5,
    True,
    date(2025, 1, 1),
    datetime(2025, 1, 2, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]


@st.composite
def people(draw: st.DrawFn, vendor: str) -> list[Contact]:
    count = draw(st.integers(1, 8))
    made: list[Contact] = []
    addresses = iter(draw(st.lists(st.sampled_from(ADDRESSES), min_size=2 * count, max_size=2 * count, unique=True)))
    for number in range(count):
        emails = [Identifier.email(next(addresses)) for _ in range(draw(st.integers(0, 2)))]
        phones = [Identifier.phone(f"+4420794600{number:02}")] if draw(st.booleans()) else []
        outside = (
            [Identifier.external_id(draw(st.sampled_from(TEXTS)).strip() + f"{number}")] if vendor == "sendgrid" else []
        )
        text = st.one_of(st.none(), st.sampled_from(TEXTS))
        made.append(
            Contact(
                identifiers=(*emails, *phones, *outside),
                first_name=draw(text) or "n",
                last_name=draw(text),
                address=Address(city=draw(st.sampled_from(TEXTS))) if draw(st.booleans()) else None,
                custom={"score": draw(st.integers(-2, 12))} if draw(st.booleans()) and vendor == "sendgrid" else {},
            )
        )
    return made


def comparisons() -> st.SearchStrategy[Query]:
    plain = st.sampled_from(
        ["first_name", "last_name", "city", "email", "phone", "external_id", "created_at", "full_name"]
    )

    def compare(field: str, op: Op, value: Any) -> Query:
        try:
            made = getattr(F, field)
            if op in {Op.STARTSWITH, Op.ENDSWITH, Op.CONTAINS}:
                return getattr(made, op.value)(str(value))  # type: ignore[no-any-return]
            return made.is_set() if op is Op.SET else made._compare(op, value)  # type: ignore[no-any-return]
        except (errors.InvalidInput, AttributeError):
            return F.email == "a@example.com"

    any_text = st.builds(compare, plain, st.sampled_from(list(Op)), st.sampled_from(VALUES))
    address = st.sampled_from([*ADDRESSES, *LOCALS, *HOSTS, "@", "example"])
    any_address = st.builds(compare, st.just("email"), st.sampled_from(list(Op)), address)
    custom = st.builds(
        lambda op, value: Compare("custom", op, value, "score"), st.sampled_from(list(Op)), st.sampled_from(VALUES[:16])
    )
    return any_text | any_address | custom


QUERIES = st.recursive(
    comparisons(),
    lambda parts: (
        st.builds(lambda a, b: a & b, parts, parts)
        | st.builds(lambda a, b: a | b, parts, parts)
        | st.builds(lambda a: ~a, parts)
    ),
    max_leaves=4,
)


@pytest.fixture(autouse=True)
def _exchanges_fit() -> Iterator[None]:
    yield
    SEEN.clear()


@pytest.mark.parametrize("vendor", ["sendgrid", "bird", "user-api"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_the_vendors_answer_is_the_scans(vendor: str, data: st.DataObject) -> None:
    with account(vendor, contacts=1) as (client, _):
        crowd = data.draw(people(vendor))
        client.wait(client.upsert_contacts([c for c in crowd if c.identifiers or vendor != "sendgrid"]))
        everyone = list(client.export())
        for _ in range(25):
            agrees(client, everyone, data.draw(QUERIES))


def agrees(client: Contacts[Any], everyone: list[Contact], query: Query) -> None:
    try:
        meant = {contact.id for contact in everyone if query.matches(contact)}
    except errors.InvalidInput:
        return
    translate = getattr(client.provider, "translate", None)
    if translate is None or translate(query) is None:
        return
    assert {contact.id for contact in client.search(query)} == meant
