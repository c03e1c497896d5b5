"""What answers say of rate limits, in each of the ways that are in use. Pure.

- ``Retry-After`` (RFC 9110, section 10.2.3): seconds, also with a fraction as some vendors send them, or a date.
- ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset``, which no standard defines: the reset is a number of seconds, a
  Unix time in seconds or milliseconds, or a date. ``X-Rate-Limit-…`` is the same.
- ``RateLimit-Remaining`` and ``RateLimit-Reset`` (draft-ietf-httpapi-ratelimit-headers-06 and before).
- ``RateLimit`` (the drafts from 07 on): ``limit=100, remaining=0, reset=5``, or ``"minute";r=0;t=5, "day";r=9;t=3600``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from contacts_core.provider import moment, number

__all__ = ["exhausted", "pause", "reset", "retry_after"]

FIRST_EPOCH_S = 1_000_000  # a reset below this is seconds left, from it on a Unix time
FIRST_EPOCH_MS = 100_000_000_000  # and from this on it is in milliseconds
FAMILIES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")
SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
LONGEST_HEADER = 2000  # characters that are looked at
MEMBER = re.compile(r'(?:"[^"]*"|[^,"])+')
PARAMETER = re.compile(r"(?:^|;)\s*([a-z]+)\s*=\s*(-?[0-9]{1,15})")


def pause(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the vendor asks to wait: Retry-After if there is one, else until its window is over."""
    if headers.get("retry-after", "").strip():
        return retry_after(headers, now)
    spent = exhausted(headers, now)
    return reset(headers, now) if spent is None else spent


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of a Retry-After; None if there is none, or it cannot be read."""
    after = headers.get("retry-after", "").strip()
    return float(after) if SECONDS.fullmatch(after) else _until(after, now)


def reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until the vendor's window is over, where the reset has a header of its own."""
    for family in FAMILIES:
        if (seconds := _reset(headers, family, now)) is not None:
            return seconds
    return None


def exhausted(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait after an answer that says that nothing is left in this window."""
    if not any("limit" in name for name in headers):  # as in most answers; a look-up costs more than this
        return None
    spent = [_reset(headers, family, now) for family in FAMILIES if _is_none_left(headers, family)]
    spent += [seconds for left, seconds in _windows(headers.get("ratelimit", "")) if left <= 0]
    return max((seconds for seconds in spent if seconds is not None), default=None)


def _is_none_left(headers: Mapping[str, str], family: str) -> bool:
    left = number(headers.get(f"{family}remaining", "").partition(",")[0])
    return left is not None and left <= 0


def _reset(headers: Mapping[str, str], family: str, now: float) -> float | None:
    text = headers.get(f"{family}reset", "").strip()
    value = number(text.partition(",")[0])  # a proxy may have repeated it
    if value is None:
        return _until(text, now)
    if value >= FIRST_EPOCH_MS:
        value /= 1000
    return max(0.0, float(value if value < FIRST_EPOCH_S else value - now))


def _until(date: str, now: float) -> float | None:
    """Return the seconds until a date, of HTTP or of ISO 8601."""
    try:
        when = moment(parsedate_to_datetime(date).isoformat())
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        when = moment(date) if "-" in date[1:] else None
    return max(0.0, when.timestamp() - now) if when else None


def _windows(header: str) -> Iterator[tuple[int, float]]:
    """Yield what is left in each window of a ``RateLimit``, and the seconds until it is over."""
    members = MEMBER.findall(header[:LONGEST_HEADER])
    fields = dict(PARAMETER.findall(";".join(members)))
    if "remaining" in fields and "reset" in fields:
        yield int(fields["remaining"]), max(0.0, float(fields["reset"]))
        return
    for member in members:
        fields = dict(PARAMETER.findall(member))
        if "r" in fields and "t" in fields:
            yield int(fields["r"]), max(0.0, float(fields["t"]))
