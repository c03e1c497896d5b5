"""Several machines on one PostgreSQL: workers drain one queue, and what a dead one leaves is taken up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from contacts_core.errors import ConfigurationError
from contacts_core.plans import Plan, SafetyLimits, apply, cancel, get_receipt, list_runs, plan_erasure, submit
from contacts_core.plans.execution.runner import overview
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.plans import dying_process
from tests.plans.environment import Environment, holders, open_environment, without
from tests.plans.small_plans import CASES, Case
from tests.plans.test_crashes import End, Killing, check_once, check_others, deleted_by, undisturbed, world_of

SERVER = os.environ.get("CONTACTS_TEST_POSTGRES", "")
KEY = "a receipt key that all machines share"
ALL = SafetyLimits(contacts=10_000, share=1)
WORKER = "from contacts_core.plans import run_worker; run_worker()"

pytestmark = [
    pytest.mark.skipif(not SERVER, reason="needs a PostgreSQL server: make test-postgres"),
    pytest.mark.timeout(180),
]


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(SERVER.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    monkeypatch.setenv("CONTACTS_STORAGE", SERVER.rpartition("/")[0] + f"/{name}")
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", KEY)
    monkeypatch.setenv("CONTACTS_LEASE", "3")
    yield
    locate_storage().engine().dispose()


class Machines:
    """Workers in processes of their own."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER]
        process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def machines() -> Iterator[Machines]:
    several = Machines()
    yield several
    several.stop()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Environment]]:
    with ExitStack() as opened:

        def served(contacts: int, latency: float = 0.0) -> Environment:
            environment = opened.enter_context(open_environment(contacts, latency=latency))
            monkeypatch.setenv("CONTACTS_FILE", str(environment.accounts_file(tmp_path / "contacts.toml")))
            return environment

        yield served


def until(true: Callable[[], object], seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def ended(run: str) -> bool:
    return overview(run)[0].state != "running"


def phases(run: str) -> dict[str, str]:
    return {each.account: each.phase for each in overview(run)[1]}


def everybody(environment: Environment, count: int) -> Plan:
    return plan_erasure([[email] for email in environment.emails(count)], list(environment.clients), limits=ALL)


def test_two_workers_of_which_one_is_killed_midway(serve: Callable[..., Environment], machines: Machines) -> None:
    environment = serve(400, latency=0.02)
    plan = everybody(environment, 250)
    before = without(environment.everyone(), plan)
    environment.seen.clear()
    run = submit(plan, timeout=60, pause=0.1)
    first, _ = machines.add(), machines.add()
    until(lambda: "working" in phases(run).values())
    until(lambda: any(deleted_by(exchange) for exchange in list(environment.seen)))
    first.send_signal(signal.SIGKILL)
    until(lambda: ended(run))
    told = get_receipt(run)
    environment.settle()
    people = environment.everyone()
    assert (told.state, told.present, told.unknown) == ("done", 0, 0)
    assert told.absent == 250 * 3
    assert not any(holders(people, [i for person in plan.people for i in person.identifiers]).values())
    assert without(people, plan) == before
    done = Counter((e.provider, id) for e in environment.seen if e.status < 300 for id in deleted_by(e))
    planned = {(part.account, target.contact) for part in plan.accounts for target in part.changes}
    assert set(done) == planned
    tried = Counter((line["account"], line["step"]) for line in told.of("step"))
    twice = {
        (part.account, target.contact)
        for part in plan.accounts
        for step in part.steps
        if tried[part.account, step.number] > 1
        for target in part.of(step)
    }
    assert {item for item, times in done.items() if times > 1} <= twice
    assert max(tried.values()) <= 2
    assert told.sealed_by(locate_storage().key())
    assert len(Tombstones(locate_storage())) == 250


@pytest.mark.parametrize("case", CASES, ids=str)
def test_of_two_workers_on_a_plan_of_any_kind_one_is_killed(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed_end, shared = undisturbed(case), os.environ["CONTACTS_STORAGE"]
    with world_of(case, tmp_path, Killing()) as (world, plan):
        monkeypatch.setenv("CONTACTS_STORAGE", shared)
        others = world.others(plan)
        workers = dying_process.start_workers(2)
        try:
            run = submit(plan, timeout=30, pause=0.02)
            until(lambda: ended(run))
            assert sorted(each.exitcode or 0 for each in workers) == [-signal.SIGKILL, 0]
            assert sum(each.is_alive() for each in workers) == 1
        finally:
            for each in workers:
                each.kill()
                each.join()
        told = get_receipt(run)
        assert (told.state, told.complete, told.sealed_by(locate_storage().key())) == ("done", True, True)
        check_once(world, plan, told, str(case))
        assert End.of(world, told) == undisturbed_end
        check_others(world, plan, others)


def test_one_process_at_a_time_speaks_to_an_account(serve: Callable[..., Environment], machines: Machines) -> None:
    environment = serve(120, latency=0.02)
    people = environment.emails(60)
    first, second = (
        plan_erasure([[p] for p in part], list(environment.clients), limits=ALL) for part in (people[:30], people[30:])
    )
    environment.seen.clear()
    ids = [submit(plan, timeout=60, pause=0.1) for plan in (first, second)]
    machines.add()
    machines.add()
    until(lambda: all(map(ended, ids)))
    assert [get_receipt(id).state for id in ids] == ["done", "done"]
    owner = {target.contact: n for n, plan in enumerate((first, second)) for p in plan.accounts for target in p.changes}
    for name in environment.clients:
        order = [owner[id] for e in environment.seen if e.provider == name for id in deleted_by(e)]
        changes = sum(a != b for a, b in pairwise(order))
        assert changes == 1, f"the runs' deletions at {name} are mixed"


def test_applying_needs_no_worker(serve: Callable[..., Environment]) -> None:
    environment = serve(12)
    plan = everybody(environment, 3)
    assert apply(plan, pause=0.02).complete
    assert {run.state for run in list_runs()} == {"done"}


def test_a_worker_with_another_key_does_no_work(serve: Callable[..., Environment], machines: Machines) -> None:
    environment = serve(12)
    plan = everybody(environment, 2)
    before = environment.everyone()
    run = submit(plan, timeout=5)
    machines.add(CONTACTS_RECEIPT_KEY="another key than all the others")
    until(lambda: ended(run))
    told = overview(run)[0]
    assert (told.state, "another receipt key" in told.reason) == ("failed", True)
    assert environment.everyone() == before


def test_a_run_is_cancelled_from_another_machine(serve: Callable[..., Environment], machines: Machines) -> None:
    environment = serve(12)
    plan = everybody(environment, 2)
    environment.sandbox.faults.set("job-never-ends", None)
    run = submit(plan, timeout=120, pause=0.1)
    machines.add()
    until(lambda: phases(run).get("sendgrid") == "waiting")
    assert cancel(run).state == "cancelled"
    assert get_receipt(run).state == "cancelled"


def test_machines_that_share_runs_must_be_given_a_key(
    serve: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTACTS_RECEIPT_KEY")
    environment = serve(12)
    with pytest.raises(ConfigurationError, match="one receipt key"):
        submit(everybody(environment, 1))


PROGRAM = """
import json, os, sys, time
from pathlib import Path

from dbos import DBOS

from contacts_core.plans import Plan, apply, cancel, submit
from contacts_core.errors import ConfigurationError

plan, other, ready = Plan.load(sys.argv[1]), Plan.load(sys.argv[2]), Path(sys.argv[3])

@DBOS.step()
def wait():
    while not ready.exists():
        time.sleep(0.02)
    return {"ready"}  # a set: only the program's own serializer can keep it

@DBOS.workflow()
def waiting():
    return wait()

DBOS(config={"name": "host", "system_database_url": os.environ["CONTACTS_STORAGE"], "log_level": "CRITICAL"})
DBOS.launch()
handle = DBOS.start_workflow(waiting)
try:
    apply(plan)
except ConfigurationError as error:
    message = str(error)
run, cancelled = submit(plan, timeout=60, pause=0.1), submit(other)
cancel(cancelled)
print(json.dumps([message, run, cancelled]), flush=True)
result = handle.get_result()
statuses = {status.name: status.status for status in DBOS.list_workflows()}
DBOS.destroy()
print(json.dumps([sorted(result), statuses]), flush=True)
"""


def test_a_program_that_uses_dbos_in_the_same_database_submits_runs_and_keeps_its_workflows(
    serve: Callable[..., Environment], machines: Machines, tmp_path: Path
) -> None:
    environment = serve(12)
    plan, ready = everybody(environment, 2), tmp_path / "ready"
    plan.save(tmp_path / "plan.json")
    everybody(environment, 1).save(tmp_path / "other.json")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "plan.json"), str(tmp_path / "other.json"), str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        try:
            message, run, cancelled = json.loads(program.stdout.readline())
            assert "this program uses DBOS itself" in message
            machines.add()
            until(lambda: ended(run))
            time.sleep(3)  # the worker looks several times for what other processes left behind
        finally:
            ready.touch()
        assert json.loads(program.stdout.readline()) == [["ready"], {"waiting": "SUCCESS"}]
    assert get_receipt(run).complete
    assert get_receipt(cancelled).state == "cancelled"
    assert not any(holders(environment.everyone(), [i for person in plan.people for i in person.identifiers]).values())
