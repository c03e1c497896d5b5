"""The portable query as a condition of SQL.

Every condition matches exactly what `Query.matches` does. Text is compared by its bytes, as Python compares it; a
missing or empty value matches nothing. https://www.sqlite.org/lang_expr.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TypeAlias

from attrs import field, frozen

from contacts_core.query import And, Compare, Not, Op, Or, Query, RawQuery
from contacts_local import mapping
from contacts_local.payloads import encode

__all__ = ["Condition", "condition"]

Values: TypeAlias = tuple[object, ...]

MOST_VALUES = 30_000  # in one statement: SQLite's own limit is 32,766
MOST_TEXT = 900_000  # characters of one statement; SQLite's own limit is a million
DEEPEST = 300  # conditions within one another; SQLite allows a thousand, and a condition has a few levels of its own

TEXTS = ("first_name", "last_name", "full_name", "organization", "title", "city", "region", "postal_code", "country")
KINDS = ("email", "phone", "external_id", "anonymous_id")
TIMES = ("created_at", "updated_at")
SIGNS = {Op.EQ: "=", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}
NEVER = "0"
# In the table of identifiers conditions other than equality look at lower case, also beyond ASCII.
LOWER = "CASE WHEN length(CAST(normal AS BLOB)) = length(normal) THEN lower(normal) ELSE contacts_lower(normal) END"
# A time as Python writes it: with the fraction where there is one.
TIME_TEXT = (
    "strftime('%Y-%m-%d %H:%M:%S', ({0} - ({0} % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')"
    " || CASE WHEN {0} % 1000000 = 0 THEN '' ELSE printf('.%06d', ({0} % 1000000 + 1000000) % 1000000) END || '+00:00'"
)
NUMBERS = "('integer', 'real', 'true', 'false')"


@frozen
class Condition:
    """A condition of SQL on the table ``contact``, and the values in it.

    Attributes:
        sql: The condition, with a question mark for each value.
        values: The values.
        raw: Whether it holds SQL of the caller.
    """

    sql: str
    values: Values = field(default=(), repr=False)
    raw: bool = False


def condition(query: Query) -> Condition | None:
    """Return the condition of a query; None if the query is too large, too deep or too odd for one statement."""
    try:
        found = _condition(query, 0)
        _ = encode(found and found.values)
    except UnicodeEncodeError:  # half a character, which no text of the file has
        return None
    if found is None or len(found.values) > MOST_VALUES or len(found.sql) > MOST_TEXT:
        return None
    return found


def _condition(query: Query, depth: int) -> Condition | None:
    if depth > DEEPEST:
        return None
    match query:
        case Compare():
            return _compare(query)
        case And(parts):
            return _joined("AND", [_condition(part, depth + 1) for part in parts], empty="1")
        case Or(parts):
            return _joined("OR", [_condition(part, depth + 1) for part in parts], empty=NEVER)
        case Not(part):
            inner = _condition(part, depth + 1)
            return inner and Condition(f"(NOT {inner.sql})", inner.values, inner.raw)
        case RawQuery(text):
            return Condition(f"ifnull(({text}\n), 0)", raw=True)  # the line break ends a comment
        case _:
            return None


def _joined(word: str, parts: Sequence[Condition | None], *, empty: str) -> Condition | None:
    """Join conditions, as a balanced tree: SQLite limits how deep an expression is."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if not known:
        return Condition(empty)
    while len(known) > 1:
        known = [
            Condition(f"({left.sql} {word} {right[0].sql})", left.values + right[0].values, left.raw or right[0].raw)
            if right
            else left
            for left, right in ((known[i], known[i + 1 : i + 2]) for i in range(0, len(known), 2))
        ]
    return known[0]


def _compare(compare: Compare) -> Condition:
    name, op, target = compare.field, compare.op, compare.value
    if name == "custom":
        return _custom(compare)
    if name in TIMES:
        sql, values = (f"{name} IS NOT NULL", ()) if op is Op.SET else _time(name, op, target)
        return Condition(f"ifnull({sql}, 0)", values)
    if name in KINDS:
        lowered = name == "email" and op is not Op.EQ
        sql, values = _text(LOWER if lowered else "normal", op, target)
        main = "" if op in SIGNS or op is Op.SET else " AND main"
        return _among(f"SELECT contact FROM identifier WHERE kind = ? AND key = '' AND {sql}{main}", (name, *values))
    if name == "list":
        sql, values = _text("list", op, target)
        return _among(f"SELECT contact FROM member WHERE {sql}", values)
    if name == "tag":
        sql, values = _text("value", op, target)
        return Condition(f"EXISTS (SELECT 1 FROM json_each(data, '$.tags') WHERE {sql})", values)
    if name == "id" or name in TEXTS:
        text = name if name == "id" else f"json_extract(data, '$.{name}')"
        sql, values = _text(text, op, target)
        return Condition(f"ifnull({text} <> '' AND {sql}, 0)", values)
    return Condition(NEVER)


def _among(select: str, values: Values) -> Condition:
    return Condition(f"n IN ({select})", values)


def _text(expression: str, op: Op, target: object) -> tuple[str, Values]:
    """A condition on a text that is there."""
    if op is Op.SET:
        return "1", ()
    if isinstance(target, str):
        return _on_text(expression, op, target)
    if isinstance(target, date) and op in SIGNS:  # the text may be a date
        return _compared(expression, "'text'", op, target)
    return NEVER, ()


def _on_text(expression: str, op: Op, target: str) -> tuple[str, Values]:
    data = target.encode()
    whole = f"CAST({expression} AS BLOB)"
    match op:
        case Op.STARTSWITH:
            return f"substr({whole}, 1, {len(data)}) = ?", (data,)
        case Op.ENDSWITH:
            return (f"substr({whole}, -{len(data)}) = ?", (data,)) if data else ("1", ())
        case Op.CONTAINS:
            return (f"instr({whole}, ?) > 0", (data,)) if data else ("1", ())
        case _:
            return f"{expression} {SIGNS[op]} ?", (target,)


def _time(expression: str, op: Op, target: object) -> tuple[str, Values]:
    """A condition on a time that is there."""
    if op in SIGNS:
        if isinstance(target, date):
            moment = target if isinstance(target, datetime) else datetime(*target.timetuple()[:3], tzinfo=UTC)
            return f"{expression} {SIGNS[op]} ?", (mapping.microseconds(moment),)
        return NEVER, ()
    if isinstance(target, str):
        return _on_text(f"({TIME_TEXT.format(expression)})", op, target)
    return NEVER, ()


def _custom(compare: Compare) -> Condition:
    """A condition on the values of one custom field: a value of its own, or any of a list of texts."""
    op, target = compare.op, compare.value
    alone, alone_values = _custom_value("f.value", "f.type", op, target)
    each, each_values = _text("v.value", op, target)
    kinds = {
        f"f.type NOT IN ('array', 'null') AND f.value <> '' AND {alone}": alone_values,
        f"f.type = 'array' AND EXISTS (SELECT 1 FROM json_each(f.value) v WHERE {each})": each_values,
    }
    sql = " OR ".join(f"({text})" for text in kinds)
    values = tuple(value for part in kinds.values() for value in part)
    return Condition(
        f"EXISTS (SELECT 1 FROM json_each(data, '$.custom') f WHERE f.key = ? AND ({sql}))", (compare.key, *values)
    )


def _custom_value(value: str, kind: str, op: Op, target: object) -> tuple[str, Values]:
    if op is Op.SET:
        return "1", ()
    text, text_values = _text(value, op, target)
    number, number_values = _number(value, kind, op, target)
    odd, odd_values = _compared(value, kind, op, target)
    parts = [
        (f"{kind} = 'text' AND {text}", text_values),
        (f"{kind} IN {NUMBERS} AND {number}", number_values),
        (f"{kind} = 'object' AND {odd}", odd_values),
    ]
    return f"({' OR '.join(f'({sql})' for sql, _ in parts)})", tuple(each for _, values in parts for each in values)


def _number(value: str, kind: str, op: Op, target: object) -> tuple[str, Values]:
    if isinstance(target, str):
        return _compared(value, kind, op, target) if op not in SIGNS else (NEVER, ())
    if op not in SIGNS or isinstance(target, date):
        return NEVER, ()
    if isinstance(target, int) and not -mapping.LARGEST <= target < mapping.LARGEST:
        return _compared(value, kind, op, target)
    return f"{value} {SIGNS[op]} ?", (target,)


def _compared(value: str, kind: str, op: Op, target: object) -> tuple[str, Values]:
    """What SQLite cannot compare: texts that may be dates, Python's text of a number, numbers that are too large."""
    assert isinstance(target, (str, int, float, date))
    return f"contacts_matches({value}, {kind}, '{op.value}', ?)", (mapping.target_text(target),)
