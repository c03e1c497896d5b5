"""Tombstones: the pseudonyms of people who were erased, so that no later import brings them back unnoticed.

No identifier is stored: a look-up needs the identifier and the key. A run adds its tombstones to its own storage *and*
to the default one of its process (`locate_storage()`); clients check the default one *and* the one they were given. So
an import finds them without being told of another storage.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contacts_core.errors import ConfigurationError
from contacts_core.models import Contact, Identifier
from contacts_core.provider import flows
from contacts_core.storage.database import Storage, locate_storage, stored

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Tombstones", "blocked", "guard", "tombstone_storages"]

BATCH_SIZE = 500  # values in one statement; larger statements are no faster


@cache
def _table() -> sa.Table:
    """Return the one table: statements on another object of the same table would be compiled anew each time."""
    import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

    return sa.Table(
        "contacts_tombstones",
        sa.MetaData(),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )


class Tombstones:
    """The tombstones of one storage.

    Raises:
        ConfigurationError: Its tombstones were made with another key, which would recognise nobody.
    """

    def __init__(self, storage: Storage) -> None:
        self._engine, self._key = storage.engine(), storage.key()
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - the line before asks for the extra "plans"

        self._insert = (postgresql if storage.shared else sqlite).insert
        self._table = _table()
        storage.create(self._table.metadata)
        self._check_key()

    @stored
    def _check_key(self) -> None:
        import sqlalchemy as sa  # noqa: PLC0415 - as above

        with self._engine.connect() as connection:
            others = sa.select(self._table.c.key).where(self._table.c.key != self._key.id).limit(1)
            if other := connection.execute(others).scalar():
                raise ConfigurationError(
                    f"the tombstones were made with the receipt key {other}, and this one is {self._key.id}",
                    hint="set the receipt key that they were made with; another one recognises nobody",
                )

    def add(self, identifiers: Iterable[Identifier], run: str) -> None:
        """Add tombstones for identifiers that this run erased. Existing tombstones are unchanged.

        They are added in batches. Adding them again after an error adds those that are missing.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for batch in flows.chunks(map(self._key.identifier, identifiers), BATCH_SIZE):
            self._insert_batch(
                [{"hash": each, "key": self._key.id, "run": run, "at": now} for each in dict.fromkeys(batch)]
            )

    @stored
    def _insert_batch(self, rows: Sequence[dict[str, str]]) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._insert(self._table).on_conflict_do_nothing(), rows)

    def remove(self, identifiers: Iterable[Identifier]) -> int:
        """Remove the tombstones of people who came back by themselves. Return how many were removed."""
        return self._delete(list(dict.fromkeys(map(self._key.identifier, identifiers))))

    @stored
    def _delete(self, hashes: Sequence[str]) -> int:
        with self._engine.begin() as connection:
            return sum(
                connection.execute(self._table.delete().where(self._table.c.hash.in_(batch))).rowcount
                for batch in flows.chunks(hashes, BATCH_SIZE)
            )

    def reasons(self, contacts: Sequence[Contact]) -> list[str]:
        """Return for each contact why it is blocked; empty if it is not."""
        hashes = [[self._key.identifier(identifier) for identifier in contact.identifiers] for contact in contacts]
        rows = self._find(list(dict.fromkeys(itertools.chain.from_iterable(hashes))))
        first = [next((rows[hash_] for hash_ in of_contact if hash_ in rows), None) for of_contact in hashes]
        return [f"erased on {row.at[:10]} by run {row.run}" if row else "" for row in first]

    @stored
    def __len__(self) -> int:
        """Return the number of tombstones."""
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one()

    @stored
    def _find(self, hashes: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with self._engine.connect() as connection:
            for batch in flows.chunks(hashes, BATCH_SIZE):
                rows = connection.execute(self._table.select().where(self._table.c.hash.in_(list(batch))))
                found |= {row.hash: row for row in rows}
        return found


def tombstone_storages(own: Storage) -> list[Storage]:
    """Return where a run in this storage adds its tombstones: there, and in the default storage."""
    return list(dict.fromkeys([own, locate_storage()]))


def blocked(contacts: Sequence[Contact], storage: str | Path | None = None) -> Sequence[str]:
    """Return for each contact why it must not be written; empty if it may.

    The tombstones of the default storage and of the one given count.

    Raises:
        ConfigurationError: There are tombstones, and they cannot be read.
        StorageError: The same, because the database is unreachable or refuses.
    """
    return blocked_in(locate_storage(storage), contacts)


def blocked_in(own: Storage, contacts: Sequence[Contact]) -> Sequence[str]:
    """Return what `blocked` does, for a storage that was located already."""
    reasons = [""] * len(contacts)
    for located in tombstone_storages(own):
        if located.exists:
            further = Tombstones(located).reasons(contacts)
            reasons = [one or other for one, other in zip(reasons, further, strict=True)]
    return reasons


def guard(storage: str | Path | None) -> Callable[[Sequence[Contact]], Sequence[str]]:
    """Return `blocked` for this storage, as a client takes it.

    A relative folder is one in the folder that the program is in now.

    Raises:
        ConfigurationError: The storage is of an unknown kind, or a reference that cannot be resolved.
    """
    own = locate_storage(storage) if storage else None
    return lambda contacts: blocked_in(own or locate_storage(), contacts)
