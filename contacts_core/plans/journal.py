"""What runs write down as they go: the plan while it is needed, what was done, how far it got, and the receipt.

Nothing here names a person: events hold keyed hashes, and the plan is dropped as soon as nothing is left to do with it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from attrs import field, frozen
from sqlalchemy.dialects import postgresql, sqlite

from contacts_core.errors import InvalidInput
from contacts_core.plans.model import Plan
from contacts_core.state import State

__all__ = ["Event", "Journal", "Progress", "Run", "now"]

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

    def __init__(self, place: State) -> None:
        self._engine = place.engine()
        self._insert = (postgresql if place.shared else sqlite).insert
        place.create(metadata)

    # -- runs

    def begin(self, id: str, plan: Plan, key: str, options: Mapping[str, Any]) -> None:
        """Write a new run down."""
        row = {
            "id": id,
            "kind": plan.kind.value,
            "accounts": json.dumps([part.account for part in plan.accounts]),
            "people": len(plan.people),
            "checksum": plan.checksum,
            "key": key,
            "options": json.dumps(dict(options)),
            "state": "running",
            "reason": "",
            "round": 1,
            "begun_at": now(),
            "plan": _packed(plan.to_json()),
        }
        with self._engine.begin() as connection:
            connection.execute(runs.insert(), row)

    def all(self) -> list[Run]:
        """Every run, the latest first."""
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(_WITHOUT_BLOBS.order_by(runs.c.begun_at.desc()))]

    def run(self, id: str) -> Run:
        """The run of this name.

        Raises:
            InvalidInput: There is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_WITHOUT_BLOBS.where(runs.c.id == id)).first()
        if row is None:
            raise InvalidInput(f"there is no run {id}", hint="`contacts runs` shows those that there are")
        return _run(row)

    def plan(self, id: str) -> Plan | None:
        """The plan of a run; None once nothing is left to do with it."""
        packed = self._blob(id, runs.c.plan)
        return Plan.from_json(zlib.decompress(packed)) if packed else None

    def receipt(self, id: str) -> str | None:
        """The receipt of a run, as the text of its file; None while it has none."""
        packed = self._blob(id, runs.c.receipt)
        return zlib.decompress(packed).decode() if packed else None

    def _blob(self, id: str, column: sa.Column[Any]) -> bytes | None:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(column).where(runs.c.id == id)).scalar()

    def end(self, run: Run, state: str, reason: str, receipt: str, *, forget: bool) -> bool:
        """Write down how a round ended; with ``forget``, its plan and with it who it was about are gone from here.

        Only the first to say so is heard; tells whether this was the first.
        """
        values: dict[str, Any] = {"state": state, "reason": reason, "ended_at": now(), "receipt": _packed(receipt)}
        if forget:
            values["plan"] = None
        open_ = sa.and_(runs.c.round == run.round, runs.c.state.in_(["running", "interrupted"]))
        first = self._change(run.id, values, open_)
        if forget and self._engine.dialect.name == "sqlite":
            with self._engine.connect() as connection:  # the log of writes would keep it for a while
                connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return first

    def interrupted(self, id: str) -> None:
        """Write down that the process is gone that did it."""
        self._change(id, {"state": "interrupted"}, runs.c.state == "running")

    def again(self, id: str, *, next_round: bool) -> None:
        """Write down that a run goes on."""
        values: dict[str, Any] = {"state": "running", "reason": "", "ended_at": None}
        if next_round:
            values["round"] = runs.c.round + 1
        self._change(id, values)

    def _change(self, id: str, values: Mapping[str, Any], *where: sa.ColumnElement[bool]) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(runs.update().where(runs.c.id == id, *where).values(**values)).rowcount > 0

    # -- events

    def note(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> None:
        """Write down something that happened."""
        self.ended(self.began(run, account, type, {}), body)

    def began(self, run: str, account: str, type: str, body: Mapping[str, Any]) -> int:
        """Write down that something begins; gives its number."""
        row = {"run": run, "account": account, "type": type, "begun_at": now(), "body": _packed(json.dumps(dict(body)))}
        with self._engine.begin() as connection:
            key = connection.execute(events.insert(), row).inserted_primary_key
            assert key is not None
            return int(key[0])

    def ended(self, number: int, body: Mapping[str, Any]) -> None:
        """Write down how it ended."""
        values = {"ended_at": now(), "body": _packed(json.dumps(dict(body)))}
        with self._engine.begin() as connection:
            connection.execute(events.update().where(events.c.number == number).values(**values))

    def events(self, run: str, type: str = "", account: str = "") -> Iterator[Event]:
        """All that happened in a run, or all of a type, or in one account, in the order in which it began."""
        chosen = events.select().where(events.c.run == run).order_by(events.c.number)
        if type:
            chosen = chosen.where(events.c.type == type)
        if account:
            chosen = chosen.where(events.c.account == account)
        with self._engine.connect() as connection:
            rows = connection.execution_options(yield_per=200).execute(chosen)
            for row in rows:
                body = json.loads(zlib.decompress(row.body))
                yield Event(row.number, row.account, row.type, row.begun_at, row.ended_at, body)

    def recent(self, account: str, seconds: float) -> int:
        """How many requests were sent to an account in these last seconds, at the most, by whatever process."""
        since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        late = sa.or_(events.c.ended_at >= since, sa.and_(events.c.ended_at.is_(None), events.c.begun_at >= since))
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(events.c.body).where(events.c.account == account, late)).all()
        bodies = [json.loads(zlib.decompress(row.body)) for row in rows]
        # Of what was cut off, nobody knows how far it came: each contact is a request at the most.
        return sum(len(body["exchanges"]) if "exchanges" in body else body.get("contacts", 0) for body in bodies)

    def has(self, run: str, type: str) -> bool:
        """Whether anything of this type happened in a run."""
        chosen = sa.select(events.c.number).where(events.c.run == run, events.c.type == type).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(chosen).first() is not None

    # -- progress

    def reached(self, run: str, account: str, phase: str, done: int, total: int, detail: str = "") -> None:
        """Write down how far a run got."""
        row = {"run": run, "account": account, "phase": phase, "done": done, "total": total, "detail": detail}
        statement = self._insert(progress).values(row)
        changed = {name: statement.excluded[name] for name in ("phase", "done", "total", "detail")}
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "account"], set_=changed))

    def progress(self, run: str) -> list[Progress]:
        """How far a run got, account by account."""
        with self._engine.connect() as connection:
            rows = connection.execute(progress.select().where(progress.c.run == run).order_by(progress.c.account))
            return [Progress(row.account, row.phase, row.done, row.total, row.detail) for row in rows]


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 1)


_WITHOUT_BLOBS = sa.select(*(column for column in runs.c if column.name not in {"plan", "receipt"}))


def _run(row: Any) -> Run:
    return Run(
        id=row.id,
        kind=row.kind,
        accounts=tuple(json.loads(row.accounts)),
        people=row.people,
        checksum=row.checksum,
        key=row.key,
        options=json.loads(row.options),
        state=row.state,
        reason=row.reason,
        round=row.round,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
    )
