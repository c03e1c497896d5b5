"""The version of the storage's tables, and the migrations that bring older tables up to date.

The table ``contacts_schema`` has one row for each version that the storage went through. Whoever opens the storage
first migrates it, in one transaction and under a lock, so that of several processes one does the work and the others
find it done. A migration describes the tables as they were and as they become, and never uses today's definitions.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contacts_core.errors import ConfigurationError

__all__ = ["VERSION", "prepare"]

metadata = sa.MetaData()
versions = sa.Table(
    "contacts_schema",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
)

# Before versions were recorded, a storage had at least one of these.
FIRST_TABLES = {"contacts_runs", "contacts_events", "contacts_leases", "contacts_tombstones"}
PIECE_SIZE = 65_536  # bytes of a receipt in one chunk, before compression


def prepare(engine: sa.Engine, tables: sa.MetaData) -> None:
    """Migrate the storage if its schema is older, and create those of these tables that do not exist.

    Several processes may do so at once. A storage that is up to date is only read.

    Raises:
        ConfigurationError: A later version of the library wrote it.
    """
    wanted = [*metadata.sorted_tables, *tables.sorted_tables]
    with engine.connect() as connection:
        names = _names(connection)
        if _version(connection, names) == VERSION and {table.name for table in wanted} <= names:
            return
    with engine.begin() as connection:
        _lock(connection)
        version = _version(connection, _names(connection))
        for migrate in MIGRATIONS[version - 1 :] if version else ():
            migrate(connection)
        for table in wanted:
            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
        if version != VERSION:
            connection.execute(versions.insert(), {"version": VERSION, "at": datetime.now(UTC).isoformat()})


def _version(connection: sa.Connection, names: set[str]) -> int:
    """Return the version of the schema with tables of these names; 0 if there are no tables yet.

    Raises:
        ConfigurationError: It is later than the latest one known here.
    """
    if versions.name not in names:
        return 1 if names & FIRST_TABLES else 0
    version = int(connection.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0)
    if version > VERSION:
        raise ConfigurationError(
            f"the storage has schema {version}, and this version of the library knows schemas up to {VERSION}",
            hint="upgrade contacts-core here to the version that the other users of this storage have",
        )
    return version


def _names(connection: sa.Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


def _lock(connection: sa.Connection) -> None:
    """Wait until no other process changes tables. The lock ends with the transaction."""
    if connection.dialect.name == "postgresql":  # even IF NOT EXISTS fails there if two do it at the same moment
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('contacts-core', 0))"))
    else:  # Python's SQLite module begins no transaction for statements that change tables
        connection.exec_driver_sql("BEGIN IMMEDIATE")


# -- migrations --------------------------------------------------------------------------------------------------------


def _to_chunks(connection: sa.Connection) -> None:
    """From 1 to 2: plans and receipts move from one value each in ``contacts_runs`` to tables of chunks.

    A receipt is divided. A plan stays as it was, as chunk 0 (others begin at 1), because it is encrypted with a key
    that is not at hand here, and its format is not that of today. The table of runs is written anew instead of dropping
    its columns, which would leave their content in the database's files.
    """
    connection.execute(sa.text("DROP INDEX IF EXISTS ix_contacts_events_run"))  # others take its place
    if "contacts_runs" not in _names(connection):
        return
    tables = sa.MetaData()
    blobs = [sa.Column(name, sa.LargeBinary) for name in ("plan", "receipt")]
    old = sa.Table("contacts_runs", tables, *_columns_of_runs(), *blobs)
    new = sa.Table("contacts_runs_2", tables, *_columns_of_runs(), sa.Column("receipt", sa.String(32)))
    plans = sa.Table(
        "contacts_plan_chunks",
        tables,
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    receipts = sa.Table(
        "contacts_receipt_chunks",
        tables,
        sa.Column("receipt", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    for table in (new, plans, receipts):
        connection.execute(sa.schema.CreateTable(table))
    names = [column.name for column in _columns_of_runs()]
    connection.execute(new.insert().from_select(names, sa.select(*(old.c[name] for name in names))))
    planned = sa.select(old.c.id, sa.literal(0), old.c.plan).where(old.c.plan.is_not(None))
    connection.execute(plans.insert().from_select(["run", "number", "body"], planned))
    ids = connection.execute(sa.select(old.c.id).where(old.c.receipt.is_not(None))).scalars().all()
    for id in ids:
        packed: bytes = connection.execute(sa.select(old.c.receipt).where(old.c.id == id)).scalar_one()
        receipt = uuid.uuid4().hex
        for number, body in enumerate(_divided(packed), 1):
            connection.execute(receipts.insert(), {"receipt": receipt, "number": number, "run": id, "body": body})
        connection.execute(new.update().where(new.c.id == id).values(receipt=receipt))
    connection.execute(sa.schema.DropTable(old))
    connection.execute(sa.text("ALTER TABLE contacts_runs_2 RENAME TO contacts_runs"))


def _columns_of_runs() -> list[sa.Column[Any]]:
    """Return the columns of ``contacts_runs`` that are the same in schemas 1 and 2."""
    return [
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("accounts", sa.Text, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("begun_at", sa.String(40), nullable=False),
        sa.Column("ended_at", sa.String(40)),
    ]


def _divided(packed: bytes) -> list[bytes]:
    """Return a compressed value in compressed pieces; as it is if it is damaged, which its reader will notice."""
    reader, pieces, rest = zlib.decompressobj(), list[bytes](), packed
    try:
        while not reader.eof:
            piece = reader.decompress(rest, PIECE_SIZE)
            if not (piece or reader.eof):
                return [packed]
            pieces.append(zlib.compress(piece, 1))
            rest = reader.unconsumed_tail
    except zlib.error:
        return [packed]
    return pieces


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_to_chunks,)
VERSION = len(MIGRATIONS) + 1
