"""Collections on disk for work that is in no order and would not fit into memory. They are gone when they are closed.

They are anonymous SQLite databases: SQLite keeps a few megabytes in memory and writes the rest to a temporary file that
has no name, so nothing is left behind after a crash. Put pseudonyms into them, never identifiers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Self

__all__ = ["DiskMultimap", "DiskSet"]

SETTINGS = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-2000", "BEGIN")


class _Scratch:
    """An anonymous database with one table, for one thread at a time."""

    table: str

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (*SETTINGS, self.table):
            self._connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


class DiskSet(_Scratch):
    """A set of bytes."""

    table = "CREATE TABLE items (item BLOB PRIMARY KEY) WITHOUT ROWID"

    def update(self, items: Iterable[bytes]) -> None:
        """Add these items."""
        self._connection.executemany("INSERT OR IGNORE INTO items VALUES (?)", ((item,) for item in items))

    def __contains__(self, item: bytes) -> bool:
        """Return whether this item was added."""
        return self._connection.execute("SELECT 1 FROM items WHERE item = ?", (item,)).fetchone() is not None

    def __bool__(self) -> bool:
        """Return whether any item was added."""
        return self._connection.execute("SELECT 1 FROM items LIMIT 1").fetchone() is not None


class DiskMultimap(_Scratch):
    """Several values for each number."""

    table = "CREATE TABLE items (number INTEGER, place INTEGER, value BLOB, PRIMARY KEY (number, place)) WITHOUT ROWID"

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def update(self, pairs: Iterable[tuple[int, bytes]]) -> None:
        """Add a value for each of these numbers."""
        rows = ((number, place, value) for place, (number, value) in enumerate(pairs, self._size))
        self._size += self._connection.executemany("INSERT INTO items VALUES (?, ?, ?)", rows).rowcount

    def items(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield each number with its values: numbers in order, values as they were added."""
        rows = self._connection.execute("SELECT number, value FROM items ORDER BY number, place")
        for number, group in groupby(rows, itemgetter(0)):
            yield number, [value for _, value in group]
