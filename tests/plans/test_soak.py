"""Very many changes of one run, spread over accounts, while the processes that make them are killed and started again.

The soak proper has several workers on PostgreSQL (``make soak``, ``make soak SIZE=1000000 SECONDS=300``). It ends
after `LONGEST_S` seconds, whatever was reached by then: a run that is not over is stopped, resumed by a new worker, and
has to go on; what it came to is said. A small run on SQLite, one process after the other, is part of all tests.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from attrs import define, field

from benchmarks import crowd
from benchmarks.crowd import AccountCounts, Crowd
from benchmarks.server import serving
from contacts_core import Contacts, Identifier
from contacts_core.config import plugins
from contacts_core.plans import Plan, SafetyLimits, get_receipt, plan_erasure, submit
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal, Run
from tests.plans.test_workers import KEY, SERVER

logger = logging.getLogger(__name__)

SMALL = 2_000
CHANGES = int(os.environ.get("CONTACTS_SOAK", SMALL))  # of the run on PostgreSQL
LONGEST_S = float(os.environ.get("CONTACTS_SOAK_SECONDS", "75"))
RESUMED_S = 120.0  # within which a run that was stopped must go on
ACCOUNTS = tuple(f"account-{n}" for n in range(4))
WORKERS = 2  # at the same time, on PostgreSQL
KILLS = (0.2, 0.5, 0.8)  # by the share of the changes that were made; besides, one in each phase in which none is made
MOST_MB = 200
LATENCY_S = 0.005
STILL_GOING = {"running", "interrupted"}
BEGIN = """
import sys
from benchmarks import crowd
from contacts_core.config import plugins
from contacts_core.plans import Plan, list_runs, resume, run_worker
plugins.manager().register(crowd, name="crowd")
"""
WORKER = f"{BEGIN}run_worker()"
ONE_PROCESS = f"""{BEGIN}
runs = list_runs()
resume(runs[0].id) if runs else Plan.load(sys.argv[1]).apply(pause=0.05)
"""


@define
class Workers:
    """Processes that work on the run; the oldest of them is killed when `kill` is called."""

    program: Sequence[str]
    number: int
    processes: list[subprocess.Popen[bytes]] = field(factory=list[subprocess.Popen[bytes]])
    peak_mb: float = 0.0
    killed: int = 0
    _names: Iterator[int] = field(factory=count)

    def keep_going(self) -> None:
        """Start as many as are missing."""
        for process in self.processes:
            assert process.poll() in {None, 0}, "a worker broke off"
        self.processes = [process for process in self.processes if process.poll() is None]
        while len(self.processes) < self.number:
            environment = {**os.environ, crowd.WORKER_VARIABLE: f"w{next(self._names)}"}
            self.processes.append(subprocess.Popen([sys.executable, "-c", *self.program], env=environment))

    def kill(self) -> None:
        """Kill the oldest, and note how much memory it had at most."""
        process = self.processes.pop(0)
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):  # a process that has ended has no such line
                self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1000)
        self.killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Kill all of them."""
        while self.processes:
            self.kill()


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Contacts[Crowd]]]:
    monkeypatch.setenv("CONTACTS_LEASE", "3")
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    plugins.manager().register(crowd, name="crowd")
    with ExitStack() as opened:
        opened.callback(plugins.manager().unregister, crowd)
        address = opened.enter_context(serving("crowd", LATENCY_S))
        lines = [f'[accounts.{name}]\nprovider = "crowd"\nbase_url = "{address}/{name}"\n' for name in ACCOUNTS]
        (tmp_path / "contacts.toml").write_text("".join(lines), encoding="utf-8")
        monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
        yield [opened.enter_context(Contacts(Crowd(base_url=f"{address}/{name}"), name=name)) for name in ACCOUNTS]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    name = f"soak_{uuid.uuid4().hex}"
    admin = sa.create_engine(SERVER.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    monkeypatch.setenv("CONTACTS_STORAGE", SERVER.rpartition("/")[0] + f"/{name}")
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", KEY)
    yield
    locate_storage().engine().dispose()


@pytest.fixture
def workers() -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def start(number: int, *program: str) -> Workers:
        started.append(Workers(program, number))
        return started[-1]

    yield start
    for several in started:
        several.stop()


def erasure(accounts: Sequence[Contacts[Crowd]], changes: int) -> Plan:
    people = changes // len(accounts)
    wanted = (Identifier.email(f"p{number}@example.com") for number in range(people))
    return plan_erasure(wanted, accounts, limits=SafetyLimits(contacts=people, share=1))


def counted(accounts: Sequence[Contacts[Crowd]]) -> list[AccountCounts]:
    return [account.run(account.provider.counts()) for account in accounts]


def latest_run(journal: Journal) -> Run | None:
    return next(iter(journal.all()), None)


def noted(journal: Journal, run: Run | None) -> int:
    """The number of the last event of a run, which grows as long as somebody works on it."""
    last = 0
    for event in journal.events(run.id) if run else ():
        last = event.number
    return last


@define
class Soak:
    """One run, and what became of it."""

    accounts: Sequence[Contacts[Crowd]]
    workers: Workers
    changes: int
    moments: list[Callable[[Soak], bool]]  # at which a process is killed
    seconds: float = 0.0

    @property
    def journal(self) -> Journal:
        return Journal(locate_storage())

    @property
    def is_over(self) -> bool:
        run = latest_run(self.journal)
        return run is not None and run.state not in STILL_GOING

    @property
    def share(self) -> float:
        """The share of the changes that were made."""
        return sum(each.deleted for each in counted(self.accounts)) / self.changes

    def is_in(self, phase: str) -> bool:
        run = latest_run(self.journal)
        return run is not None and any(each.phase == phase for each in self.journal.progress(run.id))

    def records_results(self) -> bool:
        run = latest_run(self.journal)
        return run is not None and next(self.journal.events(run.id, "results"), None) is not None

    def go_on(self, longest_s: float) -> None:
        """Keep workers going, and kill one now and then, until the run is over, or the time."""
        began = time.monotonic()
        while not self.is_over and time.monotonic() - began < longest_s:
            self.workers.keep_going()
            if self.moments and self.moments[0](self):
                self.moments.pop(0)
                self.workers.kill()
            time.sleep(0.05)
        self.seconds = time.monotonic() - began
        self.workers.stop()

    def told(self) -> str:
        run, counts = latest_run(self.journal), counted(self.accounts)
        deleted = sum(each.deleted for each in counts)
        where = (
            ", ".join(f"{each.phase} {each.done}/{each.total}" for each in self.journal.progress(run.id)) if run else ""
        )
        return (
            f"{deleted:,} of {self.changes:,} changes made in {self.seconds:.0f} s "
            f"({deleted / self.seconds:,.0f} a second); the run is {run and run.state} ({where}); "
            f"{self.workers.killed} processes killed; the largest had {self.workers.peak_mb:.0f} MB"
        )

    def check(self) -> None:
        """Check what the vendor counted; and the receipt, or that the run goes on, if it is not over."""
        logger.warning(self.told())
        self.check_counts()
        assert self.workers.peak_mb < MOST_MB
        run = latest_run(self.journal)
        assert run is not None
        if self.is_over:
            self.check_receipt(run)
        else:
            self.check_that_it_goes_on(run)

    def check_counts(self) -> None:
        for each in counted(self.accounts):
            assert (each.twice, each.overlaps) == (0, 0)
            assert each.deleted <= self.changes // len(self.accounts)

    def check_receipt(self, run: Run) -> None:
        assert [each.deleted for each in counted(self.accounts)] == [self.changes // len(self.accounts)] * len(ACCOUNTS)
        assert not self.moments, "it was over before every process was killed that was to be"
        began = time.monotonic()
        receipt = get_receipt(run.id)
        logger.warning("receipt: %s lines, checked in %.0f s", f"{len(receipt.lines):,}", time.monotonic() - began)
        assert (receipt.state, receipt.absent, len(receipt.of("result"))) == ("done", self.changes, self.changes)
        assert receipt.complete
        assert receipt.sealed_by(locate_storage().key())

    def check_that_it_goes_on(self, run: Run) -> None:
        """Resume the run that was stopped, until it has done more."""
        before, sent, began = noted(self.journal, run), self.share, time.monotonic()
        while not self.is_over and noted(self.journal, run) <= before + 2 and time.monotonic() - began < RESUMED_S:
            self.workers.keep_going()
            time.sleep(0.2)
        self.workers.stop()
        assert noted(self.journal, run) > before
        logger.warning("resumed: from %.0f %% to %.0f %% of the changes", sent * 100, self.share * 100)
        self.check_counts()


def made(share: float) -> Callable[[Soak], bool]:
    return lambda soak: soak.share >= share


def in_phase(phase: str) -> Callable[[Soak], bool]:
    return lambda soak: soak.is_in(phase)


@pytest.mark.timeout(120)
def test_one_process_after_the_other_makes_every_change_once(
    accounts: list[Contacts[Crowd]], workers: Callable[..., Workers], tmp_path: Path
) -> None:
    path = tmp_path / "plan.jsonl"
    erasure(accounts, SMALL).save(path)
    moments = [made(0.5), Soak.records_results]  # few: a new process needs a second or two
    soak = Soak(accounts, workers(1, ONE_PROCESS, str(path)), SMALL, moments)
    soak.go_on(100)
    assert soak.is_over
    soak.check()


@pytest.mark.skipif(not SERVER, reason="needs a PostgreSQL server: make soak")
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("accounts", "database")
def test_several_workers_make_every_change_once(
    accounts: list[Contacts[Crowd]], workers: Callable[..., Workers]
) -> None:
    began = time.monotonic()
    plan = erasure(accounts, CHANGES)
    logger.warning("planned in %.0f s", time.monotonic() - began)
    began = time.monotonic()
    submit(plan, pause=0.1)
    logger.warning("submitted in %.0f s", time.monotonic() - began)
    moments = [in_phase("checking"), *map(made, KILLS), in_phase("verifying"), Soak.records_results]
    soak = Soak(accounts, workers(WORKERS, WORKER), CHANGES, moments)
    soak.go_on(LONGEST_S)
    soak.check()
