"""What runs write down as they go: the plan while it is needed, what was done, how far it got, and the receipt.

Nothing here names a person: events hold keyed hashes. The plan is kept encrypted; it and its key are dropped as soon as
nothing is left to do with it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from attrs import field, frozen
from sqlalchemy.dialects import postgresql, sqlite

from contacts_core.errors import InvalidInput, StorageError
from contacts_core.storage.database import Storage, stored
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.storage.sealing import opened, opened_key, sealed, sealed_key

__all__ = ["Event", "Journal", "Progress", "Run", "now"]

PAGE = 200  # events read at a time
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
    sa.Column("plan", sa.LargeBinary),
    sa.Column("receipt", sa.LargeBinary),
)
keys = sa.Table(  # apart from the runs: a small table is soon rewritten
    "contacts_run_keys",
    metadata,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
)
events = sa.Table(
    "contacts_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(64), nullable=False, index=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("begun_at", sa.String(40), nullable=False),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("body", sa.LargeBinary, nullable=False),
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
        id: Its name.
        kind: What the plan is for.
        accounts: Names of the accounts.
        people: How many people it is about.
        checksum: The plan's.
        key: Id of the key of its hashes.
        options: How it is to be run.
        state: ``running``, ``interrupted``, ``done``, ``incomplete``, ``refused``, ``cancelled`` or ``failed``.
        reason: Why it ended so, in words.
        round: How often it was begun; resuming what had ended begins another round.
        begun_at: When, in ISO 8601.
        ended_at: When; None while it goes on.
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
        """What the names of this round's workflows begin with."""
        return f"{self.id}.{self.round}."

    def workflow(self, account: str, what: str) -> str:
        """Name of a durable workflow of this round."""
        return f"{self.prefix}{what}.{account}"


@frozen
class Event:
    """Something that happened in an account; ``ended_at`` is None where it was cut off."""

    number: int
    account: str
    type: str
    begun_at: str
    ended_at: str | None
    body: Mapping[str, Any]


@frozen
class Progress:
    """How far a run got in one account."""

    account: str
    phase: str
    done: int
    total: int
    detail: str


def now() -> str:
    """The time, as it is written down."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Journal:
    """The journal of one state."""

    def __init__(self, place: Storage) -> None:
        self._place, self._engine = place, place.engine()
        self._insert = (postgresql if place.shared else sqlite).insert
        place.create(metadata)

    # -- runs

    def begin(
        self,
        id: str,
        *,
        kind: str,
        accounts: Sequence[str],
        people: int,
        checksum: str,
        plan: str,
        key: PseudonymKey,
        options: Mapping[str, Any],
    ) -> None:
        """Write a new run down, its plan (as the text of its file) encrypted."""
        secret, kept = sealed_key(id, key)
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
            "plan": sealed(secret, _packed(plan), f"plan of {id}"),
        }
        self._begin(row, kept)

    @stored
    def _begin(self, row: Mapping[str, Any], key: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._insert(runs).on_conflict_do_nothing(), row)
            connection.execute(self._insert(keys).on_conflict_do_nothing(), {"run": row["id"], "key": key})

    @stored
    def all(self) -> list[Run]:
        """Every run, the latest first."""
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(_WITHOUT_BLOBS.order_by(runs.c.begun_at.desc()))]

    @stored
    def run(self, id: str) -> Run:
        """The run of this name.

        Raises:
            InvalidInput: There is none.
        """
        row = None
        if id.isascii() and id.isprintable():  # others, no database takes
            with self._engine.connect() as connection:
                row = connection.execute(_WITHOUT_BLOBS.where(runs.c.id == id)).first()
        if row is None:
            raise InvalidInput(f"there is no run {id}", hint="`contacts runs` shows those that there are")
        return _run(row)

    def plan(self, id: str) -> bytes | None:
        """The plan of a run, as the text of its file; None once nothing is left to do with it.

        Raises:
            StorageError: It was altered, or the receipt key is another one than when the run began.
        """
        found, kept = self._blob(id, runs.c.plan), self._blob(id, keys.c.key)
        if not found:
            return None
        if not kept:
            raise StorageError(f"the plan of {id} cannot be decrypted: its key is gone", hint="make a new plan")
        secret = opened_key(kept, id, self._place.key())
        return zlib.decompress(opened(secret, found, f"plan of {id}"))

    def receipt(self, id: str) -> str | None:
        """The receipt of a run, as the text of its file; None while it has none.

        Raises:
            StorageError: It was altered.
        """
        packed = self._blob(id, runs.c.receipt)
        try:
            return zlib.decompress(packed).decode() if packed else None
        except (zlib.error, ValueError):
            raise _altered(id) from None

    @stored
    def _blob(self, id: str, column: sa.Column[Any]) -> bytes | None:
        of = runs.c.id if column.table is runs else keys.c.run
        with self._engine.connect() as connection:
            return connection.execute(sa.select(column).where(of == id)).scalar()

    def end(self, run: Run, state: str, reason: str, receipt: str | None, *, forget: bool) -> bool:
        """Write down how a round ended; with ``forget``, its plan and with it who it was about are gone from here.

        Only the first to say so is heard; tells whether this was the first.
        """
        values: dict[str, Any] = {"state": state, "reason": reason, "ended_at": now()}
        if receipt is not None:
            values["receipt"] = _packed(receipt)
        if forget:
            values["plan"] = None
        open_ = sa.and_(runs.c.round == run.round, runs.c.state.in_(["running", "interrupted"]))
        first = self._change(run.id, values, open_)
        if first and forget:
            self._forget(run.id)
        return first

    @stored
    def _forget(self, id: str) -> None:
        """Destroy the key of a run's plan, and what the database itself may still hold of it."""
        with self._engine.begin() as connection:
            connection.execute(keys.delete().where(keys.c.run == id))
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            shared = self._place.shared
            connection.execute(sa.text("VACUUM contacts_run_keys" if shared else "PRAGMA wal_checkpoint(TRUNCATE)"))

    @stored
    def probe(self) -> None:
        """See that the database can be written, by writing what is then taken back.

        Raises:
            StorageError: It cannot.
        """
        with self._engine.connect() as connection:
            connection.execute(self._insert(keys).values(run=f"probe {now()}", key=bytes(65536)))
            connection.rollback()

    def interrupted(self, id: str) -> None:
        """Write down that the process is gone that did it."""
        self._change(id, {"state": "interrupted"}, runs.c.state == "running")

    def again(self, id: str, *, next_round: bool) -> None:
        """Write down that a run goes on."""
        values: dict[str, Any] = {"state": "running", "reason": "", "ended_at": None}
        if next_round:
            values["round"] = runs.c.round + 1
        self._change(id, values)

    @stored
    def _change(self, id: str, values: Mapping[str, Any], *where: sa.ColumnElement[bool]) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(runs.update().where(runs.c.id == id, *where).values(**values)).rowcount > 0

    # -- events

    def note(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> None:
        """Write down something that happened, at once: nobody may find half of it."""
        self._insert_event(run, account, type, body, ended_at=now())

    def began(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> int:
        """Write down that something begins; gives its number."""
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
        """Write down how it ended."""
        values = {"ended_at": now(), "body": _packed(json.dumps(dict(body)))}
        with self._engine.begin() as connection:
            connection.execute(events.update().where(events.c.number == number).values(**values))

    def events(self, run: str, type: str = "", account: str = "") -> Iterator[Event]:
        """All that happened in a run, or all of a type, or in one account, in the order in which it began."""
        chosen = events.select().where(events.c.run == run).order_by(events.c.number).limit(PAGE)
        if type:
            chosen = chosen.where(events.c.type == type)
        if account:
            chosen = chosen.where(events.c.account == account)
        page = self._rows(chosen)
        while page:
            for row in page:
                try:
                    body = json.loads(zlib.decompress(row.body))
                except (zlib.error, ValueError):
                    raise _altered(run) from None
                yield Event(row.number, row.account, row.type, row.begun_at, row.ended_at, body)
            page = self._rows(chosen.where(events.c.number > page[-1].number)) if len(page) == PAGE else []

    @stored
    def _rows(self, chosen: sa.Select[Any]) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(chosen).all()

    @stored
    def recent(self, account: str, seconds: float) -> int:
        """How many requests were sent to an account in these last seconds, at the most, by whatever process."""
        since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        late = sa.or_(events.c.ended_at >= since, sa.and_(events.c.ended_at.is_(None), events.c.begun_at >= since))
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(events.c.body).where(events.c.account == account, late)).all()
        bodies = [json.loads(zlib.decompress(row.body)) for row in rows]
        # Of what was cut off, nobody knows how far it came: each contact is a request at the most.
        return sum(len(body["exchanges"]) if "exchanges" in body else body.get("contacts", 0) for body in bodies)

    @stored
    def has(self, run: str, type: str) -> bool:
        """Whether anything of this type happened in a run."""
        chosen = sa.select(events.c.number).where(events.c.run == run, events.c.type == type).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(chosen).first() is not None

    # -- progress

    @stored
    def reached(self, run: str, account: str, phase: str, done: int, total: int, detail: str = "") -> None:
        """Write down how far a run got."""
        row = {"run": run, "account": account, "phase": phase, "done": done, "total": total, "detail": detail}
        statement = self._insert(progress).values(row)
        changed = {name: statement.excluded[name] for name in ("phase", "done", "total", "detail")}
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "account"], set_=changed))

    @stored
    def progress(self, run: str) -> list[Progress]:
        """How far a run got, account by account."""
        with self._engine.connect() as connection:
            rows = connection.execute(progress.select().where(progress.c.run == run).order_by(progress.c.account))
            return [Progress(row.account, row.phase, row.done, row.total, row.detail) for row in rows]


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 1)


_WITHOUT_BLOBS = sa.select(*(column for column in runs.c if column.name not in {"plan", "receipt"}))


def _altered(id: str) -> StorageError:
    return StorageError(f"what is kept of run {id} was altered and cannot be read", hint="find out who may write there")


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
