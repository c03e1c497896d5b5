"""A process that is killed, at every request and at every step, loses nothing and does nothing twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from contacts_core.emulator import Exchange
from contacts_core.plans import Plan, list_runs, plan_erasure, resume
from tests.plans import dying_process
from tests.plans.environment import Environment, holders, open_environment, without

PEOPLE = 2
SLICES = 4  # of the loop, so that several processes can share it


class Killing:
    """Kills a process when so many requests were answered, before it can read the answer."""

    def __init__(self) -> None:
        self.after = 0
        self.count = 0
        self.process: BaseProcess | None = None

    def told(self, exchange: Exchange) -> None:
        if self.process is None:
            return
        self.count += 1
        if self.count == self.after:
            self.process.kill()


def apply_elsewhere(plan: Path, killing: Killing, *, requests: int = 0, steps: int = 0) -> int | None:
    """Apply a plan in a process of its own, which dies after so many requests, or when so many steps are written.

    Returns:
        The exit code of the process; the negative number of the signal that killed it.
    """
    killing.after, killing.count = requests, 0
    process = killing.process = dying_process.start(plan, steps)
    process.join()
    killing.process = None
    return process.exitcode


def deleted_by(exchange: Exchange) -> list[str]:
    """Ids of contacts that a request deletes; the vendors' ways to say so differ."""
    if exchange.method != "DELETE":
        return []
    several = parse_qs(urlsplit(exchange.url).query).get("ids")
    return several[0].split(",") if several else [exchange.path.rpartition("/")[2]]


def check(environment: Environment, plan: Plan, before: dict[str, object], where: str) -> None:
    """Take the run up again, and see that all is as if nothing had happened."""
    (run,) = list_runs()
    receipt = resume(run.id, environment.accounts)
    environment.settle()
    people = environment.everyone()
    assert (where, receipt.state, receipt.present, receipt.unknown) == (where, "done", 0, 0)
    assert receipt.absent == PEOPLE * len(plan.accounts)
    assert not any(holders(people, [i for person in plan.people for i in person.identifiers]).values()), where
    assert {name: set(contacts) for name, contacts in people.items()} == {
        name: set(contacts)  # type: ignore[call-overload]
        for name, contacts in before.items()
    }, where
    assert without(people, plan) == before, where
    done = Counter(
        (exchange.provider, id) for exchange in environment.seen if exchange.status < 300 for id in deleted_by(exchange)
    )
    planned = {(part.account, target.contact) for part in plan.accounts for target in part.changes}
    assert set(done) == planned, where
    repeated = {account for (account, _), times in done.items() if times > 1}
    cut_off = {line["account"] for line in receipt.of("step") if line["attempt"] > 1}
    assert repeated <= cut_off, where
    assert max(done.values()) <= 2, where
    assert len(cut_off) <= len(plan.accounts), where
    tried = Counter((line["account"], line["step"]) for line in receipt.of("step"))
    assert max(tried.values()) <= 2, where


def requests_needed(tmp_path: Path) -> tuple[int, int]:
    """How many requests, and how many steps, an undisturbed run takes."""
    killing = Killing()
    with open_environment(told=killing.told) as environment:
        plan = planned(environment, tmp_path)
        assert apply_elsewhere(tmp_path / "plan.json", killing) == 0
        return killing.count, sum(len(part.steps) for part in plan.accounts)


def planned(environment: Environment, tmp_path: Path) -> Plan:
    plan = plan_erasure([[email] for email in environment.emails(PEOPLE)], environment.accounts)
    plan.save(tmp_path / "plan.json")
    os.environ["CONTACTS_FILE"] = str(environment.accounts_file(tmp_path / "contacts.toml"))
    environment.seen.clear()
    return plan


def crash(tmp_path: Path, where: str, **when: int) -> None:
    """One crash, and what comes after it; each with a state of its own."""
    killing = Killing()
    folder = tmp_path / where.replace(" ", "-")
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, open_environment(told=killing.told) as environment:
        patch.setenv("CONTACTS_STORAGE", str(folder / "state"))
        patch.setenv("CONTACTS_FILE", "")
        plan = planned(environment, folder)
        before = without(environment.everyone(), plan)
        environment.seen.clear()
        assert apply_elsewhere(folder / "plan.json", killing, **when) == -signal.SIGKILL, where
        check(environment, plan, before, where)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(SLICES))
def test_killed_at_every_request(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
    monkeypatch.setenv("CONTACTS_FILE", "")
    requests, _ = requests_needed(tmp_path)
    chosen = range(1 + part, requests + 1, SLICES)
    for number in chosen:
        crash(tmp_path, f"request {number}", requests=number)
    print(f"killed at {len(chosen)} of {requests} requests, each run taken up again")  # noqa: T201 - the count is part of the proof
    assert requests >= 15


@pytest.mark.timeout(600)
def test_killed_when_a_step_is_written_down_but_not_yet_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
    monkeypatch.setenv("CONTACTS_FILE", "")
    _, steps = requests_needed(tmp_path)
    for number in range(1, steps + 1):
        crash(tmp_path, f"step {number}", steps=number)
    print(f"killed at {steps} of {steps} steps, each run taken up again")  # noqa: T201 - the count is part of the proof
    assert steps == 3
