"""A plan and a receipt are read, compared and checked once for each run, however large they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contacts_core.plans import Plan, Receipt, plan_erasure, resume
from contacts_core.plans import model as models
from contacts_core.plans import plan_file as plan_files
from contacts_core.plans.execution import workflows
from contacts_core.plans.planning import lookup
from contacts_core.storage.tombstones import Tombstones
from tests.plans.environment import Environment

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 10.0}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted = Counter[str]()

    def count(owner: Any, name: str) -> None:
        called: Callable[..., Any] = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return called(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(models, "_disagreements")
    count(plan_files, "parse")
    count(Receipt, "check")
    count(Tombstones, "add")
    return counted


def test_applying_a_saved_plan(environment: Environment, calls: Counter[str], tmp_path: Path) -> None:
    plan_erasure(environment.emails(2), environment.accounts).save(tmp_path / "plan.jsonl")
    plan = Plan.load(tmp_path / "plan.jsonl")
    assert plan.apply(environment.accounts, **QUICK).complete
    assert calls == {"_disagreements": 1, "parse": 1, "check": 1, "add": 1}


def test_applying_a_plan_that_was_just_made(environment: Environment, calls: Counter[str]) -> None:
    assert plan_erasure(environment.emails(2), environment.accounts).apply(environment.accounts, **QUICK).complete
    assert calls == {"_disagreements": 1, "check": 1, "add": 1}


def test_a_receipt_that_is_there_needs_no_plan(environment: Environment, calls: Counter[str]) -> None:
    done = plan_erasure(environment.emails(2), environment.accounts).apply(environment.accounts, **QUICK)
    calls.clear()
    assert resume(done.run, environment.accounts) == done
    assert calls == {"check": 1}


def test_another_round(environment: Environment, calls: Counter[str]) -> None:
    plan = plan_erasure(environment.emails(1), environment.accounts)
    environment.sandbox.faults.set("job-fails", None)
    done = plan.apply(environment.accounts, pause=0.01, timeout=0.1)
    assert done.state == "incomplete"
    environment.sandbox.faults.clear()
    calls.clear()
    assert resume(done.run, environment.accounts).complete
    assert calls == {"parse": 1, "check": 1, "add": 1}


def test_a_check_of_many_contacts_is_several_events(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "EXCHANGES_PER_EVENT", 3)
    monkeypatch.setattr(lookup, "CHUNK_SIZE", 2)
    plan = plan_erasure(environment.emails(9), [environment.clients["bird"]])
    environment.seen.clear()
    done = plan.apply([environment.clients["bird"]], **QUICK)
    assert done.complete
    checks = [line for line in done.of("read") if line["path"] == "check"]
    assert len(checks) > 3
    assert max(len(line["exchanges"]) for line in checks) < 8 < sum(len(line["exchanges"]) for line in checks)
    assert len([e for line in done.lines for e in line.get("exchanges", ())]) == len(environment.seen)
