"""People, changes and identifiers as sequences on disk: of any length, in little memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast, overload

import msgspec
from attrs import frozen
from cattrs import Converter

from contacts_core.models import Identifier, IdentifierKind
from contacts_core.plans.change import Change, DataSubject, Held, Suggestion, Unasked
from contacts_core.provider import flows
from contacts_core.storage.spool import Spool

__all__ = [
    "IDENTIFIERS",
    "Changes",
    "IdentifierTable",
    "PlanRows",
    "Rows",
    "elements",
    "from_row",
    "indexes_by_person",
    "indexes_of_contacts",
    "key_of",
    "to_row",
    "window",
]

T = TypeVar("T")

SCHEMA = """
    CREATE TABLE people (n INTEGER PRIMARY KEY, row NOT NULL);
    CREATE TABLE suggestions (n INTEGER PRIMARY KEY, row NOT NULL);
    CREATE TABLE changes (
        part INTEGER NOT NULL, n INTEGER NOT NULL, operation TEXT NOT NULL, contact TEXT NOT NULL, row NOT NULL,
        PRIMARY KEY (part, n)
    ) WITHOUT ROWID;
    CREATE INDEX changes_by_contact ON changes (part, contact);
    CREATE UNIQUE INDEX one_change_of_a_contact ON changes (part, operation, contact) WHERE contact <> '""';
    CREATE TABLE owners (
        part INTEGER NOT NULL, person INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (part, person, n)
    ) WITHOUT ROWID;
    CREATE TABLE unasked (part INTEGER NOT NULL, n INTEGER NOT NULL, row NOT NULL, PRIMARY KEY (part, n))
        WITHOUT ROWID;
    CREATE TABLE held (part INTEGER NOT NULL, n INTEGER NOT NULL, row NOT NULL, PRIMARY KEY (part, n)) WITHOUT ROWID;
"""
IDENTIFIERS = "CREATE TABLE identifiers (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row NOT NULL);"
KEPT_LINES = (b'{"type": "person", ', b'{"type": "change", ')
BATCH_SIZE = 500  # rows written, or values of one query


_ENCODER = json.JSONEncoder(separators=(",", ":"))
_encode = msgspec.json.Encoder().encode
_fallback = Converter()  # for half of a surrogate pair, which is no Unicode, so that msgspec refuses it


def to_row(value: Any) -> bytes | str:
    """Return a value as it is stored: as JSON."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_fallback.unstructure(value))


@cache
def _decoder(type_: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(type_).decode


def from_row(row: bytes | str, type_: type[T]) -> T:
    """Return the value that was stored."""
    if isinstance(row, str):
        return _fallback.structure(json.loads(row), type_)
    value: T = _decoder(cast("Any", type_))(row)
    return value


def key_of(identifier: Identifier) -> str:
    """Return a text that is equal for equal identifiers."""
    kind = identifier.kind
    return _ENCODER.encode([kind.value, identifier.key if kind is IdentifierKind.OTHER else "", identifier.normal])


class Rows(Sequence[T]):
    """A sequence that is read from disk row by row."""

    def __init__(
        self,
        spool: Spool,
        size: Callable[[], int],
        type_: type[T],
        table: str,
        part: int | None = None,
        first: int = 0,
    ) -> None:
        """Read rows from a spool.

        Args:
            spool: The database.
            size: Returns the number of rows.
            type_: Of the elements.
            table: It has the columns ``row`` and ``n``, which counts from 0.
            part: The value of the column ``part``, if the table has one.
            first: The row that the sequence begins with.
        """
        self._spool, self._size, self._type, self._first = spool, size, type_, first
        self._query = f"SELECT n, row FROM {table} WHERE {'' if part is None else f'part = {part:d} AND '}"  # noqa: S608

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._size()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return an element, or several as a tuple."""
        length = len(self)
        if isinstance(index, slice):
            numbers = range(*index.indices(length))
            if numbers.step == 1:
                return tuple(self._between(numbers.start, numbers.stop))
            return tuple(self[n] for n in numbers)
        n = index + length if index < 0 else index
        if not 0 <= n < length:
            raise IndexError(index)
        return next(self._between(n, n + 1))

    def __iter__(self) -> Iterator[T]:
        """Iterate over the elements."""
        return self._between(0, len(self))

    def _between(self, first: int, end: int) -> Iterator[T]:
        query = f"{self._query}n >= ? AND n < ? ORDER BY n"
        rows = self._spool.scan(query, first + self._first, end + self._first)
        return (from_row(row, self._type) for _, row in rows)

    def at(self, indexes: Iterable[int]) -> dict[int, T]:
        """Return the elements at these indexes, by index, without those that are out of range."""
        found: dict[int, T] = {}
        wanted = (n + self._first for n in indexes if 0 <= n < len(self))
        for chunk in flows.chunks(wanted, BATCH_SIZE):
            rows = self._spool.rows(f"{self._query}n IN ({_marks(chunk)}) ORDER BY n", *chunk)
            found |= {n - self._first: from_row(row, self._type) for n, row in rows}
        return found

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence, element by element."""
        if not isinstance(other, (Rows, tuple, list)):
            return NotImplemented
        same = cast("Sequence[Any]", other)
        return len(self) == len(same) and all(mine == its for mine, its in zip(self, same, strict=True))

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(len(self))

    def __repr__(self) -> str:
        """Show only how many there are, because they are personal data."""
        return f"<{len(self)} rows>"


class Changes(Rows[Change]):
    """The changes of one account, with indexes for what is looked for."""

    def __init__(self, spool: Spool, part: int, size: Callable[[], int], first: int = 0) -> None:
        """Read the changes of one account, from one on; ``part`` is its position in the plan."""
        super().__init__(spool, size, Change, "changes", part, first)
        self._part = part

    def window(self, first: int, count: int) -> Changes:
        """Return some of these changes that follow one another, without reading them."""
        return Changes(self._spool, self._part, lambda: count, self._first + first)

    @property
    def _bounds(self) -> tuple[int, int]:
        return self._first, self._first + len(self)

    def by_person(self, people: Collection[int]) -> dict[int, list[int]]:
        """Return the indexes of the changes of these people, by the person's number."""
        found: dict[int, list[int]] = {}
        for chunk in flows.chunks(list(people), BATCH_SIZE):
            query = (
                f"SELECT person, n FROM owners WHERE part = ? AND person IN ({_marks(chunk)}) "  # noqa: S608
                "AND n >= ? AND n < ? ORDER BY person, n"
            )
            for person, n in self._spool.rows(query, self._part, *chunk, *self._bounds):
                found.setdefault(person, []).append(n - self._first)
        return found

    def by_contact(self, ids: Collection[str]) -> dict[str, int]:
        """Return the indexes of the changes of these contacts, by id."""
        found: dict[str, int] = {}
        for chunk in flows.chunks(list(ids), BATCH_SIZE):
            query = (
                f"SELECT contact, n FROM changes WHERE part = ? AND contact IN ({_marks(chunk)}) "  # noqa: S608
                "AND n >= ? AND n < ?"
            )
            rows = self._spool.rows(query, self._part, *map(_ENCODER.encode, chunk), *self._bounds)
            found |= {json.loads(contact): n - self._first for contact, n in rows}
        return found


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def window(changes: Sequence[Change], first: int, count: int) -> Sequence[Change]:
    """Return some changes that follow one another, without reading them."""
    if isinstance(changes, Changes):
        return changes.window(first, count)
    return changes[first : first + count]


def elements(sequence: Sequence[T], indexes: Iterable[int]) -> dict[int, T]:
    """Return the elements at these indexes, by index, without those that are out of range."""
    if isinstance(sequence, Rows):
        rows: Rows[T] = sequence
        return rows.at(indexes)
    return {n: sequence[n] for n in sorted(set(indexes)) if 0 <= n < len(sequence)}


def indexes_by_person(changes: Sequence[Change], people: Collection[int]) -> dict[int, list[int]]:
    """Return the indexes of the changes of these people, by the person's number."""
    if isinstance(changes, Changes):
        return changes.by_person(people)
    found: dict[int, list[int]] = {}
    for n, change in enumerate(changes):
        for number in change.people:
            if number in people:
                found.setdefault(number, []).append(n)
    return found


def indexes_of_contacts(changes: Sequence[Change], ids: Collection[str]) -> dict[str, int]:
    """Return the indexes of the changes of these contacts, by id."""
    if isinstance(changes, Changes):
        return changes.by_contact(ids)
    return {change.contact: n for n, change in enumerate(changes) if change.contact in ids}


@frozen
class _Pending:
    """Rows of one table that are not written yet."""

    statement: str
    rows: list[tuple[Any, ...]]


class _Line(msgspec.Struct):
    """What is needed of a line of a plan's file to keep the line itself as a row; rows ignore its type and account."""

    type: str
    account: str = msgspec.field(name="in", default="")
    operation: str = ""
    contact: str = ""
    list_id: str = ""
    people: tuple[int, ...] = ()


_decode_line = msgspec.json.Decoder(_Line).decode


class PlanRows:
    """Where the rows of a plan are written, in order. What was added can be read at once."""

    def __init__(self) -> None:
        self._spool = Spool(SCHEMA)
        self._counts: dict[tuple[str, int], int] = {}
        self._pending: dict[str, _Pending] = {}

    def add_person(self, person: DataSubject) -> None:
        """Add the next person."""
        self._add("people", "?, ?", (self._next("people"), to_row(person)))

    def add_suggestion(self, suggestion: Suggestion) -> None:
        """Add the next suggestion."""
        self._add("suggestions", "?, ?", (self._next("suggestions"), to_row(suggestion)))

    def add_unasked(self, part: int, unasked: Unasked) -> None:
        """Add the next identifier that an account cannot look up."""
        self._add("unasked", "?, ?, ?", (part, self._next("unasked", part), to_row(unasked)))

    def add_held(self, part: int, held: Held) -> None:
        """Add the next contact that an account's part of the plan leaves alone."""
        self._add("held", "?, ?, ?", (part, self._next("held", part), to_row(held)))

    def add_change(self, part: int, change: Change) -> None:
        """Add the next change of an account.

        Raises:
            ValueError: There is a change of this contact already. It may also be raised later.
        """
        self._add_change(part, change, to_row(change))

    def add_line(self, text: bytes, parts: Mapping[str, int]) -> bool:
        """Add a person or a change from its line in a plan's file, which is kept as it is.

        Return False, and add nothing, if it is of another type, or has to be decoded.

        Args:
            text: A line of a file that nobody but this library wrote.
            parts: The position of each account.
        """
        if not text.startswith(KEPT_LINES) or b"\\u" in text:  # perhaps half of a surrogate pair
            return False
        line = _decode_line(text)
        if line.type == "person":
            self._add("people", "?, ?", (self._next("people"), text))
        else:
            self._add_change(parts[line.account], line, text)
        return True

    def _add_change(self, part: int, change: Change | _Line, row: bytes | str) -> None:
        n = self._next("changes", part)
        operation = f"{change.operation} {change.list_id}" if change.list_id else change.operation
        self._add("changes", "?, ?, ?, ?, ?", (part, n, operation, _ENCODER.encode(change.contact), row))
        for person in dict.fromkeys(change.people):
            self._add("owners", "?, ?, ?", (part, person, n))

    def _next(self, table: str, part: int = 0) -> int:
        n = self._counts.get((table, part), 0)
        self._counts[table, part] = n + 1
        return n

    def _add(self, table: str, marks: str, row: tuple[Any, ...]) -> None:
        if (pending := self._pending.get(table)) is None:
            statement = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - both are ours
            pending = self._pending[table] = _Pending(statement, [])
        pending.rows.append(row)
        if len(pending.rows) >= BATCH_SIZE:
            self._flush(pending)

    def _flush(self, pending: _Pending) -> None:
        rows, pending.rows[:] = list(pending.rows), []
        try:
            self._spool.write(pending.statement, rows)
        except sqlite3.IntegrityError:
            raise ValueError("a contact is listed twice") from None
        except OverflowError:
            raise ValueError("a number is too large") from None

    def flush(self) -> None:
        """Write what is pending.

        Raises:
            ValueError: An account has two changes of one contact.
        """
        for pending in self._pending.values():
            self._flush(pending)

    def _size(self, table: str, part: int = 0) -> Callable[[], int]:
        return lambda: self._counts.get((table, part), 0)

    @property
    def people(self) -> Rows[DataSubject]:
        """The people that were added."""
        return Rows(self._spool, self._size("people"), DataSubject, "people")

    @property
    def suggestions(self) -> Rows[Suggestion]:
        """The suggestions that were added."""
        return Rows(self._spool, self._size("suggestions"), Suggestion, "suggestions")

    def unasked(self, part: int) -> Rows[Unasked]:
        """Return the identifiers that were added to an account."""
        return Rows(self._spool, self._size("unasked", part), Unasked, "unasked", part)

    def held(self, part: int) -> Rows[Held]:
        """Return the contacts that are left alone in an account."""
        return Rows(self._spool, self._size("held", part), Held, "held", part)

    def changes(self, part: int) -> Changes:
        """Return the changes that were added to an account."""
        return Changes(self._spool, part, self._size("changes", part))


class IdentifierTable(Rows[Identifier]):
    """Different identifiers, in the order in which they were added."""

    def __init__(self, identifiers: Iterable[Identifier] = (), spool: Spool | None = None) -> None:
        """Add these identifiers; a ``spool`` that is given has the table already."""
        self._count = 0
        super().__init__(spool or Spool(IDENTIFIERS), lambda: self._count, Identifier, "identifiers")
        for identifier in identifiers:
            self.add(identifier)

    def add(self, identifier: Identifier) -> int:
        """Add an identifier, if it is new. Return its index."""
        key = key_of(identifier)
        known = self._spool.one("SELECT n FROM identifiers WHERE key = ?", key)
        if known:
            return int(known[0])
        self._spool.write("INSERT INTO identifiers VALUES (?, ?, ?)", [(self._count, key, to_row(identifier))])
        self._count += 1
        return self._count - 1

    def find(self, identifier: Identifier) -> int | None:
        """Return the index of an identifier, or None."""
        known = self._spool.one("SELECT n FROM identifiers WHERE key = ?", key_of(identifier))
        return int(known[0]) if known else None

    def __contains__(self, identifier: object) -> bool:
        """Return whether it was added."""
        return isinstance(identifier, Identifier) and self.find(identifier) is not None
