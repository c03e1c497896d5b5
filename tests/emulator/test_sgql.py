"""The query language of SendGrid's search."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from contacts_sendgrid.emulator.sgql import ARRAY, NUMBER, STRING, TIME, SgqlError, parse

NOW = datetime(2025, 11, 18, tzinfo=UTC)
FIELDS = {
    **dict.fromkeys(("email", "first_name", "last_name", "city", "2nd name"), STRING),
    "score": NUMBER,
    "created_at": TIME,
    "list_ids": ARRAY,
    "alternate_emails": ARRAY,
}
JANE: dict[str, Any] = {
    "email": "jane@example.com",
    "first_name": "Jane",
    "last_name": "O'Brien",
    "2nd name": "50% \\ off",
    "score": 10,
    "created_at": datetime(2025, 11, 1, tzinfo=UTC),
    "list_ids": {"list-1": None},
    "alternate_emails": ["j@example.org"],
}


def matches(query: str) -> bool:
    return parse(query, FIELDS, NOW).matches(JANE.get)


@pytest.mark.parametrize(
    "query",
    [
        "first_name = 'Jane'",
        'first_name="Jane"',
        "first_name != 'Joan'",
        "first_name <> 'Joan'",
        "last_name = 'O\\'Brien'",
        'last_name = "O\'Brien"',
        "score > 9 AND score >= 10 and score < 10.5 AND score <= 10",
        "score = 5 + 2 * 3 - 1",
        "score = -(-10)",
        "score % 4 = 2 AND score / 4 = 2.5",
        "first_name LIKE 'Ja%'",
        "first_name LIKE '%an%' AND first_name NOT LIKE '%x%'",
        "first_name LIKE 'J%e'",
        "`2nd name` LIKE '50%% \\\\ o%'",
        "`2nd name` = '50% \\\\ off'",
        "first_name IN ('John', 'Jane')",
        "first_name NOT IN ('John', 'Joan')",
        "score BETWEEN 10 AND 20",
        "score NOT BETWEEN 11 AND 20",
        "city IS NULL AND first_name IS NOT NULL",
        "NOT first_name = 'x' AND NOT (score = 1 OR score = 2)",
        "first_name = 'x' OR first_name = 'y' OR score = 10",
        "CONTAINS(list_ids, 'list-1') AND NOT CONTAINS(list_ids, 'list-2')",
        "CONTAINS(alternate_emails, 'j@example.org')",
        "LOWER(first_name) = 'jane'",
        "LENGTH(first_name) = 4 AND LENGTH(list_ids) = 1",
        "CONCAT(first_name, ' ', last_name) = 'Jane O\\'Brien'",
        "created_at >= TIMESTAMP '2025-11-01T00:00:00Z'",
        "created_at < TIMESTAMP '2025-11-02'",
        "created_at > NOW() - INTERVAL 30 day",
        "(score = 10) = true",
    ],
)
def test_true(query: str) -> None:
    assert matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "first_name = 'jane'",
        "first_name LIKE 'ja%'",
        "first_name LIKE 'J_ne'",
        "first_name LIKE 'J*'",
        "first_name LIKE 'Ja%%'",
        "score > 10",
        "score / 0 = 1",
        # Comparisons with an unset field are neither true nor false.
        "city = 'x'",
        "city != 'x'",
        "NOT city = 'x'",
        "city IN ('x')",
        "city NOT IN ('x')",
        "city LIKE '%'",
        "LENGTH(city) = 0",
        "city BETWEEN 'a' AND 'z'",
        "city = 'x' OR city IS NOT NULL",
        "first_name = NULL",
    ],
)
def test_not_true(query: str) -> None:
    assert not matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "first_name",
        "first_name =",
        "first_name = 'Jane",
        "first_name = 'Jane' AND",
        "first_name = 'a' 'b'",
        "first_name = 'O'Brien'",
        "first_name = Jane",
        "nonsense = 'x'",
        "first_name = 5",
        "score = '5'",
        "score = 05",
        "created_at > '2025-01-01'",
        "created_at > TIMESTAMP 'soon'",
        "created_at > TIMESTAMP 5",
        "created_at > NOW() - INTERVAL 3 fortnight",
        "list_ids = 'x'",
        "CONTAINS(first_name, 'x')",
        "LOWER(score) = 'x'",
        "UPPER(first_name) = 'JANE'",
        "first_name LIKE last_name",
        "score LIKE '1%'",
        "first_name NOT 'x'",
        "first_name IN ()",
        "first_name IS 'x'",
        "score + 'x' = 1",
        "(first_name = 'x'",
        "first_name = 'x')",
        "score AND score",
        "first_name = 'x'; DROP",
        "SELECT contact_id FROM contact_data",
    ],
)
def test_invalid(query: str) -> None:
    with pytest.raises(SgqlError):
        parse(query, FIELDS, NOW)


def test_the_plain_email_form_is_known() -> None:
    assert parse("email = 'a@example.com'", FIELDS, NOW).email == "a@example.com"
    for query in (
        "email = 'a@example.com' AND score > 1",
        "email = 'a@example.com' OR email = 'b@example.com'",
        "NOT email = 'a@example.com'",
        "email != 'a@example.com'",
        "email IN ('a@example.com')",
        "LOWER(email) = 'a@example.com'",
    ):
        assert parse(query, FIELDS, NOW).email is None
