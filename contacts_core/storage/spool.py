"""Rows that are too many for memory: an unnamed database on disk, which vanishes with the process.

SQLite keeps an unnamed database in memory while it is small, and then in a file that has no name from the moment it is
opened (https://www.sqlite.org/inmemorydb.html#temp_db). So what it holds cannot be read by others, and nothing is left
behind when the process is killed.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["Spool"]

CACHE_KB = 512  # of each; several are open at the same time
PAGE_SIZE = 500  # rows fetched at once


class Spool:
    """An unnamed database, closed when nothing refers to it any more. Threads may share it."""

    def __init__(self, schema: str) -> None:
        """Create the tables that ``schema``, a script in SQL, defines."""
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection, self._lock = connection, threading.Lock()
        weakref.finalize(self, connection.close)
        # Nothing has to survive a crash. The one transaction, which never ends, spares a journal for every statement.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KB}", "temp_store = FILE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(schema)
        connection.execute("BEGIN")

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row."""
        with self._lock:
            self._connection.executemany(statement, rows)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query that has few."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
            return row

    def scan(self, query: str, first: int, end: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query between two numbers, some at a time.

        Args:
            query: It selects rows by ``n >= ? AND n < ?``, in order, one for each number.
            first: The first number.
            end: The number after the last.
        """
        for start in range(first, end, PAGE_SIZE):
            yield from self.rows(query, start, min(start + PAGE_SIZE, end))

    def each(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield all rows of a query, some at a time, without its first column.

        Args:
            query: It selects a number that grows as its first column, and ends with a condition that this number is
                ``> ?``, an order by it, and ``LIMIT ?``.
            values: For the query, before these two.
        """
        last = -1
        while page := self.rows(query, *values, last, PAGE_SIZE):
            for last, *row in page:  # noqa: B007 - it is used by the next query
                yield tuple(row)
