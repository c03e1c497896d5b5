"""A process that is killed, at every request and at every step, loses nothing and does nothing twice."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from attrs import frozen

from contacts_core import ConsentState
from contacts_core.emulator import Exchange
from contacts_core.plans import Plan, Receipt, list_runs, resume
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.plans import dying_process
from tests.plans.environment import CHANGING
from tests.plans.small_plans import CASES, Case, World, open_world

SLICES = 3  # of a loop, so that several processes can share it
REPLACED = {"PUT", "PATCH", "DELETE"}  # methods of requests of which one is enough


class Killing:
    """Kills a process when so many requests were answered, before it can read the answer."""

    def __init__(self) -> None:
        self.after = 0
        self.count = 0
        self.process: BaseProcess | None = None
        self._lock = threading.Lock()

    def told(self, _: Exchange) -> None:
        if self.process is None:
            return
        with self._lock:  # each server has a thread
            self.count += 1
            if self.count == self.after:
                self.process.kill()


def apply_elsewhere(
    plan: Path, killing: Killing, *, requests: int = 0, steps: int = 0, transactions: int = 0
) -> int | None:
    """Apply a plan in a process of its own, which dies after so many requests, steps, or transactions of local files.

    Returns:
        The exit code of the process; the negative number of the signal that killed it.
    """
    killing.after, killing.count = requests, 0
    process = killing.process = dying_process.start(plan, steps, transactions)
    process.join()
    killing.process = None
    return process.exitcode


def deleted_by(exchange: Exchange) -> list[str]:
    """Ids of contacts that a request deletes; the vendors' ways to say so differ."""
    if exchange.method != "DELETE":
        return []
    several = parse_qs(urlsplit(exchange.url).query).get("ids")
    return several[0].split(",") if several else [exchange.path.rpartition("/")[2]]


@frozen
class End:
    """What a run has led to."""

    holdings: dict[str, Any]
    results: list[tuple[str, int, str, int]]
    stages: list[tuple[Any, ...]]
    tombstones: int

    @classmethod
    def of(cls, world: World, receipt: Receipt) -> End:
        world.settle()
        results = [(each["account"], each["person"], each["state"], each["found"]) for each in receipt.of("result")]
        counts = ("account", "stage", "operation", "changes", "verified", "unmade", "unknown")
        stages = sorted(tuple(each[name] for name in counts) for each in receipt.of("stage"))
        return cls(world.holdings(), sorted(results), stages, len(Tombstones(locate_storage())))


@lru_cache
def undisturbed(case: Case) -> End:
    """What comes of a case if nothing happens."""
    with TemporaryDirectory() as folder, world_of(case, Path(folder), Killing()) as (world, plan):
        others, before = world.others(plan), world.holdings()
        receipt = plan.apply(world.clients, pause=0.02, timeout=30)
        assert receipt.complete
        end = End.of(world, receipt)
        assert end.holdings != before
        check_others(world, plan, others)
        return end


@contextmanager
def world_of(case: Case, folder: Path, killing: Killing) -> Iterator[tuple[World, Plan]]:
    """Accounts and a plan, with a state of their own."""
    with pytest.MonkeyPatch.context() as patch, open_world(folder, killing.told) as world:
        patch.setenv("CONTACTS_STORAGE", str(folder / "state"))
        patch.setenv("CONTACTS_FILE", "")
        plan = case.plan(world)
        plan.save(folder / "plan.jsonl")
        patch.setenv("CONTACTS_FILE", str(world.accounts_file()))
        yield world, plan


def check_others(world: World, plan: Plan, before: dict[int, dict[str, Any]]) -> None:
    """See that people whom the plan is not about are as they were, to the last byte."""
    assert world.others(plan) == before


def check_once(world: World, plan: Plan, receipt: Receipt, where: str) -> None:
    """See that nothing was done again but what had no answer."""
    lines = list(receipt.of("step"))
    tried = Counter((line["account"], line["step"]) for line in lines)
    assert max(tried.values()) <= 2, where
    again = {each for each, times in tried.items() if times > 1}
    assert {(line["account"], line["step"]) for line in lines if line["state"] == "cut off"} <= again, where
    assert max(Counter(account for account, _ in again).values(), default=0) <= 1, where
    last = {(line["account"], line["step"]): line for line in lines}
    for part in plan.accounts:
        for step in part.steps:
            line = last[part.account, step.number]
            done = line["confirmed"] + line["absent"] + line["unconfirmed"]
            # A step of two requests to each contact tells of both.
            assert (line["failed"], done >= step.count, line["contacts"]) == (0, True, step.count), where
    sent = Counter((e.provider, e.method, e.url, e.body) for e in world.seen if e.method in REPLACED and e.status < 300)
    assert max(sent.values(), default=0) <= (2 if again else 1), where
    if {step.operation for part in plan.accounts for step in part.steps} == {"delete_contacts"}:
        planned = {(part.provider, change.contact) for part in plan.accounts for change in part.changes}
        assert {(e.provider, id) for e in world.seen if e.status < 300 for id in deleted_by(e)} == planned, where


def check_consent_first(world: World, plan: Plan, where: str) -> None:
    """See that who opted out is known as that before any contact is written: it was written, and then read back."""
    if plan.kind != "copy":
        return
    (part,) = plan.accounts
    written = [change for change in part.changes if change.operation == "upsert_contacts"]
    refused = {i.value for c in part.changes if c.operation == "write_consent" for i in c.identifiers}
    mailable = {i.value for c in written for i in c.identifiers if refused.isdisjoint(i.value for i in c.identifiers)}
    (target,) = (client for client in world.clients if client.name == part.account)
    if not refused:  # it is kept on the contacts themselves, so each is written with it at once
        bodies = [e.body for e in world.seen if e.provider == part.provider and e.method in CHANGING]
        assert all(b"email revoked" in body for body in bodies if b"person1" in body), where
        return
    told, read, wrote = False, False, False
    for exchange in [each for each in world.seen if each.provider == part.provider]:
        text = unquote(exchange.url) + exchange.body.decode()
        reads = exchange.method not in CHANGING or "/search" in exchange.path
        if reads:
            read |= told and exchange.status == 200 and any(value in text for value in refused)
        elif any(value in text for value in mailable) or "first" in text:
            wrote = True
            assert (where, told, read) == (where, True, True), exchange.path
        elif any(value in text for value in refused):
            told, read = True, False
    people = [identifiers for identifiers, _, _ in world.people(part.account)]
    there = [each for each in people if any(repr(value) in each for value in mailable)]
    if part.provider == "local":
        held = {each.identifier.value for each in target.consent() if each.state is ConsentState.REVOKED}
        assert not people or refused <= held, where
    else:
        assert wrote or not there, where


def crash(case: Case, folder: Path, **when: int) -> bool:
    """One crash, and what comes after it; each with a state of its own.

    Returns:
        Whether the process died; it ends by itself if it needs less.
    """
    where = f"{case}: {when}"
    killing = Killing()
    with world_of(case, folder, killing) as (world, plan):
        others = world.others(plan)
        died = apply_elsewhere(folder / "plan.jsonl", killing, **when) != 0
        (run,) = list_runs()
        check_consent_first(world, plan, where)
        receipt = resume(run.id, world.clients)
        check_consent_first(world, plan, where)
        assert (where, receipt.state, receipt.complete) == (where, "done", True)
        assert receipt.sealed_by(locate_storage().key()), where
        assert {line["round"] for line in receipt.lines if "round" in line} == {1}, where
        check_once(world, plan, receipt, where)
        end = End.of(world, receipt)
        for name, held in undisturbed(case).holdings.items():
            assert {where: end.holdings[name]} == {where: held}
        assert end == undisturbed(case), where
        check_others(world, plan, others)
        return died


def parts() -> list[Any]:
    """Every case, in parts."""
    return [pytest.param(case, part, id=f"{case} [{part}]") for case in CASES for part in range(SLICES)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("case", "part"), parts())
def test_killed_at_every_request(case: Case, part: int, tmp_path: Path) -> None:
    number = 1 + part
    while crash(case, tmp_path / str(number), requests=number):
        number += SLICES
    print(f"killed after each of {number - 1} requests in {SLICES} parts, each run taken up again")  # noqa: T201 - the count is part of the proof
    assert number > SLICES or "local" in case.where


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", {case.kind: case for case in CASES}.values(), ids=str)
def test_killed_when_a_step_is_written_down_but_not_yet_recorded(case: Case, tmp_path: Path) -> None:
    number = 1
    while crash(case, tmp_path / str(number), steps=number):
        number += 1
    assert number > 1


@pytest.mark.timeout(600)
def test_killed_at_every_transaction_of_a_local_file(tmp_path: Path) -> None:
    (case,) = (case for case in CASES if case.where.endswith("to local"))
    number = 1
    while crash(case, tmp_path / str(number), transactions=number):
        number += 1
    assert number > len(("lists", "consent", "consent read back", "contacts"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", ["bird to sendgrid", "sendgrid to bird"])
def test_the_consent_stage_killed_at_each_request_and_never_resumed_leaves_no_contact(
    where: str, tmp_path: Path
) -> None:
    (case,) = (case for case in CASES if case.where == where)
    with world_of(case, tmp_path / "whole", Killing()) as (world, plan):
        assert plan.apply(world.clients, pause=0.02, timeout=30).complete
        about = [b"person1" in each.body or "person1" in each.url for each in world.seen]
        vendor = plan.accounts[0].provider
        first = next(n for n, each in enumerate(world.seen) if about[n] and each.method in CHANGING)
        last = next(n for n, each in enumerate(world.seen) if n > first and each.provider != vendor)
    for number in range(first + 1, last + 1):
        with world_of(case, tmp_path / str(number), Killing()) as (world, plan):
            killing = Killing()
            world.told = killing.told
            assert apply_elsewhere(tmp_path / str(number) / "plan.jsonl", killing, requests=number) == -signal.SIGKILL
            world.settle()
            check_consent_first(world, plan, f"{case}: {number}")
            (target,) = (client for client in world.clients if client.name == "new")
            # One vendor keeps consent on contacts: there is nothing but the refusal.
            assert [each.first_name for each in target.export()] == [None] * (vendor == "bird")
