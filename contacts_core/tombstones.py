"""Who was erased, as keyed hashes, so that no later import brings them back unnoticed.

The store holds no identifier: whoever asks must bring one, and the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contacts_core import steps
from contacts_core.errors import ConfigurationError
from contacts_core.identifiers import Identifier
from contacts_core.keys import owner_only
from contacts_core.models import Contact
from contacts_core.state import State, state

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Tombstones", "held_back", "remember", "remembered"]

OTHERS = "other-states"  # folder of the notes about other states, in the folder of the state in force
BATCH = 500  # values in one statement; SQLite's own limit is far higher, and its planner no quicker


def _table(metadata: sa.MetaData) -> sa.Table:
    import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

    return sa.Table(
        "contacts_tombstones",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )


class Tombstones:
    """The tombstones of one state.

    Raises:
        ConfigurationError: Its tombstones were made with another key, so that nobody would be recognised.
    """

    def __init__(self, place: State) -> None:
        self._place, self._engine, self._key = place, place.engine(), place.key()
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans", which the line before asks for
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - as above

        self._insert = (postgresql if place.shared else sqlite).insert
        metadata = sa.MetaData()
        self._table = _table(metadata)
        place.create(metadata)
        with self._engine.connect() as connection:
            others = sa.select(self._table.c.key).where(self._table.c.key != self._key.id).limit(1)
            if other := connection.execute(others).scalar():
                raise ConfigurationError(
                    f"the tombstones were made with the receipt key {other}, and this one is {self._key.id}",
                    hint="name the right key; with another one nobody would be recognised",
                )

    def bury(self, identifiers: Iterable[Identifier], run: str) -> None:
        """Note that these were erased by this run; those that are noted already stay as they are."""
        remember(self._place)  # before there is any: whoever imports meanwhile looks there
        now = datetime.now(UTC).isoformat(timespec="seconds")
        hashes = dict.fromkeys(map(self._key.identifier, identifiers))
        rows = [{"hash": each, "key": self._key.id, "run": run, "at": now} for each in hashes]
        with self._engine.begin() as connection:
            for batch in steps.chunks(rows, BATCH):
                connection.execute(self._insert(self._table).on_conflict_do_nothing(), list(batch))

    def lift(self, identifiers: Iterable[Identifier]) -> int:
        """Forget these, for people who came back of their own accord; tells how many there were."""
        hashes = list(dict.fromkeys(map(self._key.identifier, identifiers)))
        with self._engine.begin() as connection:
            return sum(
                connection.execute(self._table.delete().where(self._table.c.hash.in_(batch))).rowcount
                for batch in steps.chunks(hashes, BATCH)
            )

    def reasons(self, contacts: Sequence[Contact]) -> list[str]:
        """Why each of these contacts is held back; empty for those that are not."""
        hashes = [[self._key.identifier(i) for i in contact.identifiers] for contact in contacts]
        known: dict[str, Any] = {}
        with self._engine.connect() as connection:
            for batch in steps.chunks(dict.fromkeys(h for each in hashes for h in each), BATCH):
                known |= self._known(connection, batch)
        first = [next((known[h] for h in each if h in known), None) for each in hashes]
        return [f"erased on {row.at[:10]} by run {row.run}" if row else "" for row in first]

    def __len__(self) -> int:
        """How many identifiers were erased."""
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one()

    def _known(self, connection: sa.Connection, hashes: Iterable[str]) -> dict[str, Any]:
        rows = connection.execute(self._table.select().where(self._table.c.hash.in_(list(hashes))))
        return {row.hash: row for row in rows}


def held_back(contacts: Sequence[Contact], where: str | Path | None = None) -> Sequence[str]:
    """Why each of these contacts must not be written, by the tombstones of every state that is known here.

    Those are the state in force, the ones that erasures kept their tombstones in instead (`remember`), and ``where``.

    Raises:
        ConfigurationError: There are tombstones, and they cannot be read.
    """
    reasons = [""] * len(contacts)
    places = dict.fromkeys([state(), *remembered(), *([state(where)] if where else [])])
    for place in places:
        if place.exists:
            reasons = [known or new for known, new in zip(reasons, Tombstones(place).reasons(contacts), strict=True)]
    return reasons


def remember(place: State) -> None:
    """Note in the state in force that this other one keeps tombstones, so that every upsert looks there as well.

    The note is a file that only its owner can read, for the address of a database may hold a password.
    """
    used = state()
    if place == used:
        return
    name = hashlib.sha256(f"{place.folder}\n{place.database}".encode()).hexdigest()[:32]
    with owner_only(used.folder / OTHERS / f"{name}.json") as file:
        json.dump({"folder": str(place.folder), "database": place.database}, file)


def remembered() -> list[State]:
    """The other states that keep tombstones, as noted in the state in force.

    Raises:
        ConfigurationError: A note cannot be read: somebody who was erased might come back.
    """
    found = []
    for path in sorted((state().folder / OTHERS).glob("*.json")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            found.append(State(Path(note["folder"]), note["database"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"the note {path.name} about another state cannot be read",
                hint="it says where tombstones are; remove it only if that state is gone for good",
            ) from None
    return found
