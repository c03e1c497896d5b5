"""Parsers for values of vendors' answers: each returns a usable value or None, and never raises.

With them, one contact with an odd value does not stop a mapping. Keep a value that is read as None in ``extra``, as the
vendor sent it.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

__all__ = ["calendar_date", "day", "integer", "json_text", "moment", "number", "query_value"]

from_iso = datetime.fromisoformat
from_unix = datetime.fromtimestamp
UNIX_SECONDS = re.compile(r"-?[0-9]{9,12}(\.[0-9]{1,9})?")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
MIDNIGHT = time(tzinfo=UTC)
DATE_LENGTH, LONGEST_TIME = 10, 40  # characters
MOST_DIGITS = 300  # Python itself refuses to convert more than 4300
FIRST_YEAR, LAST_YEAR = 2, 9998  # in the years 1 and 9999, going to another time zone may overflow
FIRST, END = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


def moment(value: object, extra: MutableMapping[str, Any] | None = None, name: str = "") -> datetime | None:
    """Read a time; the result always has a time zone, UTC if the value has none.

    It reads ISO 8601 (a date alone is its midnight), ``2024-05-01 10:00:00 +0000 UTC`` as Go prints it, and Unix
    seconds as a number or text. Anything else is None: other text, other types, and times outside the years 2 to 9998,
    such as ``0001-01-01T00:00:00Z``, which some vendors send for "never".

    Args:
        value: The time.
        extra: Gets a value that cannot be read, as the vendor sent it, unless it is empty.
        name: The vendor's name of the field, for ``extra``.
    """
    try:
        if isinstance(value, str):  # the usual case, which every contact has twice
            read = from_iso(value)
            if read.tzinfo is UTC and value[4] == "-" and FIRST <= read < END:
                return read
    except ValueError:
        pass
    found = _moment(value)
    if found is None and value and extra is not None:
        extra[name] = value
    return found


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            read = _from_text(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            read = from_unix(value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    if not FIRST_YEAR <= read.year <= LAST_YEAR:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _from_text(text: str) -> datetime:
    if text[4:5] != "-" and UNIX_SECONDS.fullmatch(text):  # of which Python would take some for dates
        return from_unix(float(text), UTC)
    try:
        return from_iso(text)
    except ValueError:
        return from_iso(text.strip().removesuffix(" UTC").replace(" +0000", "+00:00"))


def calendar_date(value: object) -> date | None:
    """Read a date such as ``2024-05-01``; None for anything else, also for times."""
    if not isinstance(value, str):
        return None
    try:
        read = date.fromisoformat(value)
    except ValueError:
        return None
    return read if FIRST_YEAR <= read.year <= LAST_YEAR else None


def day(value: object) -> date | datetime | None:
    """Read a time as a date if it is the midnight with which vendors write a date, in UTC; else as `moment` does."""
    if isinstance(value, str) and len(value) <= LONGEST_TIME:
        return _day(value)
    return _day_of(moment(value))


@lru_cache(maxsize=8192)  # the dates of many contacts are few
def _day(text: str) -> date | datetime | None:
    return (calendar_date(text) if len(text) <= DATE_LENGTH else None) or _day_of(moment(text))


def _day_of(read: datetime | None) -> date | datetime | None:
    if read is None or read.hour or read.minute or read.second or read.microsecond or read.utcoffset():
        return read
    return read.date()


def number(value: object) -> int | float | None:
    """Read a finite number, from a number or from its text; None for anything else.

    Text may have a sign, a point and an exponent; no ``_`` between digits, no ``nan``, and only the digits 0 to 9.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > MOST_DIGITS:
            return None
        if text.isascii() and text.isdigit():  # the usual case
            return int(text)
        if not NUMBER.fullmatch(text):
            return None
        read: int | float = float(text) if "." in text or "e" in text.lower() else int(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        read = value
    else:
        return None
    return None if isinstance(read, float) and not math.isfinite(read) else read


def integer(value: object) -> int | None:
    """Read a whole number, from a number or from its text (``7``, ``7.0``, ``"7"``); None for anything else."""
    read = number(value)
    return int(read) if read is not None and read == int(read) else None


def query_value(link: object, name: str) -> str | None:
    """Return the value of one query parameter of a link such as a vendor's ``next``; None if it has none.

    The host of the link is ignored: send the cursor to the provider's own base URL.
    """
    if not isinstance(link, str):
        return None
    try:
        pairs = parse_qsl(urlsplit(link).query)
    except ValueError:  # such as an IPv6 host without its bracket, or more parameters than anybody sends
        return None
    return next((value for key, value in pairs if key == name), None)


def json_text(value: object) -> str:
    """Return a value of an answer as JSON text; empty for one that is nested too deeply."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return ""
