"""Reading both sides of a comparison onto disk: contacts, who is on which list, and which contacts match."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from math import ceil
from typing import cast

from attrs import define, evolve, field

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Contact, FieldDefinition, Identifier, Shape
from contacts_core.operations.previewing import read_parts, read_shape, unsendable
from contacts_core.plans.comparing.lists import ListMap
from contacts_core.plans.comparing.matching import LINKS, Hold, Match, Matching, Side, compared_identifiers
from contacts_core.plans.comparing.model import ComparisonRequest, Items
from contacts_core.plans.comparing.new_fields import UsedFields
from contacts_core.plans.comparing.old_ids import keeps_old_ids, looks_up_old_ids, old_id
from contacts_core.plans.comparing.stored import contact_row, stored_contact
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import AccountFlows, PlanGenerator
from contacts_core.plans.rows import IdentifierTable, key_of
from contacts_core.provider import Blocking, Exports, Flow, GetsContacts, Provider, Take, UpsertsContacts, flows
from contacts_core.storage.spool import Spool

__all__ = ["CHUNK_SIZE", "SCHEMA", "Reading"]

CHUNK_SIZE = 500  # contacts handled at once
BEAT = 1000  # contacts between two signs of progress
SCHEMA = f"""
    {LINKS}
    CREATE TABLE source (n INTEGER PRIMARY KEY, id TEXT, row NOT NULL, refusal TEXT NOT NULL);
    CREATE TABLE target (n INTEGER PRIMARY KEY, id TEXT, row NOT NULL);
    CREATE TABLE dropped (n INTEGER PRIMARY KEY);
    -- Members of the lists of an account whose contacts come without their lists.
    CREATE TABLE members (side INTEGER NOT NULL, id TEXT NOT NULL, list TEXT NOT NULL);
    CREATE TABLE unasked (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
TABLES = {Side.SOURCE: "source", Side.TARGET: "target"}


@define
class _SideState:
    """What was read of one side so far.

    Attributes:
        side: Which it is.
        name: The name of the account; empty if it is none.
        provider: Its provider; None if it is no account.
        shape: What it has room for.
        count: How many contacts came, duplicates included.
        without_lists: How many of them came without their lists.
        members_read: Whether the members of its lists were read.
    """

    side: Side
    name: str
    provider: Provider | None
    shape: Shape = field(factory=Shape)
    count: int = 0
    without_lists: int = 0
    members_read: bool = False

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.name or "the source"


class Reading:
    """Both sides, as they are read.

    Attributes:
        request: What is compared.
        able: The provider of the target.
        spool: The database, with the tables of the schema that was given.
        lists: The lists of the source in the target; there are some once the shapes are read.
        shape: What the target has room for, with the lists and fields that are to be created once it is settled.
        new_fields: Fields that are to be created.
        keeps_old_ids: Whether ids of the source become external ids, because that is wanted and the target keeps them.
    """

    def __init__(self, request: ComparisonRequest, providers: Mapping[str, Provider], schema: str) -> None:
        """Check what can be read.

        Raises:
            InvalidInput: There is a query, and the source is no account.
            UnsupportedOperation: The source cannot be read, or the target can be neither read nor written.
        """
        self.request = request
        self.able = operations.require(providers[request.target], UpsertsContacts)
        if request.everything:
            operations.require(self.able, Exports)
        self._target = _SideState(Side.TARGET, request.target, self.able)
        if isinstance(request.source, str):
            provider = operations.require(providers[request.source], Exports)
            self._source = _SideState(Side.SOURCE, request.source, provider)
        elif request.only is None:
            self._source = _SideState(Side.SOURCE, "", None)
        else:
            raise InvalidInput("only an account can be queried", hint="give the contacts that are to be compared")
        self.spool = Spool(schema)
        self._matching = Matching(self.spool)
        self._wanted = IdentifierTable()  # identifiers to look up in the target
        self._used_fields = UsedFields(request.field_map)
        self._is_looked_up = False
        self.shape, self.new_fields = Shape(), tuple[FieldDefinition, ...]()
        self.keeps_old_ids = False
        self.lists = self._list_map()

    @property
    def count(self) -> int:
        """How many contacts of the source came, duplicates included."""
        return self._source.count

    # -- lists and fields

    def read_shapes(self) -> PlanGenerator[None]:
        """Read the lists and fields of both sides."""
        source, target = self._source, self._target
        yield _together([(target.name, _read_shape(target, read_shape(self.able)))])
        if source.name == target.name:
            source.shape = target.shape
        elif source.provider is not None:
            read = read_parts(source.provider, Shape(), lists=True, fields=self.request.create_fields)
            yield _together([(source.name, _read_shape(source, read))])
        self.shape = target.shape
        self.lists = self._list_map()
        self.keeps_old_ids = self.request.old_ids and keeps_old_ids(self.able, self.shape)

    def _list_map(self) -> ListMap:
        names = None
        if self._source.provider is not None:
            names = {each.id: each.name for each in self._source.shape.lists or ()}
        return ListMap(names, self.able, self.shape, self.request.field_map, create=self.request.create_lists)

    # -- contacts

    def read_contacts(self) -> PlanGenerator[None]:
        """Read both sides; if identifiers are looked up, first the source."""
        source = (self._source.name or self._target.name, self._read_source())
        if self.request.everything:
            yield _together([source, (self._target.name, self._read_target())])
        else:
            yield _together([source])
            yield _together([(self._target.name, self._look_up())])

    def _read_source(self) -> Flow[None]:
        provider, given = self._source.provider, self.request.source
        if provider is None:
            yield from self._read_items(cast("Items", given))
            return
        query = self.request.only
        stream = operations.export(provider, ()) if query is None else operations.search(provider, query, scan=True)
        yield from lookup.complete(self._source.name, flows.drain(stream, self._take_source))

    def _read_items(self, items: Items) -> Flow[None]:
        if not _is_several(items):
            raise InvalidInput(f"expected contacts, got {type(items).__name__}", hint="put them into a list")
        rest: Iterator[Contact] | AsyncIterator[Contact]
        rest = chain(items) if isinstance(items, Iterable) else aiter(items)
        while True:
            if isinstance(rest, Iterator):
                chunk: Sequence[Contact] = yield from Blocking(partial(_next, rest))
            else:
                taken = yield from Take(rest, CHUNK_SIZE)
                chunk = taken.items
                if taken.error:
                    raise taken.error
            if not chunk:
                return
            yield from Blocking(partial(self._take_source, chunk))

    def _take_source(self, contacts: Sequence[object]) -> None:
        state, rows = self._source, list[tuple[object, ...]]()
        linked: list[tuple[int, Sequence[Identifier]]] = []
        unknown: list[int] = []
        for contact in contacts:
            if not isinstance(contact, Contact):
                raise InvalidInput(f"item {state.count + 1} of the source is no contact: {type(contact).__name__}")
            state.count += 1
            prepare = self.request.prepare
            kept, refusal = _sendable(prepare(contact) if prepare else contact)
            compared = compared_identifiers(kept.identifiers)
            key = _key(kept) if state.provider is None else kept.id
            rows.append((state.count, key or None, contact_row(kept), refusal))
            linked.append((state.count, compared))
            if not compared:
                unknown.append(state.count)
            state.without_lists += kept.lists is None
            for each in kept.lists or ():
                self.lists.resolve(each, kept.provider)
            if self.request.create_fields:
                self._used_fields.add(kept)
            if not self.request.everything:
                old = old_id(kept) if self.keeps_old_ids and looks_up_old_ids(self.able) else None
                for identifier in (*compared, old) if old else compared:
                    self._wanted.add(identifier)
        self.spool.write("INSERT INTO source VALUES (?, ?, ?, ?)", rows)
        self._matching.add(Side.SOURCE, linked)
        self._matching.hold(unknown, Hold.NO_IDENTIFIER)
        self.tell(state.count, len(contacts), f"contacts of {state.title} read")

    def _read_target(self) -> Flow[None]:
        everything = flows.drain(operations.export(self.able, ()), self._take_target)
        yield from lookup.complete(self._target.name, everything)

    def _take_target(self, contacts: Sequence[Contact]) -> None:
        state, rows = self._target, list[tuple[object, ...]]()
        linked: list[tuple[int, Sequence[Identifier]]] = []
        for contact in contacts:
            state.count += 1
            state.without_lists += contact.lists is None
            rows.append((state.count, contact.id or None, contact_row(contact)))
            linked.append((state.count, contact.identifiers))
        self.spool.write("INSERT INTO target VALUES (?, ?, ?)", rows)
        self._matching.add(Side.TARGET, linked)
        self.tell(state.count, len(contacts), f"contacts of {state.title} read")

    def _look_up(self) -> Flow[None]:
        """Look the identifiers of the source up, and read whom they find again: an answer may leave fields out."""
        state = self._target
        self._is_looked_up = lookup.way(self.able, self._wanted) == "look-up"
        search = lookup.search(self.able, self._wanted, self._take_answers, control=True)
        yield from lookup.complete(state.name, search)
        if not self._is_looked_up or not isinstance(self.able, GetsContacts):
            return
        self._drop_duplicates(Side.TARGET)
        state.without_lists = 0
        for ids in self._ids(state):
            read = yield from lookup.by_id(self.able, ids)
            state.without_lists += sum(contact.lists is None for contact in read.contacts.values())
            fresh = [(contact_row(contact), id) for id, contact in read.contacts.items()]
            self.spool.write("UPDATE target SET row = ? WHERE id = ?", fresh)
            gone = [(id,) for id in ids if id not in read.contacts]
            self.spool.write("INSERT INTO dropped SELECT n FROM target WHERE id = ?", gone)
        self._forget_dropped(Side.TARGET)

    def _take_answers(self, answers: lookup.LookUp) -> None:
        if wrong := lookup.mismatch(answers.found, self.able.title or self.able.name):
            raise PlanRefused(f"{self._target.name}: {wrong}, so nothing can be compared", hint="ask the vendor")
        for reason in answers.unproven.values():
            raise PlanRefused(
                f"{self._target.name} shows no contact, and that proves nothing: {reason}",
                hint="check base_url and the account's other settings, and any gateway in between",
            )
        keys = [(key_of(each),) for each in answers.found.unasked]
        self.spool.write("INSERT OR IGNORE INTO unasked VALUES (?)", keys)
        self._take_target(list(chain.from_iterable(answers.found.matches.values())))

    def _ids(self, state: _SideState) -> Iterator[list[str]]:
        """Yield the ids of the contacts of a side, some at a time."""
        query = f"SELECT id FROM {TABLES[state.side]} WHERE n > ? AND n <= ? AND id IS NOT NULL"
        for first in range(0, state.count, CHUNK_SIZE):
            if ids := [id for (id,) in self.spool.rows(query, first, first + CHUNK_SIZE)]:
                yield ids

    # -- lists of contacts that come without them

    def read_members(self) -> PlanGenerator[None]:
        """Read who is on the lists, of the source and then of the target, where contacts come without their lists."""
        source, target = self._source, self._target
        if source.provider is not None and source.without_lists and source.shape.lists:
            lists = [each.id for each in source.shape.lists]
            yield _together([(source.name, self._read_members(source, source.provider, lists))])
            for (list_,) in self.spool.rows("SELECT DISTINCT list FROM members WHERE side = 0"):
                self.lists.resolve(list_, "")
        wanted = [each for each in self.lists.wanted if each not in self.lists.new]
        if target.without_lists and wanted:
            yield _together([(target.name, self._read_members(target, self.able, wanted))])

    def _read_members(self, state: _SideState, provider: Provider, lists: Sequence[str]) -> Flow[None]:
        if isinstance(provider, GetsContacts) and ceil(state.count / provider.get_batch_size) <= len(lists):
            yield from self._read_lists_of_each(state, provider)
        if state.without_lists:
            able = operations.require(provider, Exports)
            for list_id in lists:
                members = flows.drain(able.contacts(list_id), partial(self._take_members, state.side, list_id))
                yield from lookup.complete(state.name, members)
        state.members_read = True
        self.spool.write("CREATE INDEX IF NOT EXISTS members_by_id ON members (side, id, list)", [()])

    def _read_lists_of_each(self, state: _SideState, provider: GetsContacts) -> Flow[None]:
        """Read few contacts by id, which costs less than reading every list."""
        state.without_lists = 0
        for ids in self._ids(state):
            read = yield from lookup.by_id(provider, ids)
            rows = [(int(state.side), id, each) for id, one in read.contacts.items() for each in one.lists or ()]
            self.spool.write("INSERT INTO members VALUES (?, ?, ?)", rows)
            state.without_lists += sum(one.lists is None for one in read.contacts.values())

    def _take_members(self, side: Side, list_id: str, contacts: Sequence[Contact]) -> None:
        self.spool.write("INSERT INTO members VALUES (?, ?, ?)", [(int(side), each.id, list_id) for each in contacts])

    # -- what was read

    def settle(self) -> None:
        """Find the matches, and what is to be created, after everything was read."""
        for side in Side:
            self._drop_duplicates(side)
        self._matching.settle()
        if self.request.create_fields:
            known = self._source.shape, self.request.field_map
            self.new_fields = self._used_fields.missing(self.able, self.shape, *known)
            self.shape = evolve(self.shape, fields=(*(self.shape.fields or ()), *self.new_fields))
        self.shape = self.lists.extended(self.shape)

    def _drop_duplicates(self, side: Side) -> None:
        """Keep each id once: of the source as it came first, of the target as it came last."""
        table, before = TABLES[side], "<" if side is Side.SOURCE else ">"
        self.spool.write(f"CREATE INDEX IF NOT EXISTS {table}_by_id ON {table} (id, n)", [()])
        if side is Side.SOURCE:
            shown_twice = """
                INSERT OR IGNORE INTO held SELECT min(n), ?, '' FROM source WHERE id IS NOT NULL
                GROUP BY id HAVING count(*) > 1 AND min(row) <> max(row)
            """
            self.spool.write(shown_twice, [(Hold.SHOWN_TWICE.name,)])
        others = f"SELECT 1 FROM {table} b WHERE b.id = a.id AND b.n {before} a.n"
        self.spool.write(f"INSERT INTO dropped SELECT n FROM {table} a WHERE EXISTS ({others})", [()])
        self._forget_dropped(side)

    def _forget_dropped(self, side: Side) -> None:
        if self.spool.one("SELECT 1 FROM dropped"):
            self.spool.write(f"DELETE FROM {TABLES[side]} WHERE n IN (SELECT n FROM dropped)", [()])
            self.spool.write("DELETE FROM links WHERE side = ? AND n IN (SELECT n FROM dropped)", [(int(side),)])
            self.spool.write("DELETE FROM dropped", [()])

    def source_contacts(self, first: int, end: int) -> Iterator[tuple[int, Contact, str]]:
        """Yield contacts of the source by their numbers, each with why it cannot be sent; empty if it can."""
        query = "SELECT n, row, refusal FROM source WHERE n > ? AND n <= ? ORDER BY n"
        for n, row, refusal in self.spool.rows(query, first, end):
            yield n, self.source_contact(row), refusal

    def source_contact(self, row: bytes | str) -> Contact:
        """Return a contact of the source, with its lists."""
        return self._with_lists(self._source, stored_contact(row))

    def target_contact(self, n: int) -> Contact:
        """Return a contact of the target by its number, with its lists."""
        row = self.spool.one("SELECT row FROM target WHERE n = ?", n)
        assert row is not None
        return self._with_lists(self._target, stored_contact(row[0]))

    def _with_lists(self, state: _SideState, contact: Contact) -> Contact:
        if contact.lists is not None or not state.members_read:
            return contact
        query = "SELECT DISTINCT list FROM members WHERE side = ? AND id = ?"
        return evolve(contact, lists=tuple(each for (each,) in self.spool.rows(query, int(state.side), contact.id)))

    def match(self, n: int, contact: Contact) -> Match:
        """Return which contact of the target a contact of the source is."""
        found = self._matching.of(n)
        if not self._is_looked_up or found.hold or found.target is not None:
            return found
        query = "SELECT 1 FROM unasked WHERE key = ?"
        unasked = all(self.spool.one(query, key_of(each)) for each in compared_identifiers(contact.identifiers))
        return Match(hold=Hold.NOT_LOOKED_UP) if unasked else found

    def is_taken(self, identifier: Identifier) -> bool:
        """Return whether a contact that was read has an identifier."""
        return self._matching.has(identifier)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the contacts that match, in the order of the source; those without ids are left out."""
        query = """
            SELECT s.n, s.id, t.id FROM pairs p JOIN source s ON s.n = p.source JOIN target t ON t.n = p.target
            WHERE s.id <> '' AND t.id <> '' AND s.n > ? ORDER BY s.n LIMIT ?
        """
        named = self._source.provider is not None
        return ((old if named else json.loads(old)[1], new) for old, new in self.spool.each(query))

    def only_in_target(self) -> int | None:
        """Return how many contacts of the target share no identifier with the source; None if it was not all read."""
        if not self.request.everything:
            return None
        found = self.spool.one("SELECT (SELECT count(*) FROM target) - (SELECT count(*) FROM touched)")
        return int(found[0]) if found else 0

    def contacts_only_in_target(self) -> Iterator[Contact]:
        """Yield those contacts."""
        query = """
            SELECT c.n, c.row FROM target c LEFT JOIN touched t ON t.n = c.n
            WHERE t.n IS NULL AND c.n > ? ORDER BY c.n LIMIT ?
        """
        return (self._with_lists(self._target, stored_contact(row)) for (row,) in self.spool.each(query))

    def tell(self, count: int, step: int, what: str) -> None:
        """Report progress, if it is time."""
        if self.request.progress and count // BEAT > (count - step) // BEAT:
            self.request.progress(f"{count:,} {what}")


def _read_shape(state: _SideState, read: Flow[Shape]) -> Flow[None]:
    state.shape = yield from read


def _together(given: Sequence[tuple[str, Flow[None]]]) -> AccountFlows:
    """Return the flow of each account; several flows of one account run one after the other."""
    by_account: dict[str, list[Flow[None]]] = {}
    for name, flow in given:
        by_account.setdefault(name, []).append(flow)
    return {name: _one_after_the_other(several) for name, several in by_account.items()}


def _one_after_the_other(several: Sequence[Flow[None]]) -> Flow[None]:
    for flow in several:
        yield from flow


def _is_several(items: object) -> bool:
    return isinstance(items, Iterable | AsyncIterable) and not isinstance(items, str | bytes)


def _next(items: Iterator[Contact]) -> Sequence[Contact]:
    return tuple(islice(items, CHUNK_SIZE))


def _sendable(contact: Contact) -> tuple[Contact, str]:
    """Return a contact that can be kept as JSON, and why the contact itself cannot be written; empty if it can."""
    reason = unsendable(contact)
    try:
        _ = contact_row(contact)
    except (TypeError, ValueError, RecursionError, OverflowError):
        known = tuple(each for each in contact.identifiers if isinstance(cast("object", each.value), str))
        bare = Contact(str(contact.provider), str(contact.id), known)
        return bare, reason or "holds a value that cannot be sent"
    return contact, reason


def _key(contact: Contact) -> str:
    """Return what is the same for two contacts of a file that are one contact of one vendor."""
    return json.dumps([contact.provider, contact.id]) if contact.id else ""
