"""Who may speak to an account: a lease in the database that machines share, and nobody's clock.

A lease is a row: its holder, a stamp that changes with every renewal, and for how long it holds. The holder renews it
well before that time is over, and counts from the moment *before* a renewal was sent, on a clock that only goes
forward: once that time (less a margin) has passed without an answer, it sends nothing more. Somebody else may take
the lease when it was given back, or when its stamp did not change for the whole time on their *own* clock. So a clock
that is wrong, a database that was replaced by an older copy of itself, and a connection that is dead or silent can
only make everybody wait.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.errors import ConfigurationError, StorageError
from contacts_core.storage.database import Storage, storage_error

__all__ = ["LEASE", "Leases", "Stopped"]

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

LEASE = 90.0  # seconds that a worker may be silent before another one takes its work
SHORTEST = 0.5  # seconds of a lease, at least
MARGIN = 0.25  # share of a lease that is never used: for clocks that run at different speeds, and the last renewal
BEAT = 6  # renewals in the time of a lease
LEAST = 0.125  # share of a lease that has to be left for a request to be sent
WAIT = 0.1  # seconds between two tries to take a lease, at least
clock = getattr(time, "CLOCK_BOOTTIME", None)  # it goes on while the machine sleeps


class Stopped(BaseException):
    """What runs ends here and is taken up later. No error, so that no workflow ends on it."""


def elapsed() -> float:
    """Seconds on a clock that only goes forward, also while the machine sleeps where there is such a clock."""
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Leases:
    """The leases of one process. Thread-safe. In a folder, which one process works on alone, every lease holds."""

    def __init__(self, place: Storage, holder: str, seconds: float) -> None:
        """Prepare.

        Args:
            place: Where runs are kept.
            holder: What names this process, and no other one ever.
            seconds: For how long a lease holds.

        Raises:
            ConfigurationError: That is too short.
        """
        if not seconds >= SHORTEST:
            raise ConfigurationError(f"a lease of {seconds:g} s is too short", hint=f"at least {SHORTEST} s")
        self.holder, self.seconds = holder, seconds
        self.failing_since: float | None = None
        self.taken_over = set[str]()
        self._place = place
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._mine: dict[str, threading.Lock] = {}
        self._done = threading.Event()
        self._beating: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to renew."""
        if self._place.shared:
            self._place.create(metadata)
            self._engine = self._place.engine(self.seconds / 4)
            self._beating = threading.Thread(target=self._beat_forever, daemon=True, name="contacts-leases")
            self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back, if the database can be reached."""
        self._done.set()
        if self._beating:
            self._beating.join(self.seconds)
            for name in list(self._held):
                self.drop(name)

    # -- taking and giving back

    def take(self, name: str) -> bool:
        """Take a lease, if it is free or its holder has been silent for long enough; tells whether it is held now."""
        if not self._place.shared:
            return True
        begun = elapsed()
        try:
            taken = self._take(name)
        except SQLAlchemyError as error:
            self._failed(error)
            return False
        if taken:
            with self._lock:
                self._held[name] = begun + self.seconds * (1 - MARGIN)
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
        """Give a lease back; one of a worker's name goes with its row, for no other worker has that name."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is None:
            return
        mine = sa.and_(table.c.name == name, table.c.holder == self.holder)
        gone = table.delete().where(mine) if name.startswith("worker ") else None
        freed = table.update().where(mine).values(free=True, stamp=uuid.uuid4().hex)
        try:
            with self._engine.begin() as connection:
                connection.execute(freed if gone is None else gone)
        except SQLAlchemyError as error:  # then it is free when its time is over
            self._failed(error)

    @contextmanager
    def holding(self, name: str, stopping: threading.Event) -> Iterator[None]:
        """Hold a lease while this lasts, as the only thread of this process.

        Raises:
            Stopped: The engine was stopped before the lease could be had.
        """
        with self._lock:
            mine = self._mine.setdefault(name, threading.Lock())
        while not mine.acquire(timeout=WAIT):
            if stopping.is_set():
                raise Stopped
        try:
            while not self.take(name):
                if stopping.wait(max(WAIT, self.seconds / 50)):
                    raise Stopped
            try:
                yield
            finally:
                self.drop(name)
        finally:
            mine.release()

    def left(self, name: str) -> float | None:
        """Seconds for which this lease holds for certain, 0 if that has to be seen; None if it is lost."""
        if not self._place.shared:
            return float("inf")
        with self._lock:
            until = self._held.get(name)
        if until is None:
            return None
        seconds = until - elapsed()
        return seconds if seconds > LEAST * self.seconds else 0.0

    # -- renewing

    def _beat_forever(self) -> None:
        while not self._done.wait(self.seconds / BEAT):
            try:
                self._beat()
                self.failing_since = None
            except SQLAlchemyError as error:
                self._failed(error)

    def _beat(self) -> None:
        with self._lock:
            before = dict(self._held)
        begun = elapsed()
        mine = sa.and_(table.c.name.in_(list(before)), table.c.holder == self.holder, table.c.free.is_(False))
        renewed = table.update().where(mine).values(stamp=sa.func.md5(sa.func.concat(table.c.name, uuid.uuid4().hex)))
        with self._engine.begin() as connection:
            still = {row.name for row in connection.execute(renewed.returning(table.c.name))}
        with self._lock:
            for name, until in before.items():
                if self._held.get(name) != until:
                    continue  # it was given back or taken anew meanwhile
                if name in still:
                    self._held[name] = begun + self.seconds * (1 - MARGIN)
                else:
                    del self._held[name]
                    logger.warning("the lease of %s was taken over by another process; its work here ends", name)

    def _failed(self, error: SQLAlchemyError) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            logger.warning("%s; requests wait until leases can be renewed", storage_error(error))

    def check(self, patience: float) -> None:
        """Give up if nothing could be renewed for too long.

        Raises:
            StorageError: So it is.
        """
        since: Any = self.failing_since
        if since is not None and time.monotonic() - since > patience:
            raise StorageError(
                f"the database where runs are kept could not be used for {patience:.0f} s",
                hint="nothing is lost: contacts runs resume goes on where it was",
            )
