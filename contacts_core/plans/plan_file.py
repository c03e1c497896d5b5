"""The file of a plan: JSON Lines, written and read as a stream.

The first line is the head: what kind of plan it is, and what is known of each account. Then one line for each person,
each suggestion, and, account by account, each change, each identifier that could not be looked up, each contact that is
left alone, and each step. The
last line has the numbers of people and changes, and the checksum: SHA-256 over all lines before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

import msgspec
from attrs import evolve
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from contacts_core.errors import PlanRefused
from contacts_core.formats.pieces import split_lines
from contacts_core.models import Identifier
from contacts_core.plans.change import Change, DataSubject, Held, Suggestion, Unasked
from contacts_core.plans.model import FORMAT, AccountPlan, ConsentSource, Plan, Step
from contacts_core.plans.rows import PlanRows

__all__ = ["checksum_of", "lines_of", "parse", "spelled"]

T = TypeVar("T")

PIECE_SIZE = 2**16  # bytes read at once
LONGEST_LINE = 16 * 2**20  # bytes; a line holds one person, one change, or the head
NEW_PLAN = "make a new plan instead"
_SPELLING = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def spelled(line: Mapping[str, Any]) -> bytes:
    """Return a line in the one spelling that checksums are computed of."""
    return _SPELLING.encode(line).encode() + b"\n"


def checksum_of(plan: Plan) -> str:
    """Return the checksum of a plan."""
    digest = hashlib.sha256()
    for line in _lines(plan):
        digest.update(spelled(line))
    return digest.hexdigest()


def lines_of(plan: Plan) -> Iterator[str]:
    """Yield the lines of the plan's file."""
    for line in _lines(plan):
        yield _readable(line)
    yield _readable(_end(plan.checksum, len(plan.people), plan.contacts))


def _end(checksum: str, people: int, changes: int) -> dict[str, Any]:
    return {"type": "end", "people": people, "changes": changes, "checksum": checksum}


def _readable(line: Mapping[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which some vendors send and no file can hold
        text = json.dumps(line)
    return text + "\n"


def _lines(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield every line but the last."""
    yield {"type": "plan", "format": FORMAT, **_plain(plan)}
    for person in plan.people:
        yield {"type": "person", **_plain(person)}
    for suggestion in plan.suggestions:
        yield {"type": "suggestion", **_plain(suggestion)}
    for part in plan.accounts:
        for change in part.changes:
            yield {"type": "change", "in": part.account, **_plain(change)}
        for unasked in part.unasked:
            yield {"type": "unasked", "in": part.account, **_plain(unasked)}
        for held in part.held:
            yield {"type": "held", "in": part.account, **_plain(held)}
        for step in part.steps:
            yield {"type": "step", "in": part.account, **_plain(step)}


def _plain(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", _converter.unstructure(value))


# -- reading -----------------------------------------------------------------------------------------------------------


def parse(pieces: BinaryIO | Iterable[bytes], *, agreed: bool = False) -> Plan:
    """Return the plan of an open file, or of pieces of one. `Plan.agree` is left to the caller.

    Args:
        pieces: The file.
        agreed: Whether nobody can have written it but this library, so that its values and its sum are not checked.

    Raises:
        PlanRefused: It is not a plan, or was altered since it was made.
    """
    if read := getattr(pieces, "read", None):  # not by its lines, for one may be as long as the file
        pieces = iter(partial(read, PIECE_SIZE), b"")
    reader = _Reader(agreed=agreed)
    try:
        for line in split_lines(pieces, LONGEST_LINE):
            reader.take(line)
    except ValueError as error:
        raise _not_a_plan(str(error)) from None
    return reader.plan()


class _Reader:
    """Takes line after line; what there may be many of goes to disk."""

    def __init__(self, *, agreed: bool) -> None:
        self.number = 0
        self._agreed = agreed
        self._digest = hashlib.sha256()
        self._rows = PlanRows()
        self._head: Plan | None = None
        self._end: dict[str, Any] | None = None
        self._steps: dict[int, list[Step]] = {}
        self._parts: dict[str, int] = {}
        self._place = (NO_ACCOUNT, 0)  # of the last line: account, and type within it

    def take(self, text: bytes) -> None:
        """Take the next line."""
        self.number += 1
        is_inside = self._head is not None and self._end is None
        if self._agreed and is_inside and self._rows.add_line(text, self._parts):
            return
        line = self._parsed(text)
        if self._end is not None:
            raise _not_a_plan("there are lines after its end")
        what = line.get("type")
        if what == "end":
            self._end = line
            return
        if not self._agreed:
            self._digest.update(spelled(line))
        fields = {name: value for name, value in line.items() if name not in {"type", "in"}}
        if self._head is None:
            self._begin(line, fields)
            return
        part = self._part(line, what)
        try:
            match what:
                case "person":
                    self._rows.add_person(self._structured(fields, DataSubject))
                case "suggestion":
                    self._rows.add_suggestion(self._structured(fields, Suggestion))
                case "change":
                    self._rows.add_change(part, self._structured(fields, Change))
                case "unasked":
                    self._rows.add_unasked(part, self._structured(fields, Unasked))
                case "held":
                    self._rows.add_held(part, self._structured(fields, Held))
                case _:
                    self._steps.setdefault(part, []).append(self._structured(fields, Step))
        except ValueError as error:
            raise _contradiction(str(error)) from None

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError  # noqa: TRY301, TRY004 - as any other line that is none of a plan
        except (ValueError, RecursionError):
            if self._head is None:
                raise _earlier() from None
            raise _not_a_plan(f"line {self.number} is not a JSON object") from None
        return cast("dict[str, Any]", line)

    def _begin(self, line: Mapping[str, Any], fields: dict[str, Any]) -> None:
        known = fields.pop("format", None)
        if line.get("type") != "plan" or known != FORMAT:
            raise _later(known) if type(known) is int and known > FORMAT else _earlier()
        self._head = self._structured(fields, Plan)
        self._parts = {part.account: n for n, part in enumerate(self._head.accounts)}
        if len(self._parts) < len(self._head.accounts):
            raise _contradiction("it names an account twice")

    def _part(self, line: Mapping[str, Any], what: Any) -> int:
        """Return the position of the account that a line is about, or ``NO_ACCOUNT``. Lines have one order."""
        if what not in TYPES:
            raise _not_a_plan(f"line {self.number} is of no type that is known")
        part: int | None = NO_ACCOUNT
        if what in OF_ACCOUNTS:
            name = line.get("in")
            part = self._parts.get(name) if isinstance(name, str) else None
        if part is None or ("in" in line) != (what in OF_ACCOUNTS):
            raise _not_a_plan(f"line {self.number} is about no account of the plan")
        place = (part, TYPES.index(what))
        if place < self._place:
            raise _not_a_plan(f"line {self.number} is out of order")
        self._place = place
        return part

    def _structured(self, fields: dict[str, Any], type_: type[T]) -> T:
        try:
            value = msgspec.convert(fields, type_) if type_ in ROWS else _converter.structure(fields, type_)
            if self._agreed or _converter.unstructure(value) == fields:
                return value
            reason = "a value is not of its type, or has no meaning here"
        except Exception:  # noqa: BLE001 - cattrs raises whatever the hooks raise
            reason = _explained(fields, type_)
        raise _not_a_plan(f"line {self.number}: {reason}")

    def plan(self) -> Plan:
        """Return the plan, once every line was taken."""
        if self._head is None:
            raise _earlier()
        if self._end is None:
            raise _not_a_plan("its end is missing")
        try:
            self._rows.flush()
        except ValueError as error:
            raise _contradiction(str(error)) from None
        accounts = tuple(
            evolve(
                part,
                changes=self._rows.changes(n),
                unasked=self._rows.unasked(n),
                held=self._rows.held(n),
                steps=tuple(self._steps.get(n, ())),
            )
            for n, part in enumerate(self._head.accounts)
        )
        checksum = str(self._end.get("checksum")) if self._agreed else self._digest.hexdigest()
        plan = evolve(
            self._head,
            people=self._rows.people,
            suggestions=self._rows.suggestions,
            accounts=accounts,
            checksum=checksum,
        )
        if self._end.get("checksum") != checksum:
            raise PlanRefused("the plan was altered since it was made: its checksum differs", hint=NEW_PLAN)
        if self._end != _end(checksum, len(plan.people), plan.contacts):
            raise _contradiction("its numbers differ from its lines")
        return plan


ROWS = (DataSubject, Suggestion, Change, Unasked, Held, Step)
OF_ACCOUNTS = ("change", "unasked", "held", "step")
TYPES = ("person", "suggestion", *OF_ACCOUNTS)
NO_ACCOUNT = -1


def _earlier() -> PlanRefused:
    return PlanRefused(
        "this is not a plan, or one of another version",
        hint="make a new plan: plans of earlier versions are one JSON document, and are not read any more",
    )


def _later(known: int) -> PlanRefused:
    return PlanRefused(
        f"this plan has format {known}, and this version of the library reads format {FORMAT}",
        hint="upgrade contacts-core to the version that made it, or make a new plan here",
    )


def _contradiction(reason: str) -> PlanRefused:
    return PlanRefused(f"the plan contradicts itself: {reason}", hint=NEW_PLAN)


def _not_a_plan(reason: str) -> PlanRefused:
    return PlanRefused(f"this is not a plan: {reason}", hint=NEW_PLAN)


def _explained(fields: Mapping[str, Any], type_: type[Any]) -> str:
    """Return what is wrong with the fields of a line, in words."""
    try:
        _strict.structure(fields, type_)
    except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever the hooks raised
        return "; ".join(transform_error(error))
    return "a value is not of its type"


def _make_converter(*, detailed: bool) -> Converter:
    new = Converter(detailed_validation=detailed, forbid_extra_keys=True)
    new.register_unstructure_hook(datetime, datetime.isoformat)
    new.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    rows: Mapping[type[Any], Sequence[str]] = {
        AccountPlan: ("changes", "steps", "unasked", "held"),
        Plan: ("people", "suggestions", "checksum"),
    }
    compacts: Sequence[type[Any]] = (Identifier, *ROWS, ConsentSource, AccountPlan, Plan)
    for compact in compacts:
        left_out: dict[str, Any] = {name: override(omit=True) for name in rows.get(compact, ())}
        omit = compact not in rows
        new.register_unstructure_hook(
            compact, make_dict_unstructure_fn(compact, new, _cattrs_omit_if_default=omit, **left_out)
        )
        new.register_structure_hook(
            compact,
            make_dict_structure_fn(
                compact,
                new,
                _cattrs_forbid_extra_keys=True,
                _cattrs_detailed_validation=detailed,
                **left_out,
            ),
        )
    return new


_converter = _make_converter(detailed=False)
_strict = _make_converter(detailed=True)
