"""The portable query in SGQL, SendGrid's query language (version 1, conditions only).

Source: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/segmentation-query-language. The vendor's
answer must hold everybody whom the query means; the core drops whoever it does not mean. What cannot be said so that
this is certain gives None, and the core scans instead: custom fields (a query does not know their types), phone numbers
(stored with or without ``+`` and punctuation), orders of texts, and patterns with ``%``, ``_`` or a backslash.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from contacts_core.query import And, Compare, Not, Op, Or, Query, RawQuery, walk

TEXTS = {
    "id": "contact_id",
    "external_id": "external_id",
    "anonymous_id": "anonymous_id",
    "first_name": "first_name",
    "last_name": "last_name",
    "city": "city",
    "region": "state_province_region",
    "postal_code": "postal_code",
    "country": "country",
}
TIMES = {"created_at", "updated_at"}
PATTERNS = {Op.STARTSWITH: "{}%", Op.ENDSWITH: "%{}", Op.CONTAINS: "%{}%"}
UNSURE = set("%_\\")  # in a pattern: documented differently, not at all, or escaped twice
FIRST_YEAR, LAST_YEAR = 1000, 9998


def translate(query: Query) -> str | None:
    """Say it in SGQL, matching all that the query matches; None if that cannot be said."""
    return _said(query, exactly=any(isinstance(part, RawQuery) for part in walk(query)))


def _said(query: Query, *, exactly: bool) -> str | None:
    """Say a part. ``exactly``: the core does not filter the answer, so no condition may be left out."""
    match query:
        case RawQuery(text):
            return text
        case And(parts):
            said = [_said(part, exactly=exactly) for part in parts]
            return _joined(" AND ", said if exactly else filter(None, said))
        case Or(parts):
            return _joined(" OR ", [_said(part, exactly=exactly) for part in parts])
        case Not(And(parts)):
            return _said(Or(tuple(Not(part) for part in parts)), exactly=exactly)
        case Not(Or(parts)):
            return _said(And(tuple(Not(part) for part in parts)), exactly=exactly)
        case Not(Not(part)):
            return _said(part, exactly=exactly)
        case Not(Compare() as part):
            # In SQL neither a condition nor its negation holds for NULL; in ours, the negation does.
            negated = [f"NOT ({said}) OR {column} IS NULL" for column, said in _terms(part)] if _is_exact(part) else []
            return _joined(" AND ", negated)
        case Compare():
            return _joined(" OR ", [said for _, said in _terms(query)])
        case _:
            return None


def text(value: str) -> str:
    """A text literal that nothing can leave: the backslash escapes itself and the quote."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _joined(word: str, said: Iterable[str | None]) -> str | None:
    parts = list(said)
    return word.join(f"({part})" for part in parts) if parts and None not in parts else None


def _is_exact(query: Compare) -> bool:
    """Whether the vendor's reading is surely ours; only then does a negation lose nobody.

    Unsure are all comparisons of texts: is ``=`` case-sensitive, and what about blanks at the end?
    """
    return (query.field in {"list", "email"} and query.op is Op.EQ) or (query.field in TIMES and query.op is Op.SET)


def _terms(query: Compare) -> list[tuple[str, str]]:
    """The alternatives, any of which makes the comparison hold, each with the column it is about."""
    match query:
        case Compare("list", Op.EQ, str(value)):
            return [("list_ids", f"CONTAINS(list_ids, {text(value)})")]
        case Compare("email", Op.EQ, str(value)) if _is_plain_address(value):
            alternate = f"CONTAINS(alternate_emails, {text(value)})"  # the column email has the primary address only
            return [("email", f"email = {text(value)}"), ("alternate_emails", alternate)]
        case Compare("email", op, str(value)) if (pattern := _pattern(op, value)) and value.isascii():
            # The column has primary addresses; of contacts without one, alternate addresses are meant.
            return [("email", f"email LIKE {pattern}"), ("email", "email IS NULL"), ("email", "email = ''")]
        case Compare(field, Op.SET) if field in TIMES:
            return [(field, f"{field} IS NOT NULL")]
        case Compare(field, op, date() as value) if field in TIMES:
            return [(field, f"{field} {said}")] if (said := _bound(op, value)) else []
        case Compare(field, op, value) if field in TEXTS:
            return [(TEXTS[field], f"{TEXTS[field]} {said}")] if (said := _of_text(TEXTS[field], op, value)) else []
        case _:
            return []


def _of_text(column: str, op: Op, value: object) -> str:
    if op is Op.SET:
        return f"IS NOT NULL AND {column} != ''"
    if not isinstance(value, str):
        return ""
    if op is Op.EQ:
        return f"= {text(value)}"
    return f"LIKE {pattern}" if (pattern := _pattern(op, value)) else ""


def _pattern(op: Op, value: str) -> str:
    return text(PATTERNS[op].format(value)) if op in PATTERNS and value and not UNSURE & set(value) else ""


def _is_plain_address(value: str) -> bool:
    """Whether an address has one spelling only; a domain outside ASCII may be stored in two."""
    return value.isascii() and "xn--" not in value


def _bound(op: Op, value: date) -> str | None:
    """A bound in whole seconds that lets everything through: the vendor stores fractions that its answers leave out."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        return None
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    second = moment.astimezone(UTC).replace(microsecond=0)
    match op:
        case Op.GT | Op.GE:
            return f">= {_timestamp(second)}"
        case Op.LT | Op.LE:
            return f"< {_timestamp(second + timedelta(seconds=1))}"
        case _:
            return None


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:%Y-%m-%dT%H:%M:%SZ}'"
