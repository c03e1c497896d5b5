"""Ctrl-C, once and twice: the call ends, the run can be resumed, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from contacts_core import AsyncContacts
from contacts_core.plans import apply_async, list_runs, plan_erasure, resume
from contacts_core.plans.execution import runner
from contacts_core.provider import Flow
from contacts_core.storage.leases import Stopped
from tests.plans.environment import Environment, open_environment

APPLY = """
import asyncio, sys
from contacts_core import connect, connect_async
from contacts_core.plans import Plan, apply, apply_async

plan = Plan.load(sys.argv[1])
names = [part.account for part in plan.accounts]

async def main():
    clients = [connect_async(name) for name in names]
    await apply_async(plan, clients, pause=0.02)

print("begun", flush=True)
asyncio.run(main()) if sys.argv[2] == "async" else apply(plan, names, pause=0.02)
"""


class Broken:
    """A client whose loop does something when it is asked to run a flow."""

    name, provider = "desk", None

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike

    async def run(self, _: object) -> None:
        self._strike()


def bridge(strike: Callable[[], None], loop: Any, stop: Any = None) -> runner._Bridge:
    client: Any = Broken(strike)
    return runner._Bridge(client, loop, stop or runner._Stop())


def flow() -> Flow[None]:
    yield from ()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("signals", [1, 2, 3])
@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_a_process_ends_however_often_it_is_interrupted(
    kind: str, signals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_environment(60) as environment:
        monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
        monkeypatch.setenv("CONTACTS_FILE", str(environment.accounts_file(tmp_path / "contacts.toml")))
        plan = plan_erasure([[email] for email in environment.emails(20)], environment.accounts)
        plan.save(tmp_path / "plan.json")
        environment.seen.clear()
        environment.sandbox.latency = 0.3  # so that it can be interrupted in the middle
        command = [sys.executable, "-c", APPLY, str(tmp_path / "plan.json"), kind]
        process = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not any(exchange.method == "DELETE" for exchange in list(environment.seen)):
            assert process.poll() is None
            time.sleep(0.02)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.4)
        process.communicate(timeout=45)
        environment.sandbox.latency = 0
        assert process.returncode != 0
        (run,) = list_runs()
        assert run.state == "interrupted"
        assert resume(run.id, environment.accounts).complete


@pytest.mark.timeout(60)
@pytest.mark.parametrize("times", [1, 2])
def test_a_task_that_is_cancelled(times: int) -> None:
    with open_environment(20) as environment:
        cancelled(times, environment)


def cancelled(times: int, environment: Environment) -> None:
    plan = plan_erasure(environment.emails(4), environment.accounts)

    async def main() -> None:
        clients: list[Any] = [AsyncContacts(client.provider, name=name) for name, client in environment.clients.items()]
        task = asyncio.create_task(apply_async(plan, clients, pause=0.02, timeout=30))
        environment.seen.clear()
        environment.sandbox.latency = 0.2
        while len(environment.seen) < 4:  # noqa: ASYNC110 - another thread fills it
            await asyncio.sleep(0.005)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        for client in clients:
            await client.close()

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 30
    environment.sandbox.latency = 0
    (run,) = list_runs()
    assert run.state == "interrupted"
    assert resume(run.id, environment.accounts).complete


def test_ctrl_c_that_strikes_the_waiting_task_itself_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[BaseException] = []

    def work(clients: Sequence[Any], stop: Any) -> Any:
        assert stop.abandoned.wait(10), "the thread is told that the loop is at its end"
        try:
            clients[0].run(flow())
        except BaseException as error:
            ended.append(error)
            raise

    async def interrupted(_: object) -> None:
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(runner._in_a_thread([Broken(lambda: None)], work))
    assert [type(error) for error in ended] == [Stopped]


@pytest.mark.parametrize(
    ("error", "at_its_end", "what"),
    [
        (KeyboardInterrupt, False, Stopped),
        (SystemExit, False, Stopped),
        (RuntimeError, True, Stopped),
        (RuntimeError, False, RuntimeError),
    ],
)
def test_a_failure_in_the_loop_counts_unless_the_loop_is_at_its_end(
    error: type[BaseException], at_its_end: bool, what: type[BaseException]
) -> None:
    seen: list[BaseException] = []

    async def main() -> None:
        stop = runner._Stop()

        def strike() -> None:
            if at_its_end:
                stop.abandoned.set()
            raise error("cannot schedule new futures after shutdown")

        environment = bridge(strike, asyncio.get_running_loop(), stop)

        def work() -> None:
            try:
                environment.run(flow())
            except BaseException as ended:  # noqa: BLE001 - what ends the thread is looked at
                seen.append(ended)

        await asyncio.to_thread(work)

    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        asyncio.run(main())
    assert [type(each) for each in seen] == [what]


def test_a_loop_that_is_closed_stops_the_work() -> None:
    loop: Any = asyncio.new_event_loop()
    loop.close()
    loop.is_running = lambda: True  # when that was looked at
    with pytest.raises(Stopped):
        bridge(lambda: None, loop).run(flow())
