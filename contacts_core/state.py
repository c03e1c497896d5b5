"""Where this machine keeps what outlives a program: runs, receipts, tombstones, and the key of their hashes.

The place is the one named by ``CONTACTS_STATE`` (a folder, or the URL of a PostgreSQL database that several machines
share), else ``contacts`` in the user's state folder. The key is the one that ``CONTACTS_RECEIPT_KEY`` names by
reference, or ``key`` in the table ``[receipts]`` of the accounts file; for a folder that has none, one is made.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from contacts_core.accounts import reference, section
from contacts_core.errors import ConfigurationError
from contacts_core.keys import Key, kept_key

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

__all__ = ["State", "state"]

KEY_VARIABLE = "CONTACTS_RECEIPT_KEY"
SIGNING_VARIABLE = "CONTACTS_SIGNING_KEY"
POSTGRESQL = ("postgresql://", "postgresql+psycopg://")


@frozen
class State:
    """One such place.

    Attributes:
        folder: Where files go; only its owner may look into it.
        database: URL of the database; a file in the folder unless several machines share one. It may hold a password.
    """

    folder: Path
    database: str = field(repr=False)

    @property
    def shared(self) -> bool:
        """Whether several machines may work on it."""
        return self.database.startswith(POSTGRESQL)

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept here, as far as that can be told without connecting."""
        return self.shared or (self.folder / "contacts.sqlite").exists()

    @property
    def queues(self) -> str:
        """URL of the database of the durable runs; of a file of its own, for SQLite has one writer at a time."""
        return self.database if self.shared else f"sqlite:///{self.folder / 'runs.sqlite'}"

    def engine(self) -> Engine:
        """Connections to the database, which is made if need be."""
        return _engine(self)

    def create(self, metadata: MetaData) -> None:
        """Make what tables are not there yet; several processes may do so at once."""
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"

        with self.engine().begin() as connection:
            if self.shared:  # even IF NOT EXISTS fails there where two come at the same moment
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('contacts-core', 0))"))
            for table in metadata.sorted_tables:
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))

    def key(self) -> Key:
        """The key of receipts and tombstones.

        Raises:
            ConfigurationError: None is named although machines share this place, or it is too short.
        """
        if named := _named(KEY_VARIABLE, "key"):
            return Key(named.encode())
        if self.shared:
            raise ConfigurationError(
                "machines that share their runs need one receipt key",
                hint=f"set {KEY_VARIABLE} on all of them, for instance to: openssl rand -hex 32",
            )
        return kept_key(self.folder / "receipt.key")

    @property
    def has_key(self) -> bool:
        """Whether there is a key already; asking for one would make it."""
        return bool(_named(KEY_VARIABLE, "key")) or (not self.shared and (self.folder / "receipt.key").exists())

    def signing_key(self) -> bytes | None:
        """The Ed25519 private key that signs receipts, in PEM; None where none is named."""
        named = _named(SIGNING_VARIABLE, "signing_key")
        return named.encode() if named else None


def state(where: str | Path | None = None) -> State:
    """The place named here, else the one that the environment names, else the user's own.

    Args:
        where: A folder, a PostgreSQL URL, or a reference to one of them such as ``env:RUNS_URL``.

    Raises:
        ConfigurationError: It is a database of another kind, or no folder of the user's is known.
    """
    named = str(where or os.environ.get("CONTACTS_STATE", ""))
    if not named:
        folder = _own_folder()
        return State(folder, _file(folder))
    named = reference("the state", named)
    if named.startswith(POSTGRESQL):
        address = named.partition("://")[2]
        return State(_own_folder(), f"postgresql+psycopg://{address}")
    if "://" in named:
        raise ConfigurationError(
            "runs are kept in a folder or in PostgreSQL", hint="for example postgresql://host/name"
        )
    folder = Path(named).expanduser().absolute()
    return State(folder, _file(folder))


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


@cache
def _engine(place: State) -> Engine:
    try:
        import sqlalchemy as sa  # noqa: PLC0415 - comes with the extra "plans"
        from sqlalchemy import event  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigurationError(
            "runs and tombstones need the package SQLAlchemy", hint="install contacts-core[plans]"
        ) from None
    if place.shared:
        return sa.create_engine(place.database, pool_pre_ping=True, hide_parameters=True)
    private(place.folder / "contacts.sqlite")
    engine = sa.create_engine(place.database, hide_parameters=True, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten

    return engine


def private(path: Path) -> None:
    """See to it that this file exists and that only its owner can read it; SQLite's side files take after it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
