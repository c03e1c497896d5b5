"""A worker that is cut off from the database sends nothing more, and whoever takes over waits until that is certain."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from contacts_core.emulator import Exchange
from contacts_core.errors import ConfigurationError
from contacts_core.models import Identifier
from contacts_core.plans import Plan, SafetyLimits, apply, get_receipt, plan_erasure, submit
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal
from contacts_core.storage.leases import Leases
from tests.plans.environment import Environment, holders, open_environment, without
from tests.plans.proxy import Proxy
from tests.plans.test_crashes import deleted_by
from tests.plans.test_workers import SERVER, database, ended, pytestmark, until  # noqa: F401 - a fixture and marks

LEASE = 2.0
ALL = SafetyLimits(contacts=10_000, share=1)
# A worker whose requests carry its name.
WORKER = """
import os, httpx
real = httpx.Client.send
def send(self, request, **options):
    request.headers["x-worker"] = os.environ["WORKER"]
    return real(self, request, **options)
httpx.Client.send = send
from contacts_core.plans import run_worker
run_worker()
"""


class Watched:
    """Two workers, each behind a proxy of its own, and what they sent."""

    def __init__(self, opened: ExitStack, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
        self.trigger = 0
        self.count = itertools.count(1)
        self.spoke: list[tuple[float, str, str]] = []
        self.reached = threading.Event()
        self.speaker = ""
        self.environment: Environment = opened.enter_context(open_environment(120, latency=0.02, told=self._told))
        patch.setenv("CONTACTS_FILE", str(self.environment.accounts_file(tmp_path / "contacts.toml")))
        patch.setenv("CONTACTS_LEASE", str(LEASE))
        self.proxies = {name: opened.enter_context(Proxy(urlsplit(SERVER).port or 0)) for name in ("one", "two")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in self.proxies:
            self.work(name)
        opened.callback(self._stop)

    def work(self, name: str) -> None:
        place = urlsplit(os.environ["CONTACTS_STORAGE"])
        through = place._replace(netloc=f"{place.username}@127.0.0.1:{self.proxies[name].port}").geturl()
        environment = {**os.environ, "CONTACTS_STORAGE": through, "WORKER": name}
        self.processes[name] = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)

    def _stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()

    def _told(self, exchange: Exchange) -> None:
        name = exchange.headers.get("x-worker")
        if name is None:
            return
        self.spoke.append((time.monotonic(), exchange.provider, name))
        if next(self.count) == self.trigger:
            self.speaker = name
            self.reached.set()

    def plan(self, emails: list[Identifier]) -> Plan:
        return plan_erasure([[email] for email in emails], list(self.environment.clients), limits=ALL)

    def begin(self, plan: Plan, at: int) -> str:
        """Start a run; ``reached`` is set at its request of this number."""
        self.spoke.clear()
        self.environment.seen.clear()
        self.reached.clear()
        self.count, self.trigger = itertools.count(1), at
        return submit(plan, timeout=60, pause=0.1)

    def check(self, run: str, plan: Plan, before: dict[str, object], where: str) -> None:
        """Everybody is gone, each was deleted once, nobody else was touched, and never two spoke at once."""
        until(lambda: ended(run), 60)
        told = get_receipt(run)
        seen, spoke = list(self.environment.seen), list(self.spoke)
        self.environment.settle()
        people = self.environment.everyone()
        assert (where, told.state, told.present, told.unknown) == (where, "done", 0, 0), told.of("step")
        assert not any(holders(people, [i for person in plan.people for i in person.identifiers]).values()), where
        assert without(people, plan) == before, where
        done = Counter((e.provider, id) for e in seen if e.status < 300 for id in deleted_by(e))
        planned = {(part.account, target.contact) for part in plan.accounts for target in part.changes}
        assert set(done) == planned, where
        tried = Counter((line["account"], line["step"]) for line in told.of("step"))
        twice = {
            (part.account, target.contact)
            for part in plan.accounts
            for step in part.steps
            if tried[part.account, step.number] > 1
            for target in part.of(step)
        }
        assert {item for item, times in done.items() if times > 1} <= twice, where
        assert max(tried.values()) <= 2, where
        said: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for moment, provider, name in spoke:
            said[provider].append((moment, name))
        for provider, turns in said.items():
            changes = sum(a[1] != b[1] for a, b in itertools.pairwise(turns))
            # The check, the work, and what was taken over: not to and fro.
            assert changes <= 4, (where, provider, turns)
            rate = self.environment.clients[provider].provider.rate_limits.get("")
            if rate and rate.seconds <= 1:
                busiest = max(sum(m <= n < m + 1 for n, _ in turns) for m, _ in turns)
                assert busiest <= rate.limit + 1, (where, provider, busiest)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "a receipt key that all machines share")
    with ExitStack() as opened:
        yield Watched(opened, tmp_path, monkeypatch)


def terminate() -> None:
    """End every connection to this database, as an administrator or a failover does."""
    admin = sa.create_engine(SERVER.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    name = os.environ["CONTACTS_STORAGE"].rpartition("/")[2]
    with admin.connect() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
    admin.dispose()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["cut", "silence", "terminate", "stop", "kill"])
def test_a_worker_is_cut_off_at_every_step(how: str, watched: Watched) -> None:
    people = watched.environment.emails(40)
    points = range(1, 14, 3)
    for at, first in zip(points, range(0, 40, 3), strict=False):
        where = f"{how} at request {at}"
        plan = watched.plan(people[first : first + 3])
        before = without(watched.environment.everyone(), plan)
        run = watched.begin(plan, at)
        assert watched.reached.wait(60), where
        name = watched.speaker
        match how:
            case "cut":
                watched.proxies[name].cut()
            case "silence":
                watched.proxies[name].silence()
            case "terminate":
                terminate()
            case "stop":
                watched.processes[name].send_signal(signal.SIGSTOP)
            case "kill":
                watched.processes[name].kill()
                watched.processes[name].communicate()
        time.sleep(3 * LEASE)
        watched.proxies[name].mend()
        watched.processes[name].send_signal(signal.SIGCONT) if how == "stop" else None
        if how == "kill":
            watched.work(name)
        watched.check(run, plan, before, where)
    assert all(how == "kill" or process.poll() is None for process in watched.processes.values())


@pytest.mark.timeout(300)
def test_a_restart_of_the_database_is_outlasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_LEASE", "6")
    place = urlsplit(os.environ["CONTACTS_STORAGE"])
    sent: list[Exchange] = []
    with Proxy(urlsplit(SERVER).port or 0) as proxy, open_environment(60, told=sent.append) as environment:
        through = place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()
        for number, email in zip((1, 6, 12), environment.emails(3), strict=True):
            plan = plan_erasure([email], list(environment.clients.values()), limits=ALL)
            before = without(environment.everyone(), plan)
            sent.clear()
            away = threading.Thread(target=_away, args=(proxy, sent, number))
            away.start()
            assert apply(plan, list(environment.clients.values()), storage=through, pause=0.05).complete
            away.join()
            environment.settle()
            assert without(environment.everyone(), plan) == before
    locate_storage(through).engine().dispose()


def _away(proxy: Proxy, sent: list[Exchange], number: int) -> None:
    until(lambda: len(sent) >= number)
    proxy.cut()
    time.sleep(1.5)
    proxy.mend()


class TestLeases:
    """Two processes' leases, side by side in one."""

    def test_one_that_is_not_renewed_is_taken_after_its_whole_time_and_not_before(self) -> None:
        Journal(locate_storage())
        with Leases(locate_storage(), "one", 2.0) as one, Leases(locate_storage(), "two", 60.0) as two:
            assert one.take("account a")
            assert one.left("account a")
            one._done.set()
            silent = time.monotonic()
            while not two.take("account a"):
                time.sleep(0.05)
            assert time.monotonic() - silent >= 2.0 - 1 / 3
            assert one.left("account a") == 0.0
            one._renew()
            assert one.left("account a") is None
            assert two.left("account a")

    def test_one_that_is_renewed_is_never_taken(self) -> None:
        Journal(locate_storage())
        with Leases(locate_storage(), "one", 0.6) as one, Leases(locate_storage(), "two", 0.6) as two:
            assert one.take("account a")
            for _ in range(40):
                assert not two.take("account a")
                assert one.left("account a") is not None
                time.sleep(0.05)
            one.drop("account a")
            assert two.take("account a")
            assert "account a" in two.taken_over

    def test_of_many_who_come_at_once_one_takes_it(self) -> None:
        Journal(locate_storage())
        several = [Leases(locate_storage(), f"number {n}", 30.0) for n in range(8)]
        with ExitStack() as opened:
            for each in several:
                opened.enter_context(each)
            for account in ("a", "b", "c", "d"):
                with ThreadPoolExecutor(8) as pool:
                    assert sum(pool.map(lambda each: each.take(account), several)) == 1  # noqa: B023 - used in this turn
                    for each in several:
                        each.drop(account)

    def test_threads_of_one_process_take_turns(self) -> None:
        Journal(locate_storage())
        inside, most = [0], [0]
        with Leases(locate_storage(), "one", 30.0) as one:

            def use(_: int) -> None:
                with one.holding("account a", threading.Event()):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.02)
                    inside[0] -= 1

            with ThreadPoolExecutor(6) as pool:
                list(pool.map(use, range(12)))
        assert most == [1]

    @pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
    def test_one_too_short_is_refused(self, seconds: float) -> None:
        with pytest.raises(ConfigurationError, match="too short"):
            Leases(locate_storage(), "one", seconds)
