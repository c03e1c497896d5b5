"""Ctrl-C, once and twice: the call ends, the run can be resumed, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contacts_core import AsyncContacts
from contacts_core.plans import apply_async, list_runs, plan_erasure, resume
from tests.plans.environment import Ground, ground

APPLY = """
import asyncio, sys
from contacts_core import connect, connect_async
from contacts_core.plans import Plan, apply, apply_async

plan = Plan.load(sys.argv[1])
names = [part.account for part in plan.accounts]

async def main():
    doors = [connect_async(name) for name in names]
    await apply_async(plan, doors, pause=0.02)

print("begun", flush=True)
asyncio.run(main()) if sys.argv[2] == "async" else apply(plan, names, pause=0.02)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("signals", [1, 2, 3])
@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_a_process_ends_however_often_it_is_interrupted(
    kind: str, signals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ground(60) as here:
        monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
        monkeypatch.setenv("CONTACTS_FILE", str(here.accounts_file(tmp_path / "contacts.toml")))
        plan = plan_erasure([[email] for email in here.emails(20)], here.accounts)
        plan.save(tmp_path / "plan.json")
        here.seen.clear()
        here.sandbox.latency = 0.3  # so that it can be interrupted in the middle
        command = [sys.executable, "-c", APPLY, str(tmp_path / "plan.json"), kind]
        process = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not any(exchange.method == "DELETE" for exchange in list(here.seen)):
            assert process.poll() is None
            time.sleep(0.02)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.4)
        process.communicate(timeout=45)
        here.sandbox.latency = 0
        assert process.returncode != 0
        (run,) = list_runs()
        assert run.state == "interrupted"
        assert resume(run.id, here.accounts).complete


@pytest.mark.timeout(60)
@pytest.mark.parametrize("times", [1, 2])
def test_a_task_that_is_cancelled(times: int) -> None:
    with ground(20) as here:
        cancelled(times, here)


def cancelled(times: int, here: Ground) -> None:
    plan = plan_erasure(here.emails(4), here.accounts)

    async def main() -> None:
        doors: list[Any] = [AsyncContacts(door.provider, name=name) for name, door in here.doors.items()]
        task = asyncio.create_task(apply_async(plan, doors, pause=0.02, timeout=30))
        here.seen.clear()
        here.sandbox.latency = 0.2
        while len(here.seen) < 4:  # noqa: ASYNC110 - another thread fills it
            await asyncio.sleep(0.005)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        for door in doors:
            await door.close()

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 30
    here.sandbox.latency = 0
    (run,) = list_runs()
    assert run.state == "interrupted"
    assert resume(run.id, here.accounts).complete
