"""What is kept while a run goes on and after it: nothing readable of people, and nothing that could be executed."""

from __future__ import annotations

import base64
import importlib
import os
import pickle
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contacts_core.config import plugins
from contacts_core.errors import ContactsError, StorageError, Unavailable
from contacts_core.plans import Plan, apply, list_runs, plan_erasure, resume
from contacts_core.plans.execution import engine
from contacts_core.plans.execution import workflows as workflows_module
from contacts_core.plans.execution.context import begin_run, stored_plan
from contacts_core.plans.execution.serialization import PlainJson, without_pickle
from contacts_core.provider import hookimpl
from contacts_core.storage.database import locate_storage, storage_error
from contacts_core.storage.journal import CHUNK_SIZE, Journal, keys, plan_chunks
from contacts_core.storage.pseudonyms import PseudonymKey
from tests.plans.environment import Environment
from tests.plans.test_workers import SERVER

needs_server = pytest.mark.skipif(not SERVER, reason="needs a PostgreSQL server: make test-postgres")


@pytest.fixture(params=["folder", pytest.param("server", marks=needs_server)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A state of either kind."""
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "a receipt key of the tests")
    monkeypatch.setenv("CONTACTS_LEASE", "2")
    if request.param == "folder":
        monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
        yield "folder"
        return
    name = f"stored_{os.urandom(8).hex()}"
    admin = sa.create_engine(SERVER.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    monkeypatch.setenv("CONTACTS_STORAGE", SERVER.rpartition("/")[0] + f"/{name}")
    yield "server"
    locate_storage().engine().dispose()
    admin.dispose()


def queues() -> tuple[sa.Engine, str]:
    where = locate_storage()
    return sa.create_engine(where.queues), f"{engine.DBOS_SCHEMA}." if where.shared else ""


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class TestPickles:
    @pytest.mark.parametrize("table", ["inputs", "step"])
    def test_one_in_the_tables_is_not_loaded_and_the_run_says_why(
        self, table: str, place: str, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bomb = base64.b64encode(pickle.dumps(Bomb(tmp_path / "executed"))).decode()
        assert place
        plan = plan_erasure(environment.emails(1), environment.accounts)

        def interrupted(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(ContactsError):
            apply(plan, environment.accounts, pause=0.02, watch=interrupted)
        (run,) = list_runs()
        engine, schema = queues()
        with engine.begin() as connection:
            if table == "inputs":
                change = f"UPDATE {schema}workflow_status SET inputs = :bomb, serialization = 'py_pickle', error = NULL"  # noqa: S608
                connection.execute(sa.text(change + " WHERE status <> 'SUCCESS'"), {"bomb": bomb})
            else:
                change = f"UPDATE {schema}operation_outputs SET output = :bomb, serialization = 'py_pickle'"  # noqa: S608
                assert connection.execute(sa.text(change), {"bomb": bomb}).rowcount >= 0
        engine.dispose()
        before = environment.everyone()
        try:
            state_of = resume(run.id, environment.accounts).state
        except StorageError as error:
            state_of = f"{error}"
        assert not (tmp_path / "executed").exists()
        if table == "inputs":
            assert state_of == "failed"
            assert "not written by this library" in list_runs()[0].reason
            assert environment.everyone() == before

    def test_dbos_reads_none_while_an_engine_runs(self, tmp_path: Path) -> None:
        theirs = importlib.import_module("dbos._serialization")

        bomb = base64.b64encode(pickle.dumps(Bomb(tmp_path / "executed"))).decode()
        with without_pickle():
            for read in (theirs.deserialize_value, theirs.deserialize_args, theirs.deserialize_exception):
                with pytest.raises(StorageError, match="not written by this library"):
                    read(bomb, "py_pickle", PlainJson())
                with pytest.raises(StorageError, match="not written by this library"):
                    read(bomb, "contacts-json-1", PlainJson())
            with pytest.raises(StorageError):
                theirs.serialize_value({}, None, theirs.DBOSDefaultSerializer)
        assert not (tmp_path / "executed").exists()
        assert theirs.deserialize_value(theirs.DBOSDefaultSerializer.serialize([1]), "py_pickle", PlainJson()) == [1]

    def test_everything_that_a_run_leaves_is_json(self, place: str, environment: Environment) -> None:
        assert apply(
            plan_erasure(environment.emails(2), environment.accounts), environment.accounts, pause=0.02
        ).complete
        engine, schema = queues()
        with engine.connect() as connection:
            statuses = f"SELECT DISTINCT serialization FROM {schema}workflow_status"  # noqa: S608
            outputs = f"SELECT DISTINCT serialization FROM {schema}operation_outputs WHERE output IS NOT NULL"  # noqa: S608
            for select in (statuses, outputs):
                assert connection.execute(sa.text(select)).scalars().all() == ["contacts-json-1"], place
        engine.dispose()

    @pytest.mark.parametrize("value", [{1: 2}, (1,), {"a": (1,)}, {1}, b"x", object(), float("nan")])
    def test_what_would_come_back_otherwise_is_not_written(self, value: object) -> None:
        with pytest.raises((TypeError, ValueError)):
            PlainJson().serialize(value)

    @pytest.mark.parametrize("error", [RuntimeError("x"), Unavailable("busy", status=503), StorageError("gone")])
    def test_a_steps_error_is_read_as_the_steps_and_not_as_the_databases(self, error: Exception) -> None:
        read = PlainJson().deserialize(PlainJson().serialize(error))
        assert isinstance(read, ContactsError)
        assert not isinstance(read, StorageError)
        assert type(error).__name__ in str(read)

    @pytest.mark.parametrize("text", ["", "[]", "{}", "1", "null", '"x"', '{"error": 1}', "[" * 100_000])
    def test_what_was_not_written_here_is_a_typed_error(self, text: str) -> None:
        with pytest.raises(StorageError):
            PlainJson().deserialize(text)


def files(place: str) -> list[Path]:
    """Every file in which the state could be."""
    if place == "folder":
        return [each for each in locate_storage().folder.rglob("*") if each.is_file()]
    with locate_storage().engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CHECKPOINT"))
        folder = connection.execute(sa.text("SHOW data_directory")).scalar_one()
    return [each for each in Path(folder).rglob("*") if each.is_file()]


def holding(place: str, words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in files(place):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        for word in words:
            if word.encode() in content:
                found.setdefault(word, []).append(str(path))
    return found


class TestAtRest:
    def test_no_address_and_no_name_is_in_any_file_during_a_run_and_after_it(
        self, place: str, environment: Environment
    ) -> None:
        people = environment.emails(6)
        plan = plan_erasure(people, environment.accounts)
        words = [i.value for person in plan.people for i in person.identifiers]
        during: list[dict[str, list[str]]] = []

        def look(_: object) -> None:
            if len(during) < 3:
                during.append(holding(place, words))

        assert apply(plan, environment.accounts, pause=0.02, watch=look).complete
        assert during
        assert not any(during)
        assert holding(place, words) == {}

    def test_the_plan_is_read_with_the_key_only(self, place: str, environment: Environment) -> None:
        journal = Journal(locate_storage())
        key = locate_storage().key()
        plan = plan_erasure(environment.emails(1), environment.accounts)
        begin_run(journal, "run-1", plan, key, {})
        assert stored_plan(journal, "run-1") == plan
        with locate_storage().engine().begin() as connection:
            body = connection.execute(sa.select(plan_chunks.c.body)).scalar_one()
            altered = bytes([body[0] ^ 1]) + bytes(body[1:])
            connection.execute(plan_chunks.update().values(body=altered))
        with pytest.raises(StorageError, match="cannot be decrypted"):
            stored_plan(journal, "run-1")
        begin_run(journal, "run-2", plan, PseudonymKey(b"another key of the tests"), {})
        with pytest.raises(StorageError, match="cannot be decrypted"):
            stored_plan(journal, "run-2")
        assert place

    def test_a_plan_put_in_the_place_of_another_is_refused(self, place: str, environment: Environment) -> None:
        journal, key = Journal(locate_storage()), locate_storage().key()
        one, two = (plan_erasure([person], environment.accounts) for person in environment.emails(2))
        begin_run(journal, "run-1", one, key, {})
        begin_run(journal, "run-2", two, key, {})
        with locate_storage().engine().begin() as connection:
            taken = sa.select(plan_chunks.c.body).where(plan_chunks.c.run == "run-1").scalar_subquery()
            connection.execute(plan_chunks.update().where(plan_chunks.c.run == "run-2").values(body=taken))
        with pytest.raises(StorageError, match="cannot be decrypted"):
            stored_plan(journal, "run-2")
        assert place

    def test_the_key_goes_with_the_run(self, place: str, environment: Environment) -> None:
        done = apply(plan_erasure(environment.emails(1), environment.accounts), environment.accounts, pause=0.02)
        with locate_storage().engine().connect() as connection:
            for table in (keys, plan_chunks):
                assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
        assert Journal(locate_storage()).plan(done.run) is None
        assert place


class TestChunks:
    """A plan comes back as it was stored, whatever is done to its chunks: whole, or not at all."""

    CONTENT = os.urandom(4 * CHUNK_SIZE + 7)

    @pytest.fixture
    def journal(self, place: str) -> Journal:
        assert place
        journal, key = Journal(locate_storage()), locate_storage().key()
        about: dict[str, Any] = {"kind": "erase", "accounts": ["a"], "people": 1, "checksum": "0" * 64, "options": {}}
        pieces = [self.CONTENT[n : n + 1000] for n in range(0, len(self.CONTENT), 1000)]
        journal.begin("run-1", **about, plan=pieces, key=key)
        journal.begin("run-2", **about, plan=[self.CONTENT[::-1]], key=key)
        return journal

    def read(self, journal: Journal, run: str = "run-1") -> bytes:
        pieces = journal.plan(run)
        assert pieces is not None
        return b"".join(pieces)

    def change(self, *statements: str) -> None:
        with locate_storage().engine().begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def test_they_are_of_one_size_and_come_back(self, journal: Journal) -> None:
        assert self.read(journal) == self.CONTENT
        pieces = journal.plan("run-2")
        assert pieces is not None
        assert [len(piece) for piece in pieces] == [CHUNK_SIZE] * 4 + [7]

    @pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1])
    def test_any_size_comes_back(self, journal: Journal, size: int) -> None:
        key = locate_storage().key()
        journal.begin(
            "any", kind="", accounts=[], people=0, checksum="", plan=[self.CONTENT[:size]], key=key, options={}
        )
        assert self.read(journal, "any") == self.CONTENT[:size]

    @pytest.mark.parametrize(
        "statements",
        [
            ["DELETE FROM contacts_plan_chunks WHERE run = 'run-1' AND number = 5"],
            ["DELETE FROM contacts_plan_chunks WHERE run = 'run-1' AND number > 1"],
            ["DELETE FROM contacts_plan_chunks WHERE run = 'run-1' AND number = 2"],
            [
                "UPDATE contacts_plan_chunks SET number = 9 WHERE run = 'run-1' AND number = 1",
                "UPDATE contacts_plan_chunks SET number = 1 WHERE run = 'run-1' AND number = 2",
                "UPDATE contacts_plan_chunks SET number = 2 WHERE run = 'run-1' AND number = 9",
            ],
            ["INSERT INTO contacts_plan_chunks SELECT run, 6, body FROM contacts_plan_chunks WHERE number = 5"],
            [
                "DELETE FROM contacts_plan_chunks WHERE run = 'run-1' AND number = 3",
                "INSERT INTO contacts_plan_chunks SELECT 'run-1', 3, body FROM contacts_plan_chunks WHERE number = 3",
            ],
        ],
        ids=["last", "all but one", "one", "swapped", "repeated", "of another run"],
    )
    def test_a_chunk_that_is_missing_moved_or_foreign_is_noticed(self, journal: Journal, statements: list[str]) -> None:
        self.change(*statements)
        with pytest.raises(StorageError, match="cannot be decrypted"):
            self.read(journal)

    def test_a_plan_that_could_not_be_stored_leaves_no_run(self, journal: Journal) -> None:
        def broken() -> Iterator[bytes]:
            yield bytes(50 * CHUNK_SIZE)
            raise OSError

        key = locate_storage().key()
        with pytest.raises(OSError):
            journal.begin("half", kind="", accounts=[], people=0, checksum="", plan=broken(), key=key, options={})
        assert {run.id for run in journal.all()} == {"run-1", "run-2"}
        assert journal.plan("half") is None

    def test_a_receipt_that_was_altered_or_is_gone_is_noticed(self, journal: Journal) -> None:
        name = journal.write_receipt("run-1", [self.CONTENT])
        assert b"".join(journal.receipt_content(name)) == self.CONTENT
        self.change("UPDATE contacts_receipt_chunks SET number = 7 WHERE number = 2")
        with pytest.raises(StorageError, match="altered"):
            list(journal.receipt_content(name))
        journal.drop_receipt(name)
        with pytest.raises(StorageError, match="not in the storage any more"):
            list(journal.receipt_content(name))


class TestErrors:
    def test_no_word_of_the_database_is_told(self, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "a receipt key of the tests")
        where = "postgresql://jane:sesame@127.0.0.1:1/secrets"
        with pytest.raises(StorageError) as caught:
            apply(plan_erasure(environment.emails(1), environment.accounts), environment.accounts, storage=where)
        told = f"{caught.value} {caught.value.hint}"
        assert not [word for word in ("127.0.0.1", "sesame", "jane", "secrets", "SELECT", "psycopg") if word in told]
        assert caught.value.__cause__ is None

    def test_statements_stay_out(self) -> None:
        error = sa.exc.ProgrammingError("SELECT address FROM people", {"a": "jane@example.com"}, ValueError("at db1"))
        assert str(storage_error(error)) == "the storage's database refused a statement (ProgrammingError)"


class TestClock:
    def test_one_that_was_set_back_makes_nobody_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []

        class Here:
            class stopping:  # noqa: N801 - stands for an event
                @staticmethod
                def wait(seconds: float) -> bool:
                    waited.append(seconds)
                    return False

        monkeypatch.setattr(workflows_module, "session", lambda: Here)
        rest = workflows_module._sleep_until
        rest(time.time() + 86_400, 2.0)
        rest(time.time() - 86_400, 2.0)
        assert waited == [2.0, 0.0]


class TestFullDisk:
    def test_the_run_says_so_and_goes_on_when_there_is_room(
        self, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
        plan: Plan = plan_erasure(environment.emails(3), environment.accounts)
        full = threading.Event()
        real = sqlite3.connect

        def authorized(action: int, *_: Any) -> int:
            changing = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}
            return sqlite3.SQLITE_DENY if full.is_set() and action in changing else sqlite3.SQLITE_OK

        class Connection(sqlite3.Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.set_authorizer(authorized)

        def connect(*args: Any, **kwargs: Any) -> Any:
            return real(*args, **{**kwargs, "factory": Connection})

        monkeypatch.setattr("sqlite3.dbapi2.connect", connect)

        class Filler:
            @hookimpl
            def contacts_step_finished(self) -> None:
                full.set()

        filler = Filler()
        plugins.manager().register(filler, name="filler")
        begun = time.monotonic()
        try:
            with pytest.raises(StorageError) as caught:
                apply(plan, environment.accounts, pause=0.02)
        finally:
            plugins.manager().unregister(filler)
        assert time.monotonic() - begun < 60
        assert "resume" in caught.value.hint
        full.clear()
        (run,) = list_runs()
        assert resume(run.id, environment.accounts).complete
