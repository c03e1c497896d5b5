"""Values that others wrote: read totally, shown harmlessly."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.provider import calendar_date, integer, moment, number, query_value
from contacts_core.text import printable

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
TIME_LIKE = st.from_regex(r"[0-9]{1,6}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}| UTC)?")
TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-01T10:00:00Z", TEN),
        ("2024-05-01T12:00:00+02:00", TEN),
        ("2024-05-01T10:00:00", TEN),
        ("2024-05-01 10:00:00 +0000 UTC", TEN),
        ("2024-05-01 10:00:00 +0000", TEN),
        (" 2024-05-01T10:00:00Z\n", TEN),
        ("2024-05-01", TEN.replace(hour=0)),
        (1714557600, TEN),
        (1714557600.0, TEN),
        ("1714557600", TEN),
        ("1714557600.000", TEN),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("2024-13-01", None),
        ("2024-05-01T25:00:00Z", None),
        ("2024-02-30T10:00:00Z", None),
        ("+2024-05-01", None),
        ("٢٠٢٤-٠٥-٠١", None),
        ("١٧١٤٥٥٧٦٠٠", None),
        (1714557600000, None),
        (10**400, None),
        (-(10**18), None),
        (float("nan"), None),
        (float("inf"), None),
        ("9" * 5000, None),
        (True, None),
        (None, None),
        ([], None),
        ({"seconds": 5}, None),
        (b"2024-05-01", None),
    ],
)
def test_a_time_is_read_or_is_none(value: Any, expected: datetime | None) -> None:
    assert moment(value) == expected


@given(ANYTHING | TIME_LIKE | st.integers().map(str))
def test_whatever_comes_a_time_has_a_zone_and_can_be_compared_and_converted(value: Any) -> None:
    read = moment(value)
    if read is not None:
        assert read.tzinfo is not None
        assert read.astimezone(UTC).timestamp() is not None
        assert (read < TEN) or (read >= TEN)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (5.5, 5.5),
        ("5", 5),
        (" -5 ", -5),
        ("5.50", 5.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", None),
        ("nan", None),
        ("inf", None),
        ("1_000", None),
        ("٥", None),
        ("9" * 5000, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("", None),
        (None, None),
        ([5], None),
    ],
)
def test_a_number_is_read_or_is_none(value: Any, expected: float | None) -> None:
    assert number(value) == expected
    assert type(number(value)) is type(expected)


@given(ANYTHING)
def test_whatever_comes_no_reader_raises(value: Any) -> None:
    assert isinstance(number(value), int | float | None)
    assert isinstance(integer(value), int | None)
    assert isinstance(calendar_date(value), date | None)
    assert isinstance(query_value(value, "a"), str | None)


def test_a_whole_number() -> None:
    assert [integer(value) for value in (7, 7.0, "7", "7.0", 7.5, "x", None)] == [7, 7, 7, 7, None, None, None]


def test_a_date() -> None:
    assert calendar_date("2024-05-01") == date(2024, 5, 1)
    assert [calendar_date(value) for value in ("2024-05-01T10:00", "0001-01-01", "", 5)] == [None] * 4


@pytest.mark.parametrize(
    ("link", "value"),
    [
        ("https://api.acme.example/x?page_token=a%2Bb&n=1", "a+b"),
        ("?page_token=a", "a"),
        ("https://api.acme.example/x", None),
        ("https://api.acme.example/x?page_token=", None),
        ("https://[", None),
        ("https://api.acme.example:port/?page_token=a", "a"),
        ("", None),
        (None, None),
        (5, None),
        ({}, None),
    ],
)
def test_the_cursor_of_a_link_is_read_or_is_none(link: Any, value: str | None) -> None:
    assert query_value(link, "page_token") == value


@given(st.text(st.characters(), max_size=50))
def test_shown_text_holds_no_character_that_acts(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert not any(unicodedata.category(letter).startswith("C") for letter in shown)
    shown.encode()


def test_what_is_printable_stays_and_the_rest_is_visible() -> None:
    assert printable("Zoë 李 👋") == "Zoë 李 👋"
    assert printable("a\nb\tc\xa0d") == "a b c d"
    assert printable("\x1b[31m\x9b\u202e\u200b\ud800") == "\ufffd[31m" + "\ufffd" * 4
    assert printable("abc", 2) == "ab"
    assert printable(5) == "5"
