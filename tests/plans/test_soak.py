"""Very many changes, spread over accounts, while workers come and go.

``CONTACTS_SOAK`` is the number of changes, by default 100,000; ``CONTACTS_SOAK=1000000`` is the whole soak, of at most
five minutes. After `LONGEST_S` nothing more is begun, and after `GRACE_S` what was done by then is checked: so any
number of changes is bounded in time.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from attrs import define, field

from benchmarks import crowd
from benchmarks.crowd import AccountCounts, Crowd
from benchmarks.server import serving
from contacts_core import Contacts
from contacts_core.config import plugins
from contacts_core.plans import SafetyLimits, get_receipt, list_runs, plan_deletion, submit
from contacts_core.plans.execution.runner import overview
from tests.plans.test_workers import SERVER, database  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.skipif(not SERVER, reason="needs a PostgreSQL server: make test-postgres"),
    pytest.mark.timeout(420),
]

logger = logging.getLogger(__name__)

CHANGES = int(os.environ.get("CONTACTS_SOAK", "100_000"))
LONGEST_S = 225.0 if CHANGES >= 1_000_000 else 60.0  # then no run is begun any more
GRACE_S = LONGEST_S / 4  # for the runs that were begun
RUN_SIZE = 2000  # changes of one run
ACCOUNTS = tuple(f"account-{n}" for n in range(4))
WORKERS = 3
LIFE_S = 15.0  # after this time one worker is killed, and another one started
MOST_MB = 200
LATENCY_S = 0.005
LIMITS = SafetyLimits(contacts=RUN_SIZE, share=1)
WORKER = """
from benchmarks import crowd
from contacts_core.config import plugins
from contacts_core.plans import run_worker
plugins.manager().register(crowd, name="crowd")
run_worker()
"""


@define
class Workers:
    """Workers in processes of their own, of which the oldest is killed now and then."""

    processes: list[subprocess.Popen[bytes]] = field(factory=list[subprocess.Popen[bytes]])
    peak_mb: float = 0.0
    killed: int = 0
    _names: Iterator[int] = field(factory=count)
    _since: float = field(factory=time.monotonic)

    def keep_going(self) -> None:
        while len(self.processes) < WORKERS:
            environment = {**os.environ, crowd.WORKER_VARIABLE: f"w{next(self._names)}"}
            self.processes.append(subprocess.Popen([sys.executable, "-c", WORKER], env=environment))
        if time.monotonic() - self._since > LIFE_S:
            self._since = time.monotonic()
            self.killed += 1
            self._kill(self.processes.pop(0))

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        assert process.poll() is None, "a worker ended by itself"
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        while self.processes:
            self._kill(self.processes.pop())


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Contacts[Crowd]]]:
    monkeypatch.setenv("CONTACTS_LEASE", "3")
    plugins.manager().register(crowd, name="crowd")
    with ExitStack() as opened:
        opened.callback(plugins.manager().unregister, crowd)
        address = opened.enter_context(serving("crowd", LATENCY_S))
        lines = [f'[accounts.{name}]\nprovider = "crowd"\nbase_url = "{address}/{name}"\n' for name in ACCOUNTS]
        (tmp_path / "contacts.toml").write_text("".join(lines), encoding="utf-8")
        monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
        yield [opened.enter_context(Contacts(Crowd(base_url=f"{address}/{name}"), name=name)) for name in ACCOUNTS]


@pytest.fixture
def workers() -> Iterator[Workers]:
    several = Workers()
    yield several
    while several.processes:
        several.processes[0].kill()
        several.processes.pop(0).wait()


def counted(account: Contacts[Crowd]) -> AccountCounts:
    return account.run(account.provider.counts())


def test_every_change_is_made_once_whoever_is_killed(accounts: list[Contacts[Crowd]], workers: Workers) -> None:
    began, planned, begun = time.monotonic(), dict.fromkeys(ACCOUNTS, 0), list[str]()
    states: dict[str, str] = {}
    while True:
        workers.keep_going()
        states = {run.id: run.state for run in list_runs()}
        under_way = sum(states[run] == "running" for run in begun)
        passed = time.monotonic() - began
        if passed > LONGEST_S + GRACE_S or not (under_way or (len(begun) * RUN_SIZE < CHANGES and passed < LONGEST_S)):
            break
        if len(begun) * RUN_SIZE < CHANGES and under_way <= len(ACCOUNTS) and passed < LONGEST_S:
            account = accounts[len(begun) % len(accounts)]
            first = planned[account.name]
            planned[account.name] += RUN_SIZE
            ids = map(str, range(first, first + RUN_SIZE))
            begun.append(submit(plan_deletion(account, ids=ids, limits=LIMITS), pause=0.1))
        time.sleep(0.1)
    passed = time.monotonic() - began
    workers.stop()
    ended = [run for run in begun if states[run] != "running"]
    counts = {account.name: counted(account) for account in accounts}
    deleted = sum(each.deleted for each in counts.values())
    told = (
        f"{deleted:,} of {CHANGES:,} changes in {passed:.0f} s ({deleted / passed:,.0f} a second); {len(ended)} of "
        f"{len(begun)} runs ended; {workers.killed} workers killed; the largest had {workers.peak_mb:.0f} MB"
    )
    logger.warning(told)
    assert {states[run] for run in ended} <= {"done"}
    assert [run for run in ended if not get_receipt(run).complete] == []
    assert sum(overview(run)[0].people for run in ended) <= deleted <= sum(planned.values())
    assert {(each.twice, each.overlaps) for each in counts.values()} == {(0, 0)}
    assert max(each.workers for each in counts.values()) > (workers.killed > 1)
    assert workers.peak_mb < MOST_MB
    if passed < LONGEST_S:
        assert {name: each.deleted for name, each in counts.items()} == planned
        assert (len(ended), deleted) == (len(begun), CHANGES)
