"""In a program that uses DBOS itself, applying is refused before anything is touched, and its DBOS keeps working."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contacts_core.errors import ConfigurationError
from contacts_core.plans import Plan, apply, list_runs, plan_erasure, resume
from contacts_core.plans.execution import engine
from contacts_core.storage.database import locate_storage
from tests.plans.environment import Environment

PROGRAM = """
import asyncio, json, sqlite3, sys
from pathlib import Path

from dbos import DBOS

from contacts_core.errors import ConfigurationError
from contacts_core.plans import Plan, apply, apply_async, resume, resume_async, run_worker

database, plan, run, start = Path(sys.argv[1]), Plan.load(sys.argv[2]), sys.argv[3], sys.argv[4]

@DBOS.workflow()
def double(number):
    return {"answer": 2 * number}

def dump():
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())

DBOS(config={"name": "host", "system_database_url": f"sqlite:///{database}", "log_level": "CRITICAL"})
if start == "launched":
    DBOS.launch()
    assert double(20) == {"answer": 40}
before = dump() if database.exists() else None

errors = {}
for name, attempt in {
    "apply": lambda: apply(plan),
    "apply_async": lambda: asyncio.run(apply_async(plan)),
    "resume": lambda: resume(run),
    "resume_async": lambda: asyncio.run(resume_async(run)),
    "run_worker": lambda: run_worker(),
}.items():
    try:
        attempt()
    except ConfigurationError as error:
        errors[name] = [str(error), error.hint]

assert (dump() if database.exists() else None) == before
DBOS.launch()
assert double(21) == {"answer": 42}
handle = DBOS.start_workflow(double, 4)
assert handle.get_result() == {"answer": 8}
names = [status.name for status in DBOS.list_workflows()]
DBOS.destroy()
print(json.dumps({"errors": errors, "names": names}))
"""


def run_program(code: str, *arguments: object, **environment: str) -> Any:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def saved(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan in a file, and an accounts file with which other processes find the vendors."""
    monkeypatch.setenv("CONTACTS_FILE", str(environment.accounts_file(tmp_path / "contacts.toml")))
    path = tmp_path / "plan.json"
    plan_erasure(environment.emails(1), environment.accounts).save(path)
    environment.seen.clear()
    return path


@pytest.mark.parametrize("start", ["created", "launched"])
def test_the_engine_refuses_and_the_programs_own_dbos_keeps_working(
    environment: Environment, saved: Path, tmp_path: Path, start: str
) -> None:
    storage = tmp_path / "storage"
    told = run_program(PROGRAM, tmp_path / "host.sqlite", saved, "erase-1", start, CONTACTS_STORAGE=str(storage))
    assert told["errors"].keys() == {"apply", "apply_async", "resume", "resume_async", "run_worker"}
    for message, hint in told["errors"].values():
        assert "this program uses DBOS itself" in message
        assert "another process" in hint
        assert "submit it to workers" in hint
    assert environment.seen == []
    assert not storage.exists()
    double = 2 + (start == "launched")
    assert told["names"] == ["double"] * double


AFTERWARDS = """
import json, sys
from dbos import DBOS
from contacts_core.plans import Plan, apply

@DBOS.workflow()
def double(number):
    return 2 * number

receipt = apply(Plan.load(sys.argv[1]), pause=0.02)
DBOS(config={"name": "host", "system_database_url": f"sqlite:///{sys.argv[2]}", "log_level": "CRITICAL"})
DBOS.launch()
print(json.dumps([receipt.state, double(21), [status.name for status in DBOS.list_workflows()]]))
DBOS.destroy()
"""


def test_once_a_plan_is_applied_the_program_may_start_its_own_dbos(saved: Path, tmp_path: Path) -> None:
    told = run_program(AFTERWARDS, saved, tmp_path / "host.sqlite", CONTACTS_STORAGE=str(tmp_path / "storage"))
    assert told == ["done", 42, ["double"]]


RECEIVER = """
import json, sys, threading
from dbos._dbos import _get_or_create_dbos_registry
from contacts_core.errors import ConfigurationError
from contacts_core.plans import Plan, apply

called = []
_get_or_create_dbos_registry().register_poller(threading.Event(), lambda: called.append(1))
try:
    apply(Plan.load(sys.argv[1]))
except ConfigurationError as error:
    print(json.dumps([str(error), called, len(_get_or_create_dbos_registry().pollers)]))
"""


def test_event_receivers_of_a_program_that_has_not_launched_its_dbos_are_not_started(saved: Path) -> None:
    message, called, receivers = run_program(RECEIVER, saved)
    assert "this program uses DBOS itself" in message
    assert (called, receivers) == ([], 1)


class TestSQLiteVersion:
    @pytest.fixture(autouse=True)
    def old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "PYTHON_VERSION", (3, 12))
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 41, 2))
        monkeypatch.setattr(sqlite3, "sqlite_version", "3.41.2")

    def test_one_that_is_too_old_for_dbos_is_refused_before_anything_is_touched(
        self, environment: Environment, saved: Path, tmp_path: Path
    ) -> None:
        refusal = r"needs SQLite 3\.42 or later, and this Python has 3\.41\.2"
        with pytest.raises(ConfigurationError, match=refusal):
            apply(Plan.load(saved), environment.accounts, storage=tmp_path / "storage")
        with pytest.raises(ConfigurationError, match=refusal):
            resume("erase-1", environment.accounts, storage=tmp_path / "storage")
        assert environment.seen == []
        assert not (tmp_path / "storage").exists()

    def test_runs_in_postgresql_need_no_sqlite(self) -> None:
        engine.check_process(locate_storage("postgresql://db.example.com/runs"))

    def test_the_version_that_dbos_needs_is_accepted(
        self, environment: Environment, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 42, 0))
        assert apply(Plan.load(saved), environment.accounts, pause=0.02).complete
        assert [run.state for run in list_runs()] == ["done"]

    def test_older_versions_of_python_do_not_need_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "PYTHON_VERSION", (3, 11))
        engine.check_process(locate_storage())
