"""Reading and changing contacts, lists and fields, each in a transaction of its own."""

# There are no flows here, and most statements have no result.
# pyright: reportUnusedCallResult=false

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from contacts_core.errors import InvalidInput, NotFound, Rejected
from contacts_core.models import (
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    Outcome,
    Page,
    changed,
    value_type,
)
from contacts_core.provider import absent, combined, done, failed
from contacts_local import mapping
from contacts_local.mapping import NAME, Name, Row
from contacts_local.payloads import encode
from contacts_local.search import Condition

__all__ = ["Changes"]

LISTS = "(SELECT group_concat(list, char(31)) FROM member WHERE member.contact = contact.n)"
COLUMNS = f"id, data, created_at, updated_at, {LISTS}"
SELECT = f"SELECT {COLUMNS} FROM contact"
NUMBERED = f"SELECT n, {COLUMNS} FROM contact"
IN_JSON = "(SELECT value FROM json_each(?))"  # any number of values in one statement that is always the same
OWNERS = f"SELECT normal, contact FROM identifier WHERE kind = ? AND key = ? AND normal IN {IN_JSON}"
CHANGED = (  # a contact that did not change since it was added is not in the log
    "SELECT n AS version, id AS contact, 0 AS gone FROM contact WHERE n > ? AND contact.version = n"
    " UNION ALL SELECT version, contact, gone FROM change WHERE version > ? ORDER BY 1 LIMIT ?"
)
NOTE_FIELD = (
    "INSERT INTO field VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
    " SET type = CASE WHEN type = excluded.type THEN type ELSE 'other' END"
)


@frozen
class Changes:
    """What has changed since a version.

    Attributes:
        account: The id of the file, as `Provider.account_id` returns it. Versions of another file mean nothing.
        version: Where to go on: pass it as ``since`` next time.
        contacts: Contacts that are new or different, as they are now, in the order of their last change.
        gone: Ids of contacts that were deleted.
        more: Whether there are further changes now.
    """

    account: str
    version: int
    contacts: tuple[Contact, ...]
    gone: tuple[str, ...]
    more: bool


def account(db: sqlite3.Connection) -> str:
    """Return the id of the file."""
    return str(db.execute("SELECT id FROM file").fetchone()[0])


# -- reading


def page(db: sqlite3.Connection, list_id: str | None, after: int, size: int) -> Page[Contact]:
    """Read contacts in the order in which they were added, those behind the number of the last one read."""
    members = "" if list_id is None else "AND n IN (SELECT contact FROM member WHERE list = ?)"
    rows = db.execute(
        f"{NUMBERED} WHERE n > ? {members} ORDER BY n LIMIT ?",
        [after, *([] if list_id is None else [list_id]), size],
    ).fetchall()
    return Page([mapping.contact(*row[1:]) for row in rows], str(rows[-1][0]) if len(rows) == size else None)


def by_id(db: sqlite3.Connection, ids: Sequence[str]) -> list[Contact]:
    """Read contacts by id, without those that do not exist."""
    return [mapping.contact(*row) for row in db.execute(f"{SELECT} WHERE id IN {IN_JSON}", [_json(ids)])]


def find(db: sqlite3.Connection, identifiers: Sequence[Identifier]) -> list[tuple[Identifier, Contact | str]]:
    """Look identifiers of one kind up by their normal form."""
    wanted = {each.normal: each for each in identifiers}
    owners = db.execute(OWNERS, [*_kind(identifiers[0]), _json(wanted)]).fetchall()
    contacts = _by_number(db, {number for _, number in owners})
    return [(wanted[normal], contacts[number]) for normal, number in owners]


def _by_number(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, Contact]:
    rows = db.execute(f"{NUMBERED} WHERE n IN {IN_JSON}", [encode(list(numbers)).decode()])
    return {row[0]: mapping.contact(*row[1:]) for row in rows}


def search(db: sqlite3.Connection, condition: Condition) -> list[Contact]:
    """Read the contacts that meet a condition; SQL of the caller's cannot change anything.

    Raises:
        InvalidInput: SQLite does not understand the SQL of the caller's.
    """
    statement = f"{SELECT} WHERE {condition.sql} ORDER BY n"
    if not condition.raw:
        return [mapping.contact(*row) for row in db.execute(statement, condition.values)]
    db.execute("PRAGMA query_only = ON")
    try:
        return [mapping.contact(*row) for row in db.execute(statement, condition.values)]
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise InvalidInput(
            f"SQLite does not understand the query ({type(error).__name__})", hint="write a condition of SQL"
        ) from None
    finally:
        db.execute("PRAGMA query_only = OFF")


def count(db: sqlite3.Connection) -> int:
    """Count the contacts."""
    return int(db.execute("SELECT count(*) FROM contact").fetchone()[0])


def changes(db: sqlite3.Connection, since: int, most: int) -> Changes:
    """Read what has changed since a version.

    Raises:
        InvalidInput: The file has never reached that version.
    """
    identity, latest = db.execute("SELECT id, version FROM file").fetchone()
    if not 0 <= since <= latest:
        raise InvalidInput(
            f"the file is at version {latest}, and never was at {since}",
            hint="it may have been replaced by an older copy; read everything, from version 0",
        )
    rows = db.execute(CHANGED, [since, since, most + 1]).fetchall()
    shown, more = rows[:most], len(rows) > most
    found = {contact.id: contact for contact in by_id(db, [row[1] for row in shown if not row[2]])}
    return Changes(
        account=identity,
        version=shown[-1][0] if more else latest,
        contacts=tuple(found[row[1]] for row in shown if not row[2]),
        gone=tuple(row[1] for row in shown if row[2]),
        more=more,
    )


# -- changing contacts


class Log:
    """The versions of one transaction.

    A contact that is added has no row in the log: its number is the version at which that was.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        """Go on from the last version that was given to a change."""
        self._db = db
        self.version: int = db.execute("SELECT version FROM file").fetchone()[0]
        self._before = self.version
        self.now = mapping.microseconds(datetime.now(UTC))
        self._rows: list[Row] = []
        self._earlier: list[Row] = []

    def add(self, before: int | None = None) -> int:
        """Give the next version to a contact that is added; ``before`` is the one at which its id was deleted."""
        self.version += 1
        if before is not None:
            self._earlier.append((before,))
        return self.version

    def note(self, contact_id: str, *, before: int, gone: bool = False) -> int:
        """Give the next version to a change of a contact; ``before`` is the version of its last one."""
        self.version += 1
        self._rows.append((self.version, contact_id, gone))
        self._earlier.append((before,))
        return self.version

    def write(self) -> None:
        """Write the log."""
        if self._earlier:
            self._db.executemany("DELETE FROM change WHERE version = ?", self._earlier)
        if self._rows:
            self._db.executemany("INSERT INTO change VALUES (?, ?, ?)", self._rows)
        if self.version != self._before:
            self._db.execute("UPDATE file SET version = ?", [self.version])


def upsert(db: sqlite3.Connection, contacts: Sequence[Contact], lists: Sequence[str]) -> Outcome:
    """Change contacts that exist, by id or identifier, and create the others."""
    _check_lists(db, lists)
    named = [mapping.names(contact.identifiers) for contact in contacts]
    numbers = _owners(db, named)
    ids = [contact.id for contact in contacts if contact.provider == NAME and contact.id]
    by_given_id = _numbers(db, ids) if ids else {}
    known = {*by_given_id.values(), *(number for each in numbers.values() for number in each)}
    before = _by_number(db, known) if known else {}
    writer, log = Writer(db), Log(db)
    outcomes: list[Outcome] = []
    written: list[str] = []
    for contact, names in zip(contacts, named, strict=True):
        owners = {number for name in names for number in numbers.get(name, ())} if numbers else set[int]()
        if contact.provider == NAME and contact.id in by_given_id:
            owners = {by_given_id[contact.id]}
            theirs = before[by_given_id[contact.id]].identifiers
            if theirs and names and not {*names}.intersection(mapping.names(theirs)):
                reason = "not sent: the contact with this id has none of these identifiers"
                outcomes.append(failed(contact.display_id, reason))
                continue
        if len(owners) > 1:
            reason = f"not sent: {len(owners)} contacts have its identifiers; give the id of one of them"
            outcomes.append(failed(contact.display_id, reason))
            continue
        try:
            if owners:
                (number,) = owners
                after = mapping.merged(before[number], contact)
                written.append(writer.change(log, number, before[number], after, lists))
            else:
                written.append(writer.add(log, writer.new_id(), contact, names, lists))
        except InvalidInput as error:
            outcomes.append(failed(contact.display_id, f"not sent: {error}"))
    writer.write()
    log.write()
    return combined([done(written), *outcomes])


class Writer:
    """The rows of new and changed contacts of one transaction, written together."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Collect what is written by `write`."""
        self._db = db
        self._prefix = secrets.token_hex(8)  # new ids are unique among all files: they may be written to another one
        self._made = 0
        self._new: list[Row] = []
        self._changed: list[Row] = []
        self._indexed: list[Row] = []
        self._unindexed: list[Row] = []
        self._members: list[Row] = []
        self._left: list[Row] = []
        self._fields: dict[str, FieldType] = {}

    def new_id(self) -> str:
        """Return an id that no contact has."""
        self._made += 1
        return f"{self._prefix}{self._made:08x}"

    def add(
        self,
        log: Log,
        contact_id: str,
        contact: Contact,
        names: Sequence[Name],
        lists: Iterable[str],
        times: tuple[int | None, int | None] | None = None,
        before: int | None = None,
    ) -> str:
        """Add a contact.

        Args:
            log: The versions of this transaction.
            contact_id: Its id.
            contact: The contact as it was given.
            names: `mapping.names` of its identifiers.
            lists: The lists that it is on.
            times: When it was created and changed; now, if not given.
            before: The version at which a contact with this id was deleted.

        Raises:
            InvalidInput: A value cannot be written.
        """
        if len(names) > 1 or contact.custom:
            contact = mapping.without_repetition(contact, names)
            names = names if len(names) == len(contact.identifiers) else mapping.names(contact.identifiers)
        data = mapping.row(contact)
        version = log.add(before)
        self._new.append((version, contact_id, version, data, *(times or (log.now, log.now))))
        self._indexed += mapping.index_rows(contact.identifiers, names, version)
        if lists:
            self._members += [(list_id, version) for list_id in lists]
        if contact.custom:
            self._note_fields(contact)
        return contact_id

    def change(
        self,
        log: Log,
        number: int,
        before: Contact,
        after: Contact,
        lists: Sequence[str],
        updated_at: int | None = None,
        *,
        exactly: bool = False,
    ) -> str:
        """Write what is different; if nothing is, nothing is written.

        Args:
            log: The versions of this transaction.
            number: Which contact it is.
            before: The contact as it is.
            after: The contact as it is to be.
            lists: Lists to put it on.
            updated_at: When it was changed; now, if not given.
            exactly: Whether to take it off all other lists.

        Raises:
            InvalidInput: A value cannot be written.
        """
        on = before.lists or ()
        joined = [list_id for list_id in lists if list_id not in on]
        left = [list_id for list_id in on if list_id not in lists] if exactly else []
        data = mapping.row(after)
        same = data == mapping.row(before)
        if same and not (joined or left):
            return before.id
        version = log.note(before.id, before=_version(self._db, number))
        if same:
            updated_at = mapping.microseconds(before.updated_at) if before.updated_at else None
        self._changed.append((version, data, updated_at if same else updated_at or log.now, number))
        if before.identifiers is not after.identifiers:
            self._unindexed += _index_entries(before, number)
            self._indexed += mapping.index_rows(after.identifiers, mapping.names(after.identifiers), number)
        self._members += [(list_id, number) for list_id in joined]
        self._left += [(list_id, number) for list_id in left]
        self._note_fields(after)
        return before.id

    def _note_fields(self, contact: Contact) -> None:
        for name, value in contact.custom.items():
            if (type_ := value_type(value)) is not None:
                known = self._fields.setdefault(name, type_)
                self._fields[name] = type_ if known is type_ else FieldType.OTHER

    def write(self) -> None:
        """Write what was collected."""
        for statement, rows in (
            ("INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?)", self._new),
            ("UPDATE contact SET version = ?, data = ?, updated_at = ? WHERE n = ?", self._changed),
            ("DELETE FROM identifier WHERE kind = ? AND key = ? AND normal = ? AND contact = ?", self._unindexed),
            ("INSERT INTO identifier VALUES (?, ?, ?, ?, ?)", sorted(self._indexed)),
            ("INSERT OR IGNORE INTO member VALUES (?, ?)", self._members),
            ("DELETE FROM member WHERE list = ? AND contact = ?", self._left),
            (NOTE_FIELD, [(name, type_.value) for name, type_ in self._fields.items()]),
        ):
            if rows:
                self._db.executemany(statement, rows)


def _index_entries(contact: Contact, number: int) -> list[Row]:
    return [(*name, number) for name in mapping.names(contact.identifiers)]


def delete(db: sqlite3.Connection, ids: Sequence[str]) -> Outcome:
    """Delete contacts, and return their last copies."""
    numbers = _numbers(db, ids)
    contacts = _by_number(db, numbers.values())
    _remove(db, contacts)
    gone = [contact_id for contact_id in ids if contact_id in numbers]
    missing = [contact_id for contact_id in ids if contact_id not in numbers]
    return combined([done(gone, deleted=list(contacts.values())), absent(missing)])


def _remove(db: sqlite3.Connection, contacts: Mapping[int, Contact]) -> None:
    log = Log(db)
    for number, contact in contacts.items():
        _ = log.note(contact.id, before=_version(db, number), gone=True)
        db.executemany(
            "DELETE FROM identifier WHERE kind = ? AND key = ? AND normal = ? AND contact = ?",
            _index_entries(contact, number),
        )
    db.executemany("DELETE FROM member WHERE contact = ?", [(number,) for number in contacts])
    db.executemany("DELETE FROM contact WHERE n = ?", [(number,) for number in contacts])
    log.write()


def delete_all(db: sqlite3.Connection) -> Outcome:
    """Delete every contact."""
    number = count(db)
    log = Log(db)
    for contact_id, version in db.execute("SELECT id, version FROM contact ORDER BY n").fetchall():
        _ = log.note(contact_id, before=version, gone=True)
    for table in ("identifier", "member", "contact"):
        db.execute(f"DELETE FROM {table}")
    log.write()
    return Outcome(requested=number, processed=number)


def remove_identifier(db: sqlite3.Connection, contact_id: str, identifier: Identifier) -> Outcome:
    """Remove one identifier and keep the contact.

    Raises:
        NotFound: The contact does not exist.
    """
    number = _number(db, contact_id)
    before = _by_number(db, [number])[number]
    if identifier not in before.identifiers:
        return absent(identifier.value)
    rest = tuple(each for each in before.identifiers if each != identifier)
    writer, log = Writer(db), Log(db)
    _ = writer.change(log, number, before, evolve(before, identifiers=rest), ())
    writer.write()
    log.write()
    return done(identifier.value)


def change(db: sqlite3.Connection, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Outcome:
    """Set and clear fields of a contact.

    Raises:
        NotFound: The contact does not exist.
        InvalidInput: A value cannot be written.
    """
    number = _number(db, contact_id)
    before = _by_number(db, [number])[number]
    writer, log = Writer(db), Log(db)
    _ = writer.change(log, number, before, changed(before, set, clear), ())
    writer.write()
    log.write()
    return done(contact_id)


# -- copies of other accounts


def source(db: sqlite3.Connection) -> str:
    """Return the name of the account that the file is an export of; empty for a file of its own."""
    return str(db.execute("SELECT source FROM file").fetchone()[0])


def begin_copy(db: sqlite3.Connection, source: str, lists: Iterable[ContactList]) -> None:
    """Make a new file an export of an account that has these lists."""
    db.execute("UPDATE file SET source = ?", [source])
    for each in lists:
        created = mapping.microseconds(each.created_at) if each.created_at else None
        db.execute("INSERT OR IGNORE INTO list (id, name, created_at) VALUES (?, ?, ?)", [each.id, each.name, created])


def copy(db: sqlite3.Connection, contacts: Sequence[Contact]) -> None:
    """Add contacts as they are, with their ids, lists and times; one that is there already is left alone.

    Raises:
        InvalidInput: A value cannot be written.
    """
    known = set(_numbers(db, [contact.id for contact in contacts]))
    writer, log = Writer(db), Log(db)
    for contact in contacts:
        contact_id = contact.id or writer.new_id()
        if contact_id in known:
            continue
        known.add(contact_id)
        lists = contact.lists or ()
        db.executemany("INSERT OR IGNORE INTO list (id, name) VALUES (?, ?)", [(each, each) for each in lists])
        try:
            names = mapping.names(contact.identifiers)
            _ = writer.add(log, contact_id, contact, names, lists, _times(contact, log.now))
        except InvalidInput as error:
            raise InvalidInput(f"contact {contact_id} cannot be written: {error}") from None
    writer.write()
    log.write()


def _times(contact: Contact, now: int) -> tuple[int, int]:
    created, updated = contact.created_at, contact.updated_at
    return (
        mapping.microseconds(created) if created else now,
        mapping.microseconds(updated) if updated else now,
    )


def replace(db: sqlite3.Connection, copied: sqlite3.Connection, size: int) -> None:
    """Make the contacts, lists and fields those of a copy; only what is different counts as a change."""
    missing: set[str] = {row[0] for row in db.execute("SELECT id FROM contact")}
    gone: dict[str, int] = dict(db.execute("SELECT contact, version FROM change WHERE gone"))
    after = 0
    while rows := copied.execute(f"{NUMBERED} WHERE n > ? ORDER BY n LIMIT ?", [after, size]).fetchall():
        after = rows[-1][0]
        contacts = [mapping.contact(*row[1:]) for row in rows]
        numbers = _numbers(db, [contact.id for contact in contacts])
        missing -= numbers.keys()
        before = _by_number(db, numbers.values())
        writer, log = Writer(db), Log(db)
        for contact in contacts:
            times = _times(contact, log.now)
            if contact.id in numbers:
                number = numbers[contact.id]
                _ = writer.change(log, number, before[number], contact, contact.lists or (), times[1], exactly=True)
            else:
                names = mapping.names(contact.identifiers)
                _ = writer.add(log, contact.id, contact, names, contact.lists or (), times, gone.get(contact.id))
        writer.write()
        log.write()
    _remove(db, _by_number(db, _numbers(db, sorted(missing)).values()))
    for table, columns in (("list", "id, name, created_at"), ("field", "name, type")):
        db.execute(f"DELETE FROM {table}")
        rows = copied.execute(f"SELECT {columns} FROM {table}").fetchall()
        marks = ", ".join("?" for _ in columns.split(","))
        db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


# -- lists and fields


def add_to_list(db: sqlite3.Connection, list_id: str, ids: Sequence[str]) -> Outcome:
    """Put contacts on a list."""
    _check_lists(db, [list_id])
    numbers = _numbers(db, ids)
    on = _members(db, list_id, numbers.values())
    _set_members(
        db,
        "INSERT INTO member VALUES (?, ?)",
        list_id,
        {contact_id: n for contact_id, n in numbers.items() if n not in on},
    )
    return _found_or_absent(ids, numbers)


def remove_from_list(db: sqlite3.Connection, list_id: str, ids: Sequence[str]) -> Outcome:
    """Remove contacts from a list; those that are not on it are absent."""
    numbers = _numbers(db, ids)
    on = _members(db, list_id, numbers.values())
    leaving = {contact_id: n for contact_id, n in numbers.items() if n in on}
    _set_members(db, "DELETE FROM member WHERE list = ? AND contact = ?", list_id, leaving)
    return _found_or_absent(ids, leaving)


def _found_or_absent(ids: Sequence[str], found: Mapping[str, int]) -> Outcome:
    here = [contact_id for contact_id in ids if contact_id in found]
    return combined([done(here), absent([contact_id for contact_id in ids if contact_id not in found])])


def _members(db: sqlite3.Connection, list_id: str, numbers: Iterable[int]) -> set[int]:
    rows = db.execute(
        f"SELECT contact FROM member WHERE list = ? AND contact IN {IN_JSON}",
        [list_id, encode(list(numbers)).decode()],
    )
    return {row[0] for row in rows}


def _set_members(db: sqlite3.Connection, statement: str, list_id: str, contacts: Mapping[str, int]) -> None:
    """Change who is on a list, and note it as a change of each contact."""
    log = Log(db)
    versions = [(log.note(contact_id, before=_version(db, n)), n) for contact_id, n in contacts.items()]
    db.executemany(statement, [(list_id, n) for n in contacts.values()])
    db.executemany("UPDATE contact SET version = ? WHERE n = ?", versions)
    log.write()


def lists(db: sqlite3.Connection) -> Page[ContactList]:
    """Read every list."""
    rows = db.execute(
        "SELECT id, name, created_at, (SELECT count(*) FROM member WHERE member.list = list.id) FROM list ORDER BY n"
    )
    return Page([_list(*row) for row in rows])


def create_list(db: sqlite3.Connection, name: str) -> ContactList:
    """Create a list."""
    list_id, now = f"list-{secrets.token_hex(8)}", mapping.microseconds(datetime.now(UTC))
    db.execute("INSERT INTO list (id, name, created_at) VALUES (?, ?, ?)", [list_id, name, now])
    return _list(list_id, name, now, 0)


def _list(list_id: str, name: str, created_at: int | None, members: int) -> ContactList:
    return ContactList(provider=NAME, id=list_id, name=name, count=members, created_at=mapping.moment(created_at))


def delete_list(db: sqlite3.Connection, list_id: str) -> Outcome:
    """Delete a list and keep its contacts.

    Raises:
        NotFound: There is no such list.
    """
    members = dict(
        db.execute("SELECT id, n FROM contact WHERE n IN (SELECT contact FROM member WHERE list = ?)", [list_id])
    )
    _set_members(db, "DELETE FROM member WHERE list = ? AND contact = ?", list_id, members)
    if not db.execute("DELETE FROM list WHERE id = ?", [list_id]).rowcount:
        raise NotFound("there is no such list", provider=NAME)
    return done(list_id)


def fields(db: sqlite3.Connection) -> Page[FieldDefinition]:
    """Read every custom field; one that has had values of several types has none of them."""
    rows = db.execute("SELECT name, type FROM field ORDER BY name")
    return Page([FieldDefinition(NAME, name, name, FieldType(type_)) for name, type_ in rows])


def create_field(db: sqlite3.Connection, name: str, type: FieldType) -> FieldDefinition:
    """Create a custom field.

    Raises:
        Rejected: There is one of this name.
    """
    if db.execute("SELECT 1 FROM field WHERE name = ?", [name]).fetchone():
        raise Rejected("there is a custom field of this name already", provider=NAME)
    db.execute("INSERT INTO field VALUES (?, ?)", [name, type.value])
    return FieldDefinition(NAME, name, name, type)


# -- what they share


def _json(texts: Iterable[str]) -> str:
    return encode(list(texts)).decode()


def _kind(identifier: Identifier) -> tuple[str, str]:
    kind = identifier.kind
    return kind.value, identifier.key if kind.value == "other" else ""


def _owners(db: sqlite3.Connection, named: Iterable[Iterable[Name]]) -> dict[Name, list[int]]:
    """The contacts that have each of these identifiers; without those that no contact has."""
    groups: dict[tuple[str, str], set[str]] = {}
    for names in named:
        for kind, key, normal in names:
            groups.setdefault((kind, key), set()).add(normal)
    owners: dict[Name, list[int]] = {}
    for (kind, key), wanted in groups.items():
        for normal, number in db.execute(OWNERS, [kind, key, _json(wanted)]):
            owners.setdefault((kind, key, normal), []).append(number)
    return owners


def _numbers(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    return dict(db.execute(f"SELECT id, n FROM contact WHERE id IN {IN_JSON}", [_json(ids)])) if ids else {}


def _number(db: sqlite3.Connection, contact_id: str) -> int:
    found: Any = db.execute("SELECT n FROM contact WHERE id = ?", [contact_id]).fetchone()
    if found is None:
        raise NotFound("there is no such contact", provider=NAME)
    return int(found[0])


def _version(db: sqlite3.Connection, number: int) -> int:
    return int(db.execute("SELECT version FROM contact WHERE n = ?", [number]).fetchone()[0])


def _check_lists(db: sqlite3.Connection, lists: Iterable[str]) -> None:
    for list_id in lists:
        if not db.execute("SELECT 1 FROM list WHERE id = ?", [list_id]).fetchone():
            raise Rejected("there is no such list any more", provider=NAME)
