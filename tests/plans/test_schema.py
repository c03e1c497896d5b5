"""The storage's tables have a version: older ones are migrated, by one of several who come, and later ones refused."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS

from contacts_core import Contact
from contacts_core.errors import ConfigurationError, InvalidInput, PlanRefused, StorageError
from contacts_core.plans import Receipt, cancel, get_receipt, list_runs, resume
from contacts_core.plans.execution.engine import DBOS_SCHEMA
from contacts_core.storage import schema
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal, keys, metadata, plan_chunks, receipt_chunks
from contacts_core.storage.schema import VERSION, versions
from contacts_core.storage.tombstones import Tombstones
from tests.plans import earlier_storage
from tests.plans.earlier_storage import JANE, JOHN
from tests.plans.samples import text
from tests.plans.test_stored import place  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("place")


def rows(table: sa.Table) -> int:
    with locate_storage().engine().connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def recorded_versions() -> list[int]:
    with locate_storage().engine().connect() as connection:
        return list(connection.execute(sa.select(versions.c.version)).scalars())


def shape() -> dict[str, Any]:
    """The columns and indexes of every table of ours."""
    found = sa.inspect(locate_storage().engine())
    return {
        name: (
            {(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(name)},
            {(index["name"], *index["column_names"]) for index in found.get_indexes(name)},
            tuple(found.get_pk_constraint(name)["constrained_columns"]),
        )
        for name in found.get_table_names()
    }


def test_a_new_storage_has_the_latest_schema_and_is_then_only_read() -> None:
    Journal(locate_storage())
    assert recorded_versions() == [VERSION]
    if not locate_storage().shared:
        with sqlite3.connect(locate_storage().folder / "contacts.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # whoever wanted to write would wait
            Journal(locate_storage())
            other.execute("ROLLBACK")
        other.close()


class TestFirstSchema:
    def test_a_finished_run_keeps_its_receipt_byte_for_byte(self) -> None:
        earlier_storage.write(locate_storage())
        assert {(run.id, run.state) for run in list_runs()} == {("erase-1", "incomplete"), ("erase-2", "interrupted")}
        assert get_receipt("erase-1").text == text()
        assert recorded_versions() == [VERSION]

    def test_one_that_fills_many_chunks_too(self) -> None:
        long = "".join(f"{n} is not a line of a receipt\n" for n in range(20_000))
        earlier_storage.write(locate_storage(), long)
        journal = Journal(locate_storage())
        pieces = journal.receipt("erase-1")
        assert pieces is not None
        assert b"".join(pieces).decode() == long
        assert rows(receipt_chunks) > 5

    def test_a_damaged_receipt_stops_nobody_and_is_noticed_when_it_is_read(self) -> None:
        earlier_storage.write(locate_storage())
        with locate_storage().engine().begin() as connection:
            connection.execute(earlier_storage.runs.update().values(receipt=b"damaged"))
        assert len(list_runs()) == 2
        with pytest.raises(StorageError, match="altered"):
            get_receipt("erase-1")

    def test_an_unfinished_run_is_not_resumed_and_says_what_to_do(self) -> None:
        earlier_storage.write(locate_storage())
        with pytest.raises(PlanRefused, match="an earlier version of the library began run erase-2") as caught:
            resume("erase-2")
        assert caught.value.hint == "contacts runs cancel erase-2 ends it; then make a new plan"

    def test_it_ends_without_a_receipt_and_whom_it_touched_gets_tombstones(self) -> None:
        earlier_storage.write(locate_storage())
        DBOS.migrate(locate_storage().queues, schema=DBOS_SCHEMA)
        ended = cancel("erase-2")
        assert (ended.state, ended.reason) == (
            "failed",
            "cancelled; an earlier version of the library began this run, so there is no receipt of it",
        )
        with pytest.raises(InvalidInput, match="is failed and has no receipt"):
            get_receipt("erase-2")
        reasons = Tombstones(locate_storage()).reasons([Contact(identifiers=(JANE,)), Contact(identifiers=(JOHN,))])
        assert ["erase-2" in reason for reason in reasons] == [True, False]
        assert len(Tombstones(locate_storage())) == 2  # with the one that was there
        assert (rows(keys), rows(plan_chunks)) == (0, 0)

    def test_it_ends_up_as_a_new_storage_begins(self) -> None:
        earlier_storage.write(locate_storage())
        Journal(locate_storage())
        Tombstones(locate_storage())
        migrated = shape()
        tables = sa.MetaData()
        tables.reflect(locate_storage().engine())
        tables.drop_all(locate_storage().engine())
        Journal(locate_storage())
        Tombstones(locate_storage())
        assert migrated == shape()

    def test_of_many_who_open_it_at_once_one_migrates_it(self) -> None:
        earlier_storage.write(locate_storage())
        with ThreadPoolExecutor(8) as pool:
            journals = list(pool.map(lambda _: Journal(locate_storage()), range(8)))
        assert recorded_versions() == [VERSION]
        assert rows(receipt_chunks) == rows(plan_chunks) == 1
        assert all(Receipt.parse(b"".join(journal.receipt("erase-1") or ())).text == text() for journal in journals)

    def test_a_migration_that_fails_leaves_everything_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(connection: sa.Connection) -> None:
            migrate(connection)
            raise OSError

        earlier_storage.write(locate_storage())
        before, (migrate,) = shape(), schema.MIGRATIONS
        monkeypatch.setattr(schema, "MIGRATIONS", (broken,))
        with pytest.raises(OSError):
            Journal(locate_storage())
        monkeypatch.setattr(schema, "MIGRATIONS", (migrate,))
        assert shape() == before
        assert get_receipt("erase-1").text == text()

    def test_tombstones_alone_are_a_storage_too(self) -> None:
        earlier_storage.tombstones.create(locate_storage().engine())
        assert len(Tombstones(locate_storage())) == 0
        Journal(locate_storage())
        assert recorded_versions() == [VERSION]


def test_a_later_schema_is_refused_and_left_alone() -> None:
    Journal(locate_storage())
    with locate_storage().engine().begin() as connection:
        connection.execute(versions.insert(), {"version": VERSION + 1, "at": ""})
    before = shape()
    for use in (list_runs, lambda: Tombstones(locate_storage()), lambda: locate_storage().create(metadata)):
        with pytest.raises(ConfigurationError, match=f"the storage has schema {VERSION + 1}") as caught:
            use()
        assert "upgrade contacts-core" in caught.value.hint
    assert shape() == before
