"""Who was erased, as pseudonyms, so that no later import brings them back unnoticed.

The store holds no identifiers. A run adds tombstones to its own storage and to the default one of the process
(`locate_storage()`); clients look in the default storage and in the one they were given. So an import that was given
no storage finds them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contacts_core.errors import ConfigurationError
from contacts_core.models import Contact, Identifier
from contacts_core.provider import flows
from contacts_core.storage.database import Storage, locate_storage, stored

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Tombstones", "blocked", "guard", "places"]

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
    """The tombstones of one storage.

    Raises:
        ConfigurationError: Its tombstones were made with another key, so that nobody would be recognised.
    """

    def __init__(self, place: Storage) -> None:
        self._engine, self._key = place.engine(), place.key()
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans", which the line before asks for
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - as above

        self._insert = (postgresql if place.shared else sqlite).insert
        metadata = sa.MetaData()
        self._table = _table(metadata)
        place.create(metadata)
        self._check_key()

    @stored
    def _check_key(self) -> None:
        import sqlalchemy as sa  # noqa: PLC0415 - as above

        with self._engine.connect() as connection:
            others = sa.select(self._table.c.key).where(self._table.c.key != self._key.id).limit(1)
            if other := connection.execute(others).scalar():
                raise ConfigurationError(
                    f"the tombstones were made with the receipt key {other}, and this one is {self._key.id}",
                    hint="name the right key; with another one nobody would be recognised",
                )

    def add(self, identifiers: Iterable[Identifier], run: str) -> None:
        """Note that these were erased by this run; those that are noted already stay as they are."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        hashes = dict.fromkeys(map(self._key.identifier, identifiers))
        self._insert_all([{"hash": each, "key": self._key.id, "run": run, "at": now} for each in hashes])

    @stored
    def _insert_all(self, rows: Sequence[dict[str, str]]) -> None:
        with self._engine.begin() as connection:
            for batch in flows.chunks(rows, BATCH):
                connection.execute(self._insert(self._table).on_conflict_do_nothing(), list(batch))

    def remove(self, identifiers: Iterable[Identifier]) -> int:
        """Forget these, for people who came back of their own accord; tells how many there were."""
        return self._delete(list(dict.fromkeys(map(self._key.identifier, identifiers))))

    @stored
    def _delete(self, hashes: Sequence[str]) -> int:
        with self._engine.begin() as connection:
            return sum(
                connection.execute(self._table.delete().where(self._table.c.hash.in_(batch))).rowcount
                for batch in flows.chunks(hashes, BATCH)
            )

    def reasons(self, contacts: Sequence[Contact]) -> list[str]:
        """Why each of these contacts is held back; empty for those that are not."""
        hashes = [[self._key.identifier(i) for i in contact.identifiers] for contact in contacts]
        known = self._known(list(dict.fromkeys(h for each in hashes for h in each)))
        first = [next((known[h] for h in each if h in known), None) for each in hashes]
        return [f"erased on {row.at[:10]} by run {row.run}" if row else "" for row in first]

    @stored
    def __len__(self) -> int:
        """How many identifiers were erased."""
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one()

    @stored
    def _known(self, hashes: Sequence[str]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        with self._engine.connect() as connection:
            for batch in flows.chunks(hashes, BATCH):
                rows = connection.execute(self._table.select().where(self._table.c.hash.in_(list(batch))))
                known |= {row.hash: row for row in rows}
        return known


def places(own: Storage) -> list[Storage]:
    """Where a run that is kept in this storage leaves its tombstones."""
    return list(dict.fromkeys([own, locate_storage()]))


def blocked(contacts: Sequence[Contact], storage: str | Path | None = None) -> Sequence[str]:
    """Why each of these contacts must not be written, by the tombstones of the storage in force and of the one given.

    Raises:
        ConfigurationError: There are tombstones, and they cannot be read.
        StorageError: Likewise.
    """
    reasons = [""] * len(contacts)
    for place in places(locate_storage(storage)):
        if place.exists:
            reasons = [one or other for one, other in zip(reasons, Tombstones(place).reasons(contacts), strict=True)]
    return reasons


def guard(storage: str | Path | None) -> Callable[[Sequence[Contact]], Sequence[str]]:
    """Return the guard of clients: `blocked`, with this storage besides the one in force.

    It reads databases, so a client calls it where it may block.
    """
    return lambda contacts: blocked(contacts, storage)
