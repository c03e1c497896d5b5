"""The journal of runs: the plan while it is needed, what was done, the progress, and the receipt.

Nothing here names a person: events hold pseudonyms. The plan is stored encrypted, and it and its key are deleted as
soon as nothing is left to do with it. Plans and receipts are stored in chunks, so that neither is ever whole in memory.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from attrs import field, frozen
from sqlalchemy.dialects import postgresql, sqlite

from contacts_core.errors import InvalidInput, PlanRefused, StorageError
from contacts_core.provider import flows
from contacts_core.storage.database import Storage, stored
from contacts_core.storage.encryption import decrypt, encrypt, new_run_key, run_key
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["FOUND_THERE", "Event", "Journal", "Progress", "Run", "now"]

FOUND_THERE = "found there"  # the type of events about contacts that were to be created and are there
PAGE_SIZE = 50  # events
CHUNK_SIZE = 65_536  # bytes of a plan or receipt, before compression
CHUNKS_PER_PAGE = 16  # that are written or read at a time
RESULTS_PER_EVENT = 200
EARLIER = 0  # number of the only chunk of a plan that was stored before there were chunks
metadata = sa.MetaData()
runs = sa.Table(
    "contacts_runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("accounts", sa.Text, nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("key", sa.String(16), nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("begun_at", sa.String(40), nullable=False),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("receipt", sa.String(32)),  # of the latest round; those of earlier rounds are kept too
)
plan_chunks = sa.Table(
    "contacts_plan_chunks",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("body", sa.LargeBinary, nullable=False),
)
receipt_chunks = sa.Table(
    "contacts_receipt_chunks",
    metadata,
    sa.Column("receipt", sa.String(32), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
keys = sa.Table(  # a table of its own, because a small table is soon rewritten
    "contacts_run_keys",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
)
events = sa.Table(
    "contacts_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("begun_at", sa.String(40), nullable=False),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("contacts_events_of_run", "run", "number"),
    sa.Index("contacts_events_of_type", "run", "type", "account", "number"),
    sa.Index("contacts_events_of_account", "account", "ended_at"),
)
progress = sa.Table(
    "contacts_progress",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(255), primary_key=True),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)


@frozen
class Run:
    """One run of a plan.

    Attributes:
        id: Its id, which also tells the kind of plan and the day.
        kind: The kind of plan.
        accounts: Names of the accounts.
        people: Number of people it is about.
        checksum: The checksum of the plan.
        key: Id of the key of its pseudonyms.
        options: The options it was started with, such as ``timeout``.
        state: ``running``, ``interrupted``, ``done``, ``incomplete``, ``refused``, ``cancelled`` or ``failed``.
        reason: Why it ended in this state.
        round: Number of the round. Resuming a run that had ended begins another round.
        begun_at: When it began, in ISO 8601.
        ended_at: When it ended, in ISO 8601; None while it goes on.
    """

    id: str
    kind: str
    accounts: tuple[str, ...]
    people: int
    checksum: str
    key: str
    options: Mapping[str, Any] = field(repr=False)
    state: str
    reason: str
    round: int
    begun_at: str
    ended_at: str | None

    @property
    def prefix(self) -> str:
        """The common prefix of the names of this round's workflows."""
        return f"{self.id}.{self.round}."

    def workflow(self, account: str, what: str) -> str:
        """Return the name of a durable workflow of this round."""
        return f"{self.prefix}{what}.{account}"


@frozen
class Event:
    """Something that happened in an account. ``ended_at`` is None if it was cut off."""

    number: int
    account: str
    type: str
    begun_at: str
    ended_at: str | None
    body: Mapping[str, Any]


@frozen
class Progress:
    """How far a run got in one account. ``done`` and ``total`` count contacts, or identifiers while verifying."""

    account: str
    phase: str
    done: int
    total: int
    detail: str


def now() -> str:
    """Return the time as it is recorded: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Journal:
    """The journal of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._engine = storage, storage.engine()
        self._insert = (postgresql if storage.shared else sqlite).insert
        storage.create(metadata)

    # -- runs

    def begin(
        self,
        id: str,
        *,
        kind: str,
        accounts: Sequence[str],
        people: int,
        checksum: str,
        plan: Iterable[bytes],
        key: PseudonymKey,
        options: Mapping[str, Any],
    ) -> None:
        """Record a new run. Its plan (the content of its file, in pieces of any size) is stored encrypted.

        The run exists once the whole plan is stored.
        """
        secret, encrypted_key = new_run_key(id, key)
        row = {
            "id": id,
            "kind": kind,
            "accounts": json.dumps(accounts),
            "people": people,
            "checksum": checksum,
            "key": key.id,
            "options": json.dumps(dict(options)),
            "state": "running",
            "reason": "",
            "round": 1,
            "begun_at": now(),
        }
        try:
            self._insert_all(plan_chunks, _encrypted(id, secret, plan))
            self._begin(row, encrypted_key)
        except BaseException:
            with suppress(StorageError):
                self._delete(plan_chunks, plan_chunks.c.run == id)
            raise

    @stored
    def _begin(self, row: Mapping[str, Any], key: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._insert(runs).on_conflict_do_nothing(), row)
            connection.execute(self._insert(keys).on_conflict_do_nothing(), {"run": row["id"], "key": key})

    def _insert_all(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        for page in flows.chunks(rows, CHUNKS_PER_PAGE):
            self._insert_page(table, page)

    @stored
    def _insert_page(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    @stored
    def _delete(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> None:
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(condition))

    @stored
    def all(self) -> list[Run]:
        """Return every run, the latest first."""
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(runs.select().order_by(runs.c.begun_at.desc()))]

    @stored
    def run(self, id: str) -> Run:
        """Return the run of this id.

        Raises:
            InvalidInput: There is no such run.
        """
        row = None
        if id.isascii() and id.isprintable():  # databases refuse other ids
            with self._engine.connect() as connection:
                row = connection.execute(runs.select().where(runs.c.id == id)).first()
        if row is None:
            raise InvalidInput(f"there is no run {id}", hint="`contacts runs` lists the runs")
        return _run(row)

    def plan(self, id: str) -> Iterator[bytes] | None:
        """Return the plan of a run, as pieces of its file, or None once nothing is left to do with it.

        Raises:
            PlanRefused: An earlier version of the library stored it.
            StorageError: It was altered, or the receipt key has changed since the run began. Also while it is read.
        """
        page = self._page(plan_chunks, plan_chunks.c.run == id)
        if not page:
            return None
        secret = self._secret(id)
        if page[0].number == EARLIER:
            raise PlanRefused(
                f"an earlier version of the library began run {id}, and its plan is not read any more",
                hint=f"contacts runs cancel {id} ends it; then make a new plan",
            )
        return self._decrypted(id, secret, page)

    def earlier_plan(self, id: str) -> bytes | None:
        """Return the plan of a run that an earlier version of the library began, as that version wrote it.

        Raises:
            StorageError: It was altered, or the receipt key has changed since the run began.
        """
        page = self._page(plan_chunks, plan_chunks.c.run == id)
        if not page or page[0].number != EARLIER:
            return None
        return zlib.decompress(decrypt(self._secret(id), page[0].body, f"plan of {id}"))

    @stored
    def _secret(self, id: str) -> bytes:
        with self._engine.connect() as connection:
            kept = connection.execute(sa.select(keys.c.key).where(keys.c.run == id)).scalar()
        if not kept:
            raise StorageError(f"the plan of {id} cannot be decrypted: its key was deleted", hint="make a new plan")
        return run_key(kept, id, self._storage.key())

    def _decrypted(self, id: str, secret: bytes, page: Sequence[Any]) -> Iterator[bytes]:
        rows, number = self._chunks(plan_chunks, plan_chunks.c.run == id, page), 1
        row = next(rows)
        while row is not None:
            following = next(rows, None)
            about = _about_chunk(id, number, last=following is None)
            yield zlib.decompress(decrypt(secret, row.body, about))
            row, number = following, number + 1

    def write_receipt(self, run: str, content: Iterable[bytes]) -> str:
        """Store a receipt (the content of its file, in pieces of any size), and return its name for `end`."""
        name = uuid.uuid4().hex
        pieces = enumerate(_repacked(content), 1)
        rows = ({"receipt": name, "number": n, "run": run, "body": zlib.compress(piece, 1)} for n, piece in pieces)
        try:
            self._insert_all(receipt_chunks, rows)
        except BaseException:
            self.drop_receipt(name)
            raise
        return name

    def drop_receipt(self, name: str) -> None:
        """Delete a receipt that did not become the receipt of a round, if the database can be reached."""
        with suppress(StorageError):
            self._delete(receipt_chunks, receipt_chunks.c.receipt == name)

    @stored
    def receipt_name(self, id: str) -> str | None:
        """Return the name of the receipt of a run's latest round that has one, or None if none has."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(runs.c.receipt).where(runs.c.id == id)).scalar()

    def receipt(self, id: str) -> Iterator[bytes] | None:
        """Return the receipt of a run, as pieces of its file, or None while it has none.

        Raises:
            StorageError: It was altered. Raised while it is read.
        """
        name = self.receipt_name(id)
        return self.receipt_content(name) if name else None

    def receipt_content(self, name: str) -> Iterator[bytes]:
        """Yield the receipt of this name, as pieces of its file.

        Raises:
            StorageError: It was altered, or is not there any more.
        """
        number = 0
        for number, row in enumerate(self._chunks(receipt_chunks, receipt_chunks.c.receipt == name), 1):
            try:
                piece = zlib.decompress(row.body) if row.number == number else None
            except zlib.error:
                piece = None
            if piece is None:
                raise _altered(row.run)
            yield piece
        if not number:
            raise StorageError("this receipt is not in the storage any more", hint="restore the storage from a backup")

    def _chunks(self, table: sa.Table, of: sa.ColumnElement[bool], page: Sequence[Any] = ()) -> Iterator[Any]:
        page = page or self._page(table, of)
        while page:
            yield from page
            page = self._page(table, of, page[-1].number) if len(page) == CHUNKS_PER_PAGE else []

    def _page(self, table: sa.Table, of: sa.ColumnElement[bool], after: int = EARLIER - 1) -> Sequence[Any]:
        chosen = table.select().where(of, table.c.number > after).order_by(table.c.number).limit(CHUNKS_PER_PAGE)
        return self._rows(chosen)

    def end(self, run: Run, state: str, reason: str, receipt: str | None, *, forget: bool) -> bool:
        """Record how a round ended. With ``forget``, its plan, and so the people it was about, are deleted.

        Only the first call has an effect. Return whether this was the first.

        Args:
            run: The run, as it was in this round.
            state: How it ended.
            reason: Why it ended in this state.
            receipt: The name of its receipt; see `write_receipt`.
            forget: Whether nothing is left to do with the plan.
        """
        values: dict[str, Any] = {"state": state, "reason": reason, "ended_at": now()}
        if receipt is not None:
            values["receipt"] = receipt
        unfinished = sa.and_(runs.c.round == run.round, runs.c.state.in_(["running", "interrupted"]))
        first = self._change(run.id, values, unfinished)
        if first and forget:
            self.forget(run.id)
        return first

    @stored
    def forget(self, id: str) -> None:
        """Delete a run's plan and its key, and what the database itself may still hold of the key."""
        with self._engine.begin() as connection:
            connection.execute(plan_chunks.delete().where(plan_chunks.c.run == id))
            connection.execute(keys.delete().where(keys.c.run == id))
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            shared = self._storage.shared
            connection.execute(sa.text("VACUUM contacts_run_keys" if shared else "PRAGMA wal_checkpoint(TRUNCATE)"))

    @stored
    def probe(self) -> None:
        """Check that the database can be written, in a transaction that is rolled back.

        Raises:
            StorageError: It cannot be written.
        """
        with self._engine.connect() as connection:
            connection.execute(self._insert(keys).values(run=f"probe {now()}", key=bytes(65536)))
            connection.rollback()

    def interrupted(self, id: str) -> None:
        """Record that the process of a run is gone."""
        self._change(id, {"state": "interrupted"}, runs.c.state == "running")

    def again(self, id: str, *, next_round: bool) -> None:
        """Record that a run continues, perhaps with another round."""
        values: dict[str, Any] = {"state": "running", "reason": "", "ended_at": None}
        if next_round:
            values["round"] = runs.c.round + 1
        self._change(id, values)

    @stored
    def _change(self, id: str, values: Mapping[str, Any], *conditions: sa.ColumnElement[bool]) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(runs.update().where(runs.c.id == id, *conditions).values(**values)).rowcount > 0

    # -- events

    def note(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> None:
        """Record an event that has ended already."""
        self._insert_event(run, account, type, body, ended_at=now())

    def began(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> int:
        """Record that an event begins. Return its number."""
        return self._insert_event(run, account, type, body, ended_at=None)

    @stored
    def _insert_event(self, run: str, account: str, type: str, body: Mapping[str, Any], ended_at: str | None) -> int:
        packed = _packed(json.dumps(dict(body)))
        row = {"run": run, "account": account, "type": type, "begun_at": now(), "ended_at": ended_at, "body": packed}
        with self._engine.begin() as connection:
            key = connection.execute(events.insert(), row).inserted_primary_key
            assert key is not None
            return int(key[0])

    @stored
    def ended(self, number: int, body: Mapping[str, Any]) -> None:
        """Record how an event ended."""
        values = {"ended_at": now(), "body": _packed(json.dumps(dict(body)))}
        with self._engine.begin() as connection:
            connection.execute(events.update().where(events.c.number == number).values(**values))

    def events(self, run: str, type: str = "", account: str = "") -> Iterator[Event]:
        """Yield the events of a run in the order in which they began, optionally of one type or one account."""
        chosen = events.select().where(events.c.run == run).order_by(events.c.number).limit(PAGE_SIZE)
        if type:
            chosen = chosen.where(events.c.type == type)
        if account:
            chosen = chosen.where(events.c.account == account)
        page: Sequence[Any] = self._rows(chosen)
        while page:
            for row in page:
                try:
                    body = json.loads(zlib.decompress(row.body))
                except (zlib.error, ValueError):
                    raise _altered(run) from None
                yield Event(row.number, row.account, row.type, row.begun_at, row.ended_at, body)
            page = self._rows(chosen.where(events.c.number > page[-1].number)) if len(page) == PAGE_SIZE else []

    def found_there(self, run: str) -> dict[str, set[int]]:
        """Return the changes of a run, by account, whose contacts were to be created and were there before.

        What a later attempt at a step finds may have been created by the first one, and does not count.
        """
        attempts = Counter[tuple[str, int]]()
        found: dict[str, set[int]] = {}
        for event in self.events(run):
            if event.type == "step":
                attempts[event.account, event.body["step"]] += 1
            elif event.type == FOUND_THERE and attempts[event.account, event.body["step"]] == 1:
                found.setdefault(event.account, set()).update(event.body["changes"])
        return found

    @stored
    def _rows(self, chosen: sa.Select[Any]) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(chosen).all()

    def note_results(self, run: str, account: str, number: int, results: Iterable[Mapping[str, Any]]) -> None:
        """Record the results of round ``number`` in an account, one for each person, and that the account ended.

        They are written in several events. Only those that belong to the latest event ``ended`` count, so that this can
        be repeated after a crash.
        """
        part, states = uuid.uuid4().hex, Counter[str]()
        for page in flows.chunks(results, RESULTS_PER_EVENT):
            states.update(result["state"] for result in page)
            self.note(run, account, "results", {"part": part, "results": page})
        self.note(run, account, "ended", {"part": part, "round": number, "states": states})

    def ended_accounts(self, run: str, number: int) -> dict[str, Mapping[str, int]]:
        """Return the accounts in which round ``number`` ended, each with the number of results of each state."""
        ended = self.events(run, "ended")
        return {event.account: event.body["states"] for event in ended if event.body["round"] == number}

    def results(self, run: str, account: str) -> Iterator[Mapping[str, Any]] | None:
        """Return the results of the latest round that ended in an account, in order; None if none did."""
        ended = None
        for ended in self.events(run, "ended", account):  # noqa: B007 - the last one is used
            pass
        return None if ended is None else self._results(run, account, ended.body["part"])

    def _results(self, run: str, account: str, part: str) -> Iterator[Mapping[str, Any]]:
        for event in self.events(run, "results", account):
            if event.body["part"] == part:
                yield from event.body["results"]

    @stored
    def recent(self, account: str, seconds: float) -> int:
        """Return an upper bound of the requests sent to an account in the last seconds, by any process."""
        since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        late = sa.or_(events.c.ended_at >= since, sa.and_(events.c.ended_at.is_(None), events.c.begun_at >= since))
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(events.c.body).where(events.c.account == account, late)).all()
        bodies = [json.loads(zlib.decompress(row.body)) for row in rows]
        # We do not know how far an event got that was cut off: at most one request for each contact.
        return sum(len(body["exchanges"]) if "exchanges" in body else body.get("contacts", 0) for body in bodies)

    @stored
    def has(self, run: str, type: str) -> bool:
        """Return whether a run has an event of this type."""
        chosen = sa.select(events.c.number).where(events.c.run == run, events.c.type == type).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(chosen).first() is not None

    # -- progress

    @stored
    def reached(self, run: str, account: str, phase: str, done: int, total: int, detail: str = "") -> None:
        """Record the progress of a run in an account."""
        row = {"run": run, "account": account, "phase": phase, "done": done, "total": total, "detail": detail}
        statement = self._insert(progress).values(row)
        changed = {name: statement.excluded[name] for name in ("phase", "done", "total", "detail")}
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "account"], set_=changed))

    @stored
    def progress(self, run: str) -> list[Progress]:
        """Return the progress of a run in each account."""
        with self._engine.connect() as connection:
            rows = connection.execute(progress.select().where(progress.c.run == run).order_by(progress.c.account))
            return [Progress(row.account, row.phase, row.done, row.total, row.detail) for row in rows]


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 1)


def _repacked(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same content in pieces of `CHUNK_SIZE` bytes. The last may be shorter; there is at least one."""
    pending = bytearray()
    for piece in content:
        pending += piece
        while len(pending) > CHUNK_SIZE:
            yield bytes(pending[:CHUNK_SIZE])
            del pending[:CHUNK_SIZE]
    yield bytes(pending)


def _encrypted(id: str, secret: bytes, plan: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a plan's chunks. Each can only be decrypted in its place, and the last only as the last."""
    pieces = enumerate(_repacked(plan), 1)
    number, piece = next(pieces)
    for following in pieces:
        yield _encrypted_chunk(id, secret, number, piece, last=False)
        number, piece = following
    yield _encrypted_chunk(id, secret, number, piece, last=True)


def _encrypted_chunk(id: str, secret: bytes, number: int, piece: bytes, *, last: bool) -> Mapping[str, Any]:
    body = encrypt(secret, zlib.compress(piece, 1), _about_chunk(id, number, last=last))
    return {"run": id, "number": number, "body": body}


def _about_chunk(id: str, number: int, *, last: bool) -> str:
    return f"plan of {id} (chunk {number}{', the last' if last else ''})"


def _altered(id: str) -> StorageError:
    return StorageError(
        f"the record of run {id} was altered and cannot be read", hint="find out who can write to the storage"
    )


def _run(row: Any) -> Run:
    try:
        accounts, options = tuple(map(str, json.loads(row.accounts))), dict(json.loads(row.options))
    except (ValueError, TypeError):
        raise _altered(row.id) from None
    return Run(
        id=row.id,
        kind=row.kind,
        accounts=accounts,
        people=row.people,
        checksum=row.checksum,
        key=row.key,
        options=options,
        state=row.state,
        reason=row.reason,
        round=row.round,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
    )
