"""The format of a receipt: the fields of each type of line, and how the lines of one receipt must agree.

A schema is a check of one value, a list of one schema (an array of such values), or a dict of schemas (an object with
at least these fields). Other fields are allowed: the hash, the seal and the signature cover them too, and nothing here
reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self, cast

__all__ = ["END_STATES", "FORMAT", "LARGEST_INTEGER", "STATES", "Agreement", "misfit"]

FORMAT = 2
STATES = ("absent", "present", "unknown")
# Which states are what a run was to reach; ``absent`` unless its first line names another goal.
GOALS: Mapping[str, tuple[str, ...]] = {"absent": ("absent",), "present": ("present",), "known": ("absent", "present")}
END_STATES = ("done", "incomplete", "refused", "cancelled", "failed")
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
    match = re.compile(rf"[0-9a-f]{{{length}}}").fullmatch
    return lambda value: isinstance(value, str) and match(value) is not None


def _time(value: Any) -> bool:
    """Return whether this is a time with its zone that can be converted to UTC."""
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value).astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _optional(schema: Schema) -> Callable[[Any], bool]:
    """Return a check of a field that may be missing."""
    return lambda value: value is ... or _checker(schema)(value) is None


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
    "scope": {
        "account": _text,
        "provider": _text,
        "unreached": [{"what": _text, "why": _text}],
        "source": _optional(_text),
        "unsubscribed": _optional(_text),
        "losses": _optional([{"code": _text, "field": _text, "count": _number}]),
        "held": _optional([{"reason": _text, "count": _number}]),
        "non_idempotent": _optional([_text]),
    },
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
    "stage": {
        "account": _text,
        "at": _time,
        "round": _number,
        "stage": _positive,
        "operation": _text,
        "changes": _number,
        "verified": _number,
        "unmade": _number,
        "unknown": _number,
        "reasons": [_text],
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


def misfit(line: Any, nesting: int = MAX_DEPTH + 1) -> str:
    """Return what is wrong with a parsed line, in words; empty if nothing is.

    Args:
        line: The line.
        nesting: A number of levels that its nesting certainly does not exceed, if one is known.
    """
    fields = cast("dict[str, Any]", line) if isinstance(line, dict) else {}
    if not COMMON_FIELDS.keys() <= fields.keys():
        return "it is not a line of a receipt"
    if nesting > MAX_DEPTH and not _shallow(fields, MAX_DEPTH):
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
    if isinstance(schema, dict):
        return _object_checker(cast("dict[str, Any]", schema))
    if isinstance(schema, list):
        return _array_checker(_checker(cast("list[Any]", schema)[0]))
    return lambda value: None if schema(value) else ""


def _object_checker(schema: dict[str, Any]) -> Checker:
    plain = [(name, inner) for name, inner in schema.items() if not isinstance(inner, (dict, list))]
    nested = [(name, _checker(schema[name])) for name in schema if name not in dict(plain)]

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return ""
        get = cast("dict[str, Any]", value).get
        for name, fits in plain:
            if not fits(get(name, ...)):
                return f".{name}"
        for name, inner in nested:
            if (wrong := inner(get(name, ...))) is not None:
                return f".{name}{wrong}"
        return None

    return check


def _array_checker(item: Checker) -> Checker:
    def check(value: Any) -> str | None:
        elements = cast("list[Any]", value)
        if not isinstance(value, list):
            return ""
        for n, element in enumerate(elements):
            if (wrong := item(element)) is not None:
                return f"[{n}]{wrong}"
        return None

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


class Agreement:
    """Finds contradictions between well-formed lines, which it is shown one after the other.

    A receipt has one result for every person in every account, and its end says no more than these results. People are
    numbered from 1, in order, and the results of each account follow that order. So nothing is remembered of a person:
    their line is read a second time, next to each of their results.
    """

    def __init__(self, people: Callable[[], Iterator[Line]]) -> None:
        """Prepare.

        Args:
            people: Reads the lines of the people that were shown, from the first.
        """
        self._people = people
        self._found: dict[int, tuple[int, str]] = {}  # the first contradiction of each rank
        self._run: Line = {}
        self._accounts: dict[str, _Results] = {}
        self._lines = self._persons = 0
        self._states = Counter[str]()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what the lines of people were read from."""
        for results in self._accounts.values():
            results.close()

    def show(self, line: Line) -> None:
        """Take note of the next line."""
        self._lines += 1
        match line["type"]:
            case "run":
                self._begin(line)
            case "person":
                self._persons += 1
                if line["person"] != self._persons:
                    self._wrong(1, "its people are not numbered from 1, in order")
            case "result":
                self._states[line["state"]] += 1
            case "end":
                self._end(line)
            case _:
                pass
        fields = LINES[line["type"]]
        if "account" in fields and line["account"] not in self._accounts:
            self._wrong(2, "the run is not about this account")
        elif "person" in fields and line["person"] > self._persons:
            self._wrong(2, "the run is not about this person")
        elif line["type"] == "result":
            self._result(line)

    def first(self) -> tuple[int, str] | None:
        """Return the most telling contradiction: the number of the line, and what is wrong; None if there is none."""
        return self._found[min(self._found)] if self._found else None

    def _wrong(self, rank: int, what: str, line: int = 0) -> None:
        self._found.setdefault(rank, (line or self._lines, what))

    def _begin(self, run: Line) -> None:
        if self._lines > 1:
            self._wrong(2, "it begins another run")
            return
        self._run = run
        if _goal(run) not in GOALS:
            self._wrong(0, "its goal is not known")
        self._accounts = {item["account"]: _Results(self._people) for item in run["accounts"]}
        if len(self._accounts) != len(run["accounts"]):
            self._wrong(0, "it names an account twice")

    def _result(self, line: Line) -> None:
        results = self._accounts[line["account"]]
        if line["person"] < results.next:
            self._wrong(3, "it is a second result for this person and account, or not in order")
            return
        if not results.identifiers(line["person"]) <= {item["hash"] for item in line["identifiers"]}:
            self._wrong(3, "it lacks some identifiers of this person")
        gone = line["state"] == "absent" and _goal(self._run) == "absent"
        if gone and any(item["state"] != "absent" for item in line["identifiers"]):
            self._wrong(3, "it says absent, and its identifiers do not")

    def _end(self, end: Line) -> None:
        counts = self._states
        if not self._run:
            self._wrong(-1, "it does not name the run", 1)
            return
        if self._persons != self._run["people"]:
            self._wrong(0, "it is about another number of people", 1)
        if not all(results.complete(self._persons) for results in self._accounts.values()):
            self._wrong(4, "not every person has a result in every account")
        if {name: end[name] for name in STATES} != {name: counts[name] for name in STATES}:
            self._wrong(5, "its numbers are not those of the results")
        if end["run"] != self._run["run"]:
            self._wrong(5, "it is the end of another run")
        reached = GOALS.get(_goal(self._run), ())
        if end["state"] == "done" and sum(counts[state] for state in reached) != counts.total():
            self._wrong(5, "it says done, and the results do not")


def _goal(run: Line) -> str:
    """Return what a run was to reach; a goal that is no text is none that is known."""
    return str(run.get("goal", "absent"))


class _Results:
    """How far the results of one account got."""

    def __init__(self, people: Callable[[], Iterator[Line]]) -> None:
        self._people = people
        self._lines: Iterator[Line] = iter(())
        self.next = 1  # the person whose result is due
        self._gaps = False

    def identifiers(self, person: int) -> set[str]:
        """Go on to the result of this person, and return the hashes of their identifiers."""
        if self.next == 1:
            self._lines = self._people()
        self._gaps |= person > self.next
        for _ in range(person - self.next):
            next(self._lines)
        self.next = person + 1
        return {item["hash"] for item in next(self._lines)["identifiers"]}

    def close(self) -> None:
        """Read no more lines."""
        lines: Any = self._lines
        if isinstance(lines, Generator):
            lines.close()

    def complete(self, people: int) -> bool:
        """Return whether there was a result for each of so many people."""
        return self.next == people + 1 and not self._gaps
