"""Processes that apply plans and may be killed meanwhile. They are forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier, Lock
from pathlib import Path
from typing import TypeVar

import contacts_local
from contacts_core.config import plugins
from contacts_core.plans import Plan, apply, run_worker
from contacts_core.provider import hookimpl
from contacts_local.store import Store
from tests.plans import environment
from tests.plans.environment import lively

T = TypeVar("T")

PRELOADED = [
    "tests.plans.dying_process",
    "contacts_core.plans.execution.runner",
    "contacts_core.testing",
    "contacts_core.http.blocking",
    "contacts_core.http.connections",
    "contacts_bird",
    "contacts_carddav",
    "contacts_local",
    "contacts_sendgrid",
    "contacts_user_api",
]
READY_WITHIN_S = 100.0


class Killer:
    """Kill this process when so many steps are written down."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at, self._steps = kill_at, 0

    @hookimpl
    def contacts_step_finished(self) -> None:
        self._steps += 1
        if self._steps == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class FirstKiller:
    """Kill this process when a step is written down, if it is the first of several processes."""

    def __init__(self, first: Lock) -> None:
        self._first = first

    @hookimpl
    def contacts_step_finished(self) -> None:
        if self._first.acquire(block=False):
            os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(Store):
    """Kills this process when local files were used so many times, before anything can be done with what was read."""

    kill_at = 0

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        result = super()._transaction(begin, work)
        DyingStore.kill_at -= 1
        if not DyingStore.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def start(plan: Path, steps: int, transactions: int) -> ForkServerProcess:
    """Start to apply a plan with the environment of this process.

    It dies when so many steps are written down, or so many transactions of local files were made; 0 is for never.
    """
    process = _forking().Process(target=_apply, args=(str(plan), steps, transactions, _surroundings()))
    process.start()
    return process


def start_workers(count: int) -> list[ForkServerProcess]:
    """Start workers with the environment of this process, and wait until all look for work.

    The one of them that first writes down a step dies then.
    """
    context = _forking()
    first, ready = context.Lock(), context.Barrier(count + 1)
    processes = [context.Process(target=_work, args=(first, ready, _surroundings()), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    ready.wait(READY_WITHIN_S)
    return processes


def _forking() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


Surroundings = tuple[dict[str, str], bytes]


def _surroundings() -> Surroundings:
    return dict(os.environ), environment.tables()


def _enter(surroundings: Surroundings) -> None:
    variables, tables = surroundings
    os.environ.clear()
    os.environ.update(variables)
    environment.TABLES.append(tables)


def _work(first: Lock, ready: Barrier, surroundings: Surroundings) -> None:
    _enter(surroundings)
    plugins.manager().register(FirstKiller(first), name="killer")
    told: list[int] = []

    def forever() -> bool:
        if not told:
            told.append(ready.wait(READY_WITHIN_S))
        return False

    with lively():
        run_worker(until=forever)


def _apply(plan: str, steps: int, transactions: int, surroundings: Surroundings) -> None:
    _enter(surroundings)
    plugins.manager().register(Killer(steps), name="killer")
    DyingStore.kill_at = transactions
    setattr(contacts_local, "Store", DyingStore)  # noqa: B010 - the class that the provider opens
    with lively():
        apply(Plan.load(plan), pause=0.02, timeout=30)
