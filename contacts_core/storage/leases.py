"""Which process may send requests to an account: leases in the shared database, which rely on nobody's wall clock.

A lease is a row: its holder, a stamp that changes with every renewal, and its duration. The holder renews it well
before that time is over. It measures from the moment *before* a renewal was sent, on a monotonic clock: once the
duration, less a margin, has passed without an answer, it sends nothing more. Another process may take the lease when it
was released, or when its stamp did not change for the whole duration on that process's *own* clock. So a wrong clock, a
database restored from an older copy, and a dead or silent connection can only make processes wait.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.errors import ConfigurationError, StorageError
from contacts_core.storage.database import RESUME_HINT, Storage, storage_error

__all__ = ["LEASE_S", "Leases", "Stopped"]

logger = logging.getLogger("contacts_core")

metadata = sa.MetaData()
table = sa.Table(
    "contacts_leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("stamp", sa.String(32), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("free", sa.Boolean, nullable=False),
)

LEASE_S = 90.0  # how long a worker may be silent before another one takes over its work
SHORTEST_S = 0.5  # the shortest lease that is accepted
MARGIN_SHARE = 0.25  # never used, because clocks run at different speeds and the last renewal takes time
RENEWALS_PER_LEASE = 6
LEAST_SHARE = 0.125  # of a lease that must be left for a request to be sent
RETRY_INTERVAL_S = 0.1  # at least, between two attempts to take a lease
clock = getattr(time, "CLOCK_BOOTTIME", None)  # it keeps counting while the machine sleeps


class Stopped(BaseException):
    """Ends the work in this process, to be continued later. Not an `Exception`, so that DBOS records no result."""


def elapsed() -> float:
    """Return seconds on a monotonic clock, which counts while the machine sleeps if the system has such a clock."""
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Leases:
    """The leases of one process. Thread-safe. In a folder, which one process uses at a time, every lease is granted."""

    def __init__(self, storage: Storage, holder: str, seconds: float) -> None:
        """Prepare.

        Args:
            storage: Where runs are kept.
            holder: A name for this process that no other process ever has.
            seconds: How long a lease lasts without renewal.

        Raises:
            ConfigurationError: The duration is too short.
        """
        if not seconds >= SHORTEST_S:
            raise ConfigurationError(f"a lease of {seconds:g} s is too short", hint=f"at least {SHORTEST_S} s")
        self.holder, self.seconds = holder, seconds
        self.failing_since: float | None = None
        self.taken_over = set[str]()
        self._storage = storage
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._done = threading.Event()
        self._renewing: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start renewing."""
        if self._storage.shared:
            self._storage.create(metadata)
            self._engine = self._storage.engine(self.seconds / 4)
            self._renewing = threading.Thread(target=self._renew_forever, daemon=True, name="contacts-leases")
            self._renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Release all leases, if the database can be reached."""
        self._done.set()
        if self._renewing:
            self._renewing.join(self.seconds)
            for name in list(self._held):
                self.drop(name)

    # -- taking and releasing

    def take(self, name: str) -> bool:
        """Take a lease if it is free or its holder was silent for long enough. Return whether it is held now."""
        if not self._storage.shared:
            return True
        begun = elapsed()
        try:
            taken = self._take(name)
        except SQLAlchemyError as error:
            self._failed(error)
            return False
        if taken:
            with self._lock:
                self._held[name] = begun + self.seconds * (1 - MARGIN_SHARE)
        return taken

    def _take(self, name: str) -> bool:
        fresh = {"holder": self.holder, "stamp": uuid.uuid4().hex, "seconds": self.seconds, "free": False}
        with self._engine.begin() as connection:
            insert = postgresql.insert(table).values(name=name, **fresh).on_conflict_do_nothing()
            if connection.execute(insert.returning(table.c.name)).first() is not None:
                return True
            row = connection.execute(table.select().where(table.c.name == name)).first()
            if row is None:
                return False
            if row.holder != self.holder:
                self.taken_over.add(name)
            if not (row.free or row.holder == self.holder):
                stamp, since = self._seen.get(name, ("", 0.0))
                if stamp != row.stamp:
                    self._seen[name] = (row.stamp, elapsed())
                    return False
                if elapsed() - since < row.seconds:
                    return False
            unchanged = sa.and_(table.c.name == name, table.c.stamp == row.stamp)
            taken = table.update().where(unchanged).values(**fresh).returning(table.c.name)
            if connection.execute(taken).first() is not None:
                self._seen.pop(name, None)
                return True
            return False

    def drop(self, name: str) -> None:
        """Release a lease. The row of a worker's own lease is deleted, because no other worker has its name."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is None:
            return
        own = sa.and_(table.c.name == name, table.c.holder == self.holder)
        gone = table.delete().where(own) if name.startswith("worker ") else None
        freed = table.update().where(own).values(free=True, stamp=uuid.uuid4().hex)
        try:
            with self._engine.begin() as connection:
                connection.execute(freed if gone is None else gone)
        except SQLAlchemyError as error:  # it expires by itself
            self._failed(error)

    @contextmanager
    def holding(self, name: str, stopping: threading.Event) -> Generator[None]:
        """Hold a lease within the block, as the only thread of this process.

        Raises:
            Stopped: The engine stopped before the lease was free.
        """
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        while not lock.acquire(timeout=RETRY_INTERVAL_S):
            if stopping.is_set():
                raise Stopped
        try:
            while not self.take(name):
                if stopping.wait(max(RETRY_INTERVAL_S, self.seconds / 50)):
                    raise Stopped
            try:
                yield
            finally:
                self.drop(name)
        finally:
            lock.release()

    def left(self, name: str) -> float | None:
        """Return the seconds that this lease certainly lasts; 0 if it must be renewed first, None if it is lost."""
        if not self._storage.shared:
            return float("inf")
        with self._lock:
            until = self._held.get(name)
        if until is None:
            return None
        seconds = until - elapsed()
        return seconds if seconds > LEAST_SHARE * self.seconds else 0.0

    # -- renewing

    def _renew_forever(self) -> None:
        while not self._done.wait(self.seconds / RENEWALS_PER_LEASE):
            try:
                self._renew()
                self.failing_since = None
            except SQLAlchemyError as error:
                self._failed(error)

    def _renew(self) -> None:
        with self._lock:
            before = dict(self._held)
        begun = elapsed()
        own = sa.and_(table.c.name.in_(list(before)), table.c.holder == self.holder, table.c.free.is_(False))
        renewed = table.update().where(own).values(stamp=sa.func.md5(sa.func.concat(table.c.name, uuid.uuid4().hex)))
        with self._engine.begin() as connection:
            still = {row.name for row in connection.execute(renewed.returning(table.c.name))}
        with self._lock:
            for name, until in before.items():
                if self._held.get(name) != until:
                    continue  # released or taken again meanwhile
                if name in still:
                    self._held[name] = begun + self.seconds * (1 - MARGIN_SHARE)
                else:
                    del self._held[name]
                    logger.warning("another process took over the lease of %s; its work in this process ends", name)

    def _failed(self, error: SQLAlchemyError) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            logger.warning("%s; requests wait until leases can be renewed", storage_error(error))

    def check(self, patience: float) -> None:
        """Check that leases could be renewed recently.

        Raises:
            StorageError: Nothing could be renewed for longer than ``patience`` seconds.
        """
        since: Any = self.failing_since
        if since is not None and time.monotonic() - since > patience:
            raise StorageError(
                f"the storage's database could not be used for {patience:.0f} s",
                hint=RESUME_HINT,
            )
