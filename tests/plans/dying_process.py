"""A process that applies a plan and may be killed meanwhile. It is forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import contacts_local
from contacts_core.config import plugins
from contacts_core.plans import Plan, apply
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


class Killer:
    """Kill this process when so many steps are written down."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at, self._steps = kill_at, 0

    @hookimpl
    def contacts_step_finished(self) -> None:
        self._steps += 1
        if self._steps == self._kill_at:
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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    about = (str(plan), steps, transactions, dict(os.environ), environment.tables())
    process = context.Process(target=_apply, args=about)
    process.start()
    return process


def _apply(plan: str, steps: int, transactions: int, variables: dict[str, str], tables: bytes) -> None:
    os.environ.clear()
    os.environ.update(variables)
    environment.TABLES.append(tables)
    plugins.manager().register(Killer(steps), name="killer")
    DyingStore.kill_at = transactions
    setattr(contacts_local, "Store", DyingStore)  # noqa: B010 - the class that the provider opens
    with lively():
        apply(Plan.load(plan), pause=0.02, timeout=30)
