"""The storage: where runs, receipts, tombstones and the receipt key outlive a program.

It is the one named by ``CONTACTS_STORAGE`` (a folder, or the URL of a PostgreSQL database that several machines
share), else ``contacts`` in the user's state folder. The key is the one that ``CONTACTS_RECEIPT_KEY`` names by
reference, or ``key`` in the table ``[receipts]`` of the accounts file. A folder without a key gets a new one.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from attrs import field, frozen

from contacts_core.config.accounts import reference, section
from contacts_core.errors import ConfigurationError, StorageError
from contacts_core.storage.private_files import private_file, private_folder
from contacts_core.storage.pseudonyms import PseudonymKey, kept_key

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

__all__ = ["Storage", "locate_storage", "private", "storage_error", "stored"]

P = ParamSpec("P")
T = TypeVar("T")

KEY_VARIABLE = "CONTACTS_RECEIPT_KEY"
SIGNING_VARIABLE = "CONTACTS_SIGNING_KEY"
POSTGRESQL_SCHEMES = ("postgresql://", "postgresql+psycopg://")
PATIENCE_S = 60.0  # how long a database may be unreachable or silent before we give up
CONNECT_PATIENCE_S = 5.0  # the same, before anything has begun
CACHE_KB = 256  # of each connection to a file: what is written is seldom read again
RESUME_HINT = "nothing is lost: contacts runs resume continues the run"
# With these a dead connection is noticed; without, the system waits for hours.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@frozen
class Storage:
    """A folder, or a database that several machines share.

    Attributes:
        folder: Where files are written. Only its owner can read it.
        database: URL of the database: a file in the folder unless several machines share one. May hold a password.
    """

    folder: Path
    database: str = field(repr=False)

    @property
    def shared(self) -> bool:
        """Whether several machines can use it."""
        return self.database.startswith(POSTGRESQL_SCHEMES)

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored here, as far as we know without connecting."""
        return self.shared or (self.folder / "contacts.sqlite").exists()

    @property
    def queues(self) -> str:
        """URL of the database for the durable runs. A separate file for SQLite, which allows one writer at a time."""
        return self.database if self.shared else f"sqlite:///{self.folder / 'runs.sqlite'}"

    def engine(self, patience: float | None = None) -> Engine:
        """Return the engine of the database, which is created if it does not exist.

        Args:
            patience: Seconds after which a connection to a server that does not answer is closed; 60 by default.
        """
        return _engine(self, PATIENCE_S if patience is None else patience)

    def create(self, metadata: MetaData) -> None:
        """Bring the storage up to date and create the tables that do not exist yet; see `storage.schema`.

        Raises:
            ConfigurationError: A later version of the library wrote the storage.
            StorageError: The database cannot be reached, or refuses.
        """
        engine = self.engine()
        from contacts_core.storage.schema import prepare  # noqa: PLC0415 - needs the extra "plans", as the line before

        _patiently(lambda: prepare(engine, metadata), CONNECT_PATIENCE_S)

    def key(self) -> PseudonymKey:
        """Return the key of receipts and tombstones.

        Raises:
            ConfigurationError: The storage is shared and no key is set, or the key is too short.
        """
        if named := _named(KEY_VARIABLE, "key"):
            return PseudonymKey(named.encode())
        if self.shared:
            raise ConfigurationError(
                "machines that share their runs need one receipt key",
                hint=f"set {KEY_VARIABLE} on all of them, for example to the output of: openssl rand -hex 32",
            )
        return kept_key(self.folder / "receipt.key")

    @property
    def has_key(self) -> bool:
        """Whether there is a key already; `key` would create one."""
        return bool(_named(KEY_VARIABLE, "key")) or (not self.shared and (self.folder / "receipt.key").exists())

    def signing_key(self) -> bytes | None:
        """Return the Ed25519 private key that signs receipts, in PEM, or None if none is set."""
        named = _named(SIGNING_VARIABLE, "signing_key")
        return named.encode() if named else None


def locate_storage(storage: str | Path | None = None) -> Storage:
    """Return the storage given here, else the one that the environment names, else the user's own.

    Args:
        storage: A folder, a PostgreSQL URL, or a reference to one of them such as ``env:RUNS_URL``.

    Raises:
        ConfigurationError: It is another kind of database, or a reference that cannot be resolved.
    """
    named = str(storage or os.environ.get("CONTACTS_STORAGE", ""))
    if not named:
        folder = _own_folder()
        return Storage(folder, _file(folder))
    named = reference("the storage", named)
    if named.startswith(POSTGRESQL_SCHEMES):
        address = named.partition("://")[2]
        return Storage(_own_folder(), f"postgresql+psycopg://{address}")
    if "://" in named:
        raise ConfigurationError(
            "storage is a folder or a PostgreSQL database", hint="for example postgresql://host/name"
        )
    folder = Path(named).expanduser().absolute()
    return Storage(folder, _file(folder))


def _file(folder: Path) -> str:
    return f"sqlite:///{folder / 'contacts.sqlite'}"


def _own_folder() -> Path:
    try:
        from platformdirs import user_state_path  # noqa: PLC0415 - comes with the extras "cli" and "plans"
    except ImportError:
        return Path.home() / ".local" / "state" / "contacts"
    return user_state_path("contacts", appauthor=False)


def _named(variable: str, setting: str) -> str:
    value = os.environ.get(variable) or section("receipts").get(setting)
    return reference(f"{setting} of receipts", str(value)) if value else ""


@functools.cache
def _engine(storage: Storage, patience: float) -> Engine:
    try:
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"
        from sqlalchemy import event  # noqa: PLC0415 - as above
        from sqlalchemy.exc import DisconnectionError  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigurationError(
            "runs and tombstones need the package SQLAlchemy", hint="install contacts-core[plans]"
        ) from None
    if storage.shared:
        engine = sa.create_engine(storage.database, hide_parameters=True, connect_args=POSTGRESQL_OPTIONS)
        _Watchdog(engine, patience)
        return engine
    path = storage.folder / "contacts.sqlite"
    private(path)
    engine = sa.create_engine(storage.database, hide_parameters=True, connect_args={"timeout": 30})

    @event.listens_for(engine, "do_connect")
    def _see(*_: Any) -> None:
        private(path)  # when each connection is opened: the folder may have been replaced

    @event.listens_for(engine, "checkout")
    def _still(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _file_id(path):  # moved or removed: whatever is written to it is lost
            raise DisconnectionError

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, record: Any) -> None:
        record.info["file"] = _file_id(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")

    return engine


def _file_id(path: Path) -> tuple[int, int] | None:
    """Return which file this is, or None if it does not exist."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def private(path: Path) -> None:
    """Make sure that this file exists and that only its owner can read it. SQLite's side files get the same mode.

    Raises:
        ConfigurationError: The file or its folder is a link, or another user's.
    """
    private_folder(path.parent)
    os.close(private_file(path))


class _Watchdog:
    """Closes connections that do not answer: a server or proxy may go silent and keep the connection open."""

    def __init__(self, engine: Engine, patience: float) -> None:
        from sqlalchemy import event  # noqa: PLC0415 - whoever has an engine has it

        self._patience, self._until = patience, dict[Any, float]()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

        def begin(connection: Any, *_: Any) -> None:
            self._begin(connection)

        def end(connection: Any, *_: Any) -> None:
            self._end(connection)

        def begin_again(connection: Any, *_: Any) -> None:
            self._begin(connection.connection.dbapi_connection)

        event.listen(engine, "checkout", begin)
        event.listen(engine, "checkin", end)
        event.listen(engine, "before_cursor_execute", begin_again)

    def _begin(self, connection: Any) -> None:
        with self._lock:
            self._until[connection] = time.monotonic() + self._patience
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True, name="contacts-database")
                self._thread.start()

    def _end(self, connection: Any) -> None:
        with self._lock:
            self._until.pop(connection, None)

    def _watch(self) -> None:
        idle = 0  # checks in a row with no connection in use; after 100 the thread ends, until it is needed again
        while idle < 100:
            time.sleep(min(1.0, self._patience / 4))
            now = time.monotonic()
            with self._lock:
                late = [connection for connection, until in self._until.items() if until < now]
                for connection in late:
                    del self._until[connection]
                idle = 0 if self._until else idle + 1
                if idle >= 100:
                    self._thread = None
            for connection in late:
                with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as ours:
                    ours.shutdown(socket.SHUT_RDWR)


def stored(work: Callable[P, T]) -> Callable[P, T]:
    """Retry a function while the database is unreachable, and raise only typed errors.

    The function may be called again after it succeeded, so it must be idempotent.

    Raises:
        StorageError: The database is unreachable for too long, is full, or refuses a statement.
    """

    @functools.wraps(work)
    def patiently(*args: P.args, **kwargs: P.kwargs) -> T:
        return _patiently(lambda: work(*args, **kwargs), PATIENCE_S)

    return patiently


def _patiently(work: Callable[[], T], patience: float) -> T:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - whoever has an engine has it

    end, pause = time.monotonic() + patience, 0.05
    while True:
        try:
            return work()
        except SQLAlchemyError as error:
            if not _passing(error) or time.monotonic() > end:
                raise storage_error(error) from None
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def _passing(error: Exception) -> bool:
    """Return whether this error may pass by itself."""
    import sqlite3  # noqa: PLC0415 - only what stores anything loads a database

    if getattr(error, "connection_invalidated", False):
        return True
    cause, code = getattr(error, "orig", None), _code(error)
    if isinstance(cause, sqlite3.OperationalError):
        return code in {str(sqlite3.SQLITE_BUSY), str(sqlite3.SQLITE_LOCKED)}
    if code:  # connection lost, server starting or stopping, too many connections, deadlock, no longer the primary
        return code.startswith(("08", "57P")) or code in {"53300", "40P01", "40001", "25006", "25P03"}
    return type(cause).__name__ in {"OperationalError", "ConnectionTimeout"} or type(error).__name__ == "TimeoutError"


def _code(error: Exception) -> str:
    """Return the database's own error code: SQLSTATE, or SQLite's number; empty if there is none."""
    cause = getattr(error, "orig", None)
    number = getattr(cause, "sqlite_errorcode", None)
    return str(number & 0xFF) if number is not None else str(getattr(cause, "sqlstate", None) or "")


def storage_error(error: Exception) -> StorageError:
    """Return the error for the user, which repeats nothing of the database's own text."""
    import sqlite3  # noqa: PLC0415 - as above

    code = _code(error)
    if code in {"53100", str(sqlite3.SQLITE_FULL), str(sqlite3.SQLITE_IOERR)}:
        return StorageError("the storage is full or cannot be written", hint=RESUME_HINT)
    if _passing(error):
        return StorageError("the storage's database cannot be reached", hint=RESUME_HINT)
    about = f" (code {code})" if code else f" ({type(error).__name__})"
    return StorageError(f"the storage's database refused a statement{about}", hint=RESUME_HINT)
