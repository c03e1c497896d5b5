"""The portable query in SGQL: what is said, and that no value leaves its quotes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import F, Query, RawQuery
from contacts_core.query import And, Or
from contacts_sendgrid.sgql import text, translate

NOON = datetime(2025, 1, 2, 12, 0, 0, 500_000, tzinfo=UTC)

NOT = "(NOT (CONTAINS(list_ids, '{}')) OR list_ids IS NULL)"

SAID: list[tuple[Query, str | None]] = [
    (F.first_name == "Jane", "(first_name = 'Jane')"),
    (F.email == "Jane@Example.com", "(email = 'jane@example.com') OR (CONTAINS(alternate_emails, 'jane@example.com'))"),
    (F.external_id == "x", "(external_id = 'x')"),
    (F.list == "l1", "(CONTAINS(list_ids, 'l1'))"),
    (F.email.startswith("jane"), "(email LIKE 'jane%') OR (email IS NULL) OR (email = '')"),
    (F.city.endswith("ton"), "(city LIKE '%ton')"),
    (F.last_name.contains("o'b"), "(last_name LIKE '%o\\'b%')"),
    (F.first_name.is_set(), "(first_name IS NOT NULL AND first_name != '')"),
    (F.updated_at >= NOON, "(updated_at >= TIMESTAMP '2025-01-02T12:00:00Z')"),
    (F.updated_at < NOON, "(updated_at < TIMESTAMP '2025-01-02T12:00:01Z')"),
    (F.created_at > date(2025, 1, 2), "(created_at >= TIMESTAMP '2025-01-02T00:00:00Z')"),
    (
        F.updated_at <= NOON.astimezone(timezone(timedelta(hours=2))),
        "(updated_at < TIMESTAMP '2025-01-02T12:00:01Z')",
    ),
    ((F.city == "A") & (F.country == "B"), "((city = 'A')) AND ((country = 'B'))"),
    (F.city.in_(["A", "B"]), "((city = 'A')) OR ((city = 'B'))"),
    (~(F.list == "l1"), "(NOT (CONTAINS(list_ids, 'l1')) OR list_ids IS NULL)"),
    (~~(F.list == "l1"), "(CONTAINS(list_ids, 'l1'))"),
    (
        ~((F.list == "l1") | (F.list == "l2")),
        f"({NOT.format('l1')}) AND ({NOT.format('l2')})",
    ),
    (
        ~((F.list == "l1") & (F.list == "l2")),
        f"({NOT.format('l1')}) OR ({NOT.format('l2')})",
    ),
    (RawQuery("email LIKE 'x%'"), "email LIKE 'x%'"),
    ((F.list == "l") & RawQuery("a = 1"), "((CONTAINS(list_ids, 'l'))) AND (a = 1)"),
    # What cannot be said, or not surely so:
    (F.tag == "x", None),
    (F.organization == "x", None),
    (F.full_name == "x", None),
    (F.list.startswith("x"), None),
    (F.updated_at == NOON, None),
    (F.custom["back`tick"] == 1, None),
    (F.custom[""] == 1, None),
    (~(F.first_name == "Jane"), None),
    (~(F.phone == "+12025550143"), None),
    (~RawQuery("x"), None),
    ((F.city == "A") & (F.tag == "x"), "((city = 'A'))"),  # the core filters by the rest
    (RawQuery("a = 1") & (F.tag == "x"), None),  # which it does not where only the vendor knows what is meant
    (F.last_name.contains("100%"), None),
    (F.last_name.contains("a_b"), None),
    (F.last_name.startswith("a\\b"), None),
    (F.last_name.contains(""), None),
    (F.email.contains("j_d"), None),
    (F.email.is_set(), None),
    (~F.email.is_set(), None),
    (F.email > "a", None),
    (F.email == "jane@münchen.example", None),
    (~F.email.startswith("jane"), None),
    (F.phone == "+12025550143", None),
    (F.phone.is_set(), None),
    (F.first_name > "a", None),
    (F.first_name == 5, None),
    (F.first_name == True, None),  # noqa: E712
    (~F.first_name.is_set(), None),
    (F.created_at.startswith("2025"), None),
    (F.created_at > "2025", None),
    (F.created_at > 2025, None),
    (F.created_at < datetime.max.replace(tzinfo=UTC), None),
    (F.created_at > datetime.min.replace(tzinfo=UTC), None),
    (F.custom["score"] > 10, None),
    (F.custom["score"] == "10", None),
    (F.custom["vip"] == True, None),  # noqa: E712
    (F.custom["score"].is_set(), None),
    ((F.city == "A") | (F.tag == "x"), None),
    (And(()), None),
    (Or(()), None),
]


@pytest.mark.parametrize(("query", "said"), SAID, ids=[str(n) for n in range(len(SAID))])
def test_what_is_said(query: Query, said: str | None) -> None:
    assert translate(query) == said


@given(st.text())
def test_no_value_leaves_its_quotes(value: str) -> None:
    literal = text(value)
    assert re.fullmatch(r"'(?:[^'\\]|\\.)*'", literal, re.DOTALL)
    assert re.sub(r"\\(.)", r"\1", literal[1:-1], flags=re.DOTALL) == value
