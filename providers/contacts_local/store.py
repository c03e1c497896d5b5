"""The file: opening it, its schema, and transactions.

One SQLite file in WAL mode, so that several processes read while one of them writes. Connections are kept for reuse,
one for each call under way, and are closed with the store. https://www.sqlite.org/wal.html
"""

# There are no flows here, and most statements have no result.
# pyright: reportUnusedCallResult=false

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from contacts_core.errors import ConfigurationError, ContactsError, InvalidInput, Unavailable
from contacts_core.storage.private_files import private_file, private_folder
from contacts_local import functions

__all__ = ["APPLICATION_ID", "MIGRATIONS", "Store", "default_path"]

T = TypeVar("T")

PATIENCE_S = 30.0  # how long a call waits for another process that writes
APPLICATION_ID = 0x436F5631  # in the header of every file of ours: "CoV1"

# Statements that bring a file from each version of the schema to the next one; ``user_version`` counts them.
#
# contact: one row each. ``n`` orders the pages of an export and is never used again; ``version`` is that of the last
#   change; ``data`` is JSON, see `payloads`; times are microseconds since 1970, UTC.
# identifier: every identifier by its normal form. ``main`` is 1 where text conditions look at it.
# change: the last change of every contact there is or was; one row each, so that it does not grow with each write. A
#   contact that did not change since it was added has none: its ``n`` is the version at which that was.
# consent: every statement of consent, by the normal form of its identifier; an empty text is none, and ``at`` as above.
# file: one row. ``id`` names the account, ``version`` is the last one given to a change; ``source`` is the name of the
#   account that the file is an export of, and empty for a file of its own.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE file (id TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL)""",
        """CREATE TABLE contact (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
            data TEXT NOT NULL, created_at INTEGER, updated_at INTEGER)""",
        """CREATE TABLE identifier (
            kind TEXT NOT NULL, key TEXT NOT NULL, normal TEXT NOT NULL,
            contact INTEGER NOT NULL, main INTEGER NOT NULL,
            PRIMARY KEY (kind, key, normal, contact)) WITHOUT ROWID""",
        """CREATE TABLE list (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER)""",
        """CREATE TABLE member (
            list TEXT NOT NULL, contact INTEGER NOT NULL, PRIMARY KEY (list, contact)) WITHOUT ROWID""",
        """CREATE INDEX member_contact ON member (contact, list)""",
        """CREATE TABLE field (name TEXT PRIMARY KEY, type TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE change (version INTEGER PRIMARY KEY, contact TEXT NOT NULL, gone INTEGER NOT NULL)""",
    ),
    (
        """CREATE TABLE consent (
            n INTEGER PRIMARY KEY, normal TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
            country_code TEXT NOT NULL, channel TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
            scope TEXT NOT NULL, coverage TEXT NOT NULL, at INTEGER NOT NULL, evidence TEXT NOT NULL)""",
        """CREATE UNIQUE INDEX consent_statement ON consent (
            kind, key, normal, channel, state, reason, scope, coverage, at, evidence)""",
    ),
    ("""DELETE FROM change WHERE version IN (SELECT n FROM contact WHERE n = version)""",),
)

_creating = threading.Lock()


def default_path() -> Path:
    """The file of an account that names none: ``contacts.db`` in the user's data folder."""
    try:
        from platformdirs import user_data_path  # noqa: PLC0415 - comes with the extras "cli" and "plans"
    except ImportError:
        return Path.home() / ".local" / "share" / "contacts" / "contacts.db"
    return user_data_path("contacts", appauthor=False) / "contacts.db"


class Store:
    """Connections to one file. Threads may share it; after a fork, each process opens connections of its own."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened, and created if it does not exist, when it is first used."""
        self.path = path
        self._idle: list[tuple[int, object, sqlite3.Connection]] = []  # with the process and the file that it is of
        self._writing = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with one state of the file, whatever others write meanwhile.

        Raises:
            Unavailable: Another process has held the file for too long, or the disk does not work.
            ConfigurationError: It is not a file of contacts, or one of a newer version.
        """
        return self._transaction("BEGIN", work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Change the file, completely or not at all; one writer at a time.

        Raises:
            Unavailable: Another process has held the file for too long, or the disk is full or does not work.
            ConfigurationError: It is not a file of contacts, or one of a newer version.
        """
        with self._writing:
            return self._transaction("BEGIN IMMEDIATE", work)

    def close(self) -> None:
        """Close the connections that are not in use; what comes later opens new ones."""
        _close(self._idle)

    def empty_log(self) -> None:
        """Move what the write-ahead log holds into the file, and cut the log, unless another process reads it.

        What was deleted is overwritten in the file at once, but stays in the log until then.
        """
        with self._connection() as db:
            db.execute("PRAGMA busy_timeout = 0")
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                db.execute(f"PRAGMA busy_timeout = {PATIENCE_S * 1000:.0f}")

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connection() as db:
            db.execute(begin)
            try:
                result = work(db)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return result

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        with _typed(self.path):
            file = _file_id(self.path)
            db = self._taken(file) or self._opened()
            usable = False
            try:
                yield db
                usable = True
            except ContactsError:  # raised by the work, whose transaction is rolled back
                usable = True
                raise
            finally:
                if usable:
                    self._idle.append((os.getpid(), file or _file_id(self.path), db))
                else:
                    db.close()

    def _taken(self, file: object) -> sqlite3.Connection | None:
        """A connection that is not in use, to the file that has this name now."""
        while self._idle:
            try:
                process, known, db = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if process != os.getpid():
                _inherited.append(db)  # closing it here would end the locks of the process that opened it
            elif known != file or file is None:
                db.close()
            else:
                return db
        return None

    def _opened(self) -> sqlite3.Connection:
        with _creating:
            if not self.path.exists():
                if self.path == default_path():
                    private_folder(self.path.parent)
                os.close(private_file(self.path))
        # SQLite gives its side files the mode of the file itself.
        db = sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, self.path)
        except BaseException:
            db.close()
            raise
        return db


_inherited: list[sqlite3.Connection] = []  # kept from being closed, in a process that was forked


def _close(idle: list[tuple[int, object, sqlite3.Connection]]) -> None:
    while idle:
        try:
            process, _, db = idle.pop()
        except IndexError:  # another thread was faster
            return
        if process == os.getpid():
            db.close()


def _file_id(path: Path) -> object:
    """Which file has this name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is, bring its schema up to date, and set the connection up."""
    functions.register(db)
    db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
    db.execute("PRAGMA cache_size = -16000")  # 16 MB
    if _state(db) == (APPLICATION_ID, len(MIGRATIONS)):
        db.execute("PRAGMA synchronous = NORMAL")
        return
    _check(db, path)
    _use_write_ahead_log(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("BEGIN IMMEDIATE")
    version = _check(db, path)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    if version == 0:
        db.execute("INSERT INTO file VALUES (?, 0, '')", [secrets.token_hex(16)])
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")


def _check(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema; 0 for an empty file.

    Raises:
        ConfigurationError: It is another program's file, or one of a newer version.
    """
    application, version = _state(db)
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (application or version or tables):
        raise ConfigurationError(
            f"{path.name} is a database of another program, so it is left alone", hint="choose another path"
        )
    if version > len(MIGRATIONS):
        raise ConfigurationError(
            f"{path.name} was written by a newer version of this library (schema {version}, known: {len(MIGRATIONS)})",
            hint="upgrade contacts-core; the file was not changed",
        )
    return int(version)


def _state(db: sqlite3.Connection) -> tuple[int, int]:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    return int(application), int(version)


def _use_write_ahead_log(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait by itself while another process does the same."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _typed(path: Path) -> Generator[None]:
    """Raise errors of SQLite and of the system as ours; they name the file, and nothing of its content."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from None
    except OSError as error:
        what = f"{path.name[:80]} cannot be opened: {error.strerror}"
        raise ConfigurationError(what, hint="check the path") from None
    except msgspec.DecodeError:
        raise _damaged(path) from None
    except UnicodeEncodeError:
        raise InvalidInput("a text holds half a character, which cannot be stored or found") from None


def _damaged(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name} is not a file of contacts, or it is damaged", hint="choose another path, or restore a backup"
    )


def _error(error: sqlite3.Error, path: Path) -> ContactsError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(path)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return ConfigurationError(
            f"{path.name} cannot be opened for writing", hint="check the permissions of the file and of its folder"
        )
    known = {
        sqlite3.SQLITE_BUSY: (f"another program has kept {path.name} locked", "try again later"),
        sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
    }
    what, hint = known.get(code, (f"{path.name} cannot be read or written (SQLite {code})", "check the disk"))
    failure = Unavailable(f"{what}; nothing was changed", hint=hint)
    failure.unclear = False  # a transaction that was not committed has changed nothing
    return failure
