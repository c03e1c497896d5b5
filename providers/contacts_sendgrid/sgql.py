"""The portable query in SGQL, SendGrid's query language (version 1, conditions only).

Source: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/segmentation-query-language. What cannot be
said there, or not surely so, gives None, and the core scans instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from contacts_core.query import All, Any_, Compare, Native, Not, Op, Query, Value

COLUMNS = {
    "id": "contact_id",
    "email": "email",
    "phone": "phone_number_id",
    "external_id": "external_id",
    "anonymous_id": "anonymous_id",
    "first_name": "first_name",
    "last_name": "last_name",
    "city": "city",
    "region": "state_province_region",
    "postal_code": "postal_code",
    "country": "country",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
OPERATORS = {Op.EQ: "=", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}
PATTERNS = {Op.STARTSWITH: "{}%", Op.ENDSWITH: "%{}", Op.CONTAINS: "%{}%"}
BARE_NAME = re.compile(r"[A-Za-z_]+")


def translate(query: Query) -> str | None:
    """Say it in SGQL, matching all that the query matches; None if that cannot be said."""
    match query:
        case Native(text):
            return text
        case All(parts):
            return _joined(" AND ", map(translate, parts))
        case Any_(parts):
            return _joined(" OR ", map(translate, parts))
        case Not(All(parts)):
            return translate(Any_(tuple(Not(part) for part in parts)))
        case Not(Any_(parts)):
            return translate(All(tuple(Not(part) for part in parts)))
        case Not(Not(part)):
            return translate(part)
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

    Unsure are texts (is ``=`` case-sensitive? is ``_`` a wildcard?) and phone numbers (with or without ``+``).
    """
    return (query.field in {"list", "email"} and query.op is Op.EQ) or query.op is Op.SET


def _terms(query: Compare) -> list[tuple[str, str]]:
    """The alternatives, any of which makes the comparison hold, each with the column it is about."""
    column = _column(query)
    match query:
        case Compare("list", Op.EQ, str(value)):
            return [("list_ids", f"CONTAINS(list_ids, {text(value)})")]
        case Compare("email", Op.EQ, str(value)):
            alternate = f"CONTAINS(alternate_emails, {text(value)})"  # the column email has the primary address only
            return [("email", f"email = {text(value)}"), ("alternate_emails", alternate)]
        case _ if column is None:
            return []
        case Compare("phone", Op.EQ, str(value)):
            return [(column, f"{column} = {text(form)}") for form in dict.fromkeys([value, value.lstrip("+")])]
        case Compare(op=Op.SET):
            is_text = query.field not in {"created_at", "updated_at", "custom"}
            return [(column, f"{column} IS NOT NULL" + (f" AND {column} != ''" if is_text else ""))]
        case Compare(op=op, value=str(value)) if op in PATTERNS:
            return [(column, f"{column} LIKE {text(PATTERNS[op].format(value.replace('%', '%%')))}")]
        case Compare(op=op, value=date() as value):
            return [(column, f"{column} {said}")] if (said := _bound(op, value)) else []
        case Compare(op=op, value=value) if op in OPERATORS:
            return [(column, f"{column} {OPERATORS[op]} {_literal(value)}")]
        case _:
            return []


def _column(query: Compare) -> str | None:
    if query.field != "custom":
        return COLUMNS.get(query.field)
    if BARE_NAME.fullmatch(query.key):
        return query.key
    return f"`{query.key}`" if query.key and "`" not in query.key else None


def _bound(op: Op, value: date) -> str | None:
    """A bound in whole seconds that lets everything through: the vendor stores fractions that its answers leave out."""
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


def _literal(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return text(value)
        case _:
            return str(value)
