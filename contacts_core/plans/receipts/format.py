"""The format of a receipt: the fields of each type of line, and how the lines of one receipt must agree.

A schema is a check of one value, a list of one schema (an array of such values), or a dict of schemas (an object with
at least these fields). Other fields are allowed: the hash, the seal and the signature cover them too, and nothing here
reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

__all__ = ["END_STATES", "FORMAT", "LARGEST_INTEGER", "STATES", "disagreements", "misfit"]

FORMAT = 2
STATES = ("absent", "present", "unknown")
END_STATES = ("done", "incomplete", "refused", "cancelled", "failed")
READING_KINDS = {"access"}  # nothing was to be removed, so what is present is no failure
MAX_DEPTH = 16  # levels of nesting in a line; the format itself uses four
LARGEST_INTEGER = 2**53  # beyond it, other readers of JSON round

Schema = Callable[[Any], bool] | list[Any] | dict[str, Any]
Checker = Callable[[Any], str | None]  # returns the path of the first wrong value, or None
Line = Mapping[str, Any]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST_INTEGER


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _hex(length: int) -> Callable[[Any], bool]:
    pattern = re.compile(rf"[0-9a-f]{{{length}}}")
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _time(value: Any) -> bool:
    """Return whether this is a time with its zone that can be converted to UTC."""
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value).astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (str, int)) and not isinstance(value, bool) and value in values


_hash = _hex(64)
_state = _one_of(*STATES)
EXCHANGE = {
    "method": _text,
    "request": _hash,
    "status": _or_none(_number),
    "answer": _text,
    "request_id": _text,
    "at": _time,
}
COMMON_FIELDS: dict[str, Any] = {"type": _text, "n": _positive, "prev": _hash, "hash": _hash}
LINES: dict[str, dict[str, Any]] = {
    "run": {
        "format": _one_of(FORMAT),
        "run": _text,
        "plan": _hash,
        "kind": _text,
        "made_at": _time,
        "begun_at": _time,
        "accounts": [{"account": _text, "provider": _text, "title": _text, "account_id": _hash}],
        "people": _number,
        "key": _hex(16),
        "library": _text,
    },
    "scope": {"account": _text, "provider": _text, "unreached": [{"what": _text, "why": _text}]},
    "person": {"person": _positive, "identifiers": [{"kind": _text, "hash": _hash, "asked": _flag}]},
    "found": {"account": _text, "person": _positive, "contacts": [_hash], "by": [_text]},
    "step": {
        "account": _text,
        "attempt": _positive,
        "begun_at": _time,
        "ended_at": _or_none(_time),
        "round": _number,
        "step": _number,
        "operation": _text,
        "contacts": _number,
        "touched": [_hash],
        "state": _text,
        "confirmed": _number,
        "absent": _number,
        "failed": _number,
        "unconfirmed": _number,
        "reasons": [_text],
        "jobs": [{"id": _text, "state": _text}],
        "exchanges": [EXCHANGE],
    },
    "jobs": {
        "account": _text,
        "at": _time,
        "round": _number,
        "jobs": [
            {
                "id": _text,
                "state": _text,
                "requested": _or_none(_number),
                "succeeded": _or_none(_number),
                "failed": _or_none(_number),
            }
        ],
        "exchanges": [EXCHANGE],
    },
    "read": {
        "account": _text,
        "at": _time,
        "round": _number,
        "path": _text,
        "asked": _number,
        "shown": [_hash],
        "error": _text,
        "exchanges": [EXCHANGE],
    },
    "result": {
        "account": _text,
        "person": _positive,
        "found": _number,
        "state": _state,
        "reason": _text,
        "identifiers": [{"kind": _text, "hash": _hash, "state": _state, "reason": _text}],
    },
    "end": {
        "run": _text,
        "state": _one_of(*END_STATES),
        "reason": _text,
        "ended_at": _time,
        **dict.fromkeys(STATES, _number),
        "seal": _hash,
        "signature": _text,
        "public_key": _text,
    },
}


def misfit(line: Any) -> str:
    """Return what is wrong with a parsed line, in words; empty if nothing is."""
    fields = cast("dict[str, Any]", line) if isinstance(line, dict) else {}
    if not COMMON_FIELDS.keys() <= fields.keys():
        return "it is not a line of a receipt"
    if not _shallow(fields, MAX_DEPTH):
        return "it is nested too deeply"
    if fields["type"] == "run" and fields.get("format") != FORMAT:
        return (
            f"its format is not {FORMAT}, the only one that is read; in format 1, neither the seal nor the signature "
            "covers how the run ended"
        )
    if not isinstance(fields["type"], str) or fields["type"] not in LINES:
        return "there is no such type of line"
    where = CHECKERS[fields["type"]](fields)
    return f"its field {where.lstrip('.')} is missing or is not of its type" if where else ""


def _checker(schema: Schema) -> Checker:
    match schema:
        case dict():
            fields = [(name, _checker(inner)) for name, inner in schema.items()]

            def check(value: Any) -> str | None:
                found = cast("dict[str, Any]", value)
                if not isinstance(value, dict):
                    return ""
                for name, inner in fields:
                    if (wrong := inner(found.get(name, ...))) is not None:
                        return f".{name}{wrong}"
                return None

        case list():
            item = _checker(schema[0])

            def check(value: Any) -> str | None:
                elements = cast("list[Any]", value)
                if not isinstance(value, list):
                    return ""
                for n, element in enumerate(elements):
                    if (wrong := item(element)) is not None:
                        return f"[{n}]{wrong}"
                return None

        case _:

            def check(value: Any) -> str | None:
                return None if schema(value) else ""

    return check


CHECKERS = {name: _checker(COMMON_FIELDS | fields) for name, fields in LINES.items()}


def _shallow(value: Any, levels: int) -> bool:
    fields, elements = cast("dict[str, Any]", value), cast("list[Any]", value)
    if not isinstance(value, (dict, list)):
        return True
    if levels <= 0:
        return False
    inner = fields.values() if isinstance(value, dict) else elements
    return all(_shallow(item, levels - 1) for item in inner if isinstance(item, (dict, list)))


def disagreements(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Yield contradictions between well-formed lines: the number of the line, and what is wrong.

    A receipt has one result for every person in every account, and its end says no more than these results.
    """
    run = lines[0]
    if run["type"] != "run":
        yield 1, "it does not name the run"
        return
    accounts = [item["account"] for item in run["accounts"]]
    if len(set(accounts)) != len(accounts):
        yield 1, "it names an account twice"
    people = {line["person"]: {i["hash"] for i in line["identifiers"]} for line in lines if line["type"] == "person"}
    if len(people) != run["people"] or sum(line["type"] == "person" for line in lines) != run["people"]:
        yield 1, "it is about another number of people"
    for n, line in enumerate(lines[1:], 2):
        if line["type"] == "run":
            yield n, "it begins another run"
        fields = LINES[line["type"]]
        if "account" in fields and line["account"] not in accounts:
            yield n, "the run is not about this account"
        if "person" in fields and line["person"] not in people:
            yield n, "the run is not about this person"
            return
    yield from _in_results(lines, accounts, people)
    yield from _in_end(lines, Counter(line["state"] for line in lines if line["type"] == "result"))


def _in_results(
    lines: Sequence[Line], accounts: Sequence[str], people: Mapping[int, set[str]]
) -> Iterator[tuple[int, str]]:
    answered: set[tuple[str, int]] = set()
    for n, line in enumerate(lines, 1):
        if line["type"] != "result":
            continue
        if (line["account"], line["person"]) in answered:
            yield n, "it is a second result for this person and account"
        answered.add((line["account"], line["person"]))
        hashes = {item["hash"] for item in line["identifiers"]}
        if not people[line["person"]] <= hashes:
            yield n, "it lacks some identifiers of this person"
        if line["state"] == "absent" and any(item["state"] != "absent" for item in line["identifiers"]):
            yield n, "it says absent, and its identifiers do not"
    if len(answered) != len(people) * len(accounts):
        yield len(lines), "not every person has a result in every account"


def _in_end(lines: Sequence[Line], counts: Counter[str]) -> Iterator[tuple[int, str]]:
    run, end = lines[0], lines[-1]
    if {name: end[name] for name in STATES} != {name: counts[name] for name in STATES}:
        yield len(lines), "its numbers are not those of the results"
    if end["run"] != run["run"]:
        yield len(lines), "it is the end of another run"
    left = counts["unknown"] + (0 if run["kind"] in READING_KINDS else counts["present"])
    if end["state"] == "done" and left:
        yield len(lines), "it says done, and the results do not"
